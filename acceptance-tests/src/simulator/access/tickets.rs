//! The calls of a login: tickets, realms, and what the sender may do.
//!
//! Realms are fixed to `pam` and `pve`, and there is no second factor.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::Access;
use crate::simulator::call::{Allow, Call, Route, later, now, tell};
use crate::simulator::random::random_hex;
use crate::simulator::reply::{Fail, Outcome};

pub(crate) const ROUTES: &[Route] = &[
    Route { call: "GET /access", allow: Allow::Anyone, rules: "", handler: tell!(index) },
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
    Route { call: "GET /access/domains", allow: Allow::World, rules: "", handler: tell!(domains) },
    Route {
        call: "GET /access/domains/{realm}",
        allow: Allow::Any("/access/realm", &["Realm.Allocate", "Sys.Audit"]),
        rules: "realm string pve-realm len=..32",
        handler: now!(domain),
    },
    Route {
        call: "GET /access/ticket",
        allow: Allow::World,
        rules: "",
        handler: tell!(nothing),
    },
    Route {
        call: "GET /access/tfa",
        allow: Allow::Anyone,
        rules: "",
        handler: tell!(no_second_factors),
    },
];

fn index(_: &Call) -> Json {
    let names = [
        "users", "groups", "roles", "acl", "domains", "openid", "tfa", "ticket", "password",
    ];
    names.iter().map(|name| json!({"subdir": name})).collect()
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
        let own = access.allowed(user, path, None).into_iter().filter(wanted);
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
            u8::from(state.access.allowed(who, &below, None).contains(privilege))
        };
        let all: BTreeMap<_, _> = allowed
            .iter()
            .map(|name| (name.clone(), propagates(name)))
            .collect();
        (!all.is_empty()).then(|| (path.clone(), json!(all)))
    };
    Ok(Json::Object(paths.into_iter().filter_map(of).collect()).into())
}

fn domains(_: &Call) -> Json {
    json!([
        {"realm": "pam", "type": "pam", "comment": "Linux PAM standard authentication"},
        {"realm": "pve", "type": "pve", "comment": "Proxmox VE authentication server"},
    ])
}

fn domain(call: &Call) -> Outcome {
    let realm = call.params.text("realm");
    let all = domains(call);
    let found = all.as_array().into_iter().flatten();
    let mut found = found.filter(|domain| domain["realm"] == realm).cloned();
    let missing = || Fail::died(format!("domain '{realm}' does not exist"));
    let mut domain = found.next().ok_or_else(missing)?;
    if let Some(object) = domain.as_object_mut() {
        object.remove("realm");
    }
    domain["digest"] = json!(crate::simulator::storage::checksum::sha1(""));
    Ok(domain.into())
}

fn nothing(_: &Call) -> Json {
    Json::Null
}

fn no_second_factors(_: &Call) -> Json {
    json!([])
}
