//! The calls that configure storages.
//!
//! Nothing is mounted or logged in to: a server, a share and a pool are there if they are said to be.

use std::collections::BTreeMap;

use serde_json::json;

use super::Storage;
use super::checksum::sha1;
use super::kinds::{Kind, SECRET};
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::reply::{Fail, Outcome, Reply};
use crate::simulator::rules::formats::split_list;
use crate::simulator::world::State;

const ADMIN: Allow = Allow::All("/storage", &["Datastore.Allocate"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "POST /storage",
        allow: ADMIN,
        rules: "+storage-options; +storage-fixed; storage string pve-storage-id",
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
        rules: "+storage-options; storage string pve-storage-id; digest? string len=..64
            delete? string pve-configid-list len=..4096",
        handler: now!(change),
    },
    Route {
        call: "DELETE /storage/{storage}",
        allow: ADMIN,
        rules: "storage string pve-storage-id",
        handler: now!(remove),
    },
];

/// The digest of the storage configuration; what is implicit stands in no file.
pub(crate) fn digest(state: &State) -> String {
    let written = state.storages.iter().filter(|storage| !storage.implicit);
    let text: String = written.map(|storage| format!("{storage:?}")).collect();
    sha1(&text)
}

/// The options among the parameters.
fn options(call: &Call) -> BTreeMap<String, String> {
    let meta = ["storage", "type", "delete", "digest"];
    let given = call
        .params
        .0
        .keys()
        .filter(|name| !meta.contains(&name.as_str()));
    given
        .filter_map(|name| Some((name.clone(), call.params.text_opt(name)?.to_owned())))
        .collect()
}

/// Sets the options of a storage; some have a place of their own.
fn set(storage: &mut Storage, options: BTreeMap<String, String>) {
    for (name, value) in options {
        match name.as_str() {
            "path" => storage.path = value,
            "content" => storage.content = split_list(&value).join(","),
            "shared" => storage.shared = value == "1",
            "disable" => storage.disabled = value == "1",
            name if SECRET.contains(&name) => {}
            _ => {
                storage.options.insert(name, value);
            }
        }
    }
}

/// Writes the configuration: all storages stand in it from now on.
fn written(state: &mut State) {
    for storage in &mut state.storages {
        storage.implicit = false;
    }
}

fn add(call: &Call) -> Outcome {
    let (id, kind) = (call.params.text("storage"), call.params.text("type"));
    let mut state = call.world.state();
    let known = Kind::find(kind)?;
    let options = options(call);
    check_contents(known, &options)?;
    if let Some(name) = known
        .fixed
        .iter()
        .find(|name| !options.contains_key(**name))
    {
        return Err(Fail::died(format!(
            "missing value for required option '{name}'"
        )));
    }
    let all = |name: &&String| {
        known.fixed.contains(&name.as_str()) || known.optional.contains(&name.as_str())
    };
    if let Some(name) = options.keys().find(|name| !all(name)) {
        return Err(Fail::died(format!("unexpected property '{name}'")));
    }
    if state.storages.iter().any(|storage| storage.id == id) {
        return Err(Fail::died(format!(
            "create storage failed: storage ID '{id}' already defined"
        )));
    }
    let mut storage = Storage::new(id, known);
    set(&mut storage, options);
    written(&mut state);
    state.storages.push(storage);
    Ok(json!({"storage": id, "type": kind}).into())
}

fn check_contents(kind: &Kind, options: &BTreeMap<String, String>) -> Result<(), Fail> {
    match options.get("content") {
        Some(contents) => kind.check_contents(&split_list(contents)),
        None => Ok(()),
    }
}

fn read(call: &Call) -> Outcome {
    let state = call.world.state();
    let storage = state.storage(call.params.text("storage"))?;
    Ok(super::calls::configured_entry(&state, storage).into())
}

fn change(call: &Call) -> Outcome {
    changed(call).map_err(|fail| match fail {
        Fail::Died(why) => Fail::Died(format!("update storage failed: {why}")),
        other => other,
    })
}

fn changed(call: &Call) -> Outcome {
    let params = &call.params;
    let mut state = call.world.state();
    if params
        .text_opt("digest")
        .is_some_and(|given| given != digest(&state))
    {
        return Err(Fail::died(
            "detected modified configuration - file changed by other user? Try again.",
        ));
    }
    let id = params.text("storage");
    let kind = state.storage(id)?.kind.clone();
    let known = Kind::find(&kind)?;
    let options = options(call);
    check_contents(known, &options)?;
    if let Some(name) = options
        .keys()
        .find(|name| !known.optional.contains(&name.as_str()))
    {
        return Err(Fail::died(format!("unexpected property '{name}'")));
    }
    let delete = split_list(params.text_opt("delete").unwrap_or_default());
    for name in &delete {
        if known.fixed.contains(name) {
            return Err(Fail::died(format!(
                "unable to delete required option '{name}'"
            )));
        }
        if !known.optional.contains(name) {
            return Err(Fail::died(format!("no such option '{name}'")));
        }
        if params.text_opt(name).is_some() {
            return Err(Fail::died(format!(
                "cannot set and delete property '{name}' at the same time!"
            )));
        }
    }
    written(&mut state);
    let storage = state.storages.iter_mut().find(|storage| storage.id == id);
    if let Some(storage) = storage {
        set(storage, options);
        for name in delete {
            match name {
                "content" => known.default.clone_into(&mut storage.content),
                "shared" => storage.shared = known.shared,
                "disable" => storage.disabled = false,
                name => drop(storage.options.remove(name)),
            }
        }
    }
    Ok(json!({"storage": id, "type": kind}).into())
}

fn remove(call: &Call) -> Outcome {
    let id = call.params.text("storage");
    let mut state = call.world.state();
    state
        .storage(id)
        .map_err(|fail| Fail::died(format!("delete storage failed: {}", fail.text())))?;
    written(&mut state);
    state.storages.retain(|storage| storage.id != id);
    Ok(Reply::null())
}
