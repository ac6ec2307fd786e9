//! Applying what is pending: at once where that works, at the next start where not.
//!
//! Which change is allowed was decided before.

use super::config::refused;
use super::volumes::{self, Source, is_mount, is_numbered};
use super::{Ct, texts};
use crate::simulator::qemu::Pending;
use crate::simulator::rules::check::Errors;
use crate::simulator::world::State;

/// The keys that only the node reads, so that they take effect at once.
const OF_THE_NODE: &[&str] = &[
    "cores",
    "description",
    "hookscript",
    "hostname",
    "lock",
    "onboot",
    "protection",
    "startup",
    "tags",
];

/// The limits that a running container can be given.
const LIMITS: &[&str] = &["cpulimit", "cpuunits", "memory", "swap"];

/// Whether a change can be applied to the container as it is.
fn is_possible(ct: &Ct, key: &str, change: &Pending) -> bool {
    if ct.running.is_none() || OF_THE_NODE.contains(&key) || texts::is_card(key) {
        return true;
    }
    let is_new = !ct.config.contains_key(key);
    match change {
        Pending::Set(_) => {
            LIMITS.contains(&key) || ((is_mount(key) || is_numbered(key, "dev")) && is_new)
        }
        Pending::Delete(_) => {
            matches!(key, "cpulimit" | "cpuunits" | "swap") || is_numbered(key, "unused")
        }
    }
}

/// Applies all that can be applied; what failed comes back by key.
pub(crate) fn apply(state: &mut State, vmid: u32) -> Errors {
    apply_if(state, vmid, is_possible)
}

/// Applies everything, for a start.
pub(crate) fn apply_all(state: &mut State, vmid: u32) -> Errors {
    apply_if(state, vmid, |_, _, _| true)
}

fn apply_if(
    state: &mut State,
    vmid: u32,
    possible: impl Fn(&Ct, &str, &Pending) -> bool,
) -> Errors {
    let mut errors = Errors::new();
    let Some(ct) = state.cts.get(&vmid) else {
        return errors;
    };
    let runs = ct.running.is_some();
    let changes = ct.pending.iter();
    let changes = changes.filter(|(key, change)| possible(ct, key, change));
    let changes: Vec<_> = changes
        .map(|(key, change)| (key.clone(), change.clone()))
        .collect();
    for (key, change) in changes {
        let result = match &change {
            Pending::Delete(_) => {
                let_go(state, vmid, &key);
                Ok(None)
            }
            Pending::Set(value) => settle(state, vmid, &key, value).map(Some),
        };
        let Some(ct) = state.cts.get_mut(&vmid) else {
            break;
        };
        match result {
            Ok(value) => {
                ct.pending.remove(&key);
                match value {
                    Some(value) => ct.config.insert(key, value),
                    None => ct.config.remove(&key),
                };
            }
            Err(why) => refused(&mut errors, runs, &key, &why),
        }
    }
    errors
}

/// The value as it is stored; a mount point gets its new volume.
fn settle(state: &mut State, vmid: u32, key: &str, value: &str) -> Result<String, String> {
    let running = state.cts.get(&vmid).filter(|ct| ct.running.is_some());
    if let Some(ct) = running.filter(|_| texts::is_card(key))
        && let Some(bridge) = texts::parse_card(value).get("bridge")
        && !state
            .node(&ct.node)
            .is_ok_and(|node| node.network.has_bridge(bridge))
    {
        return Err(format!("bridge '{bridge}' does not exist"));
    }
    if !is_mount(key) {
        return Ok(value.to_owned());
    }
    let node = state.cts.get(&vmid).map(|ct| ct.node.clone());
    let node = node.unwrap_or_default();
    let mut mount = volumes::parse(key, value);
    state.make_mount(&node, vmid, &mut mount, &mut Vec::new())?;
    let new = volumes::print(key, &mount);
    let of_new = volumes::volume_of(key, &new);
    let old = state.cts.get(&vmid).and_then(|ct| ct.config.get(key));
    let of_old = old.and_then(|old| volumes::volume_of(key, old));
    if of_old.is_some() && of_old != of_new {
        let_go(state, vmid, key);
    }
    if let (Some(id), Some(ct)) = (of_new, state.cts.get_mut(&vmid)) {
        // A volume that is used again is unused no more.
        ct.config.retain(|key, value| {
            !is_numbered(key, "unused") || volumes::volume_of(key, value).as_ref() != Some(&id)
        });
    }
    Ok(new)
}

/// What becomes of the volume of a key that goes: one that was mounted is kept, an unused one freed.
fn let_go(state: &mut State, vmid: u32, key: &str) {
    let Some(ct) = state.cts.get_mut(&vmid) else {
        return;
    };
    let value = ct.config.get(key).cloned().unwrap_or_default();
    if is_numbered(key, "unused") {
        let node = ct.node.clone();
        if let Source::Volume(id) = volumes::source(&volumes::parse(key, &value))
            && !ct.uses(&id, Some(key))
        {
            // One that a linked clone needs stays, without a word.
            state.free_volume(&node, &id).ok();
        }
    } else if let Some(id) = volumes::volume_of(key, &value) {
        add_unused(ct, &id);
    }
}

/// Keeps a volume under the lowest free `unusedN`.
pub(crate) fn add_unused(ct: &mut Ct, id: &str) {
    let free = |n: &u32| !ct.config.contains_key(&format!("unused{n}"));
    if let Some(n) = (0..256).find(free) {
        ct.config.insert(format!("unused{n}"), id.to_owned());
    }
}
