//! The Compose text of `pmoves_stack`: read from values that may be unknown, checked, and compared. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    framework::{Plan, Value, resource::Faults},
    guest::compose::{self, Fault, Inputs, Project, Source, Wanted},
};

/// What a plan shows for a variable whose value is secret: the same before and after, so that only
/// its version tells a change.
const HIDDEN: &str = "pmoves-secret";

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
        env.insert(name.clone(), HIDDEN.to_owned());
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
    format!("{fault}.")
}

/// What a plan makes of `id`, `project_directory`, `services` and `status`.
pub(super) fn effects(plan: &mut Plan<'_>) {
    let (host, name) = (
        plan.value.get("host_id").clone(),
        plan.value.get("name").clone(),
    );
    if let (Some(host), Some(name)) = (host.as_str(), name.as_str()) {
        let (id, directory) = (
            format!("{host}/{name}"),
            format!("{}/{name}", super::checks::STACKS),
        );
        if plan.creating() {
            plan.set("id", id);
        }
        if plan.value.get("project_directory").is_unknown()
            && plan.config.get("project_directory").is_null()
        {
            plan.set("project_directory", directory);
        }
    }
    if plan.creating() {
        plan.set("services", Value::Unknown);
    }
    let waits = plan.value.get("wait").as_bool() != Some(false);
    let services = match (
        parse(&plan.value, plan.config),
        parse(plan.prior, plan.config),
    ) {
        (Parsed::Project(next), Parsed::Project(prior)) if !plan.creating() => {
            redefined(plan, &prior, &next);
            planned(plan, &next, &touched(plan, &prior, &next), waits)
        }
        (Parsed::Project(next), _) => {
            let all = next.services.keys().cloned().collect();
            planned(plan, &next, &all, waits)
        }
        _ => Value::Unknown,
    };
    if services != *plan.prior.get("services") {
        let running = waits && !services.is_unknown() && !plan.creating();
        match running {
            true => plan.set("status", "running"),
            false => plan.unknown("status"),
        }
        plan.set("services", services);
    } else if plan.prior.get("status").as_str() != Some("running")
        && waits
        && !plan.creating()
        && plan.prior.get("services").as_map().is_some()
    {
        // Nothing to do for any service: the word follows the services, at the next refresh.
    }
}

/// A volume whose definition changed would be deleted with its data, or silently stay as it is.
fn redefined(plan: &mut Plan<'_>, prior: &Project, next: &Project) {
    let names = compose::volumes_redefined(prior, next);
    if !names.is_empty() {
        plan.error(
            "compose",
            "The definition of a volume changed",
            format!(
                "{}: Compose would have to delete the volume with its data. Copy the data away and remove the volume on the host, or give the new one another name.",
                names.join(", ")
            ),
        );
    }
}

/// Services that the next apply makes anew, as far as a plan can tell.
fn touched(plan: &Plan<'_>, prior: &Project, next: &Project) -> BTreeSet<String> {
    let changes = compose::changed(prior, next);
    let mut touched: BTreeSet<String> = changes
        .added
        .into_iter()
        .chain(changes.changed.into_keys())
        .collect();
    let secret_users = |service: &compose::Service| !service.secrets.is_empty();
    for (name, service) in &next.services {
        let anew = plan.changed("env_wo_version")
            || (plan.changed("secrets_wo_version") && secret_users(service))
            || (plan.changed("recreate") && plan.value.get("recreate").as_str() == Some("always"));
        if anew {
            touched.insert(name.clone());
        }
    }
    touched
}

/// The services after the apply: those that are left alone as they were, but in the state that they
/// should have, which is how drift shows.
fn planned(plan: &Plan<'_>, next: &Project, touched: &BTreeSet<String>, waits: bool) -> Value {
    let before = plan.prior.get("services");
    let services = next
        .services
        .iter()
        .filter(|(_, service)| service.replicas > 0);
    let entries = services.map(|(name, service)| {
        let known = before.get(name);
        let value = match (known, touched.contains(name)) {
            (Value::Map(known), false) => {
                let mut known = known.clone();
                let was = known
                    .get("state")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned();
                let state = wanted(service.wanted, &was);
                if was == "outdated" || was == "missing" {
                    for name in ["image_digest", "replicas", "config_hash"] {
                        known.insert(name.to_owned(), Value::Unknown);
                    }
                }
                if was != state {
                    known.insert(
                        "state".to_owned(),
                        if waits { state.into() } else { Value::Unknown },
                    );
                }
                Value::Map(known)
            }
            _ => fresh(service),
        };
        (name.clone(), value)
    });
    Value::Map(entries.collect())
}

fn fresh(service: &compose::Service) -> Value {
    let image = service.image.as_deref().map_or(Value::Unknown, Value::from);
    let unknown = ["image_digest", "state", "replicas", "ports", "config_hash"];
    let entries = unknown
        .iter()
        .map(|name| ((*name).to_owned(), Value::Unknown));
    Value::Map(entries.chain([("image".to_owned(), image)]).collect())
}

/// A one-shot that ended well stays so; everything else runs.
fn wanted(wanted: Wanted, was: &str) -> &'static str {
    match (wanted, was) {
        (Wanted::Completed, _) | (_, "completed") => "completed",
        _ => "running",
    }
}
