//! Creates that break: nothing is lost, nothing stays behind, and the next apply heals.

use acceptance_tests::{
    guests::scripted::Scenario,
    simulator::{Effect, Fault},
};

use super::{TEMPLATE, dormant, rounds, scene, web};
use crate::{
    process::Apply,
    scene::{IMAGE, PLAIN, Scene, until},
};

const CREATE: &str = "/nodes/*/lxc";

/// Applies again, and checks that nothing is left over in the end.
async fn heals(scene: &Scene) {
    scene.stage.simulator.clear_faults();
    scene.settle(&dormant()).await;
    scene.ws.destroy().await.ok();
    assert_eq!(scene.stage.simulator.volumes(), [IMAGE, PLAIN, TEMPLATE]);
}

#[tokio::test]
async fn a_create_that_the_node_undoes_leaves_nothing() {
    let scene = scene().await;
    let error = "unable to create CT 100 - no space left".to_owned();
    let fault = Fault::new("POST", CREATE, Effect::TaskFails(error));
    scene.stage.simulator.fault(fault);
    let said = scene.apply(&dormant()).await.refused();
    assert!(said.contains("no space left"), "{said}");
    assert!(scene.ws.resource("pmoves_docker_lxc.web").await.is_none());
    heals(&scene).await;
}

#[tokio::test]
async fn a_template_that_is_not_there_is_named() {
    let scene = scene().await;
    scene.stage.simulator.remove_file("pve1", TEMPLATE);
    let said = scene.apply(&dormant()).await.refused();
    assert!(said.contains("template_file_id"), "{said}");
    assert!(scene.ws.resource("pmoves_docker_lxc.web").await.is_none());
}

#[tokio::test]
async fn a_host_that_does_not_start_is_made_anew() {
    let scene = scene().await;
    let error = "startup for container '100' failed".to_owned();
    let path = "/nodes/*/lxc/*/status/start";
    let fault = Fault::new("POST", path, Effect::TaskFails(error));
    scene.stage.simulator.fault(fault);
    let said = scene.apply(&web()).await.refused();
    assert!(said.contains("startup for container"), "{said}");
    let host = scene.ws.resource("pmoves_docker_lxc.web").await;
    assert!(host.is_some_and(|host| host["tainted"] == true));
    scene.stage.simulator.clear_faults();
    scene.settle(&web()).await;
    scene.ws.destroy().await.ok();
    assert_eq!(scene.stage.simulator.volumes(), [IMAGE, PLAIN, TEMPLATE]);
}

#[tokio::test]
async fn an_interrupt_leaves_a_container_that_is_known() {
    let mut scene = scene().await;
    let slow = Scenario {
        boot_ms: Some(600_000),
        ..Scenario::default()
    };
    scene.guests.scenario("web", slow);
    let apply = Apply::start(&mut scene, &web());
    until("the container to be asked", || rounds(&scene) > 0).await;
    apply.interrupt().await;
    let (status, said) = apply.end().await;
    assert_eq!(status.code(), Some(1), "{said}");
    let host = scene.ws.resource("pmoves_docker_lxc.web").await;
    assert!(host.is_some_and(|host| host["tainted"] == true), "{said}");
    scene.guests.scenario("web", Scenario::default());
    scene.settle(&web()).await;
    scene.ws.destroy().await.ok();
    assert_eq!(scene.stage.simulator.volumes(), [IMAGE, PLAIN, TEMPLATE]);
}

#[tokio::test]
async fn an_answer_that_is_lost_loses_no_container() {
    for effect in [Effect::Drop, Effect::DoThenDrop] {
        let scene = scene().await;
        let fault = Fault::new("POST", CREATE, effect.clone());
        scene.stage.simulator.fault(fault);
        let ran = scene.apply(&dormant()).await;
        let known = scene.ws.resource("pmoves_docker_lxc.web").await.is_some();
        let there = scene.stage.simulator.config(100).is_some();
        assert_eq!(known, there, "{effect:?}: {}", ran.said());
        assert!(known || !ran.status.success(), "{effect:?}: {}", ran.said());
        heals(&scene).await;
    }
}

#[tokio::test]
async fn what_a_task_warns_of_is_said() {
    let scene = scene().await;
    let old = "old systemd (< v232) detected, container won't run in a pure cgroupv2 environment!";
    let fault = Fault::new("POST", CREATE, Effect::TaskWarns(old.to_owned()));
    scene.stage.simulator.fault(fault);
    let said = scene.apply(&dormant()).await.ok().said();
    assert!(said.contains("Proxmox VE warns"), "{said}");
    assert!(said.contains("old systemd"), "{said}");
    heals(&scene).await;
}

#[tokio::test]
async fn a_destroy_that_fails_is_not_forgotten() {
    let scene = scene().await;
    scene.settle(&dormant()).await;
    let error = "can't remove CT 100 - storage is offline".to_owned();
    let fault = Fault::new("DELETE", "/nodes/*/lxc/*", Effect::TaskFails(error));
    scene.stage.simulator.fault(fault);
    let said = scene.ws.destroy().await.refused();
    assert!(said.contains("storage is offline"), "{said}");
    assert!(scene.ws.resource("pmoves_docker_lxc.web").await.is_some());
    scene.ws.destroy().await.ok();
    assert_eq!(scene.stage.simulator.volumes(), [IMAGE, PLAIN, TEMPLATE]);
}
