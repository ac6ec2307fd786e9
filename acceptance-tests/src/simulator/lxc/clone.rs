//! Cloning a container, and turning one into a template.

use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::volumes::{self, Source, is_mount, is_numbered};
use super::{Ct, Origin, snapshot, texts};
use crate::simulator::call::{Allow, Call, Route, later};
use crate::simulator::qemu::Config;
use crate::simulator::reply::{Fail, Outcome, Reply};
use crate::simulator::storage::Volume;
use crate::simulator::storage::kinds::Names;
use crate::simulator::tasks::{Task, Worker};
use crate::simulator::world::State;

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "POST /nodes/{node}/lxc/{vmid}/clone",
        allow: Allow::All("/vms/{vmid}", &["VM.Clone"]),
        rules: "+ct; bwlimit? number min=0; description? string; full? boolean
            hostname? string dns-name; newid integer pve-vmid min=100 max=999999999
            pool? string pve-poolid; snapname? string pve-configid len=..40
            storage? string pve-storage-id; target? string pve-node",
        handler: later!(clone),
    },
    Route {
        call: "POST /nodes/{node}/lxc/{vmid}/template",
        allow: Allow::All("/vms/{vmid}", &["VM.Allocate"]),
        rules: "+ct",
        handler: later!(template),
    },
];

/// Whether linked clones of the container can be made; the refusal names the first volume that cannot.
pub(crate) fn can_link(state: &State, ct: &Ct) -> Result<(), Fail> {
    for (_, mount) in volumes::in_order(&ct.config) {
        let Source::Volume(id) = volumes::source(&mount) else {
            continue;
        };
        let (storage, name) = id.split_once(':').unwrap_or_default();
        // Raw images of files have no copy-on-write.
        if !state.storage(storage)?.kind().copies_on_write || !name.contains("base") {
            return Err(Fail::died(format!(
                "Linked clone feature for '{id}' is not available"
            )));
        }
    }
    Ok(())
}

struct Job {
    node: String,
    vmid: u32,
    newid: u32,
    target: String,
    full: bool,
    storage: Option<String>,
    /// The volumes to copy, by key.
    volumes: Vec<(String, String)>,
    config: Config,
    origin: Origin,
}

/// What a clone holds: its source, and the id that it has taken, which a worker that fails or is interrupted gives back.
struct Reserved<'a>(&'a Worker, (u32, u32));

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut state = self.0.world.state();
        let (source, copy) = self.1;
        if let Some(source) = state.cts.get_mut(&source) {
            source.config.remove("lock");
        }
        let unfinished = |ct: &Ct| ct.config.contains_key("lock");
        if state.cts.get(&copy).is_some_and(unfinished) {
            state.cts.remove(&copy);
            state.forget_guest(copy);
            state.volumes.retain(|_, volume| volume.owner != Some(copy));
        }
    }
}

async fn clone(call: Call) -> Outcome {
    let params = &call.params;
    let newid = params.text("newid").parse().unwrap_or_default();
    let pool = params.text_opt("pool");
    call.need_on_vm(newid, pool, "VM.Allocate")
        .map_err(|_| Fail::denied())?;
    if let Some(pool) = pool.filter(|pool| !call.world.state().pools.contains_key(*pool)) {
        return Err(Fail::Denied(format!("pool '{pool}' does not exist")));
    }
    let (node, vmid) = (call.node().to_owned(), params.vmid());
    let target = params.text_opt("target").unwrap_or(&node).to_owned();
    call.world.state().ct(&node, vmid)?;
    let lock = call.world.lock_ct(vmid).await?;
    let job = prepare(&call, (node, vmid), newid, target)?;
    {
        let mut state = call.world.state();
        state
            .ct_mut(&job.node, vmid)?
            .config
            .insert("lock".to_owned(), "disk".to_owned());
        let mut reserved = job.config.clone();
        reserved.retain(|key, _| !is_mount(key));
        reserved.insert("lock".to_owned(), "create".to_owned());
        state
            .cts
            .insert(newid, Ct::new(newid, &job.target, reserved));
        if let Some(pool) = pool.and_then(|pool| state.pools.get_mut(pool)) {
            pool.guests.push(newid);
        }
    }
    drop(lock);
    Ok(
        call.start_task("vzclone", &vmid.to_string(), |worker| async move {
            let _reserved = Reserved(&worker, (job.vmid, job.newid));
            let result = job.run(&worker).await;
            result.map_err(|why| format!("clone failed: {why}"))
        }),
    )
}

/// All that is checked before the task begins.
fn prepare(
    call: &Call,
    (node, vmid): (String, u32),
    newid: u32,
    target: String,
) -> Result<Job, Fail> {
    let params = &call.params;
    let storage = params.text_opt("storage").map(str::to_owned);
    let (source, origin, full) = {
        let state = call.world.state();
        let ct = state.ct(&node, vmid)?;
        ct.check_lock()?;
        let full = params.text_opt("full");
        let full = full.map_or(!ct.is("template"), |full| full == "1");
        if full && ct.running.is_some() && params.text_opt("snapname").is_none() {
            return Err(Fail::died(
                "Full clone of a running container is only possible from a snapshot",
            ));
        }
        if !state.nodes.iter().any(|known| known.name == target) {
            return Err(Fail::died(format!("no such cluster node '{target}'")));
        }
        state.check_unused(newid)?;
        if !full {
            if storage.is_some() {
                return Err(Fail::died(
                    "parameter 'storage' not allowed for linked clones",
                ));
            }
            can_link(&state, ct)?;
        }
        let source = match params.text_opt("snapname") {
            Some(name) => snapshot::find(ct, name)?.config.clone(),
            None => ct.config.clone(),
        };
        (source, ct.origin.clone(), full)
    };
    let mut config = Config::new();
    let mut copied = Vec::new();
    for (key, value) in source {
        if is_mount(&key) {
            let mount = volumes::parse(&key, &value);
            let Source::Volume(id) = volumes::source(&mount) else {
                let kind = volumes::source(&mount).kind();
                return Err(Fail::died(format!(
                    "unable to clone mountpoint '{key}' (type {kind})"
                )));
            };
            let own = id.split(':').next().unwrap_or_default().to_owned();
            let on = storage.clone().unwrap_or(own);
            call.need(&format!("/storage/{on}"), &["Datastore.AllocateSpace"])?;
            if target != node && !call.world.state().storage(&on)?.shared {
                return Err(Fail::died(format!(
                    "can't clone CT to node '{target}' (CT uses local storage)"
                )));
            }
            copied.push((key.clone(), id));
            config.insert(key, value);
        } else if texts::is_card(&key) {
            call.may_plug(&value)?;
            config.insert(key, texts::with_new_address(&value));
        } else if !is_numbered(&key, "unused")
            && !matches!(key.as_str(), "lock" | "template" | "parent")
        {
            config.insert(key, value);
        }
    }
    for key in ["hostname", "description"] {
        if let Some(value) = params.text_opt(key) {
            config.insert(key.to_owned(), value.to_owned());
        }
    }
    copied.sort_by_key(|(key, _)| (key != "rootfs", key.clone()));
    Ok(Job {
        node,
        vmid,
        newid,
        target,
        full,
        storage,
        volumes: copied,
        config,
        origin,
    })
}

impl Job {
    async fn run(&self, worker: &Worker) -> Result<(), String> {
        let mut config = self.config.clone();
        worker.takes(Duration::from_secs(2)).await?;
        for (key, from) in &self.volumes {
            let mut log = Vec::new();
            let mut state = worker.world.state();
            let made = self.copy(&mut state, key, from, &mut log);
            drop(state);
            worker.log_all(log);
            let mut mount = volumes::parse(key, &config[key]);
            mount.insert("volume".to_owned(), made?);
            config.insert(key.clone(), volumes::print(key, &mount));
        }
        let mut state = worker.world.state();
        let new = state.cts.get_mut(&self.newid);
        let new = new.ok_or("the new container is gone")?;
        new.config = config;
        new.origin = self.origin.clone();
        Ok(())
    }

    fn copy(
        &self,
        state: &mut State,
        key: &str,
        from: &str,
        log: &mut Vec<String>,
    ) -> Result<String, String> {
        let volume = state.existing(&self.node, from);
        let volume = volume.map_err(|fail| fail.text())?.clone();
        let own = from.split(':').next().unwrap_or_default();
        if self.full {
            log.push(format!("create full clone of mountpoint {key} ({from})"));
            let storage = self.storage.as_deref().unwrap_or(own);
            let bytes = volume.bytes;
            let id = state.allocate_mount(&self.target, self.newid, storage, bytes, log)?;
            log.extend(
                [
                    "Number of files: 20,413 (reg: 14,960, dir: 2,180, link: 3,222, special: 51)",
                    "Number of created files: 20,411",
                    "Number of deleted files: 0",
                ]
                .map(str::to_owned),
            );
            return Ok(id);
        }
        log.push(format!("create linked clone of mountpoint {key} ({from})"));
        let mut id = state.free_disk_name(&self.target, own, self.newid, &volume.format);
        let names = state.storage(own).map(|storage| storage.kind().names);
        if let (Ok(Names::Zfs), Some((_, name))) = (names, id.split_once(':')) {
            // The clone of a dataset carries its base in its name.
            id = format!("{from}/{}", name.replacen("vm-", "subvol-", 1));
        }
        let copy = Volume {
            owner: Some(self.newid),
            parent: Some(from.to_owned()),
            ..volume
        };
        state.put_volume(&self.target, &id, copy);
        Ok(id)
    }
}

async fn template(call: Call) -> Outcome {
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    call.world.state().ct(&node, vmid)?;
    let lock = call.world.lock_ct(vmid).await?;
    {
        let state = call.world.state();
        let ct = state.ct(&node, vmid)?;
        ct.check_lock()?;
        if !ct.snapshots.is_empty() {
            return Err(Fail::died(format!(
                "unable to create template, because CT {vmid} contains snapshots"
            )));
        }
        if ct.is("template") {
            return Err(Fail::died("you can't convert a template to a template"));
        }
        if ct.running.is_some() {
            return Err(Fail::died(
                "you can't convert a CT to template if the CT is running",
            ));
        }
    }
    let id = vmid.to_string();
    let of = (
        node.as_str(),
        "vztemplate",
        id.as_str(),
        call.who.id.as_str(),
    );
    Task::spawn(&call.world, of, call.task_order.clone(), |worker| {
        convert(worker, node.clone(), vmid, lock)
    });
    // The task goes on, but nobody is told of it.
    Ok(Reply::null())
}

async fn convert(
    worker: Worker,
    node: String,
    vmid: u32,
    _lock: OwnedMutexGuard<()>,
) -> Result<(), String> {
    worker.takes(Duration::from_secs(1)).await?;
    let mut state = worker.world.state();
    let config = state.ct(&node, vmid).map_err(|fail| fail.text())?;
    let mut config = config.config.clone();
    for (key, mut mount) in volumes::in_order(&config.clone()) {
        let Source::Volume(from) = volumes::source(&mount) else {
            continue;
        };
        let (storage, name) = from.split_once(':').unwrap_or_default();
        let base = name
            .replacen("subvol-", "basevol-", 1)
            .replacen("vm-", "base-", 1);
        let base = format!("{storage}:{base}");
        let place = state.place(&node, &from);
        if let Some(volume) = state.volumes.remove(&place) {
            state.put_volume(&node, &base, volume);
        }
        mount.insert("volume".to_owned(), base);
        config.insert(key.clone(), volumes::print(&key, &mount));
    }
    config.insert("template".to_owned(), "1".to_owned());
    state
        .ct_mut(&node, vmid)
        .map_err(|fail| fail.text())?
        .config = config;
    Ok(())
}
