//! Powering a VM on, and noticing when it has ended.
//!
//! What asks it to end stands in `power`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pids::Pids;
use super::{OnEnd, Running, hotplug, spec};
use crate::simulator::machine::{BoxFuture, Exit, Machine};
use crate::simulator::reply::Fail;
use crate::simulator::tasks::Worker;
use crate::simulator::world::{LOCK_PATIENCE, World};

/// The work of a start task.
pub(crate) async fn run(worker: Worker, node: String, vmid: u32) -> Result<(), String> {
    let world = Arc::clone(&worker.world);
    let text = |fail: Fail| fail.text();
    let _lock = world.lock_guest(vmid, LOCK_PATIENCE).await.map_err(text)?;
    {
        let state = world.state();
        let vm = state.vm(&node, vmid).map_err(text)?;
        if vm.is_template() {
            return Err("you can't start a vm if it's a template".to_owned());
        }
        if vm.config.get("lock").is_none_or(|lock| lock != "suspended") {
            vm.check_lock().map_err(text)?;
        }
        if vm.running.is_some() {
            return Err(format!("VM {vmid} already running"));
        }
    }
    worker.takes(Duration::from_secs(1)).await?;
    power_on(&world, &node, vmid, true).await
}

/// Powers the VM on, as it is or with what is pending.
async fn power_on(world: &Arc<World>, node: &str, vmid: u32, pending: bool) -> Result<(), String> {
    let spec = {
        let mut state = world.state();
        if pending {
            hotplug::apply_all(&mut state, vmid);
        }
        let vm = state.vm(node, vmid).map_err(|fail| fail.text())?;
        spec::spec(&state, vm).map_err(|fail| fail.text())?
    };
    let agent = spec.agent;
    let machine = world.hypervisor.start(spec).await?;
    let taken = {
        let mut state = world.state();
        state.last_pid += 1;
        let new = (state.last_pid, Instant::now());
        state.vms.get_mut(&vmid).map(|vm| {
            let (pid, begun) = match &vm.running {
                Some(running) => (running.pid, running.begun),
                None => new,
            };
            vm.config.remove("lock");
            vm.switched = Instant::now();
            let machine = Arc::clone(&machine);
            let on_end = OnEnd::Off;
            vm.running = Some(Running {
                machine,
                pid,
                begun,
                agent,
                paused: false,
                on_end,
                pids: Pids::default(),
            });
        })
    };
    match taken {
        Some(()) => {
            tokio::spawn(watch(Arc::clone(world), node.to_owned(), vmid, machine));
        }
        // The VM was deleted while it started.
        None => machine.kill().await,
    }
    Ok(())
}

/// Notes the end of a machine, and starts the next where one has to follow.
fn watch(
    world: Arc<World>,
    node: String,
    vmid: u32,
    machine: Arc<dyn Machine>,
) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let exit = machine.ended().await;
        let next = {
            let mut state = world.state();
            let Some(vm) = state.vms.get_mut(&vmid) else {
                return;
            };
            let own = vm
                .running
                .as_ref()
                .filter(|running| Arc::ptr_eq(&running.machine, &machine));
            let Some(running) = own else { return };
            let next = match running.on_end {
                OnEnd::Off if exit == Exit::Reboot => OnEnd::Reset,
                other => other,
            };
            if next != OnEnd::Reset {
                vm.running = None;
                vm.switched = Instant::now();
            }
            next
        };
        if next == OnEnd::Off {
            return;
        }
        if power_on(&world, &node, vmid, next == OnEnd::Restart)
            .await
            .is_err()
        {
            // Nobody waits for this start: its failure only shows in a VM that does not run.
            if let Some(vm) = world.state().vms.get_mut(&vmid) {
                vm.running = None;
            }
        }
    })
}
