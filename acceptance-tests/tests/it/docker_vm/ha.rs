//! Hosts that the HA manager starts and stops: it is asked, and does it some time later.

use serde_json::json;

use crate::scene::{Scene, dormant, web};

const SID: &str = "vm:100";

#[tokio::test]
async fn a_host_under_ha_is_stopped_and_started_by_the_manager() {
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    let simulator = &scene.stage.simulator;
    simulator.put_under_ha(SID, "started");
    scene.quiet().await;

    scene.settle(&dormant()).await;
    assert_eq!(simulator.ha_state(SID).as_deref(), Some("stopped"));
    assert_eq!(scene.web("/status").await, json!("stopped"));
    assert!(!simulator.vms()[0].running);

    scene.settle(&web()).await;
    assert_eq!(simulator.ha_state(SID).as_deref(), Some("started"));
    scene.sh(100, "docker info").await;

    // A restart is both, one after the other.
    scene.settle(&web().with("cpu", "{ cores = 4 }")).await;
    assert_eq!(scene.web("/restart_required").await, json!(false));
    assert_eq!(simulator.ha_state(SID).as_deref(), Some("started"));
    scene.sh(100, "docker info").await;
    let upids = simulator.tasks().into_iter().map(|(upid, _)| upid);
    let kinds = upids.filter_map(|upid| Some(upid.split(':').nth(5)?.to_owned()));
    let kinds: Vec<String> = kinds.filter(|kind| kind.starts_with("ha")).collect();
    assert_eq!(kinds, ["hastop", "hastart", "hastop", "hastart"]);
}

#[tokio::test]
async fn a_host_that_others_stopped_by_ha_is_drift() {
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    let simulator = &scene.stage.simulator;
    simulator.put_under_ha(SID, "stopped");
    simulator.stop_vm(100).await;
    let plan = scene.ws.plan(&[]).await;
    assert_eq!(plan.changes(), ["pmoves_docker_vm.web: update"]);
    scene.settle(&web()).await;
    assert_eq!(simulator.ha_state(SID).as_deref(), Some("started"));

    // What HA ignores is started and stopped as any other.
    simulator.put_under_ha(SID, "ignored");
    scene.settle(&dormant()).await;
    assert_eq!(simulator.ha_state(SID).as_deref(), Some("ignored"));
}

#[tokio::test]
async fn a_destroy_takes_the_host_out_of_ha_unless_told_otherwise() {
    let scene = Scene::new().await;
    let host = web().with("purge_on_destroy", "false");
    scene.settle(&host).await;
    let simulator = &scene.stage.simulator;
    simulator.put_under_ha(SID, "started");
    let said = scene.ws.destroy().await.refused();
    assert!(said.contains("used in HA resources"), "{said}");

    scene.settle(&web().with("purge_on_destroy", "true")).await;
    scene.ws.destroy().await.ok();
    assert!(simulator.vms().is_empty());
    assert_eq!(simulator.ha_state(SID), None);
}
