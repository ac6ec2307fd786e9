//! Hosts that are reached by SSH.

use acceptance_tests::guests::sshd::Sshd;
use serde_json::json;

use super::import::{IMPORT, let_go};
use crate::{
    logins::{key, known, provider, way},
    scene::{Block, Scene, app, dormant, web},
};

/// A host without agent, behind the sshd.
fn host(sshd: &Sshd) -> Block {
    let key = sshd.public_key();
    let root =
        format!("#!/bin/sh\nmkdir -p -m 700 ~root/.ssh\necho '{key}' > ~root/.ssh/authorized_keys");
    web()
        .with("agent", "{ enabled = false }")
        .with("initialization", &format!("{{ user_data = {root:?} }}"))
        .with("ssh", &way(sshd))
}

/// A scene whose provider may log in to the only guest.
async fn scene() -> (Scene, Sshd) {
    let scene = Scene::new().await;
    let sshd = scene.guests.sshd(100).await.expect("there is an sshd");
    let known = format!("known_hosts = {:?}", known(&sshd));
    provider(&scene.ws, &format!("{}, {known}", key(&sshd)));
    (scene, sshd)
}

/// Calls to the agent since the journal was begun.
fn agent_calls(scene: &Scene) -> usize {
    let simulator = &scene.stage.simulator;
    let count = |method| simulator.calls(method, "/nodes/*/qemu/*/agent/**");
    count("GET") + count("POST")
}

/// Applies, with nothing left to do, and without a word to the agent.
async fn settle(scene: &Scene, config: &impl std::fmt::Display) {
    scene.settle(config).await;
    assert_eq!(agent_calls(scene), 0);
}

#[tokio::test]
async fn a_vm_without_agent_is_a_host_by_ssh() {
    let (scene, sshd) = scene().await;
    settle(&scene, &host(&sshd)).await;
    let config = scene.stage.simulator.config(100).expect("the VM is there");
    assert_eq!(config["agent"], "enabled=0");
    assert_eq!(scene.web("/ipv4_address").await, json!("198.51.100.20"));
    assert!(scene.web("/docker_version").await.is_string());

    let changed = host(&sshd).with("docker", r#"{ source = "distro", mtu = 1400 }"#);
    settle(&scene, &changed).await;
    let daemon = scene.sh(100, "cat /etc/docker/daemon.json").await;
    assert!(daemon.contains("1400"), "{daemon}");

    let stack = app("pmoves_docker_vm.web.id").with("ssh", &way(&sshd));
    settle(&scene, &format!("{changed}{stack}")).await;
    scene.sh(100, "docker stop app-web-1").await;
    let plan = scene.ws.plan(&[]).await;
    assert_eq!(plan.changes(), ["pmoves_stack.app: update"]);
    settle(&scene, &changed).await;

    // What stops is started and set up again, and what is taken over is the same.
    settle(&scene, &changed.clone().with("started", "false")).await;
    settle(&scene, &changed).await;
    let_go(&scene).await;
    scene.ws.write("main.tf", &format!("{changed}{IMPORT}"));
    scene.quiet_but_kept().await;
    scene.ws.destroy().await.ok();
    // The import did not know yet where SSH goes.
    assert_eq!(agent_calls(&scene), 1);
}

#[tokio::test]
async fn a_vm_that_nothing_leads_into_is_refused() {
    let scene = Scene::new().await;
    let sshd = scene.guests.sshd(100).await.expect("there is an sshd");
    let silent = host(&sshd).without("ssh");
    let said = scene.refused(&silent).await;
    assert!(said.contains("A new VM needs a way in"), "{said}");
    assert!(said.contains("agent.enabled"), "{said}");
    let by_ssh = |host: Block| host.with("connection", r#""ssh""#);
    let said = scene.refused(&by_ssh(host(&sshd))).await;
    assert!(said.contains("Nobody can log in"), "{said}");

    // What is there already is left alone, but cannot be changed inside.
    let off = dormant().with("agent", "{ enabled = false }");
    scene.settle(&dormant()).await;
    scene.settle(&off).await;
    let inside = off.clone().with("docker", "{ mtu = 1400 }");
    let said = scene.refused(&inside).await;
    assert!(said.contains("The guest cannot be reached"), "{said}");
    assert!(said.contains("docker"), "{said}");
    let disk = r#"{ scsi2 = { size_gb = 1, mount_path = "/srv" } }"#;
    let said = scene.refused(&off.clone().with("disk", disk)).await;
    assert!(said.contains("The guest cannot be reached"), "{said}");
    assert!(said.contains(r#"disk["scsi2"]"#), "{said}");
    let grown = off.with("os_disk", r#"{ datastore_id = "local-lvm", size_gb = 5 }"#);
    let said = scene.apply(&grown).await.ok().said();
    assert!(said.contains("The filesystem stays as it is"), "{said}");
}

#[tokio::test]
async fn a_new_vm_that_ssh_may_not_get_into_is_told_at_plan() {
    let (scene, sshd) = scene().await;
    let lost = host(&sshd).without("ssh");
    let said = scene.refused(&lost).await;
    assert!(
        said.contains("The address of the new VM is not known"),
        "{said}"
    );
    let account = |text: &str| host(&sshd).with("initialization", text);
    let way = way(&sshd).replace('{', "{ username = \"pmoves\",");
    let keyless = account("{ upgrade = false }").with("ssh", &way);
    for (host, warning) in [
        (
            account("{ user_account = { keys = [] } }"),
            "SSH logs in as root, and the first boot gives its keys to pmoves",
        ),
        (keyless, "SSH logs in as pmoves, who has no keys"),
    ] {
        let said = scene.planned(&host).await.ok().said();
        assert!(said.contains(warning), "{said}");
    }
    let keys = format!(
        "{{ user_account = {{ keys = [{:?}] }} }}",
        sshd.public_key()
    );
    for quiet in [host(&sshd), account(&keys).with("ssh", &way)] {
        let said = scene.planned(&quiet).await.ok().said();
        assert!(!said.contains("Nobody may be let in"), "{said}");
    }
}

#[tokio::test]
async fn the_agent_tells_the_address_for_ssh() {
    let (scene, _sshd) = scene().await;
    scene.settle(&web()).await;
    scene
        .apply(&web().with("connection", r#""ssh""#))
        .await
        .ok();
    let plan = scene.ws.plan(&[]).await;
    plan.empty();
    scene.forget();
    let said = scene.ws.run(&["plan", "-no-color"]).await.ok().said();
    assert!(said.contains("198.51.100.20"), "{said}");
    assert_eq!(agent_calls(&scene), 1, "{said}");
    assert_eq!(scene.rounds(), 0, "{said}");
}
