//! The Engine's state: containers, images, networks and volumes below its data root.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Container, daemon};
use crate::guests::scripted::shim::{Root, now, sha256};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(in super::super) struct Engine {
    pub(in super::super) containers: Vec<Container>,
    pub(in super::super) images: BTreeMap<String, Image>,
    pub(in super::super) networks: BTreeMap<String, Network>,
    pub(in super::super) volumes: BTreeMap<String, Volume>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in super::super) struct Image {
    pub(in super::super) id: String,
    pub(in super::super) digest: String,
    pub(in super::super) pulled: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in super::super) struct Network {
    pub(in super::super) id: String,
    pub(in super::super) driver: String,
    pub(in super::super) labels: BTreeMap<String, String>,
    pub(in super::super) options: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in super::super) struct Volume {
    pub(in super::super) labels: BTreeMap<String, String>,
    pub(in super::super) created: u64,
}

/// Counts how often a tag was moved in the registry, by image name; tests write it.
const REGISTRY: &str = "/var/lib/shim/registry.json";

impl Engine {
    pub(in super::super) fn load(root: &Root) -> Self {
        root.load(&daemon::state(root))
    }

    pub(in super::super) fn change<R>(root: &Root, change: impl FnOnce(&mut Self) -> R) -> R {
        root.update(&daemon::state(root), change)
    }

    /// By name, id or start of an id.
    pub(in super::super) fn find(&self, key: &str) -> Option<usize> {
        let key = key.trim_start_matches('/');
        let named = self
            .containers
            .iter()
            .position(|container| container.name == key || container.id == key);
        let start = || {
            self.containers
                .iter()
                .position(|container| key.len() > 3 && container.id.starts_with(key))
        };
        named.or_else(start)
    }

    /// Starts a container; a taken port leaves it as it is, with the error in its state.
    pub(in super::super) fn start(&mut self, index: usize) -> Result<(), String> {
        let now = now();
        let container = &self.containers[index];
        let taken =
            self.containers
                .iter()
                .enumerate()
                .find_map(|(other, holder)| {
                    let runs = other != index
                        && matches!(holder.live(now).status, "running" | "restarting");
                    let port = container.ports.iter().find(|port| {
                        port.host.is_some()
                            && holder.ports.iter().any(|held| {
                                held.host == port.host && held.protocol == port.protocol
                            })
                    });
                    port.filter(|_| runs)
                });
        let error = taken.map(|port| format!(
            "driver failed programming external connectivity on endpoint {} ({}): Bind for {}:{} failed: port is already allocated",
            container.name, container.id, port.ip, port.host.unwrap_or_default(),
        ));
        let container = &mut self.containers[index];
        if let Some(error) = error {
            container.error.clone_from(&error);
            return Err(error);
        }
        container.error.clear();
        container.started = Some(now);
        container.stopped = None;
        Ok(())
    }

    pub(in super::super) fn stop(&mut self, index: usize, exit_code: i64) {
        let now = now();
        let container = &mut self.containers[index];
        let live = container.live(now);
        if matches!(live.status, "running" | "restarting") {
            container.stopped = Some((now, exit_code));
        }
    }

    /// A network of this name, made now where there was none.
    pub(in super::super) fn network(&mut self, name: &str, driver: &str) -> &mut Network {
        let id = sha256(format!("network {name} {}", now()).as_bytes());
        self.networks
            .entry(name.to_owned())
            .or_insert_with(|| Network {
                id,
                driver: driver.to_owned(),
                ..Network::default()
            })
    }
}

/// An image name as the Engine keeps it: with tag, without the default registry.
pub(in super::super) fn image_name(name: &str) -> String {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    let last = name.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) {
        name.to_owned()
    } else {
        format!("{name}:latest")
    }
}

/// An image name without tag and digest.
pub(super) fn repository(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or_default();
    match name.rfind(':') {
        Some(at) if !name[at..].contains('/') => &name[..at],
        _ => name,
    }
}

impl Image {
    pub(super) fn repo_digest(&self, name: &str) -> String {
        format!("{}@{}", repository(name), self.digest)
    }
}

/// Fetches an image as the registry has it; whether it was new, or the Engine's words.
pub(in super::super) fn pull(root: &Root, name: &str) -> Result<bool, String> {
    let name = image_name(name);
    let repository = repository(&name);
    if repository.rsplit('/').next() == Some("missing") {
        return Err(format!(
            "pull access denied for {repository}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"
        ));
    }
    if name.ends_with(":missing") {
        return Err(format!(
            "manifest for {name} not found: manifest unknown: manifest unknown"
        ));
    }
    let moved = root
        .load::<BTreeMap<String, u64>>(REGISTRY)
        .get(&name)
        .copied()
        .unwrap_or(0);
    let digest = match name.split_once('@') {
        Some((_, digest)) => digest.to_owned(),
        None => format!(
            "sha256:{}",
            sha256(format!("manifest {name} {moved}").as_bytes())
        ),
    };
    let image = Image {
        id: format!(
            "sha256:{}",
            sha256(format!("config {name} {moved}").as_bytes())
        ),
        digest,
        pulled: now(),
    };
    Ok(Engine::change(root, |engine| {
        let new = engine
            .images
            .get(&name)
            .is_none_or(|known| known.id != image.id);
        if new {
            engine.images.insert(name, image);
        }
        new
    }))
}
