//! Containers: their configuration with what is pending, and what runs of them.
//!
//! Calls and tasks on them stand in the modules below; this is the state and its plain questions.

pub(crate) mod allow;
pub(crate) mod apply;
pub(crate) mod clone;
pub(crate) mod config;
pub(crate) mod create;
pub(crate) mod destroy;
pub(crate) mod migrate;
pub(crate) mod move_volume;
pub(crate) mod power;
pub(crate) mod read;
pub(crate) mod resize;
pub(crate) mod snapshot;
pub(crate) mod spec;
pub(crate) mod start;
pub(crate) mod texts;
pub(crate) mod volumes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use serde_json::{Value as Json, json};
use tokio::sync::OwnedMutexGuard;

use super::container::Container;
use super::qemu::{Config, Pending};
use super::reply::Fail;
use super::rules::{Kind, set};
use super::storage::{checksum, parse_size};
use super::world::{State, World};

/// A container.
#[derive(Deserialize, Serialize)]
pub(crate) struct Ct {
    pub(crate) vmid: u32,
    pub(crate) node: String,
    pub(crate) config: Config,
    pub(crate) pending: BTreeMap<String, Pending>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    /// The snapshot that the present state comes from.
    pub(crate) parent: Option<String>,
    /// What its root was made of, which no configuration tells.
    pub(crate) origin: Origin,
    #[serde(skip)]
    pub(crate) running: Option<Running>,
    /// When it came to be.
    #[serde(skip, default = "Instant::now")]
    pub(crate) since: Instant,
    /// When it last went on or off.
    #[serde(skip, default = "Instant::now")]
    pub(crate) switched: Instant,
}

/// What a container's root was made of.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Origin {
    pub(crate) template: Option<String>,
    pub(crate) ssh_keys: Option<String>,
}

/// A snapshot.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Snapshot {
    pub(crate) config: Config,
    pub(crate) description: Option<String>,
    pub(crate) time: i64,
    pub(crate) parent: Option<String>,
}

/// What runs of a container.
pub(crate) struct Running {
    pub(crate) container: Arc<dyn Container>,
    pub(crate) pid: u32,
    pub(crate) begun: Instant,
    /// It is started anew, with what is pending, once it has ended.
    pub(crate) restart: bool,
}

impl Ct {
    pub(crate) fn new(vmid: u32, node: &str, config: Config) -> Self {
        Self {
            vmid,
            node: node.to_owned(),
            config,
            pending: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            parent: None,
            origin: Origin::default(),
            running: None,
            since: Instant::now(),
            switched: Instant::now(),
        }
    }

    /// The host name.
    pub(crate) fn name(&self) -> String {
        let set = self.config.get("hostname").cloned();
        set.unwrap_or_else(|| format!("CT{}", self.vmid))
    }

    /// Whether a boolean of the configuration is set.
    pub(crate) fn is(&self, key: &str) -> bool {
        self.config.get(key).is_some_and(|is| is == "1")
    }

    /// Refuses if the configuration has a lock.
    pub(crate) fn check_lock(&self) -> Result<(), Fail> {
        match self.config.get("lock") {
            Some(lock) => Err(Fail::died(format!("CT is locked ({lock})"))),
            None => Ok(()),
        }
    }

    /// Refuses if the container is protected; `what` begins the text.
    pub(crate) fn check_protection(&self, what: &str) -> Result<(), Fail> {
        if self.is("protection") {
            return Err(Fail::died(format!("{what} - protection mode enabled")));
        }
        Ok(())
    }

    /// Refuses if the configuration is another than the caller knows.
    pub(crate) fn check_digest(&self, known: Option<&str>) -> Result<(), Fail> {
        if known.is_some_and(|known| known != self.digest()) {
            return Err(Fail::died(
                "detected modified configuration - file changed by other user? Try again.",
            ));
        }
        Ok(())
    }

    /// A number of the configuration.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.config.get(key)?.parse().ok()
    }

    /// The size that the configuration tells of the root.
    pub(crate) fn root_bytes(&self) -> u64 {
        let root = self
            .config
            .get("rootfs")
            .map(|text| volumes::parse("rootfs", text));
        let size = root.and_then(|root| parse_size(root.get("size")?));
        size.unwrap_or(0)
    }

    pub(crate) fn uptime(&self) -> u64 {
        let begun = self.running.as_ref().map(|running| running.begun);
        begun.map_or(0, |begun| begun.elapsed().as_secs())
    }

    /// `running` or `stopped`, as it was `lag` ago.
    pub(crate) fn status_at(&self, lag: Duration) -> &'static str {
        let changed = self.switched.elapsed() < lag && self.switched > self.since;
        match self.running.is_some() != changed {
            true => "running",
            false => "stopped",
        }
    }

    /// SHA-1 over all that the configuration file would hold.
    pub(crate) fn digest(&self) -> String {
        checksum::sha1(&format!(
            "{:?} {:?} {:?}",
            self.config, self.pending, self.snapshots
        ))
    }

    /// The configuration as it will be after the next start.
    pub(crate) fn with_pending(&self) -> Config {
        let mut config = self.config.clone();
        for (key, change) in &self.pending {
            match change {
                Pending::Set(value) => config.insert(key.clone(), value.clone()),
                Pending::Delete(_) => config.remove(key),
            };
        }
        config
    }

    /// Whether the configuration or a snapshot names the volume, beside the given key.
    pub(crate) fn uses(&self, volume: &str, but: Option<&str>) -> bool {
        let own = self
            .config
            .iter()
            .filter(|(key, _)| Some(key.as_str()) != but);
        let snapshots = self
            .snapshots
            .values()
            .flat_map(|snapshot| &snapshot.config);
        own.chain(snapshots)
            .any(|(key, value)| volumes::volume_of(key, value).as_deref() == Some(volume))
    }
}

impl State {
    /// The container on that node, or the error of a missing configuration file.
    pub(crate) fn ct(&self, node: &str, vmid: u32) -> Result<&Ct, Fail> {
        let found = self.cts.get(&vmid).filter(|ct| ct.node == node);
        found.ok_or_else(|| missing(node, vmid))
    }

    /// As [`Self::ct`], to be changed.
    pub(crate) fn ct_mut(&mut self, node: &str, vmid: u32) -> Result<&mut Ct, Fail> {
        let found = self.cts.get_mut(&vmid).filter(|ct| ct.node == node);
        found.ok_or_else(|| missing(node, vmid))
    }

    /// What has this id: `VM` or `CT`, and the node that it is on.
    pub(crate) fn guest(&self, vmid: u32) -> Option<(&'static str, &str)> {
        let vm = self.vms.get(&vmid).map(|vm| ("VM", vm.node.as_str()));
        vm.or_else(|| self.cts.get(&vmid).map(|ct| ("CT", ct.node.as_str())))
    }

    /// Refuses an id that a guest has.
    pub(crate) fn check_unused(&self, vmid: u32) -> Result<(), Fail> {
        match self.guest(vmid) {
            Some((what, node)) => Err(Fail::died(format!(
                "{what} {vmid} already exists on node '{node}'"
            ))),
            None => Ok(()),
        }
    }
}

fn missing(node: &str, vmid: u32) -> Fail {
    Fail::died(format!(
        "Configuration file 'nodes/{node}/lxc/{vmid}.conf' does not exist"
    ))
}

impl World {
    /// The lock file of a container's configuration.
    pub(crate) async fn lock_ct(&self, vmid: u32) -> Result<OwnedMutexGuard<()>, Fail> {
        let locked = self.lock_guest(vmid, super::world::LOCK_PATIENCE).await;
        locked.map_err(|_| {
            let file = format!("/run/lock/lxc/pve-config-{vmid}.lock");
            Fail::died(format!("can't lock file '{file}' - got timeout"))
        })
    }
}

/// A value as configuration reads show it: a number where the rules say integer or boolean.
pub(crate) fn shown(key: &str, value: &str) -> Json {
    let kind = set("lxc-config").rule(key).map(|rule| rule.kind);
    match kind {
        Some(Kind::Integer | Kind::Boolean) => value
            .parse::<i64>()
            .map_or_else(|_| json!(value), |number| json!(number)),
        _ if key == "description" => json!(format!("{}\n", value.trim_end_matches('\n'))),
        _ => json!(value),
    }
}
