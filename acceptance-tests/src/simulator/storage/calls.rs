//! The calls that list storages and volumes, and that delete volumes.
//!
//! Storages are not configured here; downloads and uploads have their own files.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{Storage, Volume};
use crate::simulator::call::{Allow, Call, Route, later, now, tell};
use crate::simulator::reply::{Fail, Outcome, Reply};
use crate::simulator::rules::{Kind, set};
use crate::simulator::world::State;

const SEES: Allow = Allow::Any(
    "/storage/{storage}",
    &["Datastore.Audit", "Datastore.AllocateSpace"],
);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /storage",
        allow: Allow::Anyone,
        rules: "type? string enum=btrfs|cephfs|cifs|dir|esxi|iscsi|iscsidirect|lvm|lvmthin|nfs|pbs|rbd|zfs|zfspool",
        handler: tell!(configured),
    },
    Route {
        call: "GET /nodes/{node}/storage",
        allow: Allow::Anyone,
        rules: "+node; content? string pve-storage-content-list; enabled? boolean; format? boolean
            storage? string pve-storage-id; target? string pve-node",
        handler: tell!(list),
    },
    Route {
        call: "GET /nodes/{node}/storage/{storage}/status",
        allow: SEES,
        rules: "+storage",
        handler: now!(status),
    },
    Route {
        call: "GET /nodes/{node}/storage/{storage}/content",
        allow: SEES,
        rules: "+storage; content? string pve-storage-content
            vmid? integer pve-vmid min=100 max=999999999",
        handler: now!(content),
    },
    Route {
        call: "GET /nodes/{node}/storage/{storage}/content/{volume}",
        allow: Allow::Anyone,
        rules: "+node; storage? string pve-storage-id; volume string",
        handler: now!(volume),
    },
    Route {
        call: "DELETE /nodes/{node}/storage/{storage}/content/{volume}",
        allow: Allow::Anyone,
        rules: "+node; storage? string pve-storage-id; volume string; delay? integer min=1 max=30",
        handler: later!(delete),
    },
];

fn configured(call: &Call) -> Json {
    let state = call.world.state();
    let visible = state.storages.iter().filter(|storage| {
        sees(call, &state, &storage.id)
            && call
                .params
                .text_opt("type")
                .is_none_or(|kind| kind == storage.kind)
    });
    let entry = |storage| configured_entry(&state, storage);
    Json::Array(visible.map(entry).collect())
}

/// A storage as it is configured.
pub(crate) fn configured_entry(state: &State, storage: &Storage) -> Json {
    let mut entry = json!({
        "storage": storage.id, "type": storage.kind, "content": storage.content,
        "digest": super::config::digest(state),
    });
    if storage.is_file_based() {
        entry["path"] = json!(storage.path);
    }
    if storage.implicit {
        entry["priority"] = json!(0);
    }
    if storage.id == "local" {
        entry["prune-backups"] = json!("keep-all=1");
    }
    for (name, value) in &storage.options {
        let rule = set("storage-options").rule(name);
        entry[name] = match rule.map(|rule| rule.kind) {
            Some(Kind::Integer | Kind::Boolean) => value
                .parse::<i64>()
                .map_or_else(|_| json!(value), |number| json!(number)),
            _ => json!(value),
        };
    }
    for (key, is) in [("shared", storage.shared), ("disable", storage.disabled)] {
        if is {
            entry[key] = json!(1);
        }
    }
    entry
}

fn sees(call: &Call, state: &State, storage: &str) -> bool {
    let allowed = state.allowed(&call.who.id, &format!("/storage/{storage}"));
    allowed.contains("Datastore.Audit") || allowed.contains("Datastore.AllocateSpace")
}

/// What the status and the list of a node tell of a storage.
fn facts(storage: &Storage, volumes: &BTreeMap<(String, String), Volume>, node: &str) -> Json {
    let own = |((place, id), _): &(&(String, String), &Volume)| {
        (place.is_empty() || place == node) && id.split(':').next() == Some(&storage.id)
    };
    let is_on = storage.check_on(node).is_ok();
    let on = u8::from(is_on);
    // Thin volumes take what is written to them; files their size.
    let used: u64 = volumes
        .iter()
        .filter(own)
        .map(|(_, v)| v.bytes.min(1 << 30))
        .sum();
    let total = if is_on { storage.total } else { 0 };
    let used = used.min(total);
    json!({
        "type": storage.kind, "content": storage.content, "enabled": on, "active": on,
        "shared": u8::from(storage.shared), "total": total, "used": used, "avail": total - used,
    })
}

fn list(call: &Call) -> Json {
    let params = &call.params;
    let state = call.world.state();
    let wanted: Vec<&str> = params
        .text_opt("content")
        .map(|text| text.split(',').collect())
        .unwrap_or_default();
    let found = state.storages.iter().filter(|storage| {
        sees(call, &state, &storage.id)
            && params.text_opt("storage").is_none_or(|id| id == storage.id)
            && (wanted.is_empty() || wanted.iter().any(|one| storage.has(one)))
            && (wanted.is_empty() || storage.check_on(call.node()).is_ok())
            && !(storage.disabled && params.is_set("enabled"))
    });
    let entry = |storage: &Storage| {
        let mut entry = facts(storage, &state.volumes, call.node());
        entry["storage"] = json!(storage.id);
        let fraction = |key: &str| entry[key].as_f64().unwrap_or_default();
        if fraction("total") > 0.0 {
            entry["used_fraction"] = json!(fraction("used") / fraction("total"));
        }
        entry
    };
    Json::Array(found.map(entry).collect())
}

fn status(call: &Call) -> Outcome {
    let state = call.world.state();
    let storage = state
        .storage(call.params.text("storage"))
        .map_err(|_| Fail::param("storage", "No such storage."))?;
    Ok(facts(storage, &state.volumes, call.node()).into())
}

fn content(call: &Call) -> Outcome {
    let all = call.world.state().volumes.clone();
    let denied = |id: &&String| call.may_use_volume(None, id, None).is_err();
    let hidden: BTreeSet<&String> = all.keys().map(|(_, id)| id).filter(denied).collect();
    let state = call.world.state();
    let configured = state.storage(call.params.text("storage"))?;
    configured.check_on(call.node())?;
    let storage = configured.id.as_str();
    let kind = call.params.text_opt("content");
    let owner = call.params.number_opt("vmid");
    let found = state.volumes.iter().filter(|((place, id), volume)| {
        (place.is_empty() || place == call.node())
            && id.split(':').next() == Some(storage)
            && configured.has(volume.content)
            && !hidden.contains(id)
            && kind.is_none_or(|kind| kind == volume.content)
            && owner.is_none_or(|owner| volume.owner.map(i64::from) == Some(owner))
    });
    let entry = |((_, id), volume): (&(String, String), &Volume)| {
        let mut entry = json!({
            "volid": id, "content": volume.content, "format": volume.format,
            "size": volume.bytes, "ctime": volume.ctime,
        });
        if let Some(owner) = volume.owner {
            entry["vmid"] = json!(owner);
            if volume.content != "backup" {
                entry["parent"] = json!(volume.parent);
                entry["used"] = json!(volume.bytes.min(4096));
            }
        }
        if let Some(notes) = &volume.notes {
            entry["notes"] = json!(notes);
        }
        if volume.protected {
            entry["protected"] = json!(1);
        }
        entry
    };
    Ok(Json::Array(found.map(entry).collect()).into())
}

/// The volume id of the path, which may lack its storage.
pub(crate) fn volume_id(call: &Call) -> Result<(String, String), Fail> {
    let name = call.params.text("volume");
    let of_path = call.params.text_opt("storage").unwrap_or_default();
    match name.split_once(':') {
        Some((storage, _)) if storage != of_path => Err(Fail::param(
            "storage",
            format!("storage ID mismatch ({of_path} != {storage})"),
        )),
        Some((storage, _)) => Ok((name.to_owned(), storage.to_owned())),
        None => Ok((format!("{of_path}:{name}"), of_path.to_owned())),
    }
}

fn volume(call: &Call) -> Outcome {
    let (id, storage) = volume_id(call)?;
    call.may_use_volume(None, &id, None)?;
    let state = call.world.state();
    let name = id.split_once(':').map_or(id.as_str(), |(_, name)| name);
    let storage = state.storage(&storage)?;
    let volume = state
        .volume(call.node(), &id)
        .ok_or_else(|| Fail::died(format!("volume_size_info on '{id}' failed - no format")))?;
    let format = if volume.content == "iso" {
        "raw"
    } else {
        &volume.format
    };
    let used = volume.bytes.next_multiple_of(4096);
    Ok(json!({
        "path": storage.file(name), "format": format, "size": volume.virtual_bytes, "used": used,
    })
    .into())
}

async fn delete(call: Call) -> Outcome {
    let (id, storage) = volume_id(&call)?;
    let name = id
        .split_once(':')
        .map_or_else(String::new, |(_, name)| name.to_owned());
    let (owner, in_use) = {
        let state = call.world.state();
        let kind = state
            .storage(&storage)?
            .parse_name(&name)
            .map_err(Fail::died)?;
        let is_image = kind.0 == "images";
        let holder = kind
            .1
            .filter(|owner| is_image && state.guest(*owner).is_some());
        (kind, holder)
    };
    let path = format!("/storage/{storage}");
    let owner = match owner {
        ("backup", Some(owner)) => {
            call.need(&path, &["Datastore.AllocateSpace"])?;
            call.need(&format!("/vms/{owner}"), &["VM.Backup"])?;
            Some(owner)
        }
        (_, owner) => {
            call.need(&path, &["Datastore.Allocate"])?;
            owner
        }
    };
    if let Some(owner) = in_use {
        return Err(Fail::died(format!(
            "cannot remove volume '{id}' - guest with VMID '{owner}' exists: Use the guest's \
             hardware panel instead"
        )));
    }
    let task_id = owner.map_or_else(|| storage.clone(), |owner| format!("{owner}@{storage}"));
    let node = call.node().to_owned();
    let reply = call.start_task("imgdel", &task_id, |worker| async move {
        worker.takes(Duration::from_millis(500)).await?;
        {
            let mut state = worker.world.state();
            if state.volume(&node, &id).is_none() {
                let file = state
                    .storage(&storage)
                    .map(|s| s.file(&name))
                    .unwrap_or_default();
                drop(state);
                worker.log(format!("disk image '{file}' does not exist"));
            } else if state.volume(&node, &id).is_some_and(|it| it.protected) {
                return Err(format!(
                    "cannot remove protected volume '{name}' on '{storage}'"
                ));
            } else {
                state.free_volume(&node, &id)?;
            }
        }
        worker.log(format!("Removed volume '{id}'"));
        Ok(())
    });
    let Some(delay) = call.params.number_opt("delay") else {
        return Ok(reply);
    };
    // Within the delay the task's end is the answer.
    let upid = reply.data.as_str().unwrap_or_default().to_owned();
    let patience = Duration::from_secs(u64::try_from(delay).unwrap_or_default());
    match call
        .world
        .clock
        .timeout(patience, call.world.task_end(&upid))
        .await
    {
        Some(exit) if exit == "OK" => Ok(Reply::null()),
        Some(exit) => Err(Fail::died(exit)),
        None => Ok(reply),
    }
}
