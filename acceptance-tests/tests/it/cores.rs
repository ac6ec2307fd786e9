//! The quickstart on every core that is at hand: `tofu`, and `terraform` where it is installed.

use std::path::Path;

use acceptance_tests::{
    simulator::{Options, Release},
    tofu::{self, Workspace},
};

use crate::scene::Scene;

const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart");

#[tokio::test]
async fn the_quickstart_runs_on_tofu() {
    quickstart(&tofu::core().expect("there is a tofu"), Release::V9_2).await;
}

#[tokio::test]
async fn the_quickstart_runs_on_older_releases_of_proxmox_ve() {
    let core = tofu::core().expect("there is a tofu");
    for release in [Release::V8_4, Release::V9_1] {
        quickstart(&core, release).await;
    }
}

/// Terraform cannot be built from its module, so it is tested where somebody installed it.
#[tokio::test]
async fn the_quickstart_runs_on_terraform_where_it_is_installed() {
    match tofu::terraform() {
        Some(core) => quickstart(&core, Release::V9_2).await,
        None => eprintln!("terraform is not on PATH: only tofu was tested"),
    }
}

async fn quickstart(core: &Path, release: Release) {
    let scene = Scene::with(Options {
        release,
        ..Options::default()
    })
    .await;
    let mut ws = Workspace::with_core(core, &scene.stage.variables()).expect("a workspace is made");
    ws.copy(Path::new(QUICKSTART))
        .expect("the example is there");
    ws.docker_of_distribution(&["web"]);
    let (url, checksum) = scene.stage.image("debian-13.qcow2");
    ws.set("TF_VAR_image_url", url);
    ws.set("TF_VAR_image_checksum", checksum);
    ws.set("TF_VAR_registry", "registry.example.com");
    ws.init().await;

    ws.apply(&[]).await.ok();
    ws.plan(&[]).await.empty();
    let stack = ws
        .resource("pmoves_stack.hello")
        .await
        .expect("the stack is in the state");
    assert_eq!(
        stack["values"]["services"]["web"]["state"], "running",
        "{stack:#}"
    );

    scene.sh(100, "docker stop hello-web-1").await;
    let drift = ws.plan(&[]).await;
    assert_eq!(drift.changes(), ["pmoves_stack.hello: update"]);
    let services =
        |side: &str| drift.change("pmoves_stack.hello")[side]["services"]["web"]["state"].clone();
    assert_eq!(
        (services("before"), services("after")),
        ("exited".into(), "running".into())
    );

    let text = std::fs::read_to_string(ws.path().join("compose.yaml")).expect("the text is there");
    ws.write("compose.yaml", &text.replace("/demo/web:1", "/demo/web:2"));
    ws.apply(&[]).await.ok();
    ws.plan(&[]).await.empty();

    ws.destroy().await.ok();
    assert_eq!(scene.stage.simulator.vms(), []);
    let left: Vec<String> = scene.stage.simulator.volumes();
    assert!(
        !left
            .iter()
            .any(|volume| volume.contains("seed") || volume.contains("vm-100")),
        "{left:?}"
    );
}
