//! Containers from create to destroy, and what high availability and backups do to them.

use serde_json::{Value as Json, json};

use super::Lab;

const CTS: &str = "/nodes/pve1/lxc";
const TEMPLATE: &str = "local:vztmpl/debian-13-standard_13.0-1_amd64.tar.zst";

/// A cluster with the template and a sender with these privileges beside.
async fn lab(extra: &str) -> Lab {
    let lab = Lab::new().await;
    lab.simulator.put_file("pve1", TEMPLATE, Vec::new());
    let token = lab.simulator.token_with(&format!(
        "{} VM.Snapshot VM.Backup VM.Migrate {extra}",
        crate::simulator::access::DOCKER_VM_ROLE
    ));
    lab.by(token)
}

fn container(vmid: u32) -> Json {
    json!({
        "vmid": vmid, "ostemplate": TEMPLATE, "rootfs": "local-lvm:1", "unprivileged": 1,
        "features": "nesting=1", "net0": "name=eth0,bridge=vmbr0,ip=192.0.2.60/24",
        "tags": "b;a", "description": "one\ntwo", "memory": 256,
    })
}

async fn created(lab: &Lab) {
    assert_eq!(lab.task("POST", CTS, container(200)).await, "OK");
}

impl Lab {
    async fn config(&self) -> Json {
        self.get("/nodes/pve1/lxc/200/config").await
    }

    async fn put(&self, change: Json) -> String {
        let answer = self.call("PUT", "/nodes/pve1/lxc/200/config", change).await;
        match answer.body["errors"].as_object() {
            Some(errors) => format!("{} {errors:?}", answer.status),
            None => answer.line(),
        }
    }
}

#[tokio::test]
async fn a_container_reads_as_it_is_stored() {
    let lab = lab("").await;
    created(&lab).await;
    let config = lab.config().await;
    assert_eq!(config["tags"], "a;b");
    assert_eq!(config["description"], "one\ntwo\n");
    assert_eq!(config["rootfs"], "local-lvm:vm-200-disk-0,size=1G");
    assert_eq!(
        (&config["hostname"], &config["swap"]),
        (&json!("CT200"), &json!(512))
    );
    let net = config["net0"].as_str().unwrap_or_default();
    assert!(
        net.starts_with("name=eth0,bridge=vmbr0,hwaddr=BC:24:11:"),
        "{net}"
    );
    assert!(net.ends_with(",ip=192.0.2.60/24,type=veth"), "{net}");
    let again = lab.call("POST", CTS, container(200)).await;
    assert_eq!(again.line(), "500 CT 200 already exists on node 'pve1'");
    let vm = lab
        .call("POST", "/nodes/pve1/qemu", json!({"vmid": 200}))
        .await;
    assert!(vm.reason.ends_with("CT 200 already exists on node 'pve1'"));
}

#[tokio::test]
async fn systemd_without_nesting_is_a_warning_and_a_missing_template_an_error() {
    let lab = lab("").await;
    let mut plain = container(200);
    plain["features"] = json!("nesting=0");
    assert_eq!(lab.task("POST", CTS, plain).await, "WARNINGS: 1");
    let mut missing = container(201);
    missing["ostemplate"] = json!("local:vztmpl/nosuch.tar.zst");
    assert_eq!(
        lab.task("POST", CTS, missing).await,
        "unable to create CT 201 - volume 'local:vztmpl/nosuch.tar.zst' does not exist"
    );
    assert_eq!(
        lab.simulator.volumes().len(),
        2,
        "the template and one root"
    );
}

#[tokio::test]
async fn a_token_changes_no_feature_but_nesting() {
    let lab = lab("").await;
    created(&lab).await;
    let refused = "403 Permission check failed (changing feature flags (except nesting) is only \
                   allowed for root@pam)";
    assert_eq!(
        lab.put(json!({"features": "nesting=1,keyctl=1"})).await,
        refused
    );
    assert_eq!(lab.put(json!({"features": "nesting=0"})).await, "200 OK");
    lab.simulator
        .set_config(200, "features", Some("nesting=1,keyctl=1"));
    assert_eq!(
        lab.put(json!({"features": "keyctl=1,nesting=1"})).await,
        "200 OK"
    );
    assert_eq!(lab.put(json!({"delete": "features"})).await, refused);
    let device = lab.put(json!({"dev0": "/dev/fuse"})).await;
    assert!(device.ends_with("(configuring device passthrough is only allowed for root@pam)"));
    let bind = lab.put(json!({"mp0": "/srv,mp=/srv"})).await;
    assert!(
        bind.ends_with("(mount point type bind is only allowed for root@pam)"),
        "{bind}"
    );
}

#[tokio::test]
async fn a_running_container_takes_some_changes_at_once() {
    let lab = lab("").await;
    created(&lab).await;
    let start = "/nodes/pve1/lxc/200/status/start";
    assert_eq!(lab.task("POST", start, json!({})).await, "OK");
    let change = json!({"memory": 300, "hostname": "new", "nameserver": "192.0.2.1", "tty": 3});
    assert_eq!(lab.put(change).await, "200 OK");
    assert_eq!(
        lab.put(json!({"mp0": "local-lvm:2,mp=/data"})).await,
        "200 OK"
    );
    assert_eq!(
        lab.put(json!({"mp0": "local-lvm:vm-200-disk-1,mp=/other"}))
            .await,
        "200 OK"
    );
    let pending = lab.get("/nodes/pve1/lxc/200/pending").await;
    let waits = pending.as_array().into_iter().flatten();
    let waits = waits.filter(|entry| !entry["pending"].is_null());
    let mut keys: Vec<&str> = waits.filter_map(|entry| entry["key"].as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["mp0", "nameserver", "tty"]);
    let again = lab.call("POST", start, json!({})).await;
    assert_eq!(again.line(), "500 CT 200 already running");
    let reboot = "/nodes/pve1/lxc/200/status/reboot";
    assert_eq!(lab.task("POST", reboot, json!({})).await, "OK");
    let current = "/nodes/pve1/lxc/200/config?current=1";
    assert_eq!(lab.get(current).await["tty"], 3);
    let status = lab.get("/nodes/pve1/lxc/200/status/current").await;
    assert_eq!(
        (&status["status"], &status["name"]),
        (&json!("running"), &json!("new"))
    );
    let interfaces = lab.get("/nodes/pve1/lxc/200/interfaces").await;
    assert_eq!(interfaces[1]["inet"], "192.0.2.60/24");
}

#[tokio::test]
async fn mount_points_that_go_leave_their_volumes() {
    let lab = lab("").await;
    created(&lab).await;
    assert_eq!(
        lab.put(json!({"mp0": "local-lvm:2,mp=/data"})).await,
        "200 OK"
    );
    assert_eq!(lab.put(json!({"delete": "mp0"})).await, "200 OK");
    assert_eq!(lab.config().await["unused0"], "local-lvm:vm-200-disk-1");
    assert_eq!(lab.put(json!({"delete": "unused0"})).await, "200 OK");
    assert!(
        !lab.simulator
            .volumes()
            .iter()
            .any(|id| id.ends_with("disk-1"))
    );
    let required = lab.put(json!({"delete": "rootfs"})).await;
    assert_eq!(required, "500 unable to delete required option 'rootfs'");
    let fixed = lab.put(json!({"unprivileged": 0})).await;
    assert_eq!(
        fixed,
        "500 unable to modify read-only option: 'unprivileged'"
    );
    let unknown = lab.put(json!({"delete": "foo"})).await;
    assert_eq!(
        unknown,
        "400 {\"delete\": String(\"unknown option 'foo'\")}"
    );
}

#[tokio::test]
async fn sizes_only_grow() {
    let lab = lab("").await;
    created(&lab).await;
    let resize = "/nodes/pve1/lxc/200/resize";
    let grow = json!({"disk": "rootfs", "size": "+1G"});
    assert_eq!(lab.task("PUT", resize, grow).await, "OK");
    assert_eq!(
        lab.config().await["rootfs"],
        "local-lvm:vm-200-disk-0,size=2G"
    );
    for (disk, size, refused) in [
        ("rootfs", "2G", "500 disk is already at specified size"),
        ("rootfs", "1G", "500 unable to shrink disk size"),
        ("mp7", "+1G", "500 format error"),
    ] {
        let answer = lab
            .call("PUT", resize, json!({"disk": disk, "size": size}))
            .await;
        assert_eq!(answer.line(), refused);
    }
}

#[tokio::test]
async fn clones_have_addresses_of_their_own_and_templates_are_linked_to() {
    let lab = lab("").await;
    created(&lab).await;
    let clone = "/nodes/pve1/lxc/200/clone";
    let full = json!({"newid": 201, "hostname": "copy"});
    assert_eq!(lab.task("POST", clone, full).await, "OK");
    let copy = lab.get("/nodes/pve1/lxc/201/config").await;
    assert_eq!(copy["hostname"], "copy");
    assert_ne!(copy["net0"], lab.config().await["net0"]);
    let linked = lab
        .call("POST", clone, json!({"newid": 202, "full": 0}))
        .await;
    assert!(
        linked.reason.starts_with("Linked clone feature for"),
        "{}",
        linked.reason
    );
    let template = "/nodes/pve1/lxc/201/template";
    assert!(lab.call("POST", template, json!({})).await.body["data"].is_null());
    let of_template = "/nodes/pve1/lxc/201/clone";
    assert_eq!(
        lab.task("POST", of_template, json!({"newid": 202})).await,
        "OK"
    );
    let destroyed = lab.task("DELETE", "/nodes/pve1/lxc/201", Json::Null).await;
    assert!(
        destroyed.contains("still in use by linked cloned"),
        "{destroyed}"
    );
}

#[tokio::test]
async fn a_snapshot_brings_the_configuration_back() {
    let lab = lab("").await;
    created(&lab).await;
    let snapshots = "/nodes/pve1/lxc/200/snapshot";
    let take = json!({"snapname": "before"});
    assert_eq!(lab.task("POST", snapshots, take.clone()).await, "OK");
    let again = lab.task("POST", snapshots, take).await;
    assert_eq!(again, "snapshot name 'before' already used");
    assert_eq!(lab.put(json!({"memory": 999})).await, "200 OK");
    let back = "/nodes/pve1/lxc/200/snapshot/before/rollback";
    assert_eq!(lab.task("POST", back, json!({})).await, "OK");
    assert_eq!(lab.config().await["memory"], 256);
    let list = lab.get(snapshots).await;
    assert_eq!(
        (&list[0]["name"], &list[1]["parent"]),
        (&json!("before"), &json!("before"))
    );
}

#[tokio::test]
async fn a_destroy_wants_a_stopped_and_unprotected_container() {
    let lab = lab("").await;
    created(&lab).await;
    lab.task("POST", "/nodes/pve1/lxc/200/status/start", json!({}))
        .await;
    let destroy = "/nodes/pve1/lxc/200";
    let refused = lab.call("DELETE", destroy, Json::Null).await;
    assert_eq!(
        refused.line(),
        "500 unable to destroy CT 200 - container is running"
    );
    lab.put(json!({"protection": 1})).await;
    let refused = lab
        .call("DELETE", &format!("{destroy}?force=1"), Json::Null)
        .await;
    assert_eq!(
        refused.line(),
        "500 can't remove CT 200 - protection mode enabled"
    );
    lab.put(json!({"protection": 0})).await;
    let gone = lab
        .task("DELETE", &format!("{destroy}?force=1"), Json::Null)
        .await;
    assert_eq!(gone, "OK");
    assert!(
        !lab.simulator
            .volumes()
            .iter()
            .any(|id| id.contains("vm-200"))
    );
}

#[tokio::test]
async fn a_managed_container_is_started_by_the_manager() {
    let lab = lab("Sys.Console Sys.Audit").await;
    created(&lab).await;
    let resources = "/cluster/ha/resources";
    let manage = json!({"sid": "ct:200", "state": "stopped"});
    assert_eq!(
        lab.call("POST", resources, manage.clone()).await.line(),
        "200 OK"
    );
    let again = lab.call("POST", resources, manage).await;
    assert!(
        again
            .reason
            .ends_with("resource ID 'ct:200' already defined"),
        "{}",
        again.reason
    );
    let start = "/nodes/pve1/lxc/200/status/start";
    assert_eq!(lab.task("POST", start, json!({})).await, "OK");
    let status = "/nodes/pve1/lxc/200/status/current";
    while lab.get(status).await["status"] != "running" {
        tokio::task::yield_now().await;
    }
    assert_eq!(lab.get(status).await["ha"]["state"], "started");
    let refused = lab
        .call("DELETE", "/nodes/pve1/lxc/200?force=1", Json::Null)
        .await;
    assert!(
        refused.reason.contains("used in HA resources and purge"),
        "{}",
        refused.reason
    );
    let purge = "/nodes/pve1/lxc/200?force=1&purge=1";
    assert_eq!(lab.task("DELETE", purge, Json::Null).await, "OK");
    assert_eq!(lab.get(resources).await, json!([]));
}

#[tokio::test]
async fn jobs_choose_guests_in_one_way_and_backups_leave_a_file() {
    let lab = lab("Sys.Audit").await;
    created(&lab).await;
    let jobs = "/cluster/backup";
    let job = json!({
        "id": "nightly", "schedule": "02:00", "vmid": "200", "storage": "local",
        "prune-backups": "keep-last=3",
    });
    assert_eq!(lab.call("POST", jobs, job.clone()).await.line(), "200 OK");
    let again = lab.call("POST", jobs, job).await;
    assert_eq!(again.line(), "500 Job 'nightly' already exists");
    let both = json!({"schedule": "02:00", "vmid": "200", "all": 1});
    let both = lab.call("POST", jobs, both).await;
    assert_eq!(
        both.body["errors"]["all"],
        "option conflicts with option 'vmid'"
    );
    let read = lab.get("/cluster/backup/nightly").await;
    assert_eq!(read["prune-backups"], json!({"keep-last": "3"}));
    let now = json!({"vmid": "200", "storage": "local", "compress": "zstd"});
    assert_eq!(lab.task("POST", "/nodes/pve1/vzdump", now).await, "OK");
    let files = lab.simulator.volumes();
    let files = files
        .iter()
        .filter(|id| id.starts_with("local:backup/vzdump-lxc-200-"));
    assert_eq!(files.count(), 1);
    let none = json!({"vmid": "999", "storage": "local"});
    let none = lab.call("POST", "/nodes/pve1/vzdump", none).await;
    assert_eq!(none.body["data"], "OK");
}
