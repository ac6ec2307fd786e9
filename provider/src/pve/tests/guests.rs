//! Reads about guests and what runs in them.

use std::sync::atomic::{AtomicUsize, Ordering};

use expect_test::expect;
use serde_json::json;

use super::{
    super::*,
    server::{Answer, Server},
};

fn recorded(text: &str) -> Json {
    serde_json::from_str::<Json>(text).unwrap()["data"].take()
}

async fn two_guests() -> Server {
    Server::start(|_| {
        Answer::Data(json!([
            { "id": "qemu/100", "type": "qemu", "vmid": 100, "node": "pve1", "status": "unknown" },
            { "id": "lxc/101", "type": "lxc", "vmid": "101", "node": "pve2", "name": "ct", "template": 1, "lock": "clone" },
        ]))
    })
    .await
}

#[tokio::test]
async fn callers_at_the_same_time_share_one_list() {
    let server = two_guests().await;
    let pve = server.pve();
    let asked = (0..20).map(|_| pve.guests());
    let answers = futures_util::future::join_all(asked).await;
    assert!(
        answers
            .iter()
            .all(|guests| guests.as_ref().unwrap().len() == 2)
    );
    assert_eq!(pve.guest_opt(101).await.unwrap().unwrap().node, "pve2");
    assert_eq!(server.lines(), ["GET /cluster/resources?type=vm"]);
}

#[tokio::test]
async fn a_missing_guest_is_looked_for_afresh() {
    let server = two_guests().await;
    let pve = server.pve();
    assert_eq!(pve.guest_opt(102).await.unwrap(), None);
    assert_eq!(server.lines().len(), 1, "the first answer was fresh");
    assert_eq!(pve.guest_opt(102).await.unwrap(), None);
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn a_write_makes_the_list_stale() {
    let server = two_guests().await;
    let pve = server.pve();
    pve.guests().await.unwrap();
    pve.send(&Call::delete("/nodes/pve1/qemu/100", Params::new()))
        .await
        .unwrap();
    pve.guests().await.unwrap();
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn waiters_share_a_failure_that_concerns_them_all() {
    let server = Server::start(|_| Answer::Status("401 No ticket", String::new())).await;
    let pve = server.pve();
    let asked = (0..5).map(|_| pve.guests());
    for answer in futures_util::future::join_all(asked).await {
        assert!(matches!(answer, Err(Error::Unauthenticated { .. })));
    }
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn free_numbers_are_handed_out_once() {
    let server = Server::start(|request| match request.line.split_once("vmid=") {
        None => Answer::Data(json!("100")),
        Some((_, "102")) => Answer::Status(
            "400 Parameter verification failed.",
            json!({ "data": null, "errors": { "vmid": "VM 102 already exists" } }).to_string(),
        ),
        Some((_, vmid)) => Answer::Data(json!(vmid)),
    })
    .await;
    let pve = server.pve();
    pve.taken(101);
    let (a, b, c) = tokio::join!(pve.free_vmid(), pve.free_vmid(), pve.free_vmid());
    let mut vmids = [a.unwrap(), b.unwrap(), c.unwrap()];
    vmids.sort_unstable();
    assert_eq!(vmids, [100, 103, 104]);
}

#[tokio::test]
async fn free_numbers_are_of_the_range() {
    // 200 is seen, 201 is not, and 203 is the last.
    let server = Server::start(|request| match request.line.split_once("vmid=") {
        None => Answer::Data(json!([{ "vmid": 200, "type": "qemu", "node": "pve1" }])),
        Some((_, "201")) => Answer::Status(
            "400 Parameter verification failed.",
            json!({ "data": null, "errors": { "vmid": "VM 201 already exists" } }).to_string(),
        ),
        Some((_, vmid)) => Answer::Data(json!(vmid)),
    })
    .await;
    let pve = server.pve_of_vmids(200..=203);
    let (a, b) = tokio::join!(pve.free_vmid(), pve.free_vmid());
    let mut vmids = [a.unwrap(), b.unwrap()];
    vmids.sort_unstable();
    assert_eq!(vmids, [202, 203]);
    let none = pve.free_vmid().await.unwrap_err();
    assert_eq!(none.to_string(), "no VMID from 200 to 203 is free");
}

#[tokio::test]
async fn a_guest_that_is_gone_is_none() {
    let server = Server::start(|_| {
        let message = "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist\n";
        Answer::Status(
            "500 gone",
            json!({ "data": null, "message": message }).to_string(),
        )
    })
    .await;
    let pve = server.pve();
    assert_eq!(pve.vm_config_opt("pve1", 100).await.unwrap(), None);
    assert_eq!(
        pve.guest_status_opt("qemu", "pve1", 100).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_recorded_configuration_is_understood() {
    let config = recorded(include_str!("../../../fixtures/qemu_config.9.2.json"));
    let server = Server::start(move |_| Answer::Data(config.clone())).await;
    let config = server
        .pve()
        .vm_config_opt("pve1", 100)
        .await
        .unwrap()
        .unwrap();
    expect![[r#"
        QemuConfig {
            name: Some(
                "vm-one",
            ),
            cores: Some(
                2,
            ),
            sockets: Some(
                1,
            ),
            cpu: Some(
                "x86-64-v2-AES",
            ),
            cpulimit: None,
            cpuunits: None,
            numa: Some(
                false,
            ),
            memory: Some(
                512,
            ),
            balloon: Some(
                256,
            ),
            agent: Some(
                "enabled=1,fstrim_cloned_disks=1",
            ),
            bios: None,
            machine: None,
            ostype: Some(
                "l26",
            ),
            scsihw: Some(
                "virtio-scsi-single",
            ),
            serial0: Some(
                "socket",
            ),
            boot: Some(
                "order=scsi0;ide2;net0",
            ),
            startup: Some(
                "order=1,up=10",
            ),
            onboot: Some(
                true,
            ),
            protection: Some(
                false,
            ),
            template: false,
            tags: [
                "alpha",
                "beta",
                "zeta",
            ],
            description: Some(
                "Hello\nworld ümlaut",
            ),
            lock: None,
            digest: Some(
                "73182a4db1b7eeff93361b1a29208f53523b8a35",
            ),
            nets: {
                "net0": "virtio=BC:24:11:35:C8:19,bridge=vmbr0,firewall=1",
            },
            disks: {
                "ide2": "local:iso/tiny.iso,media=cdrom,size=350K",
                "scsi0": "vmdata:100/vm-100-disk-0.raw,discard=on,iothread=1,size=1G,ssd=1",
            },
            unused: {},
            rest: {
                "meta": "creation-qemu=10.0.13,ctime=1795385241",
                "smbios1": "uuid=127dd9e7-3aed-461c-a5a6-ea6fbb29a308",
                "vga": "serial0",
                "vmgenid": "345f8888-b6ca-4d8a-8a3c-95e7a33c7057",
            },
        }"#]]
    .assert_eq(&format!("{config:#?}"));
}

#[test]
fn configurations_of_other_releases_are_understood() {
    let config = json!({
        "memory": "current=2048", "cores": "4", "numa": "1", "cpulimit": "1.5", "tags": " ", "template": 1,
        "scsi0": "a", "scsi10": "b", "efidisk0": "c", "unused3": "d", "net31": "e", "scsihw": "f", "ide": "g",
    });
    let config: QemuConfig = serde_json::from_value(config).unwrap();
    assert_eq!(
        (config.memory, config.cores, config.numa, config.cpulimit),
        (Some(2048), Some(4), Some(true), Some(1.5))
    );
    assert!(config.tags.is_empty() && config.template);
    assert_eq!(
        config.disks.keys().collect::<Vec<_>>(),
        ["efidisk0", "scsi0", "scsi10"]
    );
    assert_eq!(
        (config.nets.len(), config.unused.len(), config.rest.len()),
        (1, 1, 1)
    );
    let error = serde_json::from_value::<QemuConfig>(json!({ "cores": "many" }))
        .unwrap_err()
        .to_string();
    assert_eq!(error, "cores: invalid digit found in string: `many`");
}

#[tokio::test]
async fn what_waits_for_a_restart_is_told() {
    let rows = json!([
        { "key": "memory", "value": "2048", "pending": 4096 },
        { "key": "net1", "value": "virtio", "delete": 1 },
        { "key": "cores", "value": 2 },
    ]);
    let server = Server::start(move |_| Answer::Data(rows.clone())).await;
    let rows = server
        .pve()
        .guest_pending("qemu", "pve1", 100)
        .await
        .unwrap();
    let waiting: Vec<_> = rows
        .iter()
        .filter(|row| row.waits_for_restart())
        .map(|row| &*row.key)
        .collect();
    assert_eq!(waiting, ["memory", "net1"]);
}

#[tokio::test]
async fn a_command_runs_to_its_end() {
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |request| match (request.line.starts_with("POST"), asked.fetch_add(1, Ordering::Relaxed)) {
        (true, _) => Answer::Data(json!({ "pid": 158 })),
        (false, 1) => Answer::Data(json!({ "exited": 0 })),
        (false, 2) => Answer::Status("500 QEMU guest agent is not running", String::new()),
        (false, _) => Answer::Data(json!({
            "exited": 1, "exitcode": 3, "out-data": "gr\u{c3}\u{bc}n\n", "err-data": "e", "out-truncated": 0, "err-truncated": 1,
        })),
    })
    .await;
    let output = server
        .pve()
        .agent_exec("pve1", 100, &["/bin/sh", "-c", "cat"], "ü".as_bytes())
        .await
        .unwrap();
    let expected = ExecOutput {
        code: Some(3),
        signal: None,
        stdout: "grün\n".into(),
        stderr: b"e".to_vec(),
        truncated: true,
    };
    assert_eq!(output, expected);
    let sent = json!({ "command": ["/bin/sh", "-c", "cat"], "input-data": "\u{c3}\u{bc}" });
    assert_eq!(server.requests()[0].json(), sent);
    assert_eq!(
        server.lines()[1],
        "GET /nodes/pve1/qemu/100/agent/exec-status?pid=158"
    );
}

#[tokio::test]
async fn a_forgotten_command_has_an_unknown_outcome() {
    let server = Server::start(|request| {
        if request.line.starts_with("POST") {
            Answer::Data(json!({ "pid": 158 }))
        } else {
            Answer::Status("500 Agent error: PID ld does not exist", String::new())
        }
    })
    .await;
    let error = server
        .pve()
        .agent_exec("pve1", 100, &["true"], b"")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_travels_as_base64() {
    let server = Server::start(|_| Answer::Data(Json::Null)).await;
    let pve = server.pve();
    pve.agent_file_write("pve1", 100, "/etc/a", &[0, 255])
        .await
        .unwrap();
    assert_eq!(
        server.requests()[0].json(),
        json!({ "file": "/etc/a", "content": "AP8=", "encode": "0" })
    );
    assert!(
        pve.agent_file_write("pve1", 100, "/etc/a", &vec![0; 46081])
            .await
            .is_err()
    );
    assert!(
        pve.agent_exec("pve1", 100, &["cat"], &vec![b'x'; 65537])
            .await
            .is_err()
    );
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn recorded_interfaces_are_understood() {
    let interfaces = recorded(include_str!("../../../fixtures/agent_interfaces.9.2.json"));
    let server = Server::start(move |_| Answer::Data(interfaces.clone())).await;
    let interfaces = server.pve().agent_interfaces("pve1", 130).await.unwrap();
    let lines = interfaces.iter().map(
        |Interface {
             name,
             mac,
             addresses,
         }| format!("{name} {mac:?} {addresses:?}\n"),
    );
    expect![[r#"
        lo Some("00:00:00:00:00:00") [127.0.0.1/8, ::1/128]
        eth0 Some("bc:24:11:00:00:50") [192.0.2.50/24, fe80::be24:11ff:fe00:50/64]
    "#]]
    .assert_eq(&lines.collect::<String>());
}

#[tokio::test]
async fn volumes_are_found_by_their_whole_name() {
    let content =
        json!([{ "volid": "local:iso/a.iso", "content": "iso", "format": "iso", "size": 358_400 }]);
    let server = Server::start(move |_| Answer::Data(content.clone())).await;
    let pve = server.pve();
    assert_eq!(
        pve.volume_opt("pve1", "local:iso/a.iso")
            .await
            .unwrap()
            .unwrap()
            .size,
        Some(358_400)
    );
    assert_eq!(
        pve.volume_opt("pve1", "local:iso/b.iso").await.unwrap(),
        None
    );
    assert_eq!(server.lines()[0], "GET /nodes/pve1/storage/local/content");
}
