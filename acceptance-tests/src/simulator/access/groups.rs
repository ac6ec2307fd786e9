//! The calls on groups of users.

use serde_json::{Value as Json, json};

use crate::simulator::call::{Allow, Call, Route, now, tell};
use crate::simulator::reply::{Fail, Outcome, Reply};
use crate::simulator::world::State;

const ADMIN: Allow = Allow::All("/access/groups", &["Group.Allocate"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /access/groups",
        allow: Allow::Anyone,
        rules: "",
        handler: tell!(list),
    },
    Route {
        call: "POST /access/groups",
        allow: ADMIN,
        rules: "comment? string; groupid string pve-groupid",
        handler: now!(add),
    },
    Route {
        call: "GET /access/groups/{groupid}",
        allow: Allow::Any("/access/groups", &["Sys.Audit", "Group.Allocate"]),
        rules: "groupid string pve-groupid",
        handler: now!(one),
    },
    Route {
        call: "PUT /access/groups/{groupid}",
        allow: ADMIN,
        rules: "comment? string; groupid string pve-groupid",
        handler: now!(change),
    },
    Route {
        call: "DELETE /access/groups/{groupid}",
        allow: ADMIN,
        rules: "groupid string pve-groupid",
        handler: now!(remove),
    },
];

fn members<'a>(state: &'a State, group: &'a str) -> impl Iterator<Item = &'a str> {
    let users = state.access.users.iter();
    users
        .filter(move |(_, user)| user.groups.contains(group))
        .map(|(name, _)| name.as_str())
}

fn list(call: &Call) -> Json {
    let state = call.world.state();
    let sees = |group: &str| {
        let allowed = state.allowed(&call.who.id, "/access/groups");
        let below = state.allowed(&call.who.id, &format!("/access/groups/{group}"));
        let needed = ["User.Modify", "Sys.Audit", "Group.Allocate"];
        needed
            .iter()
            .any(|privilege| allowed.contains(*privilege) || below.contains(*privilege))
    };
    let entry = |(id, comment): (&String, &Option<String>)| {
        let users: Vec<&str> = members(&state, id).collect();
        let mut entry = json!({"groupid": id, "users": users.join(",")});
        if let Some(comment) = comment {
            entry["comment"] = json!(comment);
        }
        entry
    };
    let groups = state.access.groups.iter();
    groups.filter(|(id, _)| sees(id)).map(entry).collect()
}

fn add(call: &Call) -> Outcome {
    let id = call.params.text("groupid");
    let mut state = call.world.state();
    if state.access.groups.contains_key(id) {
        return Err(Fail::died(format!(
            "create group failed: group '{id}' already exists"
        )));
    }
    let comment = call.params.text_opt("comment").map(str::to_owned);
    state.access.groups.insert(id.to_owned(), comment);
    Ok(Reply::null())
}

fn one(call: &Call) -> Outcome {
    let id = call.params.text("groupid");
    let state = call.world.state();
    let comment = state.access.groups.get(id);
    let comment = comment.ok_or_else(|| Fail::died(format!("group '{id}' does not exist")))?;
    let mut data = json!({"members": members(&state, id).collect::<Vec<_>>()});
    if let Some(comment) = comment {
        data["comment"] = json!(comment);
    }
    Ok(data.into())
}

fn change(call: &Call) -> Outcome {
    let id = call.params.text("groupid");
    let mut state = call.world.state();
    let missing = || Fail::died(format!("update group failed: group '{id}' does not exist"));
    let comment = state.access.groups.get_mut(id).ok_or_else(missing)?;
    if let Some(text) = call.params.text_opt("comment") {
        *comment = Some(text.to_owned()).filter(|text| !text.is_empty());
    }
    Ok(Reply::null())
}

fn remove(call: &Call) -> Outcome {
    let id = call.params.text("groupid");
    let mut state = call.world.state();
    if state.access.groups.remove(id).is_none() {
        return Err(Fail::died(format!(
            "delete group failed: group '{id}' does not exist"
        )));
    }
    for user in state.access.users.values_mut() {
        user.groups.remove(id);
    }
    let subject = format!("@{id}");
    state.access.list.retain(|entry| entry.subject != subject);
    Ok(Reply::null())
}
