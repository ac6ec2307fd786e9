//! What the simulator needs of the thing that runs its containers: start, end, console.
//!
//! It knows nothing of the API and of configurations; it gets the finished [`ContainerSpec`].

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::machine::{BoxFuture, Disk, Exit, Nic};

/// What a container is made of when it is started.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// Its id.
    pub vmid: u32,
    /// The node it runs on.
    pub node: String,
    /// Its host name.
    pub hostname: String,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Swap in MiB.
    pub swap_mib: u64,
    /// Cores that it may use, all of them if there is no number.
    pub cores: Option<u32>,
    /// The volume id of the template that its root was unpacked from, if that is known.
    pub template: Option<String>,
    /// The network cards by slot, with their addresses.
    pub nics: Vec<ContainerNic>,
    /// The root, and the volumes mounted below it with their paths.
    pub root: Disk,
    /// Mounted volumes.
    pub mounts: Vec<(String, Disk)>,
    /// Whether containers can run inside.
    pub nesting: bool,
    /// Whether its root is nobody on the node.
    pub unprivileged: bool,
    /// Name servers, separated by spaces.
    pub nameservers: Option<String>,
    /// Lines for root's `authorized_keys`.
    pub ssh_keys: Option<String>,
}

/// A network card of a container.
#[derive(Clone, Debug)]
pub struct ContainerNic {
    /// Slot, MAC address and bridge.
    pub nic: Nic,
    /// Its name inside.
    pub name: String,
    /// `192.0.2.7/24`, `dhcp`, `manual` or nothing.
    pub ip: Option<String>,
    /// The IPv4 gateway.
    pub gateway: Option<String>,
    /// `2001:db8::7/64`, `dhcp`, `auto`, `manual` or nothing.
    pub ip6: Option<String>,
    /// The IPv6 gateway.
    pub gateway6: Option<String>,
}

/// What a new terminal of a container shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleMode {
    /// A shell of root, without a login.
    Shell,
    /// `/dev/console`.
    Console,
    /// One of its terminals.
    Tty,
}

/// Where one types.
pub trait Keyboard: AsyncWrite + Send + Unpin {
    /// Sets the size of the terminal.
    fn resize(&self, columns: u16, rows: u16);
}

/// An open terminal. Dropping both parts hangs up.
pub struct Console {
    /// What it shows. It ends when nothing runs on it any more.
    pub screen: Box<dyn AsyncRead + Send + Unpin>,
    /// What is typed.
    pub keyboard: Box<dyn Keyboard>,
}

/// A network interface as it is inside a running container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Such as `eth0`.
    pub name: String,
    /// `bc:24:11:…`.
    pub mac: String,
    /// Address and prefix length.
    pub addresses: Vec<(std::net::IpAddr, u8)>,
}

/// A container that runs.
pub trait Container: Send + Sync {
    /// Opens a terminal. The error is what stands on it instead.
    fn console(&self, mode: ConsoleMode) -> BoxFuture<'_, Result<Console, String>>;
    /// Its interfaces, or nothing if they are what its configuration says.
    fn interfaces(&self) -> BoxFuture<'_, Option<Vec<Interface>>>;
    /// Ends it at once; resolves when nothing runs any more.
    fn kill(&self) -> BoxFuture<'_, ()>;
    /// Asks its init to shut down.
    fn shutdown(&self) -> BoxFuture<'_, ()>;
    /// Resolves when it has ended, by itself or not. May be awaited several times.
    fn ended(&self) -> BoxFuture<'_, Exit>;
}

/// A started container, or the text of the failed start task.
pub type Started<'a> = BoxFuture<'a, Result<Arc<dyn Container>, String>>;
