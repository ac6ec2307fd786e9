//! Changing the configuration of a container.
//!
//! Everything goes to what is pending first; what can be applied is applied then. If a key cannot be
//! applied, nothing is written at all.

use super::allow::Change;
use super::create::values;
use super::volumes::{self, Source, is_mount, is_numbered};
use super::{Ct, apply, texts};
use crate::simulator::call::{Allow, Call, Route, later};
use crate::simulator::qemu::{Config, Pending};
use crate::simulator::reply::{Fail, Outcome, Reply};
use crate::simulator::rules::check::Errors;
use crate::simulator::rules::formats::split_list;
use crate::simulator::rules::set;
use crate::simulator::world::State;

pub(crate) const ROUTES: &[Route] = &[Route {
    call: "PUT /nodes/{node}/lxc/{vmid}/config",
    allow: Allow::Any(
        "/vms/{vmid}",
        &[
            "VM.Config.Disk",
            "VM.Config.CPU",
            "VM.Config.Memory",
            "VM.Config.Network",
            "VM.Config.Options",
        ],
    ),
    rules: "+ct
        +lxc-config
        delete? string pve-configid-list
        digest? string len=..40
        revert? string pve-configid-list",
    handler: later!(put),
}];

/// The keys of a list parameter, all of them known and none of them set at the same time.
fn named(call: &Call, list: &str, values: &Config) -> Result<Vec<String>, Fail> {
    let names = split_list(call.params.text_opt(list).unwrap_or_default());
    for name in &names {
        if values.contains_key(*name) {
            let text = format!("you can't use '-{name}' and -{list} {name}' at the same time");
            return Err(Fail::param(list, text));
        }
        if set("lxc-config").rule(name).is_none() {
            return Err(Fail::param(list, format!("unknown option '{name}'")));
        }
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

async fn put(call: Call) -> Outcome {
    let (node, vmid) = (call.node().to_owned(), call.params.vmid());
    let mut values = values(&call);
    let revert = named(&call, "revert", &values)?;
    let mut delete = named(&call, "delete", &values)?;
    if values.get("description").is_some_and(String::is_empty) {
        values.remove("description");
        delete.push("description".to_owned());
    }
    if values.is_empty() && delete.is_empty() && revert.is_empty() {
        return Err(Fail::died("no options specified"));
    }
    call.world.state().ct(&node, vmid)?;
    let _lock = call.world.lock_ct(vmid).await?;
    let old = {
        let state = call.world.state();
        let ct = state.ct(&node, vmid)?;
        ct.check_lock()?;
        ct.check_digest(call.params.text_opt("digest"))?;
        ct.config.clone()
    };
    call.may_change_ct(&Change {
        vmid,
        pool: None,
        old: Some(&old),
        values: &values,
        delete: &delete,
        unprivileged: old.get("unprivileged").is_some_and(|is| is == "1"),
    })?;
    let mut state = call.world.state();
    check(&state, state.ct(&node, vmid)?, &values, &delete)?;
    texts::settle(&mut values);
    // The original is put back if anything cannot be applied.
    let before = {
        let ct = state.ct_mut(&node, vmid)?;
        let before = (ct.config.clone(), ct.pending.clone());
        store(ct, values, &delete, &revert);
        before
    };
    let errors = apply::apply(&mut state, vmid);
    if !errors.is_empty() {
        let ct = state.ct_mut(&node, vmid)?;
        (ct.config, ct.pending) = before;
        return Err(Fail::Params(errors));
    }
    Ok(Reply::null())
}

/// What cannot be set or deleted at all.
fn check(state: &State, ct: &Ct, values: &Config, delete: &[String]) -> Result<(), Fail> {
    let vmid = ct.vmid;
    for key in delete {
        let known = ct.config.contains_key(key) || ct.pending.contains_key(key);
        match key.as_str() {
            _ if !known => {}
            "memory" | "rootfs" | "ostype" => {
                return Err(Fail::died(format!(
                    "unable to delete required option '{key}'"
                )));
            }
            "unprivileged" => {
                return Err(Fail::died(format!(
                    "unable to delete read-only option: '{key}'"
                )));
            }
            _ if is_mount(key) || is_numbered(key, "unused") => {
                ct.check_protection(&format!("can't remove CT {vmid} drive '{key}'"))?;
            }
            _ => {}
        }
    }
    for (key, value) in values {
        if key == "unprivileged" {
            return Err(Fail::died(format!(
                "unable to modify read-only option: '{key}'"
            )));
        }
        if is_mount(key) {
            ct.check_protection(&format!("can't update CT {vmid} drive '{key}'"))?;
            let source = volumes::source(&volumes::parse(key, value));
            if let Some(storage) = source.storage()
                && !state.storage(storage)?.has("rootdir")
            {
                return Err(Fail::died(format!(
                    "storage '{storage}' does not allow content type 'rootdir' (Container)"
                )));
            }
            if let Source::Volume(id) = &source {
                state.existing(&ct.node, id)?;
            }
        }
        if texts::is_card(key) {
            let card = texts::parse_card(value);
            let number = |text: &String| text.parse::<u64>().ok();
            let mtu = card.get("mtu").and_then(number).unwrap_or(0);
            let bridge = card.get("bridge").map_or("", String::as_str);
            let of_bridge = state.node(&ct.node)?.network.mtu(bridge);
            if mtu > of_bridge {
                return Err(Fail::died(format!(
                    "{key}: MTU size '{mtu}' is bigger than bridge MTU '{of_bridge}'"
                )));
            }
        }
    }
    Ok(())
}

/// Writes a change to what is pending.
fn store(ct: &mut Ct, values: Config, delete: &[String], revert: &[String]) {
    for key in revert {
        ct.pending.remove(key);
    }
    for key in delete {
        ct.pending.remove(key);
        if ct.config.contains_key(key) {
            ct.pending.insert(key.clone(), Pending::Delete(false));
        }
    }
    let values = values.into_iter();
    ct.pending
        .extend(values.map(|(key, value)| (key, Pending::Set(value))));
    // What equals the present value is no change.
    let config = &ct.config;
    ct.pending.retain(|key, change| match change {
        Pending::Set(value) => config.get(key) != Some(value),
        Pending::Delete(_) => config.contains_key(key),
    });
}

/// One key that could not be applied.
pub(crate) fn refused(errors: &mut Errors, runs: bool, key: &str, why: &str) {
    let what = if runs {
        "hotplug"
    } else {
        "apply pending change"
    };
    let colon = if runs { ":" } else { " :" };
    errors.insert(
        key.to_owned(),
        format!("unable to {what} {key}{colon} {why}\n"),
    );
}
