//! Moving a volume of a container to another storage, or to another container.

use std::time::Duration;

use super::volumes::{self, is_mount, is_numbered};
use super::{apply, resize};
use crate::simulator::call::{Allow, Call, Route, later};
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::tasks::Worker;

pub(crate) const ROUTES: &[Route] = &[Route {
    call: "POST /nodes/{node}/lxc/{vmid}/move_volume",
    allow: Allow::All("/vms/{vmid}", &["VM.Config.Disk"]),
    rules: "+ct; bwlimit? number min=0; delete? boolean; digest? string len=..40
        storage? string pve-storage-id; target-digest? string len=..40
        target-vmid? integer pve-vmid min=100 max=999999999
        target-volume? string enum=rootfs|mp#0-255|unused#0-255
        volume string enum=rootfs|mp#0-255|unused#0-255",
    handler: later!(move_volume),
}];

struct Job {
    node: String,
    vmid: u32,
    key: String,
    volume: String,
    storage: String,
    delete: bool,
}

async fn move_volume(call: Call) -> Outcome {
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    let key = call.params.text("volume").to_owned();
    match (
        call.params.text_opt("storage"),
        call.params.text_opt("target-vmid"),
    ) {
        (Some(_), Some(_)) => {
            return Err(Fail::param(
                "storage",
                "either set storage or target-vmid, but not both",
            ));
        }
        (None, None) => {
            return Err(Fail::died(
                "no target specified - either storage or target-vmid is required",
            ));
        }
        (None, Some(target)) => {
            let target = target.parse().unwrap_or_default();
            return reassign(&call, (node, vmid, key), target);
        }
        (Some(_), None) => {}
    }
    let storage = call.params.text("storage").to_owned();
    call.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    call.world.state().ct(&node, vmid)?;
    let lock = call.world.lock_ct(vmid).await?;
    let delete = call.params.is_set("delete");
    let job = {
        let mut state = call.world.state();
        let ct = state.ct(&node, vmid)?;
        ct.check_lock()?;
        ct.check_digest(call.params.text_opt("digest"))?;
        if ct.running.is_some() {
            return Err(Fail::died("cannot move volumes of a running container"));
        }
        if delete && !ct.snapshots.is_empty() {
            return Err(Fail::died(
                "you can't move a volume with snapshots and delete the source",
            ));
        }
        let text = ct
            .config
            .get(&key)
            .ok_or_else(|| resize::nothing_there(&key))?;
        let volume = volumes::volume_of(&key, text)
            .ok_or_else(|| Fail::died("you can't move a bind or device mount point"))?;
        if !state.storage(&storage)?.has("rootdir") {
            let text = format!("storage '{storage}' does not support container directories");
            return Err(Fail::param("storage", text));
        }
        if volume.split(':').next() == Some(&storage) {
            return Err(Fail::died("you can't move a volume to the same storage"));
        }
        let ct = state.ct_mut(&node, vmid)?;
        ct.config.insert("lock".to_owned(), "disk".to_owned());
        Job {
            node,
            vmid,
            key,
            volume,
            storage,
            delete,
        }
    };
    drop(lock);
    Ok(
        call.start_task("move_volume", &vmid.to_string(), |worker| async move {
            let result = job.run(&worker).await;
            let mut state = worker.world.state();
            if let Some(ct) = state.cts.get_mut(&job.vmid) {
                ct.config.remove("lock");
            }
            result
        }),
    )
}

impl Job {
    async fn run(&self, worker: &Worker) -> Result<(), String> {
        worker.takes(Duration::from_secs(2)).await?;
        let mut log = Vec::new();
        let result = self.copy(worker, &mut log);
        worker.log_all(log);
        result
    }

    fn copy(&self, worker: &Worker, log: &mut Vec<String>) -> Result<(), String> {
        let mut state = worker.world.state();
        let known = state.existing(&self.node, &self.volume);
        let bytes = known.map_err(|fail| fail.text())?.bytes;
        let new = state.allocate_mount(&self.node, self.vmid, &self.storage, bytes, log)?;
        let ct = state.ct_mut(&self.node, self.vmid);
        let ct = ct.map_err(|fail| fail.text())?;
        if let Some(text) = ct.config.get_mut(&self.key) {
            let mut mount = volumes::parse(&self.key, text);
            mount.insert("volume".to_owned(), new);
            *text = volumes::print(&self.key, &mount);
        }
        if !self.delete {
            apply::add_unused(ct, &self.volume);
            return Ok(());
        }
        state.free_volume(&self.node, &self.volume)
    }
}

/// Gives a volume to another container of the node.
fn reassign(call: &Call, (node, vmid, key): (String, u32, String), to: u32) -> Outcome {
    let target_key = call.params.text_opt("target-volume").unwrap_or(&key);
    let target_key = target_key.to_owned();
    call.need(&format!("/vms/{to}"), &["VM.Config.Disk"])?;
    if key == "rootfs" {
        return Err(Fail::died("reassigning the rootfs is not supported"));
    }
    if to == vmid {
        return Err(Fail::died("must be different than source VMID"));
    }
    let state = call.world.state();
    let source = state.ct(&node, vmid)?;
    source.check_lock()?;
    source.check_digest(call.params.text_opt("digest"))?;
    let target = state.ct(&node, to)?;
    target.check_lock()?;
    target.check_digest(call.params.text_opt("target-digest"))?;
    if !source.config.contains_key(&key) {
        return Err(Fail::died(format!("volume key '{key}' does not exist")));
    }
    if source.running.is_some() && is_mount(&key) {
        return Err(Fail::died(format!(
            "cannot move volume from running container {vmid}"
        )));
    }
    if target.config.contains_key(&target_key) {
        return Err(Fail::died(format!(
            "target volume key '{target_key}' is already in use for container '{to}'"
        )));
    }
    if is_numbered(&key, "unused") && is_mount(&target_key) {
        return Err(Fail::died(
            "an unused volume can only become an unused volume",
        ));
    }
    drop(state);
    Ok(
        call.start_task("move_volume", &vmid.to_string(), |worker| async move {
            worker.takes(Duration::from_secs(1)).await?;
            let mut state = worker.world.state();
            let ct = state.ct_mut(&node, vmid).map_err(|fail| fail.text())?;
            let text = ct.config.remove(&key).unwrap_or_default();
            let Some(id) = volumes::volume_of(&key, &text) else {
                return Err(format!("volume key '{key}' does not exist"));
            };
            let format = state.volume(&node, &id).map(|volume| volume.format.clone());
            let storage = id.split(':').next().unwrap_or_default().to_owned();
            let format = format.unwrap_or_else(|| "raw".to_owned());
            let new = state.free_disk_name(&node, &storage, to, &format);
            let place = state.place(&node, &id);
            if let Some(mut volume) = state.volumes.remove(&place) {
                volume.owner = Some(to);
                state.put_volume(&node, &new, volume);
            }
            let mut mount = volumes::parse(&key, &text);
            mount.insert("volume".to_owned(), new);
            let target = state.ct_mut(&node, to).map_err(|fail| fail.text())?;
            target
                .config
                .insert(target_key.clone(), volumes::print(&target_key, &mount));
            Ok(())
        }),
    )
}
