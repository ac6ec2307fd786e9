//! Devices of nodes under names of the cluster, and VMs that use them.

use serde_json::{Value as Json, json};

use super::Lab;

#[tokio::test]
async fn mappings_are_made_changed_and_removed() {
    let mut lab = Lab::new().await;
    lab.token = lab
        .simulator
        .token_with("Mapping.Audit Mapping.Modify Mapping.Use");
    let gpu = "node=pve1,id=10de:1eb8,path=0000:01:00.0,iommugroup=3";
    let create = json!({"id": "gpu", "map": [gpu], "description": "d", "mdev": 1});
    let pci = "/cluster/mapping/pci";
    assert_eq!(lab.line("POST", pci, create.clone()).await, "200 OK");
    assert_eq!(
        lab.line("POST", pci, create).await,
        "500 create hardware mapping failed: pci ID 'gpu' already defined"
    );
    let bad = json!({"id": "x1", "map": [gpu, "node=pve1,id=1,path=x"]});
    assert_eq!(
        lab.line("POST", pci, bad).await,
        r#"400 {"map[1]":"invalid format - format error\nmap[1].id: value does not match the regex pattern\nmap[1].path: value does not match the regex pattern\n"}"#
    );
    let one = lab.get("/cluster/mapping/pci/gpu").await;
    assert_eq!(one["map"], json!([gpu]));
    assert_eq!(one["mdev"], 1);
    let list = lab.get("/cluster/mapping/pci?check-node=pve2").await;
    assert_eq!(list[0]["id"], "gpu");
    assert_eq!(list[0]["checks"][0]["message"], "No mapping for node pve2.");

    let path = "/cluster/mapping/pci/gpu";
    let change = |params: Json| lab.line("PUT", path, params);
    assert_eq!(change(json!({"delete": "mdev"})).await, "200 OK");
    assert_eq!(
        change(json!({"delete": "foo"})).await,
        "500 update hardware mapping failed: no such option 'foo'"
    );
    assert_eq!(
        change(json!({"digest": "0", "description": "e"})).await,
        "500 update hardware mapping failed: detected modified configuration - file changed by other user? Try again."
    );
    assert!(lab.get(path).await["mdev"].is_null());
    assert_eq!(lab.line("DELETE", path, Json::Null).await, "200 OK");
    assert_eq!(
        lab.line("GET", path, Json::Null).await,
        "500 mapping 'gpu' not found"
    );
    let share = json!({"id": "media", "map": ["node=pve1,path=srv"]});
    assert_eq!(
        lab.line("POST", "/cluster/mapping/dir", share).await,
        r#"400 {"map[0]":"invalid format - format error\nmap[0].path: invalid format - value does not look like a valid absolute path\n\n"}"#
    );
}

#[tokio::test]
async fn a_vm_starts_only_with_mappings_for_its_node() {
    let mut lab = Lab::new().await;
    lab.token = lab.simulator.token_with(
        "VM.Allocate VM.Audit VM.PowerMgmt VM.Config.Disk VM.Config.HWType Mapping.Modify \
         Mapping.Use",
    );
    let create = json!({"vmid": 100, "usb0": "mapping=stick", "virtiofs0": "media"});
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu", create).await, "OK");
    let start = "/nodes/pve1/qemu/100/status/start";
    assert_eq!(
        lab.task("POST", start, json!({})).await,
        "USB device mapping not found for 'stick'"
    );
    for (kind, id, line) in [
        ("usb", "stick", "node=pve1,id=0951:1666"),
        ("dir", "media", "node=pve1,path=/srv/media"),
    ] {
        let path = format!("/cluster/mapping/{kind}");
        let create = json!({"id": id, "map": [line]});
        assert_eq!(lab.line("POST", &path, create).await, "200 OK");
    }
    assert_eq!(lab.task("POST", start, json!({})).await, "OK");
}

#[tokio::test]
async fn a_mapping_needs_its_own_privilege() {
    let lab = Lab::new().await;
    let token = lab
        .simulator
        .token_with("VM.Allocate VM.Config.Disk VM.Config.HWType");
    let lab = lab.by(token);
    for (device, expected) in [
        (
            json!({"hostpci0": "mapping=gpu"}),
            "403 Permission check failed (/mapping/pci/gpu, Mapping.Use)",
        ),
        (
            json!({"usb0": "mapping=stick"}),
            "403 Permission check failed (/mapping/usb/stick, Mapping.Use)",
        ),
        (
            json!({"virtiofs0": "media"}),
            "403 Permission check failed (/mapping/dir/media, Mapping.Use)",
        ),
        (
            json!({"hostpci0": "pcie=1"}),
            "500 either 'host' or 'mapping' must be set.",
        ),
        (
            json!({"hostpci0": "01:00.0"}),
            "500 only root can set 'hostpci0' config for non-mapped devices",
        ),
        (
            json!({"hostpci0": "mapping=gpu,romfile=x"}),
            r#"400 {"hostpci0":"only root@pam can set 'romfile' option"}"#,
        ),
    ] {
        let mut params = device;
        params["vmid"] = json!(100);
        assert_eq!(
            lab.line("POST", "/nodes/pve1/qemu", params.clone()).await,
            expected,
            "{params}"
        );
    }
}
