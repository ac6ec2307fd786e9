//! Hosts that are taken over.

use serde_json::json;

use crate::scene::{Scene, dormant, web};

pub(super) const IMPORT: &str = r#"
import {
  to = pmoves_docker_vm.web
  id = "qemu/100"
}
"#;

/// Makes a host, and forgets it.
async fn orphan(host: &crate::scene::Block) -> Scene {
    let scene = Scene::new().await;
    scene.settle(host).await;
    let_go(&scene).await;
    scene.forget();
    scene
}

/// Takes the host out of the state.
pub(super) async fn let_go(scene: &Scene) {
    let state = ["state", "rm", "pmoves_docker_vm.web"];
    scene.ws.run(&state).await.ok();
}

#[tokio::test]
async fn a_generated_configuration_plans_nothing() {
    let scene = orphan(&web()).await;
    std::fs::remove_file(scene.ws.path().join("main.tf")).expect("it was written");
    scene.ws.write("import.tf", IMPORT);
    let plan = scene.ws.plan(&["-generate-config-out=generated.tf"]).await;
    let change = plan.change("pmoves_docker_vm.web");
    assert_eq!(
        change["actions"],
        json!(["no-op"]),
        "{}",
        plan.differences()
    );
    scene.ws.apply(&[]).await.ok();
    assert!(scene.writes().is_empty(), "{:?}", scene.writes());
    scene.quiet().await;
    assert_eq!(
        scene.web("/docker/data_root").await,
        json!("/opt/docker/data")
    );
    assert_eq!(scene.web("/data_disk/size_gb").await, json!(2));
    assert_eq!(
        scene.web("/data_disk/mount_path").await,
        json!("/opt/docker")
    );
    assert_eq!(scene.web("/restart_policy").await, json!("if_needed"));
}

#[tokio::test]
async fn a_host_is_imported_by_its_identity() {
    let scene = Scene::new().await;
    scene.settle(&dormant()).await;
    let address = "pmoves_docker_vm.web";
    let identity = json!({ "vm_id": 100 });
    let made = scene.ws.resource(address).await.expect("it was made");
    scene.ws.run(&["state", "rm", address]).await.ok();
    std::fs::remove_file(scene.ws.path().join("main.tf")).expect("it was written");
    scene.ws.write(
        "import.tf",
        &IMPORT.replace("id = \"qemu/100\"", "identity = { vm_id = 100 }"),
    );
    if !scene.ws.takes_identity().await {
        return;
    }
    assert_eq!(made["identity"], identity);
    let plan = scene.ws.plan(&["-generate-config-out=generated.tf"]).await;
    let change = plan.change(address);
    assert_eq!(
        (&change["actions"], &change["importing"]["identity"]),
        (&json!(["no-op"]), &identity),
        "{}",
        plan.differences()
    );
    scene.forget();
    scene.ws.apply(&[]).await.ok();
    assert!(scene.writes().is_empty(), "{:?}", scene.writes());
    scene.quiet().await;
    let imported = scene.ws.resource(address).await.expect("it was imported");
    assert_eq!(imported["identity"], identity);
    // The identity of another VMID is another VM.
    scene.ws.run(&["state", "rm", address]).await.ok();
    scene.ws.write(
        "import.tf",
        &IMPORT.replace("id = \"qemu/100\"", "identity = { vm_id = 4711 }"),
    );
    let said = scene.ws.run(&["plan", "-no-color"]).await.refused();
    assert!(
        said.contains("Cannot import non-existent remote object"),
        "{said}"
    );
}

#[tokio::test]
async fn a_configuration_by_hand_sends_nothing() {
    let scene = orphan(&web()).await;
    scene.ws.write("import.tf", IMPORT);
    scene.ws.write("main.tf", &web().to_string());
    scene.forget();
    let said = scene.ws.apply(&[]).await.ok().said();
    assert!(
        said.contains("1 imported, 0 added, 1 changed")
            || said.contains("1 imported, 0 added, 0 changed"),
        "{said}"
    );
    assert!(scene.writes().is_empty(), "{:?}", scene.writes());
    scene.quiet().await;
    assert_eq!(scene.web("/image/id").await, json!(crate::scene::IMAGE));
}

#[tokio::test]
async fn an_import_tells_what_a_create_told() {
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    let made = scene.web("").await;
    let_go(&scene).await;
    scene
        .ws
        .run(&["import", "-no-color", "pmoves_docker_vm.web", "pve1/100"])
        .await
        .ok();
    let imported = scene.web("").await;
    let made = made.as_object().expect("an object");
    // What Proxmox VE does not keep, and what only an import looks for.
    let unlike = ["image", "initialization", "docker"];
    for (name, value) in made
        .iter()
        .filter(|(name, _)| !unlike.contains(&name.as_str()))
    {
        assert_eq!(imported[name], *value, "{name}");
    }
    scene.quiet_but_kept().await;
}

#[tokio::test]
async fn ids_of_other_things_are_refused() {
    let scene = Scene::new().await;
    scene.ws.write("main.tf", &dormant().to_string());
    for (id, why) in [
        ("web", "is no VM; write it as qemu/101"),
        ("lxc/101", "is no VM; write it as qemu/101"),
        ("qemu/7", "is no VM; write it as qemu/101"),
        ("qemu/4711", "Cannot import non-existent remote object"),
    ] {
        let ran = scene
            .ws
            .run(&["import", "-no-color", "pmoves_docker_vm.web", id])
            .await;
        let said = ran.refused();
        assert!(said.contains(why), "{id}: {said}");
    }
}

#[tokio::test]
async fn what_others_set_survives_an_import_and_an_update() {
    let scene = orphan(&dormant()).await;
    let simulator = &scene.stage.simulator;
    let config = simulator.config(100).expect("the VM is there");
    let nic = format!(
        "{},link_down=1,queues=2,rate=1.25,trunks=10-12",
        config["net0"]
    );
    simulator.set_config(100, "net0", Some(&nic));
    simulator.set_config(100, "cpulimit", Some("2"));
    simulator.set_config(100, "numa", Some("1"));
    scene.ws.write("import.tf", IMPORT);
    scene
        .settle(&dormant().with("description", r#""mine""#))
        .await;
    assert_eq!(
        scene.web("/network_device/net0/trunks").await,
        json!([10, 11, 12])
    );
    assert_eq!(scene.web("/cpu/limit").await, json!(2));
    assert_eq!(scene.web("/cpu/numa").await, json!(true));
    let tagged = r#"{ net0 = { bridge = "vmbr0", vlan_id = 5 } }"#;
    scene
        .settle(&dormant().with("network_device", tagged))
        .await;
    let config = simulator.config(100).expect("the VM is there");
    let (_, told) = config["net0"].split_once(",bridge=").expect("a bridge");
    assert_eq!(
        told,
        "vmbr0,link_down=1,queues=2,rate=1.25,tag=5,trunks=10-12"
    );
}
