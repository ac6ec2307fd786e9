//! Devices by mapping, and firmware.

use serde_json::json;

use crate::scene::{Scene, dormant};

#[tokio::test]
async fn devices_come_by_mapping_and_go_again() {
    let scene = Scene::new().await;
    scene.map_devices();
    let host = dormant()
        .with("bios", r#""ovmf""#)
        .with("machine", r#""q35""#)
        .with(
            "hostpci",
            r#"{ hostpci0 = { mapping = "gpu", pcie = true } }"#,
        )
        .with("usb", r#"{ usb0 = { mapping = "zigbee" } }"#)
        .with("virtiofs", r#"{ virtiofs0 = { mapping = "media" } }"#);
    scene.settle(&host).await;
    let simulator = &scene.stage.simulator;
    let config = simulator.config(100).expect("the VM is there");
    assert_eq!(config["hostpci0"], "mapping=gpu,pcie=1");
    assert_eq!(config["usb0"], "mapping=zigbee");
    assert_eq!(config["virtiofs0"], "media");
    assert!(config["efidisk0"].contains("efitype=4m"), "{config:?}");
    assert_eq!(
        scene.web("/efi_disk/datastore_id").await,
        json!("local-lvm")
    );

    // A device that others attached is not ours to detach.
    simulator.set_config(100, "usb3", Some("mapping=printer"));
    let without = dormant()
        .with("bios", r#""ovmf""#)
        .with("machine", r#""q35""#)
        .with("usb", r#"{ usb0 = { mapping = "stick" } }"#);
    scene.settle(&without).await;
    let config = simulator.config(100).expect("the VM is there");
    assert_eq!(config["usb0"], "mapping=stick");
    assert_eq!(config["usb3"], "mapping=printer");
    assert!(config.contains_key("efidisk0"), "{config:?}");
    for gone in ["hostpci0", "virtiofs0"] {
        assert!(!config.contains_key(gone), "{gone} is still there");
    }
}

#[tokio::test]
async fn devices_that_cannot_be_are_refused_by_the_plan() {
    let mut scene = Scene::new().await;
    let card = r#"{ hostpci0 = { mapping = "gpu", pcie = true } }"#;
    let said = scene.refused(&dormant().with("hostpci", card)).await;
    assert!(said.contains("PCI Express needs another machine"), "{said}");
    let token = scene.stage.simulator.token_without(&["Mapping.Use"]);
    scene.ws.set("PROXMOX_VE_API_TOKEN", token);
    let host = dormant().with("hostpci", card).with("machine", r#""q35""#);
    let said = scene.refused(&host).await;
    assert!(said.contains("Mapping.Use on /mapping/pci/gpu"), "{said}");
    assert!(!said.contains("No such mapping"), "{said}");
}

#[tokio::test]
async fn a_mapping_that_is_not_there_or_not_for_the_node_is_told() {
    let scene = Scene::new().await;
    scene.map_devices();
    let simulator = &scene.stage.simulator;
    simulator.put_mapping("usb", "printer", &["node=pve2,id=03f0:2b17"]);
    let host = dormant().with(
        "usb",
        r#"{ usb0 = { mapping = "zigbe" }, usb1 = { mapping = "printer" } }"#,
    );
    let said = scene.refused(&host).await;
    for words in [
        r#"usb["usb0"].mapping"#,
        "no mapping zigbe; it has printer, stick, zigbee",
        "printer is on pve2, and not on pve1",
    ] {
        assert!(said.contains(words), "{words:?} is missing: {said}");
    }
    // One list for both sticks, and none for a kind that is not asked for.
    assert_eq!(simulator.calls("GET", "/cluster/mapping/usb"), 1);
    assert_eq!(simulator.calls("GET", "/cluster/mapping/pci"), 0);

    let host = dormant().with("usb", r#"{ usb0 = { mapping = "zigbee" } }"#);
    scene.settle(&host).await;
    // What was there before is not asked for again, until the VM moves.
    simulator.put_mapping("usb", "zigbee", &["node=pve2,id=10c4:ea60"]);
    scene
        .settle(&host.clone().with("description", r#""x""#))
        .await;
    assert_eq!(simulator.calls("GET", "/cluster/mapping/usb"), 0);
    simulator.put_mapping("usb", "zigbee", &["node=pve1,id=10c4:ea60"]);
    let said = scene.refused(&host.with("node_name", r#""pve2""#)).await;
    assert!(
        said.contains("zigbee is on pve1, and not on pve2"),
        "{said}"
    );
}
