//! Applies that fail or are cut short, and the next one, which heals.

use std::{process::Stdio, time::Duration};

use crate::{
    scene::until,
    stack::{STACK, Site, compose, hello},
};

fn good() -> String {
    compose(&[("web", "web:1", ""), ("db", "db:1", "")])
}

async fn tainted(site: &Site) -> bool {
    site.scene
        .ws
        .resource(STACK)
        .await
        .is_some_and(|resource| resource["tainted"] == true)
}

#[tokio::test]
async fn a_create_that_fails_is_tainted_and_healed() {
    let site = Site::new().await;
    for (image, words) in [
        ("missing:1", ["pull access denied", "service \"web\""]),
        (
            "unhealthy:1",
            ["ervice \"web\" is unhealthy", "its last output"],
        ),
        (
            "fails:1",
            ["ervice \"web\" exited with status 3", "its last output"],
        ),
        (
            "crashloop:1",
            ["ervice \"web\" restarts again and again", "its last output"],
        ),
    ] {
        let mut text = compose(&[("web", image, ""), ("db", "db:1", "")]);
        if image == "fails:1" {
            text = text.replace("unless-stopped", "\"no\"");
        }
        let said = site.scene.apply(&Site::text(&hello(&text))).await.refused();
        for words in words {
            assert!(said.contains(words), "{image}: {said}");
        }
        assert!(tainted(&site).await, "{image}");
    }
    site.settle(&hello(&good())).await;
}

#[tokio::test]
async fn an_update_that_fails_is_tried_again() {
    let site = Site::with(&hello(&good())).await;
    let broken = hello(&compose(&[("web", "missing:2", ""), ("db", "db:1", "")]));
    site.scene.apply(&Site::text(&broken)).await.refused();
    assert!(!tainted(&site).await);
    for _ in 0..2 {
        let said = site.scene.apply(&Site::text(&broken)).await.refused();
        assert!(said.contains("pull access denied"), "{said}");
    }
    site.settle(&hello(&good())).await;
    let sick = hello(&compose(&[("web", "unhealthy:2", ""), ("db", "db:1", "")]));
    site.scene.apply(&Site::text(&sick)).await.refused();
    let said = site.scene.apply(&Site::text(&sick)).await.refused();
    assert!(said.contains("is unhealthy"), "{said}");
    site.settle(&hello(&good())).await;
}

#[tokio::test]
async fn a_port_that_another_stack_has_is_said() {
    let port = "ports: [\"80:80\"]";
    let site = Site::with(&hello(&compose(&[("web", "web:1", port)]))).await;
    let other = hello(&compose(&[("proxy", "proxy:1", port)])).with("name", r#""other""#);
    let other = other.to_string().replace("\"hello\" {", "\"other\" {");
    let both = format!("{}{other}", hello(&compose(&[("web", "web:1", port)])));
    let said = site.scene.apply(&Site::text(&both)).await.refused();
    assert!(said.contains("port is already allocated"), "{said}");
    assert!(
        said.contains("Hint: another container or program of the host listens on that port"),
        "{said}"
    );
}

#[tokio::test]
async fn an_apply_that_is_interrupted_is_healed_by_the_next() {
    let site = Site::new().await;
    let slow = hello(&compose(&[("web", "slow:1", "")]));
    site.scene.ws.write("main.tf", &Site::text(&slow));
    site.scene.forget();
    let mut apply = site
        .scene
        .ws
        .command(&["apply", "-no-color", "-auto-approve"]);
    let apply = apply
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tofu runs");
    until("the first commands", || site.scene.rounds() > 3).await;
    let id = apply.id().expect("it runs").to_string();
    let interrupted = std::time::Instant::now();
    std::process::Command::new("kill")
        .args(["-INT", &id])
        .status()
        .expect("kill runs");
    let output = apply.wait_with_output().await.expect("it ends");
    assert!(interrupted.elapsed() < Duration::from_secs(20));
    assert!(!output.status.success());
    assert!(
        tainted(&site).await,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    site.settle(&slow).await;
}
