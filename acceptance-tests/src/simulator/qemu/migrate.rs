//! Moving a VM to another node, and what may stand against that.
//!
//! A move takes the volumes along; nothing is copied that could fail on the way.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::power::only_root;
use super::{Vm, volume_of};
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::world::{LOCK_PATIENCE, State};

const MIGRATES: Allow = Allow::All("/vms/{vmid}", &["VM.Migrate"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /nodes/{node}/qemu/{vmid}/migrate",
        allow: MIGRATES,
        rules: "+vm; target? string pve-node",
        handler: now!(conditions),
    },
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/migrate",
        allow: MIGRATES,
        rules: "+vm; bwlimit? integer min=0; force? boolean; migration_network? string CIDR
            migration_type? string enum=secure|insecure; online? boolean; target string pve-node
            targetstorage? string storage-pair-list; with-conntrack-state? boolean
            with-local-disks? boolean",
        handler: now!(migrate),
    },
    Route {
        call: "GET /nodes/{node}/qemu/{vmid}/feature",
        allow: Allow::All("/vms/{vmid}", &["VM.Audit"]),
        rules: "+vm; feature string enum=snapshot|clone|copy; snapname? string pve-configid len=..40",
        handler: now!(feature),
    },
];

/// The volumes of a VM that only its node sees.
fn local<'a>(state: &'a State, vm: &'a Vm) -> impl Iterator<Item = (&'a String, String)> {
    vm.config.iter().filter_map(|(key, value)| {
        let volume = volume_of(key, value)?;
        let storage = volume.split(':').next()?;
        (!state.storage(storage).ok()?.shared).then_some((key, volume))
    })
}

fn conditions(call: &Call) -> Outcome {
    let state = call.world.state();
    let vm = state.vm(call.node(), call.params.vmid())?;
    let disk = |(key, volume): (&String, String)| {
        let size = state
            .volume(&vm.node, &volume)
            .map_or(0, |volume| volume.bytes);
        json!({"volid": volume, "drivename": key, "size": size})
    };
    let disks: Json = local(&state, vm).map(disk).collect();
    let others = state
        .nodes
        .iter()
        .filter(|node| node.name != vm.node && node.online);
    let mut data = json!({
        "running": u8::from(vm.running.is_some()), "local_disks": disks, "local_resources": [],
        "mapped-resources": [], "mapped-resource-info": {}, "has-dbus-vmstate": 1,
    });
    if vm.running.is_none() {
        data["allowed_nodes"] = others.map(|node| json!(node.name)).collect();
        data["not_allowed_nodes"] = json!({});
    }
    Ok(data.into())
}

fn migrate(call: &Call) -> Outcome {
    let params = &call.params;
    let (node, vmid, target) = (
        call.node().to_owned(),
        params.vmid(),
        params.text("target").to_owned(),
    );
    if target == node {
        return Err(Fail::param("target", "target is local node."));
    }
    if !call
        .world
        .state()
        .nodes
        .iter()
        .any(|known| known.name == target)
    {
        return Err(Fail::died(format!("no such cluster node '{target}'")));
    }
    only_root(call, &["force", "migration_type", "migration_network"])?;
    {
        let state = call.world.state();
        let vm = state.vm(&node, vmid)?;
        vm.check_lock()?;
        let online = params.is_set("online");
        if vm.running.is_some() && !online {
            return Err(Fail::param(
                "online",
                "can't migrate running VM without --online",
            ));
        }
        if let Some((_, volume)) = local(&state, vm).next().filter(|_| vm.running.is_some())
            && !params.is_set("with-local-disks")
        {
            return Err(Fail::died(format!(
                "can't migrate local disk '{volume}': can't live migrate attached local disks without with-local-disks option"
            )));
        }
    }
    Ok(
        call.start_task("qmigrate", &vmid.to_string(), |worker| async move {
            let lock = worker.world.lock_guest(vmid, LOCK_PATIENCE).await;
            let _lock = lock.map_err(|fail| fail.text())?;
            worker.log(format!(
                "starting migration of VM {vmid} to node '{target}'"
            ));
            worker.takes(Duration::from_secs(3)).await?;
            worker.world.state().move_vm(vmid, &target);
            worker.log("migration finished successfully");
            Ok(())
        }),
    )
}

impl State {
    /// Puts a VM on another node, with its volumes.
    pub(crate) fn move_vm(&mut self, vmid: u32, node: &str) {
        let Some(vm) = self.vms.get_mut(&vmid) else {
            return;
        };
        let from = std::mem::replace(&mut vm.node, node.to_owned());
        let own: Vec<String> = vm
            .config
            .iter()
            .filter_map(|(key, value)| volume_of(key, value))
            .collect();
        for id in own {
            let place = self.place(&from, &id);
            if let Some(volume) = self.volumes.remove(&place) {
                self.put_volume(node, &id, volume);
            }
        }
    }
}

fn feature(call: &Call) -> Outcome {
    let state = call.world.state();
    let vm = state.vm(call.node(), call.params.vmid())?;
    let config = match call.params.text_opt("snapname") {
        Some(name) => &vm.snapshot(name)?.config,
        None => &vm.config,
    };
    let volumes: Vec<String> = config
        .iter()
        .filter(|(key, _)| super::drives::is_drive(key))
        .filter_map(|(key, value)| volume_of(key, value))
        .collect();
    let is_base = |volume: &String| {
        volume
            .rsplit(['/', ':'])
            .next()
            .is_some_and(|name| name.starts_with("base-"))
    };
    let has = match call.params.text("feature") {
        "snapshot" => volumes
            .iter()
            .all(|volume| state.can_snapshot(&vm.node, volume)),
        "clone" => volumes.iter().all(is_base),
        _ => true,
    };
    let is_local = local(&state, vm).next().is_some();
    let nodes = state
        .nodes
        .iter()
        .filter(|node| !is_local || node.name == vm.node);
    let nodes: Json = nodes.map(|node| json!(node.name)).collect();
    Ok(json!({"hasFeature": u8::from(has), "nodes": nodes}).into())
}
