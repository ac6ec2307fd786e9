//! Cloning a VM as it is, or as a snapshot has it.

use std::time::Duration;

use super::{Config, Vm, drives};
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::random::{random_mac, random_uuid};
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::rules::{property, set};
use crate::simulator::storage::kinds::Names;
use crate::simulator::storage::{Storage, Volume};
use crate::simulator::tasks::Worker;
use crate::simulator::world::State;

pub(crate) const ROUTES: &[Route] = &[Route {
    call: "POST /nodes/{node}/qemu/{vmid}/clone",
    allow: Allow::All("/vms/{vmid}", &["VM.Clone"]),
    rules: "+vm; bwlimit? integer min=0; description? string; format? string enum=raw|qcow2|vmdk
            full? boolean; name? string dns-name
            newid integer pve-vmid min=100 max=999999999; pool? string pve-poolid
            snapname? string pve-configid len=..40; storage? string pve-storage-id
            target? string pve-node",
    handler: now!(clone),
}];

/// The disks of a configuration that a clone copies, with their parsed text.
pub(super) fn disks(config: &Config) -> Vec<(String, property::Properties)> {
    let all = config.iter().filter(|(key, _)| drives::is_drive(key));
    let parsed = all.map(|(key, text)| (key.clone(), drives::parse(key, text)));
    parsed
        .filter(|(_, drive)| !drives::is_cdrom(drive) || drives::is_cloudinit(drive))
        .collect()
}

/// The id that a clone has taken: a worker that fails or is interrupted gives it back.
struct Reserved<'a>(&'a Worker, u32);

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut state = self.0.world.state();
        let locked = |vm: &Vm| vm.config.get("lock").is_some_and(|lock| lock == "clone");
        if state.vms.get(&self.1).is_some_and(locked) {
            state.vms.remove(&self.1);
        }
    }
}

struct Job {
    node: String,
    vmid: u32,
    target: String,
    newid: u32,
    full: bool,
    storage: Option<String>,
    format: Option<String>,
    name: Option<String>,
    description: Option<String>,
}

fn clone(call: &Call) -> Outcome {
    let params = &call.params;
    let newid = params
        .number_opt("newid")
        .and_then(|id| u32::try_from(id).ok())
        .unwrap_or_default();
    let pool = params.text_opt("pool");
    call.need_on_vm(newid, pool, "VM.Allocate")
        .map_err(|_| Fail::denied())?;
    if let Some(pool) = pool.filter(|pool| !call.world.state().pools.contains_key(*pool)) {
        return Err(Fail::Denied(format!("pool '{pool}' does not exist")));
    }
    let (node, vmid) = (call.node().to_owned(), params.vmid());
    let (config, template) = {
        let state = call.world.state();
        let missing = format!("unable to find configuration file for VM {vmid} on node '{node}'");
        let vm = state.vm(&node, vmid).map_err(|_| Fail::died(missing))?;
        let snapshot = params.text_opt("snapname");
        let snapshot = snapshot.and_then(|name| vm.snapshots.get(name));
        let config = snapshot.map_or(&vm.config, |snapshot| &snapshot.config);
        (config.clone(), vm.is_template())
    };
    let full = params
        .text_opt("full")
        .map_or(!template, |full| full == "1");
    for option in ["storage", "format"] {
        if !full && params.text_opt(option).is_some() {
            return Err(Fail::died(format!(
                "parameter '{option}' not allowed for linked clones"
            )));
        }
    }
    if let Some(storage) = params.text_opt("storage") {
        call.may_allocate(storage)?;
    }
    let target = params.text_opt("target").unwrap_or(&node).to_owned();
    check_target(
        &call.world.state(),
        &config,
        &node,
        &target,
        params.text_opt("storage"),
    )?;
    for (_, drive) in disks(&config) {
        let own = drive.get("file").and_then(|file| file.split(':').next());
        if let Some(storage) = own.filter(|_| params.text_opt("storage").is_none()) {
            call.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
        }
    }
    call.may_use_bridges(&config)?;
    call.may_use_mappings(&config)?;
    {
        let mut state = call.world.state();
        state.vm(&node, vmid)?.check_lock()?;
        let snapshot = params.text_opt("snapname");
        if let Some(name) = snapshot {
            state.vm(&node, vmid)?.snapshot(name)?;
        }
        if state.guest(newid).is_some() {
            return Err(Fail::died(format!(
                "unable to create VM {newid}: config file already exists"
            )));
        }
        check_copies(&state, &config, full, snapshot.is_some())?;
        let reserved = Config::from([("lock".to_owned(), "clone".to_owned())]);
        state.vms.insert(newid, Vm::new(newid, &target, reserved));
        if let Some(pool) = pool.and_then(|pool| state.pools.get_mut(pool)) {
            pool.guests.push(newid);
        }
    }
    let text = |name: &str| params.text_opt(name).map(str::to_owned);
    let job = Job {
        node,
        vmid,
        target,
        newid,
        full,
        storage: text("storage"),
        format: text("format"),
        name: text("name"),
        description: text("description"),
    };
    Ok(
        call.start_task("qmclone", &vmid.to_string(), |worker| async move {
            let _reserved = Reserved(&worker, job.newid);
            let result = job.run(&worker, config).await;
            result.map_err(|why| format!("clone failed: {why}"))
        }),
    )
}

/// Refuses what the storages of the disks cannot copy, or clone where that is wanted.
fn check_copies(state: &State, config: &Config, full: bool, snapshot: bool) -> Result<(), Fail> {
    for (key, drive) in disks(config) {
        if drives::is_cdrom(&drive) {
            continue;
        }
        let file = drive.get("file").map_or("", String::as_str);
        let stem = file.rsplit(['/', ':']).next().unwrap_or_default();
        let storage = state.storage(file.split(':').next().unwrap_or_default())?;
        let kind = storage.kind();
        let can = match (full, snapshot) {
            (true, false) => true,
            // The snapshot of a dataset cannot be read.
            (true, true) => kind.names != Names::Zfs,
            (false, true) => kind.names == Names::Lvm && kind.copies_on_write,
            (false, false) => {
                stem.starts_with("base-") && (storage.is_file_based() || kind.copies_on_write)
            }
        };
        if !can {
            let what = if full { "Full" } else { "Linked" };
            return Err(Fail::died(format!(
                "{what} clone feature is not supported for '{file}' ({key})"
            )));
        }
    }
    Ok(())
}

fn check_target(
    state: &State,
    config: &Config,
    node: &str,
    target: &str,
    storage: Option<&str>,
) -> Result<(), Fail> {
    if target == node {
        return Ok(());
    }
    if !state.nodes.iter().any(|known| known.name == target) {
        return Err(Fail::died(format!("no such cluster node '{target}'")));
    }
    let shared = |id: &str| state.storage(id).is_ok_and(|storage| storage.shared);
    let local = disks(config).iter().any(|(_, drive)| {
        drive
            .get("file")
            .and_then(|file| file.split(':').next())
            .is_some_and(|id| !shared(id))
    });
    if local {
        return Err(Fail::died(format!(
            "can't clone VM to node '{target}' (VM uses local storage)"
        )));
    }
    match storage.filter(|id| !shared(id)) {
        Some(id) => Err(Fail::died(format!(
            "can't clone to non-shared storage '{id}'"
        ))),
        None => Ok(()),
    }
}

impl Job {
    async fn run(&self, worker: &Worker, source: Config) -> Result<(), String> {
        worker.log(format!(
            "creating a clone of VM {} with ID {}",
            self.vmid, self.newid
        ));
        worker
            .takes(Duration::from_secs(if self.full { 8 } else { 1 }))
            .await?;
        let mut config = source;
        config.retain(|key, _| {
            !matches!(key.as_str(), "template" | "lock" | "parent") && !key.starts_with("unused")
        });
        for (key, value) in &mut config {
            if key.starts_with("net") && key[3..].parse::<u32>().is_ok() {
                let mut card = property::parse(set("net"), value).unwrap_or_default();
                card.insert("macaddr".to_owned(), random_mac());
                *value = property::print(set("net"), &card);
            }
        }
        config.insert("smbios1".to_owned(), format!("uuid={}", random_uuid()));
        if config.contains_key("vmgenid") {
            config.insert("vmgenid".to_owned(), random_uuid());
        }
        let of = config
            .get("name")
            .cloned()
            .unwrap_or_else(|| self.vmid.to_string());
        let name = self
            .name
            .clone()
            .unwrap_or_else(|| format!("Copy-of-VM-{of}"));
        config.insert("name".to_owned(), name);
        if let Some(description) = &self.description {
            config.insert("description".to_owned(), description.clone());
        }
        let log = {
            let mut state = worker.world.state();
            let mut log = Vec::new();
            let mut made = Vec::new();
            for (key, mut drive) in disks(&config) {
                match self.copy(&mut state, &key, &mut drive, &mut log) {
                    Ok(id) => made.push(id),
                    Err(why) => {
                        for id in made {
                            state.free_volume(&self.target, &id).ok();
                        }
                        return Err(why);
                    }
                }
                config.insert(key.clone(), drives::print(&key, &drive));
            }
            if let Some(vm) = state.vms.get_mut(&self.newid) {
                vm.config = config;
            }
            log
        };
        worker.log_all(log);
        Ok(())
    }

    /// Copies one disk and puts the copy into `drive`.
    fn copy(
        &self,
        state: &mut State,
        key: &str,
        drive: &mut property::Properties,
        log: &mut Vec<String>,
    ) -> Result<String, String> {
        let from = drive.get("file").cloned().unwrap_or_default();
        let volume = state
            .existing(&self.node, &from)
            .map_err(|fail| fail.text())?
            .clone();
        let of_source = from.split(':').next().unwrap_or_default().to_owned();
        let storage = self.storage.clone().unwrap_or(of_source);
        let linked = !self.full && !drives::is_cloudinit(drive);
        let wanted = self.format.as_deref().unwrap_or(&volume.format);
        let is_dir = state.storage(&storage).is_ok_and(Storage::is_file_based);
        let format = state.format_on(&self.target, &storage, Some(wanted).filter(|_| is_dir))?;
        let id = if drives::is_cloudinit(drive) {
            let stem = format!("vm-{}-cloudinit", self.newid);
            if is_dir {
                format!("{storage}:{}/{stem}.qcow2", self.newid)
            } else {
                format!("{storage}:{stem}")
            }
        } else {
            state.free_disk_name(&self.target, &storage, self.newid, &format)
        };
        log.push(format!(
            "create {} clone of drive {key} ({from})",
            if linked { "linked" } else { "full" }
        ));
        let mut copy = Volume {
            owner: Some(self.newid),
            format,
            parent: None,
            ..volume
        };
        let id = if linked {
            copy.parent = Some(from.clone());
            // The clone of a file or a dataset carries its base in its name.
            let name = id.split_once(':').map_or("", |(_, name)| name);
            let names = state.storage(&storage).map(|storage| storage.kind().names);
            if matches!(names, Ok(Names::Files | Names::Zfs)) {
                format!("{from}/{name}")
            } else {
                id
            }
        } else {
            id
        };
        let at = log.len();
        state.log_allocation(&id, &copy, log);
        if linked && is_dir {
            let base = from.split_once(':').map_or("", |(_, name)| name);
            let file = id.rsplit('/').next().unwrap_or_default();
            log.insert(
                at,
                format!(
                    "clone {base}: images, {file}, {} to {file} (base=../{base})",
                    self.newid
                ),
            );
            if let Some(line) = log.get_mut(at + 1) {
                // A linked image knows where its base lies.
                let backing = format!(" backing_file=../{base} backing_fmt={} lazy", copy.format);
                *line = line.replace(" lazy", &backing).replace(
                    "cluster_size=65536 extended_l2=off",
                    "cluster_size=131072 extended_l2=on",
                );
            }
        }
        if !linked {
            log.push(format!("allocated target volume '{id}'"));
            log.extend(drives::transferred(copy.bytes));
        }
        state.put_volume(&self.target, &id, copy);
        drive.insert("file".to_owned(), id.clone());
        Ok(id)
    }
}
