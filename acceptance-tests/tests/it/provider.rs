//! What the provider says when it cannot reach or use the cluster.

use crate::scene::{Scene, dormant};

/// Plans a host with one variable changed, and gives what was said.
async fn said(name: &str, value: &str) -> String {
    let mut scene = Scene::new().await;
    scene.ws.set(name, value);
    scene.refused(&dormant()).await
}

#[track_caller]
fn check(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is missing: {said}");
    }
}

#[tokio::test]
async fn a_wrong_token() {
    let token = "pmoves@pve!tf=00000000-0000-0000-0000-000000000000";
    let text = said("PROXMOX_VE_API_TOKEN", token).await;
    check(
        &text,
        &["Proxmox VE does not accept the credential", "api_token"],
    );
    assert!(!text.contains("00000000-0000"), "{text}");
    check(
        &said("PROXMOX_VE_API_TOKEN", "secret").await,
        &["PROXMOX_VE_API_TOKEN", "user@realm!name=uuid"],
    );
}

#[tokio::test]
async fn a_wrong_fingerprint() {
    let wrong = ["AB"; 32].join(":");
    let text = said("TF_VAR_tls_fingerprint", &wrong).await;
    check(
        &text,
        &[
            "has the SHA-256 fingerprint",
            "expected was AB:AB:",
            "tls_fingerprint",
        ],
    );
    check(
        &said("TF_VAR_tls_fingerprint", "AB:CD").await,
        &["32 pairs of hex digits"],
    );
}

#[tokio::test]
async fn an_endpoint_that_nobody_listens_on() {
    let text = said("PROXMOX_VE_ENDPOINT", "https://127.0.0.1:1").await;
    check(
        &text,
        &["annot reach 127.0.0.1:1", "onnection refused", "endpoint"],
    );
    check(
        &said("PROXMOX_VE_ENDPOINT", "pve1:8006").await,
        &["PROXMOX_VE_ENDPOINT", "must begin with https://"],
    );
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for() {
    let scene = Scene::new().await;
    let head = std::fs::read_to_string(scene.ws.path().join("head.tf")).expect("it was written");
    scene.ws.write(
        "head.tf",
        &head.replace("tls_fingerprint = var.tls_fingerprint", ""),
    );
    let text = scene.refused(&dormant()).await;
    check(
        &text,
        &[
            "is not trusted",
            scene.stage.simulator.fingerprint(),
            "tls_fingerprint",
        ],
    );
}

#[tokio::test]
async fn a_stack_on_a_node() {
    let scene = Scene::new().await;
    let stack = r#"resource "pmoves_stack" "web" {
  host_id = "node/pve1"
  name    = "web"
  compose = "services: { web: { image: nginx } }"
}"#;
    check(&scene.refused(&stack).await, &["host_id = ", "node/pve1"]);
}
