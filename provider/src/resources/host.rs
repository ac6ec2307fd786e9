//! What VMs and containers have in common as Docker hosts.

pub(super) mod checks;
pub(super) mod clones;
pub(super) mod inside;
pub(super) mod make;
pub(super) mod network;
pub(super) mod plans;
pub(super) mod power;
pub(super) mod preflight;
pub(super) mod ssh;
pub(super) mod startup;
pub(super) mod volumes;

use std::{collections::BTreeSet, fmt};

use crate::{
    framework::{Failure, Result},
    pve::{self, Pve},
};

/// A kind of guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A VM.
    Qemu,
    /// A container.
    Lxc,
}

/// A guest as Proxmox VE names it: `qemu/101`, `lxc/102`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostId {
    /// What it is.
    pub kind: Kind,
    /// Its number.
    pub vmid: u32,
}

impl Kind {
    /// As in the list of the cluster.
    pub fn word(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Lxc => "lxc",
        }
    }

    /// As in a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Qemu => "VM",
            Self::Lxc => "container",
        }
    }

    /// The VMID in what is typed for an import: `101`, `qemu/101`, `pve1/101` or `pve1/qemu/101`.
    pub fn vmid_of(self, id: &str) -> Option<u32> {
        let other = match self {
            Self::Qemu => Self::Lxc.word(),
            Self::Lxc => Self::Qemu.word(),
        };
        let parts: Vec<&str> = id.split('/').collect();
        let number = match parts[..] {
            [number] => number,
            [first, number] if first != other => number,
            [_, kind, number] if kind == self.word() => number,
            _ => return None,
        };
        vmid(number)
    }
}

impl HostId {
    /// Reads the one spelling that an id has.
    pub fn parse(text: &str) -> Option<Self> {
        let (word, number) = text.split_once('/')?;
        let kind = [Kind::Qemu, Kind::Lxc]
            .into_iter()
            .find(|kind| kind.word() == word)?;
        let id = Self {
            kind,
            vmid: vmid(number)?,
        };
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.word(), self.vmid)
    }
}

/// The tags of a guest without the provider's own, which is the practitioner's business only if listed.
pub(super) fn own_tags(
    prior: Option<&BTreeSet<String>>,
    now: &[String],
    tag: Option<&str>,
) -> Option<BTreeSet<String>> {
    let listed = |name: &str| prior.is_some_and(|tags| tags.contains(name));
    let own = now
        .iter()
        .filter(|name| Some(name.as_str()) != tag || listed(name));
    let own: BTreeSet<String> = own.cloned().collect();
    (!own.is_empty() || prior.is_some()).then_some(own)
}

/// Decides whether a guest that the list lacks is gone. A credential that lost its rights sees an empty list too, so
/// `config`, what its last node answers, is asked, and if that is forbidden, whether the VMID is free.
pub(super) async fn is_gone<C>(
    pve: &Pve,
    id: HostId,
    node: &str,
    config: impl Future<Output = pve::Result<Option<C>>>,
) -> Result<bool> {
    if node.is_empty() {
        return Ok(true);
    }
    match config.await {
        Ok(None) => Ok(true),
        Ok(Some(_)) => Err(Failure::new(format!(
            "{id} exists on {node}, but is not in the list of the cluster; try again"
        ))),
        Err(pve::Error::Forbidden { .. }) if pve.vmid_is_free(id.vmid).await? => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn vmid(number: &str) -> Option<u32> {
    number
        .parse()
        .ok()
        .filter(|vmid| (100..=999_999_999).contains(vmid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        for text in ["qemu/101", "lxc/102"] {
            assert_eq!(HostId::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "101",
            "qemu/0101",
            "qemu/99",
            "node/101",
            "lxc/102/x",
            "lxc/",
        ] {
            assert_eq!(HostId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn imports_are_generous() {
        for text in ["102", "lxc/102", "pve1/102", "pve1/lxc/102"] {
            assert_eq!(Kind::Lxc.vmid_of(text), Some(102), "{text}");
        }
        for text in ["qemu/102", "pve1/qemu/102", "lxc/x", "a/b/lxc/102"] {
            assert_eq!(Kind::Lxc.vmid_of(text), None, "{text}");
        }
    }
}
