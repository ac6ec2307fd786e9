//! The Compose text of `pmoves_stack`: read from values that may be unknown, and checked. Pure.

use std::collections::BTreeMap;

use crate::{
    framework::{Value, resource::Faults},
    guest::compose::{self, Fault, Inputs, Project, Source},
};

/// What stands for a variable whose value is secret. Its version follows, which tells a change.
const HIDDEN: &str = "pmoves-secret-";

/// Rules between attributes, and the text itself as soon as it is known.
pub(super) fn validate(config: &Value, found: &mut Faults<'_>) {
    match (
        config.get("compose").is_null(),
        config.get("compose_files").is_null(),
    ) {
        (true, true) => found.error(
            "compose",
            "The text is missing",
            "Set compose, or compose_files for several files.",
        ),
        (false, false) => found.error(
            "compose_files",
            "Two texts",
            "Set compose or compose_files, not both.",
        ),
        _ => {}
    }
    for (secret, version) in [
        ("env_wo", "env_wo_version"),
        ("secrets_wo", "secrets_wo_version"),
    ] {
        if !config.get(secret).is_null() && config.get(version).is_null() {
            found.error(secret, format!("{version} is missing"), format!("A write-only value cannot be compared; set {version} to any text and change it with the value."));
        }
    }
    // Secrets that are written out in the state and in the plan.
    for (name, value) in config.get("env").as_map().into_iter().flatten() {
        let telling = ["PASSWORD", "SECRET", "TOKEN", "API_KEY", "PRIVATE_KEY"];
        let upper = name.to_ascii_uppercase();
        if value.as_str().is_some_and(|text| !text.is_empty())
            && telling.iter().any(|word| upper.ends_with(word))
        {
            found.warn(
                "env",
                format!("{name} looks like a secret"),
                "Values of env are stored in the state. env_wo and secrets_wo are not.",
            );
        }
    }
    match parse(config, config) {
        Parsed::Unknown => {}
        Parsed::Faulty(faults) => {
            for fault in faults {
                found.error(
                    &attribute_of(config, &fault),
                    "Invalid Compose text",
                    sentence(&fault),
                );
            }
        }
        Parsed::Project(project) => {
            for fault in &project.warnings {
                found.warn(
                    &attribute_of(config, fault),
                    "Compose text",
                    sentence(fault),
                );
            }
            let names = config.get("secrets_wo").as_map();
            for name in names.into_iter().flatten().map(|(name, _)| name) {
                if !project.secrets.contains_key(name) {
                    found.error(
                        "secrets_wo",
                        "No such secret",
                        format!("The text has no secret {name:?} under `secrets:`."),
                    );
                }
            }
        }
    }
}

/// A text, as far as it can be read.
pub(super) enum Parsed {
    /// Something in it is decided during apply.
    Unknown,
    /// It is wrong.
    Faulty(Vec<Fault>),
    /// What it declares.
    Project(Box<Project>),
}

/// Reads the text of a configuration, plan or state. `secrets` is where the write-only values are,
/// of which only the names count.
pub(super) fn parse(object: &Value, secrets: &Value) -> Parsed {
    let parts = [
        "name",
        "compose",
        "compose_files",
        "files",
        "env",
        "env_wo_version",
        "profiles",
    ];
    let names = ["env_wo", "secrets_wo"].map(|name| secrets.get(name));
    if parts.iter().any(|part| object.get(part).has_unknown())
        || names.iter().any(|value| value.is_unknown())
    {
        return Parsed::Unknown;
    }
    let texts = texts(object);
    let strings = |name: &str| -> BTreeMap<String, String> {
        let entries = object.get(name).as_map().into_iter().flatten();
        entries
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect()
    };
    let (mut env, files) = (strings("env"), strings("files"));
    for name in names[0]
        .as_map()
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
    {
        let version = object.get("env_wo_version").as_str().unwrap_or_default();
        env.insert(name.clone(), format!("{HIDDEN}{version}"));
    }
    let profiles = object.get("profiles").as_list().into_iter().flatten();
    let inputs = Inputs {
        project: object.get("name").as_str().unwrap_or_default(),
        sources: texts
            .iter()
            .map(|(name, text)| Source { name, text })
            .collect(),
        env,
        files: files
            .iter()
            .map(|(path, text)| (path.clone(), text.as_bytes()))
            .collect(),
        secrets: Some(
            names[1]
                .as_map()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect(),
        ),
        profiles: profiles
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
    };
    match compose::parse(&inputs) {
        Ok(project) => Parsed::Project(Box::new(project)),
        Err(faults) => Parsed::Faulty(faults),
    }
}

/// The texts with the names of their files.
pub(super) fn texts(object: &Value) -> Vec<(String, String)> {
    match (
        object.get("compose").as_str(),
        object.get("compose_files").as_list(),
    ) {
        (Some(text), _) => vec![("compose.yaml".to_owned(), text.to_owned())],
        (None, Some(list)) => list
            .iter()
            .enumerate()
            .map(|(index, text)| {
                (
                    file_name(index),
                    text.as_str().unwrap_or_default().to_owned(),
                )
            })
            .collect(),
        (None, None) => Vec::new(),
    }
}

fn file_name(index: usize) -> String {
    match index {
        0 => "compose.yaml".to_owned(),
        index => format!("compose.{index}.yaml"),
    }
}

fn attribute_of(config: &Value, fault: &Fault) -> String {
    if config
        .get("files")
        .as_map()
        .is_some_and(|files| files.contains_key(&fault.file))
    {
        return "files".to_owned();
    }
    match config.get("compose").is_null() {
        false => "compose".to_owned(),
        true => (0..)
            .take(
                config
                    .get("compose_files")
                    .as_list()
                    .map_or(0, <[Value]>::len),
            )
            .find(|index| file_name(*index) == fault.file)
            .map_or_else(
                || "compose_files".to_owned(),
                |index| format!("compose_files.{index}"),
            ),
    }
}

fn sentence(fault: &Fault) -> String {
    let text = fault.to_string();
    match text.ends_with(['.', '?', '!']) {
        true => text,
        false => text + ".",
    }
}
