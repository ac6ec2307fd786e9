//! Scripted guests, from power-on to discard, as the simulator uses them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use acceptance_tests::guests::scripted::{AgentMood, CloudInit, Scenario, ScriptedHypervisor};
use acceptance_tests::simulator::machine::{
    AgentError, Disk, Exit, Hypervisor, Machine, Nic, Spec,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const SHIM: &str = env!("CARGO_BIN_EXE_guest-shim");

fn hypervisor() -> ScriptedHypervisor {
    ScriptedHypervisor::new(Path::new(SHIM)).expect("this machine runs scripted guests")
}

/// A VM with a NIC, a system disk made from `image` and an empty data disk.
fn spec(vmid: u32, image: &str) -> Spec {
    let disk = |slot: &str, serial: Option<&str>, image: Option<&str>| Disk {
        slot: slot.to_owned(),
        volume: format!("local:{vmid}/{slot}.qcow2"),
        serial: serial.map(str::to_owned),
        bytes: 8 << 30,
        image: image.map(str::to_owned),
    };
    Spec {
        vmid,
        node: "pve1".to_owned(),
        name: format!("guest{vmid}"),
        memory_mib: 2048,
        cores: 2,
        nics: vec![Nic {
            slot: "net0".to_owned(),
            mac: "BC:24:11:00:00:01".to_owned(),
            bridge: "vmbr0".to_owned(),
        }],
        disks: vec![
            disk("scsi0", None, Some(image)),
            disk("scsi1", Some("data"), None),
        ],
        cdrom: None,
        agent: true,
    }
}

const DOCKER: &str = "local:import/debian-13-docker.qcow2";
const PLAIN: &str = "local:import/debian-13.qcow2";

/// Repeats until `condition` holds; a test fails after ten seconds of waiting.
async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, condition: impl Fn() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "waited for {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn answers(machine: &Arc<dyn Machine>) {
    eventually("the agent", || async {
        machine.agent(json!({"execute": "guest-ping"})).await.ok()
    })
    .await;
}

async fn command(machine: &Arc<dyn Machine>, name: &str, arguments: Value) -> Value {
    let request = json!({"execute": name, "arguments": arguments});
    machine.agent(request).await.expect("the agent answers")
}

/// Runs a script through `guest-exec`, as a provider does.
async fn exec(machine: &Arc<dyn Machine>, script: &str) -> (i64, String, String) {
    let started = command(
        machine,
        "guest-exec",
        json!({"path": "/bin/sh", "capture-output": true, "input-data": STANDARD.encode(script)}),
    )
    .await;
    let ended = eventually("the script", || async {
        let status = command(machine, "guest-exec-status", json!({"pid": started["pid"]})).await;
        (status["exited"] == true).then_some(status)
    })
    .await;
    let text = |key: &str| {
        let data = STANDARD.decode(ended[key].as_str().unwrap_or_default());
        String::from_utf8(data.unwrap()).unwrap()
    };
    (
        ended["exitcode"].as_i64().unwrap_or(-1),
        text("out-data"),
        text("err-data"),
    )
}

#[track_caller]
fn refused(result: &Result<Value, AgentError>) -> String {
    match result {
        Err(AgentError::Refused { class, desc }) => format!("{class}: {desc}"),
        other => panic!("{other:?} is no refusal"),
    }
}

#[tokio::test]
async fn a_script_runs_as_root_of_its_own_files() {
    let hypervisor = hypervisor();
    let machine = hypervisor.start(spec(101, DOCKER)).await.unwrap();
    answers(&machine).await;
    let (code, out, err) = exec(
        &machine,
        "id -u; . /etc/os-release; echo $VERSION_CODENAME; hostname; cat /sys/class/net/eth0/address\n\
         echo x >/usr/bin/awk || echo read-only; echo y >/etc/marker; touch /root/f; ls / | tr '\\n' ' '\n\
         printf a-b | awk -F- '{print $2}'; sha256sum /etc/marker | cut -c1-8; exit 3",
    )
    .await;
    assert_eq!(code, 3, "{out}{err}");
    assert!(
        out.starts_with("0\ntrixie\nguest101\nbc:24:11:00:00:01\nread-only\n"),
        "{out}{err}"
    );
    assert!(!out.contains("work"), "the machine's own files show: {out}");
    assert!(!Path::new("/etc/marker").exists());
    assert!(hypervisor.root(101).join("etc/marker").exists());
}
