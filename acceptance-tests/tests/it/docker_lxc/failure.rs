//! Creates that break: nothing is lost, nothing stays behind, and the next apply heals.

use acceptance_tests::simulator::{Effect, Fault};

use super::{TEMPLATE, dormant, scene, web};
use crate::scene::{IMAGE, PLAIN, Scene};

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
