//! Shares that the guest mounts before Docker starts.

use crate::scene::{Block, Scene, dormant, web};

const UNIT: &str = "/etc/systemd/system/mnt-media.mount";

fn media(options: &str) -> Block {
    let share = format!(r#"{{ source = "nas.lan:/media", path = "/mnt/media"{options} }}"#);
    web().with("mount", &format!("{{ media = {share} }}"))
}

#[tokio::test]
async fn a_share_comes_changes_heals_and_goes() {
    let scene = Scene::new().await;
    scene.settle(&media("")).await;
    let unit = scene
        .sh(100, &format!("mountpoint -q /mnt/media && cat {UNIT}"))
        .await;
    for line in ["What=nas.lan:/media", "Type=nfs4", "Before=docker.service"] {
        assert!(unit.contains(line), "{line}: {unit}");
    }
    scene.settle(&media(r#", options = "ro,soft""#)).await;
    let unit = scene.sh(100, &format!("cat {UNIT}")).await;
    assert!(unit.contains("Options=ro,soft"), "{unit}");

    // It is there again after a restart, and comes back when somebody took it away.
    scene.settle(&media("").with("cpu", "{ cores = 4 }")).await;
    scene.sh(100, "mountpoint -q /mnt/media").await;
    scene
        .sh(100, &format!("systemctl stop mnt-media.mount; rm {UNIT}"))
        .await;
    let plan = scene.ws.plan(&[]).await;
    assert_eq!(plan.changes(), ["pmoves_docker_vm.web: update"]);
    scene.settle(&media("").with("cpu", "{ cores = 4 }")).await;
    scene.sh(100, "mountpoint -q /mnt/media").await;

    scene.settle(&web().with("cpu", "{ cores = 4 }")).await;
    scene
        .sh(
            100,
            &format!("! mountpoint -q /mnt/media && ! ls {UNIT} && ! ls /mnt/media"),
        )
        .await;
}

#[tokio::test]
async fn a_directory_of_the_node_is_mounted_once_the_vm_has_it() {
    let scene = Scene::new().await;
    scene.map_devices();
    scene.settle(&web()).await;
    let shared = web().with(
        "virtiofs",
        r#"{ virtiofs0 = { mapping = "media", mount_path = "/mnt/media" } }"#,
    );
    scene.settle(&shared).await;
    let unit = scene
        .sh(100, &format!("mountpoint -q /mnt/media && cat {UNIT}"))
        .await;
    assert!(
        unit.contains("Type=virtiofs") && unit.contains("What=media"),
        "{unit}"
    );
    scene.settle(&web()).await;
    scene.sh(100, &format!("! ls {UNIT}")).await;
}

#[tokio::test]
async fn a_share_does_not_hide_what_is_there() {
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    scene
        .sh(100, "mkdir -p /mnt/media && echo mine > /mnt/media/a")
        .await;
    let said = scene.apply(&media("")).await.refused();
    assert!(
        said.contains("is not empty") && said.contains("mount"),
        "{said}"
    );
    scene.sh(100, "rm /mnt/media/a").await;
    scene.settle(&media("")).await;
}

#[tokio::test]
async fn mounts_that_cannot_be_are_refused_by_the_plan() {
    let scene = Scene::new().await;
    let mount = |text: &str| dormant().with("mount", text);
    for (host, words) in [
        (
            mount(
                r#"{ a = { source = "n:/a", path = "/m" }, b = { source = "n:/b", path = "/m/" } }"#,
            ),
            "Two mounts at one place",
        ),
        (
            mount(
                r#"{ a = { source = "//n/a", path = "/m", type = "cifs", options = "user=x,password=y" } }"#,
            ),
            "Holds a password",
        ),
        (
            mount(r#"{ "a b" = { source = "n:/a", path = "/m" } }"#),
            "letters, digits",
        ),
        (
            mount(r#"{ a = { source = "n:/a", path = "m" } }"#),
            "no usable path",
        ),
    ] {
        let said = scene.refused(&host).await;
        assert!(said.contains(words), "{words}: {said}");
    }
}
