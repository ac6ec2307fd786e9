//! The calls on roles and on the access control list.
//!
//! What the list means is computed in `access`.

use std::sync::LazyLock;

use serde_json::{Value as Json, json};

use super::{BUILT_IN, Entry, Privileges, privileges};
use crate::simulator::call::{Allow, Call, Route, now, tell};
use crate::simulator::reply::{Fail, Outcome, Reply};
use crate::simulator::rules::formats::split_list;
use crate::simulator::rules::pattern::Pattern;

const ROLES: Allow = Allow::All("/access", &["Sys.Modify"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /access/roles",
        allow: Allow::Anyone,
        rules: "",
        handler: tell!(roles),
    },
    Route {
        call: "GET /access/roles/{roleid}",
        allow: Allow::Anyone,
        rules: "roleid string pve-roleid",
        handler: now!(role),
    },
    Route {
        call: "POST /access/roles",
        allow: ROLES,
        rules: "roleid string pve-roleid; privs? string pve-priv-list",
        handler: now!(add_role),
    },
    Route {
        call: "PUT /access/roles/{roleid}",
        allow: ROLES,
        rules: "append? boolean requires=privs; privs? string pve-priv-list; roleid string pve-roleid",
        handler: now!(change_role),
    },
    Route {
        call: "DELETE /access/roles/{roleid}",
        allow: ROLES,
        rules: "roleid string pve-roleid",
        handler: now!(remove_role),
    },
    Route {
        call: "GET /access/acl",
        allow: Allow::Anyone,
        rules: "",
        handler: tell!(list),
    },
    Route {
        call: "PUT /access/acl",
        allow: Allow::Anyone,
        rules: "path string; roles string pve-roleid-list; delete? boolean; propagate? boolean
            groups? string pve-groupid-list; tokens? string pve-tokenid-list
            users? string pve-userid-list",
        handler: now!(change_list),
    },
];

fn joined(privileges: &Privileges) -> String {
    privileges
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(",")
}

fn is_built_in(role: &str) -> bool {
    matches!(role, "Administrator" | "NoAccess") || BUILT_IN.iter().any(|(name, _)| *name == role)
}

fn roles(call: &Call) -> Json {
    let state = call.world.state();
    let entry = |(id, privileges): (&String, &Privileges)| json!({"roleid": id, "privs": joined(privileges), "special": u8::from(is_built_in(id))});
    state.access.roles.iter().map(entry).collect::<Json>()
}

fn role(call: &Call) -> Outcome {
    let id = call.params.text("roleid");
    let state = call.world.state();
    let found = state.access.roles.get(id);
    let found = found.ok_or_else(|| Fail::died(format!("role '{id}' does not exist")))?;
    Ok(found
        .iter()
        .map(|name| (name.clone(), json!(1)))
        .collect::<Json>()
        .into())
}

fn add_role(call: &Call) -> Outcome {
    let id = call.params.text("roleid");
    if id.to_lowercase().starts_with("pve") {
        let text = "cannot use role ID starting with the (case-insensitive) 'PVE' namespace";
        return Err(Fail::param("roleid", text));
    }
    let mut state = call.world.state();
    if state.access.roles.contains_key(id) {
        return Err(Fail::died(format!(
            "create role failed: role '{id}' already exists"
        )));
    }
    let privs = call.params.text_opt("privs").unwrap_or_default();
    let list = privileges(privs, call.world.settings.release);
    state.access.roles.insert(id.to_owned(), list);
    Ok(Reply::null())
}

fn change_role(call: &Call) -> Outcome {
    let id = call.params.text("roleid");
    let failed = |why: String| Fail::died(format!("modify role failed: {why}"));
    if is_built_in(id) {
        return Err(failed(format!(
            "auto-generated role '{id}' cannot be modified"
        )));
    }
    let list = privileges(
        call.params.text_opt("privs").unwrap_or_default(),
        call.world.settings.release,
    );
    let mut state = call.world.state();
    let role = state.access.roles.get_mut(id);
    let role = role.ok_or_else(|| failed(format!("role '{id}' does not exist")))?;
    if !call.params.is_set("append") {
        role.clear();
    }
    role.extend(list);
    Ok(Reply::null())
}

fn remove_role(call: &Call) -> Outcome {
    let id = call.params.text("roleid");
    let mut state = call.world.state();
    if is_built_in(id) {
        return Err(Fail::died(format!(
            "delete role failed: auto-generated role '{id}' cannot be deleted"
        )));
    }
    if state.access.roles.remove(id).is_none() {
        return Err(Fail::died(format!(
            "delete role failed: role '{id}' does not exist"
        )));
    }
    state.access.list.retain(|entry| entry.role != id);
    Ok(Reply::null())
}

fn list(call: &Call) -> Json {
    let state = call.world.state();
    let sees = |entry: &&Entry| {
        state.allowed(&call.who.id, "/access").contains("Sys.Audit")
            || state
                .allowed(&call.who.id, &entry.path)
                .contains("Permissions.Modify")
    };
    let shown = |entry: &Entry| {
        let (kind, name) = match entry.subject.strip_prefix('@') {
            Some(group) => ("group", group),
            None if entry.subject.contains('!') => ("token", entry.subject.as_str()),
            None => ("user", entry.subject.as_str()),
        };
        json!({
            "path": entry.path, "type": kind, "ugid": name, "roleid": entry.role,
            "propagate": u8::from(entry.propagate),
        })
    };
    state
        .access
        .list
        .iter()
        .filter(sees)
        .map(shown)
        .collect::<Json>()
}

/// Whether the access control list knows paths of this kind.
fn is_path(path: &str) -> bool {
    static KNOWN: LazyLock<Pattern> = LazyLock::new(|| {
        let one = r"/[[:alnum:].\-_]+";
        let paths = [
            "/",
            &format!("/access(/(groups|realm)({one})?)?"),
            &format!("/nodes({one})?"),
            &format!("/pool({one}){{0,3}}"),
            r"/sdn(/controllers(/[[:alnum:]_\-]+)?|/(dns|ipams)(/[[:alnum:]]+)?)?",
            &format!("/sdn/zones({one}({one}(/[1-9][0-9]{{0,3}})?)?)?"),
            &format!("/storage({one})?"),
            "/vms(/[1-9][0-9]{2,})?",
            &format!("/mapping({one}){{0,2}}"),
        ];
        Pattern::new(&paths.join("|"))
    });
    KNOWN.matches(path)
}

fn change_list(call: &Call) -> Outcome {
    let params = &call.params;
    let path = match params.text("path").trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    let known = is_path(path) || (params.is_set("delete") && path.starts_with('/'));
    if !known {
        return Err(Fail::param("path", format!("invalid ACL path '{path}'")));
    }
    call.need_change(path)?;
    let kinds = ["users", "groups", "tokens"];
    if kinds.iter().all(|kind| params.text_opt(kind).is_none()) {
        let text = "either 'users', 'groups' or 'tokens' is required.";
        return Err(Fail::Params(
            kinds.map(|kind| (kind.to_owned(), text.to_owned())).into(),
        ));
    }
    let mut state = call.world.state();
    let access = &mut state.access;
    let failed = |what: String| Fail::died(format!("ACL update failed: {what} does not exist"));
    let mut changes = Vec::new();
    for role in split_list(params.text("roles")) {
        if !access.roles.contains_key(role) {
            return Err(failed(format!("role '{role}'")));
        }
        for kind in kinds {
            for subject in split_list(params.text_opt(kind).unwrap_or_default()) {
                let (known, what) = match kind {
                    "users" => (
                        access.users.contains_key(subject),
                        format!("user '{subject}'"),
                    ),
                    "groups" => (
                        access.groups.contains_key(subject),
                        format!("group '{subject}'"),
                    ),
                    _ => (
                        access.token(subject).is_some(),
                        format!("no such token '{subject}'"),
                    ),
                };
                if !known {
                    return Err(failed(what));
                }
                let prefix = if kind == "groups" { "@" } else { "" };
                changes.push((format!("{prefix}{subject}"), role.to_owned()));
            }
        }
    }
    for (subject, role) in changes {
        access
            .list
            .retain(|e| !(e.path == path && e.subject == subject && e.role == role));
        if !params.is_set("delete") {
            let propagate = params.text_opt("propagate") != Some("0");
            access.list.push(Entry {
                path: path.to_owned(),
                subject,
                role,
                propagate,
            });
        }
    }
    Ok(Reply::null())
}
