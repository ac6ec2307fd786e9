//! Shares that the guest mounts: their attributes, and all that a host mounts beside Docker's data. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{checks, disks, model::DockerVm};
use crate::{
    framework::{Model, Value, resource::Faults},
    guest::mounts::Share,
};

/// A share of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Model)]
pub struct Mount {
    /// Where it comes from: `nas.lan:/media` for NFS, `//nas.lan/media` for CIFS.
    pub source: String,
    /// Where it is mounted in the guest: a directory of its own, which is empty.
    #[attr(check(checks::absolute_path))]
    pub path: String,
    /// Its filesystem. What it takes is installed in the guest.
    #[attr(default("nfs4"), one_of(&["nfs4", "nfs", "cifs"]))]
    pub r#type: Option<String>,
    /// Mount options, separated by commas. A password does not belong here: `credentials=/root/nas.cred` names a file of the guest.
    #[attr(open, check(options))]
    pub options: Option<String>,
}

fn options(value: &Value) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    match text.split(',').any(|option| option.trim_start().starts_with("pass")) {
        true => Err("Holds a password, which everybody in the guest could read. Put it into a file of the guest, and name that: credentials=/root/nas.cred".to_owned()),
        false => Ok(()),
    }
}

/// What the guest mounts from elsewhere, each with the attribute that says so. A directory of the node is there only
/// once the VM was started with it.
pub(super) fn shares(vm: &DockerVm) -> Vec<(String, Share)> {
    let network = vm
        .mount
        .iter()
        .flatten()
        .map(|(key, mount)| (format!("mount.{key}"), share(key, mount)));
    let started = vm.restart_required != Some(true);
    let devices = vm.virtiofs.iter().flatten().filter(|_| started);
    let node = devices.filter_map(|(slot, device)| {
        let share = Share {
            name: slot.clone(),
            source: device.mapping.clone(),
            path: device.mount_path.clone()?,
            filesystem: "virtiofs".to_owned(),
            options: None,
        };
        Some((format!("virtiofs.{slot}"), share))
    });
    network.chain(node).collect()
}

fn share(key: &str, mount: &Mount) -> Share {
    Share {
        name: key.to_owned(),
        source: mount.source.clone(),
        path: mount.path.clone(),
        filesystem: mount.r#type.clone().unwrap_or_else(|| "nfs4".to_owned()),
        options: mount.options.clone().filter(|text| !text.is_empty()),
    }
}

/// Where the guest mounts something that can be taken back.
pub(super) fn paths(vm: &DockerVm) -> Vec<String> {
    let disks = disks::mounted(vm)
        .into_iter()
        .map(|(_, disk)| disk.mount_path);
    let devices = vm.virtiofs.iter().flatten();
    let devices = devices.filter_map(|(_, device)| device.mount_path.clone());
    let shares = vm
        .mount
        .iter()
        .flatten()
        .map(|(_, mount)| mount.path.clone());
    disks.chain(devices).chain(shares).collect()
}

/// The shares that the guest still has, by the checksums of its units.
pub(super) fn observed(
    known: &BTreeMap<String, Mount>,
    files: &BTreeMap<String, String>,
) -> BTreeMap<String, Mount> {
    let there = |(key, mount): &(&String, &Mount)| share(key, mount).is_in(files);
    let there = known.iter().filter(there);
    there
        .map(|(key, mount)| (key.clone(), mount.clone()))
        .collect()
}

/// Refuses names that are none, and two mounts at one place.
pub(super) fn validate(config: &Value, found: &mut Faults<'_>) {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut once = |at: String, path: &Value, found: &mut Faults<'_>| {
        let Some(path) = path
            .as_str()
            .map(|path| path.trim_end_matches('/').to_owned())
        else {
            return;
        };
        if let Some(other) = seen.get(&path) {
            let detail = format!("{other} is mounted at {path} already.");
            found.error(&at, "Two mounts at one place", detail);
        } else {
            seen.insert(path, at);
        }
    };
    if !config.get("data_disk").is_null() {
        let default = Value::from("/opt/docker");
        let path = config.at("data_disk.mount_path");
        let path = if path.is_null() { &default } else { path };
        once("data_disk".to_owned(), path, found);
    }
    let entries = |name: &str| config.get(name).as_map().into_iter().flatten();
    for (slot, disk) in entries("disk") {
        once(format!("disk.{slot}"), disk.get("mount_path"), found);
    }
    for (slot, device) in entries("virtiofs") {
        once(format!("virtiofs.{slot}"), device.get("mount_path"), found);
    }
    for (key, mount) in entries("mount") {
        once(format!("mount.{key}"), mount.get("path"), found);
        let word = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        if key.is_empty() || !key.chars().all(word) {
            let detail = format!("{key:?} must consist of letters, digits, `_` and `-`.");
            found.error("mount", "Invalid name of a mount", detail);
        }
    }
}
