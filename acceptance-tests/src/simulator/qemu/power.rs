//! Power: start, stop, shutdown, reboot, reset, suspend, resume.
//!
//! The guest itself is the hypervisor's; here is who may ask, in which order, and what waits for what.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{OnEnd, Vm, spec, start};
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::ha;
use crate::simulator::machine::Machine;
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::tasks::{Task, Worker};
use crate::simulator::world::{LOCK_PATIENCE, World};

const POWER: Allow = Allow::All("/vms/{vmid}", &["VM.PowerMgmt"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/status/start",
        allow: POWER,
        rules: "+vm; force-cpu? string; machine? string {machine}; migratedfrom? string pve-node
            migration_network? string; migration_type? string enum=secure|insecure
            nets-host-mtu? string pattern=net\\d+=\\d+(,net\\d+=\\d+)*; skiplock? boolean; stateuri? string len=..128
            targetstorage? string; timeout? integer min=0; with-conntrack-state? boolean",
        handler: now!(post_start),
    },
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/status/stop",
        allow: POWER,
        rules: "+vm; keepActive? boolean; migratedfrom? string pve-node; overrule-shutdown? boolean
            skiplock? boolean; timeout? integer min=0",
        handler: now!(post_stop),
    },
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/status/shutdown",
        allow: POWER,
        rules: "+vm; forceStop? boolean; keepActive? boolean; skiplock? boolean; timeout? integer min=0",
        handler: now!(post_shutdown),
    },
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/status/reboot",
        allow: POWER,
        rules: "+vm; timeout? integer min=0",
        handler: now!(post_reboot),
    },
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/status/reset",
        allow: POWER,
        rules: "+vm; skiplock? boolean",
        handler: now!(post_reset),
    },
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/status/suspend",
        allow: POWER,
        rules: "+vm; skiplock? boolean; statestorage? string pve-storage-id requires=todisk; todisk? boolean",
        handler: now!(post_suspend),
    },
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/status/resume",
        allow: POWER,
        rules: "+vm; nocheck? boolean; skiplock? boolean",
        handler: now!(post_resume),
    },
];

/// Options that only `root@pam` itself may use.
pub(crate) fn only_root(call: &Call, options: &[&str]) -> Result<(), Fail> {
    let given = |option: &&&str| !matches!(call.params.text_opt(option), None | Some("" | "0"));
    match options.iter().find(given).filter(|_| !call.who.is_root()) {
        Some(option) => Err(Fail::param(option, "Only root may use this option.")),
        None => Ok(()),
    }
}

/// Refuses if the VM is missing or does not run.
fn need_running(call: &Call) -> Result<(), Fail> {
    let (node, vmid) = (call.node(), call.params.vmid());
    let state = call.world.state();
    let vm = state
        .vm(node, vmid)
        .map_err(|_| Fail::died(not_found(vmid, node)))?;
    if vm.running.is_none() {
        return Err(Fail::died(format!("VM {vmid} not running")));
    }
    Ok(())
}

fn not_found(vmid: u32, node: &str) -> String {
    format!("unable to find configuration file for VM {vmid} on node '{node}'")
}

fn post_start(call: &Call) -> Outcome {
    only_root(
        call,
        &[
            "skiplock",
            "stateuri",
            "migratedfrom",
            "migration_type",
            "migration_network",
            "targetstorage",
            "force-cpu",
        ],
    )?;
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    if let Some(reply) = ha::request(call, "vm", "started") {
        return Ok(reply);
    }
    Ok(call.start_task("qmstart", &vmid.to_string(), |worker| {
        start::run(worker, node, vmid)
    }))
}

/// The machine of the VM, if it runs.
fn machine(world: &World, node: &str, vmid: u32) -> Result<Option<Arc<dyn Machine>>, String> {
    let state = world.state();
    let vm = state.vm(node, vmid).map_err(|_| not_found(vmid, node))?;
    Ok(vm
        .running
        .as_ref()
        .map(|running| Arc::clone(&running.machine)))
}

/// Waits until the VM is seen as stopped.
async fn until_off(world: &World, vmid: u32, machine: &Arc<dyn Machine>) {
    machine.ended().await;
    loop {
        let still = {
            let state = world.state();
            let running = state.vms.get(&vmid).and_then(|vm| vm.running.as_ref());
            running.is_some_and(|running| Arc::ptr_eq(&running.machine, machine))
        };
        if !still {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn lock(worker: &Worker, vmid: u32) -> Result<tokio::sync::OwnedMutexGuard<()>, String> {
    if let Ok(lock) = worker
        .world
        .lock_guest(vmid, Duration::from_millis(50))
        .await
    {
        return Ok(lock);
    }
    worker.log("trying to acquire lock...");
    worker
        .world
        .lock_guest(vmid, LOCK_PATIENCE)
        .await
        .map_err(|fail| fail.text())
}

fn post_stop(call: &Call) -> Outcome {
    only_root(call, &["skiplock", "keepActive", "migratedfrom"])?;
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    if let Some(reply) = ha::request(call, "vm", "stopped") {
        return Ok(reply);
    }
    if call.params.is_set("overrule-shutdown") {
        let id = vmid.to_string();
        let mut state = call.world.state();
        let shutdowns = state
            .tasks
            .iter_mut()
            .filter(|t| t.kind == "qmshutdown" && t.id == id);
        shutdowns
            .filter(|task| task.belongs_to(&call.who.id))
            .for_each(Task::interrupt);
    }
    let skip = call.params.is_set("skiplock");
    Ok(
        call.start_task("qmstop", &vmid.to_string(), |worker| async move {
            let _lock = lock(&worker, vmid).await?;
            if machine(&worker.world, &node, vmid)?.is_none() {
                return Ok(());
            }
            unlocked(&worker.world, &node, vmid, skip)?;
            worker.takes(Duration::from_secs(1)).await?;
            // A guest that reboots meanwhile comes back with another machine.
            while let Some(machine) = machine(&worker.world, &node, vmid)? {
                machine.kill().await;
                until_off(&worker.world, vmid, &machine).await;
            }
            Ok(())
        }),
    )
}

fn unlocked(world: &World, node: &str, vmid: u32, skip: bool) -> Result<(), String> {
    let state = world.state();
    let checked = state.vm(node, vmid).and_then(Vm::check_lock);
    if skip {
        Ok(())
    } else {
        checked.map_err(|fail| fail.text())
    }
}

/// Asks the guest to go down, by its agent if that answers.
async fn ask(worker: &Worker, node: &str, vmid: u32, machine: &Arc<dyn Machine>) {
    let has_agent = {
        let state = worker.world.state();
        let vm = state.vm(node, vmid).ok();
        vm.is_some_and(|vm| {
            spec::agent(vm) == Some(true) && vm.running.as_ref().is_some_and(|r| r.agent)
        })
    };
    if has_agent {
        let patience = Duration::from_secs(3);
        let ping = machine.agent(json!({"execute": "guest-ping"}));
        if matches!(
            worker.world.clock.timeout(patience, ping).await,
            Some(Ok(_))
        ) {
            let shutdown = machine
                .agent(json!({"execute": "guest-shutdown", "arguments": {"mode": "powerdown"}}));
            // The agent does not answer this one: the guest goes down under it.
            worker.world.clock.timeout(patience, shutdown).await;
            return;
        }
        worker.log(format!(
            "QEMU Guest Agent is not running - VM {vmid} qga command 'guest-ping' failed - got timeout"
        ));
    }
    machine.powerdown().await;
}

fn patience(call: &Call) -> Duration {
    Duration::from_secs(
        call.params
            .number_opt("timeout")
            .and_then(|n| u64::try_from(n).ok())
            .unwrap_or(60),
    )
}

fn post_shutdown(call: &Call) -> Outcome {
    only_root(call, &["skiplock", "keepActive"])?;
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    let paused = call
        .world
        .state()
        .vm(&node, vmid)
        .is_ok_and(|vm| vm.running.as_ref().is_some_and(|running| running.paused));
    if paused && !call.params.is_set("forceStop") {
        return Err(Fail::died("VM is paused - cannot shutdown"));
    }
    if let Some(reply) = ha::request(call, "vm", "stopped") {
        return Ok(reply);
    }
    let (patience, force) = (patience(call), call.params.is_set("forceStop"));
    let skip = call.params.is_set("skiplock");
    Ok(
        call.start_task("qmshutdown", &vmid.to_string(), |worker| async move {
            let _lock = lock(&worker, vmid).await?;
            let Some(machine) = machine(&worker.world, &node, vmid)? else {
                return Ok(());
            };
            unlocked(&worker.world, &node, vmid, skip)?;
            worker.takes(Duration::from_secs(1)).await?;
            let down = async {
                ask(&worker, &node, vmid, &machine).await;
                until_off(&worker.world, vmid, &machine).await;
            };
            if worker.world.clock.timeout(patience, down).await.is_some() {
                return Ok(());
            }
            if !force {
                return Err("VM quit/powerdown failed - got timeout".to_owned());
            }
            worker.log("VM still running - terminating now with SIGTERM");
            machine.kill().await;
            until_off(&worker.world, vmid, &machine).await;
            Ok(())
        }),
    )
}

fn post_reboot(call: &Call) -> Outcome {
    need_running(call)?;
    let (node, vmid, patience) = (call.node().to_owned(), call.params.vmid(), patience(call));
    Ok(
        call.start_task("qmreboot", &vmid.to_string(), |worker| async move {
            let _lock = lock(&worker, vmid).await?;
            let Some(machine) = machine(&worker.world, &node, vmid)? else {
                return Err(format!("VM {vmid} not running"));
            };
            unlocked(&worker.world, &node, vmid, false)?;
            worker.takes(Duration::from_secs(1)).await?;
            let mark = |on_end: OnEnd| {
                let mut state = worker.world.state();
                if let Some(running) = state.vms.get_mut(&vmid).and_then(|vm| vm.running.as_mut()) {
                    running.on_end = on_end;
                }
            };
            mark(OnEnd::Restart);
            let down = async {
                ask(&worker, &node, vmid, &machine).await;
                until_off(&worker.world, vmid, &machine).await;
            };
            if worker.world.clock.timeout(patience, down).await.is_none() {
                mark(OnEnd::Off);
                return Err("VM quit/powerdown failed - got timeout".to_owned());
            }
            Ok(())
        }),
    )
}

fn post_reset(call: &Call) -> Outcome {
    only_root(call, &["skiplock"])?;
    need_running(call)?;
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    Ok(
        call.start_task("qmreset", &vmid.to_string(), |worker| async move {
            let _lock = lock(&worker, vmid).await?;
            let Some(machine) = machine(&worker.world, &node, vmid)? else {
                return Err(format!("VM {vmid} not running"));
            };
            worker.takes(Duration::from_millis(500)).await?;
            if let Some(running) = worker
                .world
                .state()
                .vms
                .get_mut(&vmid)
                .and_then(|vm| vm.running.as_mut())
            {
                running.on_end = OnEnd::Reset;
            }
            machine.kill().await;
            until_off(&worker.world, vmid, &machine).await;
            Ok(())
        }),
    )
}

fn pause(call: &Call, kind: &'static str, paused: bool) -> Outcome {
    only_root(call, &["skiplock", "nocheck"])?;
    need_running(call)?;
    let vmid = call.params.vmid();
    Ok(
        call.start_task(kind, &vmid.to_string(), |worker| async move {
            worker.takes(Duration::from_millis(500)).await?;
            if let Some(running) = worker
                .world
                .state()
                .vms
                .get_mut(&vmid)
                .and_then(|vm| vm.running.as_mut())
            {
                running.paused = paused;
            }
            Ok(())
        }),
    )
}

fn post_suspend(call: &Call) -> Outcome {
    if call.params.is_set("todisk") {
        return Err(Fail::died("the simulator does not suspend to disk"));
    }
    pause(call, "qmpause", true)
}

fn post_resume(call: &Call) -> Outcome {
    pause(call, "qmresume", false)
}
