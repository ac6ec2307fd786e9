//! A host that is a real container of LXC, with a stack on real Docker, all of it through the console. Needs root.

use acceptance_tests::{simulator::Options, stage::Stage};

use super::{TEMPLATE, web};
use crate::{
    scene::{Block, workspace},
    stack::heredoc,
};

const TEXT: &str = r#"
services:
  web:
    image: ${REGISTRY}/demo/web:1
    restart: unless-stopped
    ports: ["8080:8080"]
    volumes: ["./site.conf:/site.conf:ro", "data:/data"]
    healthcheck: {test: [CMD, wget, -q, -O, "-", "http://127.0.0.1:8080/"], interval: 1s}
volumes: {data: {}}
"#;

#[tokio::test]
async fn a_container_becomes_a_docker_host_with_a_healthy_stack() {
    let stage = Stage::real(Options::default())
        .await
        .expect("this machine runs real guests");
    let lab = stage.lab.clone().expect("the lab is real");
    let template = b"\x28\xb5\x2f\xfd".to_vec();
    stage.simulator.put_file("pve1", TEMPLATE, template);
    let ws = workspace(&stage);
    ws.init().await;
    let host = web().with(
        "initialization",
        r#"{ ip_config = { net0 = { ipv4 = { address = "198.51.100.20/24", gateway = "198.51.100.1" } } } }"#,
    );
    let registry = lab.registry();
    let stack = |text: &str| {
        Block::new(
            r#"resource "pmoves_stack" "hello""#,
            &[
                ("host_id", "pmoves_docker_lxc.web.id"),
                ("name", r#""hello""#),
                ("compose", &heredoc(text)),
                ("env", &format!("{{ REGISTRY = {registry:?} }}")),
                ("files", r#"{ "site.conf" = "one" }"#),
            ],
        )
    };
    let sh = async |command: &str| {
        let ran = lab.sh(100, command).await;
        ran.unwrap_or_else(|error| panic!("{command}: {error}"))
    };
    let settle = async |host: &Block, stack: &Block| {
        ws.write("main.tf", &format!("{host}{stack}"));
        ws.apply(&[]).await.ok();
        ws.plan(&[]).await.empty();
    };
    settle(&host, &stack(TEXT)).await;

    let map = sh("cat /proc/self/uid_map").await;
    let ids: Vec<&str> = map.split_whitespace().collect();
    assert_eq!(ids, ["0", "100000", "65536"]);
    let root =
        sh("docker info --format '{{.DockerRootDir}}'; findmnt -no FSTYPE /opt/appdata").await;
    assert_eq!(root, "/opt/appdata/data\next4\n");
    let page = "docker run --rm --network host $(docker inspect -f '{{.Config.Image}}' hello-web-1) \
                wget -q -O - http://127.0.0.1:8080/";
    assert_eq!(sh(page).await, "demo web 1\n");
    sh("docker exec hello-web-1 touch /data/kept").await;

    // A stop and a start bring everything back, and an update replaces what it has to.
    let newer = stack(&TEXT.replace("web:1", "web:2"));
    settle(
        &host.clone().with("started", "false"),
        &Block::new("locals", &[]),
    )
    .await;
    settle(&host, &newer).await;
    assert_eq!(sh(page).await, "demo web 2\n");

    ws.destroy().await.ok();
    assert_eq!(stage.simulator.config(100), None);
    assert_eq!(stage.simulator.volumes(), [TEMPLATE]);
    stage.stop().await;
}

#[tokio::test]
async fn a_plain_template_gets_docker_from_its_distribution() {
    let stage = Stage::real(Options::default())
        .await
        .expect("this machine runs real guests");
    let plain = "local:vztmpl/debian-13-standard_13.1-1_amd64.tar.zst";
    let bytes = b"\x28\xb5\x2f\xfd".to_vec();
    stage.simulator.put_file("pve1", plain, bytes);
    let ws = workspace(&stage);
    ws.init().await;
    let host = web().with("template_file_id", &format!("{plain:?}"));
    ws.write("main.tf", &host.to_string());
    ws.apply(&[]).await.ok();
    ws.plan(&[]).await.empty();
    let lab = stage.lab.as_ref().expect("the lab is real");
    let image = format!("{}/demo/web:1", lab.registry());
    let run = format!("docker run --rm {image} cat /www/index.html");
    assert_eq!(lab.sh(100, &run).await.as_deref(), Ok("demo web 1\n"));
    ws.destroy().await.ok();
    stage.stop().await;
}
