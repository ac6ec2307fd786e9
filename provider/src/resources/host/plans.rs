//! What a plan of a VM means just as that of a container. Pure.

use super::{Kind, checks::mebibytes};
use crate::framework::{Path, Plan, Value};

/// Refuses smaller volumes.
pub(in crate::resources) fn only_grow(plan: &mut Plan<'_>, paths: &[String]) {
    for path in paths {
        let size = |value: &Value| match value.at(path) {
            Value::Number(number) => mebibytes(number.as_str()),
            _ => None,
        };
        if let (Some(old), Some(new)) = (size(plan.prior), size(&plan.value))
            && new < old
        {
            let detail = format!(
                "The disk has {} GiB. Disks only grow: a smaller one would cut off data.",
                plan.prior.at(path).display()
            );
            plan.error(path, "A disk cannot shrink", detail);
        }
    }
}

/// Says what goes with the guest that a change replaces: no other plan can, for that of a destroy is not asked for.
pub(in crate::resources) fn replacing(plan: &mut Plan<'_>, kind: Kind, data: &str, volumes: &str) {
    let Some(at) = plan.replace.first().map(Path::dotted) else {
        return;
    };
    let noun = kind.noun();
    if plan.prior.get("protection").as_bool() == Some(true) {
        plan.error(
            &at,
            format!("The {noun} is protected"),
            format!("This change replaces the {noun}. Set protection = false and apply that first; {volumes} go with the old {noun}."),
        );
    } else if !plan.prior.get(data).is_null() {
        let what = data.replace('_', " ");
        let detail = format!(
            "The new {noun} gets an empty {what}; that of {} goes with its images, containers and volumes.",
            plan.prior.get("id").display()
        );
        plan.warn(&at, format!("The {what} goes with the {noun}"), detail);
    }
}

/// Says which of the attributes that a running guest takes only at its next start make it restart, or wait for one.
pub(in crate::resources) fn restart(
    plan: &mut Plan<'_>,
    kind: Kind,
    needs: &[&str],
    running: bool,
) {
    let noun = kind.noun();
    let pending: Vec<&str> = needs
        .iter()
        .copied()
        .filter(|path| plan.changed(path))
        .collect();
    let waits = plan.prior.get("restart_required").as_bool() == Some(true);
    let never = plan.value.get("restart_policy").as_str() == Some("never");
    if !running {
        if waits && !never {
            plan.set("restart_required", false);
        }
        return;
    }
    if pending.is_empty() {
        if waits && !never && plan.changed("restart_policy") {
            plan.set("restart_required", false);
        }
        return;
    }
    plan.set("restart_required", never);
    let names = pending.join(", ");
    let at = pending[0];
    match never {
        true => plan.warn(at, "The change waits for a restart", format!("{names} of a running {noun}: with restart_policy = \"never\" it is stored, and takes effect when the {noun} is next stopped and started.")),
        false => plan.warn(at, format!("The {noun} restarts"), format!("{names} of a running {noun}: the {noun} is shut down and started again, and its containers with it. Use restart_policy = \"never\" to decide about the moment yourself.")),
    }
}

/// What a template is not: a machine that runs, or that can be changed from the inside.
pub(in crate::resources) fn template(plan: &mut Plan<'_>, kind: Kind, inside: &[&str]) {
    let noun = kind.noun();
    let was = plan.prior.get("template").as_bool() == Some(true);
    if plan.value.get("template").as_bool() != Some(true) {
        if was {
            plan.error(
                "template",
                "A template does not turn back",
                format!("Clone it, or make a new {noun} in its place: `-replace=ADDRESS`."),
            );
        }
        return;
    }
    if plan.config.get("started").as_bool() == Some(true) {
        plan.error(
            "started",
            "A template does not run",
            "Leave started out, or make clones that run.",
        );
    }
    plan.set("started", false);
    plan.set("status", "stopped");
    if was {
        for at in inside {
            if plan.changed(at) {
                plan.error(
                    at,
                    "A template is not changed from the inside",
                    "It cannot be started for that. Make a new template, and new clones of it.",
                );
            }
        }
        return;
    }
    for name in ["ipv4_address", "ipv6_address", "addresses"] {
        plan.set(name, Value::Null);
    }
    if !plan.creating() {
        plan.warn("template", format!("The {noun} becomes a template"), "It is cleaned of host keys, machine-id and logs, shut down and converted. There is no way back.");
    }
}

/// Whether a restart may be due: something changed that a running guest takes only then, or waited before.
pub(in crate::resources) fn restart_due(needs: &[&str], before: &Value, after: &Value) -> bool {
    let changed = needs.iter().any(|path| before.at(path) != after.at(path));
    after.get("restart_policy").as_str() != Some("never")
        && (changed || before.get("restart_required").as_bool() == Some(true))
}
