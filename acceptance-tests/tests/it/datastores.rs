//! `pmoves_datastores`.

use serde_json::{Value, json};

use crate::scene::{Scene, example};

const ALL: &str = "data \"pmoves_datastores\" \"all\" {}\n";

async fn datastores(scene: &Scene, name: &str) -> Vec<Value> {
    scene.ws.apply(&[]).await.ok();
    let address = format!("data.pmoves_datastores.{name}");
    let data = scene.ws.resource(&address).await;
    let data = data.expect("the data is in the state")["values"]["datastores"].clone();
    data.as_array().expect("a list").clone()
}

/// `node/id` of each.
fn places(datastores: &[Value]) -> Vec<String> {
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    datastores
        .iter()
        .map(|one| format!("{}/{}", text(one, "node_name"), text(one, "id")))
        .collect()
}

#[tokio::test]
async fn every_node_tells_its_storages() {
    let scene = Scene::new().await;
    scene.ws.write("main.tf", ALL);
    let found = datastores(&scene, "all").await;
    assert_eq!(
        places(&found),
        [
            "pve1/local",
            "pve1/local-lvm",
            "pve2/local",
            "pve2/local-lvm"
        ]
    );
    assert_eq!(
        found[1],
        json!({
            "node_name": "pve1", "id": "local-lvm", "type": "lvmthin", "shared": false,
            "content_types": ["images", "rootdir"], "enabled": true, "active": true,
            "space_available": 256_u64 << 30, "space_total": 256_u64 << 30,
        })
    );
    scene.stage.simulator.set_online("pve2", false);
    let found = datastores(&scene, "all").await;
    assert_eq!(places(&found), ["pve1/local", "pve1/local-lvm"]);
}

#[tokio::test]
async fn node_and_content_are_filters() {
    let scene = Scene::new().await;
    scene.ws.write(
        "main.tf",
        &example("data-sources/pmoves_datastores/data-source.tf"),
    );
    let found = datastores(&scene, "disks").await;
    assert_eq!(places(&found), ["pve1/local-lvm"]);
    scene.quiet().await;
}

#[tokio::test]
async fn a_node_that_cannot_be_asked_is_an_error_at_its_name() {
    let scene = Scene::new().await;
    let named = "data \"pmoves_datastores\" \"all\" {\n  node_name = \"pve9\"\n}\n";
    let said = scene.refused(&named).await;
    for words in [
        "node_name = \"pve9\"",
        "has no node pve9; it has pve1, pve2",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    scene.stage.simulator.set_online("pve2", false);
    let said = scene.refused(&named.replace("pve9", "pve2")).await;
    assert!(said.contains("Pve2 is offline"), "{said}");
}

#[tokio::test]
async fn a_credential_sees_what_it_may_see() {
    let mut scene = Scene::new().await;
    let token = scene
        .stage
        .simulator
        .token_on(&[("/storage/local", "Datastore.Audit")]);
    scene.ws.set("PROXMOX_VE_API_TOKEN", token);
    scene.ws.write("main.tf", ALL);
    let found = datastores(&scene, "all").await;
    assert_eq!(places(&found), ["pve1/local", "pve2/local"]);
}
