//! Templates, and hosts that are cloned.

use acceptance_tests::simulator::{Options, Storage};
use serde_json::json;

use super::import::{IMPORT, let_go};
use crate::{
    process::{interrupted, passing},
    scene::{Block, Scene, dormant, web},
};

/// A host that is cloned from another one of the configuration.
fn cloned(name: &str, clone: &str) -> Block {
    web()
        .labelled(name)
        .with("name", &format!("{name:?}"))
        .with("clone", clone)
        .without("image")
        .without("os_disk")
}

#[tokio::test]
async fn a_template_is_made_and_its_clones_are_hosts_of_their_own() {
    let scene = Scene::new().await;
    let template = web().with("template", "true");
    scene.settle(&template).await;
    let simulator = &scene.stage.simulator;
    let config = simulator.config(100).expect("the VM is there");
    assert_eq!(config["template"], "1");
    assert!(config["scsi0"].contains("base-100-disk-0"), "{config:?}");
    assert_eq!(scene.web("/status").await, json!("stopped"));
    assert_eq!(scene.web("/ipv4_address").await, json!(null));
    assert!(scene.web("/docker_version").await.is_string());
    let root = scene.guests.root(100);
    let machine_id = std::fs::read_to_string(root.join("etc/machine-id"));
    assert_eq!(machine_id.expect("it is there"), "");
    let keys = std::fs::read_dir(root.join("etc/ssh")).map_or(0, Iterator::count);
    assert_eq!(keys, 0, "host keys are left");

    let clone = "{ vm_id = pmoves_docker_vm.web.vm_id, full = false }";
    let two = cloned("worker", clone)
        .without("docker")
        .with("count", "2")
        .with("name", r#""worker${count.index}""#);
    let all = format!("{template}{two}");
    scene.settle(&all).await;
    let mut macs = Vec::new();
    for vmid in [101, 102] {
        let config = simulator.config(vmid).expect("the clone is there");
        assert_eq!(config["tags"], "pmoves");
        assert!(config["net0"].contains("bridge=vmbr0"), "{config:?}");
        assert!(!config.contains_key("template") && !config.contains_key("scsi30"));
        let host = scene.sh(vmid, "hostname").await;
        assert_eq!(host.trim(), config["name"]);
        macs.push(config["net0"].clone());
    }
    let worker = scene.ws.resource("pmoves_docker_vm.worker[0]").await;
    let source = &worker.expect("it is in the state")["values"]["docker"]["source"];
    assert_eq!(*source, "distro");
    assert_ne!(macs[0], macs[1]);

    // What happens to the template is nothing to the clones.
    simulator.set_config(100, "memory", Some("4096"));
    scene.ws.plan(&[]).await;
    scene
        .settle(&format!(
            "{}{two}",
            template.clone().with("description", r#""golden""#)
        ))
        .await;
    let said = scene.refused(&format!("{}{two}", web())).await;
    assert!(said.contains("A template does not turn back"), "{said}");
    scene.ws.write("main.tf", &all);
    scene.ws.destroy().await.ok();
    assert!(simulator.vms().is_empty());
}

#[tokio::test]
async fn the_os_disk_may_be_on_any_bus() {
    let scene = Scene::new().await;
    let os_disk = |size: u32, more: &str| {
        let disk = format!("{{ datastore_id = \"local-lvm\", size_gb = {size}{more} }}");
        web().with("os_disk", &disk)
    };
    scene.settle(&os_disk(4, ", interface = \"virtio0\"")).await;
    let_go(&scene).await;
    let grown = os_disk(5, "");
    scene.settle(&format!("{IMPORT}{grown}")).await;
    let simulator = &scene.stage.simulator;
    let config = simulator.config(100).expect("the VM is there");
    let (_, options) = config["virtio0"].split_once(',').expect("it has options");
    assert_eq!(options, "discard=on,iothread=1,size=5G");
    assert_eq!(config["boot"], "order=virtio0");
    assert_eq!(scene.web("/os_disk/interface").await, json!("virtio0"));

    let clone = cloned("worker", "{ vm_id = pmoves_docker_vm.web.vm_id }");
    scene.settle(&format!("{grown}{clone}")).await;
    let config = simulator.config(101).expect("the clone is there");
    assert!(config["virtio0"].contains("size=5G"), "{config:?}");
    let other = clone
        .labelled("other")
        .with("os_disk", r#"{ interface = "scsi0" }"#);
    let said = scene.refused(&format!("{grown}{other}")).await;
    assert!(said.contains("100 boots from virtio0"), "{said}");
}

#[tokio::test]
async fn a_clone_has_the_docker_of_its_source_whenever_it_starts() {
    let scene = Scene::new().await;
    let template = web().with("template", "true");
    let clone = "{ vm_id = pmoves_docker_vm.web.vm_id, full = false }";
    let worker = cloned("worker", clone).without("docker");
    let stopped = worker.clone().with("started", "false");
    scene.settle(&format!("{template}{stopped}")).await;
    scene.settle(&format!("{template}{worker}")).await;
    scene.ws.apply(&["-refresh-only"]).await.ok();
    let worker = scene.ws.resource("pmoves_docker_vm.worker").await;
    let source = &worker.expect("it is in the state")["values"]["docker"]["source"];
    assert_eq!(*source, "distro");
    scene.quiet().await;
}

#[tokio::test]
async fn a_full_clone_goes_to_another_node_and_storage_and_grows() {
    let mut options = Options::default();
    let fast = Storage::lvmthin("fast", "images,rootdir");
    options.storages.push(fast);
    let scene = Scene::with(options).await;
    scene.settle(&dormant()).await;
    scene.stage.simulator.set_config(100, "scsi30", None);
    let clone = r#"{ vm_id = 100, datastore_id = "fast" }"#;
    let host = cloned("copy", clone)
        .with("node_name", r#""pve2""#)
        .with("os_disk", "{ size_gb = 6 }")
        .with("data_disk", "{ size_gb = 3 }");
    let both = format!("{}{host}", dormant());
    scene.apply(&both).await.ok();
    assert_eq!(
        scene.writes(),
        [
            "POST /nodes/pve2/storage/local/upload",
            "POST /nodes/pve1/qemu/100/clone",
            "POST /nodes/pve1/qemu/101/migrate",
            "POST /nodes/pve2/qemu/101/config",
            "PUT /nodes/pve2/qemu/101/resize",
            "PUT /nodes/pve2/qemu/101/resize",
            "POST /nodes/pve2/qemu/101/status/start",
            "PUT /nodes/pve2/qemu/101/config",
            "DELETE /nodes/pve2/storage/local/content/local:iso/pmoves-seed-101.iso",
        ]
    );
    scene.quiet().await;
    let config = scene
        .stage
        .simulator
        .config(101)
        .expect("the clone is there");
    assert!(
        config["scsi0"].starts_with("fast:") && config["scsi0"].contains("size=6G"),
        "{config:?}"
    );
    assert!(
        config["scsi1"].starts_with("fast:") && config["scsi1"].contains("size=3G"),
        "{config:?}"
    );
}

#[tokio::test]
async fn an_interrupt_stops_a_clone_on_the_node() {
    let mut scene = Scene::with(Options {
        clock_stands: true,
        ..Options::default()
    })
    .await;
    let source = dormant();
    passing(&scene, scene.settle(&source)).await;
    let simulator = &scene.stage.simulator;
    simulator.set_config(100, "scsi30", None);
    let volumes = simulator.volumes();
    let both = format!("{source}{}", cloned("copy", "{ vm_id = 100 }"));
    interrupted(&mut scene, &both, "qmclone").await;
    let simulator = &scene.stage.simulator;
    assert!(scene.ws.resource("pmoves_docker_vm.copy").await.is_none());
    assert_eq!(simulator.vms().len(), 1, "{:?}", simulator.vms());
    assert_eq!(simulator.volumes(), volumes);
}

#[tokio::test]
async fn clones_that_cannot_be_are_refused_by_the_plan() {
    let scene = Scene::new().await;
    scene.settle(&dormant()).await;
    for (host, why) in [
        (
            cloned("copy", "{ vm_id = 100, full = false }"),
            "Only a template has linked clones",
        ),
        (
            cloned("copy", "{ vm_id = 100 }").with("data_disk", "{ size_gb = 1 }"),
            "A disk cannot shrink",
        ),
        (
            cloned("copy", "{ vm_id = 100 }").without("data_disk"),
            "The source has a data disk",
        ),
        (
            cloned("copy", r#"{ vm_id = 100, datastore_id = "x" }"#),
            "No such storage",
        ),
        (
            cloned(
                "copy",
                r#"{ vm_id = 100, full = false, datastore_id = "local-lvm" }"#,
            ),
            "stays where its template is",
        ),
        (
            web().labelled("copy").with("clone", "{ vm_id = 100 }"),
            "Either an image or a clone",
        ),
        (cloned("copy", "{ full = true }"), "clone.vm_id is missing"),
        (
            web()
                .labelled("copy")
                .with("template", "true")
                .with("started", "true"),
            "A template does not run",
        ),
    ] {
        let said = scene.refused(&format!("{}{host}", dormant())).await;
        assert!(said.contains(why), "{why}: {said}");
    }
}
