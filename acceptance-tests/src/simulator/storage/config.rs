//! The calls that configure storages: directories and thin pools.
//!
//! Other types are known by name only, and refused.

use serde_json::json;

use super::Storage;
use super::checksum::sha1;
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::reply::{Fail, Outcome, Reply};
use crate::simulator::world::State;

const ADMIN: Allow = Allow::All("/storage", &["Datastore.Allocate"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "POST /storage",
        allow: ADMIN,
        rules: "storage string pve-storage-id
            type string enum=btrfs|cephfs|cifs|dir|esxi|iscsi|iscsidirect|lvm|lvmthin|nfs|pbs|rbd|zfs|zfspool
            content? string pve-storage-content-list; disable? boolean; path? string; shared? boolean
            thinpool? string; vgname? string",
        handler: now!(add),
    },
    Route {
        call: "GET /storage/{storage}",
        allow: Allow::All("/storage/{storage}", &["Datastore.Allocate"]),
        rules: "storage string pve-storage-id",
        handler: now!(read),
    },
    Route {
        call: "PUT /storage/{storage}",
        allow: ADMIN,
        rules: "storage string pve-storage-id; content? string pve-storage-content-list
            digest? string len=..64; disable? boolean; shared? boolean",
        handler: now!(change),
    },
    Route {
        call: "DELETE /storage/{storage}",
        allow: ADMIN,
        rules: "storage string pve-storage-id",
        handler: now!(remove),
    },
];

/// The digest of the storage configuration.
pub(crate) fn digest(state: &State) -> String {
    sha1(&format!("{:?}", state.storages))
}

fn add(call: &Call) -> Outcome {
    let params = &call.params;
    let (id, kind) = (params.text("storage"), params.text("type"));
    let mut state = call.world.state();
    if state.storages.iter().any(|storage| storage.id == id) {
        return Err(Fail::died(format!(
            "create storage failed: storage ID '{id}' already defined"
        )));
    }
    let (needed, foreign): (&[&str], &[&str]) = match kind {
        "dir" => (&["path"], &["vgname", "thinpool"]),
        "lvmthin" => (&["vgname", "thinpool"], &["path"]),
        other => {
            return Err(Fail::died(format!(
                "the simulator has no storages of type '{other}'"
            )));
        }
    };
    if let Some(name) = needed.iter().find(|name| params.text_opt(name).is_none()) {
        return Err(Fail::died(format!(
            "missing value for required option '{name}'"
        )));
    }
    if let Some(name) = foreign.iter().find(|name| params.text_opt(name).is_some()) {
        return Err(Fail::died(format!("unexpected property '{name}'")));
    }
    let content = params.text_opt("content").unwrap_or("images,rootdir");
    let path = params.text_opt("path").unwrap_or_default();
    state.storages.push(Storage {
        kind: kind.to_owned(),
        shared: params.is_set("shared"),
        disabled: params.is_set("disable"),
        ..Storage::dir(id, path, content)
    });
    Ok(json!({"storage": id, "type": kind}).into())
}

fn read(call: &Call) -> Outcome {
    let state = call.world.state();
    let storage = state.storage(call.params.text("storage"))?;
    Ok(super::calls::configured_entry(&state, storage).into())
}

fn change(call: &Call) -> Outcome {
    let params = &call.params;
    let mut state = call.world.state();
    if params
        .text_opt("digest")
        .is_some_and(|given| given != digest(&state))
    {
        return Err(Fail::died(
            "update storage failed: detected modified configuration - file changed by other user? Try again.",
        ));
    }
    let id = params.text("storage");
    let found = state.storages.iter_mut().find(|storage| storage.id == id);
    let storage = found.ok_or_else(|| {
        Fail::died(format!(
            "update storage failed: storage '{id}' does not exist"
        ))
    })?;
    if let Some(content) = params.text_opt("content") {
        content.clone_into(&mut storage.content);
    }
    if params.text_opt("disable").is_some() {
        storage.disabled = params.is_set("disable");
    }
    if params.text_opt("shared").is_some() {
        storage.shared = params.is_set("shared");
    }
    Ok(json!({"storage": id, "type": storage.kind}).into())
}

fn remove(call: &Call) -> Outcome {
    let id = call.params.text("storage");
    let mut state = call.world.state();
    state
        .storage(id)
        .map_err(|fail| Fail::died(format!("delete storage failed: {}", fail.text())))?;
    state.storages.retain(|storage| storage.id != id);
    Ok(Reply::null())
}
