//! dockerd: its configuration, its start and stop.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Map, Value, json};

use super::{Engine, Flags, VERSION};
use crate::guests::scripted::shim::{Reply, Root, init, job, now, unit};

/// The configuration that the running daemon has read.
pub(super) const RUNNING: &str = "/run/shim/dockerd.json";
const CONFIG: &str = "/etc/docker/daemon.json";
const PID: &str = "/run/docker.pid";

/// Keys of 26.1 that a test or a provider may set.
const KEYS: &[&str] = &[
    "add-runtimes",
    "allow-nondistributable-artifacts",
    "bip",
    "bridge",
    "builder",
    "cgroup-parent",
    "containerd",
    "containerd-namespace",
    "data-root",
    "debug",
    "default-address-pools",
    "default-cgroupns-mode",
    "default-gateway",
    "default-ipc-mode",
    "default-network-opts",
    "default-runtime",
    "default-shm-size",
    "default-ulimits",
    "dns",
    "dns-opts",
    "dns-search",
    "exec-opts",
    "exec-root",
    "experimental",
    "features",
    "fixed-cidr",
    "fixed-cidr-v6",
    "group",
    "host-gateway-ip",
    "hosts",
    "http-proxy",
    "https-proxy",
    "icc",
    "init",
    "insecure-registries",
    "ip",
    "ip-forward",
    "ip-masq",
    "ip6tables",
    "iptables",
    "ipv6",
    "labels",
    "live-restore",
    "log-driver",
    "log-format",
    "log-level",
    "log-opts",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "metrics-addr",
    "mtu",
    "no-new-privileges",
    "no-proxy",
    "node-generic-resources",
    "oom-score-adjust",
    "pidfile",
    "proxies",
    "raw-logs",
    "registry-mirrors",
    "runtimes",
    "seccomp-profile",
    "selinux-enabled",
    "shutdown-timeout",
    "storage-driver",
    "storage-opts",
    "swarm-default-advertise-addr",
    "tls",
    "tlscacert",
    "tlscert",
    "tlskey",
    "tlsverify",
    "userland-proxy",
    "userland-proxy-path",
    "userns-remap",
];

/// Keys that a reload takes over.
const LIVE: &[&str] = &[
    "debug",
    "labels",
    "live-restore",
    "registry-mirrors",
    "insecure-registries",
    "shutdown-timeout",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "runtimes",
    "default-runtime",
    "default-shm-size",
    "features",
];

/// The file of the Engine's state, in its data root.
pub(super) fn state(root: &Root) -> String {
    format!("{}/engine.json", root_dir(root))
}

/// The data root of the daemon that runs, or ran last.
pub(in super::super) fn root_dir(root: &Root) -> String {
    let running: Value = root.load(RUNNING);
    data_root(&running).to_owned()
}

pub(super) fn data_root(config: &Value) -> &str {
    config["data-root"].as_str().unwrap_or("/var/lib/docker")
}

fn config(root: &Root, path: &str) -> Result<Value, String> {
    let Some(text) = root.read(path).filter(|text| !text.trim().is_empty()) else {
        return Ok(json!({}));
    };
    let failed =
        |why: &str| format!("unable to configure the Docker daemon with file {path}: {why}");
    let parsed: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| failed(&error.to_string()))?;
    let unknown: Vec<&str> = parsed
        .keys()
        .map(String::as_str)
        .filter(|key| !KEYS.contains(key))
        .collect();
    if !unknown.is_empty() {
        return Err(failed(&format!(
            "the following directives don't match any configuration option: {}",
            unknown.join(", ")
        )));
    }
    if parsed.contains_key("hosts") {
        return Err(failed(
            "the following directives are specified both as a flag and in the configuration file: hosts: (from flag: [fd://], from file: [..])",
        ));
    }
    let opts = parsed.get("log-opts").and_then(Value::as_object);
    if let Some((key, value)) = opts
        .into_iter()
        .flatten()
        .find(|(_, value)| !value.is_string())
    {
        return Err(failed(&format!(
            "json: cannot unmarshal {} into Go struct field Config.log-opts.{key} of type string",
            kind(value)
        )));
    }
    for key in ["debug", "live-restore", "iptables", "ip6tables"] {
        if let Some(value) = parsed.get(key).filter(|value| !value.is_boolean()) {
            return Err(failed(&format!(
                "json: cannot unmarshal {} into Go struct field Config.{key} of type bool",
                kind(value)
            )));
        }
    }
    Ok(Value::Object(parsed))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

pub(in super::super) fn run(root: &Root, args: &[String]) -> Reply {
    let flags = Flags::parse(args, &["config-file", "H", "host", "containerd"]);
    if flags.has(&["version", "v"]) {
        return Reply::ok(format!("Docker version {VERSION}, build 411e817\n"));
    }
    if flags.has(&["help"]) {
        return Reply::ok(
            "Usage:  dockerd [OPTIONS]\n      --config-file string\n      --validate   Validate daemon configuration and exit\n",
        );
    }
    if flags.value(&["containerd"]).is_some() {
        // The unit's own call. Others see by this process that the daemon runs.
        loop {
            std::thread::park();
        }
    }
    if !flags.has(&["validate"]) {
        return Reply::fail(
            1,
            "failed to start daemon: process with PID 1 is still running",
        );
    }
    match config(root, flags.value(&["config-file"]).unwrap_or(CONFIG)) {
        // Without the unit's flags there is nothing for `hosts` to clash with.
        Err(why) if why.contains("both as a flag") && flags.value(&["H", "host"]).is_none() => {
            Reply {
                err: "configuration OK\n".to_owned(),
                ..Reply::default()
            }
        }
        Err(why) => Reply::fail(1, why),
        Ok(_) => Reply {
            err: "configuration OK\n".to_owned(),
            ..Reply::default()
        },
    }
}

pub(in super::super) fn start(root: &Root) -> Result<(), String> {
    let config = config(root, CONFIG)?;
    let dir = data_root(&config).to_owned();
    std::fs::create_dir_all(root.path(&dir)).map_err(|error| error.to_string())?;
    root.write(RUNNING, config.to_string())
        .map_err(|error| error.to_string())?;
    launch(root)?;
    let now = now();
    let booted: u64 = root
        .read("/run/shim/booted_at")
        .and_then(|at| at.parse().ok())
        .unwrap_or(0);
    Engine::change(root, |engine| {
        for (name, driver) in [("bridge", "bridge"), ("host", "host"), ("none", "null")] {
            engine.network(name, driver);
        }
        for container in &mut engine.containers {
            let live = container.live(now);
            let ran = matches!(live.status, "running" | "restarting");
            // Without a clean stop the processes died with the power.
            if ran && live.started.is_some_and(|at| at < booted) {
                container.stopped = Some((booted, 255));
            } else if !ran && !container.resumes {
                continue;
            }
            container.resumes = false;
            if matches!(container.restart.as_str(), "always" | "unless-stopped")
                && container.stopped.is_some()
            {
                container.started = Some(now);
                container.stopped = None;
            }
        }
    });
    Ok(())
}

/// Starts a process that is called dockerd, as an orphan that pid 1 reaps.
fn launch(root: &Root) -> Result<(), String> {
    let places = ["/usr/sbin/dockerd", "/usr/bin/dockerd"];
    let program = places.iter().find(|place| root.path(place).is_symlink());
    let program =
        program.ok_or("docker.service: Unable to locate executable '/usr/sbin/dockerd'")?;
    let output = Command::new("/bin/sh")
        .args(["-c", "\"$0\" \"$@\" </dev/null >/dev/null 2>&1 & echo $!"])
        .args([
            program,
            "-H",
            "fd://",
            "--containerd=/run/containerd/containerd.sock",
        ])
        .output()
        .map_err(|error| error.to_string())?;
    let pid = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    unit::set(root, "docker.service", |unit| {
        unit.pid = pid.parse().unwrap_or(0);
    });
    root.write(PID, pid).map_err(|error| error.to_string())
}

pub(in super::super) fn stop(root: &Root) {
    if let Some(pid) = root.read(PID) {
        init::real("kill", &["-KILL", pid.trim()]);
        let _ = std::fs::remove_file(root.path(PID));
    }
    let running: Value = root.load(RUNNING);
    if running["live-restore"] == true {
        return;
    }
    let now = now();
    Engine::change(root, |engine| {
        for index in 0..engine.containers.len() {
            if matches!(
                engine.containers[index].live(now).status,
                "running" | "restarting"
            ) {
                engine.stop(index, 137);
                engine.containers[index].resumes = true;
            }
        }
    });
}

/// Takes over what can change in a running daemon; a broken file is only said in the journal.
pub(in super::super) fn reload(root: &Root) {
    match config(root, CONFIG) {
        Ok(new) => root.update(RUNNING, |running: &mut BTreeMap<String, Value>| {
            for (key, value) in new.as_object().into_iter().flatten() {
                if LIVE.contains(&key.as_str()) {
                    running.insert(key.clone(), value.clone());
                }
            }
        }),
        Err(why) => job::log(root, "docker.service", &format!("{why}\n")),
    }
}
