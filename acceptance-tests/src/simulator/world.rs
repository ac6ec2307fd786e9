//! What the simulated cluster is at this moment: nodes, guests, volumes, tasks, users.
//!
//! It only holds and finds; what a call does to it stands with the call.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::access::{Access, Privileges};
use super::appliances::Appliance;
use super::clock::Clock;
use super::console::Consoles;
use super::faults::Fault;
use super::journal::Entry;
use super::lxc::Ct;
use super::machine::Hypervisor;
use super::mapping::Mappings;
use super::network::Network;
use super::node::Texts;
use super::options::Options;
use super::qemu::Vm;
use super::release::Release;
use super::reply::Fail;
use super::saved::pairs;
use super::storage::{Storage, Volume};
use super::tasks::Task;
use super::{backup, ha};

/// What does not change while the simulator runs.
pub(crate) struct Settings {
    pub(crate) admin: bool,
    pub(crate) node_cores: u32,
    pub(crate) node_memory: u64,
    pub(crate) release: Release,
    pub(crate) task_time: f64,
    pub(crate) resources_lag: Duration,
    pub(crate) idle: Duration,
    pub(crate) login_delay: Duration,
    pub(crate) agent_patience: Duration,
    pub(crate) with_message: bool,
    pub(crate) fingerprint: String,
}

/// Everything that the simulator is.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(crate) hypervisor: Arc<dyn Hypervisor>,
    pub(crate) journal: Mutex<Vec<Entry>>,
    pub(crate) faults: Mutex<Vec<Fault>>,
    /// Requests that the API does not have so, each in a line.
    pub(crate) violations: Mutex<Vec<String>>,
    pub(crate) begun: Instant,
    state: Mutex<State>,
    consoles: Mutex<Consoles>,
    guest_locks: Mutex<HashMap<u32, Arc<tokio::sync::Mutex<()>>>>,
    daemons: Mutex<HashMap<(String, bool), Arc<Semaphore>>>,
}

thread_local! {
    /// The address of the world whose state this thread holds, or 0.
    static HOLDS: Cell<usize> = const { Cell::new(0) };
}

/// The state, held by this thread.
pub(crate) struct Held<'a>(MutexGuard<'a, State>);

impl Deref for Held<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.0
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        HOLDS.set(0);
    }
}

impl World {
    pub(crate) fn new(
        settings: Settings,
        clock: Clock,
        hypervisor: Arc<dyn Hypervisor>,
        state: State,
    ) -> Self {
        Self {
            clock,
            settings,
            hypervisor,
            journal: Mutex::default(),
            faults: Mutex::default(),
            violations: Mutex::default(),
            begun: Instant::now(),
            state: Mutex::new(state),
            consoles: Mutex::default(),
            guest_locks: Mutex::default(),
            daemons: Mutex::default(),
        }
    }

    /// The state, for as long as the guard lives. Never held across an await.
    pub(crate) fn state(&self) -> Held<'_> {
        let own = std::ptr::from_ref(self).addr();
        assert_ne!(
            HOLDS.get(),
            own,
            "who holds the state asks for it again, and would wait for ever"
        );
        let state = self.state.lock().expect("no holder of the state panics");
        HOLDS.set(own);
        Held(state)
    }

    /// The consoles, for as long as the guard lives. Never held across an await.
    pub(crate) fn consoles(&self) -> MutexGuard<'_, Consoles> {
        let consoles = self.consoles.lock();
        consoles.expect("no holder of the consoles panics")
    }

    /// The lock file of a guest's configuration; waits as long as the API does.
    pub(crate) async fn lock_guest(
        &self,
        vmid: u32,
        patience: Duration,
    ) -> Result<OwnedMutexGuard<()>, Fail> {
        let lock = {
            let mut locks = self
                .guest_locks
                .lock()
                .expect("no holder of the locks panics");
            Arc::clone(locks.entry(vmid).or_default())
        };
        self.clock
            .timeout(patience, lock.lock_owned())
            .await
            .ok_or_else(|| {
                let file = format!("/var/lock/qemu-server/lock-{vmid}.conf");
                Fail::died(format!("can't lock file '{file}' - got timeout"))
            })
    }

    /// Remembers a request that is none of the API.
    pub(crate) fn note_violation(&self, line: String) {
        self.violations
            .lock()
            .expect("no holder of the violations panics")
            .push(line);
    }

    /// A free worker of a node: of the daemon that clients talk to, or of the `protected` one, which has
    /// the rights of root.
    pub(crate) async fn worker(&self, node: &str, protected: bool) -> OwnedSemaphorePermit {
        let daemon = {
            let mut daemons = self
                .daemons
                .lock()
                .expect("no holder of the daemons panics");
            let daemon = daemons.entry((node.to_owned(), protected));
            Arc::clone(daemon.or_insert_with(|| Arc::new(Semaphore::new(WORKERS))))
        };
        let free = daemon.acquire_owned().await;
        free.expect("nobody closes the daemons")
    }

    /// Seconds since 1970.
    pub(crate) fn now() -> i64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_secs()).expect("the clock is sane")
    }
}

/// How many calls a daemon of a node works on at once.
const WORKERS: usize = 3;

/// How long a call waits for the lock file of a guest.
pub(crate) const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// A node of the cluster.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) online: bool,
    pub(crate) network: Network,
    pub(crate) texts: Texts,
}

/// A resource pool.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Pool {
    pub(crate) comment: Option<String>,
    pub(crate) guests: Vec<u32>,
}

/// Where a volume lies: on one node, or everywhere (an empty name).
pub(crate) type Place = (String, String);

/// The changing part.
#[derive(Deserialize, Serialize)]
pub(crate) struct State {
    pub(crate) nodes: Vec<Node>,
    pub(crate) access: Access,
    pub(crate) storages: Vec<Storage>,
    #[serde(with = "pairs")]
    pub(crate) volumes: BTreeMap<Place, Volume>,
    pub(crate) vms: BTreeMap<u32, Vm>,
    pub(crate) cts: BTreeMap<u32, Ct>,
    pub(crate) ha: ha::Resources,
    pub(crate) jobs: BTreeMap<String, backup::Job>,
    #[serde(default)]
    pub(crate) mappings: Mappings,
    pub(crate) appliances: Vec<Appliance>,
    pub(crate) pools: BTreeMap<String, Pool>,
    pub(crate) options: Options,
    pub(crate) tasks: Vec<Task>,
    pub(crate) last_pid: u32,
}

impl State {
    /// The node, or the error that a wrong name gives.
    pub(crate) fn node(&self, name: &str) -> Result<&Node, Fail> {
        let found = self.nodes.iter().find(|node| node.name == name);
        let node = found.ok_or_else(|| {
            Fail::died(format!(
                "hostname lookup '{name}' failed - failed to get address info for: {name}: Name or \
                 service not known"
            ))
        })?;
        if !node.online {
            return Err(Fail::bare(595, "No route to host"));
        }
        Ok(node)
    }

    /// The VM on that node, or the error of a missing configuration file.
    pub(crate) fn vm(&self, node: &str, vmid: u32) -> Result<&Vm, Fail> {
        self.vms
            .get(&vmid)
            .filter(|vm| vm.node == node)
            .ok_or_else(|| Fail::died(missing_config(node, vmid)))
    }

    /// As [`Self::vm`], to be changed.
    pub(crate) fn vm_mut(&mut self, node: &str, vmid: u32) -> Result<&mut Vm, Fail> {
        self.vms
            .get_mut(&vmid)
            .filter(|vm| vm.node == node)
            .ok_or_else(|| Fail::died(missing_config(node, vmid)))
    }

    /// Takes a node off the cluster, or brings it back.
    pub(crate) fn set_online(&mut self, name: &str, online: bool) -> Result<(), String> {
        let node = self.nodes.iter_mut().find(|node| node.name == name);
        node.ok_or_else(|| format!("there is no node {name}"))?
            .online = online;
        Ok(())
    }

    /// The pool that a guest belongs to.
    pub(crate) fn pool_of(&self, vmid: u32) -> Option<&str> {
        let mut pools = self.pools.iter();
        pools
            .find(|(_, pool)| pool.guests.contains(&vmid))
            .map(|(name, _)| name.as_str())
    }

    /// Removes what else names a guest that is gone: permissions, pools.
    pub(crate) fn forget_guest(&mut self, vmid: u32) {
        self.access.forget_guest(vmid);
        for pool in self.pools.values_mut() {
            pool.guests.retain(|guest| *guest != vmid);
        }
    }

    /// What `who` may do on `path`, through the pool of the guest too.
    pub(crate) fn allowed(&self, who: &str, path: &str) -> Privileges {
        let vmid = path.strip_prefix("/vms/").and_then(|id| id.parse().ok());
        let pool = vmid.and_then(|id| self.pool_of(id));
        self.access.allowed(who, path, pool)
    }

    /// The storage, or the error that a wrong name gives.
    pub(crate) fn storage(&self, name: &str) -> Result<&Storage, Fail> {
        self.storages
            .iter()
            .find(|storage| storage.id == name)
            .ok_or_else(|| Fail::died(format!("storage '{name}' does not exist")))
    }
}

fn missing_config(node: &str, vmid: u32) -> String {
    format!("Configuration file 'nodes/{node}/qemu-server/{vmid}.conf' does not exist")
}
