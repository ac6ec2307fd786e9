//! Snapshots of containers: made, listed, described, removed, gone back to.
//!
//! No contents are kept: what a snapshot holds is the configuration.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::volumes::{self, Source};
use super::{Ct, Snapshot, shown};
use crate::simulator::call::{Allow, Call, Route, now, tell};
use crate::simulator::reply::{Fail, Outcome, Reply};
use crate::simulator::tasks::{Task, Worker};
use crate::simulator::world::{State, World};

const AUDIT: Allow = Allow::All("/vms/{vmid}", &["VM.Audit"]);
const SNAPSHOT: Allow = Allow::All("/vms/{vmid}", &["VM.Snapshot"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /nodes/{node}/lxc/{vmid}/snapshot",
        allow: AUDIT,
        rules: "+ct",
        handler: now!(list),
    },
    Route {
        call: "POST /nodes/{node}/lxc/{vmid}/snapshot",
        allow: SNAPSHOT,
        rules: "+ct; description? string; snapname string pve-configid len=..40",
        handler: now!(create),
    },
    Route {
        call: "GET /nodes/{node}/lxc/{vmid}/snapshot/{snapname}",
        allow: Allow::Anyone,
        rules: "+ct; snapname string pve-configid len=..40",
        handler: tell!(index),
    },
    Route {
        call: "DELETE /nodes/{node}/lxc/{vmid}/snapshot/{snapname}",
        allow: SNAPSHOT,
        rules: "+ct; force? boolean; snapname string pve-configid len=..40",
        handler: now!(delete),
    },
    Route {
        call: "GET /nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config",
        allow: Allow::Any(
            "/vms/{vmid}",
            &["VM.Snapshot", "VM.Snapshot.Rollback", "VM.Audit"],
        ),
        rules: "+ct; snapname string pve-configid len=..40",
        handler: now!(config),
    },
    Route {
        call: "PUT /nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config",
        allow: SNAPSHOT,
        rules: "+ct; description? string; snapname string pve-configid len=..40",
        handler: now!(describe),
    },
    Route {
        call: "POST /nodes/{node}/lxc/{vmid}/snapshot/{snapname}/rollback",
        allow: Allow::Any("/vms/{vmid}", &["VM.Snapshot", "VM.Snapshot.Rollback"]),
        rules: "+ct; snapname string pve-configid len=..40; start? boolean",
        handler: now!(rollback),
    },
];

/// The snapshot of that name.
pub(crate) fn find<'a>(ct: &'a Ct, name: &str) -> Result<&'a Snapshot, Fail> {
    let found = ct.snapshots.get(name);
    found.ok_or_else(|| Fail::died(format!("snapshot '{name}' does not exist")))
}

/// Whether all its volumes can be snapshot; raw image files cannot.
pub(crate) fn is_possible(state: &State, ct: &Ct) -> bool {
    let volumes = volumes::in_order(&ct.config).into_iter();
    let mut sources = volumes.map(|(_, mount)| volumes::source(&mount));
    sources.all(|source| match &source {
        Source::Volume(_) => {
            let storage = source.storage().and_then(|id| state.storage(id).ok());
            storage.is_some_and(|storage| storage.can_snapshot("raw"))
        }
        _ => true,
    })
}

fn list(call: &Call) -> Outcome {
    let state = call.world.state();
    let ct = state.ct(call.node(), call.params.vmid())?;
    let entry = |(name, snapshot): (&String, &Snapshot)| {
        let mut entry = json!({
            "name": name, "snaptime": snapshot.time,
            "description": snapshot.description.as_deref().unwrap_or_default(),
        });
        if let Some(parent) = &snapshot.parent {
            entry["parent"] = json!(parent);
        }
        entry
    };
    let mut now = json!({
        "name": "current", "digest": ct.digest(), "running": u8::from(ct.running.is_some()),
        "description": "You are here!",
    });
    if let Some(parent) = &ct.parent {
        now["parent"] = json!(parent);
    }
    let all = ct.snapshots.iter().map(entry).chain([now]);
    Ok(all.collect::<Json>().into())
}

fn index(_: &Call) -> Json {
    json!([{"cmd": "rollback"}, {"cmd": "config"}])
}

fn config(call: &Call) -> Outcome {
    let state = call.world.state();
    let ct = state.ct(call.node(), call.params.vmid())?;
    let snapshot = find(ct, call.params.text("snapname"))?;
    let config = snapshot.config.iter();
    let mut data: Json = config
        .map(|(key, value)| (key.clone(), shown(key, value)))
        .collect();
    data["snaptime"] = json!(snapshot.time);
    if let Some(description) = &snapshot.description {
        data["description"] = json!(format!("{}\n", description.trim_end_matches('\n')));
    }
    Ok(data.into())
}

fn describe(call: &Call) -> Outcome {
    let (node, vmid) = (call.node(), call.params.vmid());
    let name = call.params.text("snapname");
    let mut state = call.world.state();
    let ct = state.ct_mut(node, vmid)?;
    ct.check_lock()?;
    find(ct, name)?;
    let description = call.params.text_opt("description").map(str::to_owned);
    if let Some(snapshot) = ct.snapshots.get_mut(name).filter(|_| description.is_some()) {
        snapshot.description = description;
    }
    Ok(Reply::null())
}

fn create(call: &Call) -> Outcome {
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    let name = call.params.text("snapname").to_owned();
    if matches!(name.as_str(), "current" | "pending" | "vzdump") {
        return Err(Fail::died(format!(
            "unable to use snapshot name '{name}' (reserved name)"
        )));
    }
    let description = call.params.text_opt("description").map(str::to_owned);
    call.world.state().ct(&node, vmid)?;
    Ok(
        call.start_task("vzsnapshot", &vmid.to_string(), |worker| async move {
            let _lock = locked(&worker, vmid).await?;
            worker.takes(Duration::from_secs(1)).await?;
            let mut state = worker.world.state();
            let ct = state.ct(&node, vmid).map_err(|fail| fail.text())?;
            ct.check_lock().map_err(|fail| fail.text())?;
            if ct.is("template") {
                return Err("you can't take a snapshot if it's a template".to_owned());
            }
            if ct.snapshots.contains_key(&name) {
                return Err(format!("snapshot name '{name}' already used"));
            }
            if !is_possible(&state, ct) {
                return Err("snapshot feature is not available".to_owned());
            }
            let mut config = ct.config.clone();
            config.retain(|key, _| key != "lock" && !key.starts_with("unused"));
            let snapshot = Snapshot {
                config,
                description,
                time: World::now(),
                parent: ct.parent.clone(),
            };
            let ct = state.ct_mut(&node, vmid).map_err(|fail| fail.text())?;
            ct.snapshots.insert(name.clone(), snapshot);
            ct.parent = Some(name);
            Ok(())
        }),
    )
}

async fn locked(worker: &Worker, vmid: u32) -> Result<tokio::sync::OwnedMutexGuard<()>, String> {
    let lock = worker.world.lock_ct(vmid).await;
    lock.map_err(|fail| fail.text())
}

fn delete(call: &Call) -> Outcome {
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    let name = call.params.text("snapname").to_owned();
    call.world.state().ct(&node, vmid)?;
    Ok(
        call.start_task("vzdelsnapshot", &vmid.to_string(), |worker| async move {
            let _lock = locked(&worker, vmid).await?;
            worker.takes(Duration::from_secs(1)).await?;
            let mut state = worker.world.state();
            let ct = state.ct_mut(&node, vmid).map_err(|fail| fail.text())?;
            ct.check_lock().map_err(|fail| fail.text())?;
            let gone = find(ct, &name).map_err(|fail| fail.text())?.clone();
            ct.snapshots.remove(&name);
            // What came after it now comes after its own parent.
            let later = ct.snapshots.values_mut().map(|later| &mut later.parent);
            for parent in later.chain([&mut ct.parent]) {
                if parent.as_ref() == Some(&name) {
                    parent.clone_from(&gone.parent);
                }
            }
            Ok(())
        }),
    )
}

fn rollback(call: &Call) -> Outcome {
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    let name = call.params.text("snapname").to_owned();
    call.world.state().ct(&node, vmid)?;
    let starter = call.params.is_set("start").then(|| call.who.id.clone());
    Ok(
        call.start_task("vzrollback", &vmid.to_string(), |worker| async move {
            let lock = locked(&worker, vmid).await?;
            let container = {
                let state = worker.world.state();
                let ct = state.ct(&node, vmid).map_err(|fail| fail.text())?;
                ct.check_lock().map_err(|fail| fail.text())?;
                find(ct, &name).map_err(|fail| fail.text())?;
                let running = ct.running.as_ref();
                running.map(|running| running.container.clone())
            };
            worker.takes(Duration::from_secs(1)).await?;
            if let Some(container) = container {
                container.kill().await;
            }
            {
                let mut state = worker.world.state();
                let ct = state.ct_mut(&node, vmid).map_err(|fail| fail.text())?;
                let snapshot = find(ct, &name).map_err(|fail| fail.text())?.clone();
                ct.config = snapshot.config;
                ct.pending.clear();
                ct.parent = Some(name);
            }
            drop(lock);
            if let Some(user) = starter {
                let id = vmid.to_string();
                let of = (node.as_str(), "vzstart", id.as_str(), user.as_str());
                Task::spawn(&worker.world, of, None, |worker| {
                    super::start::run(worker, node.clone(), vmid, false)
                });
            }
            Ok(())
        }),
    )
}
