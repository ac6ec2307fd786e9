//! Creates that break: nothing is lost, nothing stays behind, and the next apply heals.

use acceptance_tests::{
    guests::scripted::{AgentMood, Scenario},
    simulator::{Effect, Fault},
};

use crate::scene::{Block, IMAGE, PLAIN, Scene, dormant, until, web};

const CREATE: &str = "/nodes/*/qemu";

/// Whether the state says that the host has to be made anew.
async fn tainted(scene: &Scene) -> bool {
    let host = scene.ws.resource("pmoves_docker_vm.web").await;
    host.is_some_and(|host| host["tainted"] == true)
}

/// Applies again, and checks that there is one host and no leftover.
async fn heals(scene: &Scene, host: &Block) {
    scene.stage.simulator.clear_faults();
    scene.settle(host).await;
    assert_eq!(
        scene.stage.simulator.vms().len(),
        1,
        "{:?}",
        scene.stage.simulator.vms()
    );
    scene.ws.destroy().await.ok();
    assert_eq!(scene.stage.simulator.volumes(), [IMAGE, PLAIN]);
}

#[tokio::test]
async fn a_create_that_the_node_undoes_leaves_nothing() {
    let scene = Scene::new().await;
    let error = "unable to create VM 100 - no space left".to_owned();
    scene
        .stage
        .simulator
        .fault(Fault::new("POST", CREATE, Effect::TaskFails(error)));
    let said = scene.apply(&dormant()).await.refused();
    assert!(said.contains("no space left"), "{said}");
    assert!(scene.ws.resource("pmoves_docker_vm.web").await.is_none());
    assert_eq!(scene.stage.simulator.volumes(), [IMAGE, PLAIN]);
    heals(&scene, &dormant()).await;
}

#[tokio::test]
async fn a_host_that_does_not_start_is_made_anew() {
    let scene = Scene::new().await;
    let error = "start failed: QEMU exited with code 1".to_owned();
    scene.stage.simulator.fault(Fault::new(
        "POST",
        "/nodes/*/qemu/*/status/start",
        Effect::TaskFails(error),
    ));
    let said = scene.apply(&web()).await.refused();
    assert!(said.contains("start failed"), "{said}");
    assert!(tainted(&scene).await);
    heals(&scene, &web()).await;
}

#[tokio::test]
async fn a_guest_that_never_answers_is_made_anew() {
    let scene = Scene::new().await;
    scene.guests.scenario(
        "web",
        Scenario {
            agent: AgentMood::Silent,
            ..Scenario::default()
        },
    );
    let said = scene
        .apply(&web().with("timeouts", r#"{ create = "10s" }"#))
        .await
        .refused();
    assert!(said.contains("guest agent"), "{said}");
    assert!(tainted(&scene).await);
    scene.guests.scenario("web", Scenario::default());
    heals(&scene, &web()).await;
}

#[tokio::test]
async fn a_mirror_that_is_down_is_thought_of() {
    let scene = Scene::new().await;
    let broken = Scenario {
        apt_error: Some("E: mirror is down".to_owned()),
        ..Scenario::default()
    };
    scene.guests.scenario("web", broken);
    let plain = web().with("image", &format!("{{ id = {PLAIN:?} }}"));
    let said = scene
        .apply(&plain.clone().with("timeouts", r#"{ create = "12s" }"#))
        .await
        .refused();
    assert!(said.contains("reach its package mirror"), "{said}");
    assert!(tainted(&scene).await);
    scene.guests.scenario("web", Scenario::default());
    heals(&scene, &plain).await;
}

#[tokio::test]
async fn a_proxmox_node_as_guest_is_left_alone() {
    let scene = Scene::new().await;
    scene.guests.scenario(
        "web",
        Scenario {
            pve_node: true,
            ..Scenario::default()
        },
    );
    let said = scene.apply(&web()).await.refused();
    assert!(said.contains("Docker never runs there"), "{said}");
}

#[tokio::test]
async fn an_answer_that_is_lost_loses_no_host() {
    for effect in [Effect::Drop, Effect::DoThenDrop] {
        let scene = Scene::new().await;
        scene
            .stage
            .simulator
            .fault(Fault::new("POST", CREATE, effect.clone()));
        let ran = scene.apply(&dormant()).await;
        let known = scene.ws.resource("pmoves_docker_vm.web").await.is_some();
        let there = !scene.stage.simulator.vms().is_empty();
        assert_eq!(known, there, "{effect:?}: {}", ran.said());
        assert!(known || !ran.status.success(), "{effect:?}: {}", ran.said());
        heals(&scene, &dormant()).await;
    }
}

#[tokio::test]
async fn a_first_boot_that_breaks_later_is_finished_by_the_next_apply() {
    let scene = Scene::new().await;
    scene.settle(&dormant()).await;
    scene.guests.scenario(
        "web",
        Scenario {
            agent: AgentMood::Silent,
            ..Scenario::default()
        },
    );
    let short = web().with("timeouts", r#"{ update = "5s" }"#);
    scene.apply(&short).await.refused();
    scene.guests.scenario("web", Scenario::default());
    scene.settle(&web()).await;
    assert!(scene.web("/docker_version").await.is_string());
    assert_eq!(scene.stage.simulator.vms().len(), 1);
    assert!(
        !scene
            .stage
            .simulator
            .volumes()
            .iter()
            .any(|volume| volume.contains(":iso/"))
    );
}

#[tokio::test]
async fn a_destroy_that_fails_is_not_forgotten() {
    let scene = Scene::new().await;
    scene.settle(&dormant()).await;
    let error = "can't remove VM 100 - storage is offline".to_owned();
    scene.stage.simulator.fault(Fault::new(
        "DELETE",
        "/nodes/*/qemu/*",
        Effect::TaskFails(error),
    ));
    let said = scene.ws.destroy().await.refused();
    assert!(said.contains("storage is offline"), "{said}");
    assert!(scene.ws.resource("pmoves_docker_vm.web").await.is_some());
    scene.ws.destroy().await.ok();
    assert!(scene.stage.simulator.vms().is_empty());
}

#[tokio::test]
async fn a_disk_that_grew_before_something_broke_is_filled_by_the_next_apply() {
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    // The disk grows, but nobody hears of it.
    let lost = Effect::DoThenAnswer {
        status: 500,
        text: "got no worker upid".to_owned(),
    };
    let resize = Fault::new("PUT", "/nodes/*/qemu/*/resize", lost);
    scene.stage.simulator.fault(resize);
    let grown = web().with("data_disk", "{ size_gb = 3 }");
    scene.apply(&grown).await.refused();
    until("the disk to grow", || {
        let config = scene.stage.simulator.config(100).expect("it is there");
        config["scsi1"].contains("size=3G")
    })
    .await;
    let bytes = "df -B1 --output=size /opt/docker | tail -n 1";
    let size = async || -> u64 { scene.sh(100, bytes).await.trim().parse().expect("a number") };
    assert!(size().await <= 2 << 30);
    scene.settle(&grown).await;
    assert!(size().await > 2 << 30);
}
