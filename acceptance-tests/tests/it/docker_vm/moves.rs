//! Hosts, and disks of them, that go somewhere else.

use acceptance_tests::simulator::{Options, Storage};
use serde_json::json;

use crate::scene::{Scene, dormant, web};

const MIGRATE: &str = "POST /nodes/pve1/qemu/100/migrate";
const MOVE_DISK: &str = "POST /nodes/pve1/qemu/100/move_disk";

/// A cluster with a second thin pool.
async fn with_fast() -> Scene {
    let mut options = Options::default();
    let fast = Storage::lvmthin("fast", "images,rootdir");
    options.storages.push(fast);
    Scene::with(options).await
}

#[tokio::test]
async fn a_host_moves_to_another_node_while_it_runs() {
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    let boot = scene.sh(100, "cat /proc/sys/kernel/random/boot_id").await;
    let moved = web().with("node_name", r#""pve2""#);
    let said = scene.apply(&moved).await.ok().said();
    assert!(
        said.contains("From pve1 to pve2. It moves online"),
        "{said}"
    );
    assert_eq!(scene.writes(), [MIGRATE]);
    scene.quiet().await;
    assert_eq!(scene.stage.simulator.vms()[0].node, "pve2");
    assert_eq!(scene.web("/current_node").await, json!("pve2"));
    assert_eq!(scene.web("/ipv4_address").await, json!("198.51.100.20"));
    assert_eq!(
        scene.sh(100, "cat /proc/sys/kernel/random/boot_id").await,
        boot
    );

    // Who was moved by others stays there, until node_name says something else.
    scene.stage.simulator.move_vm(100, "pve1");
    scene.ws.apply(&["-refresh-only"]).await.ok();
    scene.quiet().await;
    assert_eq!(scene.web("/current_node").await, json!("pve1"));
    scene.apply(&web()).await.ok();
    assert!(scene.writes().is_empty(), "{:?}", scene.writes());
    scene.quiet().await;
}

#[tokio::test]
async fn a_stopped_host_moves_and_changes_at_once() {
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    scene.settle(&dormant()).await;
    let moved = dormant()
        .with("node_name", r#""pve2""#)
        .with("memory", "{ size = 4096 }");
    let said = scene.apply(&moved).await.ok().said();
    assert!(said.contains("It is stopped, and moves offline"), "{said}");
    let config = "POST /nodes/pve2/qemu/100/config";
    assert_eq!(scene.writes(), [MIGRATE, config]);
    scene.quiet().await;
}

#[tokio::test]
async fn a_move_that_fails_is_made_by_the_next_apply() {
    let scene = Scene::new().await;
    scene.settle(&dormant()).await;
    // The seed of a host that never ran is on a storage of its node.
    let moved = dormant().with("node_name", r#""pve2""#);
    let said = scene.apply(&moved).await.refused();
    assert!(said.contains("can't migrate local cdrom"), "{said}");
    scene.stage.simulator.set_config(100, "scsi30", None);
    scene.settle(&moved).await;
    assert_eq!(scene.stage.simulator.vms()[0].node, "pve2");
    let said = scene
        .refused(&dormant().with("node_name", r#""pve9""#))
        .await;
    assert!(
        said.contains("No such node") && said.contains("pve1, pve2"),
        "{said}"
    );
}

#[tokio::test]
async fn a_credential_that_may_not_migrate_is_told_by_the_plan() {
    let mut scene = Scene::new().await;
    scene.settle(&dormant()).await;
    let token = scene.stage.simulator.token_without(&["VM.Migrate"]);
    scene.ws.set("PROXMOX_VE_API_TOKEN", token);
    let said = scene
        .refused(&dormant().with("node_name", r#""pve2""#))
        .await;
    assert!(said.contains("VM.Migrate on /vms/100"), "{said}");
}

#[tokio::test]
async fn disks_move_to_another_storage_and_leave_nothing() {
    let scene = with_fast().await;
    scene.settle(&web()).await;
    let moved = web()
        .with("os_disk", r#"{ datastore_id = "fast", size_gb = 4 }"#)
        .with("data_disk", r#"{ datastore_id = "fast", size_gb = 3 }"#);
    scene.apply(&moved).await.ok();
    let resize = "PUT /nodes/pve1/qemu/100/resize";
    assert_eq!(scene.writes(), [MOVE_DISK, MOVE_DISK, resize]);
    scene.quiet().await;
    let config = scene.stage.simulator.config(100).expect("the VM is there");
    assert!(config["scsi1"].contains("serial=pmoves-data"), "{config:?}");
    let volumes = scene.stage.simulator.volumes();
    let on = |storage: &str| volumes.iter().filter(|id| id.starts_with(storage)).count();
    assert_eq!((on("fast:"), on("local-lvm:")), (2, 0), "{volumes:?}");

    let said = scene
        .refused(&moved.with("os_disk", r#"{ datastore_id = "nowhere" }"#))
        .await;
    assert!(said.contains("No such storage"), "{said}");
}

#[tokio::test]
async fn pools_and_the_order_of_starts_follow_the_configuration() {
    let scene = Scene::new().await;
    let simulator = &scene.stage.simulator;
    for pool in ["prod", "test"] {
        simulator.put_pool(pool);
    }
    let said = scene
        .apply(&dormant().with("pool_id", r#""nosuch""#))
        .await
        .refused();
    assert!(
        said.contains("pool 'nosuch' does not exist") && said.contains("pool_id"),
        "{said}"
    );
    let startup = "{ order = 2, down_delay = 90 }";
    let host = dormant()
        .with("pool_id", r#""test""#)
        .with("startup", startup);
    scene.settle(&host).await;
    assert_eq!(simulator.pool("test"), [100]);
    assert_eq!(
        simulator.config(100).expect("it is there")["startup"],
        "order=2,down=90"
    );

    scene
        .apply(
            &host
                .clone()
                .with("pool_id", r#""prod""#)
                .with("startup", "{ order = 3 }"),
        )
        .await
        .ok();
    assert_eq!(
        scene.writes(),
        ["PUT /pools", "POST /nodes/pve1/qemu/100/config"]
    );
    scene.quiet().await;
    assert_eq!(
        (simulator.pool("prod").len(), simulator.pool("test").len()),
        (1, 0)
    );
    scene.settle(&dormant()).await;
    assert!(simulator.pool("prod").is_empty());
    assert!(
        !simulator
            .config(100)
            .expect("it is there")
            .contains_key("startup")
    );
}
