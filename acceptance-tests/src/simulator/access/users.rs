//! The calls on users and their tokens.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::{Access, Token, User};
use crate::simulator::call::{Allow, Call, Route, now, tell};
use crate::simulator::random::random_uuid;
use crate::simulator::reply::{Fail, Outcome, Reply};
use crate::simulator::rules::formats::split_list;

const USER: &str = "userid string pve-userid len=..64";
const TOKEN: &str = "userid string pve-userid len=..64
    tokenid string pattern=(?:[A-Za-z][A-Za-z0-9\\.\\-_]+)";

pub(crate) const ROUTES: &[Route] = &[
    Route { call: "GET /access/users", allow: Allow::Anyone, rules: "enabled? boolean; full? boolean", handler: tell!(users) },
    Route {
        call: "POST /access/users",
        allow: Allow::Anyone,
        rules: "userid string pve-userid len=..64; comment? string len=..2048
            email? string email-opt len=..254; enable? boolean; expire? integer min=0
            firstname? string len=..1024; groups? string pve-groupid-list
            keys? string pattern=[0-9a-zA-Z!=]{0,4096}; lastname? string len=..1024
            password? string len=8..64",
        handler: now!(add_user),
    },
    Route { call: "GET /access/users/{userid}", allow: Allow::Anyone, rules: USER, handler: now!(user) },
    Route {
        call: "PUT /access/users/{userid}",
        allow: Allow::All("/access/groups", &["User.Modify"]),
        rules: "userid string pve-userid len=..64; append? boolean requires=groups
            comment? string len=..2048; email? string email-opt len=..254; enable? boolean
            expire? integer min=0; firstname? string len=..1024; groups? string pve-groupid-list
            keys? string pattern=[0-9a-zA-Z!=]{0,4096}; lastname? string len=..1024",
        handler: now!(change_user),
    },
    Route {
        call: "DELETE /access/users/{userid}",
        allow: Allow::Anyone,
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
    Route {
        call: "PUT /access/users/{userid}/token/{tokenid}",
        allow: Allow::Anyone,
        rules: "userid string pve-userid len=..64
            tokenid string pattern=(?:[A-Za-z][A-Za-z0-9\\.\\-_]+)
            comment? string; delete? string pve-configid-list; expire? integer min=0; privsep? boolean",
        handler: now!(change_token),
    },
    Route { call: "DELETE /access/users/{userid}/token/{tokenid}", allow: Allow::Anyone, rules: TOKEN, handler: now!(remove_token) },
    Route {
        call: "PUT /access/password",
        allow: Allow::Anyone,
        rules: "confirmation-password? string len=5..64; password string len=8..64
            userid string pve-userid len=..64",
        handler: now!(change_password),
    },
];

fn users(call: &Call) -> Json {
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
        describe(user, &mut entry);
        entry
    };
    visible.map(entry).collect::<Json>()
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

/// Checks that users of this one's realm may come and go.
fn may_keep_user(call: &Call, id: &str) -> Result<(), Fail> {
    let realm = id.rsplit('@').next().unwrap_or_default();
    call.need(&format!("/access/realm/{realm}"), &["Realm.AllocateUser"])
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
    describe(user, &mut data);
    Ok(data.into())
}

fn add_user(call: &Call) -> Outcome {
    let params = &call.params;
    let id = params.text("userid");
    may_keep_user(call, id)?;
    let groups = split_list(params.text_opt("groups").unwrap_or_default());
    if groups.is_empty() || !call.can("/access/groups", "User.Modify") {
        let own = groups.iter().map(|group| format!("/access/groups/{group}"));
        let mut paths: Vec<String> = own.collect();
        if paths.is_empty() {
            paths.push("/access/groups".to_owned());
        }
        let mut paths = paths.iter();
        paths.try_for_each(|path| call.need(path, &["User.Modify"]))?;
    }
    let mut state = call.world.state();
    if state.access.users.contains_key(id) {
        return Err(Fail::died(format!(
            "create user failed: user '{id}' already exists"
        )));
    }
    let groups = known_groups(call, &state.access);
    let mut user = User {
        password: params.text_opt("password").map(str::to_owned),
        groups: groups.map_err(|why| Fail::died(format!("create user failed: {why}")))?,
        ..User::default()
    };
    set_details(call, &mut user);
    state.access.users.insert(id.to_owned(), user);
    Ok(Reply::null())
}

/// The groups among the parameters, all of which must be there.
fn known_groups(call: &Call, access: &Access) -> Result<BTreeSet<String>, String> {
    let groups = split_list(call.params.text_opt("groups").unwrap_or_default());
    match groups
        .iter()
        .find(|group| !access.groups.contains_key(**group))
    {
        Some(missing) => Err(format!("no such group '{missing}'")),
        None => Ok(groups.into_iter().map(str::to_owned).collect()),
    }
}

/// Facts about a user that mean nothing here.
const DETAILS: [&str; 4] = ["email", "firstname", "keys", "lastname"];

/// Takes what the parameters say of the user; an empty text removes what was said.
fn set_details(call: &Call, user: &mut User) {
    let params = &call.params;
    let given = |name| params.text_opt(name);
    if let Some(enable) = given("enable") {
        user.disabled = enable == "0";
    }
    if let Some(expire) = params.number_opt("expire") {
        user.expire = expire;
    }
    if let Some(comment) = given("comment") {
        user.comment = Some(comment.to_owned()).filter(|text| !text.is_empty());
    }
    for name in DETAILS {
        match given(name) {
            Some("") => drop(user.details.remove(name)),
            Some(value) => drop(user.details.insert(name.to_owned(), value.to_owned())),
            None => {}
        }
    }
}

/// Adds what is known of the user to what is shown of it.
fn describe(user: &User, shown: &mut Json) {
    if let Some(comment) = &user.comment {
        shown["comment"] = json!(comment);
    }
    if user.expire != 0 {
        shown["expire"] = json!(user.expire);
    }
    for (name, value) in &user.details {
        shown[name.as_str()] = json!(value);
    }
}

fn change_user(call: &Call) -> Outcome {
    let id = call.params.text("userid");
    let mut state = call.world.state();
    let access = &mut state.access;
    let missing = || Fail::died(format!("update user failed: no such user ('{id}')"));
    let groups = known_groups(call, access);
    let user = access.users.get_mut(id).ok_or_else(missing)?;
    set_details(call, user);
    if call.params.text_opt("groups").is_some() {
        if !call.params.is_set("append") {
            user.groups.clear();
        }
        let groups = groups.map_err(|why| Fail::died(format!("update user failed: {why}")))?;
        user.groups.extend(groups);
    }
    Ok(Reply::null())
}

fn remove_user(call: &Call) -> Outcome {
    let id = call.params.text("userid");
    may_keep_user(call, id)?;
    call.need("/access/groups", &["User.Modify"])?;
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

fn change_token(call: &Call) -> Outcome {
    self_or_admin(call)?;
    let params = &call.params;
    let (id, token) = (params.text("userid"), params.text("tokenid"));
    let mut state = call.world.state();
    let user = state.access.users.get_mut(id).ok_or_else(|| no_user(id))?;
    let found = user.tokens.get_mut(token).ok_or_else(|| no_token(call))?;
    if let Some(comment) = params.text_opt("comment") {
        found.comment = Some(comment.to_owned());
    }
    if let Some(expire) = params.number_opt("expire") {
        found.expire = expire;
    }
    if params.text_opt("privsep").is_some() {
        found.separated = params.is_set("privsep");
    }
    Ok(shown(found).into())
}

fn change_password(call: &Call) -> Outcome {
    if call.who.is_token() {
        let text = "URI '/access/password' not available with API token, need proper ticket.";
        return Err(Fail::Denied(text.to_owned()));
    }
    self_or_admin(call)?;
    let id = call.params.text("userid");
    let mut state = call.world.state();
    let user = state.access.users.get_mut(id).ok_or_else(|| no_user(id))?;
    user.password = Some(call.params.text("password").to_owned());
    Ok(Reply::null())
}
