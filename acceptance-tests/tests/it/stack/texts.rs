//! What is wrong with a text is said in the plan, with its place.

use expect_test::{Expect, expect};

use crate::{
    scene::{Block, Scene},
    stack::hello,
};

/// The errors of a plan as a practitioner sees them.
async fn check(scene: &Scene, stack: &Block, expected: &Expect) {
    let stack = stack.clone().with("host_id", r#""qemu/100""#);
    check_host(scene, &stack, expected).await;
}

async fn check_host(scene: &Scene, stack: &Block, expected: &Expect) {
    scene.ws.write("main.tf", &stack.to_string());
    let ran = scene.ws.run(&["plan", "-no-color"]).await;
    assert!(!ran.status.success(), "{}", ran.stdout);
    let lines = ran
        .stderr
        .lines()
        .map(|line| line.trim_start_matches(['│', '╷', '╵']).trim_end());
    let text: String = lines
        .filter(|line| !line.is_empty())
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    expected.assert_eq(&text);
}

#[tokio::test]
async fn faults_of_a_text_have_their_place() {
    let scene = Scene::new().await;
    let check = async |text: &str, expected: Expect| check(&scene, &hello(text), &expected).await;
    check(
        "services:\n  web:\n    imge: nginx",
        expect![[r#"
        Error: Invalid Compose text
         with pmoves_stack.hello,
         on main.tf line 2, in resource "pmoves_stack" "hello":
          2:   compose = <<-EOT
          3: services:
          4:   web:
          5:     imge: nginx
          6: EOT
        compose.yaml:3:5: services.web: unknown key "imge"; did you mean "image"?
    "#]],
    )
    .await;
    check(
        "services:\n  web:\n    image: nginx\n   ports: [80]",
        expect![[r#"
        Error: Invalid Compose text
         with pmoves_stack.hello,
         on main.tf line 2, in resource "pmoves_stack" "hello":
          2:   compose = <<-EOT
          3: services:
          4:   web:
          5:     image: nginx
          6:    ports: [80]
          7: EOT
        compose.yaml:4:4: expected a key here; is the line indented like its
        neighbours and does it have a `:`?
    "#]],
    )
    .await;
    check(
        "services:\n  a: {image: x, ports: [\"80:80\"]}\n  b: {image: x, ports: [\"80:8080\"]}",
        expect![[r#"
        Error: Invalid Compose text
         with pmoves_stack.hello,
         on main.tf line 2, in resource "pmoves_stack" "hello":
          2:   compose = <<-EOT
          3: services:
          4:   a: {image: x, ports: ["80:80"]}
          5:   b: {image: x, ports: ["80:8080"]}
          6: EOT
        compose.yaml:3:25: services.b.ports[0]: port 80:8080/tcp is already published
        by service "a" in compose.yaml:2.
    "#]],
    )
    .await;
    check(
        "services:\n  a: {image: x, volumes: [\"data:/data\"]}",
        expect![[r#"
        Error: Invalid Compose text
         with pmoves_stack.hello,
         on main.tf line 2, in resource "pmoves_stack" "hello":
          2:   compose = <<-EOT
          3: services:
          4:   a: {image: x, volumes: ["data:/data"]}
          5: EOT
        compose.yaml:2:27: services.a.volumes: "data" is not declared; declare it
        under the top-level key "volumes".
    "#]],
    )
    .await;
    check(
        "name: other\nservices:\n  a: {image: \"x:${TAG:?is needed}\"}",
        expect![[r#"
        Error: Invalid Compose text
         with pmoves_stack.hello,
         on main.tf line 2, in resource "pmoves_stack" "hello":
          2:   compose = <<-EOT
          3: name: other
          4: services:
          5:   a: {image: "x:$${TAG:?is needed}"}
          6: EOT
        compose.yaml:3:14: services.a.image: variable TAG needs a value: is needed;
        set `TAG` in `env`.
    "#]],
    )
    .await;
    check("services:\n  a: {image: x}\nnetworks:\n  lan: {driver: macvlan, driver_opts: {parent: vmbr0}}", expect![[r#"
        Error: Invalid Compose text
         with pmoves_stack.hello,
         on main.tf line 2, in resource "pmoves_stack" "hello":
          2:   compose = <<-EOT
          3: services:
          4:   a: {image: x}
          5: networks:
          6:   lan: {driver: macvlan, driver_opts: {parent: vmbr0}}
          7: EOT
        compose.yaml:4:48: networks.lan.driver_opts.parent: "vmbr0" is a bridge of
        the node, which the guest does not have; name the guest's own interface, such
        as eth0 or ens18.
    "#]]).await;
}

#[tokio::test]
async fn faults_of_secrets_have_theirs() {
    let scene = Scene::new().await;
    let text = "services: {web: {image: nginx, secrets: [a]}}\nsecrets: {a: {external: true}}";
    let fine = hello("services: {web: {image: nginx}}");
    let secret = hello(text)
        .with("host_id", r#""qemu/100""#)
        .with("secrets_wo", r#"{ a = "x" }"#)
        .with("secrets_wo_version", r#""1""#);
    scene.ws.write("main.tf", &secret.to_string());
    if !scene.ws.takes_write_only().await {
        return;
    }
    check(
        &scene,
        &secret,
        &expect![[r#"
        Error: Invalid Compose text
         with pmoves_stack.hello,
         on main.tf line 2, in resource "pmoves_stack" "hello":
          2:   compose = <<-EOT
          3: services: {web: {image: nginx, secrets: [a]}}
          4: secrets: {a: {external: true}}
          5: EOT
        compose.yaml:2:11: secrets.a: is external, so the value in `secrets_wo` has
        no effect; remove "external", or the secret from `secrets_wo`.
    "#]],
    )
    .await;
    check(
        &scene,
        &fine.clone().with("secrets_wo", r#"{ b = "x" }"#),
        &expect![[r#"
        Error: secrets_wo_version is missing
         with pmoves_stack.hello,
         on main.tf line 8, in resource "pmoves_stack" "hello":
          8:   secrets_wo = { b = "x" }
        A write-only value cannot be compared; set secrets_wo_version to any text and
        change it with the value.
        Error: No such secret
         with pmoves_stack.hello,
         on main.tf line 8, in resource "pmoves_stack" "hello":
          8:   secrets_wo = { b = "x" }
        The text has no secret "b" under `secrets:`.
    "#]],
    )
    .await;
}

#[tokio::test]
async fn faults_of_attributes_have_theirs() {
    let scene = Scene::new().await;
    let fine = hello("services: {web: {image: nginx}}");
    check(
        &scene,
        &fine.clone().without("compose"),
        &expect![[r#"
        Error: The text is missing
         with pmoves_stack.hello,
         on main.tf line 1, in resource "pmoves_stack" "hello":
          1: resource "pmoves_stack" "hello" {
        Set compose, or compose_files for several files.
    "#]],
    )
    .await;
    check(
        &scene,
        &fine.clone().with("compose_files", r#"["services: {}"]"#),
        &expect![[r#"
        Error: Two texts
         with pmoves_stack.hello,
         on main.tf line 6, in resource "pmoves_stack" "hello":
          6:   compose_files = ["services: {}"]
        Set compose or compose_files, not both.
    "#]],
    )
    .await;
    check(
        &scene,
        &fine.clone().with("files", r#"{ "../x" = "" }"#),
        &expect![[r#"
        Error: Invalid files
         with pmoves_stack.hello,
         on main.tf line 6, in resource "pmoves_stack" "hello":
          6:   files = { "../x" = "" }
        "../x" must be a path below the project directory, without `.` and `..`.
    "#]],
    )
    .await;
    check(
        &scene,
        &fine.clone().with("name", r#""Hello""#),
        &expect![[r#"
        Error: Invalid name
         with pmoves_stack.hello,
         on main.tf line 7, in resource "pmoves_stack" "hello":
          7:   name = "Hello"
        "Hello" is no project name: use lower-case letters, digits, `_` and `-`,
        beginning with a letter or digit.
    "#]],
    )
    .await;
    check(
        &scene,
        &fine.clone().with("wait_timeout", r#""soon""#),
        &expect![[r#"
        Error: Invalid wait_timeout
         with pmoves_stack.hello,
         on main.tf line 8, in resource "pmoves_stack" "hello":
          8:   wait_timeout = "soon"
        "soon" is no duration; write it like "30m", "90s" or "1h30m"
    "#]],
    )
    .await;
    check_host(
        &scene,
        &fine.clone().with("host_id", r#""pve1""#),
        &expect![[r#"
            Error: Invalid host_id
             with pmoves_stack.hello,
             on main.tf line 6, in resource "pmoves_stack" "hello":
              6:   host_id = "pve1"
            "pve1" is no guest; a guest looks like qemu/101 or lxc/102. Docker never runs
            on a Proxmox VE node: use a VM or a container (LXC), such as
            `pmoves_docker_vm.NAME.id`.
        "#]],
    )
    .await;
}
