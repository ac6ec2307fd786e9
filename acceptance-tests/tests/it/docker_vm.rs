//! `pmoves_docker_vm`: made, left alone and destroyed, and what that costs.

mod accounts;
mod clones;
mod devices;
mod disks;
mod drift;
mod engine;
mod failure;
mod ha;
mod import;
mod input;
mod mounts;
mod moves;
mod real;
mod ssh;
mod update;

use expect_test::expect;
use serde_json::json;

use crate::scene::{IMAGE, PLAIN, Scene, dormant, web};

#[tokio::test]
async fn a_host_is_made_left_alone_and_destroyed() {
    let scene = Scene::new().await;
    scene.ws.write("main.tf", &web().to_string());
    scene.ws.plan(&[]).await;
    scene.forget();
    scene.ws.run(&["apply", "-no-color", "plan.bin"]).await.ok();
    // The storages and the privileges are asked once for all resources.
    expect![[r"
        GET /nodes/pve1/storage
        GET /nodes/pve1/network
        GET /access/permissions
        GET /cluster/nextid
        POST /nodes/pve1/storage/local/upload
        POST /nodes/pve1/qemu
        PUT /nodes/pve1/qemu/100/resize
        POST /nodes/pve1/qemu/100/status/start
        PUT /nodes/pve1/qemu/100/config
        DELETE /nodes/pve1/storage/local/content/local:iso/pmoves-seed-100.iso"]]
    .assert_eq(&scene.calls().join("\n"));

    let config = scene.stage.simulator.config(100).expect("the VM is there");
    let shown = |key: &str| config.get(key).map_or("-", String::as_str);
    for (key, value) in [
        ("name", "web"),
        ("cores", "2"),
        ("memory", "2048"),
        ("tags", "pmoves"),
        ("agent", "enabled=1"),
        ("scsihw", "virtio-scsi-single"),
        ("serial0", "socket"),
        ("onboot", "1"),
        (
            "scsi0",
            "local-lvm:vm-100-disk-0,discard=on,iothread=1,size=4G,ssd=1",
        ),
        (
            "scsi1",
            "local-lvm:vm-100-disk-1,backup=1,discard=on,iothread=1,serial=pmoves-data,size=2G,ssd=1",
        ),
        ("scsi30", "-"),
    ] {
        assert_eq!(shown(key), value, "{key}");
    }
    assert_eq!(scene.web("/id").await, json!("qemu/100"));
    assert_eq!(scene.web("/status").await, json!("running"));
    assert_eq!(scene.web("/restart_required").await, json!(false));
    assert_eq!(scene.web("/ipv4_address").await, json!("198.51.100.20"));
    assert_eq!(
        scene.web("/addresses").await,
        json!({ "net0": ["198.51.100.20"] })
    );
    assert_eq!(scene.web("/interface_name").await, json!("eth0"));
    assert!(scene.web("/docker_version").await.is_string());
    assert_eq!(
        scene
            .sh(100, "findmnt -no SOURCE,FSTYPE -M /opt/docker")
            .await,
        "/dev/sdb ext4\n"
    );
    assert_eq!(
        scene
            .sh(100, "docker info --format '{{.DockerRootDir}}'")
            .await,
        "/opt/docker/data\n"
    );

    scene.forget();
    scene.quiet().await;
    // A refresh: one list for all, one configuration and one round for each host.
    assert_eq!(
        scene.calls(),
        ["GET /cluster/resources", "GET /nodes/pve1/qemu/100/config"]
    );
    assert!(scene.rounds() <= ROUNDS, "{} rounds", scene.rounds());

    scene.ws.destroy().await.ok();
    assert!(scene.stage.simulator.vms().is_empty());
    assert_eq!(scene.stage.simulator.volumes(), [IMAGE, PLAIN]);
}

/// Commands in a guest for one refresh.
const ROUNDS: usize = 1;

#[tokio::test]
async fn ten_hosts_cost_ten_times_the_calls_of_a_host_and_one_list() {
    let scene = Scene::new().await;
    let ten = web()
        .with("count", "10")
        .with("name", r#""web${count.index}""#)
        .without("data_disk");
    scene.ws.write("main.tf", &ten.to_string());
    scene.ws.plan(&[]).await;
    scene.forget();
    scene.ws.run(&["apply", "-no-color", "plan.bin"]).await.ok();
    let (calls, writes) = (scene.calls(), scene.writes());
    // Each: upload, create, resize, start, detach, delete; and a look for a free VMID or two.
    assert_eq!(writes.len(), 60, "{calls:#?}");
    assert!(calls.len() - writes.len() <= 2 + 2 * 10, "{calls:#?}");
    scene.forget();
    scene.quiet().await;
    let calls = scene.calls();
    assert_eq!(calls.len(), 1 + 10, "{calls:#?}");
    assert!(scene.rounds() <= 10 * ROUNDS, "{} rounds", scene.rounds());
}

#[tokio::test]
async fn a_host_that_shall_not_run_gets_its_first_boot_when_it_starts() {
    let scene = Scene::new().await;
    scene.settle(&dormant().with("protection", "true")).await;
    assert_eq!(scene.web("/status").await, json!("stopped"));
    let seed = "local:iso/pmoves-seed-100.iso".to_owned();
    assert!(scene.stage.simulator.volumes().contains(&seed));

    scene.settle(&web().with("protection", "true")).await;
    assert_eq!(scene.web("/status").await, json!("running"));
    assert!(scene.web("/docker_version").await.is_string());
    assert!(!scene.stage.simulator.volumes().contains(&seed));
    let config = scene.stage.simulator.config(100).expect("the VM is there");
    assert_eq!(config.get("protection").map(String::as_str), Some("1"));
    assert!(!config.contains_key("scsi30"), "{config:?}");
}

#[tokio::test]
async fn a_protected_host_is_neither_destroyed_nor_replaced() {
    let scene = Scene::new().await;
    let host = dormant().with("protection", "true");
    scene.settle(&host).await;
    let said = scene.ws.destroy().await.refused();
    assert!(said.contains("The VM is protected"), "{said}");
    let said = scene.refused(&host.clone().with("vm_id", "200")).await;
    assert!(said.contains("The VM is protected"), "{said}");
    scene.settle(&dormant().with("protection", "false")).await;
    scene.ws.destroy().await.ok();
    assert!(scene.stage.simulator.vms().is_empty());
}

#[tokio::test]
async fn secrets_stay_out_of_everything_that_is_written_down() {
    let scene = Scene::new().await;
    let (password, data) = ("sentinel-password", "sentinel-user-data");
    let mut scene = scene;
    scene.ws.set("TF_LOG", "TRACE");
    let user_data =
        format!("\"#cloud-config\\nwrite_files: [{{ path: /root/s, content: {data} }}]\\n\"");
    let account = r#"{ password_wo = var.password, password_wo_version = "1" }"#;
    let variable = "variable \"password\" {\n  type      = string\n  ephemeral = true\n}\n";
    scene.ws.write("password.tf", variable);
    scene.ws.set("TF_VAR_password", password);
    let host = web().with(
        "initialization",
        &format!("{{ user_data = {user_data}, user_account = {account} }}"),
    );
    scene.ws.write("main.tf", &host.to_string());
    if !scene.ws.takes_write_only().await {
        return;
    }
    scene.ws.plan(&[]).await;
    let planned = scene.ws.run(&["show", "-json", "plan.bin"]).await.ok();
    scene.forget();
    let applied = scene.ws.run(&["apply", "-no-color", "plan.bin"]).await.ok();
    assert_eq!(scene.sh(100, "cat /root/s").await, data);

    let journal = format!(
        "{:?}{:?}",
        scene.stage.simulator.journal(),
        scene.stage.simulator.tasks()
    );
    // The log of core holds the configuration and the plan; what is ours in it is the provider's.
    let log = format!("{}{}", applied.stderr, applied.stdout);
    let ours = log
        .lines()
        .filter(|line| line.contains("provider.terraform-provider-pmoves"));
    let ours: String = ours.collect();
    assert!(ours.contains("/nodes/pve1/qemu"), "the log has the calls");
    for (what, text) in [
        ("state", scene.ws.state_file()),
        ("plan", planned.stdout),
        ("journal", journal.clone()),
        ("log", ours.clone()),
    ] {
        assert!(!text.contains(password), "the password is in the {what}");
    }
    // User data is kept by design, marked as sensitive; nobody else gets to see it.
    for (what, text) in [("journal", journal), ("log", ours)] {
        assert!(!text.contains(data), "the user data is in the {what}");
    }
    assert!(
        !scene
            .stage
            .simulator
            .volumes()
            .iter()
            .any(|volume| volume.contains(":iso/"))
    );
}

#[tokio::test]
async fn user_data_that_holds_secrets_is_nowhere_but_in_the_guest() {
    let mut scene = Scene::new().await;
    let secret = "sentinel-of-user-data-wo";
    let variable = "variable \"data\" {\n  type      = string\n  ephemeral = true\n}\n";
    scene.ws.write("data.tf", variable);
    let data = |text: &str| {
        format!("#cloud-config\nwrite_files: [{{ path: /root/s, content: {text} }}]\n")
    };
    scene.ws.set("TF_VAR_data", data(secret));
    let host = web().with("initialization", "{ user_data_wo = var.data }");
    scene.ws.write("main.tf", &host.to_string());
    if !scene.ws.takes_write_only().await {
        return;
    }
    scene.ws.plan(&[]).await;
    let planned = scene.ws.run(&["show", "-json", "plan.bin"]).await.ok();
    scene.settle(&host).await;
    assert_eq!(scene.sh(100, "cat /root/s").await, secret);
    let journal = format!("{:?}", scene.stage.simulator.journal());
    for (what, text) in [
        ("plan", planned.stdout),
        ("state", scene.ws.state_file()),
        ("journal", journal),
    ] {
        assert!(!text.contains(secret), "the user data is in the {what}");
    }
    // It was for the first boot.
    scene.ws.set("TF_VAR_data", data("other"));
    scene.quiet().await;
    let both = r##"{ user_data_wo = var.data, user_data = "#!/bin/sh" }"##;
    let said = scene.refused(&web().with("initialization", both)).await;
    assert!(said.contains("Either user_data or user_data_wo"), "{said}");
    scene.ws.set("TF_VAR_data", "secret of no kind");
    let said = scene.refused(&host).await;
    assert!(said.contains("#cloud-config"), "{said}");
    assert!(!said.contains("secret of no kind"), "{said}");
}

#[tokio::test]
async fn a_seed_that_may_not_be_deleted_is_overwritten() {
    let mut scene = Scene::new().await;
    let token = scene.stage.simulator.token_without(&["Datastore.Allocate"]);
    scene.ws.set("PROXMOX_VE_API_TOKEN", token);
    let user_data = r##""#cloud-config\n# sentinel\n""##;
    let said = scene
        .apply(&web().with("initialization", &format!("{{ user_data = {user_data} }}")))
        .await
        .ok()
        .said();
    assert!(
        said.contains("An empty seed stays on the storage"),
        "{said}"
    );
    let left = scene
        .stage
        .simulator
        .volume_data("local:iso/pmoves-seed-100.iso")
        .expect("it is there");
    assert!(!String::from_utf8_lossy(&left).contains("sentinel"));
    scene.quiet().await;
}
