//! `pmoves_docker_vm`.

use crate::scene::{Scene, dormant, web};

#[tokio::test]
async fn a_host_is_made_and_the_second_plan_is_empty() {
    let scene = Scene::new().await;
    scene.apply(&web()).await.ok();
    eprintln!("{:#?} rounds {}", scene.calls(), scene.rounds());
    eprintln!("{:#}", scene.web("").await);
    scene.forget();
    scene.quiet().await;
    eprintln!("{:#?} rounds {}", scene.calls(), scene.rounds());
    eprintln!("{:?}", scene.stage.simulator.config(100));
    eprintln!("{:?}", scene.stage.simulator.volumes());
}

#[tokio::test]
async fn a_host_that_shall_not_run_is_made() {
    let scene = Scene::new().await;
    scene.settle(&dormant()).await;
    eprintln!("{:#?} rounds {}", scene.calls(), scene.rounds());
    eprintln!("{:?}", scene.stage.simulator.config(100));
    eprintln!("{:?}", scene.stage.simulator.volumes());
    scene.settle(&web()).await;
    eprintln!("{:#?} rounds {}", scene.calls(), scene.rounds());
    eprintln!("{:?}", scene.stage.simulator.volumes());
}
