//! What a sender needs to set the keys of a container's configuration.
//!
//! `root@pam` itself passes all of it; a token of root does not.

use std::collections::BTreeMap;

use super::texts::is_card;
use super::volumes::{self, Source, is_mount, is_numbered};
use crate::simulator::call::Call;
use crate::simulator::qemu::Config;
use crate::simulator::reply::Fail;
use crate::simulator::rules::{property, set};

/// What a change of a container is made of.
pub(crate) struct Change<'a> {
    pub(crate) vmid: u32,
    pub(crate) pool: Option<&'a str>,
    /// What is set now; nothing where the container is being created.
    pub(crate) old: Option<&'a Config>,
    pub(crate) values: &'a Config,
    pub(crate) delete: &'a [String],
    pub(crate) unprivileged: bool,
}

fn refuse(text: impl Into<String>) -> Fail {
    Fail::Denied(text.into())
}

impl Call {
    /// Checks every key of a change.
    pub(crate) fn may_change_ct(&self, change: &Change) -> Result<(), Fail> {
        if self.who.is_root() {
            return Ok(());
        }
        let values = change.values.iter().map(|(key, value)| (key, Some(value)));
        let delete = change.delete.iter().map(|key| (key, None));
        delete
            .chain(values)
            .try_for_each(|(key, value)| self.may_change_key(change, key, value))
    }

    fn may_change_key(
        &self,
        change: &Change,
        key: &str,
        value: Option<&String>,
    ) -> Result<(), Fail> {
        let need = |privilege| self.need_on_vm(change.vmid, change.pool, privilege);
        match key {
            "cores" | "cpuunits" | "cpulimit" => need("VM.Config.CPU"),
            "memory" | "swap" => need("VM.Config.Memory"),
            "nameserver" | "searchdomain" | "hostname" => need("VM.Config.Network"),
            "hookscript" => Err(refuse(
                "changing the hookscript is only allowed for root@pam",
            )),
            "features" => self.may_change_features(change, value),
            _ if is_mount(key) => {
                need("VM.Config.Disk")?;
                value.map_or(Ok(()), |text| self.may_mount(change.vmid, key, text))
            }
            _ if is_numbered(key, "dev") => Err(refuse(
                "configuring device passthrough is only allowed for root@pam",
            )),
            _ if is_card(key) => {
                need("VM.Config.Network")?;
                let old = change.old.and_then(|old| old.get(key));
                for text in [old, value].into_iter().flatten() {
                    self.may_plug(text)?;
                }
                Ok(())
            }
            "tags" => {
                let old = change.old.and_then(|old| old.get(key));
                self.may_tag((change.vmid, change.pool), old, value)
            }
            _ => need("VM.Config.Options"),
        }
    }

    /// Only what differs counts, and of that only `nesting` is free.
    fn may_change_features(&self, change: &Change, value: Option<&String>) -> Result<(), Fail> {
        if !change.unprivileged {
            return Err(refuse(
                "changing feature flags for privileged container is only allowed for root@pam",
            ));
        }
        let parsed = |text: Option<&String>| -> BTreeMap<String, String> {
            let found = text.map(|text| property::parse(set("lxc-features"), text));
            found.and_then(Result::ok).unwrap_or_default()
        };
        let old = parsed(change.old.and_then(|old| old.get("features")));
        let new = parsed(value);
        let changed = |key: &&String| old.get(*key) != new.get(*key);
        let changed: Vec<&String> = old.keys().chain(new.keys()).filter(changed).collect();
        if changed.iter().any(|key| *key != "nesting") {
            return Err(refuse(
                "changing feature flags (except nesting) is only allowed for root@pam",
            ));
        }
        match changed.is_empty() {
            true => Ok(()),
            false => self.need_on_vm(change.vmid, change.pool, "VM.Allocate"),
        }
    }

    fn may_mount(&self, vmid: u32, key: &str, text: &str) -> Result<(), Fail> {
        match volumes::source(&volumes::parse(key, text)) {
            Source::New { storage, .. } => {
                self.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])
            }
            Source::Volume(id) => self.may_use_volume(Some(vmid), &id, Some("rootdir")),
            other => {
                let kind = other.kind();
                Err(refuse(format!(
                    "mount point type {kind} is only allowed for root@pam"
                )))
            }
        }
    }

    /// Checks that the bridge of a card may be used.
    pub(crate) fn may_plug(&self, text: &str) -> Result<(), Fail> {
        let card = super::texts::parse_card(text);
        let Some(bridge) = card.get("bridge") else {
            return Ok(());
        };
        self.may_use_bridge(bridge, card.get("tag"), card.get("trunks"))
    }
}
