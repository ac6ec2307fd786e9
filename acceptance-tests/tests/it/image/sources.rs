//! Images from the list of templates and from files of this machine, and what a plan knows of a URL.

use acceptance_tests::simulator::{Appliance, Effect, Fault, Options};
use serde_json::json;

use super::{NAME, debian, values};
use crate::{
    process::Apply,
    scene::{Block, IMAGE, PLAIN, Scene, qcow2, until},
};

const TEMPLATE: &str = "debian-13-standard_13.1-2_amd64.tar.zst";

/// An image of `pmoves_image.debian` from somewhere else than a URL.
fn from(scene: &Scene, source: &str, value: &str) -> Block {
    let block = debian(scene).without("url").without("checksum");
    block.with(source, &format!("{value:?}"))
}

fn offer(scene: &Scene) {
    scene.stage.simulator.put_appliance(Appliance {
        template: TEMPLATE.to_owned(),
        data: b"rootfs".to_vec(),
    });
}

#[tokio::test]
async fn a_template_comes_from_the_list_of_the_node() {
    let scene = Scene::new().await;
    offer(&scene);
    let template = from(&scene, "template", TEMPLATE);
    scene.ws.write("main.tf", &template.to_string());
    let plan = scene.ws.plan(&[]).await;
    let id = format!("local:vztmpl/{TEMPLATE}");
    assert_eq!(plan.change("pmoves_image.debian")["after"]["id"], json!(id));
    scene.settle(&template).await;
    assert_eq!(values(&scene).await["size"], json!(6));
    assert!(scene.stage.simulator.volumes().contains(&id));
    // Where it comes from is what it is: the same name from elsewhere is another image.
    scene.ws.write("main.tf", &debian(&scene).to_string());
    assert_eq!(
        scene.ws.plan(&[]).await.changes(),
        ["pmoves_image.debian: delete+create"]
    );
    scene.settle(&debian(&scene)).await;
    assert!(!scene.stage.simulator.volumes().contains(&id));
}

#[tokio::test]
async fn a_template_that_is_not_offered_is_an_error_of_the_plan() {
    let scene = Scene::new().await;
    offer(&scene);
    let old = TEMPLATE.replace("13.1", "13.0");
    let said = scene.refused(&from(&scene, "template", &old)).await;
    for words in ["No such template", TEMPLATE, "pveam update", "template = "] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[tokio::test]
async fn a_file_is_uploaded_and_follows_its_content() {
    let scene = Scene::new().await;
    let path = scene.ws.path().join("golden.qcow2");
    std::fs::write(&path, qcow2(1)).expect("the workspace takes files");
    let file = from(&scene, "file", "golden.qcow2");
    scene.settle(&file).await;
    let made = values(&scene).await;
    let sum = made["file_sha256"]
        .as_str()
        .expect("it is known")
        .to_owned();
    let id = format!("local:import/golden-{}.qcow2", &sum[..12]);
    assert_eq!(made["id"], json!(id));
    assert_eq!(
        scene.stage.simulator.volume_data(&id).as_deref(),
        Some(&qcow2(1)[..])
    );

    // Another path is no other image, other content is.
    std::fs::copy(&path, scene.ws.path().join("copy.qcow2")).expect("it is copied");
    scene.settle(&from(&scene, "file", "copy.qcow2")).await;
    assert_eq!(values(&scene).await["id"], json!(id));
    std::fs::write(scene.ws.path().join("copy.qcow2"), qcow2(3)).expect("it is written");
    assert_eq!(
        scene.ws.plan(&[]).await.changes(),
        ["pmoves_image.debian: delete+create"]
    );
    scene.settle(&from(&scene, "file", "copy.qcow2")).await;
    assert!(!scene.stage.simulator.volumes().contains(&id));

    // A machine without the file leaves the image as it is.
    std::fs::remove_file(scene.ws.path().join("copy.qcow2")).expect("it was there");
    scene.quiet().await;
    scene.ws.destroy().await.ok();
    assert_eq!(scene.stage.simulator.volumes(), [IMAGE, PLAIN]);
}

#[tokio::test]
async fn a_file_is_not_uploaded_over_that_of_others() {
    let scene = Scene::new().await;
    std::fs::write(scene.ws.path().join("a.qcow2"), qcow2(1)).expect("the workspace takes files");
    let theirs = "local:import/shared.qcow2";
    scene.stage.simulator.put_file("pve1", theirs, qcow2(9));
    let named = from(&scene, "file", "a.qcow2").with("file_name", r#""shared.qcow2""#);
    let said = scene.apply(&named).await.refused();
    assert!(said.contains("would overwrite"), "{said}");
    assert_eq!(
        scene.stage.simulator.volume_data(theirs),
        Some(qcow2(9)),
        "it was overwritten"
    );
    scene
        .settle(&named.with("overwrite_unmanaged", "true"))
        .await;
    assert_eq!(scene.stage.simulator.volume_data(theirs), Some(qcow2(1)));
}

#[tokio::test]
async fn an_upload_whose_answer_is_lost_is_sent_again() {
    let scene = Scene::new().await;
    std::fs::write(scene.ws.path().join("a.qcow2"), qcow2(1)).expect("the workspace takes files");
    let upload = "/nodes/*/storage/*/upload";
    let simulator = &scene.stage.simulator;
    simulator.fault(Fault::new("POST", upload, Effect::DoThenDrop));
    scene.settle(&from(&scene, "file", "a.qcow2")).await;
}

#[tokio::test]
async fn sources_that_cannot_be() {
    let scene = Scene::new().await;
    offer(&scene);
    for (image, words) in [
        (
            debian(&scene).with("template", &format!("{TEMPLATE:?}")),
            ["Two sources", "url or template"],
        ),
        (
            debian(&scene).without("url").without("checksum"),
            ["The source is missing", "template"],
        ),
        (
            from(&scene, "file", "nowhere.qcow2"),
            ["The file cannot be read", "nowhere.qcow2 on this machine"],
        ),
        (
            from(&scene, "file", "a.qcow2.zst"),
            ["does not unpack", "unpack it and upload"],
        ),
        (
            from(&scene, "template", TEMPLATE).with("content_type", r#""iso""#),
            ["content_type", "vztmpl"],
        ),
        (
            from(&scene, "template", TEMPLATE).with("checksum", r#""ab""#),
            ["Only a URL has a checksum", "verified by Proxmox VE"],
        ),
    ] {
        let said = scene.refused(&image).await;
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}

#[tokio::test]
async fn what_is_not_at_the_url_is_an_error_of_the_plan() {
    let scene = Scene::new().await;
    let (url, _) = scene.stage.image(NAME);
    let url = format!("{:?}", url.replace(NAME, "nope.qcow2"));
    let said = scene.refused(&debian(&scene).with("url", &url)).await;
    for words in ["There is nothing at the URL", "404", "url = "] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // A server that does not answer the question may still serve the file.
    scene.stage.simulator.fault(Fault::new(
        "GET",
        "/nodes/*/query-url-metadata",
        Effect::Answer {
            status: 500,
            text: "invalid server response: '405 Method Not Allowed'".to_owned(),
        },
    ));
    scene.ws.write("main.tf", &debian(&scene).to_string());
    let said = scene.ws.run(&["plan", "-no-color"]).await.ok().said();
    assert!(said.contains("could not look at the URL"), "{said}");
}

#[tokio::test]
async fn to_delete_takes_a_privilege_that_the_plan_asks_for() {
    let mut scene = Scene::new().await;
    scene.settle(&debian(&scene)).await;
    let token = scene.stage.simulator.token_without(&["Datastore.Allocate"]);
    scene.ws.set("PROXMOX_VE_API_TOKEN", token);
    scene.forget();
    let said = scene
        .ws
        .run(&["plan", "-no-color", "-destroy"])
        .await
        .refused();
    assert!(
        said.contains("Datastore.Allocate on /storage/local"),
        "{said}"
    );
    let other = debian(&scene).with("file_name", r#""other.qcow2""#);
    let said = scene.refused(&other).await;
    assert!(
        said.contains("Datastore.Allocate on /storage/local"),
        "{said}"
    );
}

#[tokio::test]
async fn an_interrupt_stops_the_download_on_the_node() {
    let mut scene = Scene::with(Options {
        clock_stands: true,
        ..Options::default()
    })
    .await;
    let image = debian(&scene);
    let apply = Apply::start(&mut scene, &image);
    until("the download to run", || {
        !scene.stage.simulator.tasks().is_empty()
    })
    .await;
    apply.interrupt().await;
    let (status, said) = apply.end().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("ancelled"), "{said}");
    let tasks = scene.stage.simulator.tasks();
    let [(_, Some(exit))] = &tasks[..] else {
        panic!("the download goes on: {tasks:?}");
    };
    assert_ne!(exit, "OK");
    assert!(scene.ws.resource("pmoves_image.debian").await.is_none());
    assert_eq!(scene.stage.simulator.volumes(), [IMAGE, PLAIN]);
}
