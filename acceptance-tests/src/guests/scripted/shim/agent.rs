//! The commands of the QEMU guest agent, with the answers and error texts of qemu-ga 10.
//!
//! Knows nothing of when the agent is silent; [`super::init`] asks [`runs`] before each command.

mod files;
mod network;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub(super) use network::interfaces;

use super::{Root, dpkg, unit};

/// What systemd gives to qemu-ga.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

/// Output beyond this is dropped, and said to be.
const OUTPUT_LIMIT: usize = 16 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Agent {
    processes: HashMap<u32, Process>,
    files: files::Files,
}

struct Process {
    captures: bool,
    ended: Arc<Mutex<Option<Ended>>>,
}

struct Ended {
    status: ExitStatus,
    out: Vec<u8>,
    err: Vec<u8>,
}

/// Class and description.
struct Error(&'static str, String);

fn generic(desc: impl Into<String>) -> Error {
    Error("GenericError", desc.into())
}

/// Whether qemu-ga is installed and its unit runs.
pub(super) fn runs(root: &Root) -> bool {
    dpkg::installed(root, "qemu-guest-agent")
        && unit::find(root, "qemu-guest-agent.service").active == "active"
}

/// The exit status of a process; 128 + n when a signal ended it.
pub(super) fn status(status: ExitStatus) -> i32 {
    let signal = status.signal().map(|signal| 128 + signal);
    status.code().or(signal).unwrap_or(-1)
}

impl Agent {
    /// `{"return": ..}` or `{"error": {"class", "desc"}}`.
    pub(super) fn answer(&mut self, root: &Root, request: &Value) -> Value {
        let command = request["execute"].as_str().unwrap_or_default();
        match self.run(root, command, &request["arguments"]) {
            Ok(value) => json!({"return": value}),
            Err(Error(class, desc)) => json!({"error": {"class": class, "desc": desc}}),
        }
    }

    fn run(&mut self, root: &Root, command: &str, args: &Value) -> Result<Value, Error> {
        match command {
            "guest-ping" | "guest-fstrim" | "guest-file-flush" => Ok(json!({})),
            "guest-info" => Ok(info()),
            "guest-sync" | "guest-sync-delimited" => Ok(args["id"].clone()),
            "guest-get-osinfo" => Ok(osinfo(root)),
            "guest-get-host-name" => {
                let name = root.read("/etc/hostname").unwrap_or_default();
                Ok(json!({"host-name": name.trim()}))
            }
            "guest-get-time" => Ok(json!(super::now() * 1_000_000)),
            "guest-get-timezone" => Ok(json!({"zone": "UTC", "offset": 0})),
            "guest-get-users" => Ok(json!([])),
            "guest-get-vcpus" => Ok(vcpus(root)),
            "guest-get-fsinfo" => Ok(fsinfo(root)),
            "guest-network-get-interfaces" => Ok(network::report(root)),
            "guest-fsfreeze-status" => Ok(json!("thawed")),
            "guest-fsfreeze-freeze" | "guest-fsfreeze-thaw" => Ok(json!(1)),
            "guest-exec" => self.exec(args),
            "guest-exec-status" => self.exec_status(args),
            "guest-file-open" => self.files.open(root, args),
            "guest-file-read" => self.files.read(args),
            "guest-file-write" => self.files.write(args),
            "guest-file-close" => self.files.close(args),
            "guest-set-user-password" => set_password(root, args),
            "guest-shutdown" => {
                unit::shutdown(root);
                super::init::end(match args["mode"].as_str() {
                    Some("reboot") => "reboot",
                    _ => "poweroff",
                });
                Ok(Value::Null)
            }
            other => Err(Error(
                "CommandNotFound",
                format!("The command {other} has not been found"),
            )),
        }
    }

    fn exec(&mut self, args: &Value) -> Result<Value, Error> {
        let path = args["path"].as_str();
        let path = path.ok_or_else(|| generic("Parameter 'path' is missing"))?;
        let input = args["input-data"].as_str().map(decode).transpose()?;
        let strings = |key: &str| -> Vec<String> {
            let list = args[key].as_array().into_iter().flatten();
            list.filter_map(|item| item.as_str().map(str::to_owned))
                .collect()
        };
        let captures = args["capture-output"] == true;
        let output = || {
            if captures {
                Stdio::piped()
            } else {
                Stdio::null()
            }
        };
        let mut command = Command::new(path);
        command
            .args(strings("arg"))
            .env_clear()
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(output())
            .stderr(output())
            .current_dir("/");
        let env = strings("env");
        if env.is_empty() {
            command.env("PATH", PATH).env("LANG", "C.UTF-8");
        }
        command.envs(env.iter().filter_map(|pair| pair.split_once('=')));
        let child = command.spawn().map_err(|error| {
            let why = match error.kind() {
                std::io::ErrorKind::NotFound => "No such file or directory",
                std::io::ErrorKind::PermissionDenied => "Permission denied",
                _ => "Exec format error",
            };
            generic(format!("Failed to execute child process “{path}” ({why})"))
        })?;
        let pid = child.id();
        let ended = Arc::new(Mutex::new(None));
        self.processes.insert(
            pid,
            Process {
                captures,
                ended: Arc::clone(&ended),
            },
        );
        std::thread::spawn(move || {
            let result = collect(child, input);
            *ended.lock().expect("nothing panics with it") = result;
        });
        Ok(json!({"pid": pid}))
    }

    fn exec_status(&mut self, args: &Value) -> Result<Value, Error> {
        let unknown = || generic("Invalid parameter 'pid'");
        let pid = args["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let pid = pid.ok_or_else(unknown)?;
        let process = self.processes.get(&pid).ok_or_else(unknown)?;
        let Some(ended) = process.ended.lock().expect("nothing panics with it").take() else {
            return Ok(json!({"exited": false}));
        };
        let mut answer = json!({"exited": true});
        match (ended.status.code(), ended.status.signal()) {
            (Some(code), _) => answer["exitcode"] = code.into(),
            (None, signal) => answer["signal"] = signal.into(),
        }
        if process.captures {
            for (name, mut bytes) in [("out", ended.out), ("err", ended.err)] {
                if bytes.len() > OUTPUT_LIMIT {
                    bytes.truncate(OUTPUT_LIMIT);
                    answer[format!("{name}-truncated")] = true.into();
                }
                if !bytes.is_empty() {
                    answer[format!("{name}-data")] = STANDARD.encode(bytes).into();
                }
            }
        }
        self.processes.remove(&pid);
        Ok(answer)
    }
}

fn decode(text: &str) -> Result<Vec<u8>, Error> {
    STANDARD
        .decode(text)
        .map_err(|_| generic("failed to decode base64"))
}

fn collect(mut child: Child, input: Option<Vec<u8>>) -> Option<Ended> {
    let stdin = child.stdin.take();
    let writer = std::thread::spawn(move || {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // A process need not read all of its input.
            let _ = stdin.write_all(&input);
        }
    });
    let stderr = child.stderr.take();
    let errors = std::thread::spawn(move || read(stderr));
    let out = read(child.stdout.take());
    let status = child.wait().ok()?;
    let err = errors.join().ok()?;
    writer.join().ok()?;
    Some(Ended { status, out, err })
}

fn read(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = pipe.read_to_end(&mut bytes);
    }
    bytes
}

fn info() -> Value {
    let names = [
        "ping",
        "info",
        "sync",
        "get-osinfo",
        "get-host-name",
        "get-time",
        "get-timezone",
        "get-users",
        "get-vcpus",
        "get-fsinfo",
        "network-get-interfaces",
        "exec",
        "exec-status",
        "file-open",
        "file-read",
        "file-write",
        "file-flush",
        "file-close",
        "set-user-password",
        "shutdown",
        "fstrim",
        "fsfreeze-status",
        "fsfreeze-freeze",
        "fsfreeze-thaw",
    ];
    let commands: Vec<Value> = names
        .iter()
        .map(|name| json!({
            "name": format!("guest-{name}"), "enabled": true, "success-response": *name != "shutdown",
        }))
        .collect();
    json!({"version": "10.0.2", "supported_commands": commands})
}

fn osinfo(root: &Root) -> Value {
    let release = root.read("/etc/os-release").unwrap_or_default();
    let value = |key: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|line| line.strip_prefix('='))
            .map_or(Value::Null, |text| text.trim_matches('"').into())
    };
    json!({
        "id": value("ID"), "name": value("NAME"), "pretty-name": value("PRETTY_NAME"),
        "version": value("VERSION"), "version-id": value("VERSION_ID"), "machine": "x86_64",
        "kernel-release": "6.12.41+deb13-cloud-amd64",
        "kernel-version": "#1 SMP PREEMPT_DYNAMIC Debian 6.12.41-1 (2025-08-12)",
    })
}

fn vcpus(root: &Root) -> Value {
    let cores = root.boot()["cores"].as_u64().unwrap_or(1);
    let cores =
        (0..cores).map(|id| json!({"logical-id": id, "online": true, "can-offline": id > 0}));
    cores.collect()
}

fn fsinfo(root: &Root) -> Value {
    let mounted = super::disks::mounted(root);
    let list = mounted.iter().map(|mount| {
        json!({
            "name": mount.device.trim_start_matches("/dev/"), "mountpoint": mount.target,
            "type": mount.filesystem, "total-bytes": mount.bytes, "used-bytes": mount.bytes / 10,
            "disk": [],
        })
    });
    list.collect()
}

fn set_password(root: &Root, args: &Value) -> Result<Value, Error> {
    let user = args["username"].as_str().unwrap_or_default();
    let password = decode(args["password"].as_str().unwrap_or_default())?;
    let password = String::from_utf8_lossy(&password).into_owned();
    let shadow = root.read("/etc/shadow").unwrap_or_default();
    let start = format!("{user}:");
    if !shadow.lines().any(|line| line.starts_with(&start)) {
        return Err(generic("child process has failed to set user password"));
    }
    // No crypt(3) here: a plain password is kept only as the fact that it is set.
    let crypted = args["crypted"] == true;
    let field = if crypted {
        password
    } else {
        "$6$set-by-agent".to_owned()
    };
    let lines = shadow.lines().map(|line| {
        if line.starts_with(&start) {
            format!("{user}:{field}:20000:0:99999:7:::\n")
        } else {
            format!("{line}\n")
        }
    });
    root.write("/etc/shadow", lines.collect::<String>())
        .map_err(|error| generic(error.to_string()))?;
    Ok(json!({}))
}
