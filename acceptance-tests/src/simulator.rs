//! A Proxmox VE API server for tests: one process, loopback only, with TLS.
//!
//! It shares no code with the provider, and it follows rules rather than replaying recordings.
//! What is not simulated is unknown here, as a wrong path is on a node.

mod access;
pub mod admin;
mod allow;
mod appliances;
mod back_door;
mod backup;
mod call;
mod certificate;
mod clock;
mod cluster;
mod console;
pub mod container;
pub mod contract;
mod faults;
mod ha;
mod indexes;
mod journal;
mod lxc;
pub mod machine;
mod mapping;
mod memory;
mod network;
mod node;
mod options;
mod params;
mod pools;
mod qemu;
mod random;
mod release;
mod reply;
mod rules;
mod saved;
mod server;
mod storage;
mod tasks;
#[cfg(test)]
mod tests;
mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use access::{Access, DOCKER_VM_ROLE, Token, User, privileges};
pub use appliances::Appliance;
pub(crate) use back_door::Strict;
pub use back_door::VmSummary;
use clock::Clock;
pub use faults::{Effect, Fault};
pub use journal::{Entry, covers};
use machine::Hypervisor;
pub use memory::{MemoryHypervisor, MemoryMachine};
use network::Network;
use node::Texts;
use random::random_uuid;
pub use release::Release;
pub use storage::Storage;
pub(crate) use storage::checksum::of as checksum_of;
use world::{Node, Settings, State, World};

/// The id of the token that is ready from the start.
const TOKEN_ID: &str = "pmoves@pve!tf";

/// How a simulator is set up.
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches that have nothing to do with each other"
)]
pub struct Options {
    /// The release of Proxmox VE.
    pub release: Release,
    /// The names of the nodes; the first one answers.
    pub nodes: Vec<String>,
    /// The storages of all nodes.
    pub storages: Vec<Storage>,
    /// The network cards of each node.
    pub cards: Vec<String>,
    /// The bridges of each node; the first has the first card and the node's address.
    pub bridges: Vec<String>,
    /// The cores and bytes of memory of each node.
    pub hardware: (u32, u64),
    /// What runs the VMs.
    pub hypervisor: Arc<dyn Hypervisor>,
    /// The password of `root@pam`.
    pub root_password: String,
    /// How long tasks take, as a fraction of the time on a real node.
    pub task_time: f64,
    /// Whether the time of the cluster stands still until [`Simulator::advance`] moves it on.
    pub clock_stands: bool,
    /// How late statistics reach `/cluster/resources`; 10 s on a real cluster.
    pub resources_lag: Duration,
    /// How long a connection stays open without a request; 5 s on a real node.
    pub idle: Duration,
    /// How long a refused login takes; 3 s on a real node.
    pub login_delay: Duration,
    /// How long a call waits for an agent that does not answer; 3 s on a real node.
    pub agent_patience: Duration,
    /// Whether there is a ready token, with its user; see [`Simulator::token`].
    pub with_token: bool,
    /// The port on 127.0.0.1; 0 is a free one.
    pub port: u16,
    /// Whether [`admin`] is answered.
    pub admin: bool,
    /// What [`Simulator::save`] told, instead of nodes, storages, bridges and the password.
    pub saved: Option<String>,
    /// Whether error bodies carry the message, as they do since PVE 8.4.
    pub with_message: bool,
}

impl Default for Options {
    fn default() -> Self {
        let files = "iso,vztmpl,import,backup";
        Self {
            release: Release::default(),
            nodes: vec!["pve1".to_owned()],
            storages: vec![
                Storage::dir("local", "/var/lib/vz", files),
                Storage::lvmthin("local-lvm", "images,rootdir"),
            ],
            cards: vec!["eno1".to_owned(), "eno2".to_owned()],
            bridges: vec!["vmbr0".to_owned()],
            hardware: (16, 64 << 30),
            hypervisor: Arc::new(MemoryHypervisor::default()),
            root_password: "simulated".to_owned(),
            task_time: 0.02,
            clock_stands: false,
            resources_lag: Duration::from_millis(300),
            idle: Duration::from_secs(5),
            login_delay: Duration::from_millis(100),
            agent_patience: Duration::from_millis(100),
            with_token: true,
            port: 0,
            admin: false,
            saved: None,
            with_message: true,
        }
    }
}

/// A running simulator; it stops when it is dropped.
pub struct Simulator {
    world: Arc<World>,
    address: SocketAddr,
    ca_pem: String,
    token: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Simulator {
    /// Starts one on a free port of loopback. Must be called inside a tokio runtime.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        let identity = certificate::Identity::new(&options.nodes).map_err(std::io::Error::other)?;
        let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
        let address = listener.local_addr()?;
        let (mut state, running) = match &options.saved {
            Some(text) => saved::read(text, options.release).map_err(std::io::Error::other)?,
            None => (installed(&options), Vec::new()),
        };
        let token = match state.access.token(TOKEN_ID) {
            Some(token) => format!("{TOKEN_ID}={}", token.secret),
            None if options.with_token => {
                add_token(&mut state.access, TOKEN_ID, &[("/", DOCKER_VM_ROLE)])
            }
            None => String::new(),
        };
        let settings = Settings {
            node_cores: options.hardware.0,
            node_memory: options.hardware.1,
            release: options.release,
            admin: options.admin,
            task_time: options.task_time,
            resources_lag: options.resources_lag,
            idle: options.idle,
            login_delay: options.login_delay,
            agent_patience: options.agent_patience,
            with_message: options.with_message,
            fingerprint: identity.fingerprint,
        };
        let clock = Clock::new(options.clock_stands);
        let world = Arc::new(World::new(settings, clock, options.hypervisor, state));
        let server = server::serve(
            listener,
            TlsAcceptor::from(identity.tls),
            Arc::clone(&world),
        );
        let server = tokio::spawn(server);
        saved::start(&world, running);
        Ok(Self {
            world,
            address,
            ca_pem: identity.ca_pem,
            token,
            server,
        })
    }

    /// `https://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    /// SHA-256 of the server's certificate, `AB:CD:…`.
    pub fn fingerprint(&self) -> &str {
        &self.world.settings.fingerprint
    }

    /// The CA that signed the server's certificate.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The ready token (empty if there is none), `pmoves@pve!tf=SECRET`, with what hosts of containers need on `/`.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A further user with a password, who has these privileges on `/`, separated by commas or spaces.
    pub fn add_user(&self, name: &str, password: &str, list: &str) {
        let access = &mut self.world.state().access;
        let user = User {
            password: Some(password.to_owned()),
            ..User::default()
        };
        access.users.insert(name.to_owned(), user);
        access.grant(name, "/", list);
    }

    /// All tickets and CSRF tokens that logins were given.
    pub fn tickets(&self) -> Vec<String> {
        let state = self.world.state();
        let given = state.access.tickets.iter();
        given
            .flat_map(|(ticket, (_, csrf))| [ticket.clone(), csrf.clone()])
            .collect()
    }

    /// A further token that lacks these privileges of the ready one.
    pub fn token_without(&self, lacking: &[&str]) -> String {
        let mut list = privileges(DOCKER_VM_ROLE, self.world.settings.release);
        list.retain(|privilege| !lacking.contains(&privilege.as_str()));
        let list: Vec<String> = list.into_iter().collect();
        self.token_with(&list.join(" "))
    }

    /// A further token that has these privileges on `/`, separated by spaces.
    pub fn token_with(&self, list: &str) -> String {
        self.token_on(&[("/", list)])
    }

    /// A further token that has privileges on paths of the access control list.
    pub fn token_on(&self, grants: &[(&str, &str)]) -> String {
        let mut state = self.world.state();
        let id = format!("limited{}@pve!tf", state.access.users.len());
        add_token(&mut state.access, &id, grants)
    }
}

/// A cluster as it is after its installation.
fn installed(options: &Options) -> State {
    let node = |(i, name): (usize, &String)| Node {
        name: name.clone(),
        online: true,
        network: Network::installed(&options.cards, &options.bridges, i),
        texts: Texts::installed(name, i),
    };
    State {
        nodes: options.nodes.iter().enumerate().map(node).collect(),
        access: Access::new(&options.root_password, options.release),
        storages: options.storages.clone(),
        volumes: BTreeMap::new(),
        vms: BTreeMap::new(),
        cts: BTreeMap::new(),
        ha: BTreeMap::new(),
        jobs: BTreeMap::new(),
        mappings: BTreeMap::new(),
        appliances: Vec::new(),
        pools: BTreeMap::new(),
        options: BTreeMap::new(),
        tasks: Vec::new(),
        last_pid: 1000,
    }
}

/// Adds a user with a token that has all of the user's privileges, and tells `ID=SECRET`.
fn add_token(access: &mut Access, id: &str, grants: &[(&str, &str)]) -> String {
    let (user, token) = id.split_once('!').expect("a token id has a user");
    let secret = random_uuid();
    let entry = Token {
        secret: secret.clone(),
        separated: false,
        expire: 0,
        comment: None,
    };
    let owner = User {
        tokens: BTreeMap::from([(token.to_owned(), entry)]),
        ..User::default()
    };
    access.users.insert(user.to_owned(), owner);
    for (path, list) in grants {
        access.grant(user, path, list);
    }
    format!("{id}={secret}")
}
