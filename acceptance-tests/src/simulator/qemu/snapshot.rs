//! Snapshots: taking, listing, describing, rolling back to, and deleting them.
//!
//! Disk contents are not kept, and no memory is saved; sizes and configurations are.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{Config, Vm, drives, hotplug, shown, volume_of};
use crate::simulator::call::{Allow, Call, Route, now, tell};
use crate::simulator::random::random_uuid;
use crate::simulator::reply::{Fail, Outcome, Reply};
use crate::simulator::storage::{Storage, format_size};
use crate::simulator::tasks::{Task, Worker};
use crate::simulator::world::{LOCK_PATIENCE, State, World};

const AUDIT: Allow = Allow::All("/vms/{vmid}", &["VM.Audit"]);
const TAKE: Allow = Allow::All("/vms/{vmid}", &["VM.Snapshot"]);
const NAMED: &str = "+vm; snapname string pve-configid len=..40";

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /nodes/{node}/qemu/{vmid}/snapshot",
        allow: AUDIT,
        rules: "+vm",
        handler: now!(list),
    },
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/snapshot",
        allow: TAKE,
        rules: "+vm; description? string; snapname string pve-configid len=..40; vmstate? boolean",
        handler: now!(take),
    },
    Route {
        call: "GET /nodes/{node}/qemu/{vmid}/snapshot/{snapname}",
        allow: Allow::Anyone,
        rules: NAMED,
        handler: tell!(index),
    },
    Route {
        call: "DELETE /nodes/{node}/qemu/{vmid}/snapshot/{snapname}",
        allow: TAKE,
        rules: "+vm; snapname string pve-configid len=..40; force? boolean",
        handler: now!(delete),
    },
    Route {
        call: "GET /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config",
        allow: Allow::Any(
            "/vms/{vmid}",
            &["VM.Snapshot", "VM.Snapshot.Rollback", "VM.Audit"],
        ),
        rules: NAMED,
        handler: now!(config),
    },
    Route {
        call: "PUT /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config",
        allow: TAKE,
        rules: "+vm; snapname string pve-configid len=..40; description? string",
        handler: now!(describe),
    },
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback",
        allow: Allow::Any("/vms/{vmid}", &["VM.Snapshot", "VM.Snapshot.Rollback"]),
        rules: "+vm; snapname string pve-configid len=..40; start? boolean",
        handler: now!(rollback),
    },
];

/// A snapshot of a VM.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Snapshot {
    /// The configuration of then, with the name of the snapshot before it as `parent`.
    pub(crate) config: Config,
    pub(crate) description: String,
    pub(crate) time: i64,
    /// Whether the memory was to be saved too and the VM ran.
    pub(crate) vmstate: bool,
    /// The sizes of the volumes then.
    sizes: BTreeMap<String, u64>,
}

fn missing(name: &str) -> Fail {
    Fail::died(format!("snapshot '{name}' does not exist"))
}

impl Vm {
    /// The snapshot of that name.
    pub(crate) fn snapshot(&self, name: &str) -> Result<&Snapshot, Fail> {
        self.snapshots.get(name).ok_or_else(|| missing(name))
    }

    /// The disks that snapshots are made of, with their volumes.
    fn disks(&self) -> Vec<(String, String)> {
        let disk = |(key, text): (&String, &String)| {
            let is_disk = drives::is_drive(key) && !drives::is_cdrom(&drives::parse(key, text));
            let volume = volume_of(key, text).filter(|_| is_disk)?;
            Some((key.clone(), volume))
        };
        self.config.iter().filter_map(disk).collect()
    }
}

impl State {
    /// Whether snapshots of a volume can be taken.
    pub(crate) fn can_snapshot(&self, node: &str, volume: &str) -> bool {
        let storage = volume.split(':').next().unwrap_or_default();
        let is_file = self.storage(storage).is_ok_and(Storage::is_file_based);
        !is_file
            || self
                .volume(node, volume)
                .is_some_and(|volume| volume.format == "qcow2")
    }
}

fn list(call: &Call) -> Outcome {
    let state = call.world.state();
    let vm = state.vm(call.node(), call.params.vmid())?;
    let with_parent = |mut entry: Json, config: &Config| {
        if let Some(parent) = config.get("parent") {
            entry["parent"] = json!(parent);
        }
        entry
    };
    let taken = vm.snapshots.iter().map(|(name, snapshot)| {
        let entry = json!({
            "name": name, "description": snapshot.description, "snaptime": snapshot.time,
            "vmstate": u8::from(snapshot.vmstate),
        });
        with_parent(entry, &snapshot.config)
    });
    let current = json!({
        "name": "current", "description": "You are here!", "digest": vm.digest(),
        "running": u8::from(vm.running.is_some()),
    });
    let all: Json = taken.chain([with_parent(current, &vm.config)]).collect();
    Ok(all.into())
}

fn index(_: &Call) -> Json {
    json!([{"cmd": "rollback"}, {"cmd": "config"}])
}

fn config(call: &Call) -> Outcome {
    let state = call.world.state();
    let vm = state.vm(call.node(), call.params.vmid())?;
    let snapshot = vm.snapshot(call.params.text("snapname"))?;
    Ok(shown_config(snapshot).into())
}

/// The configuration of a snapshot as it is shown.
pub(crate) fn shown_config(snapshot: &Snapshot) -> Json {
    let all = snapshot.config.iter();
    let mut data: Json = all
        .map(|(key, value)| (key.clone(), shown(key, value)))
        .collect();
    data["snaptime"] = json!(snapshot.time);
    if !snapshot.description.is_empty() {
        data["description"] = json!(snapshot.description);
    }
    data
}

fn describe(call: &Call) -> Outcome {
    let mut state = call.world.state();
    let vm = state.vm_mut(call.node(), call.params.vmid())?;
    vm.check_lock()?;
    let name = call.params.text("snapname");
    let snapshot = vm.snapshots.get_mut(name).ok_or_else(|| missing(name))?;
    if let Some(text) = call.params.text_opt("description") {
        text.clone_into(&mut snapshot.description);
    }
    Ok(Reply::null())
}

/// Starts the task of a change and runs `work` in it under the lock file of the VM.
fn task<F>(call: &Call, kind: &'static str, work: F) -> Outcome
where
    F: FnOnce(&Worker, &World) -> Result<(), Fail> + Send + 'static,
{
    let vmid = call.params.vmid();
    Ok(
        call.start_task(kind, &vmid.to_string(), |worker| async move {
            let lock = worker.world.lock_guest(vmid, LOCK_PATIENCE).await;
            let _lock = lock.map_err(|fail| fail.text())?;
            worker.takes(Duration::from_millis(500)).await?;
            work(&worker, &worker.world).map_err(|fail| fail.text())
        }),
    )
}

fn take(call: &Call) -> Outcome {
    let params = &call.params;
    let (node, vmid) = (call.node().to_owned(), params.vmid());
    let name = params.text("snapname").to_owned();
    if matches!(name.to_lowercase().as_str(), "current" | "pending") {
        return Err(Fail::died(format!(
            "unable to use snapshot name '{name}' (reserved name)"
        )));
    }
    let description = params
        .text_opt("description")
        .unwrap_or_default()
        .to_owned();
    let with_memory = params.is_set("vmstate");
    task(call, "qmsnapshot", move |worker, world| {
        let disks = {
            let mut state = world.state();
            let vm = state.vm(&node, vmid)?;
            if vm.is_template() {
                return Err(Fail::died("you can't take a snapshot if it's a template"));
            }
            vm.check_lock()?;
            if vm.snapshots.contains_key(&name) {
                return Err(Fail::died(format!("snapshot name '{name}' already used")));
            }
            let disks = vm.disks();
            if !disks
                .iter()
                .all(|(_, volume)| state.can_snapshot(&node, volume))
            {
                return Err(Fail::died("snapshot feature is not available"));
            }
            let size =
                |(_, id): &(String, String)| Some((id.clone(), state.volume(&node, id)?.bytes));
            let sizes = disks.iter().filter_map(size).collect();
            let vm = state.vm_mut(&node, vmid)?;
            let mut config = vm.config.clone();
            config.retain(|key, _| {
                !key.starts_with("unused") && key != "lock" && key != "description"
            });
            let snapshot = Snapshot {
                config,
                description,
                time: World::now(),
                vmstate: with_memory && vm.running.is_some(),
                sizes,
            };
            vm.snapshots.insert(name.clone(), snapshot);
            vm.config.insert("parent".to_owned(), name);
            disks
        };
        for (key, volume) in disks {
            worker.log(format!("snapshotting 'drive-{key}' ({volume})"));
        }
        Ok(())
    })
}

fn rollback(call: &Call) -> Outcome {
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    let name = call.params.text("snapname").to_owned();
    let starter = call.params.is_set("start").then(|| call.who.id.clone());
    if starter.is_some() {
        call.need(&format!("/vms/{vmid}"), &["VM.PowerMgmt"])?;
    }
    task(call, "qmrollback", move |worker, world| {
        let (machine, starts) = {
            let mut state = world.state();
            let vm = state.vm_mut(&node, vmid)?;
            if vm.is_template() {
                return Err(Fail::died("you can't rollback if vm is a template"));
            }
            let snapshot = vm.snapshot(&name)?.clone();
            vm.check_lock()?;
            restore(&mut state, &node, vmid, &name, &snapshot);
            let vm = state.vm_mut(&node, vmid)?;
            let running = vm.running.take();
            (running.map(|running| running.machine), snapshot.vmstate)
        };
        if let Some(machine) = machine {
            tokio::spawn(async move { machine.kill().await });
        }
        if let Some(user) = starter.or_else(|| starts.then(|| "root@pam".to_owned())) {
            let to = (node.as_str(), "qmstart", &*vmid.to_string(), user.as_str());
            Task::spawn(&worker.world, to, None, |worker| {
                super::start::run(worker, node.clone(), vmid)
            });
        }
        Ok(())
    })
}

/// Brings configuration and sizes back; description and what is unused stay as they are.
fn restore(state: &mut State, node: &str, vmid: u32, name: &str, snapshot: &Snapshot) {
    for (id, bytes) in &snapshot.sizes {
        let place = state.place(node, id);
        if let Some(volume) = state.volumes.get_mut(&place) {
            (volume.bytes, volume.virtual_bytes) = (*bytes, *bytes);
        }
    }
    let Some(vm) = state.vms.get_mut(&vmid) else {
        return;
    };
    let mut config = snapshot.config.clone();
    config.insert("parent".to_owned(), name.to_owned());
    if config.contains_key("vmgenid") {
        config.insert("vmgenid".to_owned(), random_uuid());
    }
    let held: Vec<String> = config
        .iter()
        .filter_map(|(key, value)| volume_of(key, value))
        .collect();
    let kept = vm.config.iter().filter(|(key, value)| {
        *key == "description" || (key.starts_with("unused") && !held.contains(value))
    });
    config.extend(kept.map(|(key, value)| (key.clone(), value.clone())));
    for (key, text) in &mut config {
        let Some(bytes) = volume_of(key, text).and_then(|id| snapshot.sizes.get(&id).copied())
        else {
            continue;
        };
        if drives::is_drive(key) {
            let mut drive = drives::parse(key, text);
            drive.insert("size".to_owned(), format_size(bytes));
            *text = drives::print(key, &drive);
        }
    }
    let gone = std::mem::replace(&mut vm.config, config);
    vm.pending.clear();
    // A disk that came after the snapshot is kept as unused.
    for (key, value) in gone {
        if drives::is_drive(&key) {
            hotplug::let_go(state, vmid, &key, &value, false);
        }
    }
}

fn delete(call: &Call) -> Outcome {
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    let name = call.params.text("snapname").to_owned();
    task(call, "qmdelsnapshot", move |_, world| {
        let mut state = world.state();
        let vm = state.vm_mut(&node, vmid)?;
        vm.check_lock()?;
        let gone = vm.snapshots.remove(&name).ok_or_else(|| missing(&name))?;
        let before = gone.config.get("parent").cloned();
        let configs = vm
            .snapshots
            .values_mut()
            .map(|snapshot| &mut snapshot.config);
        for config in configs.chain([&mut vm.config]) {
            if config.get("parent") == Some(&name) {
                match &before {
                    Some(before) => config.insert("parent".to_owned(), before.clone()),
                    None => config.remove("parent"),
                };
            }
        }
        Ok(())
    })
}
