//! What has to happen on a guest so that Docker is as wished; and whether it came true.
//!
//! Pure: reads facts, returns a [`Plan`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{DockerWish, Source, apt_proxy, ca_path, ca_text, units};
use crate::guest::{
    Error, Result, containerd,
    daemon::{self, Action},
    facts::Facts,
    packages, sha256,
};

const DOCKER_DROP_IN: &str = "/etc/systemd/system/docker.service.d/pmoves.conf";
const CONTAINERD_DROP_IN: &str = "/etc/systemd/system/containerd.service.d/pmoves.conf";
const CONTAINERD_TOML: &str = "/etc/containerd/config.toml";

/// What is ours on the guest, kept there as `/etc/pmoves/docker.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Manifest {
    /// Keys of `daemon.json`.
    pub(super) keys: BTreeSet<String>,
    /// Members of the group `docker`.
    pub(super) users: BTreeSet<String>,
    /// Units and drop-ins.
    pub(super) files: BTreeSet<String>,
    /// Whether the packages are held at a version.
    pub(super) held: bool,
    /// What the daemon still needs, when a run broke off between its configuration and its restart.
    pub(super) unfinished: Action,
}

/// The steps, in the order of the fields.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Must be a mount point before anything else is done.
    pub(super) mount_path: Option<String>,
    /// Data root that is left behind, and must not be in use.
    pub(super) left_root: Option<String>,
    /// Files to write, by path.
    pub(super) files: BTreeMap<String, String>,
    /// Files to remove.
    pub(super) removed: BTreeSet<String>,
    /// New text of `daemon.json`.
    pub(super) daemon_json: Option<String>,
    /// Whether packages are installed; by whom is the wish's affair.
    pub(super) install: bool,
    /// Whether packages that were held are released.
    pub(super) release: bool,
    /// What the daemon needs.
    pub(super) action: Action,
    /// Accounts that join the group.
    pub(super) join: BTreeSet<String>,
    /// Accounts that leave it.
    pub(super) leave: BTreeSet<String>,
    /// What is ours while this runs, and afterwards.
    pub(super) manifests: [Manifest; 2],
    /// Whether the daemon has to be started.
    pub(super) start: bool,
}

/// # Errors
/// [`Error::Refused`] if Docker is another's, missing where it should be there, or in use where its data would move.
pub(super) fn plan(wish: &DockerWish, facts: &Facts) -> Result<Plan> {
    let before: Manifest = match &facts.manifest {
        Some(text) => serde_json::from_str(text).map_err(|error| {
            Error::Refused(format!("/etc/pmoves/docker.json cannot be read: {error}"))
        })?,
        None => Manifest::default(),
    };
    let install = install(wish, facts)?;
    let engine = facts.docker.as_ref().map(|docker| docker.server.as_str());
    let in_swarm = facts
        .docker
        .as_ref()
        .is_some_and(|docker| docker.swarm == "active");
    if in_swarm && wish.live_restore == Some(true) {
        return Err(Error::Refused(
            "live_restore does not go with a swarm, and this guest is in one".into(),
        ));
    }

    let keys = daemon::keys(wish, engine)?;
    let merged = daemon::merge(facts.daemon_json.as_deref(), &keys, &before.keys)?;
    let containerd = (wish.containerd_root.as_deref())
        .and_then(|root| containerd::config(facts.containerd_toml.as_deref(), root));
    let mut action = merged.action().max(before.unfinished);
    if containerd.is_some() {
        action = Action::Move;
    }
    // The packages of a distribution leave the old daemon running.
    if install && engine.is_some() {
        action = action.max(Action::Restart);
    }
    // A move that broke off may have been made all the same.
    let root = current_root(facts);
    let leaves = merged.action() == Action::Move
        || containerd.is_some()
        || wish
            .data_root
            .as_ref()
            .is_some_and(|wanted| *wanted != root);
    let left_root = (action == Action::Move && leaves && is_installed(facts)).then_some(root);
    if let (Some(root), Some(docker)) = (&left_root, &facts.docker)
        && (docker.containers > 0 || docker.volumes > 0)
    {
        return Err(Error::Refused(format!(
            "{} containers and {} volumes live in {root}; a root in use is not moved",
            docker.containers, docker.volumes
        )));
    }

    let mut files = files(wish)?;
    let manifest = Manifest {
        keys: keys.keys().cloned().collect(),
        users: wish.users.clone(),
        files: files.keys().cloned().collect(),
        held: wish.version.is_some() && wish.source != Source::Preinstalled,
        unfinished: Action::None,
    };
    files.retain(|path, text| facts.files.get(path) != Some(&sha256(text)));
    files.extend(containerd.map(|text| (CONTAINERD_TOML.to_owned(), text)));
    let group: BTreeSet<_> = facts.docker_group.iter().cloned().collect();
    let both = Manifest {
        keys: &manifest.keys | &before.keys,
        users: &manifest.users | &before.users,
        files: &manifest.files | &before.files,
        held: manifest.held || before.held,
        unfinished: action,
    };
    Ok(Plan {
        mount_path: wish.mount_path.clone(),
        left_root,
        files,
        removed: &before.files - &manifest.files,
        daemon_json: merged.is_change().then_some(merged.text),
        install,
        release: before.held && !manifest.held,
        // Packages that come later start with the configuration that is there before them.
        action: if is_installed(facts) {
            action
        } else {
            Action::None
        },
        join: &manifest.users - &group,
        leave: &(&before.users - &manifest.users) & &group,
        start: engine.is_none(),
        manifests: [both, manifest],
    })
}

impl Plan {
    /// Whether the guest is as wished already.
    pub(super) fn is_empty(&self, facts: &Facts) -> bool {
        let noted = facts
            .manifest
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok());
        noted.as_ref() == Some(&self.manifests[1])
            && !self.install
            && !self.start
            && self.daemon_json.is_none()
            && (self.files.is_empty() && self.removed.is_empty())
            && (self.join.is_empty() && self.leave.is_empty())
    }
}

/// What Docker is like now against what was wished.
///
/// # Errors
/// [`Error::Refused`] names the first difference that would hurt.
pub(super) fn verify(wish: &DockerWish, facts: &Facts) -> Result<()> {
    let refused = |why: String| Err(Error::Refused(why));
    let Some(docker) = &facts.docker else {
        return refused("Docker does not answer although its service was started".into());
    };
    // Docker falls back to vfs without a word; a copy of the image for every container.
    if !["overlay2", "overlayfs", "btrfs", "zfs"].contains(&docker.driver.as_str()) {
        return refused(format!(
            "Docker uses the storage driver {}; its data root must be on a filesystem that can do overlay2",
            docker.driver
        ));
    }
    if let Some(root) = wish.data_root.as_ref().filter(|root| **root != docker.root) {
        return refused(format!(
            "Docker's data root is {} and not {root}",
            docker.root
        ));
    }
    if let Some(live) = wish
        .live_restore
        .filter(|live| *live != docker.live_restore)
    {
        return refused(format!(
            "Docker runs with live-restore {} and not {live}",
            docker.live_restore
        ));
    }
    match &facts.compose {
        Some(version) if daemon::major(version) >= 2 => Ok(()),
        Some(version) => refused(format!(
            "Compose {version} is too old; version 2 is the oldest that works here"
        )),
        None => refused("the guest has no Compose plugin (docker compose)".into()),
    }
}

fn is_installed(facts: &Facts) -> bool {
    facts.docker.is_some() || facts.units.contains_key("docker.service")
}

fn install(wish: &DockerWish, facts: &Facts) -> Result<bool> {
    let has = |package: &str| facts.packages.contains_key(package);
    let (engine, cli, other) = match wish.source {
        Source::Preinstalled | Source::Installed if is_installed(facts) => return Ok(false),
        Source::Preinstalled => {
            return Err(Error::Refused(
                "source is \"preinstalled\", and the guest has no Docker".into(),
            ));
        }
        Source::Distro => ("docker.io", "docker.io", ("docker-ce", "docker")),
        Source::Docker | Source::Installed => {
            ("docker-ce", "docker-ce-cli", ("docker.io", "distro"))
        }
    };
    if has(other.0) {
        return Err(Error::Refused(format!(
            "the guest has {}, which is source = {:?}; one is not swapped for the other under running containers",
            other.0, other.1
        )));
    }
    let compose = match wish.source {
        Source::Docker | Source::Installed => has("docker-compose-plugin"),
        _ => {
            has("docker-compose-v2")
                || facts
                    .packages
                    .get("docker-compose")
                    .is_some_and(|version| daemon::major(version) >= 2)
        }
    };
    let pinned = |wanted: &String| {
        facts
            .packages
            .get(engine)
            .is_some_and(|version| packages::is_version(version, wanted))
            && facts.held.iter().any(|held| held == engine)
    };
    Ok(!(has(engine) && has(cli) && compose && wish.version.as_ref().is_none_or(pinned)))
}

fn current_root(facts: &Facts) -> String {
    let running = facts.docker.as_ref().map(|docker| docker.root.clone());
    let configured = || {
        let keys: serde_json::Value = serde_json::from_str(facts.daemon_json.as_deref()?).ok()?;
        Some(keys.get("data-root")?.as_str()?.to_owned())
    };
    running
        .or_else(configured)
        .unwrap_or_else(|| "/var/lib/docker".to_owned())
}

fn files(wish: &DockerWish) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    if let Some(path) = &wish.mount_path {
        for drop_in in [DOCKER_DROP_IN, CONTAINERD_DROP_IN] {
            files.insert(drop_in.to_owned(), units::mount(path));
        }
    }
    for (registry, pem) in &wish.registry_ca {
        files.insert(ca_path(registry), ca_text(pem));
    }
    files.extend(wish.proxy.as_ref().and_then(apt_proxy));
    if let Some(prune) = &wish.prune {
        let named = |(name, text)| (format!("/etc/systemd/system/{name}"), text);
        files.extend(units::prune(prune)?.map(named));
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
