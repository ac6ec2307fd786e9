//! What a service in its long form says of each of its containers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::project::Project;
use super::super::{FILES, HASH, NUMBER, ONE_OFF, PROJECT, SERVICE, VERSION, normal};
use crate::guests::scripted::shim::docker::{self, Container, Health, Port};
use crate::guests::scripted::shim::{Reply, Root, now, sha256};

pub(super) fn container(
    project: &Project,
    name: &str,
    service: &Value,
    number: u64,
    hash: &str,
) -> Container {
    let depends = service["depends_on"].as_object().into_iter().flatten();
    let depends: Vec<String> = depends
        .map(|(name, how)| {
            format!(
                "{name}:{}:false",
                how["condition"].as_str().unwrap_or("service_started")
            )
        })
        .collect();
    let mut labels: BTreeMap<String, String> = service["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    labels.extend(
        [
            (PROJECT, project.name.clone()),
            (SERVICE, name.to_owned()),
            (NUMBER, number.to_string()),
            (ONE_OFF, "False".to_owned()),
            (HASH, hash.to_owned()),
            (
                "com.docker.compose.project.working_dir",
                project.directory.clone(),
            ),
            (FILES, project.files.join(",")),
            ("com.docker.compose.depends_on", depends.join(",")),
            ("com.docker.compose.version", VERSION.to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    if !project.env_files.is_empty() {
        labels.insert(
            "com.docker.compose.project.environment_file".to_owned(),
            project.env_files.join(","),
        );
    }
    let strings = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect()
    };
    let environment = service["environment"].as_object().into_iter().flatten();
    let (restart, max) = match service["restart"].as_str().unwrap_or("no").split_once(':') {
        Some((policy, max)) => (policy.to_owned(), max.parse().unwrap_or(0)),
        None => (service["restart"].as_str().unwrap_or("no").to_owned(), 0),
    };
    let ports = service["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|port| Port {
            ip: port["host_ip"].as_str().unwrap_or("0.0.0.0").to_owned(),
            host: port["published"]
                .as_str()
                .and_then(|port| port.parse().ok()),
            target: port["target"]
                .as_u64()
                .and_then(|port| u16::try_from(port).ok())
                .unwrap_or(0),
            protocol: port["protocol"].as_str().unwrap_or("tcp").to_owned(),
        });
    let networks = match service["network_mode"].as_str() {
        Some(mode) => vec![mode.to_owned()],
        None => service["networks"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| project.resource("networks", key).0)
            .collect(),
    };
    let command = [
        strings(&service["entrypoint"]),
        strings(&service["command"]),
    ]
    .concat();
    Container {
        created: now(),
        labels,
        env: environment
            .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
            .collect(),
        command,
        health: health(&service["healthcheck"]),
        restart,
        max_retries: max,
        networks,
        ports: ports.collect(),
        ..Container::default()
    }
}

fn health(check: &Value) -> Option<Health> {
    let test: Vec<String> = check["test"]
        .as_array()?
        .iter()
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect();
    if check["disable"] == true || test.first().is_none_or(|word| word == "NONE") {
        return None;
    }
    let time = |key: &str, default: u64| normal::duration(&check[key]).unwrap_or(default);
    let retries = check["retries"]
        .as_u64()
        .or_else(|| check["retries"].as_str()?.parse().ok());
    Some(Health {
        test,
        interval: time("interval", 30_000),
        timeout: time("timeout", 30_000),
        retries: retries.unwrap_or(3),
        start_period: time("start_period", 0),
    })
}

/// The mounts of a container; a source that must exist and does not is the Engine's error.
pub(super) fn mounts(root: &Root, project: &Project, service: &Value) -> Result<Vec<Value>, Reply> {
    let missing = |source: &str| {
        Reply::fail(
            1,
            format!(
                "Error response from daemon: invalid mount config for type \"bind\": bind source path does not exist: {source}"
            ),
        )
    };
    let mut mounts = Vec::new();
    for volume in service["volumes"].as_array().into_iter().flatten() {
        let target = volume["target"].as_str().unwrap_or_default();
        let writes = volume["read_only"] != true;
        let source = volume["source"].as_str().unwrap_or_default();
        if !target.starts_with('/') {
            return Err(Reply::fail(
                1,
                format!(
                    "Error response from daemon: invalid mount config for type \"volume\": invalid mount path: '{target}' mount path must be absolute"
                ),
            ));
        }
        if volume["type"] == "bind" {
            if !root.path(source).exists() {
                if volume["bind"]["create_host_path"] != true {
                    return Err(missing(source));
                }
                let _ = std::fs::create_dir_all(root.path(source));
            }
            mounts.push(json!({"Type": "bind", "Source": source, "Destination": target, "Mode": "", "RW": writes, "Propagation": "rprivate"}));
        } else if volume["type"] == "volume" {
            let name = if source.is_empty() {
                sha256(format!("{target} {}", now()).as_bytes())
            } else {
                project.resource("volumes", source).0
            };
            let place = format!("{}/volumes/{name}/_data", docker::daemon::root_dir(root));
            mounts.push(json!({"Type": "volume", "Name": name, "Source": place, "Destination": target, "Driver": "local", "Mode": "z", "RW": writes, "Propagation": ""}));
        }
    }
    for (section, dir) in [("secrets", "/run/secrets/"), ("configs", "/")] {
        for item in service[section].as_array().into_iter().flatten() {
            let key = item["source"].as_str().unwrap_or_default();
            let Some(file) = project.sections[section][key]["file"].as_str() else {
                continue;
            };
            let source = normal::absolute(file, &project.directory);
            if !root.path(&source).exists() {
                return Err(missing(&source));
            }
            let target = item["target"].as_str().unwrap_or(key);
            let target = if target.starts_with('/') {
                target.to_owned()
            } else {
                format!("{dir}{target}")
            };
            mounts.push(json!({"Type": "bind", "Source": source, "Destination": target, "Mode": "", "RW": false, "Propagation": "rprivate"}));
        }
    }
    Ok(mounts)
}
