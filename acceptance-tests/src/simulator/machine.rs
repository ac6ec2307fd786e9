//! What the simulator needs of the thing that runs its guests: start, end, agent channel.
//!
//! It knows nothing of the API and of VM configurations; it gets the finished [`Spec`].

use std::sync::Arc;

use super::container::{ContainerSpec, Started};

/// A boxed future, so that the traits below can be used as `dyn`.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a VM is made of when it is powered on.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The id of the VM.
    pub vmid: u32,
    /// The node it runs on.
    pub node: String,
    /// The configured name, or `VM <vmid>`.
    pub name: String,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Cores of all sockets together.
    pub cores: u32,
    /// The network cards by slot.
    pub nics: Vec<Nic>,
    /// The disks by slot, without CD drives.
    pub disks: Vec<Disk>,
    /// Bytes of the attached CD (the cloud-init seed), if any.
    pub cdrom: Option<Vec<u8>>,
    /// Whether the agent channel exists.
    pub agent: bool,
}

/// A network card.
#[derive(Clone, Debug)]
pub struct Nic {
    /// `net0` …
    pub slot: String,
    /// `BC:24:11:…`, as in the configuration.
    pub mac: String,
    /// The bridge of the node that it is plugged into.
    pub bridge: String,
}

/// A disk.
#[derive(Clone, Debug)]
pub struct Disk {
    /// `scsi0` …
    pub slot: String,
    /// The volume id, such as `local-lvm:vm-100-disk-0`.
    pub volume: String,
    /// The serial number that the guest sees.
    pub serial: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// The volume id it was imported from, if any.
    pub image: Option<String>,
}

/// How a guest ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Exit {
    /// It switched itself off, or its power was cut.
    PowerOff,
    /// It asked for a reboot.
    Reboot,
    /// It died, with the reason.
    Crashed(String),
}

/// Why an agent command has no `return` value.
#[derive(Clone, Debug)]
pub enum AgentError {
    /// Nothing answers on the channel.
    Silent,
    /// The agent's own error: class, description.
    Refused {
        /// Such as `GenericError` or `CommandNotFound`.
        class: String,
        /// The text.
        desc: String,
    },
}

/// The settings of a node's network that are to be applied.
#[derive(Clone, Debug)]
pub struct Reload {
    /// The node.
    pub node: String,
    /// Its network cards, such as `eno1`.
    pub cards: Vec<String>,
    /// Its `/etc/network/interfaces`.
    pub interfaces: String,
}

/// Why settings could not be applied, as `ifreload -a` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadReload {
    /// Its exit status.
    pub status: i32,
    /// Its lines.
    pub said: String,
}

/// Powers VMs on.
pub trait Hypervisor: Send + Sync {
    /// Powers a VM on. The error is the text of the failed start task.
    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Arc<dyn Machine>, String>>;
    /// Starts a container.
    fn start_container(&self, spec: ContainerSpec) -> Started<'_> {
        let text = format!("nothing here runs containers such as CT {}", spec.vmid);
        Box::pin(std::future::ready(Err(text)))
    }
    /// Applies the settings of a node's network.
    fn reload_network(&self, _reload: Reload) -> BoxFuture<'_, Result<(), BadReload>> {
        Box::pin(std::future::ready(Ok(())))
    }
    /// Frees what the guest's disks hold (called on destroy).
    fn discard(&self, vmid: u32) -> BoxFuture<'_, ()>;
}

/// A VM that is powered on.
pub trait Machine: Send + Sync {
    /// One guest-agent command (`{"execute":"guest-exec","arguments":{..}}`), answered with its `return` value.
    fn agent(
        &self,
        request: serde_json::Value,
    ) -> BoxFuture<'_, Result<serde_json::Value, AgentError>>;
    /// Cuts the power; resolves when nothing runs any more.
    fn kill(&self) -> BoxFuture<'_, ()>;
    /// Asks the guest to shut down (ACPI).
    fn powerdown(&self) -> BoxFuture<'_, ()>;
    /// Resolves when the guest has ended, by itself or not. May be awaited several times.
    fn ended(&self) -> BoxFuture<'_, Exit>;
    /// A disk grew to `bytes`.
    fn resized(&self, slot: &str, bytes: u64) -> BoxFuture<'_, ()>;
    /// A disk was attached to the running guest.
    fn attached(&self, disk: Disk) -> BoxFuture<'_, ()>;
}
