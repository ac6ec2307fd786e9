//! Everything under `examples/` that the documentation shows.

use acceptance_tests::simulator::Appliance;

use crate::scene::{self, Scene};

fn example(resource: &str) -> String {
    scene::example(&format!("resources/{resource}/resource.tf"))
}

#[tokio::test]
async fn the_examples_of_host_and_stack_work_together() {
    let mut scene = Scene::new().await;
    scene.ws.write("host.tf", &example("pmoves_docker_vm"));
    scene.ws.docker_of_distribution(&["apps"]);
    scene.ws.apply(&[]).await.ok();
    scene.ws.plan(&[]).await.empty();

    scene
        .ws
        .set("TF_VAR_db_password", "sentinel-of-the-example");
    scene.ws.write(
        "stack.tf",
        &example("pmoves_stack").replace("\"qemu/101\"", "pmoves_docker_vm.apps.id"),
    );
    if !scene.ws.takes_write_only().await {
        return;
    }
    scene.ws.apply(&[]).await.ok();
    scene.ws.plan(&[]).await.empty();
    assert!(!scene.ws.state_file().contains("sentinel-of-the-example"));
    scene.ws.destroy().await.ok();
}

/// The image itself is on the internet, which no test reaches: what is checked is the plan.
#[tokio::test]
async fn the_example_of_an_image_can_be_planned() {
    let mut scene = Scene::new().await;
    scene.ws.write("image.tf", &example("pmoves_image"));
    scene.ws.set("TF_VAR_debian_checksum", "0".repeat(128));
    scene.stage.simulator.put_appliance(Appliance {
        template: "debian-13-standard_13.1-2_amd64.tar.zst".to_owned(),
        data: Vec::new(),
    });
    std::fs::write(scene.ws.path().join("golden.qcow2"), scene::qcow2(1)).expect("it is written");
    assert_eq!(
        scene.ws.plan(&[]).await.changes(),
        [
            "pmoves_image.container: create",
            "pmoves_image.debian: create",
            "pmoves_image.golden: create"
        ]
    );
}

#[tokio::test]
async fn the_examples_of_whole_hosts_work() {
    for (name, hosts) in [
        // A scripted clone begins with the image, without what was installed in its template.
        ("clones", &["template", "worker"][..]),
        ("devices", &["home"]),
        ("nas", &["media"]),
    ] {
        let scene = Scene::new().await;
        scene.map_devices();
        let head = scene.ws.path().join("head.tf");
        std::fs::remove_file(head).expect("the example brings its own");
        scene.ws.docker_of_distribution(hosts);
        scene
            .settle(&scene::example(&format!("{name}/main.tf")))
            .await;
        scene.ws.destroy().await.ok();
        assert!(scene.stage.simulator.vms().is_empty(), "{name}");
    }
}
