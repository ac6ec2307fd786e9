//! Snapshots, moved disks and single volumes.

use serde_json::json;

use super::Lab;
use crate::simulator::Storage;

/// A node with a directory for images, where formats matter.
async fn lab() -> Lab {
    let lab = Lab::with(|options| {
        options
            .storages
            .push(Storage::dir("vmdata", "/var/lib/vmdata", "images"));
    });
    let mut lab = lab.await;
    lab.token = lab.simulator.token_with(
        "VM.Allocate VM.Audit VM.Config.Disk VM.Config.Memory VM.Snapshot VM.Snapshot.Rollback \
         Datastore.AllocateSpace Datastore.Audit Datastore.Allocate",
    );
    lab
}

#[tokio::test]
async fn a_rollback_brings_configuration_and_size_back() {
    let lab = lab().await;
    let vm = "/nodes/pve1/qemu/100";
    let create = json!({"vmid": 100, "memory": 512, "scsi0": "vmdata:1,format=qcow2"});
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu", create).await, "OK");
    let snapshot = format!("{vm}/snapshot");
    let named = json!({"snapname": "before", "description": "d"});
    assert_eq!(lab.task("POST", &snapshot, named.clone()).await, "OK");
    assert_eq!(
        lab.task("POST", &snapshot, named).await,
        "snapshot name 'before' already used"
    );
    let grow = json!({"disk": "scsi0", "size": "+1G"});
    assert_eq!(lab.task("PUT", &format!("{vm}/resize"), grow).await, "OK");
    let change = json!({"memory": "1024"});
    assert_eq!(
        lab.call("PUT", &format!("{vm}/config"), change)
            .await
            .line(),
        "200 OK"
    );
    let back = format!("{snapshot}/before/rollback");
    assert_eq!(lab.task("POST", &back, json!({})).await, "OK");
    let config = lab.get(&format!("{vm}/config")).await;
    assert_eq!(config["memory"], "512");
    assert_eq!(config["scsi0"], "vmdata:100/vm-100-disk-0.qcow2,size=1G");
    assert_eq!(config["parent"], "before");
    let list = lab.get(&snapshot).await;
    assert_eq!(list[0]["description"], "d");
    assert_eq!(list[1]["parent"], "before");
    assert_eq!(
        lab.task("DELETE", &format!("{snapshot}/before"), json!({}))
            .await,
        "OK"
    );
    assert!(lab.get(&format!("{vm}/config")).await["parent"].is_null());
}

#[tokio::test]
async fn a_moved_disk_leaves_its_source_unused_unless_told_otherwise() {
    let lab = lab().await;
    let vm = "/nodes/pve1/qemu/100";
    let create = json!({"vmid": 100, "scsi0": "vmdata:1", "ide2": "none,media=cdrom"});
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu", create).await, "OK");
    let named = json!({"snapname": "first"});
    assert_eq!(
        lab.task("POST", &format!("{vm}/snapshot"), named).await,
        "snapshot feature is not available"
    );
    let path = format!("{vm}/move_disk");
    let to = |disk: &str, rest: serde_json::Value| {
        let mut params = json!({"disk": disk});
        for (key, value) in rest.as_object().into_iter().flatten() {
            params[key] = value.clone();
        }
        params
    };
    let refused = [
        (
            "scsi0",
            json!({"storage": "vmdata"}),
            "500 you can't move to the same storage with same format",
        ),
        (
            "ide2",
            json!({"storage": "local-lvm"}),
            "500 you can't move a cdrom",
        ),
        (
            "scsi9",
            json!({"storage": "vmdata"}),
            "500 disk 'scsi9' does not exist",
        ),
        ("scsi0", json!({}), "400 Parameter verification failed."),
    ];
    for (disk, rest, line) in refused {
        assert_eq!(lab.call("POST", &path, to(disk, rest)).await.line(), line);
    }
    let qcow2 = to("scsi0", json!({"storage": "vmdata", "format": "qcow2"}));
    assert_eq!(lab.task("POST", &path, qcow2).await, "OK");
    let thin = to("scsi0", json!({"storage": "local-lvm", "delete": 1}));
    assert_eq!(lab.task("POST", &path, thin).await, "OK");
    let config = lab.get(&format!("{vm}/config")).await;
    assert_eq!(config["scsi0"], "local-lvm:vm-100-disk-0,size=1G");
    assert_eq!(config["unused0"], "vmdata:100/vm-100-disk-0.raw");
    assert!(config["unused1"].is_null());
}

#[tokio::test]
async fn a_volume_is_allocated_under_its_name_once() {
    let lab = lab().await;
    let path = "/nodes/pve1/storage/vmdata/content";
    let params = json!({"vmid": 900, "filename": "vm-900-disk-0.qcow2", "size": "64M"});
    let made = lab.call("POST", path, params.clone()).await;
    assert_eq!(made.body["data"], "vmdata:900/vm-900-disk-0.qcow2");
    assert_eq!(
        lab.call("POST", path, params).await.line(),
        "500 disk image '/var/lib/vmdata/images/900/vm-900-disk-0.qcow2' already exists"
    );
    let noted = format!("{path}/vmdata:900/vm-900-disk-0.qcow2");
    let answer = lab.call("PUT", &noted, json!({"notes": "x"})).await;
    assert_eq!(answer.line(), "500 only backups can have notes");
}
