//! Virtual machines: their configuration with what is pending, and what runs of them.
//!
//! Calls and tasks on them stand in the modules below; this is the state and its plain questions.

pub(crate) mod agent;
pub(crate) mod allow;
pub(crate) mod clone;
pub(crate) mod cloudinit;
pub(crate) mod create;
pub(crate) mod destroy;
pub(crate) mod drives;
pub(crate) mod hotplug;
pub(crate) mod migrate;
pub(crate) mod move_disk;
pub(crate) mod pids;
pub(crate) mod power;
pub(crate) mod read;
pub(crate) mod resize;
pub(crate) mod snapshot;
pub(crate) mod spec;
pub(crate) mod start;
pub(crate) mod template;
pub(crate) mod texts;
pub(crate) mod update;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use serde_json::{Value as Json, json};

use pids::Pids;

use super::machine::Machine;
use super::reply::Fail;
use super::rules::{Kind, property, set};
use super::storage::{checksum, parse_size};
use snapshot::Snapshot;

/// The keys of a configuration with their text.
pub(crate) type Config = BTreeMap<String, String>;

/// A change that waits for the next start.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) enum Pending {
    Set(String),
    /// The key goes; with `true` its volume is freed rather than kept as unused.
    Delete(bool),
}

/// A virtual machine.
#[derive(Deserialize, Serialize)]
pub(crate) struct Vm {
    pub(crate) vmid: u32,
    pub(crate) node: String,
    pub(crate) config: Config,
    pub(crate) pending: BTreeMap<String, Pending>,
    #[serde(skip)]
    pub(crate) running: Option<Running>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    /// When it came to be.
    #[serde(skip, default = "Instant::now")]
    pub(crate) since: Instant,
    /// When it last went on or off.
    #[serde(skip, default = "Instant::now")]
    pub(crate) switched: Instant,
}

/// What runs of a VM.
pub(crate) struct Running {
    pub(crate) machine: Arc<dyn Machine>,
    pub(crate) pid: u32,
    pub(crate) begun: Instant,
    /// Whether the agent channel exists, which the start decides.
    pub(crate) agent: bool,
    pub(crate) paused: bool,
    pub(crate) on_end: OnEnd,
    pub(crate) pids: Pids,
}

/// What is to happen once a machine has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum OnEnd {
    /// The VM is off, unless the guest asked for a reboot.
    Off,
    /// It is started anew, with what is pending.
    Restart,
    /// The same VM goes on with a new machine, without what is pending.
    Reset,
}

impl Vm {
    pub(crate) fn new(vmid: u32, node: &str, config: Config) -> Self {
        Self {
            vmid,
            node: node.to_owned(),
            config,
            pending: BTreeMap::new(),
            running: None,
            snapshots: BTreeMap::new(),
            since: Instant::now(),
            switched: Instant::now(),
        }
    }

    /// The configured name, or the one that lists show.
    pub(crate) fn name(&self) -> String {
        self.config
            .get("name")
            .cloned()
            .unwrap_or_else(|| format!("VM {}", self.vmid))
    }

    pub(crate) fn is_template(&self) -> bool {
        self.config.get("template").is_some_and(|is| is == "1")
    }

    pub(crate) fn is_protected(&self) -> bool {
        self.config.get("protection").is_some_and(|is| is == "1")
    }

    /// Refuses if the configuration has a lock.
    pub(crate) fn check_lock(&self) -> Result<(), Fail> {
        match self.config.get("lock") {
            Some(lock) => Err(Fail::died(format!("VM is locked ({lock})"))),
            None => Ok(()),
        }
    }

    pub(crate) fn cores(&self) -> u32 {
        let number = |key: &str| self.config.get(key).and_then(|n| n.parse().ok());
        number("vcpus").unwrap_or(number("sockets").unwrap_or(1) * number("cores").unwrap_or(1))
    }

    pub(crate) fn memory_mib(&self) -> u64 {
        memory_mib(&self.config)
    }

    /// The size of the first disk of the boot order, as statistics show it.
    pub(crate) fn boot_disk_bytes(&self) -> u64 {
        let order = self
            .config
            .get("boot")
            .map_or("", |boot| boot.trim_start_matches("order="));
        let mut disks = order.split(';').filter_map(|key| {
            let drive = drives::parse(key, self.config.get(key).filter(|_| drives::is_drive(key))?);
            (!drives::is_cdrom(&drive))
                .then(|| drive.get("size").and_then(|s| parse_size(s)))
                .flatten()
        });
        disks.next().unwrap_or(0)
    }

    pub(crate) fn uptime(&self) -> u64 {
        self.running
            .as_ref()
            .map_or(0, |running| running.begun.elapsed().as_secs())
    }

    /// `running` or `stopped`, as it was `lag` ago.
    pub(crate) fn status_at(&self, lag: Duration) -> &'static str {
        let was_running =
            self.running.is_some() != (self.switched.elapsed() < lag && self.switched > self.since);
        if was_running { "running" } else { "stopped" }
    }

    /// SHA-1 over all that the configuration file would hold.
    pub(crate) fn digest(&self) -> String {
        let all = (&self.config, &self.pending, &self.snapshots);
        checksum::sha1(&format!("{all:?}"))
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

    /// The lowest free slot for a volume that is unused.
    pub(crate) fn free_unused(&self) -> Option<String> {
        let mut slots = (0..256).map(|i| format!("unused{i}"));
        slots.find(|slot| !self.config.contains_key(slot))
    }

    /// Whether the configuration names the volume.
    pub(crate) fn holds(&self, volume: &str) -> bool {
        let set = self
            .pending
            .iter()
            .filter_map(|(key, change)| match change {
                Pending::Set(value) => Some((key, value)),
                Pending::Delete(_) => None,
            });
        self.config
            .iter()
            .chain(set)
            .any(|(key, value)| volume_of(key, value).as_deref() == Some(volume))
    }
}

/// The volume that a key of the configuration holds, if it holds one of its own.
pub(crate) fn volume_of(key: &str, value: &str) -> Option<String> {
    if key.starts_with("unused") {
        return Some(value.trim_start_matches("file=").to_owned());
    }
    let drive = drives::is_drive(key).then(|| drives::parse(key, value))?;
    let file = drive.get("file")?;
    (file.contains(':') && (!drives::is_cdrom(&drive) || drives::is_cloudinit(&drive)))
        .then(|| file.clone())
}

/// The memory of a configuration.
pub(crate) fn memory_mib(config: &Config) -> u64 {
    let memory = config
        .get("memory")
        .and_then(|text| property::parse(set("memory"), text).ok());
    memory
        .and_then(|found| found.get("current")?.parse().ok())
        .unwrap_or(512)
}

/// A value as configuration reads show it: a number where the rules say integer or boolean.
pub(crate) fn shown(key: &str, value: &str) -> Json {
    let kind = set("qemu-config").rule(key).map(|rule| rule.kind);
    match (key, kind) {
        ("cipassword", _) => json!("**********"),
        (_, Some(Kind::Integer | Kind::Boolean)) => value
            .parse::<i64>()
            .map_or_else(|_| json!(value), |number| json!(number)),
        _ => json!(value),
    }
}
