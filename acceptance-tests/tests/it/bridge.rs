//! `pmoves_bridge`.

mod real;
mod reload;

use std::{fmt::Write as _, time::Duration};

use acceptance_tests::simulator::{Effect, Fault};
use serde_json::{Value, json};

use crate::{
    process::Apply,
    scene::{Block, Scene, until},
};

const NETWORK: &str = "/nodes/pve1/network";
const RIGHTS: &str = "Sys.Modify Sys.Audit SDN.Audit";

/// `pmoves_bridge.docker`, which leads nowhere.
fn docker() -> Block {
    named("docker", "vmbr1").with("address", r#""10.10.0.1/24""#)
}

fn named(label: &str, name: &str) -> Block {
    Block::new(
        &format!("resource \"pmoves_bridge\" {label:?}"),
        &[("node_name", r#""pve1""#), ("name", &format!("{name:?}"))],
    )
}

/// A cluster whose token may change networks.
async fn scene() -> Scene {
    let mut scene = Scene::new().await;
    let token = scene.stage.simulator.token_with(RIGHTS);
    scene.ws.set("PROXMOX_VE_API_TOKEN", token);
    scene
}

async fn values(scene: &Scene) -> Value {
    let bridge = scene.ws.resource("pmoves_bridge.docker").await;
    bridge.expect("the bridge is in the state")["values"].clone()
}

/// Somebody else at work on the node; gives what the API answers.
async fn other(scene: &Scene, method: &str, path: &str, parameters: Value) -> Value {
    let simulator = &scene.stage.simulator;
    let client = reqwest::Client::builder()
        .danger_accept_invalid_certs(true)
        .build()
        .expect("a client is made");
    let url = format!("{}/api2/json{path}", simulator.endpoint());
    let token = format!("PVEAPIToken={}", simulator.token_with(RIGHTS));
    let request = client
        .request(method.parse().expect("a method"), url)
        .header("Authorization", token);
    // Only what changes something may have a body.
    let request = match parameters.is_null() {
        true => request,
        false => request.json(&parameters),
    };
    let response = request.send().await.expect("the simulator answers");
    assert!(response.status().is_success(), "{response:?}");
    response.json().await.expect("an answer is JSON")
}

async fn interfaces(scene: &Scene) -> (Vec<String>, bool) {
    let answer = other(scene, "GET", NETWORK, Value::Null).await;
    let rows = answer["data"].as_array().expect("a list").iter();
    let mut names: Vec<String> = rows
        .filter(|row| row["type"] == "bridge")
        .map(|row| row["iface"].as_str().unwrap_or_default().to_owned())
        .collect();
    names.sort();
    (names, answer.get("changes").is_some())
}

#[tokio::test]
async fn a_bridge_is_made_changed_and_removed() {
    let scene = scene().await;
    scene.settle(&docker()).await;
    let made = values(&scene).await;
    let said = |name: &str| made[name].clone();
    assert_eq!(
        [
            "id",
            "active",
            "isolated",
            "vlan_aware",
            "vids",
            "autostart"
        ]
        .map(said),
        [
            json!("pve1/vmbr1"),
            json!(true),
            json!(true),
            json!(false),
            Value::Null,
            json!(true)
        ]
    );
    scene.forget();
    scene.ws.plan(&[]).await.empty();
    assert_eq!(scene.calls(), ["GET /nodes/pve1/network"]);

    let changed = docker()
        .with("vlan_aware", "true")
        .with("comment", "\"two\\nlines\"")
        .with("mtu", "1400");
    scene.settle(&changed).await;
    assert_eq!(values(&scene).await["vids"], "2-4094");
    let (one, all) = (format!("PUT {NETWORK}/vmbr1"), format!("PUT {NETWORK}"));
    scene.forget();
    scene.apply(&docker()).await.ok();
    assert_eq!(scene.writes(), [one, all], "one change, one reload");
    scene.quiet().await;
    let now = values(&scene).await;
    assert_eq!(
        [&now["vids"], &now["comment"], &now["mtu"]],
        [&Value::Null; 3]
    );
    assert_eq!(now["address"], "10.10.0.1/24");

    scene.ws.destroy().await.ok();
    assert_eq!(interfaces(&scene).await, (vec!["vmbr0".to_owned()], false));
}

#[tokio::test]
async fn bridges_that_change_together_share_one_reload() {
    let scene = scene().await;
    let mut config = String::new();
    for number in 1..=8 {
        let bridge = named(&format!("b{number}"), &format!("vmbr{}", number + 10));
        write!(config, "{bridge}").expect("a string takes it");
    }
    scene.apply(&config).await.ok();
    let reloads = |calls: Vec<String>| {
        calls
            .iter()
            .filter(|call| **call == format!("PUT {NETWORK}"))
            .count()
    };
    assert_eq!(reloads(scene.writes()), 1, "{:?}", scene.writes());
    scene.forget();
    scene.ws.plan(&[]).await.empty();
    assert_eq!(
        scene.calls(),
        ["GET /nodes/pve1/network"],
        "one list for all bridges"
    );
    scene.forget();
    scene.ws.destroy().await.ok();
    assert_eq!(reloads(scene.writes()), 1);
}

#[tokio::test]
async fn another_name_is_another_bridge() {
    let scene = scene().await;
    scene.settle(&docker()).await;
    let renamed = docker().with("name", r#""vmbr2""#);
    scene.ws.write("main.tf", &renamed.to_string());
    assert_eq!(
        scene.ws.plan(&[]).await.changes(),
        ["pmoves_bridge.docker: delete+create"]
    );
    scene.settle(&renamed).await;
    let (names, _) = interfaces(&scene).await;
    assert!(
        names.contains(&"vmbr2".to_owned()) && !names.contains(&"vmbr1".to_owned()),
        "{names:?}"
    );
}

#[tokio::test]
async fn an_import_is_the_bridge_again() {
    let scene = scene().await;
    let full = docker()
        .with("vlan_aware", "true")
        .with("comment", r#""x""#);
    scene.settle(&full).await;
    let made = values(&scene).await;
    for id in ["pve1/vmbr1", "pve1:vmbr1"] {
        scene
            .ws
            .run(&["state", "rm", "pmoves_bridge.docker"])
            .await
            .ok();
        scene
            .ws
            .run(&["import", "-no-color", "pmoves_bridge.docker", id])
            .await
            .ok();
        assert_eq!(values(&scene).await, made);
        scene.quiet().await;
    }
    scene
        .ws
        .run(&["state", "rm", "pmoves_bridge.docker"])
        .await
        .ok();
    std::fs::remove_file(scene.ws.path().join("main.tf")).expect("it was written");
    let import = "import {\n  to = pmoves_bridge.docker\n  id = \"pve1/vmbr1\"\n}\n";
    scene.ws.write("import.tf", import);
    let plan = scene.ws.plan(&["-generate-config-out=generated.tf"]).await;
    let actions = &plan.change("pmoves_bridge.docker")["actions"];
    assert_eq!(*actions, json!(["no-op"]), "{}", plan.differences());
    scene.ws.apply(&[]).await.ok();
    scene.quiet().await;
}

#[tokio::test]
async fn what_others_do_to_a_bridge_is_seen() {
    let scene = scene().await;
    scene.settle(&docker()).await;
    let one = format!("{NETWORK}/vmbr1");
    other(
        &scene,
        "PUT",
        &one,
        json!({ "type": "bridge", "cidr": "10.10.0.9/24", "autostart": 1 }),
    )
    .await;
    other(&scene, "PUT", NETWORK, json!({})).await;
    until_applied(&scene).await;
    let drift = scene.ws.plan(&[]).await;
    assert_eq!(drift.changes(), ["pmoves_bridge.docker: update"]);
    assert_eq!(
        drift.change("pmoves_bridge.docker")["before"]["address"],
        "10.10.0.9/24"
    );
    scene.settle(&docker()).await;

    other(&scene, "DELETE", &one, Value::Null).await;
    other(&scene, "PUT", NETWORK, json!({})).await;
    until_applied(&scene).await;
    assert_eq!(
        scene.ws.plan(&[]).await.changes(),
        ["pmoves_bridge.docker: create"]
    );
    scene.settle(&docker()).await;
}

async fn until_applied(scene: &Scene) {
    while interfaces(scene).await.1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn changes_of_others_are_refused_until_they_are_wanted() {
    let scene = scene().await;
    other(
        &scene,
        "POST",
        NETWORK,
        json!({ "iface": "vmbr7", "type": "bridge", "autostart": 1 }),
    )
    .await;
    let said = scene.refused(&docker()).await;
    for words in [
        "Changes of others wait",
        "+iface vmbr7",
        "reload_foreign = true",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(interfaces(&scene).await.1);
    scene.settle(&docker().with("reload_foreign", "true")).await;
    assert!(!interfaces(&scene).await.1);
}

#[tokio::test]
async fn bridges_that_cannot_be() {
    let scene = scene().await;
    let with = |name: &str, value: &str| docker().with(name, value);
    for (at, config, words) in [
        ("name", with("name", r#""vmbr-1""#), "2 to 15 letters"),
        (
            "name",
            with("name", r#""vmbr0""#),
            "import it as pve1/vmbr0",
        ),
        (
            "address",
            with("address", r#""10.10.0.1""#),
            "prefix length",
        ),
        (
            "gateway",
            with("gateway", r#""10.11.0.1""#),
            "not in the network 10.10.0.0/24",
        ),
        ("vids", with("vids", r#""2-10""#), "vlan_aware = true"),
        (
            "isolated",
            with("isolated", "false"),
            "neither ports nor a gateway",
        ),
        ("node_name", with("node_name", r#""pve9""#), "pve1, pve2"),
    ] {
        let said = scene.refused(&config).await;
        assert!(said.contains(&format!("{at} = ")), "not at {at}: {said}");
        assert!(said.contains(words), "{words}: {said}");
    }
    let said = scene.apply(&with("ports", r#"["eno9"]"#)).await.refused();
    assert!(
        said.contains("unable to find bridge port 'eno9'") && said.contains("ports = "),
        "{said}"
    );
    assert!(!interfaces(&scene).await.1, "nothing is left pending");
}

#[tokio::test]
async fn a_token_that_may_not_change_the_network_is_told_at_plan() {
    let mut scene = scene().await;
    scene.ws.set(
        "PROXMOX_VE_API_TOKEN",
        scene.stage.simulator.token_with("Sys.Audit SDN.Audit"),
    );
    let said = scene.refused(&docker()).await;
    assert!(
        said.contains("Sys.Modify on /nodes/pve1") && said.contains("node_name = "),
        "{said}"
    );
}

#[tokio::test]
async fn an_interrupt_leaves_nothing_half_done() {
    let mut scene = scene().await;
    scene.settle(&docker()).await;
    let slow = Effect::Delay(Duration::from_secs(2));
    scene
        .stage
        .simulator
        .fault(Fault::new("PUT", NETWORK, slow).times(1));
    let apply = Apply::start(&mut scene, &docker().with("mtu", "1400"));
    until("the reload", || {
        scene.stage.simulator.calls("PUT", NETWORK) > 0
    })
    .await;
    apply.interrupt().await;
    let (status, said) = apply.end().await;
    // What is on the node by then is finished, not left to others.
    assert!(!interfaces(&scene).await.1, "{status}: {said}");
    scene.settle(&docker().with("mtu", "1400")).await;
}
