//! Destroying a VM with what belongs to it.
//!
//! Jobs and HA resources that would name it do not exist here.

use std::collections::BTreeSet;
use std::time::Duration;

use super::power::only_root;
use super::{Pending, Vm, volume_of};
use crate::simulator::backup;
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::tasks::Worker;
use crate::simulator::world::{LOCK_PATIENCE, State};

pub(crate) const ROUTES: &[Route] = &[Route {
    call: "DELETE /nodes/{node}/qemu/{vmid}",
    allow: Allow::All("/vms/{vmid}", &["VM.Allocate"]),
    rules: "+vm; destroy-unreferenced-disks? boolean; purge? boolean; skiplock? boolean",
    handler: now!(destroy),
}];

fn refuse(state: &State, vm: &Vm, purge: bool) -> Result<(), Fail> {
    let vmid = vm.vmid;
    if state.ha.contains_key(&format!("vm:{vmid}")) && !purge {
        return Err(Fail::died(format!(
            "unable to remove VM {vmid} - used in HA resources and purge parameter not set."
        )));
    }
    if vm.is_protected() {
        return Err(Fail::died(format!(
            "can't remove VM {vmid} - protection mode enabled"
        )));
    }
    if vm.running.is_some() {
        return Err(Fail::died(format!("VM {vmid} is running - destroy failed")));
    }
    Ok(())
}

fn destroy(call: &Call) -> Outcome {
    only_root(call, &["skiplock"])?;
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    let purge = call.params.is_set("purge");
    {
        let state = call.world.state();
        refuse(&state, state.vm(&node, vmid)?, purge)?;
    }
    let all = call.params.is_set("destroy-unreferenced-disks");
    let skip = call.params.is_set("skiplock");
    Ok(
        call.start_task("qmdestroy", &vmid.to_string(), |worker| async move {
            run(worker, node, vmid, (purge, all, skip))
                .await
                .map_err(|fail| fail.text())
        }),
    )
}

async fn run(
    worker: Worker,
    node: String,
    vmid: u32,
    (purge, all, skip): (bool, bool, bool),
) -> Result<(), Fail> {
    let world = &worker.world;
    let _lock = world.lock_guest(vmid, LOCK_PATIENCE).await?;
    {
        let state = world.state();
        let vm = state.vm(&node, vmid)?;
        if !skip {
            vm.check_lock()?;
        }
        refuse(&state, vm, purge)?;
    }
    worker
        .takes(Duration::from_secs(1))
        .await
        .map_err(Fail::died)?;
    {
        let mut state = world.state();
        let vm = state.vm(&node, vmid)?;
        refuse(&state, vm, purge)?;
        let pending = vm.pending.iter().filter_map(|(key, change)| match change {
            Pending::Set(value) => Some((key, value)),
            Pending::Delete(_) => None,
        });
        let named = vm
            .config
            .iter()
            .chain(pending)
            .filter_map(|(key, value)| volume_of(key, value));
        let mut volumes: BTreeSet<String> = named.collect();
        if all {
            let own = state.volumes.iter().filter(|((place, _), volume)| {
                (place.is_empty() || *place == node) && volume.owner == Some(vmid)
            });
            volumes.extend(own.map(|((_, id), _)| id.clone()));
        }
        // Only the guest's own volumes go; one of another guest is merely forgotten.
        volumes.retain(|id| {
            state
                .volume(&node, id)
                .is_some_and(|volume| volume.owner == Some(vmid))
        });
        for id in &volumes {
            let by_others = |volume: &crate::simulator::storage::Volume| {
                volume.parent.as_deref() == Some(id) && volume.owner != Some(vmid)
            };
            if state.volumes.values().any(by_others) {
                return Err(Fail::died(format!(
                    "base volume '{id}' is still in use by linked cloned"
                )));
            }
        }
        for id in &volumes {
            state.free_volume(&node, id).map_err(Fail::died)?;
        }
        state.vms.remove(&vmid);
        state.access.forget_guest(vmid);
        for pool in state.pools.values_mut() {
            pool.guests.retain(|guest| *guest != vmid);
        }
    }
    if purge {
        worker.log(format!("purging VM {vmid} from related configurations.."));
        let was_managed = {
            let mut state = world.state();
            backup::forget_guest(&mut state, vmid);
            state.ha.remove(&format!("vm:{vmid}")).is_some()
        };
        if was_managed {
            worker.log(format!(
                "NOTE: removed VM {vmid} from HA resource configuration."
            ));
        }
    }
    world.hypervisor.discard(vmid).await;
    Ok(())
}
