//! What the API says to requests that it refuses.

use serde_json::Value as Json;

use super::{Lab, privileges};

/// One request a line: `METHOD PATH PARAMETERS => STATUS REASON`, with the violations instead of a reason where there
/// are some, and with the end of the task after it.
const REFUSALS: &str = include_str!("refusals.txt");

impl Lab {
    /// What a line of the table is answered with.
    async fn said(&self, request: &str) -> String {
        let mut words = request.splitn(3, ' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next());
        let path = path.unwrap_or_default().replacen("./", "/nodes/pve1/", 1);
        let params = words.next().map(serde_json::from_str::<Json>);
        let params = params.map_or(Json::Null, |params| params.expect("it is JSON"));
        let answer = self.call(method, &path, params).await;
        if let Some(upid) = answer.body["data"].as_str() {
            return format!("task {}", self.simulator.world.task_end(upid).await);
        }
        match &answer.body["errors"] {
            Json::Null => answer.line(),
            errors => format!("{} {errors}", answer.status),
        }
    }
}

#[tokio::test]
async fn refusals_read_as_the_api_writes_them() {
    let lab = privileges::lab().await;
    let mut wrong = String::new();
    for line in REFUSALS
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let (request, expected) = line.split_once(" => ").expect("a line has both");
        let said = lab.said(request).await;
        if said != expected {
            wrong += &format!("{request}\n  {said}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test]
async fn a_running_guest_gets_no_card_on_a_missing_bridge() {
    let lab = privileges::lab().await;
    for start in ["qemu/100", "lxc/200"] {
        let path = format!("POST ./{start}/status/start {{}}");
        assert_eq!(lab.said(&path).await, "task OK");
    }
    // The VM takes the rest and waits with the card, the container takes nothing.
    assert_eq!(
        lab.said(
            r#"PUT ./qemu/100/config {"net0":"virtio=BC:24:11:00:00:01,bridge=vmbr9","name":"n"}"#
        )
        .await,
        r#"400 {"net0":"hotplug problem - bridge 'vmbr9' does not exist\n"}"#
    );
    let config = lab.get("/nodes/pve1/qemu/100/config?current=1").await;
    assert_eq!(config["name"], "n");
    assert!(
        config["net0"]
            .as_str()
            .is_some_and(|card| card.contains("bridge=vmbr0"))
    );
    let pending = lab.get("/nodes/pve1/qemu/100/config").await;
    assert_eq!(pending["net0"], "virtio=BC:24:11:00:00:01,bridge=vmbr9");
    assert_eq!(
        lab.said(r#"PUT ./lxc/200/config {"net0":"name=eth0,bridge=vmbr9","cores":1}"#)
            .await,
        r#"400 {"net0":"unable to hotplug net0: bridge 'vmbr9' does not exist\n"}"#
    );
    let config = lab.get("/nodes/pve1/lxc/200/config").await;
    assert!(config["cores"].is_null());
    assert!(
        config["net0"]
            .as_str()
            .is_some_and(|card| card.contains("bridge=vmbr0"))
    );
}

#[tokio::test]
async fn a_protected_vm_keeps_its_drives() {
    let lab = privileges::lab().await;
    let protect = r#"PUT ./qemu/100/config {"protection":1}"#;
    assert_eq!(lab.said(protect).await, "200 OK");
    for (key, what) in [
        ("scsi0", "drive 'scsi0'"),
        ("ide2", "drive 'ide2'"),
        ("unused0", "unused disk 'local-lvm:vm-100-disk-1'"),
    ] {
        assert_eq!(
            lab.said(&format!(r#"PUT ./qemu/100/config {{"delete":"{key}"}}"#))
                .await,
            format!("500 can't remove {what} - protection mode enabled")
        );
    }
}
