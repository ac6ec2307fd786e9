//! What a plan refuses, and how it says so.

use acceptance_tests::simulator::{Options, Storage};

use super::{dormant, scene, scene_with, web};
use crate::scene::Block;

#[tokio::test]
async fn what_only_root_may_do_is_an_error_of_the_plan() {
    let scene = scene().await;
    for (name, value, words) in [
        ("features", "{ keyctl = true }", "change keyctl"),
        ("features", "{ keyctl = false, fuse = true }", "change fuse"),
        ("unprivileged", "false", "privileged container"),
        (
            "device_passthrough",
            r#"{ dev0 = { path = "/dev/net/tun" } }"#,
            "hostpci and usb",
        ),
        (
            "mount_point",
            r#"{ mp1 = { volume = "/srv", path = "/srv" } }"#,
            "virtiofs",
        ),
    ] {
        let said = scene.refused(&dormant().with(name, value)).await;
        assert!(said.contains(words), "{name}: {said}");
    }
    let said = scene
        .planned(&dormant().without("features"))
        .await
        .ok()
        .said();
    assert!(said.contains("keyctl stays off"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_is_an_error_at_its_attribute() {
    let scene = scene().await;
    for (name, value, words) in [
        ("name", r#""we_b""#, "no DNS name"),
        (
            "features",
            "{ nesting = false, keyctl = false }",
            "Docker needs nesting",
        ),
        (
            "mount_point",
            r#"{ mp0 = { volume = "local-lvm", path = "/x" } }"#,
            "mp0 is the data_volume",
        ),
        (
            "template_file_id",
            r#""local:import/x.qcow2""#,
            "Not a container template",
        ),
        (
            "template_file_id",
            r#""local:vztmpl/alpine-3.22-default_20250617_amd64.tar.xz""#,
            "has no systemd",
        ),
        ("root_disk", r#"{ datastore_id = "local" }"#, "rootdir"),
        (
            "initialization",
            r#"{ ip_config = { net0 = { ipv4 = { gateway = "192.0.2.1" } } } }"#,
            "needs a static address",
        ),
        (
            "initialization",
            r#"{ ip_config = { net3 = { ipv4 = { address = "dhcp" } } } }"#,
            "No such NIC",
        ),
    ] {
        let said = scene.refused(&dormant().with(name, value)).await;
        assert!(said.contains(words), "{name}: {said}");
    }
}

#[tokio::test]
async fn a_storage_that_docker_is_slow_on_is_worth_a_warning() {
    let mut storages = Options::default().storages;
    storages.extend(Storage::of_type("tank", "zfspool", "images,rootdir"));
    let scene = scene_with(Options {
        storages,
        ..Options::default()
    })
    .await;
    let warning = "tank is of type zfspool";
    let root = r#"{ datastore_id = "tank" }"#;
    let said = async |config: Block| scene.planned(&config).await.ok().said();
    let elsewhere = dormant().with("root_disk", root).with(
        "data_volume",
        r#"{ datastore_id = "local-lvm", size_gb = 2 }"#,
    );
    assert!(!said(elsewhere).await.contains(warning));
    let on_root = dormant().with("root_disk", root).without("data_volume");
    assert!(said(on_root).await.contains(warning));
    let data = r#"{ datastore_id = "tank", size_gb = 2 }"#;
    assert!(
        said(dormant().with("data_volume", data))
            .await
            .contains(warning)
    );
}

#[tokio::test]
async fn a_missing_privilege_is_named_with_the_line_that_grants_it() {
    let mut scene = scene().await;
    let token = scene.stage.simulator.token_without(&["VM.Console"]);
    scene.ws.set("PROXMOX_VE_API_TOKEN", token);
    let said = scene.refused(&web()).await;
    assert!(
        said.contains("lacks VM.Console on /vms") && said.contains("pveum acl modify"),
        "{said}"
    );
}
