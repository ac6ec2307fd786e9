//! Power: start, stop, shutdown, reboot, suspend, resume.
//!
//! What cannot be done to a container in its state is refused at once, without a task.

use std::sync::Arc;
use std::time::Duration;

use super::{Ct, start};
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::container::Container;
use crate::simulator::ha;
use crate::simulator::qemu::power::only_root;
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::tasks::{Task, Worker};
use crate::simulator::world::World;

const POWER: Allow = Allow::All("/vms/{vmid}", &["VM.PowerMgmt"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "POST /nodes/{node}/lxc/{vmid}/status/start",
        allow: POWER,
        rules: "+ct; debug? boolean; skiplock? boolean",
        handler: now!(post_start),
    },
    Route {
        call: "POST /nodes/{node}/lxc/{vmid}/status/stop",
        allow: POWER,
        rules: "+ct; overrule-shutdown? boolean; skiplock? boolean",
        handler: now!(post_stop),
    },
    Route {
        call: "POST /nodes/{node}/lxc/{vmid}/status/shutdown",
        allow: POWER,
        rules: "+ct; forceStop? boolean; timeout? integer min=0",
        handler: now!(post_shutdown),
    },
    Route {
        call: "POST /nodes/{node}/lxc/{vmid}/status/reboot",
        allow: POWER,
        rules: "+ct; timeout? integer min=0",
        handler: now!(post_reboot),
    },
    Route {
        call: "POST /nodes/{node}/lxc/{vmid}/status/suspend",
        allow: POWER,
        rules: "+ct",
        handler: now!(post_suspend),
    },
    Route {
        call: "POST /nodes/{node}/lxc/{vmid}/status/resume",
        allow: POWER,
        rules: "+ct",
        handler: now!(post_resume),
    },
];

/// The sender's container, if it runs; the refusal if it does not.
fn need_running(call: &Call) -> Result<(String, u32), Fail> {
    let (node, vmid) = (call.node(), call.params.vmid());
    match call.world.state().ct(node, vmid)?.running {
        Some(_) => Ok((node.to_owned(), vmid)),
        None => Err(Fail::died(format!("CT {vmid} not running"))),
    }
}

fn post_start(call: &Call) -> Outcome {
    only_root(call, &["skiplock"])?;
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    if call.world.state().ct(&node, vmid)?.running.is_some() {
        return Err(Fail::died(format!("CT {vmid} already running")));
    }
    if let Some(reply) = ha::request(call, "ct", "started") {
        return Ok(reply);
    }
    let skip = call.params.is_set("skiplock");
    Ok(call.start_task("vzstart", &vmid.to_string(), |worker| {
        start::run(worker, node, vmid, skip)
    }))
}

/// The container, if it runs and nothing has locked it.
fn running(
    world: &World,
    node: &str,
    vmid: u32,
    skip_lock: bool,
) -> Result<Arc<dyn Container>, String> {
    let state = world.state();
    let ct = state.ct(node, vmid).map_err(|fail| fail.text())?;
    let mounted = ct.config.get("lock").is_some_and(|lock| lock == "mounted");
    if !skip_lock && !mounted {
        ct.check_lock().map_err(|fail| fail.text())?;
    }
    let container = ct.running.as_ref().map(|running| running.container.clone());
    container.ok_or_else(|| format!("CT {vmid} not running"))
}

/// Waits until the container is seen as stopped.
async fn until_off(world: &World, vmid: u32, container: &Arc<dyn Container>) {
    container.ended().await;
    let is_it = |ct: &Ct| {
        let running = ct.running.as_ref();
        running.is_some_and(|running| Arc::ptr_eq(&running.container, container))
    };
    while world.state().cts.get(&vmid).is_some_and(is_it) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn post_stop(call: &Call) -> Outcome {
    only_root(call, &["skiplock"])?;
    let (node, vmid) = need_running(call)?;
    if let Some(reply) = ha::request(call, "ct", "stopped") {
        return Ok(reply);
    }
    if call.params.is_set("overrule-shutdown") {
        let id = vmid.to_string();
        let mut state = call.world.state();
        let tasks = state.tasks.iter_mut();
        tasks
            .filter(|task| task.kind == "vzshutdown" && task.id == id)
            .filter(|task| task.belongs_to(&call.who.id))
            .for_each(Task::interrupt);
    }
    let skip = call.params.is_set("skiplock");
    Ok(
        call.start_task("vzstop", &vmid.to_string(), |worker| async move {
            let _lock = worker
                .world
                .lock_ct(vmid)
                .await
                .map_err(|fail| fail.text())?;
            let container = running(&worker.world, &node, vmid, skip)?;
            worker.takes(Duration::from_secs(1)).await?;
            container.kill().await;
            until_off(&worker.world, vmid, &container).await;
            Ok(())
        }),
    )
}

/// Asks the container to end and waits so long; whether it has.
async fn shut_down(worker: &Worker, vmid: u32, container: &Arc<dyn Container>, s: u64) -> bool {
    let down = async {
        container.shutdown().await;
        until_off(&worker.world, vmid, container).await;
    };
    tokio::time::timeout(Duration::from_secs(s), down)
        .await
        .is_ok()
}

fn seconds(call: &Call) -> u64 {
    let given = call.params.number_opt("timeout");
    given.and_then(|n| u64::try_from(n).ok()).unwrap_or(60)
}

fn post_shutdown(call: &Call) -> Outcome {
    let (node, vmid) = need_running(call)?;
    if let Some(reply) = ha::request(call, "ct", "stopped") {
        return Ok(reply);
    }
    let (patience, force) = (seconds(call), call.params.is_set("forceStop"));
    Ok(
        call.start_task("vzshutdown", &vmid.to_string(), |worker| async move {
            let _lock = worker
                .world
                .lock_ct(vmid)
                .await
                .map_err(|fail| fail.text())?;
            let container = running(&worker.world, &node, vmid, false)?;
            worker.takes(Duration::from_secs(1)).await?;
            if !shut_down(&worker, vmid, &container, patience).await {
                if !force {
                    return Err("container did not stop".to_owned());
                }
                container.kill().await;
                until_off(&worker.world, vmid, &container).await;
            }
            Ok(())
        }),
    )
}

fn post_reboot(call: &Call) -> Outcome {
    let (node, vmid) = need_running(call)?;
    let patience = seconds(call);
    Ok(
        call.start_task("vzreboot", &vmid.to_string(), |worker| async move {
            let lock = worker
                .world
                .lock_ct(vmid)
                .await
                .map_err(|fail| fail.text())?;
            let container = running(&worker.world, &node, vmid, false)?;
            worker.takes(Duration::from_secs(1)).await?;
            let mark = |restart: bool| {
                let mut state = worker.world.state();
                if let Some(running) = state.cts.get_mut(&vmid).and_then(|ct| ct.running.as_mut()) {
                    running.restart = restart;
                }
            };
            mark(true);
            if !shut_down(&worker, vmid, &container, patience).await {
                mark(false);
                return Err("container did not stop".to_owned());
            }
            drop(lock);
            // Unlike that of a VM, this task ends when the container is back.
            let came_back = async {
                while running(&worker.world, &node, vmid, false).is_err() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let patience = Duration::from_secs(30);
            let back = tokio::time::timeout(patience, came_back).await;
            back.map_err(|_| format!("CT {vmid} did not start again"))
        }),
    )
}

fn post_suspend(call: &Call) -> Outcome {
    let (_, vmid) = need_running(call)?;
    Ok(
        call.start_task("vzsuspend", &vmid.to_string(), |worker| async move {
            worker.takes(Duration::from_millis(500)).await?;
            // Needs criu, which nodes do not have.
            Err("Checkpoint failed".to_owned())
        }),
    )
}

fn post_resume(call: &Call) -> Outcome {
    let (node, vmid) = (call.node(), call.params.vmid());
    if call.world.state().ct(node, vmid)?.running.is_some() {
        return Err(Fail::died(format!("CT {vmid} already running")));
    }
    Ok(
        call.start_task("vzresume", &vmid.to_string(), |worker| async move {
            worker.takes(Duration::from_millis(500)).await?;
            Err("Restore failed".to_owned())
        }),
    )
}
