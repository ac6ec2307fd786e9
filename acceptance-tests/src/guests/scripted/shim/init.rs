//! The init of a scripted guest: boots it, serves the agent channel, ends it.
//!
//! Reads one request a line from stdin and answers on stdout; the end of stdin is a power cut. Its
//! parent, a shell, is pid 1 and reaps what others leave behind.

use std::io::{BufRead, Write};
use std::os::unix::net::UnixListener;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Root, agent, cloudinit, disks, dpkg, unit};

/// Where other programs of the guest ask for its end, with the word `poweroff` or `reboot`.
pub(super) const CONTROL: &str = "/run/shim/control";

pub(super) fn run(root: &Root) -> ExitCode {
    let mut lines = std::io::stdin().lock().lines();
    let Some(Ok(first)) = lines.next() else {
        return ExitCode::FAILURE;
    };
    let boot: Value = serde_json::from_str(&first).expect("the first line is the guest's hardware");
    if let Err(error) = prepare(root, &boot) {
        // Goes to the console pipe, which the error message of the start quotes.
        let _ = writeln!(std::io::stderr(), "init: {error}");
        return ExitCode::FAILURE;
    }
    write_line("booting");

    let booted = Arc::new(AtomicBool::new(false));
    std::thread::spawn({
        let (root, boot, booted) = (root.clone(), boot.clone(), Arc::clone(&booted));
        move || {
            let delay = boot["boot_ms"].as_u64().unwrap_or_default();
            std::thread::sleep(Duration::from_millis(delay));
            disks::mount_all(&root);
            unit::boot(&root);
            booted.store(true, Ordering::Release);
            cloudinit::first_boot(&root, &boot["seed"]);
        }
    });
    std::thread::spawn({
        let root = root.clone();
        move || control(&root)
    });

    let agent = Arc::new(Mutex::new(agent::Agent::default()));
    for line in lines.map_while(Result::ok) {
        let Ok(request) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        let (root, booted, agent) = (root.clone(), Arc::clone(&booted), Arc::clone(&agent));
        let serve = move || {
            let ready = booted.load(Ordering::Acquire);
            if let Some(answer) = answer(&root, &request, ready, &agent) {
                write_line(&answer.to_string());
            }
        };
        // Hardware events keep their order; commands may take as long as they like.
        if line.contains("\"sh\":") {
            std::thread::spawn(serve);
        } else {
            serve();
        }
    }
    ExitCode::SUCCESS
}

/// Ends the guest as seen from outside.
pub(super) fn end(how: &str) {
    write_line(&json!({"ended": how}).to_string());
    std::process::exit(0);
}

fn write_line(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody listens any more only when the power is cut.
    let _ = out.write_all(format!("{line}\n").as_bytes());
    let _ = out.flush();
}

fn answer(
    root: &Root,
    request: &Value,
    booted: bool,
    agent: &Mutex<agent::Agent>,
) -> Option<Value> {
    let id = &request["id"];
    if let Some(command) = request["sh"].as_str() {
        let output = Command::new("/bin/sh")
            .args(["-c", command])
            .env_clear()
            .env("PATH", agent::PATH)
            .env("HOME", "/root")
            .stdin(std::process::Stdio::null())
            .output();
        return Some(match output {
            Ok(output) => json!({
                "id": id, "code": agent::status(output.status),
                "stdout": String::from_utf8_lossy(&output.stdout),
                "stderr": String::from_utf8_lossy(&output.stderr),
            }),
            Err(error) => json!({"id": id, "code": 127, "stderr": error.to_string()}),
        });
    }
    if let Some(command) = request.get("agent") {
        if !booted || !agent::runs(root) {
            return Some(json!({"id": id}));
        }
        let mut agent = agent.lock().expect("no agent command panics");
        let mut answer = agent.answer(root, command);
        answer["id"] = id.clone();
        return Some(answer);
    }
    if let Some(scenario) = request.get("scenario") {
        let _ = root.write("/run/shim/scenario.json", scenario.to_string());
    } else if let Some(disk) = request.get("attached") {
        root.update("/run/shim/boot.json", |boot: &mut Value| {
            if let Some(disks) = boot["disks"].as_array_mut() {
                disks.push(disk.clone());
            }
        });
        disks::make_nodes(root);
    } else if let Some(resized) = request.get("resized") {
        root.update("/run/shim/boot.json", |boot: &mut Value| {
            for disk in boot["disks"].as_array_mut().into_iter().flatten() {
                if disk["slot"] == resized["slot"] {
                    disk["bytes"] = resized["bytes"].clone();
                }
            }
        });
    } else if request.get("powerdown").is_some() {
        unit::shutdown(root);
        end("poweroff");
    }
    None
}

fn prepare(root: &Root, boot: &Value) -> std::io::Result<()> {
    let mut hardware = boot.clone();
    if let Some(hardware) = hardware.as_object_mut() {
        hardware.remove("seed");
        hardware.remove("scenario");
    }
    root.write("/run/shim/boot.json", hardware.to_string())?;
    root.write("/run/shim/scenario.json", boot["scenario"].to_string())?;
    root.write("/run/shim/booted_at", super::now().to_string())?;
    pretend(root, boot)?;
    if boot["scenario"]["pve_node"] == true {
        dpkg::record(root, "pve-manager", "9.0.11");
    }
    let name = root.read("/etc/hostname").unwrap_or_default();
    real("hostname", &[name.trim()]);
    network(root, boot);
    disks::make_nodes(root);
    Ok(())
}

/// Lays files over those of the kernel that would tell of the machine instead of the guest.
fn pretend(root: &Root, boot: &Value) -> std::io::Result<()> {
    let hex = super::sha256(format!("{} {}", boot["vmid"], super::now()).as_bytes());
    let id = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..32],
    ]
    .join("-");
    let memory = boot["memory_mib"].as_u64().unwrap_or_default() * 1024;
    let real_memory = root.read("/proc/meminfo").unwrap_or_default();
    let rest = real_memory.lines().filter(|line| !line.starts_with("Mem"));
    let rest: String = rest.map(|line| format!("{line}\n")).collect();
    let text =
        format!("MemTotal: {memory} kB\nMemFree: {memory} kB\nMemAvailable: {memory} kB\n{rest}");
    for (name, path, text) in [
        (
            "boot_id",
            "/proc/sys/kernel/random/boot_id",
            format!("{id}\n"),
        ),
        ("meminfo", "/proc/meminfo", text),
    ] {
        let own = format!("/run/shim/{name}");
        root.write(&own, text)?;
        real("mount", &["--bind", &own, path]);
    }
    Ok(())
}

/// Makes a network card a real one of the guest's own namespace, as far as the kernel can.
fn network(root: &Root, boot: &Value) {
    real("ip", &["link", "set", "lo", "up"]);
    for (index, nic) in boot["nics"].as_array().into_iter().flatten().enumerate() {
        let (name, peer) = (format!("eth{index}"), format!("veth{index}"));
        let mac = nic["mac"].as_str().unwrap_or_default();
        let add = [
            "link", "add", &name, "address", mac, "type", "veth", "peer", "name", &peer,
        ];
        real("ip", &add);
        real("ip", &["link", "set", &peer, "up"]);
        real("ip", &["link", "set", &name, "up"]);
    }
    for interface in agent::interfaces(root, &boot["seed"]["network-config"]) {
        for address in &interface.addresses {
            real("ip", &["addr", "add", address, "dev", &interface.name]);
        }
    }
}

/// Runs a program of the machine itself, never a stand-in. Its failure is seen by its absence.
pub(super) fn real(program: &str, args: &[&str]) -> bool {
    let path = ["/.host/usr/bin", "/.host/usr/sbin"]
        .iter()
        .map(|dir| format!("{dir}/{program}"))
        .find(|path| std::path::Path::new(path).exists());
    let Some(path) = path else { return false };
    let output = Command::new(path).args(args).output();
    output.is_ok_and(|output| output.status.success())
}

fn control(root: &Root) {
    let Ok(listener) = UnixListener::bind(root.path(CONTROL)) else {
        return;
    };
    for stream in listener.incoming().flatten() {
        let mut word = String::new();
        if std::io::BufReader::new(stream).read_line(&mut word).is_ok() {
            unit::shutdown(root);
            end(word.trim());
        }
    }
}
