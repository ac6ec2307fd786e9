//! Further disks of a VM: their attributes, and how they look in the notation of Proxmox VE. Pure.
//!
//! A disk that is removed from the configuration is detached and keeps its data as an unused volume.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::{
    calls::{DATA_SLOT, OS_SLOT, SEED_SLOT},
    checks,
    model::DockerVm,
    values::{boot_disk, boot_storage, drive},
};
use crate::{
    framework::{Model, Value},
    guest::disk::{self, Filesystem},
    pve::{Params, PropertyString, QemuConfig},
    resources::host::volumes::{bytes_of, gibibytes, storage_of},
};

/// A disk beside those for the system and for Docker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Model)]
pub struct Disk {
    /// Storage of the disk. Left open, that of the OS disk. A change moves it while the VM runs.
    #[attr(decided, sticky)]
    pub datastore_id: Option<String>,
    /// Size in GiB; decimals are exact to 1 MiB. Only grows, and the filesystem with it if the disk is mounted.
    #[attr(check(checks::size_gb))]
    pub size_gb: Number,
    /// Where the disk is mounted in the guest, before Docker starts. Left open, the guest is not told of it.
    #[attr(keep, check(checks::absolute_path))]
    pub mount_path: Option<String>,
    /// Filesystem that an empty disk gets if it is mounted.
    #[attr(default("ext4"), keep, one_of(&["ext4", "xfs"]))]
    pub filesystem: Option<String>,
    /// Whether backups of the VM include the disk.
    #[attr(default(true))]
    pub backup: Option<bool>,
    /// How the node caches it. A change needs a restart.
    #[attr(open, one_of(&["none", "writethrough", "writeback", "unsafe", "directsync"]))]
    pub cache: Option<String>,
    /// Whether the storage gets back the space that the guest frees. A change needs a restart.
    #[attr(default(true))]
    pub discard: Option<bool>,
    /// Whether the guest sees an SSD. A change needs a restart.
    #[attr(default(true))]
    pub ssd: Option<bool>,
    /// Whether it has a thread of its own. A change needs a restart.
    #[attr(default(true))]
    pub iothread: Option<bool>,
}

/// Options that a running VM takes only after a restart.
const NEEDS_RESTART: [&str; 4] = ["cache", "discard", "ssd", "iothread"];

/// Serial by which the guest finds the disk, and the label of its filesystem: 12 characters at most.
fn serial(slot: &str) -> String {
    slot.replace("scsi", "pmoves-d")
}

impl Disk {
    /// Its options over what the drive has.
    fn over(&self, mut drive: PropertyString) -> PropertyString {
        let on = |flag: Option<bool>| flag.map(|on| u8::from(on).to_string());
        let discard = self
            .discard
            .map(|on| if on { "on" } else { "ignore" }.to_owned());
        for (option, value) in [
            ("cache", self.cache.clone()),
            ("discard", discard),
            ("ssd", on(self.ssd)),
            ("iothread", on(self.iothread)),
            ("backup", on(self.backup)),
        ] {
            match value {
                Some(value) => drive.set(option, value),
                None => drop(drive.remove(option)),
            }
        }
        drive
    }

    /// What the guest has to do with it.
    fn inside(&self, slot: &str) -> Option<disk::DataDisk> {
        Some(disk::DataDisk {
            serial: serial(slot),
            mount_path: self.mount_path.clone()?,
            filesystem: filesystem(self.filesystem.as_deref()),
            purpose: disk::Purpose::Other,
        })
    }
}

pub(super) fn filesystem(word: Option<&str>) -> Filesystem {
    match word {
        Some("xfs") => Filesystem::Xfs,
        _ => Filesystem::Ext4,
    }
}

/// The disks that the guest mounts.
pub(super) fn mounted(vm: &DockerVm) -> Vec<(String, disk::DataDisk)> {
    let disks = vm.disk.iter().flatten();
    disks
        .filter_map(|(slot, disk)| Some((slot.clone(), disk.inside(slot)?)))
        .collect()
}

/// The disks of a VM as parameters, over what it has now: new ones are allocated, beside the OS disk if no storage is
/// chosen.
pub(super) fn params(vm: &DockerVm, config: Option<&QemuConfig>) -> Params {
    let now = |slot: &str| config?.disks.get(slot);
    let chosen = vm
        .os_disk
        .as_ref()
        .and_then(|disk| disk.datastore_id.clone());
    let beside = chosen.or_else(|| boot_storage(config?));
    let disks = vm.disk.iter().flatten();
    disks.fold(Params::new(), |params, (slot, disk)| {
        let current = now(slot).and_then(|raw| PropertyString::parse(raw, Some("file")).ok());
        let value = current.unwrap_or_else(|| {
            let storage = disk.datastore_id.as_ref().or(beside.as_ref());
            let storage = storage.map(String::as_str).unwrap_or_default();
            drive(&format!("{storage}:{}", disk.size_gb)).with("serial", Some(serial(slot)))
        });
        params.with(slot.clone(), Some(disk.over(value)))
    })
}

/// The disks that a configuration tells: those that the state follows, on import all that have a volume.
pub(super) fn read(
    known: Option<&BTreeMap<String, Disk>>,
    config: &QemuConfig,
    importing: bool,
) -> Option<BTreeMap<String, Disk>> {
    let prior = |slot: &str| known.and_then(|known| known.get(slot));
    let found: BTreeMap<String, Disk> = config
        .disks
        .iter()
        .filter(|(slot, _)| is_ours_to_follow(slot, config))
        .filter(|(slot, _)| importing || prior(slot).is_some())
        .filter_map(|(slot, raw)| Some((slot.clone(), parse(raw, prior(slot))?)))
        .collect();
    (!found.is_empty() || known.is_some()).then_some(found)
}

fn is_ours_to_follow(slot: &str, config: &QemuConfig) -> bool {
    let others = [OS_SLOT, DATA_SLOT, SEED_SLOT];
    slot.starts_with("scsi") && !others.contains(&slot) && boot_disk(config) != Some(slot)
}

fn parse(raw: &str, known: Option<&Disk>) -> Option<Disk> {
    let drive = PropertyString::parse(raw, Some("file")).ok()?;
    if drive.get("media") == Some("cdrom") {
        return None;
    }
    let discard = drive.get("discard").map(|word| word == "on");
    Some(Disk {
        datastore_id: storage_of(raw),
        size_gb: gibibytes(bytes_of(raw)?),
        mount_path: known.and_then(|disk| disk.mount_path.clone()),
        filesystem: known.and_then(|disk| disk.filesystem.clone()),
        backup: Some(drive.flag("backup").unwrap_or(true)),
        cache: drive.get("cache").map(str::to_owned),
        discard: Some(discard.unwrap_or(false)),
        ssd: Some(drive.flag("ssd").unwrap_or(false)),
        iothread: Some(drive.flag("iothread").unwrap_or(false)),
    })
}

/// The slots of a VM's disks.
pub(super) fn slots(vm: &Value) -> impl Iterator<Item = &String> {
    vm.get("disk").as_map().into_iter().flat_map(BTreeMap::keys)
}

/// The paths of options that a running VM takes only after a restart, of disks that were there before.
pub(super) fn restarting(prior: &Value) -> Vec<String> {
    let of = |slot: &String| NEEDS_RESTART.map(|option| format!("disk.{slot}.{option}"));
    slots(prior).flat_map(of).collect()
}
