//! `docker version` and `docker info`, with and without a daemon that answers.

use serde_json::{Map, Value, json};

use super::daemon::{RUNNING, data_root};
use super::{Engine, Flags, NO_DAEMON, VERSION};
use crate::guests::scripted::shim::{Reply, Root, now, template};

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
