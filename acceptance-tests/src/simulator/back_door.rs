//! What tests do and see behind the API's back.
//!
//! Nothing here checks permissions or rules, and nothing of it shows in the journal.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::Simulator;
use super::appliances::Appliance;
use super::faults::Fault;
use super::journal::Entry;
use super::machine::Machine;
use super::qemu::Vm;
use super::saved;
use super::storage::Volume;
use super::world::World;

/// A VM at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct VmSummary {
    /// Its id.
    pub vmid: u32,
    /// The node that it is on.
    pub node: String,
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub running: bool,
}

/// Holds the requests of a test to what the API has; see [`Simulator::take_violations`].
pub(crate) struct Strict(Arc<World>);

impl Drop for Strict {
    fn drop(&mut self) {
        let violations = self.0.violations.lock();
        let violations = violations.expect("no holder of the violations panics");
        // A test that fails anyway says why.
        assert!(
            violations.is_empty() || std::thread::panicking(),
            "the API has no such requests: {violations:#?}"
        );
    }
}

impl Simulator {
    /// Orders a fault.
    pub fn fault(&self, fault: Fault) {
        self.world
            .faults
            .lock()
            .expect("no holder of the faults panics")
            .push(fault);
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        self.world
            .faults
            .lock()
            .expect("no holder of the faults panics")
            .clear();
    }

    /// Lets time pass at once for whatever the cluster waits for.
    pub fn advance(&self, time: Duration) {
        self.world.clock.advance(time);
    }

    /// The requests since the last question that the API does not have, or not with such parameters.
    pub fn take_violations(&self) -> Vec<String> {
        let mut violations = self.world.violations.lock();
        std::mem::take(
            violations
                .as_mut()
                .expect("no holder of the violations panics"),
        )
    }

    /// Fails the test, when it is dropped, if there are violations that nobody took.
    pub(crate) fn strict(&self) -> Strict {
        Strict(Arc::clone(&self.world))
    }

    /// All calls so far.
    pub fn journal(&self) -> Vec<Entry> {
        self.world
            .journal
            .lock()
            .expect("no holder of the journal panics")
            .clone()
    }

    /// Begins a new journal.
    pub fn clear_journal(&self) {
        self.world
            .journal
            .lock()
            .expect("no holder of the journal panics")
            .clear();
    }

    /// How many calls of `method` the journal has on paths that `pattern` covers.
    pub fn calls(&self, method: &str, pattern: &str) -> usize {
        self.journal()
            .iter()
            .filter(|entry| entry.is(method, pattern))
            .count()
    }

    /// All VMs by id.
    pub fn vms(&self) -> Vec<VmSummary> {
        let state = self.world.state();
        let summary = |vm: &Vm| VmSummary {
            vmid: vm.vmid,
            node: vm.node.clone(),
            name: vm.name(),
            running: vm.running.is_some(),
        };
        state.vms.values().map(summary).collect()
    }

    /// The ids of all volumes.
    pub fn volumes(&self) -> Vec<String> {
        self.world
            .state()
            .volumes
            .keys()
            .map(|(_, id)| id.clone())
            .collect()
    }

    /// The bytes of an uploaded or downloaded file; of a big one only the beginning.
    pub fn volume_data(&self, id: &str) -> Option<Vec<u8>> {
        let state = self.world.state();
        let found = state.volumes.iter().find(|((_, known), _)| known == id);
        found.map(|(_, volume)| volume.data.to_vec())
    }

    /// Puts a file on a storage, as if it had been uploaded. `id` is `local:import/x.qcow2`.
    pub fn put_file(&self, node: &str, id: &str, data: Vec<u8>) {
        let (kind, name) = id
            .split_once(':')
            .and_then(|(_, rest)| rest.split_once('/'))
            .expect("a volume id");
        let content = super::storage::download::content_type(kind);
        let volume = Volume::file(content, name, data.len() as u64, data.into());
        self.world.state().put_volume(node, id, volume);
    }

    /// Puts a template into the catalogue of all nodes.
    pub fn put_appliance(&self, appliance: Appliance) {
        self.world.state().appliances.push(appliance);
    }

    /// Takes a file off a storage.
    pub fn remove_file(&self, node: &str, id: &str) {
        let mut state = self.world.state();
        let place = state.place(node, id);
        state.volumes.remove(&place);
    }

    /// Maps a device or directory of nodes, `lines` in the notation of the API, under a name of the cluster.
    pub fn put_mapping(&self, kind: &str, id: &str, lines: &[&str]) {
        self.world.state().put_mapping(kind, id, lines);
    }

    /// Makes a resource pool.
    pub fn put_pool(&self, id: &str) {
        let pool = super::world::Pool {
            comment: None,
            guests: Vec::new(),
        };
        self.world.state().pools.insert(id.to_owned(), pool);
    }

    /// The guests of a resource pool.
    pub fn pool(&self, id: &str) -> Vec<u32> {
        let state = self.world.state();
        state
            .pools
            .get(id)
            .map_or_else(Vec::new, |pool| pool.guests.clone())
    }

    /// All tasks: UPID and exit status, which is `None` while it runs.
    pub fn tasks(&self) -> Vec<(String, Option<String>)> {
        let state = self.world.state();
        state
            .tasks
            .iter()
            .map(|task| (task.upid.clone(), task.exit.clone()))
            .collect()
    }

    /// Waits for the end of a task and tells its exit status.
    pub async fn task_end(&self, upid: &str) -> String {
        self.world.task_end(upid).await
    }

    /// The configuration of a guest as it is stored, without what is pending.
    pub fn config(&self, vmid: u32) -> Option<BTreeMap<String, String>> {
        let state = self.world.state();
        let of_vm = state.vms.get(&vmid).map(|vm| vm.config.clone());
        of_vm.or_else(|| state.cts.get(&vmid).map(|ct| ct.config.clone()))
    }

    /// Sets a key of a guest, or removes it.
    pub fn set_config(&self, vmid: u32, key: &str, value: Option<&str>) {
        let mut state = self.world.state();
        let state = &mut *state;
        let of_vm = state.vms.get_mut(&vmid).map(|vm| &mut vm.config);
        let of_ct = state.cts.get_mut(&vmid).map(|ct| &mut ct.config);
        for config in of_vm.into_iter().chain(of_ct) {
            match value {
                Some(value) => config.insert(key.to_owned(), value.to_owned()),
                None => config.remove(key),
            };
        }
    }

    /// Puts a guest under HA, which keeps it in that state from its next request on.
    pub fn put_under_ha(&self, sid: &str, state: &str) {
        let resource = [("state".to_owned(), state.to_owned())].into();
        self.world.state().ha.insert(sid.to_owned(), resource);
    }

    /// What HA is to do with a guest.
    pub fn ha_state(&self, sid: &str) -> Option<String> {
        let state = self.world.state();
        state.ha.get(sid)?.get("state").cloned()
    }

    /// Locks a guest, or unlocks it.
    pub fn set_lock(&self, vmid: u32, lock: Option<&str>) {
        self.set_config(vmid, "lock", lock);
    }

    /// Moves a guest to another node, with its volumes.
    pub fn move_vm(&self, vmid: u32, node: &str) {
        self.world.state().move_guest(vmid, node);
    }

    /// The machine of a VM that runs.
    pub fn machine(&self, vmid: u32) -> Option<Arc<dyn Machine>> {
        self.with_vm(vmid, |vm| {
            vm.running
                .as_ref()
                .map(|running| Arc::clone(&running.machine))
        })?
    }

    /// Cuts the power of a guest.
    pub async fn stop_vm(&self, vmid: u32) {
        let machine = self.with_vm(vmid, |vm| vm.running.take());
        if let Some(Some(running)) = machine {
            running.machine.kill().await;
        }
        let container = {
            let mut state = self.world.state();
            let ct = state.cts.get_mut(&vmid);
            ct.and_then(|ct| ct.running.take())
        };
        if let Some(running) = container {
            running.container.kill().await;
        }
    }

    /// Destroys a guest with its volumes, running or not.
    pub async fn delete_vm(&self, vmid: u32) {
        self.stop_vm(vmid).await;
        {
            let mut state = self.world.state();
            let vm = state.vms.remove(&vmid).is_some();
            if state.cts.remove(&vmid).is_none() && !vm {
                // What lies about under a free id is nobody's.
                return;
            }
            state.volumes.retain(|_, volume| volume.owner != Some(vmid));
            state.forget_guest(vmid);
        }
        self.world.hypervisor.discard(vmid).await;
    }

    /// Takes a node off the cluster, or brings it back. Panics if it is unknown.
    pub fn set_online(&self, node: &str, online: bool) {
        let done = self.world.state().set_online(node, online);
        done.expect("the node is known");
    }

    /// The state as text, which [`Options::saved`](super::Options::saved) takes.
    pub fn save(&self) -> String {
        saved::write(&self.world).expect("the state has a form in JSON")
    }

    /// Cuts the power of everything that runs.
    pub async fn stop_all(&self) {
        let ids: Vec<u32> = {
            let state = self.world.state();
            let ids = state.vms.keys().chain(state.cts.keys());
            ids.copied().collect()
        };
        for id in ids {
            self.stop_vm(id).await;
        }
    }

    fn with_vm<T>(&self, vmid: u32, change: impl FnOnce(&mut Vm) -> T) -> Option<T> {
        self.world.state().vms.get_mut(&vmid).map(change)
    }
}
