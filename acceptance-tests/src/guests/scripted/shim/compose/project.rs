//! A project: its files read, merged and made long, with what they refer to checked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::interpolate::{self, Variables};
use super::{Global, exit, normal, schema};
use crate::guests::scripted::shim::{Reply, Root, sha256, yaml};

pub(super) struct Project {
    pub(super) name: String,
    /// The working directory, and what relative paths start from.
    pub(super) directory: String,
    pub(super) files: Vec<String>,
    pub(super) env_files: Vec<String>,
    /// The services of active profiles.
    pub(super) services: BTreeMap<String, Value>,
    /// Names of all services.
    pub(super) known: BTreeSet<String>,
    /// `networks`, `volumes`, `secrets` and `configs`.
    pub(super) sections: Map<String, Value>,
    pub(super) variables: Variables,
    pub(super) warnings: String,
}

const DEFAULT_FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

impl Project {
    pub(super) fn load(root: &Root, global: &Global, interpolates: bool) -> Result<Self, Reply> {
        let here = std::env::current_dir().unwrap_or_default();
        let here = here.to_string_lossy().into_owned();
        let start = global
            .directory
            .clone()
            .map(|directory| normal::absolute(&directory, &here));
        let mut files: Vec<String> = global
            .files
            .iter()
            .map(|file| {
                if file == "-" {
                    file.clone()
                } else {
                    normal::absolute(file, &here)
                }
            })
            .collect();
        if files.is_empty() {
            let directory = start.clone().unwrap_or_else(|| here.clone());
            let found = DEFAULT_FILES
                .iter()
                .map(|name| format!("{directory}/{name}"))
                .find(|path| root.path(path).exists());
            files.push(found.ok_or_else(|| {
                Reply::fail(exit::FILE, "no configuration file provided: not found")
            })?);
        }
        let directory = start.unwrap_or_else(|| match files[0].rsplit_once('/') {
            Some((directory, _)) => directory.to_owned(),
            None => here.clone(),
        });
        let env_files: Vec<String> = global
            .env_files
            .iter()
            .map(|file| normal::absolute(file, &here))
            .collect();
        let variables = variables(root, &directory, &env_files)?;

        let mut merged = Value::Object(Map::new());
        let mut unset = Vec::new();
        for file in &files {
            let text = match file.as_str() {
                "-" => std::io::read_to_string(std::io::stdin()).unwrap_or_default(),
                file => root.read(file).ok_or_else(|| {
                    Reply::fail(
                        exit::FILE,
                        format!("open {file}: no such file or directory"),
                    )
                })?,
            };
            let parse = |why: String| Reply::fail(exit::PARSE, why);
            let mut value = yaml::parse(&text).map_err(parse)?;
            if interpolates {
                interpolate::file(&mut value, "", &variables, &mut unset).map_err(parse)?;
            }
            schema::validate(file, &value).map_err(parse)?;
            long_maps(&mut value);
            merge(&mut merged, value, "");
        }
        unset.sort();
        unset.dedup();
        let warnings = unset.iter().map(|name| format!(
            "time=\"{}\" level=warning msg=\"The \\\"{name}\\\" variable is not set. Defaulting to a blank string.\"\n",
            crate::guests::scripted::shim::rfc3339(crate::guests::scripted::shim::now()),
        )).collect();

        let name = name(global, &merged, &directory)?;
        let mut project = Self {
            name,
            directory,
            files,
            env_files,
            services: BTreeMap::new(),
            known: BTreeSet::new(),
            sections: Map::new(),
            variables,
            warnings,
        };
        project.fill(global, &merged).map_err(|why| Reply {
            err: format!("{}{why}\n", project.warnings),
            ..Reply::fail(exit::PARSE, "")
        })?;
        Ok(project)
    }

    fn fill(&mut self, global: &Global, merged: &Value) -> Result<(), String> {
        for section in ["networks", "volumes", "secrets", "configs"] {
            let map = merged[section].as_object().cloned().unwrap_or_default();
            self.sections.insert(section.to_owned(), map.into());
        }
        let services = merged["services"].as_object().cloned().unwrap_or_default();
        self.known = services.keys().cloned().collect();
        for (name, raw) in &services {
            let profiles: Vec<&str> = raw["profiles"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let active = |profile: &&str| {
                global
                    .profiles
                    .iter()
                    .any(|wanted| wanted == profile || wanted == "*")
            };
            if profiles.is_empty() || profiles.iter().any(active) {
                let service = normal::service(raw, &self.directory, &self.variables)
                    .map_err(|why| format!("services.{name}: {why}"))?;
                self.services.insert(name.clone(), service);
            }
        }
        for (name, service) in &self.services {
            let refers = |kind: &str, what: &str| {
                Err(format!(
                    "service \"{name}\" refers to undefined {kind} {what}: invalid compose project"
                ))
            };
            if service["image"].is_null() && service["build"].is_null() {
                return Err(format!(
                    "service \"{name}\" has neither an image nor a build context specified: invalid compose project"
                ));
            }
            for network in service["networks"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(network, _)| network)
            {
                if network != "default" && self.sections["networks"].get(network).is_none() {
                    return refers("network", network);
                }
            }
            for volume in service["volumes"].as_array().into_iter().flatten() {
                if let (Some("volume"), Some(source)) = (volume["type"].as_str(), volume["source"].as_str())
                    // One letter is taken for a Windows drive, and only the Engine refuses it.
                    && source.len() > 1
                    && self.sections["volumes"].get(source).is_none()
                {
                    return refers("volume", source);
                }
            }
            for kind in ["secret", "config"] {
                for item in service[format!("{kind}s")].as_array().into_iter().flatten() {
                    let source = item["source"].as_str().unwrap_or_default();
                    if self.sections[&format!("{kind}s")].get(source).is_none() {
                        return refers(kind, source);
                    }
                }
            }
            for (needed, how) in service["depends_on"].as_object().into_iter().flatten() {
                if !self.services.contains_key(needed) && how["required"] != false {
                    return Err(format!(
                        "service \"{name}\" depends on undefined service {needed}: invalid compose project"
                    ));
                }
            }
        }
        Ok(())
    }

    /// A service with the variables of its env files, as `up` sees it.
    pub(super) fn resolved(&self, root: &Root, service: &Value) -> Result<Value, Reply> {
        let mut service = service.clone();
        let Some(Value::Array(files)) = service
            .as_object_mut()
            .and_then(|service| service.remove("env_file"))
        else {
            return Ok(service);
        };
        let mut environment = Map::new();
        for file in files {
            let path = file["path"].as_str().unwrap_or_default();
            let Some(text) = root.read(path) else {
                if file["required"] == false {
                    continue;
                }
                return Err(Reply::fail(
                    exit::FILE,
                    format!("env file {path} not found: stat {path}: no such file or directory"),
                ));
            };
            let read = interpolate::env_file(&text, &self.variables);
            let read =
                read.map_err(|why| Reply::fail(1, format!("failed to read {path}: {why}")))?;
            environment.extend(
                read.into_iter()
                    .map(|(key, value)| (key, Value::from(value))),
            );
        }
        environment.extend(
            service["environment"]
                .as_object()
                .cloned()
                .unwrap_or_default(),
        );
        service["environment"] = environment.into();
        Ok(service)
    }

    /// The name of a network or volume as the Engine knows it, and whether it is external.
    pub(super) fn resource(&self, section: &str, key: &str) -> (String, bool) {
        let entry = &self.sections[section][key];
        let external = entry["external"] == true || entry["external"].is_object();
        let name = entry["name"]
            .as_str()
            .or(entry["external"]["name"].as_str());
        let fallback = if external {
            key.to_owned()
        } else {
            format!("{}_{key}", self.name)
        };
        (name.map_or(fallback, str::to_owned), external)
    }
}

/// What Compose puts into the label `config-hash`, for a service in its long form.
pub(super) fn hash(service: &Value) -> String {
    let mut service = service.clone();
    if let Some(map) = service.as_object_mut() {
        for key in ["build", "pull_policy", "scale"] {
            map.remove(key);
        }
        if let Some(deploy) = map.get_mut("deploy").and_then(Value::as_object_mut) {
            deploy.remove("replicas");
        }
        if map
            .get("deploy")
            .is_some_and(|deploy| deploy.as_object().is_some_and(Map::is_empty))
        {
            map.remove("deploy");
        }
    }
    sha256(service.to_string().as_bytes())
}

fn variables(root: &Root, directory: &str, env_files: &[String]) -> Result<Variables, Reply> {
    let process: Variables = std::env::vars().collect();
    let mut variables = Variables::new();
    let own = [format!("{directory}/.env")];
    for file in if env_files.is_empty() {
        &own
    } else {
        env_files
    } {
        match root.read(file) {
            Some(text) => {
                let read = interpolate::env_file(&text, &process);
                let read =
                    read.map_err(|why| Reply::fail(1, format!("failed to read {file}: {why}")))?;
                variables.extend(read);
            }
            None if env_files.is_empty() => {}
            None => {
                return Err(Reply::fail(
                    exit::FILE,
                    format!("couldn't find env file: {file}"),
                ));
            }
        }
    }
    variables.extend(process);
    Ok(variables)
}

fn name(global: &Global, merged: &Value, directory: &str) -> Result<String, Reply> {
    if let Some(name) = global.name.as_deref().or(merged["name"].as_str()) {
        let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let valid = name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
        if starts && valid {
            return Ok(name.to_owned());
        }
        return Err(Reply::fail(
            exit::PARSE,
            format!(
                "invalid project name \"{name}\": must consist only of lowercase alphanumeric characters, hyphens, and underscores as well as start with a letter or number"
            ),
        ));
    }
    let last = directory
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_lowercase();
    let name: String = last
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c))
        .collect();
    Ok(name.trim_start_matches(['_', '-']).to_owned())
}

/// Lists that merge by key become maps before files are merged.
fn long_maps(file: &mut Value) {
    let services = file.get_mut("services").and_then(Value::as_object_mut);
    for service in services.into_iter().flatten().map(|(_, service)| service) {
        for key in ["environment", "labels", "depends_on", "networks"] {
            let Some(Value::Array(list)) = service.get(key) else {
                continue;
            };
            let entries = list.iter().filter_map(Value::as_str).map(|item| {
                match (key, item.split_once('=')) {
                    ("depends_on", _) => (
                        item.to_owned(),
                        serde_json::json!({"condition": "service_started", "required": true}),
                    ),
                    ("labels", None) => (item.to_owned(), "".into()),
                    (_, Some((name, value))) => (name.to_owned(), value.into()),
                    (_, None) => (item.to_owned(), Value::Null),
                }
            });
            service[key] = entries.collect::<Map<_, _>>().into();
        }
    }
}

/// Later files win; lists grow, but for commands and checks.
fn merge(into: &mut Value, from: Value, key: &str) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(&key) {
                    Some(known) => merge(known, value, &key),
                    None => drop(into.insert(key, value)),
                }
            }
        }
        (Value::Array(into), Value::Array(from))
            if !["command", "entrypoint", "test"].contains(&key) =>
        {
            for item in from {
                if !into.contains(&item) {
                    into.push(item);
                }
            }
        }
        (into, from) => *into = from,
    }
}
