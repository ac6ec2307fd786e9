//! Hosts that are reached by SSH.

use acceptance_tests::{
    guests::sshd::Sshd,
    simulator::{Options, Release},
};
use serde_json::json;

use super::{attribute, config, rounds, scene, scene_with, web};
use crate::{
    logins::{key, known, provider, way},
    scene::{Block, app},
};

/// A host behind the sshd.
fn host(sshd: &Sshd) -> Block {
    let keys = format!(
        "{{ user_account = {{ keys = [{:?}] }} }}",
        sshd.public_key()
    );
    web()
        .with("connection", r#""ssh""#)
        .with("ssh", &way(sshd))
        .with("initialization", &keys)
}

#[tokio::test]
async fn a_host_and_its_stack_are_reached_by_ssh_alone() {
    let scene = scene().await;
    let sshd = scene.guests.sshd(100).await.expect("there is an sshd");
    let known = format!("known_hosts = {:?}", known(&sshd));
    provider(&scene.ws, &format!("{}, {known}", key(&sshd)));
    scene.settle(&host(&sshd)).await;
    assert_eq!(rounds(&scene), 0, "the console was opened");
    assert_eq!(config(&scene, "cmode"), "");
    assert_eq!(attribute(&scene, "/interface_name").await, json!("eth0"));
    assert!(attribute(&scene, "/docker_version").await.is_string());

    let stack = app("pmoves_docker_lxc.web.id").with("ssh", &way(&sshd));
    let both = format!("{}{stack}", host(&sshd));
    scene.settle(&both).await;
    scene.sh(100, "docker stop app-web-1").await;
    assert_eq!(
        scene.ws.plan(&[]).await.changes(),
        ["pmoves_stack.app: update"]
    );
    scene.settle(&both).await;
    scene.ws.destroy().await.ok();
    assert_eq!(rounds(&scene), 0, "the console was opened");
}

#[tokio::test]
async fn a_host_key_is_pinned_learnt_or_refused() {
    let scene = scene().await;
    let sshd = scene.guests.sshd(100).await.expect("there is an sshd");
    provider(&scene.ws, &key(&sshd));
    let said = scene.apply(&host(&sshd)).await.refused();
    assert!(said.contains(&sshd.fingerprint()), "{said}");
    assert!(said.contains(&known(&sshd)), "{said}");
    assert!(said.contains("accept_new_host_keys = true"), "{said}");
    assert!(said.contains(&format!("ssh = {}", way(&sshd))), "{said}");

    // Nothing was run, so the host is made anew once its key may be learnt.
    provider(
        &scene.ws,
        &format!("{}, accept_new_host_keys = true", key(&sshd)),
    );
    scene.settle(&host(&sshd)).await;
    let file = scene.ws.path().join("../.ssh/known_hosts");
    let learnt = std::fs::read_to_string(&file).expect("the key was learnt");
    assert_eq!(learnt, format!("{}\n", known(&sshd)));

    // Another key than the one that is known is refused even so, and the state stays.
    let other = scene.guests.sshd(100).await.expect("there is an sshd");
    let wrong = learnt.replace(&sshd.host_key(), &other.host_key());
    std::fs::write(&file, wrong).expect("it is written");
    let said = scene.planned(&host(&sshd)).await.ok().said();
    assert!(said.contains("is not the one at"), "{said}");
    assert!(said.contains("known_hosts:1"), "{said}");
    assert!(said.contains("The state keeps"), "{said}");

    // So is a key of a kind that is not known, since one of another kind is.
    let kind = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";
    std::fs::write(&file, learnt.replace(&sshd.host_key(), kind)).expect("it is written");
    let said = scene.planned(&host(&sshd)).await.ok().said();
    assert!(said.contains("is not the one at"), "{said}");
    assert!(attribute(&scene, "/docker_version").await.is_string());
}

#[tokio::test]
async fn ssh_steps_in_where_a_token_has_no_console() {
    let options = Options {
        release: Release::V9_1,
        ..Options::default()
    };
    let scene = scene_with(options).await;
    let sshd = scene.guests.sshd(100).await.expect("there is an sshd");
    let auto = host(&sshd).with("connection", r#""auto""#);
    let said = scene.refused(&auto).await;
    assert!(said.contains("A token cannot reach a container"), "{said}");
    assert!(said.contains("or use SSH"), "{said}");
    let said = scene.refused(&host(&sshd)).await;
    assert!(said.contains("Nobody can log in"), "{said}");
    let known = format!("known_hosts = {:?}", known(&sshd));
    provider(&scene.ws, &format!("{}, {known}", key(&sshd)));
    scene.settle(&auto).await;
    assert_eq!(rounds(&scene), 0, "the console was opened");
}

#[tokio::test]
async fn a_bastion_leads_to_a_host_that_nobody_else_sees() {
    let scene = scene().await;
    let bastion = scene.guests.sshd(100).await.expect("there is an sshd");
    let keys = host(&bastion);
    let keys = keys.get("initialization").expect("it is set");
    scene.settle(&web().with("initialization", keys)).await;
    let inner = "mkdir -p /run/sshd && ssh-keygen -q -t ed25519 -N '' -f /root/inner && /usr/sbin/sshd \
        -f /dev/null -h /root/inner -p 2222 -o UsePAM=no -o ListenAddress=127.0.0.1 && cat /root/inner.pub";
    let inner = scene.sh(100, inner).await;
    let lines = format!("{}\n[127.0.0.1]:2222 {inner}", known(&bastion));
    let through = format!(
        r#"bastion = {{ host = "127.0.0.1", port = {} }}"#,
        bastion.address().port()
    );
    provider(
        &scene.ws,
        &format!("{}, known_hosts = {lines:?}, {through}", key(&bastion)),
    );
    let behind = web()
        .with("initialization", keys)
        .with("connection", r#""ssh""#)
        .with("ssh", r#"{ host = "127.0.0.1", port = 2222 }"#);
    scene.settle(&behind).await;
    scene.settle(&behind.with("docker", "{ mtu = 1400 }")).await;
    assert_eq!(rounds(&scene), 0, "the console was opened");
    let root = scene.sh(100, "cat /etc/docker/daemon.json").await;
    assert!(root.contains("1400"), "{root}");
}

#[tokio::test]
async fn a_key_that_opens_nothing_is_named() {
    let mut scene = scene().await;
    let sshd = scene.guests.sshd(100).await.expect("there is an sshd");
    let known = format!("known_hosts = {:?}", known(&sshd));
    provider(&scene.ws, &format!(r#"private_key = "x", {known}"#));
    let said = scene.refused(&host(&sshd)).await;
    assert!(said.contains("BEGIN OPENSSH PRIVATE KEY"), "{said}");
    provider(&scene.ws, &known);
    let said = scene.refused(&host(&sshd)).await;
    assert!(
        said.contains("takes private_key, or agent = true"),
        "{said}"
    );
    provider(&scene.ws, &format!("{}, {known}", key(&sshd)));
    let stranger = host(&sshd).without("initialization");
    let said = scene.apply(&stranger).await.refused();
    assert!(said.contains("does not let root in"), "{said}");
    scene.ws.set("PATH", "/nonexistent");
    let said = scene.apply(&host(&sshd)).await.refused();
    assert!(said.contains("he program ssh is missing"), "{said}");
}
