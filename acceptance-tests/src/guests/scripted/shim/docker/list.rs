//! `docker ps`, `images`, `volume ls`, `network ls` and `logs`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Container, Engine, Flags, Live, engine::repository, image_name};
use crate::guests::scripted::shim::{Reply, Root, now, rfc3339, template};

const VALUED: &[&str] = &[
    "filter", "f", "format", "n", "last", "tail", "since", "until",
];

/// Whether an object passes every `--filter`; repeated keys of a kind other than labels are "or".
fn passes(
    flags: &Flags,
    labels: &BTreeMap<String, String>,
    other: impl Fn(&str, &str) -> bool,
) -> bool {
    let filters = flags.values(&["filter", "f"]);
    let pairs: Vec<(&str, &str)> = filters
        .iter()
        .filter_map(|filter| filter.split_once('='))
        .collect();
    let labelled = |value: &str| match value.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|label| label == value),
        None => labels.contains_key(value),
    };
    pairs.iter().all(|(key, value)| match *key {
        "label" => labelled(value),
        "label!" => !labelled(value),
        key => pairs
            .iter()
            .any(|(other_key, value)| *other_key == key && other(key, value)),
    })
}

fn rows(flags: &Flags, rows: &[Value], ids: &str, table: &str) -> Reply {
    if flags.has(&["q", "quiet"]) {
        return Reply::ok(
            rows.iter()
                .map(|row| format!("{}\n", row[ids].as_str().unwrap_or_default()))
                .collect::<String>(),
        );
    }
    let format = flags
        .value(&["format"])
        .filter(|format| *format != "table")
        .unwrap_or(table);
    let mut out = String::new();
    let body = match format.strip_prefix("table ") {
        Some(body) => {
            let heading = body.replace("{{.", "").replace("}}", "").to_uppercase();
            out.push_str(&format!("{heading}\n"));
            body
        }
        None => format,
    };
    let body = body.replace("\\t", "\t").replace("\\n", "\n");
    for row in rows {
        if body == "json" || body == "{{json .}}" {
            let mut row = row.clone();
            row.as_object_mut().and_then(|row| row.remove("Label"));
            out.push_str(&format!("{row}\n"));
            continue;
        }
        match template::expand(&body, row, false) {
            Ok(text) => out.push_str(&(text + "\n")),
            Err(why) => return Reply::fail(1, why),
        }
    }
    Reply::ok(out)
}

fn joined(labels: &BTreeMap<String, String>) -> String {
    let pairs = labels.iter().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join(",")
}

pub(super) fn ps(root: &Root, args: &[String]) -> Reply {
    let flags = Flags::parse(args, VALUED);
    let now = now();
    let engine = Engine::load(root);
    let all = flags.has(&["a", "all"])
        || !flags
            .values(&["filter", "f"])
            .iter()
            .all(|filter| !filter.starts_with("status="));
    let mut found = Vec::new();
    for container in engine.containers.iter().rev() {
        let live = container.live(now);
        let shown = all || matches!(live.status, "running" | "restarting");
        let passes = passes(&flags, &container.labels, |key, value| match key {
            "name" => {
                let value = value.trim_start_matches('^').trim_start_matches('/');
                match value.strip_suffix('$') {
                    Some(exact) => container.name == exact,
                    None => container.name.contains(value),
                }
            }
            "id" => container.id.starts_with(value),
            "status" => live.status == value,
            "health" => live.health.unwrap_or("none") == value,
            "ancestor" => {
                container.image == value || image_name(&container.image) == image_name(value)
            }
            "network" => container.networks.iter().any(|network| network == value),
            _ => true,
        });
        if shown && passes {
            found.push(row(container, &live, now, flags.has(&["no-trunc"])));
        }
    }
    rows(
        &flags,
        &found,
        "ID",
        "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
    )
}

fn row(container: &Container, live: &Live, now: u64, whole: bool) -> Value {
    let id = if whole {
        &container.id
    } else {
        &container.id[..12]
    };
    let ports: Vec<String> = container
        .ports
        .iter()
        .map(|port| match port.host {
            Some(host) => format!("{}:{host}->{}/{}", port.ip, port.target, port.protocol),
            None => format!("{}/{}", port.target, port.protocol),
        })
        .collect();
    json!({
        "ID": id, "Names": container.name, "Image": container.image, "Command": format!("\"{}\"", container.command.join(" ")),
        "CreatedAt": rfc3339(container.created), "RunningFor": format!("{} ago", since(now, container.created)),
        "State": live.status, "Status": status(live, now), "Labels": joined(&container.labels), "Label": container.labels,
        "Ports": if live.status == "running" { ports.join(", ") } else { String::new() },
        "Networks": container.networks.join(","), "Mounts": "", "LocalVolumes": "0", "Size": "0B",
    })
}

pub(in super::super) fn status(live: &Live, now: u64) -> String {
    match live.status {
        "created" => "Created".to_owned(),
        "exited" => format!(
            "Exited ({}) {} ago",
            live.exit_code,
            since(now, live.finished.unwrap_or(now))
        ),
        "restarting" => format!(
            "Restarting ({}) {} ago",
            live.exit_code,
            since(now, live.finished.unwrap_or(now))
        ),
        _ => {
            let health = match live.health {
                Some("starting") => " (health: starting)".to_owned(),
                Some(health) => format!(" ({health})"),
                None => String::new(),
            };
            format!("Up {}{health}", since(now, live.started.unwrap_or(now)))
        }
    }
}

fn since(now: u64, at: u64) -> String {
    match now.saturating_sub(at) / 1000 {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        seconds @ 2..60 => format!("{seconds} seconds"),
        seconds @ 60..120 => format!("About a minute{}", if seconds == 0 { "s" } else { "" }),
        seconds => format!("{} minutes", seconds / 60),
    }
}

pub(super) fn images(root: &Root, args: &[String]) -> Reply {
    let flags = Flags::parse(args, VALUED);
    let engine = Engine::load(root);
    let whole = flags.has(&["no-trunc"]);
    let found: Vec<Value> = engine.images.iter().filter(|(name, _)| flags.words.first().is_none_or(|word| image_name(word) == **name || repository(name) == word)).map(|(name, image)| {
        let tag = name.strip_prefix(repository(name)).unwrap_or_default().trim_start_matches(':');
        let short = image.id.trim_start_matches("sha256:").get(..12).unwrap_or_default();
        json!({
            "ID": if whole { image.id.as_str() } else { short }, "Repository": repository(name),
            "Tag": if tag.contains('@') { "<none>" } else { tag }, "Digest": image.digest,
            "CreatedSince": "10 months ago", "CreatedAt": rfc3339(image.pulled), "Size": "8.39MB",
        })
    }).collect();
    rows(
        &flags,
        &found,
        "ID",
        "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
    )
}

pub(super) fn volumes(root: &Root, args: &[String]) -> Reply {
    let flags = Flags::parse(args, VALUED);
    let engine = Engine::load(root);
    let used = |name: &str| {
        engine
            .containers
            .iter()
            .any(|container| container.mounts.iter().any(|mount| mount["Name"] == name))
    };
    let found: Vec<Value> = engine.volumes.iter().filter(|(name, volume)| {
        passes(&flags, &volume.labels, |key, value| match key {
            "name" => name.contains(value),
            "dangling" => used(name) != (value == "true"),
            _ => true,
        })
    }).map(|(name, volume)| json!({
        "Name": name, "Driver": "local", "Scope": "local", "Labels": joined(&volume.labels), "Label": volume.labels,
        "Mountpoint": format!("{}/volumes/{name}/_data", super::daemon::state(root).trim_end_matches("/engine.json")),
    })).collect();
    rows(&flags, &found, "Name", "table {{.Driver}}\t{{.Name}}")
}

pub(super) fn networks(root: &Root, args: &[String]) -> Reply {
    let flags = Flags::parse(args, VALUED);
    let engine = Engine::load(root);
    let found: Vec<Value> = engine.networks.iter().filter(|(name, network)| {
        passes(&flags, &network.labels, |key, value| match key {
            "name" => name.contains(value),
            "driver" => network.driver == value,
            _ => true,
        })
    }).map(|(name, network)| json!({
        "ID": if flags.has(&["no-trunc"]) { &network.id } else { &network.id[..12] }, "Name": name, "Driver": network.driver,
        "Scope": "local", "Labels": joined(&network.labels), "Label": network.labels,
    })).collect();
    rows(
        &flags,
        &found,
        "ID",
        "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    )
}

pub(super) fn logs(root: &Root, args: &[String]) -> Reply {
    let flags = Flags::parse(args, VALUED);
    let engine = Engine::load(root);
    let name = flags.words.first().cloned().unwrap_or_default();
    let Some(index) = engine.find(&name) else {
        return Reply::fail(
            1,
            format!("Error response from daemon: No such container: {name}"),
        );
    };
    let lines = lines(&engine.containers[index]);
    let tail = flags
        .value(&["tail", "n"])
        .and_then(|tail| tail.parse().ok())
        .unwrap_or(usize::MAX);
    let start = lines.len().saturating_sub(tail);
    Reply::ok(
        lines[start..]
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    )
}

/// What a container would have written.
pub(in super::super) fn lines(container: &Container) -> Vec<String> {
    let live = container.live(now());
    if live.started.is_none() {
        return Vec::new();
    }
    let mut lines = vec![format!("{}: starting", container.name)];
    for restart in 0..live.restarts {
        lines.push(format!(
            "{}: exits with {}, restart {}",
            container.name,
            live.exit_code,
            restart + 1
        ));
    }
    if live.status == "exited" {
        lines.push(format!("{}: exits with {}", container.name, live.exit_code));
    }
    lines
}
