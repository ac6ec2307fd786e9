//! Which commands an agent still knows, if it was started anew on order.

use crate::simulator::world::World;

/// The commands of an agent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pids {
    /// The last one that was started.
    pub(crate) last: i64,
    /// The last one that the agent does not know any more, since it was started anew.
    pub(crate) forgotten: i64,
}

impl World {
    /// Looks at the commands of a VM, if it runs.
    pub(crate) fn with_pids<T: Default>(&self, vmid: u32, then: impl FnOnce(&mut Pids) -> T) -> T {
        let mut state = self.state();
        let running = state.vms.get_mut(&vmid).and_then(|vm| vm.running.as_mut());
        running
            .map(|running| then(&mut running.pids))
            .unwrap_or_default()
    }
}
