//! Moving a VM to another node, and a disk of it to another storage.
//!
//! What moves is copied at once, however big; a machine that runs goes on running.

use std::time::Duration;

use super::{Vm, drives, power::only_root, volume_of};
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::rules::property::Properties;
use crate::simulator::tasks::Worker;
use crate::simulator::world::{LOCK_PATIENCE, State};

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/migrate",
        allow: Allow::All("/vms/{vmid}", &["VM.Migrate"]),
        rules: "+vm; bwlimit? integer min=0; force? boolean; migration_network? string
            migration_type? string enum=secure|insecure; online? boolean; target string pve-node
            targetstorage? string; with-conntrack-state? boolean
            with-local-disks? boolean",
        handler: now!(migrate),
    },
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/move_disk",
        allow: Allow::All("/vms/{vmid}", &["VM.Config.Disk"]),
        rules: "+vm; +movable; bwlimit? integer min=0; delete? boolean; digest? string len=..40
            format? string enum=raw|qcow2|vmdk; storage? string pve-storage-id
            target-digest? string len=..40; target-vmid? integer pve-vmid min=100 max=999999999",
        handler: now!(move_disk),
    },
];

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

struct Move {
    node: String,
    vmid: u32,
    disk: String,
    storage: String,
    format: Option<String>,
    delete: bool,
}

fn move_disk(call: &Call) -> Outcome {
    let params = &call.params;
    let text = |name: &str| params.text_opt(name).map(str::to_owned);
    let (Some(storage), None) = (text("storage"), text("target-vmid")) else {
        return Err(Fail::died(
            "Provide either a 'storage' to move the disk to or a 'target-vmid' and 'target-disk' to move the disk to another VM",
        ));
    };
    call.may_allocate(&storage)?;
    let work = Move {
        node: call.node().to_owned(),
        vmid: params.vmid(),
        disk: params.text("disk").to_owned(),
        storage,
        format: text("format"),
        delete: params.is_set("delete"),
    };
    {
        let state = call.world.state();
        let vm = state.vm(&work.node, work.vmid)?;
        vm.check_lock()?;
        work.source(vm)?;
    }
    let id = work.vmid.to_string();
    Ok(call.start_task("qmmove", &id, |worker| async move {
        work.run(&worker).await.map_err(|fail| fail.text())
    }))
}

impl Move {
    fn source(&self, vm: &Vm) -> Result<(String, Properties), Fail> {
        let text = vm
            .config
            .get(&self.disk)
            .ok_or_else(|| Fail::died(format!("disk '{}' does not exist", self.disk)))?;
        let drive = drives::parse(&self.disk, text);
        if drives::is_cdrom(&drive) {
            return Err(Fail::died("you can't move a cdrom"));
        }
        let file = drive.get("file").cloned().unwrap_or_default();
        if file.split(':').next() == Some(self.storage.as_str()) && self.format.is_none() {
            return Err(Fail::died(
                "you can't move to the same storage with same format",
            ));
        }
        Ok((file, drive))
    }

    async fn run(&self, worker: &Worker) -> Result<(), Fail> {
        let world = &worker.world;
        let _lock = world.lock_guest(self.vmid, LOCK_PATIENCE).await?;
        worker
            .takes(Duration::from_secs(8))
            .await
            .map_err(Fail::died)?;
        let log = {
            let mut state = world.state();
            self.put(&mut state)?
        };
        worker.log_all(log);
        Ok(())
    }

    /// Puts the volume on the other storage, and tells how it went.
    fn put(&self, state: &mut State) -> Result<Vec<String>, Fail> {
        let (from, mut drive) = self.source(state.vm(&self.node, self.vmid)?)?;
        let volume = state.existing(&self.node, &from)?.clone();
        let wanted = self.format.as_deref();
        let format = state.format_on(&self.storage, wanted).map_err(Fail::died)?;
        let id = state.free_disk_name(&self.node, &self.storage, self.vmid, &format);
        let copy = crate::simulator::storage::Volume {
            format,
            parent: None,
            ..volume
        };
        let log = drives::transferred(copy.bytes).to_vec();
        state.put_volume(&self.node, &id, copy);
        drive.insert("file".to_owned(), id);
        if self.delete {
            state.free_volume(&self.node, &from).map_err(Fail::died)?;
        }
        let vm = state.vm_mut(&self.node, self.vmid)?;
        let printed = drives::print(&self.disk, &drive);
        vm.config.insert(self.disk.clone(), printed);
        if !self.delete {
            let free = (0..256).map(|number| format!("unused{number}"));
            let slot = free.into_iter().find(|key| !vm.config.contains_key(key));
            vm.config.insert(slot.unwrap_or_default(), from);
        }
        Ok(log)
    }
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
