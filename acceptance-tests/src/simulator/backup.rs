//! Backups: the jobs of the cluster, and a backup now.
//!
//! The archives are empty files with the right names; jobs never run by themselves.

mod now;

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::call::{Allow, Call, Route, now};
use super::params::Value;
use super::random::random_hex;
use super::reply::{Fail, Outcome, Reply};
use super::rules::formats::split_list;
use super::rules::{Kind, property, set};
use super::world::State;
pub(crate) use now::ROUTES as NOW;

const READS: Allow = Allow::All("/", &["Sys.Audit"]);
const WRITES: Allow = Allow::All("/", &["Sys.Modify"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /cluster/backup",
        allow: READS,
        rules: "",
        handler: now!(list),
    },
    Route {
        call: "POST /cluster/backup",
        allow: WRITES,
        rules: "+backup-job; id? string pve-configid",
        handler: now!(create),
    },
    Route {
        call: "GET /cluster/backup/{id}",
        allow: READS,
        rules: "id string len=..50 pattern=\\S+",
        handler: now!(read),
    },
    Route {
        call: "PUT /cluster/backup/{id}",
        allow: WRITES,
        rules: "+backup-job; delete? string pve-configid-list; id string len=..50 pattern=\\S+",
        handler: now!(update),
    },
    Route {
        call: "DELETE /cluster/backup/{id}",
        allow: WRITES,
        rules: "id string len=..50 pattern=\\S+",
        handler: now!(delete),
    },
];

/// The settings of a job, by key.
pub(crate) type Job = BTreeMap<String, Value>;

/// Settings that are property strings, which reads show as objects.
const OBJECTS: &[&str] = &["fleecing", "performance", "prune-backups"];

/// Takes a guest that is gone out of all jobs.
pub(crate) fn forget_guest(state: &mut State, vmid: u32) {
    let gone = vmid.to_string();
    for job in state.jobs.values_mut() {
        for key in ["vmid", "exclude"] {
            let Some(Value::Text(list)) = job.get(key) else {
                continue;
            };
            let rest: Vec<&str> = split_list(list)
                .into_iter()
                .filter(|id| *id != gone)
                .collect();
            let rest = rest.join(",");
            job.insert(key.to_owned(), Value::Text(rest));
        }
    }
}

/// What only `root@pam` itself may set, and whether the storage may be used.
fn may_back_up(call: &Call) -> Result<(), Fail> {
    let only_root = ["tmpdir", "dumpdir", "script", "job-id"];
    let given = |key: &&&str| call.params.text_opt(key).is_some();
    if let Some(key) = only_root.iter().find(given).filter(|_| !call.who.is_root()) {
        return Err(Fail::param(key, "Only root may set this option."));
    }
    Ok(())
}

fn may_use_storage(call: &Call) -> Result<(), Fail> {
    let Some(storage) = call.params.text_opt("storage") else {
        return Ok(());
    };
    call.need(&format!("/storage/{storage}"), &["Datastore.Allocate"])?;
    let state = call.world.state();
    if !state.storage(storage)?.has("backup") {
        return Err(Fail::died(format!(
            "storage '{storage}' does not support backups"
        )));
    }
    Ok(())
}

/// Exactly one way to choose the guests.
fn check_selection(job: &Job) -> Result<(), Fail> {
    let is_on = |key: &str| match job.get(key) {
        Some(Value::Text(text)) if key == "all" => text == "1",
        Some(Value::Text(text)) => !text.is_empty(),
        _ => false,
    };
    let chosen: Vec<&str> = ["vmid", "all", "pool"]
        .into_iter()
        .filter(|key| is_on(key))
        .collect();
    match chosen.as_slice() {
        [] => Err(Fail::param("vmid", "property is missing")),
        [_] if is_on("exclude") && chosen == ["vmid"] => Err(Fail::param(
            "exclude",
            "option conflicts with option 'vmid'",
        )),
        [_] => Ok(()),
        [first, second, ..] => Err(Fail::param(
            second,
            format!("option conflicts with option '{first}'"),
        )),
    }
}

fn given(call: &Call) -> Job {
    let own = |name: &str| set("backup-job").rule(name).is_some();
    let given = call.params.0.iter().filter(|(name, _)| own(name));
    given
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Turns the old way to say when into the present one.
fn with_schedule(mut job: Job) -> Job {
    if let Some(Value::Text(time)) = job.remove("starttime") {
        let days = match job.remove("dow") {
            Some(Value::Text(days)) => format!("{days} "),
            _ => String::new(),
        };
        job.insert("schedule".to_owned(), Value::Text(format!("{days}{time}")));
    }
    job
}

fn shown(id: &str, job: &Job) -> Json {
    let mut entry = json!({"id": id, "type": "vzdump", "enabled": 1});
    for (key, value) in job {
        entry[key] = match value {
            Value::Text(text) if OBJECTS.contains(&key.as_str()) => object(key, text),
            Value::Text(text) => match set("backup-job").rule(key).map(|rule| rule.kind) {
                Some(Kind::Integer | Kind::Boolean) => text
                    .parse::<i64>()
                    .map_or_else(|_| json!(text), |number| json!(number)),
                _ => json!(text),
            },
            Value::List(list) => json!(list),
            Value::Bool(is) => json!(u8::from(*is)),
            Value::Other(_) => Json::Null,
        };
    }
    entry
}

fn object(key: &str, text: &str) -> Json {
    let rules = set(match key {
        "fleecing" => "backup-fleecing",
        "performance" => "backup-performance",
        _ => "prune-backups",
    });
    let found = property::parse(rules, text).unwrap_or_default();
    found
        .into_iter()
        .map(|(key, value)| (key, json!(value)))
        .collect()
}

fn list(call: &Call) -> Outcome {
    let state = call.world.state();
    let jobs = state.jobs.iter().map(|(id, job)| {
        let mut entry = shown(id, job);
        if job.contains_key("schedule") && entry["enabled"] == 1 {
            entry["next-run"] = json!(super::world::World::now() / 86_400 * 86_400 + 86_400);
        }
        entry
    });
    Ok(jobs.collect::<Json>().into())
}

fn no_job(id: &str) -> Fail {
    Fail::param("id", format!("No such job '{id}'"))
}

fn read(call: &Call) -> Outcome {
    let id = call.params.text("id");
    let state = call.world.state();
    let job = state.jobs.get(id).ok_or_else(|| no_job(id))?;
    Ok(shown(id, job).into())
}

fn create(call: &Call) -> Outcome {
    may_back_up(call)?;
    may_use_storage(call)?;
    let job = with_schedule(given(call));
    check_selection(&job)?;
    if !job.contains_key("schedule") {
        return Err(Fail::param("schedule", "property is missing"));
    }
    let id = call.params.text_opt("id").map(str::to_owned);
    let id = id.unwrap_or_else(|| format!("backup-{}-{}", random_hex(4), random_hex(2)));
    let mut state = call.world.state();
    if state.jobs.contains_key(&id) {
        return Err(Fail::died(format!("Job '{id}' already exists")));
    }
    state.jobs.insert(id, job);
    Ok(Reply::null())
}

fn update(call: &Call) -> Outcome {
    may_back_up(call)?;
    may_use_storage(call)?;
    let id = call.params.text("id");
    let mut state = call.world.state();
    let mut job = state.jobs.get(id).ok_or_else(|| no_job(id))?.clone();
    for key in split_list(call.params.text_opt("delete").unwrap_or_default()) {
        if set("backup-job").rule(key).is_none() {
            return Err(Fail::param("delete", format!("unknown option '{key}'")));
        }
        job.remove(key);
    }
    let new = with_schedule(given(call));
    // One way to choose the guests replaces another.
    if ["vmid", "all", "pool"]
        .iter()
        .any(|key| new.contains_key(*key))
    {
        job.retain(|key, _| !matches!(key.as_str(), "vmid" | "all" | "pool"));
    }
    job.extend(new);
    check_selection(&job)?;
    state.jobs.insert(id.to_owned(), job);
    Ok(Reply::null())
}

fn delete(call: &Call) -> Outcome {
    let id = call.params.text("id");
    let removed = call.world.state().jobs.remove(id);
    removed.ok_or_else(|| no_job(id))?;
    Ok(Reply::null())
}
