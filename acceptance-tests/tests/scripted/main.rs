//! Scripted guests, from power-on to discard, as the simulator uses them.

mod console;
mod debian;
mod docker;
mod sshd;

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

/// Repeats until `condition` holds; a test fails after a minute of waiting.
async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, condition: impl Fn() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(
            start.elapsed() < Duration::from_mins(1),
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
        String::from_utf8(data.expect("it works")).expect("it works")
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
    let machine = hypervisor
        .start(spec(101, DOCKER))
        .await
        .expect("the guest starts");
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

#[tokio::test]
async fn scenarios_change_what_a_guest_does() {
    let hypervisor = hypervisor();
    hypervisor.scenario(
        106,
        Scenario {
            agent: AgentMood::Silent,
            pve_node: true,
            apt_error: Some("E: Could not get lock /var/lib/dpkg/lock-frontend.".to_owned()),
            cloud_init: CloudInit::Degraded,
            ..Scenario::default()
        },
    );
    let machine = hypervisor
        .start(spec(106, DOCKER))
        .await
        .expect("the guest starts");
    assert!(matches!(
        machine.agent(json!({"execute": "guest-ping"})).await,
        Err(AgentError::Silent)
    ));
    let output = hypervisor.sh(106, "dpkg-query -W -f '${db:Status-Abbrev}' pve-manager; apt-get update; echo $?; cloud-init status --wait >/dev/null; echo $?").await.expect("it works");
    assert_eq!(output.stdout, "ii 100\n2\n");
    hypervisor.scenario(
        106,
        Scenario {
            agent: AgentMood::Flaps,
            ..Scenario::default()
        },
    );
    answers(&machine).await;
    let calls = [
        machine.agent(json!({"execute": "guest-ping"})).await,
        machine.agent(json!({"execute": "guest-ping"})).await,
    ];
    assert_eq!(calls.iter().filter(|call| call.is_ok()).count(), 1);
    machine.kill().await;
    assert_eq!(machine.ended().await, Exit::PowerOff);
    assert!(hypervisor.sh(106, "true").await.is_err());
}

#[tokio::test]
async fn the_agent_keeps_files_and_refuses_in_its_own_words() {
    let hypervisor = hypervisor();
    let machine = hypervisor
        .start(spec(107, DOCKER))
        .await
        .expect("the guest starts");
    answers(&machine).await;
    let handle = command(
        &machine,
        "guest-file-open",
        json!({"path": "/root/f", "mode": "w"}),
    )
    .await;
    command(
        &machine,
        "guest-file-write",
        json!({"handle": handle, "buf-b64": STANDARD.encode("text")}),
    )
    .await;
    command(&machine, "guest-file-close", json!({"handle": handle})).await;
    let handle = command(&machine, "guest-file-open", json!({"path": "/root/f"})).await;
    let read = command(&machine, "guest-file-read", json!({"handle": handle})).await;
    assert_eq!(
        read,
        json!({"count": 4, "buf-b64": STANDARD.encode("text"), "eof": true})
    );
    let ask = |name: &str, arguments: Value| {
        machine.agent(json!({"execute": name, "arguments": arguments}))
    };
    assert_eq!(
        refused(&ask("guest-exec", json!({"path": "/nonexistent"})).await),
        "GenericError: Failed to execute child process “/nonexistent” (No such file or directory)"
    );
    assert_eq!(
        refused(&ask("guest-file-open", json!({"path": "/no/file"})).await),
        "GenericError: failed to open file '/no/file' (mode: 'r'): No such file or directory"
    );
    assert_eq!(
        refused(&ask("guest-exec-status", json!({"pid": 1})).await),
        "GenericError: Invalid parameter 'pid'"
    );
    assert_eq!(
        refused(&ask("guest-nope", json!({})).await),
        "CommandNotFound: The command guest-nope has not been found"
    );
    let info = command(&machine, "guest-get-osinfo", json!({})).await;
    assert_eq!(info["id"], "debian");
}

#[tokio::test]
async fn nothing_survives_the_hypervisor() {
    let hypervisor = hypervisor();
    let machine = hypervisor
        .start(spec(108, DOCKER))
        .await
        .expect("the guest starts");
    answers(&machine).await;
    exec(&machine, "setsid sleep 54321 >/dev/null 2>&1 &").await;
    let running = || {
        let processes = std::fs::read_dir("/proc").expect("it works").flatten();
        processes
            .filter(|entry| {
                let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line).contains("54321")
            })
            .count()
    };
    assert_eq!(running(), 1);
    let base = hypervisor
        .root(108)
        .ancestors()
        .nth(3)
        .expect("it works")
        .to_owned();
    machine.kill().await;
    assert_eq!(running(), 0);
    drop(machine);
    drop(hypervisor);
    assert!(!base.exists());
}
