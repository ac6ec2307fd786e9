//! Templates, and containers that are cloned.

use acceptance_tests::simulator::{Options, Storage};
use serde_json::json;

use super::{attribute, dormant, scene, scene_with, web};
use crate::{
    process::{interrupted, passing},
    scene::{Block, Scene, example},
};

/// A host that is cloned from another one of the configuration.
fn cloned(name: &str, clone: &str) -> Block {
    labelled(web(), name)
        .with("name", &format!("{name:?}"))
        .with("clone", clone)
        .without("template_file_id")
        .without("root_disk")
}

fn labelled(host: Block, name: &str) -> Block {
    host.labelled_as("pmoves_docker_lxc", name)
}

/// The configuration of a container.
fn config(scene: &Scene, vmid: u32) -> std::collections::BTreeMap<String, String> {
    let config = scene.stage.simulator.config(vmid);
    config
        .expect("the container is there")
        .into_iter()
        .collect()
}

#[tokio::test]
async fn a_template_is_made_and_its_clones_are_hosts_of_their_own() {
    let scene = scene().await;
    let template = web()
        .with("template", "true")
        .with("description", r#""golden""#)
        .with(
            "initialization",
            r#"{ ip_config = { net0 = { ipv4 = { address = "192.0.2.10/24" } } } }"#,
        );
    scene.settle(&template).await;
    let simulator = &scene.stage.simulator;
    let source = config(&scene, 100);
    assert_eq!(source["template"], "1");
    assert!(source["rootfs"].contains("base-100-disk-0"), "{source:?}");
    assert_eq!(attribute(&scene, "/status").await, json!("stopped"));
    assert_eq!(attribute(&scene, "/ipv4_address").await, json!(null));
    assert!(attribute(&scene, "/docker_version").await.is_string());
    let root = scene.guests.root(100);
    let machine_id = std::fs::read_to_string(root.join("etc/machine-id"));
    assert_eq!(machine_id.expect("it is there"), "");
    let keys = std::fs::read_dir(root.join("etc/ssh")).map_or(0, Iterator::count);
    assert_eq!(keys, 0, "host keys are left");

    // At once, though Proxmox VE copies from one source to one clone at a time.
    let clone = "{ vm_id = pmoves_docker_lxc.web.vm_id, full = false }";
    let three = cloned("worker", clone)
        .with("count", "3")
        .with("name", r#""worker${count.index}""#);
    let all = format!("{template}{three}");
    scene.settle(&all).await;
    let mut macs = std::collections::BTreeSet::new();
    for vmid in [101, 102, 103] {
        let config = config(&scene, vmid);
        assert_eq!(config["tags"], "pmoves");
        assert_eq!(config["cmode"], "shell");
        assert!(!config.contains_key("template") && !config.contains_key("description"));
        assert!(config["net0"].contains("ip=dhcp"), "{config:?}");
        let host = scene.sh(vmid, "hostname").await;
        assert_eq!(host.trim(), config["hostname"]);
        macs.insert(config["net0"].clone());
    }
    assert_eq!(macs.len(), 3);

    // What happens to the template is nothing to the clones.
    simulator.set_config(100, "memory", Some("4096"));
    let noted = template.clone().with("description", r#""silver""#);
    scene.settle(&format!("{noted}{three}")).await;
    assert!(scene.stage.simulator.config(101).is_some());
    let said = scene.refused(&format!("{}{three}", web())).await;
    assert!(said.contains("A template does not turn back"), "{said}");
    scene.ws.write("main.tf", &all);
    scene.ws.destroy().await.ok();
    assert!(simulator.vms().is_empty());
}

#[tokio::test]
async fn a_full_clone_goes_to_another_node_and_storage_and_grows() {
    let mut options = Options::default();
    options
        .storages
        .push(Storage::lvmthin("fast", "images,rootdir"));
    let scene = scene_with(options).await;
    scene.settle(&dormant()).await;
    let clone = r#"{ vm_id = 100, datastore_id = "fast" }"#;
    let host = cloned("copy", clone)
        .with("node_name", r#""pve2""#)
        .with("root_disk", "{ size_gb = 6 }")
        .with("data_volume", "{ size_gb = 3 }");
    let both = format!("{}{host}", dormant());
    scene.apply(&both).await.ok();
    assert_eq!(
        scene.writes(),
        [
            "POST /nodes/pve1/lxc/100/clone",
            "POST /nodes/pve1/lxc/101/migrate",
            "PUT /nodes/pve2/lxc/101/config",
            "PUT /nodes/pve2/lxc/101/resize",
            "PUT /nodes/pve2/lxc/101/resize",
            "POST /nodes/pve2/lxc/101/status/start",
        ]
    );
    scene.quiet().await;
    let config = config(&scene, 101);
    assert!(
        config["rootfs"].starts_with("fast:") && config["rootfs"].contains("size=6G"),
        "{config:?}"
    );
    assert!(
        config["mp0"].starts_with("fast:") && config["mp0"].contains("size=3G"),
        "{config:?}"
    );
}

#[tokio::test]
async fn a_host_becomes_a_template() {
    let scene = scene().await;
    scene.settle(&web()).await;
    let template = web().with("template", "true");
    let said = scene.planned(&template).await.ok().said();
    assert!(said.contains("The container becomes a template"), "{said}");
    scene.settle(&template).await;
    assert_eq!(config(&scene, 100)["template"], "1");
    let said = scene
        .refused(&template.with("data_volume", "{ size_gb = 3 }"))
        .await;
    assert!(said.contains("is not changed from the inside"), "{said}");
}

#[tokio::test]
async fn a_clone_that_fails_leaves_nothing() {
    use acceptance_tests::simulator::{Effect, Fault};
    let scene = scene().await;
    scene.settle(&dormant()).await;
    let volumes = scene.stage.simulator.volumes();
    let error = "clone failed: no space left".to_owned();
    let fault = Fault::new("POST", "/nodes/*/lxc/*/clone", Effect::TaskFails(error));
    scene.stage.simulator.fault(fault);
    let both = format!("{}{}", dormant(), cloned("copy", "{ vm_id = 100 }"));
    let said = scene.apply(&both).await.refused();
    assert!(said.contains("no space left"), "{said}");
    assert!(scene.ws.resource("pmoves_docker_lxc.copy").await.is_none());
    assert_eq!(scene.stage.simulator.volumes(), volumes);
    scene.stage.simulator.clear_faults();
    scene.settle(&both).await;
}

#[tokio::test]
async fn an_interrupt_stops_a_clone_on_the_node() {
    let mut scene = scene_with(Options {
        clock_stands: true,
        ..Options::default()
    })
    .await;
    passing(&scene, scene.settle(&dormant())).await;
    let volumes = scene.stage.simulator.volumes();
    let both = format!("{}{}", dormant(), cloned("copy", "{ vm_id = 100 }"));
    interrupted(&mut scene, &both, "vzclone").await;
    let simulator = &scene.stage.simulator;
    assert!(scene.ws.resource("pmoves_docker_lxc.copy").await.is_none());
    assert!(simulator.config(101).is_none());
    assert_eq!(simulator.volumes(), volumes);
    passing(&scene, scene.settle(&both)).await;
}

#[tokio::test]
async fn clones_that_cannot_be_are_refused_by_the_plan() {
    let scene = scene().await;
    scene.settle(&dormant()).await;
    for (host, why) in [
        (
            cloned("copy", "{ vm_id = 100, full = false }"),
            "Only a template has linked clones",
        ),
        (
            cloned("copy", "{ vm_id = 100 }").with("data_volume", "{ size_gb = 1 }"),
            "A disk cannot shrink",
        ),
        (
            cloned("copy", "{ vm_id = 100 }").without("data_volume"),
            "The source has a data volume",
        ),
        (
            cloned("copy", "{ vm_id = 100 }")
                .with("data_volume", r#"{ size_gb = 2, mount_path = "/data" }"#),
            "The source has it elsewhere",
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
            labelled(web(), "copy").with("clone", "{ vm_id = 100 }"),
            "one of template_file_id and clone",
        ),
        (cloned("copy", "{ full = true }"), "clone.vm_id is missing"),
        (
            cloned("copy", "{ vm_id = 100 }").with(
                "initialization",
                r#"{ user_account = { keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2b"] } }"#,
            ),
            "a clone has those of its source",
        ),
        (
            labelled(web(), "copy")
                .with("template", "true")
                .with("started", "true"),
            "A template does not run",
        ),
    ] {
        let said = scene.refused(&format!("{}{host}", dormant())).await;
        let line: Vec<&str> = said.split_whitespace().collect();
        assert!(line.join(" ").contains(why), "{why}: {said}");
    }
    scene.settle(&web()).await;
    let host = cloned("copy", "{ vm_id = 100 }");
    let said = scene.refused(&format!("{}{host}", web())).await;
    assert!(said.contains("The source runs"), "{said}");
}

#[tokio::test]
async fn the_example_makes_a_template_and_its_clones() {
    let scene = scene().await;
    let text = example("resources/pmoves_docker_lxc/resource.tf");
    // The template of the tests brings Docker, that of its distribution.
    let docker = "  docker = { source = \"distro\" }\n  data_volume";
    let text = text
        .replace("debian-13-standard_13.0-1_amd64", "debian-13-docker")
        .replace("  data_volume", docker);
    scene.settle(&text).await;
    scene.ws.destroy().await.ok();
}
