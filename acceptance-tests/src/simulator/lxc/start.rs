//! Starting a container, and noticing when it has ended.
//!
//! What asks it to end stands in `power`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Running, apply, spec};
use crate::simulator::container::Container;
use crate::simulator::machine::{BoxFuture, Exit};
use crate::simulator::reply::Fail;
use crate::simulator::tasks::Worker;
use crate::simulator::world::World;

/// The work of a start task.
pub(crate) async fn run(
    worker: Worker,
    node: String,
    vmid: u32,
    skip_lock: bool,
) -> Result<(), String> {
    let world = Arc::clone(&worker.world);
    let text = |fail: Fail| fail.text();
    let _lock = world.lock_ct(vmid).await.map_err(text)?;
    {
        let state = world.state();
        let ct = state.ct(&node, vmid).map_err(text)?;
        let mounted = ct.config.get("lock").is_some_and(|lock| lock == "mounted");
        if !skip_lock && !mounted {
            ct.check_lock().map_err(text)?;
        }
        if ct.is("template") {
            return Err("You can't start a CT if it's a template".to_owned());
        }
        if ct.running.is_some() {
            return Err(format!("CT {vmid} already running"));
        }
    }
    worker.takes(Duration::from_secs(1)).await?;
    start(&world, &node, vmid).await
}

/// Starts the container with what is pending.
async fn start(world: &Arc<World>, node: &str, vmid: u32) -> Result<(), String> {
    let spec = {
        let mut state = world.state();
        apply::apply_all(&mut state, vmid);
        let ct = state.ct(node, vmid).map_err(|fail| fail.text())?;
        spec::spec(&state, ct).map_err(|fail| fail.text())?
    };
    let container = world.hypervisor.start_container(spec).await?;
    let taken = {
        let mut state = world.state();
        state.last_pid += 1;
        let pid = state.last_pid;
        state.cts.get_mut(&vmid).map(|ct| {
            ct.switched = Instant::now();
            ct.config.remove("lock");
            ct.running = Some(Running {
                container: Arc::clone(&container),
                pid,
                begun: Instant::now(),
                restart: false,
            });
        })
    };
    match taken {
        Some(()) => {
            let watch = watch(Arc::clone(world), node.to_owned(), vmid, container);
            tokio::spawn(watch);
        }
        // The container was deleted while it started.
        None => container.kill().await,
    }
    Ok(())
}

/// Notes the end of a container, and starts the next where one has to follow.
fn watch(
    world: Arc<World>,
    node: String,
    vmid: u32,
    container: Arc<dyn Container>,
) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let exit = container.ended().await;
        let restart = {
            let mut state = world.state();
            let Some(ct) = state.cts.get_mut(&vmid) else {
                return;
            };
            let own = ct.running.as_ref();
            let own = own.filter(|running| Arc::ptr_eq(&running.container, &container));
            let Some(running) = own else { return };
            let restart = running.restart || exit == Exit::Reboot;
            ct.running = None;
            ct.switched = Instant::now();
            restart
        };
        if restart && let Err(why) = start(&world, &node, vmid).await {
            // Nobody waits for this start.
            eprintln!("CT {vmid} does not come back: {why}");
        }
    })
}
