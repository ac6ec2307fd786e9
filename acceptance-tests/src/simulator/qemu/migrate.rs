//! Moving a VM to another node, and what may stand against that.
//!
//! A move takes the volumes along; nothing is copied that could fail on the way.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::power::only_root;
use super::{Vm, drives, volume_of};
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::tasks::Worker;
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
    only_root(call, &["force", "migration_type", "migration_network"])?;
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    let target = call.params.text("target").to_owned();
    let local_disks = call.params.is_set("with-local-disks");
    if target == node {
        return Err(Fail::param("target", "target is local node."));
    }
    {
        let state = call.world.state();
        if !state.nodes.iter().any(|known| known.name == target) {
            return Err(Fail::died(format!("no such cluster node '{target}'")));
        }
        let vm = state.vm(&node, vmid)?;
        vm.check_lock()?;
        if vm.running.is_some() && !call.params.is_set("online") {
            let why = "can't migrate running VM without --online";
            return Err(Fail::died(why));
        }
    }
    Ok(
        call.start_task("qmigrate", &vmid.to_string(), |worker| async move {
            migrated(&worker, &node, vmid, &target, local_disks)
                .await
                .map_err(|fail| format!("migration aborted: {}", fail.text()))
        }),
    )
}

async fn migrated(
    worker: &Worker,
    node: &str,
    vmid: u32,
    target: &str,
    local_disks: bool,
) -> Result<(), Fail> {
    let world = &worker.world;
    let _lock = world.lock_guest(vmid, LOCK_PATIENCE).await?;
    worker
        .takes(Duration::from_secs(5))
        .await
        .map_err(Fail::died)?;
    let mut state = world.state();
    let vm = state.vm(node, vmid)?;
    let running = vm.running.is_some();
    for (key, value) in &vm.config {
        let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
        if running && matches!(stem, "hostpci" | "usb" | "virtiofs") {
            return Err(Fail::died(format!(
                "can't migrate VM which uses local devices: {key}"
            )));
        }
        if !drives::is_drive(key) {
            continue;
        }
        let drive = drives::parse(key, value);
        let Some(file) = drive.get("file").filter(|file| file.contains(':')) else {
            continue;
        };
        let storage = file.split(':').next().unwrap_or_default();
        if state.storage(storage).is_ok_and(|storage| storage.shared) {
            continue;
        }
        if drives::is_cdrom(&drive) && !drives::is_cloudinit(&drive) {
            return Err(Fail::died(format!("can't migrate local cdrom '{file}'")));
        }
        if running && !local_disks {
            let why = "can't live migrate attached local disks without with-local-disks option";
            return Err(Fail::died(why));
        }
    }
    state.move_guest(vmid, target);
    Ok(())
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

impl State {
    /// Puts a VM on another node, with its volumes.
    pub(crate) fn move_guest(&mut self, vmid: u32, node: &str) {
        let (of, config, volume_of): (_, _, fn(&str, &str) -> Option<String>) =
            if let Some(vm) = self.vms.get_mut(&vmid) {
                (&mut vm.node, &vm.config, volume_of)
            } else if let Some(ct) = self.cts.get_mut(&vmid) {
                (
                    &mut ct.node,
                    &ct.config,
                    crate::simulator::lxc::volumes::volume_of,
                )
            } else {
                return;
            };
        let from = std::mem::replace(of, node.to_owned());
        let own: Vec<String> = config
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
