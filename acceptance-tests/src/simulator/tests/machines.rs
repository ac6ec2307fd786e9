//! VMs from their creation to their end.

use serde_json::json;

use super::super::machine::Exit;
use super::Lab;

pub(super) const VM: &str = "/nodes/pve1/qemu/100";

pub(super) async fn created(params: serde_json::Value) -> Lab {
    let lab = Lab::new().await;
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu", params).await, "OK");
    lab
}

#[tokio::test]
async fn a_vm_is_created_from_an_image_run_and_destroyed() {
    let lab = Lab::new().await;
    let mut image = vec![0; 4096];
    image[..4].copy_from_slice(b"QFI\xfb");
    image[24..32].copy_from_slice(&(3_u64 << 30).to_be_bytes());
    lab.simulator
        .put_file("pve1", "local:import/a.qcow2", image);
    assert_eq!(lab.get("/cluster/nextid").await, "100");
    let create = json!({
        "vmid": 100, "name": "host", "memory": "2048", "cores": 2, "agent": "enabled=1", "tags": "b,A",
        "scsihw": "virtio-scsi-single", "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0",
        "scsi0": "local-lvm:0,import-from=local:import/a.qcow2,ssd=1,discard=on",
        "scsi1": "local-lvm:8,serial=data",
    });
    assert_eq!(
        lab.task("POST", "/nodes/pve1/qemu", create.clone()).await,
        "OK"
    );
    let again = lab.call("POST", "/nodes/pve1/qemu", create).await;
    assert_eq!(
        again.line(),
        "500 unable to create VM 100 - VM 100 already exists on node 'pve1'"
    );
    let config = lab.get(&format!("{VM}/config")).await;
    assert_eq!(
        config["scsi0"],
        "local-lvm:vm-100-disk-0,discard=on,size=3G,ssd=1"
    );
    assert_eq!(
        config["scsi1"],
        "local-lvm:vm-100-disk-1,serial=data,size=8G"
    );
    assert_eq!(config["tags"], "a;b");
    assert_eq!(config["cores"], 2);
    assert_eq!(config["memory"], "2048");
    assert_eq!(config["boot"], "order=scsi0;net0");

    let resize = |size: &str| json!({"disk": "scsi0", "size": size});
    let path = format!("{VM}/resize");
    assert_eq!(
        lab.task("PUT", &path, resize("2G")).await,
        "shrinking disks is not supported"
    );
    assert_eq!(lab.task("PUT", &path, resize("20G")).await, "OK");
    assert_eq!(
        lab.task("POST", &format!("{VM}/status/start"), json!({}))
            .await,
        "OK"
    );
    assert_eq!(
        lab.task("POST", &format!("{VM}/status/start"), json!({}))
            .await,
        "VM 100 already running"
    );
    let spec = lab.machines.started()[0].spec.clone();
    assert_eq!((spec.cores, spec.memory_mib, spec.agent), (2, 2048, true));
    assert_eq!(spec.disks[0].bytes, 20 << 30);
    assert_eq!(spec.disks[0].image.as_deref(), Some("local:import/a.qcow2"));
    assert_eq!(spec.disks[1].serial.as_deref(), Some("data"));
    assert_eq!(spec.nics[0].bridge, "vmbr0");
    let early = lab.call("DELETE", VM, json!(null)).await;
    assert_eq!(early.line(), "500 VM 100 is running - destroy failed");
    assert_eq!(
        lab.task("POST", &format!("{VM}/status/shutdown"), json!({}))
            .await,
        "OK"
    );
    assert_eq!(
        lab.task("DELETE", &format!("{VM}?purge=1"), json!(null))
            .await,
        "OK"
    );
    assert_eq!(lab.simulator.volumes(), ["local:import/a.qcow2"]);
    let gone = lab.call("GET", &format!("{VM}/config"), json!(null)).await;
    assert_eq!(
        gone.line(),
        "500 Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist"
    );
}

#[tokio::test]
async fn a_failed_create_leaves_nothing() {
    let lab = Lab::new().await;
    let create = json!({"vmid": 100, "scsi0": "local-lvm:1", "scsi1": "local-lvm:0,import-from=local:import/x.raw"});
    let end = lab.task("POST", "/nodes/pve1/qemu", create).await;
    assert_eq!(
        end,
        "unable to create VM 100 - failed to stat '/var/lib/vz/import/x.raw'"
    );
    assert!(lab.simulator.vms().is_empty() && lab.simulator.volumes().is_empty());
}

#[tokio::test]
async fn changes_of_a_running_vm_wait_for_the_next_start() {
    let lab = created(json!({"vmid": 100, "cores": 1, "name": "a"})).await;
    lab.task("POST", &format!("{VM}/status/start"), json!({}))
        .await;
    let change = json!({"cores": 2, "name": "b"});
    assert_eq!(
        lab.call("PUT", &format!("{VM}/config"), change)
            .await
            .line(),
        "200 OK"
    );
    let present = lab.get(&format!("{VM}/config?current=1")).await;
    assert_eq!(
        (&present["cores"], &present["name"]),
        (&json!(1), &json!("b"))
    );
    assert_eq!(lab.get(&format!("{VM}/config")).await["cores"], 2);
    let pending = lab.get(&format!("{VM}/pending")).await;
    assert!(
        pending
            .as_array()
            .expect("a list")
            .contains(&json!({"key": "cores", "value": 1, "pending": 2}))
    );
    lab.task("POST", &format!("{VM}/status/stop"), json!({}))
        .await;
    lab.task("POST", &format!("{VM}/status/start"), json!({}))
        .await;
    assert_eq!(lab.get(&format!("{VM}/config?current=1")).await["cores"], 2);
}

#[tokio::test]
async fn a_disk_that_is_detached_is_kept_until_it_is_deleted_again() {
    let lab = created(json!({"vmid": 100, "scsi0": "local-lvm:1"})).await;
    let path = format!("{VM}/config");
    let delete = |key: &str| json!({"delete": key});
    assert_eq!(
        lab.task("POST", &path, json!({"scsi1": "local-lvm:2"}))
            .await,
        "OK"
    );
    lab.call("PUT", &path, delete("scsi1")).await;
    assert_eq!(lab.get(&path).await["unused0"], "local-lvm:vm-100-disk-1");
    lab.call("PUT", &path, delete("unused0")).await;
    assert_eq!(lab.simulator.volumes(), ["local-lvm:vm-100-disk-0"]);
    lab.call("PUT", &path, json!({"delete": "scsi0", "force": 1}))
        .await;
    assert!(lab.simulator.volumes().is_empty());
}

#[tokio::test]
async fn a_stale_digest_or_a_lock_refuses_a_change() {
    let lab = created(json!({"vmid": 100})).await;
    let path = format!("{VM}/config");
    let stale = json!({"cores": 2, "digest": "0".repeat(40)});
    assert_eq!(
        lab.call("PUT", &path, stale).await.line(),
        "500 checksum mismatch (file change by other user?)"
    );
    let digest = lab.get(&path).await["digest"].clone();
    assert_eq!(
        lab.call("PUT", &path, json!({"cores": 2, "digest": digest}))
            .await
            .line(),
        "200 OK"
    );
    lab.simulator.set_lock(100, Some("backup"));
    assert_eq!(
        lab.call("PUT", &path, json!({"cores": 3})).await.line(),
        "500 VM is locked (backup)"
    );
    assert_eq!(
        lab.task("POST", &format!("{VM}/status/start"), json!({}))
            .await,
        "VM is locked (backup)"
    );
    lab.simulator.set_lock(100, None);
    assert_eq!(
        lab.call("PUT", &path, json!({"protection": 1}))
            .await
            .line(),
        "200 OK"
    );
    let protected = lab.call("DELETE", VM, json!(null)).await;
    assert_eq!(
        protected.line(),
        "500 can't remove VM 100 - protection mode enabled"
    );
}

#[tokio::test]
async fn a_reboot_applies_what_is_pending() {
    let lab = created(json!({"vmid": 100})).await;
    lab.task("POST", &format!("{VM}/status/start"), json!({}))
        .await;
    lab.call("PUT", &format!("{VM}/config"), json!({"cores": 4}))
        .await;
    assert_eq!(
        lab.task("POST", &format!("{VM}/status/reboot"), json!({}))
            .await,
        "OK"
    );
    while lab.machines.started().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(lab.machines.started()[1].spec.cores, 4);
}

#[tokio::test]
async fn a_reboot_inside_the_guest_applies_nothing_and_the_vm_stays_on() {
    let lab = created(json!({"vmid": 100})).await;
    lab.task("POST", &format!("{VM}/status/start"), json!({}))
        .await;
    lab.call("PUT", &format!("{VM}/config"), json!({"cores": 4}))
        .await;
    lab.machines.started()[0].end(Exit::Reboot);
    while lab.machines.started().len() < 2 {
        assert_eq!(
            lab.get(&format!("{VM}/status/current")).await["status"],
            "running"
        );
    }
    assert_eq!(lab.machines.started()[1].spec.cores, 1);
    assert_eq!(
        lab.task("POST", &format!("{VM}/status/stop"), json!({}))
            .await,
        "OK"
    );
    assert!(!lab.simulator.vms()[0].running);
}

#[tokio::test]
async fn a_template_is_cloned_linked_and_stays_while_it_is_needed() {
    let lab = created(
        json!({"vmid": 100, "name": "base", "scsi0": "local-lvm:1", "net0": "virtio,bridge=vmbr0"}),
    )
    .await;
    let clone = format!("{VM}/clone");
    let refused = lab
        .call("POST", &clone, json!({"newid": 101, "full": 0}))
        .await;
    assert_eq!(
        refused.line(),
        "500 Linked clone feature is not supported for 'local-lvm:vm-100-disk-0' (scsi0)"
    );
    assert_eq!(
        lab.task("POST", &format!("{VM}/template"), json!({})).await,
        "OK"
    );
    assert_eq!(lab.task("POST", &clone, json!({"newid": 101})).await, "OK");
    let config = lab.get("/nodes/pve1/qemu/101/config").await;
    assert_eq!(config["name"], "Copy-of-VM-base");
    assert_eq!(config["scsi0"], "local-lvm:vm-101-disk-0,size=1G");
    assert_ne!(
        config["net0"],
        lab.get(&format!("{VM}/config")).await["net0"]
    );
    assert_eq!(
        lab.task("DELETE", VM, json!(null)).await,
        "base volume 'local-lvm:base-100-disk-0' is still in use by linked cloned"
    );
    assert_eq!(
        lab.task("DELETE", "/nodes/pve1/qemu/101", json!(null))
            .await,
        "OK"
    );
    assert_eq!(lab.task("DELETE", VM, json!(null)).await, "OK");
    assert!(lab.simulator.volumes().is_empty());
}

#[tokio::test]
async fn what_happens_behind_the_back_of_a_client_shows() {
    let lab = Lab::with(|options| options.nodes.push("pve2".to_owned())).await;
    lab.task(
        "POST",
        "/nodes/pve1/qemu",
        json!({"vmid": 100, "scsi0": "local-lvm:1"}),
    )
    .await;
    lab.simulator
        .set_config(100, "description", Some("by hand"));
    assert_eq!(
        lab.get(&format!("{VM}/config")).await["description"],
        "by hand"
    );
    lab.simulator.move_vm(100, "pve2");
    assert_eq!(
        lab.call("GET", &format!("{VM}/config"), json!(null))
            .await
            .status,
        500
    );
    assert_eq!(
        lab.get("/cluster/resources?type=vm").await[0]["node"],
        "pve2"
    );
    assert_eq!(
        lab.task("POST", "/nodes/pve2/qemu/100/status/start", json!({}))
            .await,
        "OK"
    );
    lab.simulator.stop_vm(100).await;
    assert_eq!(
        lab.get("/nodes/pve2/qemu/100/status/current").await["status"],
        "stopped"
    );
    lab.simulator.delete_vm(100).await;
    assert!(lab.simulator.vms().is_empty() && lab.simulator.volumes().is_empty());
}

#[tokio::test]
async fn tasks_tell_their_story_to_those_who_may_hear_it() {
    let mut lab = created(json!({"vmid": 100})).await;
    let upid = lab.simulator.tasks()[0].0.clone();
    let status = lab.get(&format!("/nodes/pve1/tasks/{upid}/status")).await;
    assert_eq!(
        (&status["status"], &status["exitstatus"]),
        (&json!("stopped"), &json!("OK"))
    );
    assert_eq!(
        (&status["user"], &status["tokenid"]),
        (&json!("pmoves@pve"), &json!("tf"))
    );
    let log = lab
        .call(
            "GET",
            &format!("/nodes/pve1/tasks/{upid}/log?limit=1"),
            json!(null),
        )
        .await;
    assert_eq!(
        log.body,
        json!({"data": [{"n": 1, "t": "TASK OK"}], "total": 1})
    );
    let other = upid.replacen("pve1", "pve9", 1);
    let unknown = lab
        .call(
            "GET",
            &format!("/nodes/pve1/tasks/{other}/status"),
            json!(null),
        )
        .await;
    assert_eq!(unknown.body["errors"], json!({"upid": "no such task"}));
    lab.token = lab.simulator.token_with("VM.Audit");
    let foreign = lab
        .call("GET", &format!("/nodes/pve1/tasks/{upid}/log"), json!(null))
        .await;
    assert_eq!(
        foreign.line(),
        "403 Permission check failed (/nodes/pve1, Sys.Audit)"
    );
}

#[tokio::test]
async fn a_managed_vm_is_started_and_stopped_by_the_manager() {
    let lab = created(json!({"vmid": 100})).await;
    lab.simulator.put_under_ha("vm:100", "stopped");
    let current = format!("{VM}/status/current");
    let start = format!("{VM}/status/start");
    assert_eq!(lab.task("POST", &start, json!({})).await, "OK");
    while lab.get(&current).await["status"] != "running" {
        tokio::task::yield_now().await;
    }
    assert_eq!(lab.get(&current).await["ha"]["state"], "started");
    let stop = format!("{VM}/status/stop");
    assert_eq!(lab.task("POST", &stop, json!({})).await, "OK");
    let rows = lab.get("/cluster/resources?type=vm").await;
    assert_eq!(rows[0]["hastate"], "stopped");
    lab.simulator.stop_vm(100).await;
    let refused = lab.call("DELETE", VM, json!(null)).await;
    let why = "used in HA resources and purge parameter not set.";
    assert!(refused.reason.contains(why), "{}", refused.reason);
    let purge = format!("{VM}?purge=1");
    assert_eq!(lab.task("DELETE", &purge, json!(null)).await, "OK");
    assert_eq!(lab.simulator.ha_state("vm:100"), None);
}
