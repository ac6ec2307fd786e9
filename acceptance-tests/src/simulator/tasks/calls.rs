//! The calls that look at tasks and stop them.

use serde_json::{Value as Json, json};

use super::Task;
use crate::simulator::call::{Allow, Call, Route, now, tell};
use crate::simulator::reply::{Fail, Outcome, Reply};
use crate::simulator::rules::pattern::Pattern;

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /nodes/{node}/tasks",
        allow: Allow::Anyone,
        rules: "+node; errors? boolean; limit? integer min=0; since? integer
            source? string enum=archive|active|all; start? integer min=0
            statusfilter? string; typefilter? string; until? integer; userfilter? string
            vmid? integer pve-vmid min=100 max=999999999",
        handler: tell!(list),
    },
    Route {
        call: "GET /cluster/tasks",
        allow: Allow::Anyone,
        rules: "",
        handler: tell!(cluster),
    },
    Route {
        call: "GET /nodes/{node}/tasks/{upid}",
        allow: Allow::Anyone,
        rules: "+node; upid string",
        handler: now!(index),
    },
    Route {
        call: "DELETE /nodes/{node}/tasks/{upid}",
        allow: Allow::Anyone,
        rules: "+node; upid string",
        handler: now!(stop),
    },
    Route {
        call: "GET /nodes/{node}/tasks/{upid}/status",
        allow: Allow::Anyone,
        rules: "+node; upid string",
        handler: now!(status),
    },
    Route {
        call: "GET /nodes/{node}/tasks/{upid}/log",
        allow: Allow::Anyone,
        rules: "+node; upid string; download? boolean; limit? integer min=0; start? integer min=0",
        handler: now!(log),
    },
];

/// Finds the task of the path and lets its owner, or who has `privilege` on the node, at it.
fn with_task<T>(
    call: &Call,
    privilege: &str,
    then: impl FnOnce(&mut Task) -> T,
) -> Result<T, Fail> {
    let upid = call.params.text("upid");
    let form =
        r"UPID:[a-zA-Z0-9\-]+:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:[^:\s]+:[^:\s]*:[^:\s]+:";
    if !Pattern::new(form).matches(upid) {
        return Err(Fail::param("upid", "unable to parse worker upid"));
    }
    let unknown = || Fail::param("upid", "no such task");
    if upid.split(':').nth(1) != Some(call.node()) {
        return Err(unknown());
    }
    let owner = upid.rsplit(':').nth(1).unwrap_or_default();
    if owner != call.who.id && owner.split('!').next() != Some(&call.who.id) {
        call.need(&format!("/nodes/{}", call.node()), &[privilege])?;
    }
    let mut state = call.world.state();
    state
        .tasks
        .iter_mut()
        .find(|task| task.upid == upid)
        .map(then)
        .ok_or_else(unknown)
}

fn index(call: &Call) -> Outcome {
    with_task(call, "Sys.Audit", |_| ())?;
    Ok(json!([{"name": "log"}, {"name": "status"}]).into())
}

fn stop(call: &Call) -> Outcome {
    with_task(call, "Sys.Modify", Task::interrupt)?;
    Ok(Reply::null())
}

/// What all views of a task have in common.
fn facts(task: &Task) -> Json {
    let (user, token) = match task.user.split_once('!') {
        Some((user, token)) => (user, Some(token)),
        None => (task.user.as_str(), None),
    };
    let mut facts = json!({
        "upid": task.upid, "node": task.node, "pid": task.pid, "pstart": task.pstart,
        "starttime": task.starttime, "type": task.kind, "id": task.id, "user": user,
    });
    if let Some(token) = token {
        facts["tokenid"] = json!(token);
    }
    facts
}

fn status(call: &Call) -> Outcome {
    with_task(call, "Sys.Audit", |task| {
        let mut data = facts(task);
        data["status"] = json!(if task.exit.is_some() {
            "stopped"
        } else {
            "running"
        });
        if let Some(exit) = &task.exit {
            data["exitstatus"] = json!(exit);
        }
        data.into()
    })
}

fn log(call: &Call) -> Outcome {
    let start = usize::try_from(call.params.number_opt("start").unwrap_or(0)).unwrap_or(0);
    let limit = usize::try_from(call.params.number_opt("limit").unwrap_or(50)).unwrap_or(50);
    let limit = if limit == 0 { usize::MAX } else { limit };
    with_task(call, "Sys.Audit", |task| {
        let mut lines: Vec<&str> = task.log.iter().map(String::as_str).collect();
        if lines.is_empty() {
            lines.push("no content");
        }
        let numbered = lines
            .iter()
            .enumerate()
            .map(|(i, line)| json!({"n": i + 1, "t": line}));
        let page: Vec<Json> = numbered.skip(start).take(limit).collect();
        Reply::from(Json::Array(page)).with("total", lines.len())
    })
}

fn list(call: &Call) -> Reply {
    let params = &call.params;
    let sees_all = call.can(&format!("/nodes/{}", call.node()), "Sys.Audit");
    let source = params.text_opt("source").unwrap_or("archive");
    let state = call.world.state();
    let wanted = |task: &&Task| {
        let is_active = task.exit.is_none();
        let failed = task
            .exit
            .as_deref()
            .is_some_and(|exit| exit != "OK" && !exit.starts_with("WARNINGS: "));
        task.node == call.node()
            && (sees_all || task.belongs_to(&call.who.id))
            && (source == "all" || (source == "active") == is_active)
            && (!params.is_set("errors") || failed)
            && params
                .text_opt("typefilter")
                .is_none_or(|kind| kind == task.kind)
            && params
                .text_opt("userfilter")
                .is_none_or(|user| task.user.contains(user))
            && params.text_opt("vmid").is_none_or(|vmid| vmid == task.id)
            && params
                .number_opt("since")
                .is_none_or(|since| task.starttime >= since)
            && params
                .number_opt("until")
                .is_none_or(|until| task.starttime <= until)
    };
    let found: Vec<Json> = state.tasks.iter().rev().filter(wanted).map(entry).collect();
    let start = usize::try_from(params.number_opt("start").unwrap_or(0)).unwrap_or(0);
    let limit = usize::try_from(params.number_opt("limit").unwrap_or(50)).unwrap_or(50);
    let total = found.len();
    let page = found.into_iter().skip(start).take(limit).collect();
    let reply = Reply::from(Json::Array(page));
    // A list without any match has no total.
    if total == 0 {
        reply
    } else {
        reply.with("total", total)
    }
}

fn entry(task: &Task) -> Json {
    let mut data = facts(task);
    data["status"] = json!(task.exit.as_deref().unwrap_or("RUNNING"));
    if let Some(end) = task.endtime {
        data["endtime"] = json!(end);
    }
    data
}

fn cluster(call: &Call) -> Json {
    let sees_all = call.can("/", "Sys.Audit");
    let state = call.world.state();
    let visible = state
        .tasks
        .iter()
        .rev()
        .filter(|task| sees_all || task.belongs_to(&call.who.id));
    let broadcast = |task: &Task| {
        let mut data = facts(task);
        if let Some(object) = data.as_object_mut() {
            object.remove("pid");
            object.remove("pstart");
        }
        if let (Some(end), Some(exit)) = (task.endtime, &task.exit) {
            data["endtime"] = json!(end);
            data["status"] = json!(exit);
            data["saved"] = json!("1");
        }
        data
    };
    Json::Array(visible.take(25).map(broadcast).collect())
}
