//! `docker inspect` and its kin: the Engine's objects in the Engine's JSON.

use serde_json::{Map, Value, json};

use super::{Container, Engine, Flags, Live, image_name};
use crate::guests::scripted::shim::{Reply, Root, now, rfc3339, template};

const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) fn run(root: &Root, kind: Option<&str>, args: &[String]) -> Reply {
    let flags = Flags::parse(args, &["format", "f", "type"]);
    let kind = kind.or(flags.value(&["type"]));
    let engine = Engine::load(root);
    let mut found = Vec::new();
    let mut reply = Reply::default();
    for name in &flags.words {
        if let Some(value) = object(root, &engine, kind, name) {
            found.push(value);
        } else {
            reply.code = 1;
            reply.err.push_str(&match kind {
                Some("image") => format!(
                    "Error response from daemon: No such image: {}\n",
                    image_name(name)
                ),
                Some("volume") => {
                    format!("Error response from daemon: get {name}: no such volume\n")
                }
                Some("network") => {
                    format!("Error response from daemon: network {name} not found\n")
                }
                Some(_) => format!("Error response from daemon: No such container: {name}\n"),
                None => format!("Error: No such object: {name}\n"),
            });
        }
    }
    match flags.value(&["format", "f"]) {
        Some("json") => reply.out = format!("{}\n", Value::Array(found)),
        Some(format) => {
            for value in &found {
                match template::expand(format, value, true) {
                    Ok(text) => reply.out.push_str(&(text + "\n")),
                    Err(why) => {
                        reply.code = 1;
                        reply.err.push_str(&format!("{why}\n"));
                    }
                }
            }
        }
        None => reply.out = format!("{:#}\n", Value::Array(found)),
    }
    reply
}

fn object(root: &Root, engine: &Engine, kind: Option<&str>, name: &str) -> Option<Value> {
    let is = |other: &str| kind.is_none_or(|kind| kind == other);
    if is("container")
        && let Some(index) = engine.find(name)
    {
        return Some(container(&engine.containers[index], now()));
    }
    if is("image")
        && let Some(value) = image(engine, name)
    {
        return Some(value);
    }
    if is("volume")
        && let Some(value) = engine.volumes.get(name)
    {
        let mountpoint = format!(
            "{}/volumes/{name}/_data",
            super::daemon::state(root).trim_end_matches("/engine.json")
        );
        return Some(json!({
            "Name": name, "Driver": "local", "Scope": "local", "Labels": value.labels, "Options": null,
            "CreatedAt": rfc3339(value.created), "Mountpoint": mountpoint,
        }));
    }
    let network = engine.networks.iter().find(|(known, network)| {
        *known == name || network.id == name || name.len() > 11 && network.id.starts_with(name)
    });
    let (name, network) = network.filter(|_| is("network"))?;
    Some(json!({
        "Name": name, "Id": network.id, "Driver": network.driver, "Scope": "local", "Internal": false,
        "Labels": network.labels, "Options": network.options, "Containers": {},
        "IPAM": {"Driver": "default", "Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]},
    }))
}

fn image(engine: &Engine, name: &str) -> Option<Value> {
    let full = image_name(name);
    let (tag, image) = engine.images.iter().find(|(tag, image)| {
        **tag == full
            || image.id == name
            || name.len() > 6 && image.id.trim_start_matches("sha256:").starts_with(name)
    })?;
    let tags: Vec<&str> = if tag.contains('@') {
        Vec::new()
    } else {
        vec![tag]
    };
    Some(json!({
        "Id": image.id, "RepoTags": tags, "RepoDigests": [image.repo_digest(tag)],
        "Created": "2026-01-05T00:00:00Z", "Architecture": "amd64", "Os": "linux", "Size": 8_388_608,
        "Config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["/bin/sh"], "Labels": null},
        "GraphDriver": {"Name": "overlay2", "Data": null},
    }))
}

fn container(container: &Container, now: u64) -> Value {
    let live = container.live(now);
    let command = container
        .command
        .first()
        .cloned()
        .unwrap_or_else(|| "/entrypoint".to_owned());
    let mut value = json!({
        "Id": container.id, "Name": format!("/{}", container.name), "Created": rfc3339(container.created),
        "Path": command, "Args": container.command.iter().skip(1).collect::<Vec<_>>(),
        "Image": container.image_id, "Driver": "overlay2", "Platform": "linux",
        "RestartCount": live.restarts, "State": state(container, &live, now),
        "Config": {
            "Image": container.image, "Labels": container.labels, "Env": container.env, "Cmd": container.command,
            "Hostname": &container.id[..12.min(container.id.len())], "Tty": false,
        },
        "HostConfig": {
            "RestartPolicy": {"Name": container.restart, "MaximumRetryCount": container.max_retries},
            "NetworkMode": container.networks.first(), "PortBindings": ports(container, true),
            "Binds": null, "Privileged": false, "LogConfig": {"Type": "json-file", "Config": {}},
        },
        "Mounts": container.mounts,
        "NetworkSettings": {
            "Ports": if live.status == "running" { ports(container, false) } else { json!({}) },
            "Networks": container.networks.iter().enumerate().map(|(index, name)| (name.clone(), json!({
                "IPAddress": if live.status == "running" { format!("172.{}.0.2", 18 + index) } else { String::new() },
                "Gateway": "172.18.0.1", "Aliases": [container.labels.get("com.docker.compose.service")],
            }))).collect::<Map<_, _>>(),
        },
    });
    if let Some(health) = &container.health {
        value["Config"]["Healthcheck"] = json!({
            "Test": health.test, "Interval": health.interval * 1_000_000, "Timeout": health.timeout * 1_000_000,
            "Retries": health.retries, "StartPeriod": health.start_period * 1_000_000,
        });
    }
    value
}

fn state(container: &Container, live: &Live, now: u64) -> Value {
    let time = |at: Option<u64>| at.map_or(NEVER.to_owned(), rfc3339);
    let running = matches!(live.status, "running" | "restarting");
    let mut state = json!({
        "Status": live.status, "Running": running, "Paused": false, "Restarting": live.status == "restarting",
        "OOMKilled": false, "Dead": false, "Pid": if live.status == "running" { 4242 } else { 0 },
        "ExitCode": if container.error.is_empty() { live.exit_code } else { 128 }, "Error": container.error,
        "StartedAt": time(live.started), "FinishedAt": time(live.finished),
    });
    let last = container
        .health
        .as_ref()
        .map(|health| health.test.join(" "));
    if let (Some(status), Some(test)) = (live.health, last) {
        let log = match (status, live.failing) {
            ("healthy", _) => vec![
                json!({"Start": rfc3339(now), "End": rfc3339(now), "ExitCode": 0, "Output": "ok\n"}),
            ],
            (_, 0) => Vec::new(),
            _ => vec![
                json!({"Start": rfc3339(now), "End": rfc3339(now), "ExitCode": 1, "Output": format!("{test}: not well\n")}),
            ],
        };
        state["Health"] = json!({"Status": status, "FailingStreak": live.failing, "Log": log});
    } else if container.health.is_some() {
        state["Health"] = json!({"Status": "unhealthy", "FailingStreak": 0, "Log": []});
    }
    state
}

fn ports(container: &Container, wanted: bool) -> Value {
    let mut map = Map::new();
    for port in &container.ports {
        if wanted && port.host.is_none() {
            continue;
        }
        let entry = map
            .entry(format!("{}/{}", port.target, port.protocol))
            .or_insert(json!([]));
        match (port.host, entry) {
            (Some(host), Value::Array(list)) => {
                // Compose leaves the address open; the Engine then listens on all.
                let ip = match port.ip.as_str() {
                    "0.0.0.0" if wanted => "",
                    ip => ip,
                };
                list.push(json!({"HostIp": ip, "HostPort": host.to_string()}));
            }
            (None, entry) => *entry = Value::Null,
            _ => {}
        }
    }
    map.into()
}
