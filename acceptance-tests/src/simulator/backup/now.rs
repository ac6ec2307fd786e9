//! A backup now: a task that locks each guest for as long as it takes.

use std::time::Duration;

use axum::body::Bytes;
use time::OffsetDateTime;

use super::may_back_up;
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::lxc::Ct;
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::rules::formats::split_list;
use crate::simulator::storage::Volume;
use crate::simulator::storage::kinds::Names;
use crate::simulator::storage::prune::{self, Chosen};
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
    let text = |name: &str| params.text_opt(name).map(str::to_owned);
    let removes = params.text_opt("remove").is_none_or(|is| is == "1");
    let wishes = Wishes {
        storage,
        mode: text("mode").unwrap_or_else(|| "snapshot".to_owned()),
        compress: text("compress").unwrap_or_else(|| "0".to_owned()),
        notes: text("notes-template"),
        protected: params.is_set("protected"),
        removes,
        keep: params.text_opt("prune-backups").map(prune::keep),
    };
    Ok(call.start_task("vzdump", &id, |worker| async move {
        let list: Vec<String> = ids.iter().map(u32::to_string).collect();
        worker.log(format!(
            "INFO: starting new backup job: vzdump {} --storage {} --mode {}",
            list.join(" "),
            wishes.storage,
            wishes.mode,
        ));
        let mut failed = 0;
        for vmid in ids {
            if let Err(why) = one(&worker, &node, vmid, &wishes).await {
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

/// How a backup is made, and what becomes of those before it.
struct Wishes {
    storage: String,
    mode: String,
    compress: String,
    notes: Option<String>,
    protected: bool,
    /// Whether older ones are pruned, by these rules or by those of the storage.
    removes: bool,
    keep: Option<prune::Keep>,
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

async fn one(worker: &Worker, node: &str, vmid: u32, wishes: &Wishes) -> Result<(), String> {
    let kind = set_lock(&mut worker.world.state(), vmid, Some("backup"))?;
    worker.log(format!("INFO: Starting Backup of VM {vmid} ({kind})"));
    worker.log(format!("INFO: backup mode: {}", wishes.mode));
    let result = worker.takes(Duration::from_secs(5)).await;
    let lines = {
        let mut state = worker.world.state();
        set_lock(&mut state, vmid, None)?;
        result?;
        archive(&mut state, node, (kind, vmid), wishes)
    };
    worker.log_all(lines.map_err(|fail| fail.text())?);
    worker.log(format!("INFO: Finished Backup of VM {vmid} (00:00:05)"));
    Ok(())
}

/// Puts the archive there and prunes the older ones; what the log says of it.
fn archive(
    state: &mut State,
    node: &str,
    (kind, vmid): (&str, u32),
    wishes: &Wishes,
) -> Result<Vec<String>, Fail> {
    let storage = state.storage(&wishes.storage)?;
    storage.check_on(node)?;
    let (name, format) = name(kind, vmid, &wishes.compress, storage.kind().names);
    let mut log = vec![format!("INFO: creating archive '{}'", storage.file(&name))];
    let has_rules = storage.options.contains_key("prune-backups");
    let id = format!("{}:{name}", storage.id);
    let guest = match state.vms.get(&vmid) {
        Some(vm) => vm.config.get("name").cloned(),
        None => state.cts.get(&vmid).map(Ct::name),
    };
    let notes = wishes.notes.as_ref().map(|text| {
        text.replace("{{guestname}}", &guest.unwrap_or_default())
            .replace("{{node}}", node)
            .replace("{{vmid}}", &vmid.to_string())
    });
    let volume = Volume {
        format,
        owner: Some(vmid),
        notes,
        protected: wishes.protected,
        ..Volume::file("backup", &name, 1 << 20, Bytes::new())
    };
    state.put_volume(node, &id, volume);
    if wishes.removes && (wishes.keep.is_some() || has_rules) {
        let chosen = Chosen {
            kind: Some(kind.to_owned()),
            owner: Some(vmid),
            keep: wishes.keep.clone(),
        };
        let gone = state.prune(node, &wishes.storage, &chosen)?;
        log.extend(
            gone.iter()
                .map(|id| format!("INFO: removing backup '{id}'")),
        );
    }
    Ok(log)
}

/// The name of a new backup, and its format.
fn name(kind: &str, vmid: u32, compress: &str, names: Names) -> (String, String) {
    let now = OffsetDateTime::now_utc();
    let (date, (hour, minute, second)) = (now.date(), now.to_hms());
    if names == Names::Pbs {
        let kind = if kind == "qemu" { "vm" } else { "ct" };
        let stamp = format!("{date}T{hour:02}:{minute:02}:{second:02}Z");
        return (
            format!("backup/{kind}/{vmid}/{stamp}"),
            format!("pbs-{kind}"),
        );
    }
    let date = date.to_string().replace('-', "_");
    let stamp = format!("{date}-{hour:02}_{minute:02}_{second:02}");
    let archive = if kind == "qemu" { "vma" } else { "tar" };
    let format = match compress {
        "zstd" => format!("{archive}.zst"),
        "gzip" => format!("{archive}.gz"),
        "1" | "lzo" => format!("{archive}.lzo"),
        _ => archive.to_owned(),
    };
    (
        format!("backup/vzdump-{kind}-{vmid}-{stamp}.{format}"),
        format,
    )
}
