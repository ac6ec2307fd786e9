//! A backup now: a task that locks each guest for as long as it takes.

use std::time::Duration;

use axum::body::Bytes;
use time::OffsetDateTime;
use time::macros::format_description;

use super::may_back_up;
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::rules::formats::split_list;
use crate::simulator::storage::Volume;
use crate::simulator::tasks::Worker;
use crate::simulator::world::State;

pub(crate) const ROUTES: &[Route] = &[Route {
    call: "POST /nodes/{node}/vzdump",
    allow: Allow::Anyone,
    rules: "+vzdump; node? string pve-node; job-id? string len=..50 pattern=\\S+; stdout? boolean",
    handler: now!(post),
}];

/// The guests that the parameters choose, and that are on this node.
fn chosen(call: &Call, state: &State) -> Result<Vec<u32>, Fail> {
    let params = &call.params;
    let on_node = |vmid: &u32| {
        let guest = state.guest(*vmid);
        guest.is_some_and(|(_, node)| node == call.node())
    };
    let given = split_list(params.text_opt("vmid").unwrap_or_default());
    let excluded = split_list(params.text_opt("exclude").unwrap_or_default());
    let mut ids: Vec<u32> = match params.text_opt("pool") {
        Some(pool) => {
            let pool = state.pools.get(pool);
            pool.map(|pool| pool.guests.clone()).unwrap_or_default()
        }
        None if params.is_set("all") => {
            let ids = state.vms.keys().chain(state.cts.keys());
            ids.copied().collect()
        }
        None if given.is_empty() => {
            return Err(Fail::param("vmid", "property is missing"));
        }
        None => given.iter().filter_map(|id| id.parse().ok()).collect(),
    };
    ids.retain(|id| on_node(id) && !excluded.contains(&id.to_string().as_str()));
    ids.sort_unstable();
    Ok(ids)
}

fn post(call: &Call) -> Outcome {
    may_back_up(call)?;
    let params = &call.params;
    let storage = params.text_opt("storage").unwrap_or("local").to_owned();
    call.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    let ids = {
        let state = call.world.state();
        if !state.storage(&storage)?.has("backup") {
            return Err(Fail::param(
                "storage",
                format!("storage '{storage}' does not support backups"),
            ));
        }
        chosen(call, &state)?
    };
    for id in &ids {
        call.need(&format!("/vms/{id}"), &["VM.Backup"])?;
    }
    if ids.is_empty() {
        return Ok(serde_json::json!("OK").into());
    }
    let id = match ids.as_slice() {
        [one] => one.to_string(),
        _ => String::new(),
    };
    let node = call.node().to_owned();
    let mode = params.text_opt("mode").unwrap_or("snapshot").to_owned();
    let compress = params.text_opt("compress").unwrap_or("0").to_owned();
    Ok(call.start_task("vzdump", &id, |worker| async move {
        let list: Vec<String> = ids.iter().map(u32::to_string).collect();
        worker.log(format!(
            "INFO: starting new backup job: vzdump {} --storage {storage} --mode {mode}",
            list.join(" ")
        ));
        let mut failed = 0;
        for vmid in ids {
            let result = one(&worker, &node, vmid, (&storage, &mode, &compress)).await;
            if let Err(why) = result {
                worker.log(format!("ERROR: Backup of VM {vmid} failed - {why}"));
                failed += 1;
            }
        }
        worker.log("INFO: Backup job finished successfully");
        match failed {
            0 => Ok(()),
            _ => Err("job errors".to_owned()),
        }
    }))
}

/// Sets or removes the lock of a guest.
fn set_lock(state: &mut State, vmid: u32, lock: Option<&str>) -> Result<&'static str, String> {
    let (kind, config, check) = if let Some(vm) = state.vms.get_mut(&vmid) {
        let check = vm.check_lock();
        ("qemu", &mut vm.config, check)
    } else {
        let ct = state.cts.get_mut(&vmid).ok_or("guest is gone")?;
        let check = ct.check_lock();
        ("lxc", &mut ct.config, check)
    };
    match lock {
        Some(lock) => {
            check.map_err(|fail| fail.text())?;
            config.insert("lock".to_owned(), lock.to_owned());
        }
        None => {
            config.remove("lock");
        }
    }
    Ok(kind)
}

async fn one(
    worker: &Worker,
    node: &str,
    vmid: u32,
    (storage, mode, compress): (&str, &str, &str),
) -> Result<(), String> {
    let kind = set_lock(&mut worker.world.state(), vmid, Some("backup"))?;
    worker.log(format!("INFO: Starting Backup of VM {vmid} ({kind})"));
    worker.log(format!("INFO: backup mode: {mode}"));
    let result = worker.takes(Duration::from_secs(5)).await;
    let mut state = worker.world.state();
    set_lock(&mut state, vmid, None)?;
    result?;
    let stamp = format_description!("[year]_[month]_[day]-[hour]_[minute]_[second]");
    let stamp = OffsetDateTime::now_utc().format(stamp);
    let stamp = stamp.map_err(|error| error.to_string())?;
    let kind_of_file = if kind == "qemu" { "vma" } else { "tar" };
    let compressed = match compress {
        "zstd" => ".zst",
        "gzip" => ".gz",
        "1" | "lzo" => ".lzo",
        _ => "",
    };
    let name = format!("vzdump-{kind}-{vmid}-{stamp}.{kind_of_file}{compressed}");
    let id = format!("{storage}:backup/{name}");
    let mut volume = Volume::file("backup", &name, 1 << 20, Bytes::new());
    volume.owner = Some(vmid);
    state.put_volume(node, &id, volume);
    let file = state
        .storage(storage)
        .map(|storage| storage.file(&format!("backup/{name}")));
    drop(state);
    if let Ok(file) = file {
        worker.log(format!("INFO: creating archive '{file}'"));
    }
    worker.log(format!("INFO: Finished Backup of VM {vmid} (00:00:05)"));
    Ok(())
}
