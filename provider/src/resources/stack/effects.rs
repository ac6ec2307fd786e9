//! What a plan makes of the computed attributes of `pmoves_stack`. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    checks::STACKS,
    text::{Parsed, parse},
};
use crate::{
    framework::{Plan, Value},
    guest::compose::{self, Project, Wanted},
};

/// Attributes whose change sends something to the host.
const CONTENT: [&str; 7] = [
    "compose",
    "compose_files",
    "files",
    "env",
    "env_wo_version",
    "secrets_wo_version",
    "profiles",
];

/// Plans `id`, `project_directory`, `services` and `status`.
pub(super) fn effects(plan: &mut Plan<'_>) {
    identity(plan);
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
    if services != *plan.prior.get("services") || sends(plan) {
        match waits && !services.is_unknown() {
            true => plan.set("status", "running"),
            false => plan.unknown("status"),
        }
        plan.set("services", services);
    }
}

fn identity(plan: &mut Plan<'_>) {
    let text = |name| plan.value.get(name).as_str().map(str::to_owned);
    let (Some(host), Some(name)) = (text("host_id"), text("name")) else {
        return;
    };
    if plan.creating() {
        plan.set("id", format!("{host}/{name}"));
    }
    let decided = plan.config.get("project_directory").is_null();
    if decided && plan.value.get("project_directory").is_unknown() {
        plan.set("project_directory", format!("{STACKS}/{name}"));
    }
}

fn sends(plan: &Plan<'_>) -> bool {
    plan.creating() || CONTENT.iter().any(|name| plan.changed(name))
}

/// A volume whose definition changed would be deleted with its data, or silently stay as it is.
fn redefined(plan: &mut Plan<'_>, prior: &Project, next: &Project) {
    let names = compose::volumes_redefined(prior, next);
    if !names.is_empty() {
        let at = match plan.config.get("compose").is_null() {
            true => "compose_files",
            false => "compose",
        };
        plan.error(
            at,
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
    let only_scaled = |keys: &BTreeSet<String>| keys.iter().eq(["replicas"]);
    let edited = changes
        .changed
        .into_iter()
        .filter(|(_, keys)| !only_scaled(keys))
        .map(|(name, _)| name);
    let mut touched: BTreeSet<String> = changes.added.into_iter().chain(edited).collect();
    if plan.changed("secrets_wo_version") {
        let written = plan.config.get("secrets_wo").as_map();
        let written = |name: &String| written.is_some_and(|all| all.contains_key(name));
        let users = next.services.iter();
        let users = users.filter(|(_, service)| service.secrets.iter().any(written));
        touched.extend(users.map(|(name, _)| name.clone()));
    }
    let before = plan.prior.get("services");
    let drifted = |(name, service): (&String, &compose::Service)| {
        service.replicas > 0 && !is_as_wanted(before.get(name))
    };
    let anew = plan.value.get("recreate").as_str() == Some("always");
    if anew && (sends(plan) || next.services.iter().any(drifted)) {
        touched.extend(next.services.keys().cloned());
    }
    touched
}

fn is_as_wanted(service: &Value) -> bool {
    matches!(service.get("state").as_str(), Some("running" | "completed"))
}

/// The services after the apply: those that are left alone as they were, but in the state that they
/// should have, which is how drift shows.
fn planned(plan: &Plan<'_>, next: &Project, touched: &BTreeSet<String>, waits: bool) -> Value {
    let before = plan.prior.get("services");
    let pulls = sends(plan) && plan.value.get("pull").as_str() == Some("always");
    let mut services = BTreeMap::new();
    if plan.value.get("remove_orphans").as_bool() == Some(false) {
        let orphans = before.as_map().into_iter().flatten();
        let orphans = orphans.filter(|(name, _)| !next.services.contains_key(*name));
        services.extend(orphans.map(|(name, service)| (name.clone(), service.clone())));
    }
    for (name, service) in &next.services {
        if service.replicas == 0 {
            continue;
        }
        let planned = match before.get(name) {
            Value::Map(known) if !touched.contains(name) => {
                left_alone(known, service, waits, pulls)
            }
            _ => anew(service, waits),
        };
        services.insert(name.clone(), planned);
    }
    Value::Map(services)
}

/// A service that the text does not change.
fn left_alone(
    known: &BTreeMap<String, Value>,
    service: &compose::Service,
    waits: bool,
    pulls: bool,
) -> Value {
    let mut known = known.clone();
    let mut put = |name: &str, value: Value| drop(known.insert(name.to_owned(), value));
    put("replicas", i64::from(service.replicas).into());
    if pulls {
        put("image_digest", Value::Unknown);
    }
    let was = known
        .get("state")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match was {
        "running" | "completed" => return Value::Map(known),
        "outdated" => return anew(service, waits),
        "missing" => {
            for name in ["image_digest", "config_hash", "ports"] {
                known.insert(name.to_owned(), Value::Unknown);
            }
        }
        _ => {}
    }
    known.insert("state".to_owned(), state(service, waits));
    Value::Map(known)
}

fn anew(service: &compose::Service, waits: bool) -> Value {
    let image = service.image.as_deref().map_or(Value::Unknown, Value::from);
    let entries = [
        ("image", image),
        ("image_digest", Value::Unknown),
        ("state", state(service, waits)),
        ("replicas", i64::from(service.replicas).into()),
        ("ports", Value::Unknown),
        ("config_hash", Value::Unknown),
    ];
    Value::Map(entries.map(|(name, value)| (name.to_owned(), value)).into())
}

/// What a service comes to, where that is certain: one that has neither a port, a check nor a
/// policy to restart may as well end.
fn state(service: &compose::Service, waits: bool) -> Value {
    let restarts = matches!(service.restart.as_str(), "always" | "unless-stopped");
    let stays = restarts || service.healthcheck || !service.ports.is_empty();
    match service.wanted {
        _ if !waits => Value::Unknown,
        Wanted::Completed => "completed".into(),
        Wanted::Running if stays => "running".into(),
        Wanted::Running => Value::Unknown,
    }
}
