//! `pmoves_nodes`.

use acceptance_tests::simulator::{Effect, Fault};
use serde_json::{Value, json};

use crate::scene::{Scene, example};

/// The nodes that the example finds.
async fn nodes(scene: &Scene) -> Value {
    scene.ws.apply(&[]).await.ok();
    let data = scene.ws.resource("data.pmoves_nodes.all").await;
    data.expect("the data is in the state")["values"]["nodes"].clone()
}

async fn scene() -> Scene {
    let scene = Scene::new().await;
    scene.ws.write(
        "main.tf",
        &example("data-sources/pmoves_nodes/data-source.tf"),
    );
    scene
}

#[tokio::test]
async fn every_node_is_told_with_what_a_plan_needs() {
    let mut scene = scene().await;
    scene.ws.set(
        "PROXMOX_VE_API_TOKEN",
        scene.stage.simulator.token_with("Sys.Audit"),
    );
    let node = |name: &str| json!({ "name": name, "online": true, "cpus": 16, "memory": 65536, "version": "9.2.11" });
    assert_eq!(nodes(&scene).await, json!([node("pve1"), node("pve2")]));
    scene.quiet().await;
    scene.forget();
    scene.ws.plan(&[]).await;
    assert_eq!(
        scene.calls(),
        [
            "GET /nodes",
            "GET /nodes/pve1/version",
            "GET /nodes/pve2/version"
        ]
    );
}

#[tokio::test]
async fn a_node_that_is_off_is_told_too() {
    let scene = scene().await;
    scene.stage.simulator.set_online("pve2", false);
    let told = nodes(&scene).await;
    // The ready token may not audit nodes.
    let node = |name: &str, online: bool, version: Value| json!({ "name": name, "online": online, "cpus": null, "memory": null, "version": version });
    assert_eq!(
        told,
        json!([
            node("pve1", true, "9.2.11".into()),
            node("pve2", false, Value::Null)
        ])
    );
    // The list is some seconds behind.
    scene.stage.simulator.set_online("pve2", true);
    let off = Effect::Answer {
        status: 595,
        text: "No route to host".to_owned(),
    };
    let mut fault = Fault::new("GET", "/nodes/pve2/version", off);
    fault.times = u32::MAX;
    scene.stage.simulator.fault(fault);
    assert_eq!(nodes(&scene).await[1]["version"], Value::Null);
}
