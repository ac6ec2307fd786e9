//! Growing a disk.
//!
//! The size goes through the volume, not through the configuration text.

use std::time::Duration;

use super::drives;
use super::power::only_root;
use super::spec;
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::storage::{format_size, parse_size};
use crate::simulator::tasks::Worker;
use crate::simulator::world::LOCK_PATIENCE;

pub(crate) const ROUTES: &[Route] = &[Route {
    call: "PUT /nodes/{node}/qemu/{vmid}/resize",
    allow: Allow::All("/vms/{vmid}", &["VM.Config.Disk"]),
    rules: "+vm; +resizable; digest? string len=..40; size string pattern=\\+?\\d+(\\.\\d+)?[KMGT]?
        skiplock? boolean",
    handler: now!(resize),
}];

fn resize(call: &Call) -> Outcome {
    only_root(call, &["skiplock"])?;
    let params = &call.params;
    let (node, vmid) = (call.node().to_owned(), params.vmid());
    let (disk, size) = (
        params.text("disk").to_owned(),
        params.text("size").to_owned(),
    );
    let digest = params.text_opt("digest").map(str::to_owned);
    let skip = params.is_set("skiplock");
    let refused = storage_without_space(call, &disk);
    Ok(
        call.start_task("resize", &vmid.to_string(), |worker| async move {
            let work = Resize {
                node,
                vmid,
                disk,
                size,
                digest,
                skip,
                refused,
            };
            work.run(worker).await.map_err(|fail| fail.text())
        }),
    )
}

/// The storage of the disk, if the sender may not allocate on it.
fn storage_without_space(call: &Call, disk: &str) -> Option<String> {
    let storage = {
        let state = call.world.state();
        let vm = state.vm(call.node(), call.params.vmid()).ok()?;
        let drive = drives::parse(disk, vm.config.get(disk)?);
        drive.get("file")?.split(':').next()?.to_owned()
    };
    let path = format!("/storage/{storage}");
    (!call.can(&path, "Datastore.AllocateSpace")).then_some(storage)
}

struct Resize {
    node: String,
    vmid: u32,
    disk: String,
    size: String,
    digest: Option<String>,
    skip: bool,
    refused: Option<String>,
}

impl Resize {
    async fn run(&self, worker: Worker) -> Result<(), Fail> {
        let world = &worker.world;
        let _lock = world.lock_guest(self.vmid, LOCK_PATIENCE).await?;
        self.target(world)?;
        worker
            .takes(Duration::from_secs(1))
            .await
            .map_err(Fail::died)?;
        let Some((volume, bytes)) = self.target(world)? else {
            return Ok(());
        };
        self.refuse_base(&worker, &volume, bytes)?;
        let machine = {
            let mut state = world.state();
            let place = state.place(&self.node, &volume);
            if let Some(known) = state.volumes.get_mut(&place) {
                (known.bytes, known.virtual_bytes) = (bytes, bytes);
            }
            let vm = state.vm_mut(&self.node, self.vmid)?;
            if let Some(text) = vm.config.get_mut(&self.disk) {
                let mut drive = drives::parse(&self.disk, text);
                drive.insert("size".to_owned(), format_size(bytes));
                *text = drives::print(&self.disk, &drive);
            }
            vm.running.as_ref().map(|running| running.machine.clone())
        };
        match machine {
            Some(machine) => machine.resized(&self.disk, bytes).await,
            None => worker.log("Image resized."),
        }
        Ok(())
    }

    /// The image of a template cannot be written.
    fn refuse_base(&self, worker: &Worker, volume: &str, bytes: u64) -> Result<(), Fail> {
        let (storage, name) = volume.split_once(':').unwrap_or_default();
        let (file, format) = {
            let state = worker.world.state();
            let storage = state.storage(storage)?;
            let is_base = name
                .rsplit('/')
                .next()
                .is_some_and(|file| file.starts_with("base-"));
            if !is_base || !storage.is_file_based() {
                return Ok(());
            }
            let format = state.existing(&self.node, volume)?.format.clone();
            (storage.file(name), format)
        };
        let kept = if format == "qcow2" { "metadata" } else { "off" };
        let open = format!("Could not open '{file}'");
        worker.log(format!("qemu-img: {open}: {open}: Operation not permitted"));
        Err(Fail::died(format!(
            "command '/usr/bin/qemu-img resize '--preallocation={kept}' -f {format} {file} {bytes}' \
             failed: exit code 1"
        )))
    }

    /// The volume and its new size; `None` if it has that size.
    fn target(
        &self,
        world: &crate::simulator::world::World,
    ) -> Result<Option<(String, u64)>, Fail> {
        let state = world.state();
        let vm = state.vm(&self.node, self.vmid)?;
        if self
            .digest
            .as_ref()
            .is_some_and(|digest| *digest != vm.digest())
        {
            return Err(Fail::died("checksum mismatch (file change by other user?)"));
        }
        if !self.skip {
            vm.check_lock()?;
        }
        let text = vm.config.get(&self.disk);
        let text =
            text.ok_or_else(|| Fail::died(format!("disk '{}' does not exist", self.disk)))?;
        let drive = drives::parse(&self.disk, text);
        if drives::is_cdrom(&drive) {
            return Err(Fail::died("you can't resize a cdrom"));
        }
        if let Some(storage) = &self.refused {
            return Err(Fail::Denied(format!(
                "/storage/{storage}, Datastore.AllocateSpace"
            )));
        }
        let disk = spec::disk(&state, &self.node, &self.disk, &drive);
        let by = parse_size(self.size.trim_start_matches('+')).unwrap_or(0);
        let bytes = if self.size.starts_with('+') {
            disk.bytes + by
        } else {
            by
        };
        if bytes < disk.bytes {
            return Err(Fail::died("shrinking disks is not supported"));
        }
        Ok((bytes != disk.bytes).then_some((disk.volume, bytes)))
    }
}
