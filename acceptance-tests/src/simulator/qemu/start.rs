//! Powering a VM on, and noticing when it has ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Running, hotplug, spec};
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
    power_on(&world, &node, vmid).await
}

/// Applies what is pending and powers the VM on.
async fn power_on(world: &Arc<World>, node: &str, vmid: u32) -> Result<(), String> {
    let spec = {
        let mut state = world.state();
        hotplug::apply_all(&mut state, vmid);
        let vm = state.vm(node, vmid).map_err(|fail| fail.text())?;
        spec::spec(&state, vm).map_err(|fail| fail.text())?
    };
    let agent = spec.agent;
    let machine = world.hypervisor.start(spec).await?;
    let mut state = world.state();
    state.last_pid += 1;
    let pid = state.last_pid;
    let Some(vm) = state.vms.get_mut(&vmid) else {
        return Ok(());
    };
    vm.config.remove("lock");
    vm.switched = Instant::now();
    vm.running = Some(Running {
        machine: Arc::clone(&machine),
        pid,
        begun: Instant::now(),
        agent,
        paused: false,
        reboot: false,
    });
    drop(state);
    tokio::spawn(watch(Arc::clone(world), node.to_owned(), vmid, machine));
    Ok(())
}

/// Notes the end of a machine; one that asked for a reboot is powered on again.
fn watch(
    world: Arc<World>,
    node: String,
    vmid: u32,
    machine: Arc<dyn Machine>,
) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let exit = machine.ended().await;
        let again = {
            let mut state = world.state();
            let Some(vm) = state.vms.get_mut(&vmid) else {
                return;
            };
            let ended = vm
                .running
                .take_if(|running| Arc::ptr_eq(&running.machine, &machine));
            let Some(running) = ended else { return };
            vm.switched = Instant::now();
            running.reboot || exit == Exit::Reboot
        };
        if again {
            // Nobody waits for this start: its failure only shows in a VM that does not run.
            power_on(&world, &node, vmid).await.ok();
        }
    })
}
