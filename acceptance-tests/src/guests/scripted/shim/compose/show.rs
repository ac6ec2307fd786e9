//! `config`, `ps`, `ls` and `logs`: what a project is, and how its containers are.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::project::{Project, hash};
use super::{FILES, Global, PROJECT, SERVICE, containers, name_of};
use crate::guests::scripted::shim::docker::{self, Container, Engine, Flags};
use crate::guests::scripted::shim::{Reply, Root, now, rfc3339, template, yaml};

pub(super) fn config(root: &Root, global: &Global, args: &[String]) -> Reply {
    let flags = Flags::parse(args, &["hash", "format", "o", "output"]);
    let project = match Project::load(root, global, !flags.has(&["no-interpolate"])) {
        Ok(project) => project,
        Err(reply) => return reply,
    };
    let wanted = |name: &String| flags.words.is_empty() || flags.words.contains(name);
    let names: Vec<&String> = project
        .services
        .keys()
        .filter(|name| wanted(name))
        .collect();
    let lines = |items: Vec<String>| {
        items
            .into_iter()
            .map(|item| item + "\n")
            .collect::<String>()
    };
    let out = if let Some(which) = flags.value(&["hash"]) {
        // This version does not read env files here, unlike `up`.
        let chosen = project
            .services
            .iter()
            .filter(|(name, _)| which == "*" || which.split(',').any(|one| one == *name));
        lines(
            chosen
                .map(|(name, service)| format!("{name} {}", hash(service)))
                .collect(),
        )
    } else if flags.has(&["services"]) {
        lines(names.into_iter().cloned().collect())
    } else if flags.has(&["images"]) {
        let image = |name: &String| {
            project.services[name]["image"]
                .as_str()
                .map_or(format!("{}-{name}", project.name), str::to_owned)
        };
        lines(names.into_iter().map(image).collect())
    } else if flags.has(&["volumes"]) {
        lines(
            project.sections["volumes"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect(),
        )
    } else {
        match whole(root, &project, names) {
            Ok(value) if flags.value(&["format"]) == Some("json") => format!("{value:#}\n"),
            Ok(value) => yaml::print(&value),
            Err(reply) => return reply,
        }
    };
    let mut reply = Reply {
        out,
        err: project.warnings.clone(),
        ..Reply::default()
    };
    if let Some(path) = flags.value(&["o", "output"]) {
        let _ = root.write(path, &reply.out);
        reply.out.clear();
    }
    if flags.has(&["q", "quiet"]) {
        reply.out.clear();
    }
    reply
}

fn whole(root: &Root, project: &Project, names: Vec<&String>) -> Result<Value, Reply> {
    let mut services = Map::new();
    for name in names {
        let mut service = project.resolved(root, &project.services[name])?;
        dollars(&mut service);
        services.insert(name.clone(), service);
    }
    let mut all = json!({"name": project.name, "services": services});
    for section in ["networks", "volumes", "secrets", "configs"] {
        let mut entries = project.sections[section]
            .as_object()
            .cloned()
            .unwrap_or_default();
        if section == "networks"
            && project
                .services
                .values()
                .any(|service| service["networks"].get("default").is_some())
        {
            entries.entry("default").or_insert(json!({}));
        }
        for (key, entry) in &mut entries {
            if entry.is_null() {
                *entry = json!({});
            }
            entry["name"] = project.resource(section, key).0.into();
            if let Some(file) = entry["file"].as_str() {
                entry["file"] = super::normal::absolute(file, &project.directory).into();
            }
        }
        if !entries.is_empty() {
            all[section] = entries.into();
        }
    }
    Ok(all)
}

/// Escapes `$`, so that the text reads back as the same values.
fn dollars(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('$', "$$"),
        Value::Array(items) => items.iter_mut().for_each(dollars),
        Value::Object(map) => map.values_mut().for_each(dollars),
        _ => {}
    }
}

pub(super) fn ps(root: &Root, global: &Global, args: &[String]) -> Reply {
    let flags = Flags::parse(args, &["format", "filter", "status"]);
    let name = match name_of(root, global) {
        Ok(name) => name,
        Err(reply) => return reply,
    };
    let engine = Engine::load(root);
    let now = now();
    let shown: Vec<&Container> = containers(&engine, &name)
        .into_iter()
        .map(|index| &engine.containers[index])
        .filter(|container| {
            let live = container.live(now);
            let service = container.labels.get(SERVICE).cloned().unwrap_or_default();
            (flags.has(&["a", "all"]) || matches!(live.status, "running" | "restarting"))
                && (flags.words.is_empty() || flags.words.contains(&service))
                && flags
                    .value(&["status"])
                    .is_none_or(|status| status == live.status)
        })
        .collect();
    if flags.has(&["q", "quiet"]) {
        return Reply::ok(
            shown
                .iter()
                .map(|container| format!("{}\n", container.id))
                .collect::<String>(),
        );
    }
    if flags.has(&["services"]) {
        let mut names: Vec<String> = shown
            .iter()
            .filter_map(|container| container.labels.get(SERVICE).cloned())
            .collect();
        names.dedup();
        return Reply::ok(
            names
                .into_iter()
                .map(|name| name + "\n")
                .collect::<String>(),
        );
    }
    let rows: Vec<Value> = shown.iter().map(|container| row(container, now)).collect();
    match flags.value(&["format"]).unwrap_or("table") {
        "json" => Reply::ok(
            rows.iter()
                .map(|row| format!("{row}\n"))
                .collect::<String>(),
        ),
        "table" => {
            let mut out = "NAME IMAGE COMMAND SERVICE CREATED STATUS PORTS\n".to_owned();
            for row in &rows {
                let cell = |key: &str| row[key].as_str().unwrap_or_default();
                out.push_str(&format!(
                    "{} {} {} {} {} {} {}\n",
                    cell("Name"),
                    cell("Image"),
                    cell("Command"),
                    cell("Service"),
                    cell("RunningFor"),
                    cell("Status"),
                    cell("Ports")
                ));
            }
            Reply::ok(out)
        }
        format => {
            let expanded: Result<Vec<String>, String> = rows
                .iter()
                .map(|row| template::expand(format, row, false))
                .collect();
            match expanded {
                Ok(lines) => Reply::ok(
                    lines
                        .into_iter()
                        .map(|line| line + "\n")
                        .collect::<String>(),
                ),
                Err(why) => Reply::fail(1, why),
            }
        }
    }
}

fn row(container: &Container, now: u64) -> Value {
    let live = container.live(now);
    let label = |key: &str| container.labels.get(key).cloned().unwrap_or_default();
    let labels: Vec<String> = container
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let publishers: Vec<Value> = container
        .ports
        .iter()
        .map(|port| {
            json!({
                "URL": port.host.map_or("", |_| port.ip.as_str()), "TargetPort": port.target,
                "PublishedPort": port.host.unwrap_or(0), "Protocol": port.protocol,
            })
        })
        .collect();
    json!({
        "ID": &container.id[..12], "Name": container.name, "Names": container.name, "Image": container.image,
        "Command": format!("\"{}\"", container.command.join(" ")), "CreatedAt": rfc3339(container.created), "RunningFor": "",
        "Project": label(PROJECT), "Service": label(SERVICE), "State": live.status, "Status": docker::status(&live, now),
        "Health": live.health.unwrap_or(""), "ExitCode": live.exit_code, "Publishers": publishers,
        "Labels": labels.join(","), "Networks": container.networks.join(","), "Ports": "", "Mounts": "", "LocalVolumes": "0", "Size": "0B",
    })
}

pub(super) fn ls(root: &Root, args: &[String]) -> Reply {
    let flags = Flags::parse(args, &["format", "filter"]);
    let engine = Engine::load(root);
    let now = now();
    let mut projects: BTreeMap<&str, (BTreeMap<&str, usize>, Vec<&str>)> = BTreeMap::new();
    for container in &engine.containers {
        let Some(name) = container.labels.get(PROJECT) else {
            continue;
        };
        let (states, files) = projects.entry(name).or_default();
        *states.entry(container.live(now).status).or_default() += 1;
        for file in container
            .labels
            .get(FILES)
            .into_iter()
            .flat_map(|files| files.split(','))
        {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    if !flags.has(&["a", "all"]) {
        projects.retain(|_, (states, _)| states.contains_key("running"));
    }
    let rows: Vec<Value> = projects
        .iter()
        .map(|(name, (states, files))| {
            let states: Vec<String> = states
                .iter()
                .map(|(state, count)| format!("{state}({count})"))
                .collect();
            json!({"Name": name, "Status": states.join(", "), "ConfigFiles": files.join(",")})
        })
        .collect();
    if flags.has(&["q", "quiet"]) {
        return Reply::ok(
            projects
                .keys()
                .map(|name| format!("{name}\n"))
                .collect::<String>(),
        );
    }
    if flags.value(&["format"]) == Some("json") {
        return Reply::ok(format!("{}\n", Value::Array(rows)));
    }
    let mut out = "NAME                STATUS              CONFIG FILES\n".to_owned();
    for row in rows {
        out.push_str(&format!(
            "{} {} {}\n",
            row["Name"].as_str().unwrap_or_default(),
            row["Status"].as_str().unwrap_or_default(),
            row["ConfigFiles"].as_str().unwrap_or_default()
        ));
    }
    Reply::ok(out)
}

pub(super) fn logs(root: &Root, global: &Global, args: &[String]) -> Reply {
    let flags = Flags::parse(args, &["n", "tail", "since", "until"]);
    let name = match name_of(root, global) {
        Ok(name) => name,
        Err(reply) => return reply,
    };
    let tail = flags
        .value(&["n", "tail"])
        .and_then(|tail| tail.parse().ok())
        .unwrap_or(usize::MAX);
    let engine = Engine::load(root);
    let mut out = String::new();
    for index in containers(&engine, &name) {
        let container = &engine.containers[index];
        let service = container.labels.get(SERVICE).cloned().unwrap_or_default();
        if !flags.words.is_empty() && !flags.words.contains(&service) {
            continue;
        }
        let lines = docker::lines(container);
        for line in &lines[lines.len().saturating_sub(tail)..] {
            let prefix = if flags.has(&["no-log-prefix"]) {
                String::new()
            } else {
                format!("{}  | ", container.name)
            };
            out.push_str(&format!("{prefix}{line}\n"));
        }
    }
    Reply::ok(out)
}
