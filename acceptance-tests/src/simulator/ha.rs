//! High availability: which guests it manages, and what it does to keep them in their states.
//!
//! The manager works at once and on the node where the guest is; nothing is ever relocated.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::call::{Allow, Call, Route, now};
use super::params::Value;
use super::reply::{Fail, Outcome, Reply};
use super::rules::formats::split_list;
use super::rules::set;
use super::storage::checksum::sha1;
use super::tasks::{Task, Worker};
use super::world::{State, World};
use super::{lxc, qemu};

const READS: Allow = Allow::All("/", &["Sys.Audit"]);
const WRITES: Allow = Allow::All("/", &["Sys.Console"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /cluster/ha/resources",
        allow: READS,
        rules: "type? string enum=ct|vm",
        handler: now!(list),
    },
    Route {
        call: "POST /cluster/ha/resources",
        allow: WRITES,
        rules: "+ha-resource; type? string enum=ct|vm",
        handler: now!(create),
    },
    Route {
        call: "GET /cluster/ha/resources/{sid}",
        allow: READS,
        rules: "sid string pve-ha-resource-or-vm-id",
        handler: now!(read),
    },
    Route {
        call: "PUT /cluster/ha/resources/{sid}",
        allow: WRITES,
        rules: "+ha-resource; delete? string pve-configid-list len=..4096; digest? string len=..64",
        handler: now!(update),
    },
    Route {
        call: "DELETE /cluster/ha/resources/{sid}",
        allow: WRITES,
        rules: "sid string pve-ha-resource-or-vm-id; purge? boolean",
        handler: now!(delete),
    },
    Route {
        call: "GET /cluster/ha/status/current",
        allow: READS,
        rules: "",
        handler: now!(current),
    },
];

/// What is set for a resource, by key.
pub(crate) type Resource = BTreeMap<String, String>;

/// All resources by `vm:100` and `ct:101`.
pub(crate) type Resources = BTreeMap<String, Resource>;

/// The state that a resource is to have.
pub(crate) fn wanted(resource: &Resource) -> &str {
    match resource.get("state").map(String::as_str) {
        None | Some("started" | "enabled") => "started",
        Some(other) => other,
    }
}

/// What a guest's status tells of its management.
pub(crate) fn status_of(state: &State, sid: &str) -> Json {
    match state.ha.get(sid) {
        Some(resource) => json!({"managed": 1, "state": wanted(resource)}),
        None => json!({"managed": 0}),
    }
}

/// The resource that the parameters name; a bare id is completed.
fn sid(call: &Call) -> Result<String, Fail> {
    let text = call.params.text("sid");
    if text.contains(':') {
        return Ok(text.to_owned());
    }
    let kind = text.parse().ok().and_then(|vmid| {
        let state = call.world.state();
        state.guest(vmid).map(|(what, _)| what.to_lowercase())
    });
    let kind =
        kind.ok_or_else(|| Fail::died(format!("unable to find VM/CT with VMID '{text}'")))?;
    Ok(format!("{kind}:{text}"))
}

fn shown(sid: &str, resource: &Resource, digest: &str) -> Json {
    let mut entry = json!({
        "sid": sid, "type": sid.split(':').next(), "state": "started", "digest": digest,
    });
    for (key, value) in resource {
        let is_number = key.starts_with("max_") || key == "failback";
        entry[key] = match value.parse::<i64>() {
            Ok(number) if is_number => json!(number),
            _ => json!(value),
        };
    }
    entry
}

fn digest(state: &State) -> String {
    sha1(&format!("{:?}", state.ha))
}

fn list(call: &Call) -> Outcome {
    let state = call.world.state();
    let digest = digest(&state);
    let kind = call.params.text_opt("type");
    let found = state.ha.iter();
    let found = found.filter(|(sid, _)| kind.is_none_or(|kind| sid.starts_with(kind)));
    let entries = found.map(|(sid, resource)| shown(sid, resource, &digest));
    Ok(entries.collect::<Json>().into())
}

fn read(call: &Call) -> Outcome {
    let sid = sid(call)?;
    let state = call.world.state();
    let resource = state.ha.get(&sid).ok_or_else(|| missing(&sid))?;
    Ok(shown(&sid, resource, &digest(&state)).into())
}

fn missing(sid: &str) -> Fail {
    Fail::died(format!("no such resource '{sid}'"))
}

/// The settings among the parameters.
fn given(call: &Call) -> Resource {
    let own = |name: &str| name != "sid" && set("ha-resource").rule(name).is_some();
    let given = call.params.0.iter().filter(|(name, _)| own(name));
    given
        .filter_map(|(name, value)| match value {
            Value::Text(text) => Some((name.clone(), text.clone())),
            _ => None,
        })
        .collect()
}

fn no_groups(call: &Call) -> Result<(), Fail> {
    match call.params.text_opt("group") {
        Some(_) => Err(Fail::died(
            "invalid parameter 'group': ha groups have been migrated to rules",
        )),
        None => Ok(()),
    }
}

fn create(call: &Call) -> Outcome {
    let sid = sid(call)?;
    let (kind, id) = sid.split_once(':').unwrap_or_default();
    if call
        .params
        .text_opt("type")
        .is_some_and(|given| given != kind)
    {
        return Err(Fail::died("types does not match"));
    }
    no_groups(call)?;
    {
        let mut state = call.world.state();
        let guest = id.parse().ok().and_then(|vmid| state.guest(vmid));
        if guest.is_none_or(|(what, _)| what.to_lowercase() != kind) {
            return Err(Fail::died(format!(
                "unable to create resource '{sid}': no such {}",
                kind.to_uppercase()
            )));
        }
        if state.ha.contains_key(&sid) {
            return Err(Fail::died(format!(
                "create resource failed: resource ID '{sid}' already defined"
            )));
        }
        state.ha.insert(sid.clone(), given(call));
    }
    enforce(&call.world, &sid);
    Ok(Reply::null())
}

fn update(call: &Call) -> Outcome {
    let sid = sid(call)?;
    no_groups(call)?;
    {
        let mut state = call.world.state();
        let now = digest(&state);
        if call
            .params
            .text_opt("digest")
            .is_some_and(|known| known != now)
        {
            return Err(Fail::died(
                "update resource failed: detected modified configuration - file changed by other \
                 user? Try again.",
            ));
        }
        let resource = state.ha.get_mut(&sid).ok_or_else(|| missing(&sid))?;
        for key in split_list(call.params.text_opt("delete").unwrap_or_default()) {
            resource.remove(key);
        }
        resource.extend(given(call));
    }
    enforce(&call.world, &sid);
    Ok(Reply::null())
}

fn delete(call: &Call) -> Outcome {
    let sid = sid(call)?;
    let removed = call.world.state().ha.remove(&sid);
    removed.ok_or_else(|| Fail::died(format!("cannot delete service '{sid}', not HA managed!")))?;
    Ok(Reply::null())
}

fn current(call: &Call) -> Outcome {
    let state = call.world.state();
    let node = state.nodes.first().map_or("", |node| node.name.as_str());
    let mut entries = vec![
        json!({"id": "quorum", "type": "quorum", "node": node, "quorate": 1, "status": "OK"}),
        json!({
            "id": "fencing", "type": "fencing", "node": node, "armed-state": "standby",
            "status": "standby (CRM watchdog standby)",
        }),
    ];
    for (sid, resource) in &state.ha {
        let guest = sid.split_once(':').and_then(|(_, id)| id.parse().ok());
        let guest = guest.and_then(|vmid| state.guest(vmid));
        let node = guest.map_or("", |(_, node)| node);
        let wanted = wanted(resource);
        entries.push(json!({
            "id": format!("service:{sid}"), "type": "service", "sid": sid, "node": node,
            "state": wanted, "request_state": wanted, "crm_state": wanted,
            "status": format!("{sid} ({node}, {wanted})"), "max_relocate": 1, "max_restart": 1,
            "failback": 1,
        }));
    }
    Ok(Json::Array(entries).into())
}

/// Turns the start or stop of a managed guest into a request to the manager.
pub(crate) fn request(call: &Call, kind: &str, wanted_state: &'static str) -> Option<Reply> {
    let sid = format!("{kind}:{}", call.params.vmid());
    let managed = {
        let state = call.world.state();
        let resource = state.ha.get(&sid)?;
        wanted(resource) != "ignored"
    };
    if !managed {
        return None;
    }
    let (task, line) = match wanted_state {
        "started" => (
            "hastart",
            format!(
                "Requesting HA start for {} {}",
                kind.to_uppercase(),
                call.params.vmid()
            ),
        ),
        _ => (
            "hastop",
            format!(
                "Requesting HA stop for {} {}",
                kind.to_uppercase(),
                call.params.vmid()
            ),
        ),
    };
    Some(
        call.start_task(task, &call.params.vmid().to_string(), |worker| async move {
            worker.log(line);
            worker.takes(Duration::from_millis(500)).await?;
            let world = &worker.world;
            if let Some(resource) = world.state().ha.get_mut(&sid) {
                resource.insert("state".to_owned(), wanted_state.to_owned());
            }
            enforce(world, &sid);
            Ok(())
        }),
    )
}

/// What the manager does about a guest whose state is another than the one that it is to have.
fn enforce(world: &Arc<World>, sid: &str) {
    let (kind, id) = sid.split_once(':').unwrap_or_default();
    let Ok(vmid) = id.parse::<u32>() else { return };
    let (node, want_on, is_on) = {
        let state = world.state();
        let Some(resource) = state.ha.get(sid) else {
            return;
        };
        let want = match wanted(resource) {
            "started" => true,
            "stopped" | "disabled" => false,
            _ => return,
        };
        let vm = state
            .vms
            .get(&vmid)
            .map(|vm| (&vm.node, vm.running.is_some()));
        let ct = state
            .cts
            .get(&vmid)
            .map(|ct| (&ct.node, ct.running.is_some()));
        let Some((node, is_on)) = vm.or(ct) else {
            return;
        };
        (node.clone(), want, is_on)
    };
    if want_on == is_on {
        return;
    }
    let task = match (kind, want_on) {
        ("ct", true) => "vzstart",
        ("ct", false) => "vzshutdown",
        (_, true) => "qmstart",
        (_, false) => "qmshutdown",
    };
    let of = (node.as_str(), task, id, "root@pam");
    let node = node.clone();
    Task::spawn(world, of, None, |worker| async move {
        match task {
            "vzstart" => lxc::start::run(worker, node, vmid, false).await,
            "qmstart" => qemu::start::run(worker, node, vmid).await,
            _ => shut_down(&worker, vmid).await,
        }
    });
}

async fn shut_down(worker: &Worker, vmid: u32) -> Result<(), String> {
    worker.takes(Duration::from_secs(1)).await?;
    let (container, machine) = {
        let state = worker.world.state();
        let ct = state.cts.get(&vmid).and_then(|ct| ct.running.as_ref());
        let vm = state.vms.get(&vmid).and_then(|vm| vm.running.as_ref());
        (
            ct.map(|running| running.container.clone()),
            vm.map(|running| running.machine.clone()),
        )
    };
    let patience = Duration::from_secs(60);
    if let Some(container) = container {
        container.shutdown().await;
        if tokio::time::timeout(patience, container.ended())
            .await
            .is_err()
        {
            container.kill().await;
        }
    }
    if let Some(machine) = machine {
        machine.powerdown().await;
        if tokio::time::timeout(patience, machine.ended())
            .await
            .is_err()
        {
            machine.kill().await;
        }
    }
    Ok(())
}
