//! Growing the root or a mount point.
//!
//! What is wrong is told at once; only the growing is a task.

use std::time::Duration;

use super::volumes;
use crate::simulator::call::{Allow, Call, Route, later};
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::rules::check::Errors;
use crate::simulator::storage::{format_size, parse_size};

pub(crate) const ROUTES: &[Route] = &[Route {
    call: "PUT /nodes/{node}/lxc/{vmid}/resize",
    allow: Allow::Any("/vms/{vmid}", &["VM.Config.Disk"]),
    rules: "+ct; digest? string len=..40; disk string enum=rootfs|mp#0-255
        size string pattern=\\+?\\d+(\\.\\d+)?[KMGT]?",
    handler: later!(resize),
}];

/// A mount point that is not there fails as its empty text does.
pub(crate) fn nothing_there(key: &str) -> Fail {
    let text = "property is missing and it is not optional".to_owned();
    let mut errors = Errors::from([("volume".to_owned(), text.clone())]);
    if key != "rootfs" {
        errors.insert("mp".to_owned(), text);
    }
    Fail::Broken("format error".to_owned(), errors)
}

async fn resize(call: Call) -> Outcome {
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    call.world.state().ct(&node, vmid)?;
    let lock = call.world.lock_ct(vmid).await?;
    let key = call.params.text("disk").to_owned();
    let (volume, bytes, runs) = {
        let state = call.world.state();
        let ct = state.ct(&node, vmid)?;
        ct.check_lock()?;
        ct.check_digest(call.params.text_opt("digest"))?;
        let text = ct.config.get(&key).ok_or_else(|| nothing_there(&key))?;
        let id = volumes::volume_of(&key, text)
            .ok_or_else(|| Fail::died(format!("can't resize mount point '{key}'")))?;
        let known = state.existing(&node, &id)?;
        if let Some(owner) = known.owner.filter(|owner| *owner != vmid) {
            return Err(Fail::died(format!(
                "can't resize mount point owned by another container ({owner})"
            )));
        }
        (id, known.bytes, ct.running.is_some())
    };
    let storage = volume.split(':').next().unwrap_or_default();
    call.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    let size = call.params.text("size");
    let by = parse_size(size.trim_start_matches('+')).unwrap_or(0);
    let wanted = if size.starts_with('+') {
        bytes + by
    } else {
        by
    };
    if wanted < bytes {
        return Err(Fail::died("unable to shrink disk size"));
    }
    if wanted == bytes {
        return Err(Fail::died("disk is already at specified size"));
    }
    Ok(
        call.start_task("resize", &vmid.to_string(), |worker| async move {
            let _lock = lock;
            worker.takes(Duration::from_secs(1)).await?;
            let mut state = worker.world.state();
            let place = state.place(&node, &volume);
            let Some(known) = state.volumes.get_mut(&place) else {
                return Err(format!("volume '{volume}' does not exist"));
            };
            (known.bytes, known.virtual_bytes) = (wanted, wanted);
            let is_tree = known.format == "subvol";
            let ct = state.ct_mut(&node, vmid).map_err(|fail| fail.text())?;
            if let Some(text) = ct.config.get_mut(&key) {
                let mut mount = volumes::parse(&key, text);
                mount.insert("size".to_owned(), format_size(wanted));
                *text = volumes::print(&key, &mount);
            }
            let (storage, name) = volume.split_once(':').unwrap_or_default();
            let file = state.storage(storage).map(|storage| storage.file(name));
            let file = file.unwrap_or_default();
            drop(state);
            if !is_tree {
                worker.log_all(grown(&file, bytes, wanted, runs));
            }
            Ok(())
        }),
    )
}

/// What the tools say that grow the file system of a file.
fn grown(file: &str, from: u64, to: u64, mounted: bool) -> Vec<String> {
    const PASSES: [&str; 5] = [
        "inodes, blocks, and sizes",
        "directory structure",
        "directory connectivity",
        "reference counts",
        "group summary information",
    ];
    let mut lines = vec!["Image resized.".to_owned()];
    if !mounted {
        lines.push("e2fsck 1.47.2 (1-Jan-2025)".to_owned());
        let passes = PASSES.iter().enumerate();
        lines.extend(passes.map(|(i, what)| format!("Pass {}: Checking {what}", i + 1)));
        lines.push(format!(
            "{file}: 4086/{} files (0.0% non-contiguous), 39929/{} blocks",
            from / 16_384,
            from / 4096
        ));
    }
    lines.push("resize2fs 1.47.2 (1-Jan-2025)".to_owned());
    let blocks = to / 4096;
    lines.push(format!(
        "Resizing the filesystem on {file} to {blocks} (4k) blocks."
    ));
    lines.push(format!(
        "The filesystem on {file} is now {blocks} (4k) blocks long."
    ));
    lines.push(String::new());
    lines
}
