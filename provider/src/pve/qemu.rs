//! Reads about one virtual machine: configuration, pending changes, state.
//!
//! Values stay as PVE stores them; what they mean to a resource is the resource's affair.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

use super::{Call, Params, PropertyString, Pve, Result, keys::Keys, lenient};

/// A VM's configuration. `None`: not set, so PVE's default holds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Json>")]
#[expect(
    missing_docs,
    reason = "the fields are PVE's, documented in qm.conf(5)"
)]
pub struct QemuConfig {
    pub name: Option<String>,
    pub cores: Option<u32>,
    pub sockets: Option<u32>,
    pub cpu: Option<String>,
    pub cpulimit: Option<f64>,
    pub cpuunits: Option<u32>,
    pub numa: Option<bool>,
    /// MiB; PVE stores `current=` of a property string.
    pub memory: Option<u64>,
    /// MiB; 0 switches the balloon device off.
    pub balloon: Option<u64>,
    pub agent: Option<String>,
    pub bios: Option<String>,
    pub machine: Option<String>,
    pub ostype: Option<String>,
    pub scsihw: Option<String>,
    pub serial0: Option<String>,
    pub boot: Option<String>,
    pub startup: Option<String>,
    pub onboot: Option<bool>,
    pub protection: Option<bool>,
    pub template: bool,
    /// In PVE's order.
    pub tags: Vec<String>,
    pub description: Option<String>,
    /// The operation that keeps others out.
    pub lock: Option<String>,
    /// Changes with everything that is in the file, pending changes too.
    pub digest: Option<String>,
    /// `net0`, ...
    pub nets: BTreeMap<String, String>,
    /// `scsi0`, `virtio0`, `sata0`, `ide0`, `efidisk0`, `tpmstate0`, ...: disks and CD drives.
    pub disks: BTreeMap<String, String>,
    /// `unused0`, ...: volumes that belong to the VM and are not attached.
    pub unused: BTreeMap<String, String>,
    /// All other keys.
    pub rest: BTreeMap<String, String>,
}

impl TryFrom<BTreeMap<String, Json>> for QemuConfig {
    type Error = String;

    fn try_from(members: BTreeMap<String, Json>) -> Result<Self, String> {
        let mut all = Keys::new(members);
        let memory = match all.take("memory") {
            Some(text) => {
                let memory = PropertyString::parse(&text, Some("current"))
                    .map_err(|error| format!("memory: {error}"))?;
                memory.number("current")
            }
            None => None,
        };
        Ok(Self {
            nets: all.slots(&["net"]),
            disks: all.slots(&["scsi", "virtio", "sata", "ide", "efidisk", "tpmstate"]),
            unused: all.slots(&["unused"]),
            memory,
            tags: all.tags(),
            name: all.take("name"),
            cores: all.number("cores")?,
            sockets: all.number("sockets")?,
            cpu: all.take("cpu"),
            cpulimit: all.number("cpulimit")?,
            cpuunits: all.number("cpuunits")?,
            numa: all.flag("numa"),
            balloon: all.number("balloon")?,
            agent: all.take("agent"),
            bios: all.take("bios"),
            machine: all.take("machine"),
            ostype: all.take("ostype"),
            scsihw: all.take("scsihw"),
            serial0: all.take("serial0"),
            boot: all.take("boot"),
            startup: all.take("startup"),
            onboot: all.flag("onboot"),
            protection: all.flag("protection"),
            template: all.flag("template").unwrap_or_default(),
            description: all.take("description"),
            lock: all.take("lock"),
            digest: all.take("digest"),
            rest: all.rest(),
        })
    }
}

/// What a guest is doing now.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct VmStatus {
    /// `running` or `stopped`.
    pub status: String,
    /// As QEMU says of a VM: `running`, `paused`, `prelaunch`, ...
    #[serde(default)]
    pub qmpstatus: Option<String>,
    /// Seconds since it was started.
    #[serde(default, deserialize_with = "lenient::opt")]
    pub uptime: Option<u64>,
    /// The operation that keeps others out.
    #[serde(default)]
    pub lock: Option<String>,
}

impl VmStatus {
    /// Whether it is on, be it paused.
    pub fn is_running(&self) -> bool {
        self.status == "running"
    }
}

/// One key of a guest's configuration, and what a restart would make of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PendingRow {
    /// `memory`, `net0`, ...
    pub key: String,
    /// What holds now.
    #[serde(default, deserialize_with = "lenient::opt")]
    pub value: Option<String>,
    /// What will hold.
    #[serde(default, deserialize_with = "lenient::opt")]
    pub pending: Option<String>,
    /// Will be gone (1), and its volume too (2).
    #[serde(default, deserialize_with = "lenient::opt")]
    pub delete: Option<u8>,
}

impl PendingRow {
    /// Whether a stop and a start would change it.
    pub fn waits_for_restart(&self) -> bool {
        self.pending.is_some() || self.delete.is_some_and(|delete| delete > 0)
    }
}

impl Pve {
    /// The configuration as after a restart. `None`: not on this node, which does not mean that it is nowhere.
    pub async fn vm_config_opt(&self, node: &str, vmid: u32) -> Result<Option<QemuConfig>> {
        self.get_opt(&guest("qemu", node, vmid, "config")).await
    }

    /// What a guest of kind `qemu` or `lxc` does. `None`: not on this node.
    pub async fn guest_status_opt(
        &self,
        kind: &str,
        node: &str,
        vmid: u32,
    ) -> Result<Option<VmStatus>> {
        self.get_opt(&guest(kind, node, vmid, "status/current"))
            .await
    }

    /// Every key of a guest's configuration, with what waits for a restart.
    pub async fn guest_pending(
        &self,
        kind: &str,
        node: &str,
        vmid: u32,
    ) -> Result<Vec<PendingRow>> {
        self.get(&guest(kind, node, vmid, "pending")).await
    }
}

fn guest(kind: &str, node: &str, vmid: u32, what: &str) -> Call {
    Call::get(format!("/nodes/{node}/{kind}/{vmid}/{what}"), Params::new())
}
