//! dockerd: its configuration, its start and stop, `docker version` and `docker info`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Engine, Flags, NO_DAEMON, VERSION};
use crate::guests::scripted::shim::{Reply, Root, job, now, template};

/// The configuration that the running daemon has read.
const RUNNING: &str = "/run/shim/dockerd.json";
const CONFIG: &str = "/etc/docker/daemon.json";

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

fn data_root(config: &Value) -> &str {
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

pub(in super::super) fn stop(root: &Root) {
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

pub(super) fn version(root: &Root, args: &[String]) -> Reply {
    let flags = Flags::parse(args, &["format", "f"]);
    let side = json!({
        "Version": VERSION, "ApiVersion": "1.45", "GitCommit": "411e817", "GoVersion": "go1.24.4",
        "Os": "linux", "Arch": "amd64", "DefaultAPIVersion": "1.45", "MinAPIVersion": "1.24",
    });
    let alive = super::alive(root);
    let data = json!({"Client": side, "Server": if alive { side.clone() } else { Value::Null }});
    let out = match flags.value(&["format", "f"]) {
        Some("json") => Ok(format!("{data}\n")),
        Some(format) => template::expand(format, &data, false).map(|text| text + "\n"),
        None => Ok(format!(
            "Client:\n Version:           {VERSION}\n API version:       1.45\n\nServer:\n Engine:\n  Version:          {VERSION}\n"
        )),
    };
    match out {
        Err(why) => Reply::fail(64, why),
        Ok(out) if alive => Reply::ok(out),
        Ok(out) => Reply {
            code: 1,
            out,
            err: format!("{NO_DAEMON}\n"),
        },
    }
}

pub(super) fn info(root: &Root, args: &[String]) -> Reply {
    let flags = Flags::parse(args, &["format", "f"]);
    let alive = super::alive(root);
    let config: Value = root.load(RUNNING);
    let engine = if alive {
        Engine::load(root)
    } else {
        Engine::default()
    };
    let now = now();
    let running = engine
        .containers
        .iter()
        .filter(|container| container.live(now).status == "running")
        .count();
    let strings = |key: &str| config[key].as_array().cloned().unwrap_or_default();
    let boot = root.boot();
    let mut data = json!({
        "ServerVersion": if alive { VERSION } else { "" }, "Driver": if alive { "overlay2" } else { "" },
        "DriverStatus": [["Backing Filesystem", "extfs"], ["Supports d_type", "true"], ["Using metacopy", "false"], ["Native Overlay Diff", "true"], ["userxattr", "false"]],
        "DockerRootDir": if alive { data_root(&config) } else { "" },
        "Containers": engine.containers.len(), "ContainersRunning": running,
        "ContainersPaused": 0, "ContainersStopped": engine.containers.len() - running, "Images": engine.images.len(),
        "CgroupDriver": "systemd", "CgroupVersion": "2", "LoggingDriver": config["log-driver"].as_str().unwrap_or("json-file"),
        "LiveRestoreEnabled": config["live-restore"] == true, "Swarm": {"LocalNodeState": "inactive", "NodeID": "", "ControlAvailable": false},
        "Name": root.read("/etc/hostname").unwrap_or_default().trim(), "OperatingSystem": "Debian GNU/Linux 13 (trixie)",
    });
    let rest = json!({
        "OSType": "linux", "Architecture": "x86_64", "NCPU": boot["cores"], "MemTotal": boot["memory_mib"].as_u64().unwrap_or(0) * 1_048_576,
        "Debug": config["debug"] == true, "Labels": strings("labels"), "HttpProxy": "", "HttpsProxy": "", "NoProxy": "",
        "RegistryConfig": {"InsecureRegistryCIDRs": ["127.0.0.0/8"], "Mirrors": strings("registry-mirrors"),
            "IndexConfigs": index_configs(&strings("insecure-registries"))},
        "DefaultAddressPools": config["default-address-pools"].as_array().into_iter().flatten().map(|pool| json!({"Base": pool["base"], "Size": pool["size"]})).collect::<Vec<_>>(),
        "DefaultRuntime": "runc", "Runtimes": {"runc": {"path": "runc"}, "io.containerd.runc.v2": {"path": "runc"}},
        "RuncCommit": {"ID": "1.1.15+ds1-2+b4", "Expected": "1.1.15+ds1-2+b4"}, "ContainerdCommit": {"ID": "1.7.24~ds1-6+b4", "Expected": ""},
        "InitBinary": "docker-init", "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
        "IndexServerAddress": "https://index.docker.io/v1/", "Warnings": Value::Null, "IPv4Forwarding": true, "MemoryLimit": true,
        "ServerErrors": if alive { Value::Null } else { json!([NO_DAEMON]) },
        "ClientInfo": {"Version": VERSION, "Context": "default", "Plugins": [{"Name": "compose", "Version": "2.26.1", "Path": "/usr/libexec/docker/cli-plugins/docker-compose"}]},
    });
    if let (Some(data), Value::Object(rest)) = (data.as_object_mut(), rest) {
        data.extend(rest);
    }
    let plain = format!(
        "Client:\n Version:    {VERSION}\n\nServer:\n Containers: {}\n Server Version: {VERSION}\n Storage Driver: overlay2\n",
        engine.containers.len()
    );
    match flags.value(&["format", "f"]) {
        Some("json") => Reply {
            out: format!("{data}\n"),
            err: if alive {
                String::new()
            } else {
                format!("{NO_DAEMON}\n")
            },
            code: 0,
        },
        Some(format) => match template::expand(format, &data, true) {
            Ok(text) => Reply {
                code: 0,
                out: text + "\n",
                err: if alive {
                    String::new()
                } else {
                    format!("ERROR: {NO_DAEMON}\n")
                },
            },
            Err(why) => Reply::fail(64, why),
        },
        None if alive => Reply::ok(plain),
        None => Reply {
            code: 1,
            out: format!("Client:\n Version:    {VERSION}\n\nServer:\n"),
            err: format!("ERROR: {NO_DAEMON}\nerrors pretty printing info\n"),
        },
    }
}

fn index_configs(insecure: &[Value]) -> Value {
    let mut configs = Map::new();
    configs.insert(
        "docker.io".to_owned(),
        json!({"Name": "docker.io", "Official": true, "Secure": true, "Mirrors": []}),
    );
    for name in insecure.iter().filter_map(Value::as_str) {
        configs.insert(
            name.to_owned(),
            json!({"Name": name, "Official": false, "Secure": false, "Mirrors": []}),
        );
    }
    configs.into()
}
