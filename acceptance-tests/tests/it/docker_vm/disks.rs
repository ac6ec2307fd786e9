//! Disks beside those for the system and for Docker.

use acceptance_tests::simulator::{Options, Storage};
use serde_json::json;

use super::import::let_go;
use crate::scene::{Block, Scene, dormant, web};

fn disk(host: Block, options: &str) -> Block {
    host.with("disk", &format!("{{ scsi2 = {{ {options} }} }}"))
}

#[tokio::test]
async fn a_disk_is_mounted_grows_and_is_detached_with_its_data() {
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    let media = |size: u32| {
        disk(
            web(),
            &format!("size_gb = {size}, mount_path = \"/srv/media\""),
        )
    };
    scene.settle(&media(1)).await;
    let simulator = &scene.stage.simulator;
    let config = simulator.config(100).expect("the VM is there");
    assert!(config["scsi2"].contains("serial=pmoves-d2"), "{config:?}");
    scene
        .sh(100, "mountpoint -q /srv/media && echo film > /srv/media/a")
        .await;
    scene.settle(&media(2)).await;
    let config = simulator.config(100).expect("the VM is there");
    assert!(config["scsi2"].contains("size=2G"), "{config:?}");
    let volume = config["scsi2"]
        .split(',')
        .next()
        .unwrap_or_default()
        .to_owned();

    // What uses the disk keeps it.
    scene
        .sh(
            100,
            "cd /srv/media && nohup sleep 300 > /dev/null 2>&1 & echo $! > /tmp/user; sleep 0.2",
        )
        .await;
    let said = scene.apply(&web()).await.refused();
    assert!(said.contains("/srv/media is in use"), "{said}");
    assert!(
        simulator
            .config(100)
            .expect("it is there")
            .contains_key("scsi2")
    );
    scene
        .sh(
            100,
            "kill $(cat /tmp/user); while kill -0 $(cat /tmp/user) 2>/dev/null; do sleep 0.1; done",
        )
        .await;

    scene.ws.write("main.tf", &web().to_string());
    let said = scene.ws.run(&["plan", "-no-color"]).await.ok().said();
    assert!(said.contains("its volume stays with the VM"), "{said}");
    scene.settle(&web()).await;
    let config = simulator.config(100).expect("the VM is there");
    assert!(!config.contains_key("scsi2"), "{config:?}");
    assert_eq!(config["unused0"], volume);
    scene
        .sh(
            100,
            "! mountpoint -q /srv/media && ! ls /etc/systemd/system/srv-media.mount",
        )
        .await;
}

#[tokio::test]
async fn a_disk_that_was_detached_while_the_host_was_off_is_forgotten_by_the_guest() {
    let scene = Scene::new().await;
    let with = disk(web(), r#"size_gb = 1, mount_path = "/srv/media""#);
    scene.settle(&with).await;
    scene.settle(&with.with("started", "false")).await;
    scene.settle(&dormant()).await;
    scene.settle(&web()).await;
    scene
        .sh(100, "! ls /etc/systemd/system/srv-media.mount")
        .await;
}

#[tokio::test]
async fn options_and_storage_of_a_disk_change_in_place() {
    let mut options = Options::default();
    options
        .storages
        .push(Storage::lvmthin("slow", "images,rootdir"));
    let scene = Scene::with(options).await;
    scene.settle(&disk(dormant(), "size_gb = 1.5")).await;
    let moved = disk(
        dormant(),
        r#"size_gb = 1.5, datastore_id = "slow", cache = "writeback", ssd = false, backup = false"#,
    );
    scene.settle(&moved).await;
    let simulator = &scene.stage.simulator;
    let config = simulator.config(100).expect("the VM is there");
    let drive = &config["scsi2"];
    assert!(drive.starts_with("slow:"), "{drive}");
    for option in ["cache=writeback", "ssd=0", "backup=0", "size=1536M"] {
        assert!(drive.contains(option), "{option}: {drive}");
    }

    // A disk that others attached is left alone, and nothing takes its slot.
    let foreign = "local-lvm:vm-100-disk-9,size=4G";
    simulator.set_config(100, "scsi5", Some(foreign));
    scene.quiet().await;
    let taken = dormant().with(
        "disk",
        "{ scsi2 = { size_gb = 1.5 }, scsi5 = { size_gb = 4 } }",
    );
    let said = scene.refused(&taken).await;
    assert!(said.contains("The slot is taken"), "{said}");

    // An import follows all of them.
    let_go(&scene).await;
    scene.ws.write("main.tf", &moved.to_string());
    scene
        .ws
        .run(&["import", "-no-color", "pmoves_docker_vm.web", "qemu/100"])
        .await
        .ok();
    assert_eq!(scene.web("/disk/scsi2/cache").await, json!("writeback"));
    assert_eq!(scene.web("/disk/scsi5/size_gb").await, json!(4));
    assert_eq!(scene.web("/disk/scsi1").await, json!(null));
    scene.quiet_but_kept().await;
    assert_eq!(
        simulator.config(100).expect("it is there")["scsi5"],
        foreign
    );
}

#[tokio::test]
async fn disks_that_cannot_be_are_refused_by_the_plan() {
    let mut scene = Scene::new().await;
    scene.settle(&disk(dormant(), "size_gb = 2")).await;
    for (host, words) in [
        (disk(dormant(), "size_gb = 1"), "A disk cannot shrink"),
        (
            disk(dormant(), r#"size_gb = 2, datastore_id = "x""#),
            "No such storage",
        ),
        (
            dormant().with("disk", "{ scsi1 = { size_gb = 1 } }"),
            "take scsi2 to scsi29",
        ),
        (
            disk(dormant(), r#"size_gb = 2, mount_path = "/opt/docker/""#),
            "Two mounts at one place",
        ),
    ] {
        let said = scene.refused(&host).await;
        assert!(said.contains(words), "{words}: {said}");
    }
    let token = scene.stage.simulator.token_without(&["VM.Config.Disk"]);
    scene.ws.set("PROXMOX_VE_API_TOKEN", token);
    let said = scene.refused(&disk(dormant(), "size_gb = 3")).await;
    assert!(said.contains("VM.Config.Disk on /vms/100"), "{said}");
}
