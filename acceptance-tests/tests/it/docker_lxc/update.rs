//! Changes of a host, and what they ask of the cluster.

use serde_json::json;

use super::{attribute, config, dormant, scene, web};

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
    let said = scene.planned(&moved).await.ok().said();
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
    let said = scene
        .planned(&host.clone().with("initialization", resolver))
        .await;
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

#[tokio::test]
async fn every_option_of_nics_mounts_and_cpu_reaches_the_container() {
    let scene = scene().await;
    scene.settle(&dormant()).await;
    let changed = dormant()
        .with("cpu", "{ limit = 1.5, units = 200 }")
        .with(
            "network_interface",
            r#"{ net0 = { bridge = "vmbr0", vlan_id = 5, trunks = [20, 10], rate_limit = 12.5, firewall = true, mtu = 1400 } }"#,
        )
        .with(
            "mount_point",
            r#"{ mp1 = { volume = "local-lvm", path = "/media", size_gb = 1, acl = true, replicate = false, shared = true, backup = true, mount_options = ["nodev", "noatime"] } }"#,
        );
    scene.apply(&changed).await.ok();
    assert_eq!(scene.writes(), ["PUT /nodes/pve1/lxc/100/config"]);
    scene.quiet().await;
    assert_eq!(config(&scene, "cpulimit"), "1.5");
    for part in [
        "firewall=1",
        "mtu=1400",
        "rate=12.5",
        "tag=5",
        "trunks=10;20",
    ] {
        assert!(config(&scene, "net0").contains(part), "{part}");
    }
    assert_eq!(
        config(&scene, "mp1"),
        "local-lvm:vm-100-disk-2,mp=/media,acl=1,backup=1,mountoptions=noatime;nodev,replicate=0,shared=1,size=1G"
    );
    // What was set and is taken out goes back.
    scene
        .settle(&dormant().with("cpu", "{ units = 200 }"))
        .await;
    assert_eq!(config(&scene, "cpulimit"), "");
}

#[tokio::test]
async fn pools_and_the_order_of_starts_follow_the_configuration() {
    let scene = scene().await;
    let simulator = &scene.stage.simulator;
    for pool in ["prod", "test"] {
        simulator.put_pool(pool);
    }
    let host = dormant()
        .with("pool_id", r#""test""#)
        .with("startup", "{ order = 2 }");
    scene.settle(&host).await;
    assert_eq!(simulator.pool("test"), [100]);
    let moved = host.with("pool_id", r#""prod""#);
    let moved = moved.with("startup", "{ order = 3 }");
    scene.apply(&moved).await.ok();
    assert_eq!(
        scene.writes(),
        ["PUT /pools", "PUT /nodes/pve1/lxc/100/config"]
    );
    scene.quiet().await;
    assert_eq!(simulator.pool("prod"), [100]);
    scene.settle(&moved.without("pool_id")).await;
    assert_eq!(simulator.pool("prod"), [0; 0]);
}

#[tokio::test]
async fn a_destroy_stops_at_once_if_it_shall() {
    for (at_once, how) in [("false", "shutdown"), ("true", "stop")] {
        let scene = scene().await;
        scene.settle(&web().with("stop_on_destroy", at_once)).await;
        scene.forget();
        scene.ws.destroy().await.ok();
        assert_eq!(
            scene.writes(),
            [
                format!("POST /nodes/pve1/lxc/100/status/{how}"),
                "DELETE /nodes/pve1/lxc/100".to_owned()
            ]
        );
    }
}
