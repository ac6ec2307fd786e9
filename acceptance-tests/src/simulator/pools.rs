//! Resource pools: made, listed, removed; guests join them when they are created.
//!
//! Storages are no members here.

use serde_json::{Value as Json, json};

use super::call::{Allow, Call, Route, now};
use super::cluster::guest;
use super::reply::{Fail, Outcome, Reply};
use super::rules::formats::split_list;
use super::world::{Pool, State};

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /pools",
        allow: Allow::Anyone,
        rules: "poolid? string pve-poolid; type? string enum=qemu|lxc|storage requires=poolid",
        handler: now!(list),
    },
    Route {
        call: "POST /pools",
        allow: Allow::All("/pool/{poolid}", &["Pool.Allocate"]),
        rules: "comment? string; poolid string pve-poolid",
        handler: now!(add),
    },
    Route {
        call: "GET /pools/{poolid}",
        allow: Allow::All("/pool/{poolid}", &["Pool.Audit"]),
        rules: "poolid string pve-poolid; type? string enum=qemu|lxc|storage",
        handler: now!(read),
    },
    Route {
        call: "PUT /pools",
        allow: Allow::All("/pool/{poolid}", &["Pool.Allocate"]),
        rules: "allow-move? boolean; comment? string; delete? boolean; poolid string pve-poolid
            storage? string pve-storage-id-list; vms? string pve-vmid-list",
        handler: now!(change),
    },
    Route {
        call: "PUT /pools/{poolid}",
        allow: Allow::All("/pool/{poolid}", &["Pool.Allocate"]),
        rules: "allow-move? boolean; comment? string; delete? boolean; poolid string pve-poolid
            storage? string pve-storage-id-list; vms? string pve-vmid-list",
        handler: now!(change),
    },
    Route {
        call: "DELETE /pools/{poolid}",
        allow: Allow::All("/pool/{poolid}", &["Pool.Allocate"]),
        rules: "poolid string pve-poolid",
        handler: now!(remove),
    },
    Route {
        call: "DELETE /pools",
        allow: Allow::All("/pool/{poolid}", &["Pool.Allocate"]),
        rules: "poolid string pve-poolid",
        handler: now!(remove),
    },
];

fn add(call: &Call) -> Outcome {
    let id = call.params.text("poolid");
    let mut state = call.world.state();
    if state.pools.contains_key(id) {
        return Err(Fail::died(format!(
            "create pool failed: pool '{id}' already exists"
        )));
    }
    if let Some((parent, _)) = id.rsplit_once('/')
        && !state.pools.contains_key(parent)
    {
        return Err(Fail::died(format!(
            "create pool failed: parent '{parent}' of pool '{id}' does not exist"
        )));
    }
    let comment = call.params.text_opt("comment").map(str::to_owned);
    state.pools.insert(
        id.to_owned(),
        Pool {
            comment,
            guests: Vec::new(),
        },
    );
    Ok(Reply::null())
}

fn change(call: &Call) -> Outcome {
    let id = call.params.text("poolid");
    let refuse = |why: String| Fail::died(format!("update pools failed: {why}"));
    if !call.world.state().pools.contains_key(id) {
        return Err(refuse(format!("pool '{id}' does not exist")));
    }
    let vms = split_list(call.params.text_opt("vms").unwrap_or_default());
    for vmid in &vms {
        // What fails under the lock of the user list loses its status.
        call.need_change(&format!("/vms/{vmid}"))
            .map_err(|fail| refuse(format!("403 {}", fail.text())))?;
    }
    let mut state = call.world.state();
    for vmid in vms.iter().filter_map(|vmid| vmid.parse::<u32>().ok()) {
        let holder = state
            .pools
            .iter()
            .find(|(_, pool)| pool.guests.contains(&vmid));
        let holder = holder.map(|(name, _)| name.clone());
        match (call.params.is_set("delete"), holder) {
            (true, Some(holder)) if holder == id => {}
            (true, _) => return Err(refuse(format!("VM {vmid} is not a pool member"))),
            (false, Some(holder)) if holder == id => {
                return Err(refuse(format!("VM {vmid} is already a pool member")));
            }
            (false, Some(holder)) if !call.params.is_set("allow-move") => {
                return Err(refuse(format!(
                    "VM {vmid} belongs already to pool '{holder}' and 'allow-move' is not set"
                )));
            }
            (false, _) => {}
        }
        for pool in state.pools.values_mut() {
            pool.guests.retain(|guest| *guest != vmid);
        }
        let pool = state.pools.get_mut(id);
        if let Some(pool) = pool.filter(|_| !call.params.is_set("delete")) {
            pool.guests.push(vmid);
        }
    }
    if let (Some(comment), Some(pool)) = (call.params.text_opt("comment"), state.pools.get_mut(id))
    {
        pool.comment = Some(comment.to_owned());
    }
    Ok(Reply::null())
}

/// A pool with its members, as the cluster's resources show them.
fn with_members(call: &Call, state: &State, id: &str) -> Result<Json, Fail> {
    let pool = state
        .pools
        .get(id)
        .ok_or_else(|| Fail::died(format!("pool '{id}' does not exist")))?;
    let member = |vmid: &u32| {
        let mut entry = guest(state, *vmid, &call.world.settings)?;
        let object = entry.as_object_mut()?;
        object.remove("pool");
        object.remove("tags");
        Some(entry)
    };
    let members: Json = pool.guests.iter().filter_map(member).collect();
    let mut data = json!({"poolid": id, "members": members});
    if let Some(comment) = &pool.comment {
        data["comment"] = json!(comment);
    }
    Ok(data)
}

fn list(call: &Call) -> Outcome {
    if let Some(id) = call.params.text_opt("poolid") {
        call.need(&format!("/pool/{id}"), &["Pool.Audit"])?;
    }
    let state = call.world.state();
    let sees = |id: &str| {
        state
            .allowed(&call.who.id, &format!("/pool/{id}"))
            .contains("Pool.Audit")
    };
    if let Some(id) = call.params.text_opt("poolid") {
        let pool = with_members(call, &state, id)?;
        return Ok(json!([pool]).into());
    }
    let entry = |(id, pool): (&String, &Pool)| {
        let mut data = json!({"poolid": id});
        if let Some(comment) = &pool.comment {
            data["comment"] = json!(comment);
        }
        data
    };
    Ok(state
        .pools
        .iter()
        .filter(|(id, _)| sees(id))
        .map(entry)
        .collect::<Json>()
        .into())
}

fn read(call: &Call) -> Outcome {
    let state = call.world.state();
    let mut data = with_members(call, &state, call.params.text("poolid"))?;
    if data.get("comment").is_none() {
        data["comment"] = Json::Null;
    }
    Ok(data.into())
}

fn remove(call: &Call) -> Outcome {
    let id = call.params.text("poolid");
    let mut state = call.world.state();
    let missing = || Fail::died(format!("delete pool failed: pool '{id}' does not exist"));
    let pool = state.pools.get(id).ok_or_else(missing)?;
    if let Some(vmid) = pool.guests.first() {
        return Err(Fail::died(format!(
            "delete pool failed: pool '{id}' is not empty (contains VM {vmid})"
        )));
    }
    let below = format!("{id}/");
    if let Some(child) = state.pools.keys().find(|other| other.starts_with(&below)) {
        return Err(Fail::died(format!(
            "delete pool failed: pool '{id}' is not empty (contains pool '{child}')"
        )));
    }
    state.pools.remove(id);
    Ok(Reply::null())
}
