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

/// A cluster that is only known in mid-apply, as one that is made beside its guests.
#[tokio::test]
async fn an_endpoint_that_is_not_known_yet_leaves_what_is_as_it_is() {
    let scene = Scene::new().await;
    let head = std::fs::read_to_string(scene.ws.path().join("head.tf")).expect("it was written");
    let later = "provider \"pmoves\" {\n  endpoint = terraform_data.cluster.output\n";
    scene
        .ws
        .write("head.tf", &head.replace("provider \"pmoves\" {\n", later));
    let cluster = |generation: u8| {
        format!(
            "resource \"terraform_data\" \"cluster\" {{\n  input = {:?}\n  triggers_replace = {generation}\n}}\n",
            scene.stage.simulator.endpoint()
        )
    };
    scene.settle(&format!("{}{}", cluster(1), dormant())).await;
    let known = scene.ws.resource("pmoves_docker_vm.web").await;

    // The plan that makes the endpoint unknown again can read nothing, and says so.
    let next = format!("{}{}", cluster(2), dormant());
    scene.ws.write("main.tf", &next);
    scene.forget();
    let said = scene.ws.run(&["plan", "-no-color"]).await.ok().said();
    check(&said, &["Not refreshed", "endpoint is not known yet"]);
    assert!(scene.calls().is_empty(), "{:?}", scene.calls());
    scene.apply(&next).await.ok();
    assert!(scene.writes().is_empty(), "{:?}", scene.writes());
    assert_eq!(scene.ws.resource("pmoves_docker_vm.web").await, known);
    scene.quiet().await;

    // What is imported cannot be left as it is: nothing is known of it.
    let import = "import {\n  to = pmoves_docker_vm.web\n  id = \"qemu/100\"\n}\n";
    scene
        .ws
        .run(&["state", "rm", "pmoves_docker_vm.web"])
        .await
        .ok();
    let said = scene
        .refused(&format!("{}{}{import}", cluster(3), dormant()))
        .await;
    check(&said, &["endpoint is not known yet"]);
}
