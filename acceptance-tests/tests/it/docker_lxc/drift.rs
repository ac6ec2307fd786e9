//! What others changed behind our back.

use serde_json::json;

use super::{attribute, config, dormant, scene, web};

#[tokio::test]
async fn what_others_changed_is_shown_and_healed() {
    let scene = scene().await;
    let host = dormant()
        .with("memory", "{ size = 2048 }")
        .with("tags", r#"["web"]"#);
    scene.settle(&host).await;
    let nic = config(&scene, "net0");
    let simulator = &scene.stage.simulator;
    simulator.set_config(100, "memory", Some("1024"));
    simulator.set_config(100, "tags", Some("mine;pmoves"));
    simulator.set_config(100, "net0", Some(&nic.replace("vmbr0", "vmbr9")));
    let plan = scene.ws.plan(&[]).await;
    let before = &plan.change("pmoves_docker_lxc.web")["before"];
    assert_eq!(before["memory"]["size"], json!(1024));
    assert_eq!(before["tags"], json!(["mine"]));
    assert_eq!(
        before["network_interface"]["net0"]["bridge"],
        json!("vmbr9")
    );
    scene.settle(&host).await;
    assert_eq!(config(&scene, "memory"), "2048");
    assert_eq!(config(&scene, "net0"), nic);
}

#[tokio::test]
async fn what_was_never_configured_may_change() {
    let scene = scene().await;
    scene.settle(&dormant()).await;
    let simulator = &scene.stage.simulator;
    simulator.set_config(100, "description", Some("a note"));
    simulator.set_config(100, "cores", Some("8"));
    simulator.set_config(
        100,
        "net1",
        Some("name=eth1,bridge=vmbr0,hwaddr=BC:24:11:00:00:99,type=veth"),
    );
    scene.ws.apply(&["-refresh-only"]).await.ok();
    scene.quiet().await;
    scene.settle(&dormant().with("tags", r#"["web"]"#)).await;
    assert_eq!(config(&scene, "cores"), "8");
    assert!(config(&scene, "net1").contains("eth1"));
}

#[tokio::test]
async fn a_host_that_was_destroyed_is_made_again() {
    let scene = scene().await;
    scene.settle(&dormant()).await;
    scene.stage.simulator.delete_vm(100).await;
    assert_eq!(
        scene.ws.plan(&[]).await.changes(),
        ["pmoves_docker_lxc.web: create"]
    );
    scene.settle(&dormant()).await;
}

#[tokio::test]
async fn a_host_that_moved_is_followed() {
    let scene = scene().await;
    scene.settle(&dormant()).await;
    scene.stage.simulator.move_vm(100, "pve2");
    scene.ws.plan(&[]).await.empty();
    scene.ws.apply(&["-refresh-only"]).await.ok();
    assert_eq!(attribute(&scene, "/current_node").await, json!("pve2"));
    scene
        .settle(&dormant().with("memory", "{ size = 1024 }"))
        .await;
    assert_eq!(config(&scene, "memory"), "1024");
}

#[tokio::test]
async fn a_stopped_host_is_started_again() {
    let scene = scene().await;
    scene.settle(&web()).await;
    scene.stage.simulator.stop_vm(100).await;
    assert_eq!(
        scene.ws.plan(&[]).await.changes(),
        ["pmoves_docker_lxc.web: update"]
    );
    scene.settle(&web()).await;
    assert_eq!(attribute(&scene, "/status").await, json!("running"));
}

#[tokio::test]
async fn a_foreign_console_is_made_a_root_shell() {
    let scene = scene().await;
    scene.settle(&dormant()).await;
    scene.stage.simulator.set_config(100, "cmode", None);
    scene.settle(&web()).await;
    assert_eq!(config(&scene, "cmode"), "shell");
    assert!(attribute(&scene, "/docker_version").await.is_string());
}
