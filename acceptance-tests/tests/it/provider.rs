//! What the provider says when it cannot reach or use the cluster.

use serde_json::json;

use crate::scene::{Scene, app, configure, dormant, web};

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

#[tokio::test]
async fn free_vmids_are_of_the_range() {
    let scene = Scene::new().await;
    configure(&scene.ws, "vm_id_range = { start = 900, end = 901 }");
    let hosts = |count: u32| {
        dormant()
            .with("count", &count.to_string())
            .with("name", r#""web${count.index}""#)
    };
    scene.settle(&hosts(2)).await;
    let mut vmids: Vec<u32> = scene
        .stage
        .simulator
        .vms()
        .iter()
        .map(|vm| vm.vmid)
        .collect();
    vmids.sort_unstable();
    assert_eq!(vmids, [900, 901]);
    let said = scene.apply(&hosts(3)).await.refused();
    check(&said, &["o VMID from 900 to 901 is free"]);
    configure(&scene.ws, "vm_id_range = { start = 901, end = 900 }");
    check(&scene.refused(&hosts(2)).await, &["An empty range"]);
}

#[tokio::test]
async fn a_refresh_may_leave_guests_alone() {
    let scene = Scene::new().await;
    let stack = app("pmoves_docker_vm.web.id");
    scene.settle(&format!("{}{stack}", web())).await;
    scene.sh(100, "docker stop app-web-1").await;
    configure(&scene.ws, "refresh_guests = false");
    scene.forget();
    scene.quiet().await;
    assert_eq!(scene.rounds(), 0);
    // What the API tells is read as ever, and what was known of the guest stays.
    scene.stage.simulator.set_config(100, "name", Some("other"));
    assert_eq!(
        scene.ws.plan(&[]).await.changes(),
        ["pmoves_docker_vm.web: update"]
    );
    assert_eq!(scene.rounds(), 0);
    assert_eq!(scene.web("/ipv4_address").await, json!("198.51.100.20"));
    configure(&scene.ws, "refresh_guests = true");
    let changes = scene.ws.plan(&[]).await.changes();
    assert!(
        changes.contains(&"pmoves_stack.app: update".to_owned()),
        "{changes:?}"
    );
}
