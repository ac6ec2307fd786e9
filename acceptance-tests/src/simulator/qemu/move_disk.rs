//! Moving a disk to another storage or format, or to another VM.

use std::time::Duration;

use super::{Config, drives, volume_of};
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::rules::property::Properties;
use crate::simulator::storage::{Storage, Volume};
use crate::simulator::tasks::Worker;
use crate::simulator::world::{LOCK_PATIENCE, State};

pub(crate) const ROUTES: &[Route] = &[Route {
    call: "POST /nodes/{node}/qemu/{vmid}/move_disk",
    allow: Allow::All("/vms/{vmid}", &["VM.Config.Disk"]),
    rules: "+vm; +movable; bwlimit? integer min=0; delete? boolean; digest? string len=..40
        format? string enum=raw|qcow2|vmdk; storage? string pve-storage-id
        target-digest? string len=..40; target-vmid? integer pve-vmid min=100 max=999999999",
    handler: now!(move_disk),
}];

/// The disk of a VM: its drive and volume. A stale digest and a lock are refused.
fn disk(
    state: &State,
    node: &str,
    vmid: u32,
    (disk, digest): (&str, Option<&str>),
) -> Result<(Properties, String), Fail> {
    let vm = state.vm(node, vmid)?;
    vm.check_lock()?;
    if digest.is_some_and(|digest| digest != vm.digest()) {
        return Err(Fail::died(
            "detected modified configuration - file changed by other user? Try again.",
        ));
    }
    let text = vm.config.get(disk);
    let text = text.ok_or_else(|| Fail::died(format!("disk '{disk}' does not exist")))?;
    let drive = if disk.starts_with("unused") {
        Properties::from([("file".to_owned(), text.clone())])
    } else {
        drives::parse(disk, text)
    };
    if drives::is_cdrom(&drive) {
        return Err(Fail::died("you can't move a cdrom"));
    }
    let volume = volume_of(disk, text)
        .ok_or_else(|| Fail::died(format!("disk '{disk}' has no associated volume")))?;
    Ok((drive, volume))
}

fn move_disk(call: &Call) -> Outcome {
    let params = &call.params;
    match (params.text_opt("storage"), params.number_opt("target-vmid")) {
        (Some(_), Some(_)) => Err(Fail::param(
            "target-vmid",
            "either set 'storage' or 'target-vmid', but not both",
        )),
        (Some(storage), None) => to_storage(call, storage),
        (None, Some(target)) => to_vm(call, u32::try_from(target).unwrap_or_default()),
        (None, None) => {
            let text = "both 'storage' and 'target-vmid' missing, either needs to be set";
            let names = ["storage", "target-vmid"];
            let errors = names.map(|name| (name.to_owned(), text.to_owned()));
            Err(Fail::Params(errors.into_iter().collect()))
        }
    }
}

fn to_storage(call: &Call, storage: &str) -> Outcome {
    let params = &call.params;
    call.may_allocate(storage)?;
    let work = Move {
        node: call.node().to_owned(),
        vmid: params.vmid(),
        disk: params.text("disk").to_owned(),
        storage: storage.to_owned(),
        format: params.text_opt("format").map(str::to_owned),
        digest: params.text_opt("digest").map(str::to_owned),
        delete: params.is_set("delete"),
    };
    work.check(&call.world.state())?;
    let id = work.vmid.to_string();
    Ok(call.start_task("qmmove", &id, |worker| async move {
        work.run(&worker).await.map_err(|fail| fail.text())
    }))
}

struct Move {
    node: String,
    vmid: u32,
    disk: String,
    storage: String,
    format: Option<String>,
    digest: Option<String>,
    delete: bool,
}

impl Move {
    /// The drive and its volume, if it can be moved so.
    fn check(&self, state: &State) -> Result<(Properties, String), Fail> {
        let (drive, volume) = disk(
            state,
            &self.node,
            self.vmid,
            (&self.disk, self.digest.as_deref()),
        )?;
        let (from, _) = volume.split_once(':').unwrap_or_default();
        let is_dir = state.storage(from).is_ok_and(Storage::is_file_based);
        let present = state
            .volume(&self.node, &volume)
            .map(|volume| &volume.format);
        let same_format = !is_dir || self.format.is_none() || self.format.as_ref() == present;
        if from == self.storage && same_format {
            return Err(Fail::died(
                "you can't move to the same storage with same format",
            ));
        }
        let vm = state.vm(&self.node, self.vmid)?;
        if self.delete
            && vm
                .snapshots
                .values()
                .any(|snapshot| holds(&snapshot.config, &volume))
        {
            return Err(Fail::died(
                "you can't move a disk with snapshots and delete the source",
            ));
        }
        Ok((drive, volume))
    }

    async fn run(&self, worker: &Worker) -> Result<(), Fail> {
        let world = &worker.world;
        let _lock = world.lock_guest(self.vmid, LOCK_PATIENCE).await?;
        worker
            .takes(Duration::from_secs(2))
            .await
            .map_err(Fail::died)?;
        let log = self.copy(&mut world.state())?;
        worker.log_all(log);
        Ok(())
    }

    fn copy(&self, state: &mut State) -> Result<Vec<String>, Fail> {
        let (mut drive, from) = self.check(state)?;
        let source = state.existing(&self.node, &from)?.clone();
        let (old, new) = (from.split(':').next().unwrap_or_default(), &self.storage);
        let mut log = vec![
            format!(
                "copying volume '{from}' from current storage '{old}' to target storage '{new}'"
            ),
            format!("create full clone of drive {} ({from})", self.disk),
        ];
        let is_dir = state.storage(new)?.is_file_based();
        let wanted = self.format.as_deref().unwrap_or(&source.format);
        let format = state.format_on(
            new,
            Some(wanted).filter(|_| is_dir || self.format.is_some()),
        );
        let format = format.map_err(Fail::died)?;
        let id = state.free_disk_name(&self.node, new, self.vmid, &format);
        let copy = Volume {
            format,
            owner: Some(self.vmid),
            parent: None,
            ..source
        };
        state.log_allocation(&id, &copy, &mut log);
        log.push(format!("allocated target volume '{id}'"));
        log.extend(drives::transferred(copy.bytes));
        state.put_volume(&self.node, &id, copy);
        let vm = state.vm_mut(&self.node, self.vmid)?;
        drive.insert("file".to_owned(), id.clone());
        let text = if self.disk.starts_with("unused") {
            id
        } else {
            drives::print(&self.disk, &drive)
        };
        vm.config.insert(self.disk.clone(), text);
        if self.delete {
            log.push(format!(
                "removing source volume '{from}' after successful copy"
            ));
            state.free_volume(&self.node, &from).map_err(Fail::died)?;
        } else if let Some(slot) = vm.free_unused() {
            log.push(format!(
                "adding source volume '{from}' as '{slot}' to config"
            ));
            vm.config.insert(slot, from);
        }
        Ok(log)
    }
}

/// Whether a configuration names the volume.
pub(crate) fn holds(config: &Config, volume: &str) -> bool {
    config
        .iter()
        .any(|(key, value)| volume_of(key, value).as_deref() == Some(volume))
}

fn to_vm(call: &Call, target: u32) -> Outcome {
    let params = &call.params;
    let (node, vmid) = (call.node().to_owned(), params.vmid());
    call.need(&format!("/vms/{target}"), &["VM.Config.Disk"])
        .map_err(|_| Fail::denied())?;
    let source = params.text("disk").to_owned();
    let slot = params.text_opt("target-disk").unwrap_or(&source).to_owned();
    let digests = ["digest", "target-digest"].map(|name| params.text_opt(name).map(str::to_owned));
    if vmid == target {
        return Err(Fail::param(
            "target-vmid",
            "must be different than source VMID to reassign disk",
        ));
    }
    let check = move |state: &State, slot: &str, source: &str| {
        let found = disk(state, &node, vmid, (source, digests[0].as_deref()))?;
        let to = state.vm(&node, target)?;
        to.check_lock()?;
        if digests[1]
            .as_ref()
            .is_some_and(|digest| *digest != to.digest())
        {
            return Err(Fail::died(format!(
                "VM {target}: detected modified configuration - file changed by other user? Try again."
            )));
        }
        if to.config.contains_key(slot) {
            return Err(Fail::died(format!(
                "Target disk key '{slot}' is already in use for VM {target}"
            )));
        }
        Ok((node.clone(), found))
    };
    check(&call.world.state(), &slot, &source)?;
    let id = format!("{vmid}-{source}>{target}-{slot}");
    Ok(call.start_task("qmmove", &id, |worker| async move {
        worker.takes(Duration::from_millis(500)).await?;
        let text = |fail: Fail| fail.text();
        let mut state = worker.world.state();
        let (node, (mut drive, from)) = check(&state, &slot, &source).map_err(text)?;
        let volume = state.existing(&node, &from).map_err(text)?.clone();
        let storage = from.split(':').next().unwrap_or_default();
        let new = state.free_disk_name(&node, storage, target, &volume.format);
        let place = state.place(&node, &from);
        state.volumes.remove(&place);
        let owner = Some(target);
        state.put_volume(&node, &new, Volume { owner, ..volume });
        drive.insert("file".to_owned(), new.clone());
        let text_of = if slot.starts_with("unused") {
            new
        } else {
            drives::print(&slot, &drive)
        };
        if let Some(vm) = state.vms.get_mut(&vmid) {
            vm.config.remove(&source);
        }
        if let Some(vm) = state.vms.get_mut(&target) {
            vm.config.insert(slot.clone(), text_of);
        }
        drop(state);
        worker.log(format!(
            "moving disk '{source}' from VM '{vmid}' to '{target}'"
        ));
        worker.log(format!("removing disk '{source}' from VM '{vmid}' config"));
        worker.log(format!("adding disk '{slot}' to VM '{target}' config"));
        Ok(())
    }))
}
