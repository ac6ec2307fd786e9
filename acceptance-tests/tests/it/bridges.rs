//! `pmoves_bridges`.

use acceptance_tests::simulator::Options;
use serde_json::{Value, json};

use crate::scene::{Scene, example};

async fn bridges(scene: &Scene) -> Value {
    scene.ws.apply(&[]).await.ok();
    let data = scene.ws.resource("data.pmoves_bridges.lan").await;
    data.expect("the data is in the state")["values"].clone()
}

async fn scene() -> Scene {
    let bridges = vec!["vmbr0".to_owned(), "vmbr1".to_owned()];
    let scene = Scene::with(Options {
        bridges,
        ..Options::default()
    })
    .await;
    scene.ws.write(
        "main.tf",
        &example("data-sources/pmoves_bridges/data-source.tf"),
    );
    scene
}

#[tokio::test]
async fn the_bridges_of_a_node_are_told() {
    let scene = scene().await;
    let found = bridges(&scene).await;
    assert_eq!(found["filtered"], json!(false));
    let bridge = |name: &str, ports: &[&str], address: Value| {
        json!({
            "node_name": "pve1", "name": name, "type": "bridge", "active": true,
            "autostart": true, "ports": ports, "address": address, "address6": null,
            "vlan_aware": false,
        })
    };
    assert_eq!(
        found["bridges"],
        json!([
            bridge("vmbr0", &["eno1"], "192.0.2.10/24".into()),
            bridge("vmbr1", &[], Value::Null),
        ])
    );
    scene.quiet().await;
}

#[tokio::test]
async fn a_credential_that_sees_only_some_is_told_so() {
    let mut scene = scene().await;
    let token = scene
        .stage
        .simulator
        .token_on(&[("/sdn/zones/localnetwork/vmbr1", "SDN.Use")]);
    scene.ws.set("PROXMOX_VE_API_TOKEN", token);
    let found = bridges(&scene).await;
    assert_eq!(found["filtered"], json!(true));
    let names = found["bridges"].as_array().into_iter().flatten();
    let names: Vec<&str> = names.filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["vmbr1"]);
}
