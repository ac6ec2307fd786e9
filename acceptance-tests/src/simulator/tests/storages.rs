//! Storages of several types, and the backups on them.

use serde_json::{Value as Json, json};

use super::Lab;
use crate::simulator::Storage;

/// A node with a storage of each kind that images can be on, and a backup server.
async fn lab() -> Lab {
    let storage = |(id, kind, content)| Storage::of_type(id, kind, content).expect("it is known");
    let lab = Lab::with(|options| {
        options.nodes = vec!["pve1".to_owned(), "pve2".to_owned()];
        options.storages.extend(
            [
                ("tank", "zfspool", "images,rootdir"),
                ("thick", "lvm", "images,rootdir"),
                ("share", "nfs", "images,iso,import"),
                ("vault", "pbs", "backup"),
            ]
            .map(storage),
        );
    });
    let mut lab = lab.await;
    lab.token = lab.simulator.token_with(
        "VM.Allocate VM.Audit VM.Backup VM.Clone VM.Config.Disk VM.Config.Options VM.Snapshot \
         VM.PowerMgmt Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate \
         Datastore.Audit Sys.AccessNetwork",
    );
    lab
}

#[tokio::test]
async fn storages_are_configured_by_the_rules_of_their_type() {
    let lab = lab().await;
    let add = |params: Json| lab.line("POST", "/storage", params);
    for (params, expected) in [
        (
            json!({"storage": "a1", "type": "nfs", "server": "192.0.2.9"}),
            "500 missing value for required option 'export'",
        ),
        (
            json!({"storage": "a1", "type": "zfspool", "pool": "p", "content": "images,iso"}),
            "500 storage does not support content type 'iso'",
        ),
        (
            json!({"storage": "a1", "type": "pbs", "server": "b", "datastore": "d", "content": "images"}),
            "500 storage does not support content type 'images'",
        ),
        (
            json!({"storage": "a1", "type": "zfspool", "pool": "p", "path": "/p"}),
            "500 unexpected property 'path'",
        ),
        (
            json!({"storage": "a1", "type": "dir", "path": "p"}),
            r#"400 {"path":"invalid format - value does not look like a valid absolute path\n"}"#,
        ),
        (
            json!({"storage": "a1", "type": "pbs", "server": "b", "datastore": "d", "password": "x",
                "username": "u@pbs"}),
            "200 OK",
        ),
        (
            json!({"storage": "a2", "type": "nfs", "server": "192.0.2.9", "export": "/e",
                "options": "vers=4.2,soft"}),
            "200 OK",
        ),
    ] {
        assert_eq!(add(params.clone()).await, expected, "{params}");
    }
    let server = lab.get("/storage/a1").await;
    assert_eq!(server["content"], "backup");
    assert_eq!(server["username"], "u@pbs");
    assert_eq!(server["shared"], 1);
    assert!(server["password"].is_null());
    let share = lab.get("/storage/a2").await;
    assert_eq!(share["path"], "/mnt/pve/a2");
    assert_eq!(share["content"], "images");
    let change = |params: Json| lab.line("PUT", "/storage/a2", params);
    assert_eq!(change(json!({"content": "iso,import"})).await, "200 OK");
    assert_eq!(
        change(json!({"content": "none,iso"})).await,
        "500 update storage failed: storage does not support content type 'none'"
    );
    assert_eq!(
        change(json!({"delete": "server"})).await,
        "500 update storage failed: unable to delete required option 'server'"
    );
    assert_eq!(
        change(json!({"export": "/f"})).await,
        r#"400 {"export":"property is not defined in schema and the schema does not allow additional properties"}"#
    );
    assert_eq!(
        lab.line("DELETE", "/storage/a2", Json::Null).await,
        "200 OK"
    );
}

#[tokio::test]
async fn datasets_are_named_after_their_base() {
    let lab = lab().await;
    let vms = "/nodes/pve1/qemu";
    let create = json!({"vmid": 100, "scsi0": "tank:1"});
    assert_eq!(lab.task("POST", vms, create).await, "OK");
    let format = json!({"vmid": 101, "scsi0": "tank:1,format=qcow2"});
    assert_eq!(
        lab.task("POST", vms, format).await,
        "unable to create VM 101 - unsupported format 'qcow2'"
    );
    let template = format!("{vms}/100/template");
    assert_eq!(lab.task("POST", &template, json!({})).await, "OK");
    let clone = format!("{vms}/100/clone");
    assert_eq!(lab.task("POST", &clone, json!({"newid": 101})).await, "OK");
    assert_eq!(
        lab.get(&format!("{vms}/101/config")).await["scsi0"],
        "tank:base-100-disk-0/vm-101-disk-0,size=1G"
    );
    let content = lab
        .get("/nodes/pve1/storage/tank/content/base-100-disk-0%2Fvm-101-disk-0")
        .await;
    assert_eq!(content["path"], "/dev/zvol/rpool/data/vm-101-disk-0");
    assert_eq!(
        lab.task("DELETE", &format!("{vms}/100"), Json::Null).await,
        "base volume 'tank:base-100-disk-0' is still in use by linked cloned"
    );
}

#[tokio::test]
async fn thick_volumes_have_neither_snapshots_nor_linked_clones() {
    let lab = lab().await;
    let vms = "/nodes/pve1/qemu";
    let create = json!({"vmid": 100, "scsi0": "thick:1"});
    assert_eq!(lab.task("POST", vms, create).await, "OK");
    assert_eq!(
        lab.task(
            "POST",
            &format!("{vms}/100/snapshot"),
            json!({"snapname": "s1"})
        )
        .await,
        "snapshot feature is not available"
    );
    let template = format!("{vms}/100/template");
    assert_eq!(lab.task("POST", &template, json!({})).await, "OK");
    assert_eq!(
        lab.line("POST", &format!("{vms}/100/clone"), json!({"newid": 101}))
            .await,
        "500 Linked clone feature is not supported for 'thick:base-100-disk-0' (scsi0)"
    );
}

#[tokio::test]
async fn files_only_go_where_files_are() {
    let lab = lab().await;
    for (storage, expected) in [
        (
            "tank",
            "500 can't upload to storage type 'zfspool', not a file based storage!",
        ),
        (
            "vault",
            "500 can't upload to storage type 'pbs', not a file based storage!",
        ),
    ] {
        let path = format!("/nodes/pve1/storage/{storage}/download-url");
        let params =
            json!({"content": "import", "filename": "a.qcow2", "url": "http://127.0.0.1:1/a"});
        assert_eq!(lab.line("POST", &path, params).await, expected);
    }
    assert_eq!(
        lab.line(
            "POST",
            "/nodes/pve1/qemu",
            json!({"vmid": 100, "scsi0": "vault:1"})
        )
        .await,
        r#"400 {"storage":"storage 'vault' does not support vm images"}"#
    );
}

#[tokio::test]
async fn a_storage_of_some_nodes_is_not_on_the_others() {
    let lab = lab().await;
    let restrict = json!({"nodes": "pve2"});
    assert_eq!(lab.line("PUT", "/storage/share", restrict).await, "200 OK");
    assert_eq!(
        lab.line("GET", "/nodes/pve1/storage/share/content", Json::Null)
            .await,
        "500 storage 'share' is not available on node 'pve1'"
    );
    let status = lab.get("/nodes/pve1/storage/share/status").await;
    assert_eq!(status["enabled"], 0);
    let with_images = lab.get("/nodes/pve1/storage?content=images").await;
    let names: Vec<&Json> = with_images
        .as_array()
        .into_iter()
        .flatten()
        .map(|storage| &storage["storage"])
        .collect();
    assert_eq!(names, ["local-lvm", "tank", "thick"]);
    let create = json!({"vmid": 100, "scsi0": "share:1"});
    assert_eq!(
        lab.task("POST", "/nodes/pve1/qemu", create).await,
        "unable to create VM 100 - storage 'share' is not available on node 'pve1'"
    );
}

#[tokio::test]
async fn backups_are_kept_protected_and_pruned() {
    let lab = lab().await;
    let create = json!({"vmid": 100, "name": "web"});
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu", create).await, "OK");
    let backup = json!({
        "vmid": "100", "storage": "vault", "notes-template": "{{guestname}} on {{node}}",
        "protected": true,
    });
    assert_eq!(lab.task("POST", "/nodes/pve1/vzdump", backup).await, "OK");
    let content = "/nodes/pve1/storage/vault/content";
    let list = lab.get(content).await;
    assert_eq!(list[0]["notes"], "web on pve1");
    assert_eq!(list[0]["format"], "pbs-vm");
    assert_eq!(list[0]["protected"], 1);
    assert_eq!(list[0]["vmid"], 100);
    let id = list[0]["volid"].as_str().expect("it has an id").to_owned();
    let path = format!("{content}/{id}");
    let name = id.trim_start_matches("vault:");
    assert_eq!(
        lab.task("DELETE", &path, Json::Null).await,
        format!("cannot remove protected volume '{name}' on 'vault'")
    );
    let prune = "/nodes/pve1/storage/vault/prunebackups";
    assert_eq!(
        lab.line("GET", prune, Json::Null).await,
        "500 no prune-backups options configured for storage 'vault'"
    );
    let rules = format!("{prune}?prune-backups=keep-last%3D1");
    assert_eq!(lab.get(&rules).await[0]["mark"], "protected");
    assert_eq!(
        lab.line("PUT", &path, json!({"protected": false, "notes": ""}))
            .await,
        "200 OK"
    );
    assert!(lab.get(content).await[0]["notes"].is_null());
    assert_eq!(lab.get(&rules).await[0]["mark"], "keep");
    assert_eq!(lab.task("DELETE", &rules, Json::Null).await, "OK");
    assert_eq!(lab.task("DELETE", &path, Json::Null).await, "OK");
    assert_eq!(lab.get(content).await, json!([]));
    assert_eq!(
        lab.line("GET", "/nodes/pve1/storage/tank/prunebackups", Json::Null)
            .await,
        "500 storage 'tank' does not support backups"
    );
}

#[tokio::test]
async fn clones_are_made_of_snapshots_where_these_can_be_read() {
    let lab = lab().await;
    let vms = "/nodes/pve1/qemu";
    for (vmid, storage) in [(100, "local-lvm"), (200, "tank")] {
        let create = json!({"vmid": vmid, "onboot": 1, "scsi0": format!("{storage}:1")});
        assert_eq!(lab.task("POST", vms, create).await, "OK");
        let vm = format!("{vms}/{vmid}");
        let named = json!({"snapname": "s1"});
        assert_eq!(
            lab.task("POST", &format!("{vm}/snapshot"), named).await,
            "OK"
        );
        let change = json!({"onboot": 0});
        assert_eq!(
            lab.line("PUT", &format!("{vm}/config"), change).await,
            "200 OK"
        );
        assert_eq!(
            lab.line("POST", &format!("{vm}/template"), json!({})).await,
            "500 unable to create template, because VM contains snapshots"
        );
    }
    let clone = |vmid: u32, params: Json| {
        let path = format!("{vms}/{vmid}/clone");
        let lab = &lab;
        async move { lab.line("POST", &path, params).await }
    };
    assert_eq!(
        clone(100, json!({"newid": 101, "snapname": "s2"})).await,
        "500 snapshot 's2' does not exist"
    );
    assert_eq!(
        clone(200, json!({"newid": 201, "snapname": "s1"})).await,
        "500 Full clone feature is not supported for 'tank:vm-200-disk-0' (scsi0)"
    );
    let linked = json!({"newid": 101, "snapname": "s1", "full": 0});
    let path = format!("{vms}/100/clone");
    assert_eq!(lab.task("POST", &path, linked).await, "OK");
    let config = lab.get(&format!("{vms}/101/config")).await;
    assert_eq!(config["onboot"], 1);
    assert!(config["parent"].is_null());
}
