//! The calls of `/access`: tickets, users, tokens, roles, the access control list.
//!
//! Realms are fixed to `pam` and `pve`, and there is no second factor.

use std::collections::BTreeMap;

use aws_lc_rs::rand;
use serde_json::{Map, Value as Json, json};

use super::{Access, BUILT_IN, Entry, Privileges, Token, User, privileges};
use crate::simulator::call::{Allow, Call, Route, later, now};
use crate::simulator::reply::{Fail, Outcome, Reply};
use crate::simulator::rules::formats::split_list;
use crate::simulator::storage::checksum::hex;

const USER: &str = "userid string pve-userid len=..64";
const TOKEN: &str = "userid string pve-userid len=..64
    tokenid string pattern=(?:[A-Za-z][A-Za-z0-9\\.\\-_]+)";
const ROLES: Allow = Allow::All("/access", &["Sys.Modify"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "POST /access/ticket",
        allow: Allow::World,
        rules: "username string len=..64; password string; realm? string pve-realm len=..32
            otp? string; tfa-challenge? string; new-format? boolean
            path? string len=..64 requires=privs; privs? string pve-priv-list len=..64 requires=path",
        handler: later!(ticket),
    },
    Route {
        call: "GET /access/permissions",
        allow: Allow::Anyone,
        rules: "path? string
            userid? string pattern=(?:^(?:[^\\s:/]+)\\@(?:[A-Za-z][A-Za-z0-9\\.\\-_]+)(?:!(?:[A-Za-z][A-Za-z0-9\\.\\-_]+))?$)",
        handler: now!(permissions),
    },
    Route { call: "GET /access/domains", allow: Allow::World, rules: "", handler: now!(domains) },
    Route { call: "GET /access/users", allow: Allow::Anyone, rules: "enabled? boolean; full? boolean", handler: now!(users) },
    Route {
        call: "POST /access/users",
        allow: Allow::All("/access/groups", &["User.Modify"]),
        rules: "userid string pve-userid len=..64; comment? string len=..2048
            email? string email-opt len=..254; enable? boolean; expire? integer min=0
            firstname? string len=..1024; groups? string pve-groupid-list
            keys? string pattern=[0-9a-zA-Z!=]{0,4096}; lastname? string len=..1024
            password? string len=8..64",
        handler: now!(add_user),
    },
    Route { call: "GET /access/users/{userid}", allow: Allow::Anyone, rules: USER, handler: now!(user) },
    Route {
        call: "DELETE /access/users/{userid}",
        allow: Allow::All("/access/groups", &["User.Modify"]),
        rules: USER,
        handler: now!(remove_user),
    },
    Route { call: "GET /access/users/{userid}/token", allow: Allow::Anyone, rules: USER, handler: now!(tokens) },
    Route { call: "GET /access/users/{userid}/token/{tokenid}", allow: Allow::Anyone, rules: TOKEN, handler: now!(token) },
    Route {
        call: "POST /access/users/{userid}/token/{tokenid}",
        allow: Allow::Anyone,
        rules: "userid string pve-userid len=..64
            tokenid string pattern=(?:[A-Za-z][A-Za-z0-9\\.\\-_]+)
            comment? string; expire? integer min=0; privsep? boolean",
        handler: now!(add_token),
    },
    Route { call: "DELETE /access/users/{userid}/token/{tokenid}", allow: Allow::Anyone, rules: TOKEN, handler: now!(remove_token) },
    Route { call: "GET /access/roles", allow: Allow::Anyone, rules: "", handler: now!(roles) },
    Route { call: "GET /access/roles/{roleid}", allow: Allow::Anyone, rules: "roleid string pve-roleid", handler: now!(role) },
    Route { call: "POST /access/roles", allow: ROLES, rules: "roleid string pve-roleid; privs? string pve-priv-list", handler: now!(add_role) },
    Route { call: "DELETE /access/roles/{roleid}", allow: ROLES, rules: "roleid string pve-roleid", handler: now!(remove_role) },
    Route { call: "GET /access/acl", allow: Allow::Anyone, rules: "", handler: now!(list) },
    Route {
        call: "PUT /access/acl",
        allow: Allow::Anyone,
        rules: "path string; roles string pve-roleid-list; delete? boolean; propagate? boolean
            groups? string pve-groupid-list; tokens? string pve-tokenid-list
            users? string pve-userid-list",
        handler: now!(change_list),
    },
];

/// Random bytes in hexadecimal.
pub(crate) fn random_hex(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    rand::fill(&mut buffer).expect("the system has randomness");
    hex(&buffer)
}

/// A random UUID.
pub(crate) fn random_uuid() -> String {
    let h = random_hex(16);
    format!(
        "{}-{}-4{}-a{}-{}",
        &h[..8],
        &h[8..12],
        &h[13..16],
        &h[17..20],
        &h[20..]
    )
}

async fn ticket(call: Call) -> Outcome {
    let params = &call.params;
    let mut name = params.text("username").to_owned();
    if let Some(realm) = params.text_opt("realm").filter(|_| !name.contains('@')) {
        name = format!("{name}@{realm}");
    }
    let password = params.text("password");
    let good = {
        let state = call.world.state();
        let renews = state
            .access
            .tickets
            .get(password)
            .is_some_and(|(user, _)| *user == name);
        let user = state.access.users.get(&name).filter(|user| !user.disabled);
        user.is_some_and(|user| renews || user.password.as_deref() == Some(password))
    };
    if !good {
        tokio::time::sleep(call.world.settings.login_delay).await;
        return Err(Fail::NoLogin);
    }
    let ticket = format!(
        "PVE:{name}:{}::{}",
        random_hex(4).to_uppercase(),
        random_hex(32)
    );
    let csrf = format!("{}:{}", random_hex(4).to_uppercase(), random_hex(16));
    let mut state = call.world.state();
    state
        .access
        .tickets
        .insert(ticket.clone(), (name.clone(), csrf.clone()));
    let caps = capabilities(&state.access, &name);
    Ok(
        json!({"username": name, "ticket": ticket, "CSRFPreventionToken": csrf, "cap": caps})
            .into(),
    )
}

/// The privileges by area that the login of a user tells.
fn capabilities(access: &Access, user: &str) -> Json {
    let areas: &[(&str, &str, &[&str])] = &[
        ("vms", "/vms", &["VM."]),
        ("storage", "/storage", &["Datastore."]),
        ("access", "/access", &["User.", "Group."]),
        ("nodes", "/nodes", &["Sys."]),
        ("dc", "/", &["SDN.", "Sys.Audit", "Sys.Modify"]),
        ("sdn", "/sdn", &["SDN."]),
        ("mapping", "/mapping", &["Mapping."]),
    ];
    let mut caps = Map::new();
    for (area, path, starts) in areas {
        let wanted = |name: &String| {
            starts.iter().any(|start| name.starts_with(start))
                || (name == "Permissions.Modify" && *area != "dc")
        };
        let own = access.allowed(user, path).into_iter().filter(wanted);
        caps.insert(
            (*area).to_owned(),
            own.map(|name| (name, json!(1)))
                .collect::<Map<_, _>>()
                .into(),
        );
    }
    caps.into()
}

fn permissions(call: &Call) -> Outcome {
    let who = match call
        .params
        .text_opt("userid")
        .filter(|id| *id != call.who.id)
    {
        Some(other) => {
            let own_token = other.split('!').next() == Some(&call.who.id);
            if !own_token {
                call.need("/access", &["Sys.Audit"])?;
            }
            other
        }
        None => &call.who.id,
    };
    let state = call.world.state();
    let mut paths: Vec<String> = match call.params.text_opt("path") {
        Some(path) => vec![path.to_owned()],
        None => [
            "/",
            "/access",
            "/access/groups",
            "/nodes",
            "/pool",
            "/sdn",
            "/storage",
            "/vms",
        ]
        .map(str::to_owned)
        .into_iter()
        .chain(state.access.list.iter().map(|entry| entry.path.clone()))
        .collect(),
    };
    paths.sort();
    paths.dedup();
    let of = |path: String| {
        let allowed = state.allowed(who, &path);
        let propagates = |privilege: &str| {
            let below = format!("{}/~", path.trim_end_matches('/'));
            u8::from(state.access.allowed(who, &below).contains(privilege))
        };
        let all: BTreeMap<_, _> = allowed
            .iter()
            .map(|name| (name.clone(), propagates(name)))
            .collect();
        (!all.is_empty()).then(|| (path.clone(), json!(all)))
    };
    Ok(Json::Object(paths.into_iter().filter_map(of).collect()).into())
}

fn domains(_: &Call) -> Outcome {
    Ok(json!([
        {"realm": "pam", "type": "pam", "comment": "Linux PAM standard authentication"},
        {"realm": "pve", "type": "pve", "comment": "Proxmox VE authentication server"},
    ])
    .into())
}

fn users(call: &Call) -> Outcome {
    let sees_all =
        call.can("/access/groups", "User.Modify") || call.can("/access/groups", "Sys.Audit");
    let state = call.world.state();
    let own = call.who.id.split('!').next().unwrap_or_default();
    let visible = state
        .access
        .users
        .iter()
        .filter(|(id, _)| sees_all || *id == own);
    let entry = |(id, user): (&String, &User)| {
        let realm = id.rsplit('@').next().unwrap_or_default();
        let mut entry =
            json!({"userid": id, "enable": u8::from(!user.disabled), "realm-type": realm});
        if let Some(comment) = &user.comment {
            entry["comment"] = json!(comment);
        }
        entry
    };
    Ok(visible.map(entry).collect::<Json>().into())
}

/// Lets the user itself, or who may modify users, pass.
fn self_or_admin(call: &Call) -> Result<(), Fail> {
    let own = call.params.text("userid") == call.who.id;
    if own || call.can("/access/groups", "User.Modify") {
        Ok(())
    } else {
        Err(Fail::denied())
    }
}

fn no_user(id: &str) -> Fail {
    Fail::died(format!("no such user ('{id}')"))
}

fn user(call: &Call) -> Outcome {
    if !call.can("/access/groups", "User.Modify") && !call.can("/access/groups", "Sys.Audit") {
        return Err(Fail::denied());
    }
    let id = call.params.text("userid");
    let state = call.world.state();
    let user = state.access.users.get(id).ok_or_else(|| no_user(id))?;
    let tokens: Map<_, _> = user
        .tokens
        .iter()
        .map(|(id, token)| (id.clone(), shown(token)))
        .collect();
    let tokens = if tokens.is_empty() {
        Json::Null
    } else {
        tokens.into()
    };
    let mut data =
        json!({"enable": u8::from(!user.disabled), "groups": user.groups, "tokens": tokens});
    if let Some(comment) = &user.comment {
        data["comment"] = json!(comment);
    }
    Ok(data.into())
}

fn add_user(call: &Call) -> Outcome {
    let params = &call.params;
    let id = params.text("userid");
    let mut state = call.world.state();
    if state.access.users.contains_key(id) {
        return Err(Fail::died(format!(
            "create user failed: user '{id}' already exists"
        )));
    }
    let user = User {
        password: params.text_opt("password").map(str::to_owned),
        disabled: params.text_opt("enable") == Some("0"),
        comment: params.text_opt("comment").map(str::to_owned),
        groups: split_list(params.text_opt("groups").unwrap_or_default())
            .into_iter()
            .map(str::to_owned)
            .collect(),
        tokens: BTreeMap::new(),
    };
    state.access.users.insert(id.to_owned(), user);
    Ok(Reply::null())
}

fn remove_user(call: &Call) -> Outcome {
    let id = call.params.text("userid");
    let mut state = call.world.state();
    state.access.users.remove(id);
    state
        .access
        .list
        .retain(|e| e.subject != id && e.subject.split('!').next() != Some(id));
    Ok(Reply::null())
}

fn shown(token: &Token) -> Json {
    let mut shown = json!({"privsep": u8::from(token.separated), "expire": token.expire});
    if let Some(comment) = &token.comment {
        shown["comment"] = json!(comment);
    }
    shown
}

fn tokens(call: &Call) -> Outcome {
    self_or_admin(call)?;
    let id = call.params.text("userid");
    let state = call.world.state();
    let user = state.access.users.get(id).ok_or_else(|| no_user(id))?;
    let entry = |(id, token): (&String, &Token)| {
        let mut entry = shown(token);
        entry["tokenid"] = json!(id);
        entry
    };
    Ok(user.tokens.iter().map(entry).collect::<Json>().into())
}

fn no_token(call: &Call) -> Fail {
    let (user, token) = (call.params.text("userid"), call.params.text("tokenid"));
    Fail::died(format!("no such token '{token}' for user '{user}'"))
}

fn token(call: &Call) -> Outcome {
    self_or_admin(call)?;
    let (user, token) = (call.params.text("userid"), call.params.text("tokenid"));
    let state = call.world.state();
    let found = state
        .access
        .token(&format!("{user}!{token}"))
        .ok_or_else(|| no_token(call))?;
    Ok(shown(found).into())
}

fn add_token(call: &Call) -> Outcome {
    self_or_admin(call)?;
    let params = &call.params;
    let (id, token) = (params.text("userid"), params.text("tokenid"));
    let mut state = call.world.state();
    let user = state.access.users.get_mut(id).ok_or_else(|| no_user(id))?;
    if user.tokens.contains_key(token) {
        return Err(Fail::param("tokenid", "Token already exists."));
    }
    let secret = random_uuid();
    let new = Token {
        secret: secret.clone(),
        separated: params.text_opt("privsep") != Some("0"),
        expire: params.number_opt("expire").unwrap_or(0),
        comment: params.text_opt("comment").map(str::to_owned),
    };
    let mut info = json!({"privsep": u8::from(new.separated).to_string()});
    for key in ["comment", "expire"] {
        if let Some(value) = params.text_opt(key) {
            info[key] = json!(value);
        }
    }
    user.tokens.insert(token.to_owned(), new);
    Ok(json!({"full-tokenid": format!("{id}!{token}"), "value": secret, "info": info}).into())
}

fn remove_token(call: &Call) -> Outcome {
    self_or_admin(call)?;
    let (id, token) = (call.params.text("userid"), call.params.text("tokenid"));
    let mut state = call.world.state();
    let user = state.access.users.get_mut(id).ok_or_else(|| no_user(id))?;
    user.tokens.remove(token).ok_or_else(|| no_token(call))?;
    let subject = format!("{id}!{token}");
    state.access.list.retain(|entry| entry.subject != subject);
    Ok(Reply::null())
}

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

fn roles(call: &Call) -> Outcome {
    let state = call.world.state();
    let entry = |(id, privileges): (&String, &Privileges)| json!({"roleid": id, "privs": joined(privileges), "special": u8::from(is_built_in(id))});
    Ok(state
        .access
        .roles
        .iter()
        .map(entry)
        .collect::<Json>()
        .into())
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
    let list = privileges(call.params.text_opt("privs").unwrap_or_default());
    state.access.roles.insert(id.to_owned(), list);
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

fn list(call: &Call) -> Outcome {
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
    Ok(state
        .access
        .list
        .iter()
        .filter(sees)
        .map(shown)
        .collect::<Json>()
        .into())
}

/// Whether the access control list knows paths of this kind.
fn is_path(path: &str) -> bool {
    let roots = [
        "access", "mapping", "nodes", "pool", "sdn", "storage", "vms",
    ];
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    path.starts_with('/') && parts.next().is_none_or(|root| roots.contains(&root))
}

fn change_list(call: &Call) -> Outcome {
    let params = &call.params;
    let path = match params.text("path").trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    if !is_path(path) {
        return Err(Fail::param("path", format!("invalid ACL path '{path}'")));
    }
    call.need(path, &["Permissions.Modify"])?;
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
