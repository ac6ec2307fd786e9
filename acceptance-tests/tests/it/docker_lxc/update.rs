//! Changes of a host, and what they ask of the cluster.

use serde_json::json;

use super::{attribute, config, dormant, planned, scene, web};

#[tokio::test]
async fn changes_reach_the_container_in_one_call() {
    let scene = scene().await;
    scene.settle(&dormant()).await;
    let mac = config(&scene, "net0");
    let changed = dormant()
        .with("name", r#""web2""#)
        .with("memory", "{ size = 1024, swap = 512 }")
        .with("cpu", "{ cores = 1 }")
        .with("description", r#""a note""#)
        .with("tags", r#"["a", "b"]"#)
        .with(
            "initialization",
            r#"{ dns = { servers = ["192.0.2.53"] }, ip_config = { net0 = { ipv4 = { address = "192.0.2.10/24", gateway = "192.0.2.1" } } } }"#,
        )
        .with("mount_point", r#"{ mp1 = { volume = "local-lvm", path = "/media", size_gb = 1 } }"#);
    scene.apply(&changed).await.ok();
    assert_eq!(scene.writes(), ["PUT /nodes/pve1/lxc/100/config"]);
    scene.quiet().await;
    for (key, value) in [
        ("hostname", "web2"),
        ("memory", "1024"),
        ("tags", "a;b;pmoves"),
        ("nameserver", "192.0.2.53"),
        ("mp1", "local-lvm:vm-100-disk-2,mp=/media,size=1G"),
    ] {
        assert_eq!(config(&scene, key), value, "{key}");
    }
    let fixed = mac.replace("ip=dhcp", "ip=192.0.2.10/24");
    let fixed = fixed.replace("bridge=vmbr0,", "bridge=vmbr0,gw=192.0.2.1,");
    assert_eq!(config(&scene, "net0"), fixed);
    // What was set and is taken out goes back, and the volume is kept.
    scene.settle(&dormant()).await;
    assert_eq!(config(&scene, "mp1"), "");
    assert_eq!(config(&scene, "unused0"), "local-lvm:vm-100-disk-2");
    assert_eq!(config(&scene, "nameserver"), "");
}

#[tokio::test]
async fn volumes_grow_and_move() {
    let scene = scene().await;
    scene.settle(&dormant()).await;
    let grown = dormant()
        .with(
            "root_disk",
            r#"{ datastore_id = "local-lvm", size_gb = 5 }"#,
        )
        .with("data_volume", "{ size_gb = 3.5 }");
    scene.settle(&grown).await;
    assert_eq!(config(&scene, "rootfs"), "local-lvm:vm-100-disk-0,size=5G");
    assert!(config(&scene, "mp0").ends_with("size=3584M"));
    let said = scene.refused(&dormant()).await;
    assert!(said.contains("A disk cannot shrink"), "{said}");
}

#[tokio::test]
async fn another_node_is_a_move() {
    let scene = scene().await;
    scene.settle(&dormant()).await;
    let moved = dormant().with("node_name", r#""pve2""#);
    let said = planned(&scene, &moved).await.ok().said();
    assert!(
        said.contains("The container moves to another node"),
        "{said}"
    );
    scene.settle(&moved).await;
    assert_eq!(attribute(&scene, "/current_node").await, json!("pve2"));
    assert_eq!(attribute(&scene, "/id").await, json!("lxc/100"));
}

#[tokio::test]
async fn another_vmid_is_another_container() {
    let scene = scene().await;
    scene.settle(&dormant()).await;
    scene.settle(&dormant().with("vm_id", "200")).await;
    assert_eq!(scene.stage.simulator.config(100), None);
    assert_eq!(attribute(&scene, "/id").await, json!("lxc/200"));
}

#[tokio::test]
async fn a_restart_follows_the_policy() {
    let scene = scene().await;
    let resolver = r#"{ dns = { servers = ["192.0.2.53"] } }"#;
    let host = web().with("restart_policy", r#""never""#);
    scene.settle(&host).await;
    let said = planned(&scene, &host.clone().with("initialization", resolver)).await;
    let said = said.ok().said();
    assert!(said.contains("The change waits for a restart"), "{said}");
    scene
        .settle(&host.clone().with("initialization", resolver))
        .await;
    assert_eq!(attribute(&scene, "/restart_required").await, json!(true));
    let changed = web().with("initialization", resolver);
    scene.apply(&changed).await.ok();
    assert!(
        scene
            .writes()
            .contains(&"POST /nodes/pve1/lxc/100/status/shutdown".to_owned()),
        "{:?}",
        scene.writes()
    );
    scene.quiet().await;
    assert_eq!(attribute(&scene, "/restart_required").await, json!(false));
}
