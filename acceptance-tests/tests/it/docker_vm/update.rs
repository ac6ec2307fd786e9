//! Changes of a host in place, and by replacement.

use serde_json::json;

use crate::scene::{Scene, dormant, web};

const CONFIG: &str = "POST /nodes/pve1/qemu/100/config";
const SHUTDOWN: &str = "POST /nodes/pve1/qemu/100/status/shutdown";
const START: &str = "POST /nodes/pve1/qemu/100/status/start";

#[tokio::test]
async fn names_tags_notes_and_nics_change_while_the_host_runs() {
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    let nics = r#"{ net0 = { bridge = "vmbr0" }, net1 = { bridge = "vmbr0", vlan_id = 20 } }"#;
    let changed = web()
        .with("name", r#""www""#)
        .with("tags", r#"["blue", "web"]"#)
        .with("description", r#""two\nlines\n""#)
        .with("network_device", nics);
    scene.apply(&changed).await.ok();
    assert_eq!(scene.writes(), [CONFIG]);
    scene.quiet().await;
    let config = scene.stage.simulator.config(100).expect("the VM is there");
    assert_eq!(config["name"], "www");
    assert_eq!(config["tags"], "blue;pmoves;web");
    assert_eq!(config["description"].trim_end(), "two\nlines");
    assert!(config["net1"].contains("tag=20"), "{}", config["net1"]);
    assert_eq!(scene.web("/tags").await, json!(["blue", "web"]));

    // What was set and is not set any more goes; what was never listed stays.
    scene.apply(&web()).await.ok();
    assert_eq!(scene.writes(), [CONFIG]);
    scene.quiet().await;
    let config = scene.stage.simulator.config(100).expect("the VM is there");
    assert_eq!(config["tags"], "pmoves");
    assert!(
        !config.contains_key("description") && !config.contains_key("net1"),
        "{config:?}"
    );
}

#[tokio::test]
async fn memory_and_cores_restart_the_host_or_wait() {
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    let bigger = web()
        .with("memory", "{ size = 4096 }")
        .with("cpu", "{ cores = 4 }");
    let said = scene.apply(&bigger).await.ok().said();
    assert!(said.contains("The VM restarts"), "{said}");
    assert_eq!(scene.writes(), [CONFIG, SHUTDOWN, START]);
    scene.quiet().await;

    let never = bigger
        .with("restart_policy", r#""never""#)
        .with("memory", "{ size = 3072 }");
    let said = scene.apply(&never).await.ok().said();
    assert!(said.contains("The change waits for a restart"), "{said}");
    assert_eq!(scene.writes(), [CONFIG]);
    assert_eq!(scene.web("/restart_required").await, json!(true));
    scene.quiet().await;

    scene
        .apply(&never.with("restart_policy", r#""if_needed""#))
        .await
        .ok();
    assert_eq!(scene.writes(), [SHUTDOWN, START]);
    assert_eq!(scene.web("/restart_required").await, json!(false));
    scene.quiet().await;
}

#[tokio::test]
async fn limits_and_options_of_nics_change_while_the_host_runs() {
    let mut scene = Scene::new().await;
    scene.settle(&web()).await;
    let nic = |more: &str| {
        web().with(
            "network_device",
            &format!(r#"{{ net0 = {{ bridge = "vmbr0", {more} }} }}"#),
        )
    };
    let options = "disconnected = false, queues = 4, rate_limit = 12.5, trunks = [20, 10]";
    let limited = nic(options).with("cpu", "{ limit = 1.5, units = 200 }");
    scene.apply(&limited).await.ok();
    assert_eq!(scene.writes(), [CONFIG]);
    scene.quiet().await;
    let config = |key: &str| {
        let config = scene.stage.simulator.config(100).expect("the VM is there");
        config.get(key).cloned().unwrap_or_default()
    };
    assert_eq!(config("cpulimit"), "1.5");
    let net0 = config("net0");
    let (_, told) = net0.split_once(",bridge=").expect("a bridge");
    assert_eq!(told, "vmbr0,link_down=0,queues=4,rate=12.5,trunks=10;20");

    // What was never listed stays; what was set and is taken out goes.
    let by_hand = format!("{net0},firewall=1,mtu=1400");
    scene
        .stage
        .simulator
        .set_config(100, "net0", Some(&by_hand));
    scene.settle(&nic("trunks = [], vlan_id = 5")).await;
    let net0 = config("net0");
    let (_, told) = net0.split_once(",bridge=").expect("a bridge");
    assert_eq!(told, "vmbr0,firewall=1,mtu=1400,tag=5");
    assert_eq!(config("cpulimit"), "");

    scene
        .settle(&nic("vlan_id = 5").with("cpu", "{ numa = true }"))
        .await;
    assert_eq!(config("numa"), "1");
    assert_eq!(
        scene
            .stage
            .simulator
            .calls("POST", "/nodes/pve1/qemu/100/status/start"),
        1
    );

    // Each VLAN that passes takes the right to use it.
    let token = scene.stage.simulator.token_without(&["SDN.Use"]);
    scene.ws.set("PROXMOX_VE_API_TOKEN", token);
    let said = scene.refused(&nic("vlan_id = 5, trunks = [7]")).await;
    assert!(
        said.contains("SDN.Use on /sdn/zones/localnetwork/vmbr0/7"),
        "{said}"
    );
}

#[tokio::test]
async fn disks_grow_with_their_filesystems() {
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    let bytes = "df -B1 --output=size /opt/docker | tail -n 1";
    let before: u64 = scene.sh(100, bytes).await.trim().parse().expect("a number");
    let root = "df -B1 --output=size / | tail -n 1";
    let root_before: u64 = scene.sh(100, root).await.trim().parse().expect("a number");
    let grown = web()
        .with("os_disk", r#"{ datastore_id = "local-lvm", size_gb = 6 }"#)
        .with("data_disk", "{ size_gb = 3.5 }");
    scene.apply(&grown).await.ok();
    let resize = "PUT /nodes/pve1/qemu/100/resize";
    assert_eq!(scene.writes(), [resize, resize]);
    scene.quiet().await;
    let after: u64 = scene.sh(100, bytes).await.trim().parse().expect("a number");
    assert!(after > before + (1 << 30), "{before} {after}");
    let root_after: u64 = scene.sh(100, root).await.trim().parse().expect("a number");
    assert!(
        root_after > root_before + (1 << 30),
        "{root_before} {root_after}"
    );
    let config = scene.stage.simulator.config(100).expect("the VM is there");
    assert!(
        config["scsi1"].contains("size=3584M"),
        "{}",
        config["scsi1"]
    );

    let said = scene
        .refused(&grown.clone().with("data_disk", "{ size_gb = 1 }"))
        .await;
    assert!(
        said.contains("A disk cannot shrink") && said.contains("data_disk"),
        "{said}"
    );
}

#[tokio::test]
async fn a_data_disk_comes_later() {
    let scene = Scene::new().await;
    let said = scene.apply(&web().without("data_disk")).await.ok().said();
    assert!(said.contains("Docker stays on the OS disk"), "{said}");
    scene.quiet().await;
    scene.settle(&web()).await;
    assert_eq!(
        scene.sh(100, "findmnt -no SOURCE -M /opt/docker").await,
        "/dev/sdb\n"
    );
    assert_eq!(
        scene
            .sh(100, "docker info --format '{{.DockerRootDir}}'")
            .await,
        "/opt/docker/data\n"
    );
}

#[tokio::test]
async fn a_host_stops_and_starts() {
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    scene.apply(&dormant()).await.ok();
    assert_eq!(scene.writes(), [SHUTDOWN]);
    assert_eq!(scene.web("/status").await, json!("stopped"));
    assert_eq!(scene.web("/ipv4_address").await, json!("198.51.100.20"));
    scene.quiet().await;
    scene.apply(&web()).await.ok();
    assert_eq!(scene.writes(), [START]);
    assert_eq!(scene.web("/status").await, json!("running"));
    scene.quiet().await;
    assert_eq!(
        scene.sh(100, "findmnt -no SOURCE -M /opt/docker").await,
        "/dev/sdb\n"
    );
}

#[tokio::test]
async fn settings_of_docker_change_in_place() {
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    let docker = r#"{
    live_restore     = false
    log              = { driver = "local", max_size = "20m" }
    registry_mirrors = ["https://mirror.example.com"]
    daemon_json      = jsonencode({ debug = true })
  }"#;
    scene.apply(&web().with("docker", docker)).await.ok();
    assert!(scene.writes().is_empty(), "{:?}", scene.writes());
    scene.quiet().await;
    let json = scene.sh(100, "cat /etc/docker/daemon.json").await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["live-restore"], json!(false));
    assert_eq!(json["log-opts"]["max-size"], json!("20m"));
    assert_eq!(
        json["registry-mirrors"],
        json!(["https://mirror.example.com"])
    );
    assert_eq!(json["debug"], json!(true));
    assert_eq!(json["data-root"], json!("/opt/docker/data"));

    scene.settle(&web()).await;
    let json = scene.sh(100, "cat /etc/docker/daemon.json").await;
    assert!(
        !json.contains("mirror.example.com") && !json.contains("debug"),
        "{json}"
    );
}

#[tokio::test]
async fn another_vmid_makes_another_host() {
    let scene = Scene::new().await;
    scene.settle(&dormant()).await;
    scene
        .ws
        .write("main.tf", &dormant().with("vm_id", "200").to_string());
    let plan = scene.ws.plan(&[]).await;
    assert_eq!(plan.changes(), ["pmoves_docker_vm.web: delete+create"]);
    scene.settle(&dormant().with("vm_id", "200")).await;
    let vms = scene.stage.simulator.vms();
    assert_eq!(vms.iter().map(|vm| vm.vmid).collect::<Vec<_>>(), [200]);
    assert_eq!(scene.web("/id").await, json!("qemu/200"));
}

#[tokio::test]
async fn a_new_image_or_seed_keeps_the_host() {
    let scene = Scene::new().await;
    scene.settle(&dormant()).await;
    let other = dormant()
        .with("image", r#"{ id = "local:import/debian-13.qcow2" }"#)
        .with("initialization", r#"{ hostname = "other" }"#);
    scene.ws.write("main.tf", &other.to_string());
    let plan = scene.ws.run(&["plan", "-no-color"]).await.ok().said();
    assert!(
        plan.contains("No changes") || plan.contains("Kept as it was made"),
        "{plan}"
    );
    scene.forget();
    scene.apply(&other).await.ok();
    assert!(scene.writes().is_empty(), "{:?}", scene.writes());
}
