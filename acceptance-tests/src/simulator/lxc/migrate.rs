//! Moving a container to another node.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::volumes;
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::tasks::Worker;

const MIGRATE: Allow = Allow::All("/vms/{vmid}", &["VM.Migrate"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /nodes/{node}/lxc/{vmid}/migrate",
        allow: MIGRATE,
        rules: "+ct; target? string pve-node",
        handler: now!(precondition),
    },
    Route {
        call: "POST /nodes/{node}/lxc/{vmid}/migrate",
        allow: MIGRATE,
        rules: "+ct; bwlimit? number min=0; online? boolean; restart? boolean
            target string pve-node; target-storage? string storage-pair-list; timeout? integer",
        handler: now!(migrate),
    },
];

fn precondition(call: &Call) -> Outcome {
    let state = call.world.state();
    let ct = state.ct(call.node(), call.params.vmid())?;
    let nodes = state.nodes.iter().filter(|node| node.name != ct.node);
    let nodes: Json = nodes.map(|node| json!(node.name)).collect();
    Ok(json!({
        "running": u8::from(ct.running.is_some()), "allowed-nodes": nodes,
        "not-allowed-nodes": {}, "dependent-ha-resources": [],
    })
    .into())
}

fn migrate(call: &Call) -> Outcome {
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    let target = call.params.text("target").to_owned();
    {
        let state = call.world.state();
        if target == node {
            return Err(Fail::param("target", "target is local node."));
        }
        let known = state.nodes.iter().find(|known| known.name == target);
        match known {
            None => {
                return Err(Fail::died(format!("no such cluster node '{target}'")));
            }
            Some(known) if !known.online => {
                return Err(Fail::died(format!("node '{target}' is offline")));
            }
            Some(_) => {}
        }
        let ct = state.ct(&node, vmid)?;
        if ct.running.is_some() && !call.params.is_set("restart") {
            if call.params.is_set("online") {
                return Err(Fail::died(
                    "lxc live migration is currently not implemented",
                ));
            }
            return Err(Fail::died(
                "can't migrate running container without --online or --restart",
            ));
        }
    }
    Ok(
        call.start_task("vzmigrate", &vmid.to_string(), |worker| async move {
            run(&worker, &node, vmid, &target).await
        }),
    )
}

async fn run(worker: &Worker, node: &str, vmid: u32, target: &str) -> Result<(), String> {
    let lock = worker.world.lock_ct(vmid).await;
    let lock = lock.map_err(|fail| fail.text())?;
    let container = {
        let state = worker.world.state();
        let ct = state.ct(node, vmid).map_err(|fail| fail.text())?;
        ct.check_lock().map_err(|fail| fail.text())?;
        let running = ct.running.as_ref();
        running.map(|running| running.container.clone())
    };
    if let Some(container) = &container {
        worker.log(format!("shutdown CT {vmid}"));
        container.shutdown().await;
        container.ended().await;
    }
    worker.log(format!(
        "starting migration of CT {vmid} to node '{target}'"
    ));
    worker.takes(Duration::from_secs(3)).await?;
    {
        let mut state = worker.world.state();
        let ct = state.ct_mut(node, vmid).map_err(|fail| fail.text())?;
        target.clone_into(&mut ct.node);
        let config = ct.config.iter();
        let own: Vec<String> = config
            .filter_map(|(key, value)| volumes::volume_of(key, value))
            .collect();
        for id in own {
            let place = state.place(node, &id);
            if let Some(volume) = state.volumes.remove(&place) {
                state.put_volume(target, &id, volume);
            }
        }
    }
    worker.log("start final cleanup");
    drop(lock);
    if container.is_some() {
        worker.log("start container on target node");
        let started = super::start::run(worker.clone(), target.to_owned(), vmid, false);
        started.await?;
    }
    worker.log("migration finished successfully (duration 00:00:03)");
    Ok(())
}
