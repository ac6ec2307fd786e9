//! What others changed behind our back.

use serde_json::json;

use crate::scene::{Scene, dormant, web};

const WEB: &str = "pmoves_docker_vm.web: update";

#[tokio::test]
async fn what_others_changed_is_shown_and_healed() {
    let scene = Scene::new().await;
    let host = dormant()
        .with("memory", "{ size = 2048 }")
        .with("tags", r#"["web"]"#);
    scene.settle(&host).await;
    let simulator = &scene.stage.simulator;
    let nic = simulator.config(100).expect("the VM is there")["net0"].clone();
    simulator.set_config(100, "memory", Some("1024"));
    simulator.set_config(100, "tags", Some("mine;pmoves"));
    simulator.set_config(100, "net0", Some(&nic.replace("vmbr0", "vmbr9")));
    let plan = scene.ws.plan(&[]).await;
    assert_eq!(plan.changes(), [WEB]);
    let before = &plan.change("pmoves_docker_vm.web")["before"];
    assert_eq!(before["memory"]["size"], json!(1024));
    assert_eq!(before["tags"], json!(["mine"]));
    assert_eq!(before["network_device"]["net0"]["bridge"], json!("vmbr9"));
    scene.settle(&host).await;
    let config = simulator.config(100).expect("the VM is there");
    assert_eq!(
        (config["memory"].as_str(), config["tags"].as_str()),
        ("2048", "pmoves;web")
    );
    assert_eq!(config["net0"], nic);
}

#[tokio::test]
async fn what_was_never_configured_may_change() {
    let scene = Scene::new().await;
    scene.settle(&dormant()).await;
    let simulator = &scene.stage.simulator;
    simulator.set_config(100, "description", Some("a note"));
    simulator.set_config(100, "cores", Some("8"));
    simulator.set_config(100, "net1", Some("virtio=BC:24:11:00:00:99,bridge=vmbr0"));
    simulator.set_config(100, "cpulimit", Some("2"));
    scene.ws.apply(&["-refresh-only"]).await.ok();
    scene.quiet().await;
    scene.settle(&dormant().with("tags", r#"["web"]"#)).await;
    let config = simulator.config(100).expect("the VM is there");
    for key in ["net1", "description", "cpulimit"] {
        assert!(config.contains_key(key), "{key} is gone");
    }
    assert_eq!(config["cores"], "8");
}

#[tokio::test]
async fn a_stopped_host_is_started_again() {
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    scene.stage.simulator.stop_vm(100).await;
    let plan = scene.ws.plan(&[]).await;
    assert_eq!(plan.changes(), [WEB]);
    scene.settle(&web()).await;
    assert!(scene.stage.simulator.vms()[0].running);
}

#[tokio::test]
async fn settings_of_docker_that_others_changed_are_put_back() {
    let scene = Scene::new().await;
    let host = web().with(
        "docker",
        r#"{ source = "distro", live_restore = true, registry_mirrors = ["https://a.example.com"] }"#,
    );
    scene.settle(&host).await;
    let edit = "sed -i 's/a.example.com/b.example.com/' /etc/docker/daemon.json && systemctl reload docker";
    scene.sh(100, edit).await;
    let plan = scene.ws.plan(&[]).await;
    assert_eq!(plan.changes(), [WEB]);
    let before = &plan.change("pmoves_docker_vm.web")["before"]["docker"];
    assert_eq!(before["registry_mirrors"], json!(["https://b.example.com"]));
    scene.settle(&host).await;
    assert!(
        scene
            .sh(100, "cat /etc/docker/daemon.json")
            .await
            .contains("a.example.com")
    );
}

#[tokio::test]
async fn docker_that_was_stopped_is_started_again() {
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    scene
        .sh(100, "systemctl stop docker.socket docker.service")
        .await;
    assert_eq!(scene.ws.plan(&[]).await.changes(), [WEB]);
    scene.settle(&web()).await;
    scene.sh(100, "docker info").await;
}

#[tokio::test]
async fn a_host_that_was_destroyed_is_made_again() {
    let scene = Scene::new().await;
    scene.settle(&dormant()).await;
    scene.stage.simulator.delete_vm(100).await;
    assert_eq!(
        scene.ws.plan(&[]).await.changes(),
        ["pmoves_docker_vm.web: create"]
    );
    scene.settle(&dormant()).await;
    assert_eq!(scene.stage.simulator.vms().len(), 1);
}

#[tokio::test]
async fn a_host_that_moved_is_followed() {
    let scene = Scene::new().await;
    scene.settle(&dormant()).await;
    scene.stage.simulator.move_vm(100, "pve2");
    scene.ws.plan(&[]).await.empty();
    scene.ws.apply(&["-refresh-only"]).await.ok();
    assert_eq!(scene.web("/current_node").await, json!("pve2"));
    assert_eq!(scene.web("/node_name").await, json!("pve1"));
    scene
        .settle(&dormant().with("memory", "{ size = 1024 }"))
        .await;
    let config = scene.stage.simulator.config(100).expect("the VM is there");
    assert_eq!(config["memory"], "1024");
    // The configuration may follow, which only notes it down.
    scene
        .apply(
            &dormant()
                .with("memory", "{ size = 1024 }")
                .with("node_name", r#""pve2""#),
        )
        .await
        .ok();
    assert!(scene.writes().is_empty(), "{:?}", scene.writes());
    scene.quiet().await;
}

#[tokio::test]
async fn a_silent_guest_costs_a_warning() {
    use acceptance_tests::guests::scripted::{AgentMood, Scenario};
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    let silent = Scenario {
        agent: AgentMood::Silent,
        ..Scenario::default()
    };
    scene.guests.scenario(100, silent);
    let started = std::time::Instant::now();
    let said = scene.ws.run(&["plan", "-no-color"]).await.ok().said();
    assert!(said.contains("No changes"), "{said}");
    assert!(said.contains("The guest web does not answer"), "{said}");
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}
