//! `pmoves_image`.

mod sources;

use acceptance_tests::simulator::{Effect, Fault};
use serde_json::json;

use crate::scene::{Block, IMAGE, PLAIN, Scene, qcow2};

const DOWNLOAD: &str = "/nodes/*/storage/*/download-url";
const NAME: &str = "debian-13.qcow2";

/// `pmoves_image.debian`, with URL and checksum of an image that the stage serves.
fn debian(scene: &Scene) -> Block {
    let (url, checksum) = scene.stage.image(NAME);
    Block::new(
        r#"resource "pmoves_image" "debian""#,
        &[
            ("node_name", r#""pve1""#),
            ("datastore_id", r#""local""#),
            ("url", &format!("{url:?}")),
            ("checksum", &format!("{checksum:?}")),
        ],
    )
}

/// The volume that it becomes.
fn volume(scene: &Scene) -> String {
    let (_, checksum) = scene.stage.image(NAME);
    format!("local:import/debian-13-{}.qcow2", &checksum[..12])
}

async fn values(scene: &Scene) -> serde_json::Value {
    let image = scene.ws.resource("pmoves_image.debian").await;
    image.expect("the image is in the state")["values"].clone()
}

#[tokio::test]
async fn an_image_is_downloaded_once_and_deleted() {
    let scene = Scene::new().await;
    scene.settle(&debian(&scene)).await;
    let made = values(&scene).await;
    assert_eq!(made["id"], json!(volume(&scene)));
    assert_eq!(made["size"], json!(64 << 10));
    scene.forget();
    scene.ws.plan(&[]).await.empty();
    assert_eq!(scene.calls(), ["GET /nodes/pve1/storage/local/content"]);
    // Settings that Proxmox VE does not keep are only noted down.
    scene
        .apply(&debian(&scene).with("verify", "false"))
        .await
        .ok();
    assert!(scene.writes().is_empty(), "{:?}", scene.writes());
    scene.quiet().await;
    scene.ws.destroy().await.ok();
    assert_eq!(scene.stage.simulator.volumes(), [IMAGE, PLAIN]);
}

#[tokio::test]
async fn the_id_is_known_in_the_plan() {
    let scene = Scene::new().await;
    scene.ws.write("main.tf", &debian(&scene).to_string());
    let plan = scene.ws.plan(&[]).await;
    assert_eq!(
        plan.change("pmoves_image.debian")["after"]["id"],
        json!(volume(&scene))
    );
}

#[tokio::test]
async fn another_url_makes_another_image() {
    let scene = Scene::new().await;
    scene.settle(&debian(&scene)).await;
    let (url, checksum) = scene.stage.image("debian-13-docker.qcow2");
    let other = debian(&scene)
        .with("url", &format!("{url:?}"))
        .with("checksum", &format!("{checksum:?}"));
    scene.ws.write("main.tf", &other.to_string());
    assert_eq!(
        scene.ws.plan(&[]).await.changes(),
        ["pmoves_image.debian: delete+create"]
    );
    scene.settle(&other).await;
    assert!(!scene.stage.simulator.volumes().contains(&volume(&scene)));
}

#[tokio::test]
async fn an_import_is_the_image_again() {
    let scene = Scene::new().await;
    scene.settle(&debian(&scene)).await;
    let made = values(&scene).await;
    scene
        .ws
        .run(&["state", "rm", "pmoves_image.debian"])
        .await
        .ok();
    let id = format!("pve1/{}", volume(&scene));
    scene
        .ws
        .run(&["import", "-no-color", "pmoves_image.debian", &id])
        .await
        .ok();
    let imported = values(&scene).await;
    for name in [
        "id",
        "node_name",
        "datastore_id",
        "content_type",
        "file_name",
        "size",
        "verify",
    ] {
        assert_eq!(imported[name], made[name], "{name}");
    }
    // URL and checksum are not kept by Proxmox VE: the first apply notes them down.
    scene.quiet_but_kept().await;

    scene
        .ws
        .run(&["state", "rm", "pmoves_image.debian"])
        .await
        .ok();
    std::fs::remove_file(scene.ws.path().join("main.tf")).expect("it was written");
    let identity = format!("{{ node_name = \"pve1\", id = {:?} }}", volume(&scene));
    scene.ws.write(
        "import.tf",
        &format!("import {{\n  to = pmoves_image.debian\n  identity = {identity}\n}}\n"),
    );
    if !scene.ws.takes_identity().await {
        return;
    }
    let plan = scene.ws.plan(&["-generate-config-out=generated.tf"]).await;
    assert_eq!(
        plan.change("pmoves_image.debian")["actions"],
        json!(["no-op"]),
        "{}",
        plan.differences()
    );
    scene.ws.apply(&[]).await.ok();
    scene.quiet().await;
}

#[tokio::test]
async fn an_image_that_others_deleted_is_downloaded_again() {
    let scene = Scene::new().await;
    scene.settle(&debian(&scene)).await;
    scene.stage.simulator.remove_file("pve1", &volume(&scene));
    assert_eq!(
        scene.ws.plan(&[]).await.changes(),
        ["pmoves_image.debian: create"]
    );
    scene.settle(&debian(&scene)).await;
}

#[tokio::test]
async fn downloads_that_fail_leave_nothing() {
    let scene = Scene::new().await;
    let (url, _) = scene.stage.image(NAME);
    let wrong = format!("{:?}", "0".repeat(64));
    let missing = format!("{:?}", url.replace(NAME, "nope.qcow2"));
    for (attribute, value, words) in [
        (
            "checksum",
            wrong.as_str(),
            ["checksum mismatch", "compare the checksum"],
        ),
        ("url", missing.as_str(), ["404", "nope"]),
    ] {
        let said = scene
            .apply(&debian(&scene).with(attribute, value))
            .await
            .refused();
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert!(
            said.contains(&format!("{attribute} = ")),
            "not at {attribute}: {said}"
        );
        assert!(scene.ws.resource("pmoves_image.debian").await.is_none());
    }
    assert_eq!(scene.stage.simulator.volumes(), [IMAGE, PLAIN]);
    scene.settle(&debian(&scene)).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again() {
    let scene = Scene::new().await;
    scene
        .stage
        .simulator
        .fault(Fault::new("POST", DOWNLOAD, Effect::DoThenDrop));
    scene.settle(&debian(&scene)).await;
}

#[tokio::test]
async fn a_file_that_is_there_is_taken_refused_or_replaced() {
    let scene = Scene::new().await;
    let other = "local:import/debian.qcow2";
    scene.stage.simulator.put_file("pve1", other, qcow2(1));
    let named = debian(&scene).with("file_name", r#""debian.qcow2""#);
    let said = scene.apply(&named).await.refused();
    assert!(
        said.contains("checksum mismatch") && said.contains("overwrite_unmanaged"),
        "{said}"
    );
    let said = scene
        .apply(&named.clone().without("checksum"))
        .await
        .refused();
    assert!(
        said.contains("refusing to override") && said.contains("overwrite_unmanaged"),
        "{said}"
    );
    scene
        .settle(&named.with("overwrite_unmanaged", "true"))
        .await;
    assert_eq!(values(&scene).await["size"], json!(64 << 10));
}

#[tokio::test]
async fn images_that_cannot_be() {
    let scene = Scene::new().await;
    for (attribute, value, words) in [
        (
            "url",
            r#""ftp://example.com/a.qcow2""#,
            ["must begin with https://", "ftp"],
        ),
        (
            "url",
            r#""https://example.com/a.qcow2.xz""#,
            ["does not unpack", ".xz"],
        ),
        (
            "checksum",
            r#""abc""#,
            ["sha256 has 64 hex digits", "3 characters"],
        ),
        ("file_name", r#""a.txt""#, [".qcow2", "content import"]),
        ("content_type", r#""backup""#, ["content_type", "import"]),
        ("node_name", r#""pve9""#, ["No such node", "pve1, pve2"]),
        ("datastore_id", r#""nas""#, ["No such storage", "local"]),
        (
            "datastore_id",
            r#""local-lvm""#,
            ["lvmthin", "needs a file storage"],
        ),
    ] {
        let said = scene.refused(&debian(&scene).with(attribute, value)).await;
        assert!(
            said.contains(&format!("{attribute} = ")),
            "not at {attribute}: {said}"
        );
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}

#[tokio::test]
async fn a_storage_without_content_import_says_how_to_add_it() {
    use acceptance_tests::simulator::{Options, Storage};
    let storages = vec![
        Storage::dir("local", "/var/lib/vz", "iso,vztmpl"),
        Storage::dir("nas", "/mnt/nas", "import"),
    ];
    let scene = Scene::with(Options {
        storages,
        ..Options::default()
    })
    .await;
    let said = scene.refused(&debian(&scene)).await;
    for words in [
        "The storage does not take content import",
        "Storages of pve1 that do: nas.",
        "pvesm set local --content iso,vztmpl,import",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[tokio::test]
async fn a_download_needs_privileges() {
    let mut scene = Scene::new().await;
    let lacking = [
        "Sys.AccessNetwork",
        "Sys.Modify",
        "Datastore.AllocateTemplate",
    ];
    scene.ws.set(
        "PROXMOX_VE_API_TOKEN",
        scene.stage.simulator.token_without(&lacking),
    );
    let said = scene.refused(&debian(&scene)).await;
    for words in [
        "Sys.AccessNetwork on /nodes/pve1",
        "Datastore.AllocateTemplate on /storage/local",
        "pveum acl modify",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}
