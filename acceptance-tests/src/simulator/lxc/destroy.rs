//! Destroying a container with what belongs to it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Ct, volumes};
use crate::simulator::backup;
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::qemu::Pending;
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::tasks::Worker;
use crate::simulator::world::State;

pub(crate) const ROUTES: &[Route] = &[Route {
    call: "DELETE /nodes/{node}/lxc/{vmid}",
    allow: Allow::All("/vms/{vmid}", &["VM.Allocate"]),
    rules: "+ct; destroy-unreferenced-disks? boolean; force? boolean; purge? boolean",
    handler: now!(destroy),
}];

/// What the sender wants beside the destruction.
#[derive(Clone, Copy)]
struct Wishes {
    purge: bool,
    force: bool,
    unreferenced: bool,
}

fn refuse(state: &State, ct: &Ct, wishes: Wishes) -> Result<(), Fail> {
    let vmid = ct.vmid;
    ct.check_protection(&format!("can't remove CT {vmid}"))?;
    ct.check_lock()?;
    if !wishes.purge && state.ha.contains_key(&format!("ct:{vmid}")) {
        return Err(Fail::died(format!(
            "unable to remove CT {vmid} - used in HA resources and purge parameter not set."
        )));
    }
    if ct.running.is_some() && !wishes.force {
        return Err(Fail::died(format!(
            "unable to destroy CT {vmid} - container is running"
        )));
    }
    Ok(())
}

fn destroy(call: &Call) -> Outcome {
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    let wishes = Wishes {
        purge: call.params.is_set("purge"),
        force: call.params.is_set("force"),
        unreferenced: call.params.is_set("destroy-unreferenced-disks"),
    };
    {
        let state = call.world.state();
        refuse(&state, state.ct(&node, vmid)?, wishes)?;
    }
    Ok(
        call.start_task("vzdestroy", &vmid.to_string(), |worker| async move {
            let result = run(&worker, &node, vmid, wishes).await;
            result.map_err(|fail| fail.text())
        }),
    )
}

async fn run(worker: &Worker, node: &str, vmid: u32, wishes: Wishes) -> Result<(), Fail> {
    let world = &worker.world;
    let _lock = world.lock_ct(vmid).await?;
    let container = {
        let state = world.state();
        let ct = state.ct(node, vmid)?;
        refuse(&state, ct, wishes)?;
        let running = ct.running.as_ref();
        running.map(|running| running.container.clone())
    };
    worker
        .takes(Duration::from_secs(1))
        .await
        .map_err(Fail::died)?;
    if let Some(container) = container {
        worker.log(format!("forced to stop CT {vmid} before destroying!"));
        container.kill().await;
    }
    {
        let mut state = world.state();
        for id in own_volumes(&state, state.ct(node, vmid)?, wishes.unreferenced) {
            state.free_volume(node, &id).map_err(Fail::died)?;
        }
        state.cts.remove(&vmid);
        state.forget_guest(vmid);
    }
    if wishes.purge {
        worker.log(format!("purging CT {vmid} from related configurations.."));
        let was_managed = {
            let mut state = world.state();
            backup::forget_guest(&mut state, vmid);
            state.ha.remove(&format!("ct:{vmid}")).is_some()
        };
        if was_managed {
            worker.log(format!(
                "NOTE: removed CT {vmid} from HA resource configuration."
            ));
        }
    }
    world.hypervisor.discard(vmid).await;
    Ok(())
}

/// The volumes that go with the container: those that it names and owns, or all that it owns.
fn own_volumes(state: &State, ct: &Ct, all: bool) -> BTreeSet<String> {
    let pending = ct.pending.iter().filter_map(|(key, change)| match change {
        Pending::Set(value) => Some((key, value)),
        Pending::Delete(_) => None,
    });
    let snapshots = ct.snapshots.values().flat_map(|snapshot| &snapshot.config);
    let named = ct.config.iter().chain(pending).chain(snapshots);
    let mut own: BTreeSet<String> = named
        .filter_map(|(key, value)| volumes::volume_of(key, value))
        .collect();
    if all {
        let volumes = state.volumes.iter().filter(|((place, _), volume)| {
            (place.is_empty() || *place == ct.node) && volume.owner == Some(ct.vmid)
        });
        own.extend(volumes.map(|((_, id), _)| id.clone()));
    }
    let is_own = |id: &String| {
        let volume = state.volume(&ct.node, id);
        volume.is_some_and(|volume| volume.owner == Some(ct.vmid))
    };
    own.retain(is_own);
    own
}
