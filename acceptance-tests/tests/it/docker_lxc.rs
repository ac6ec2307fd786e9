//! `pmoves_docker_lxc`: made, left alone and destroyed, and what that costs.

mod clones;
mod drift;
mod failure;
mod input;
mod real;
mod ssh;
mod update;

use acceptance_tests::simulator::Options;
use expect_test::expect;
use serde_json::{Value, json};

use crate::scene::{Block, IMAGE, PLAIN, Scene};

/// A container template that is on the storage from the start, and brings Docker.
pub(crate) const TEMPLATE: &str = "local:vztmpl/debian-13-docker.tar.zst";

/// A scene with a template.
pub(crate) async fn scene() -> Scene {
    scene_with(Options::default()).await
}

/// Likewise, on a cluster that is set up otherwise.
pub(crate) async fn scene_with(options: Options) -> Scene {
    let scene = Scene::with(options).await;
    let simulator = &scene.stage.simulator;
    simulator.put_file("pve1", TEMPLATE, b"\x28\xb5\x2f\xfd".to_vec());
    scene
}

/// A Docker host that starts in an instant, `pmoves_docker_lxc.web`.
pub(crate) fn web() -> Block {
    Block::new(
        r#"resource "pmoves_docker_lxc" "web""#,
        &[
            ("name", r#""web""#),
            ("node_name", r#""pve1""#),
            ("template_file_id", &format!("{TEMPLATE:?}")),
            ("features", "{ keyctl = false }"),
            (
                "root_disk",
                r#"{ datastore_id = "local-lvm", size_gb = 4 }"#,
            ),
            ("data_volume", "{ size_gb = 2 }"),
            ("docker", r#"{ source = "distro" }"#),
            ("network_interface", r#"{ net0 = { bridge = "vmbr0" } }"#),
        ],
    )
}

/// The same, never started: for what only the API is asked.
pub(crate) fn dormant() -> Block {
    web().with("started", "false")
}

/// One attribute of `pmoves_docker_lxc.web`, by JSON pointer.
pub(crate) async fn attribute(scene: &Scene, pointer: &str) -> Value {
    let values = scene.ws.resource("pmoves_docker_lxc.web").await;
    let values = values.expect("the container is in the state");
    values["values"]
        .pointer(pointer)
        .cloned()
        .unwrap_or_default()
}

/// The configuration that the cluster has.
pub(crate) fn config(scene: &Scene, key: &str) -> String {
    let config = scene
        .stage
        .simulator
        .config(100)
        .expect("the container is there");
    config.get(key).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_host_that_shall_not_run_is_made_left_alone_and_destroyed() {
    let scene = scene().await;
    scene.apply(&dormant()).await.ok();
    expect![[r#"
        GET /version
        GET /nodes/pve1/storage
        GET /nodes/pve1/apt/versions
        GET /nodes/pve1/network
        GET /access/permissions
        GET /version
        GET /nodes/pve1/storage
        GET /nodes/pve1/apt/versions
        GET /nodes/pve1/network
        GET /access/permissions
        GET /cluster/nextid
        POST /nodes/pve1/lxc"#]]
    .assert_eq(&scene.calls().join("\n"));
    for (key, value) in [
        ("hostname", "web"),
        ("cmode", "shell"),
        ("features", "nesting=1"),
        ("unprivileged", "1"),
        ("memory", "2048"),
        ("swap", "0"),
        ("tags", "pmoves"),
        ("rootfs", "local-lvm:vm-100-disk-0,size=4G"),
        (
            "mp0",
            "local-lvm:vm-100-disk-1,mp=/opt/appdata,backup=1,size=2G",
        ),
    ] {
        assert_eq!(config(&scene, key), value, "{key}");
    }
    assert_eq!(attribute(&scene, "/id").await, json!("lxc/100"));
    assert_eq!(attribute(&scene, "/status").await, json!("stopped"));
    let mac = attribute(&scene, "/network_interface/net0/mac_address").await;
    assert!(config(&scene, "net0").contains(mac.as_str().expect("it was drawn")));
    scene.forget();
    scene.quiet().await;
    // The list lags behind, so a container that it calls stopped is asked for.
    assert_eq!(
        scene.calls(),
        [
            "GET /cluster/resources",
            "GET /nodes/pve1/lxc/100/config",
            "GET /nodes/pve1/lxc/100/status/current"
        ]
    );
    scene.ws.destroy().await.ok();
    assert_eq!(scene.stage.simulator.config(100), None);
    assert_eq!(scene.stage.simulator.volumes(), [IMAGE, PLAIN, TEMPLATE]);
}

/// Rounds in the guest: connections to its console.
pub(crate) fn rounds(scene: &Scene) -> usize {
    scene
        .stage
        .simulator
        .calls("POST", "/nodes/*/lxc/*/termproxy")
}

#[tokio::test]
async fn a_host_is_made_left_alone_and_destroyed() {
    let scene = scene().await;
    scene.apply(&web()).await.ok();
    assert_eq!(
        scene.writes(),
        [
            "POST /nodes/pve1/lxc",
            "POST /nodes/pve1/lxc/100/status/start"
        ]
    );
    assert_eq!(rounds(&scene), 1);
    assert_eq!(attribute(&scene, "/status").await, json!("running"));
    assert_eq!(attribute(&scene, "/interface_name").await, json!("eth0"));
    assert!(attribute(&scene, "/ipv4_address").await.is_string());
    assert!(attribute(&scene, "/docker_version").await.is_string());
    let root = "docker info --format '{{.DockerRootDir}}'";
    assert_eq!(scene.sh(100, root).await, "/opt/appdata/data\n");

    scene.forget();
    scene.ws.plan(&[]).await.empty();
    // A refresh: one list for all, one configuration and one round for each host.
    assert_eq!(
        scene.calls(),
        [
            "GET /cluster/resources",
            "GET /nodes/pve1/lxc/100/config",
            "POST /nodes/pve1/lxc/100/termproxy",
            "GET /nodes/pve1/lxc/100/vncwebsocket"
        ]
    );
    scene.quiet().await;
    scene.ws.destroy().await.ok();
    assert_eq!(scene.stage.simulator.volumes(), [IMAGE, PLAIN, TEMPLATE]);
}

#[tokio::test]
async fn an_import_tells_what_a_create_told() {
    let scene = scene().await;
    scene.settle(&web()).await;
    let made = attribute(&scene, "").await;
    let address = "pmoves_docker_lxc.web";
    for id in ["lxc/100", "pve1/100"] {
        scene.ws.run(&["state", "rm", address]).await.ok();
        scene
            .ws
            .run(&["import", "-no-color", address, id])
            .await
            .ok();
        scene.quiet_but_kept().await;
        for pointer in [
            "/id",
            "/data_volume",
            "/network_interface",
            "/features",
            "/addresses",
            "/docker_version",
        ] {
            let now = attribute(&scene, pointer).await;
            assert_eq!(Some(&now), made.pointer(pointer), "{pointer}");
        }
    }
    let said = scene
        .ws
        .run(&["import", "-no-color", "pmoves_docker_lxc.web", "qemu/100"])
        .await;
    assert!(said.refused().contains("is no container"));
}

#[tokio::test]
async fn secrets_stay_out_of_everything_that_is_written_down() {
    let mut scene = scene().await;
    let password = "sentinel-password";
    scene.ws.set("TF_LOG", "TRACE");
    let variable = "variable \"password\" {\n  type      = string\n  ephemeral = true\n}\n";
    scene.ws.write("password.tf", variable);
    scene.ws.set("TF_VAR_password", password);
    let account = r#"{ user_account = { password_wo = var.password, password_wo_version = "1" } }"#;
    let host = web().with("initialization", account);
    scene.ws.write("main.tf", &host.to_string());
    if !scene.ws.takes_write_only().await {
        return;
    }
    let applied = scene.apply(&host).await.ok();
    let journal = format!("{:?}", scene.stage.simulator.tasks());
    let log = format!("{}{}", applied.stderr, applied.stdout);
    let ours = log
        .lines()
        .filter(|line| line.contains("provider.terraform-provider-pmoves"));
    let ours: String = ours.collect();
    assert!(ours.contains("/nodes/pve1/lxc"), "the log has the calls");
    for (what, text) in [
        ("state", scene.ws.state_file()),
        ("task list", journal),
        ("log", ours),
    ] {
        assert!(!text.contains(password), "the password is in the {what}");
        assert!(!text.contains("PVEVNC:"), "a ticket is in the {what}");
    }
}

#[tokio::test]
async fn a_stack_runs_in_a_container() {
    let scene = scene().await;
    let stack = r#"
resource "pmoves_stack" "app" {
  host_id    = pmoves_docker_lxc.web.id
  name       = "app"
  compose    = "services:\n  web:\n    image: nginx:1\n    ports: ['80:80']\n"
  secrets_wo = {}
}
"#;
    let stack = stack.replace("  secrets_wo = {}\n", "");
    let both = format!("{}{stack}", web());
    scene.settle(&both).await;
    let app = scene
        .ws
        .resource("pmoves_stack.app")
        .await
        .expect("it is in the state");
    assert_eq!(app["values"]["id"], json!("lxc/100/app"));
    assert_eq!(app["values"]["status"], json!("running"));
    scene.forget();
    scene.ws.plan(&[]).await.empty();
    assert_eq!(rounds(&scene), 1, "one round for host and stack");
    scene.sh(100, "docker stop app-web-1").await;
    assert_eq!(
        scene.ws.plan(&[]).await.changes(),
        ["pmoves_stack.app: update"]
    );
    scene.settle(&both).await;
    scene.ws.destroy().await.ok();
}

#[tokio::test]
async fn a_protected_host_is_neither_destroyed_nor_replaced() {
    let scene = scene().await;
    let host = dormant().with("protection", "true");
    scene.settle(&host).await;
    let said = scene.ws.destroy().await.refused();
    assert!(said.contains("The container is protected"), "{said}");
    let said = scene.refused(&host.clone().with("vm_id", "200")).await;
    assert!(said.contains("The container is protected"), "{said}");
    scene.settle(&dormant().with("protection", "false")).await;
    scene.ws.destroy().await.ok();
}
