//! Devices of the cluster that a VM gets by their mapping: PCI, USB, directories; and its firmware.
//!
//! Only mappings, since a device of one node by its address is what Proxmox VE reserves to root@pam.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

use crate::{
    framework::{Model, Value},
    pve::{Params, PropertyString, QemuConfig},
};

use super::model::DockerVm;

/// A PCI device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct HostPci {
    /// Resource mapping of the cluster (Datacenter > Resource Mappings) that names the device on each node.
    pub mapping: String,
    /// Type of a mediated device, such as `nvidia-63`.
    #[attr(open)]
    pub mdev: Option<String>,
    /// Whether the guest sees a PCI Express device, which needs a `q35` machine.
    #[attr(open)]
    pub pcie: Option<bool>,
    /// Whether the guest sees the ROM of the device.
    #[attr(open)]
    pub rombar: Option<bool>,
    /// Whether it is the guest's primary graphics card.
    #[attr(open, param = "x-vga")]
    pub xvga: Option<bool>,
}

/// A USB device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Usb {
    /// Resource mapping of the cluster that names the device on each node.
    pub mapping: String,
    /// Whether it is attached to a USB 3 controller.
    #[attr(open)]
    pub usb3: Option<bool>,
}

/// A directory of the node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Virtiofs {
    /// Directory mapping of the cluster. The guest mounts it under this name: `mount -t virtiofs NAME /mnt`.
    pub mapping: String,
    /// What the guest may keep in memory.
    #[attr(open, one_of(&["auto", "always", "metadata", "never"]))]
    pub cache: Option<String>,
    /// Whether `O_DIRECT` of the guest is honoured.
    #[attr(open)]
    pub direct_io: Option<bool>,
    /// Whether the guest sees access control lists, and with them extended attributes.
    #[attr(open)]
    pub expose_acl: Option<bool>,
    /// Whether the guest sees extended attributes.
    #[attr(open)]
    pub expose_xattr: Option<bool>,
}

/// Where the settings of UEFI are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct EfiDisk {
    /// Storage of the disk. Left open, that of the OS disk.
    #[attr(decided, keep)]
    pub datastore_id: Option<String>,
    /// Size and generation; `2m` is for guests that have it already.
    #[attr(default("4m"), keep, one_of(&["2m", "4m"]))]
    pub r#type: Option<String>,
    /// Whether Secure Boot begins with the keys of Microsoft and the distributions.
    #[attr(default(false), keep)]
    pub pre_enrolled_keys: Option<bool>,
}

pub(super) fn machine(value: &Value) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    // Options such as viommu come after a comma.
    let text = text.split(',').next().unwrap_or_default();
    let text = text.strip_prefix("type=").unwrap_or(text);
    let fine = ["pc", "q35", "pc-i440fx-", "pc-q35-", "virt"]
        .iter()
        .any(|known| text == *known || (known.ends_with('-') && text.starts_with(known)));
    match fine
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".+-".contains(c))
    {
        true => Ok(()),
        false => Err(format!(
            "{text:?} is no machine type such as q35 or pc-q35-9.2."
        )),
    }
}

/// Names of the options by attribute; the first is the mapping.
type Names = &'static [(&'static str, &'static str)];

const PCI: Names = &[
    ("mapping", "mapping"),
    ("mdev", "mdev"),
    ("pcie", "pcie"),
    ("rombar", "rombar"),
    ("xvga", "x-vga"),
];
const USB: Names = &[("mapping", "mapping"), ("usb3", "usb3")];
const VIRTIOFS: Names = &[
    ("mapping", "dirid"),
    ("cache", "cache"),
    ("direct_io", "direct-io"),
    ("expose_acl", "expose-acl"),
    ("expose_xattr", "expose-xattr"),
];

/// The devices of a VM as parameters, over what it has now.
pub(super) fn params(vm: &DockerVm, config: Option<&QemuConfig>) -> Params {
    let current = |slot: &str| {
        config
            .and_then(|config| config.rest.get(slot))
            .map(String::as_str)
    };
    let mut params = Params::new()
        .with("bios", vm.bios.as_ref())
        .with("machine", vm.machine.as_ref());
    for (slot, device) in vm.hostpci.iter().flatten() {
        params = params.with(
            slot.clone(),
            Some(printed(device, PCI, "host", current(slot))),
        );
    }
    for (slot, device) in vm.usb.iter().flatten() {
        params = params.with(
            slot.clone(),
            Some(printed(device, USB, "host", current(slot))),
        );
    }
    for (slot, device) in vm.virtiofs.iter().flatten() {
        params = params.with(
            slot.clone(),
            Some(printed(device, VIRTIOFS, "dirid", current(slot))),
        );
    }
    params
}

/// A new disk for the settings of UEFI.
pub(super) fn efi_drive(disk: &EfiDisk) -> PropertyString {
    // Proxmox VE ignores the size, but wants one.
    let volume = format!("{}:1", disk.datastore_id.as_deref().unwrap_or_default());
    PropertyString::with_default("file")
        .with("file", Some(volume))
        .with("efitype", disk.r#type.as_ref())
        .with("pre-enrolled-keys", disk.pre_enrolled_keys.map(u8::from))
}

fn printed(
    device: &impl Serialize,
    names: Names,
    default_key: &'static str,
    current: Option<&str>,
) -> PropertyString {
    let parsed = current.and_then(|raw| PropertyString::parse(raw, Some(default_key)).ok());
    let mut value = parsed.unwrap_or_else(|| PropertyString::with_default(default_key));
    let device = serde_json::to_value(device).unwrap_or_default();
    for (attribute, option) in names {
        match &device[attribute] {
            Json::String(text) => value.set(option, text),
            Json::Bool(on) => value.set(option, u8::from(*on).to_string()),
            _ => drop(value.remove(option)),
        }
    }
    value
}

/// The devices that a configuration tells: those that the state follows, on import all that have a
/// mapping.
pub(super) fn read(prior: &DockerVm, config: &QemuConfig, importing: bool) -> DockerVm {
    DockerVm {
        bios: config.bios.clone(),
        machine: config.machine.clone(),
        hostpci: slots(
            prior.hostpci.as_ref(),
            config,
            importing,
            "hostpci",
            (PCI, "host"),
        ),
        usb: slots(prior.usb.as_ref(), config, importing, "usb", (USB, "host")),
        virtiofs: slots(
            prior.virtiofs.as_ref(),
            config,
            importing,
            "virtiofs",
            (VIRTIOFS, "dirid"),
        ),
        efi_disk: efi_disk(prior, config, importing),
        ..prior.clone()
    }
}

fn slots<T: DeserializeOwned>(
    known: Option<&BTreeMap<String, T>>,
    config: &QemuConfig,
    importing: bool,
    prefix: &str,
    (names, default_key): (Names, &'static str),
) -> Option<BTreeMap<String, T>> {
    let followed = |slot: &str| importing || known.is_some_and(|known| known.contains_key(slot));
    let number = |slot: &str| {
        slot.strip_prefix(prefix)
            .is_some_and(|digits| digits.parse::<u8>().is_ok())
    };
    let found: BTreeMap<String, T> = config
        .rest
        .iter()
        .filter(|(slot, _)| number(slot) && followed(slot))
        .filter_map(|(slot, raw)| Some((slot.clone(), parsed(raw, names, default_key)?)))
        .collect();
    (!found.is_empty() || known.is_some()).then_some(found)
}

fn parsed<T: DeserializeOwned>(raw: &str, names: Names, default_key: &'static str) -> Option<T> {
    let value = PropertyString::parse(raw, Some(default_key)).ok()?;
    let entry = |(attribute, option): &(&str, &str)| {
        let text = value.get(option)?;
        let json = match *attribute {
            "mapping" | "mdev" | "cache" => Json::from(text),
            _ => Json::from(value.flag(option)?),
        };
        Some(((*attribute).to_owned(), json))
    };
    // Without a mapping this is a device by its address, which no attribute can say.
    serde_json::from_value(names.iter().filter_map(entry).collect()).ok()
}

fn efi_disk(prior: &DockerVm, config: &QemuConfig, importing: bool) -> Option<EfiDisk> {
    let raw = config.disks.get("efidisk0")?;
    if !importing && prior.efi_disk.is_none() {
        return None;
    }
    let drive = PropertyString::parse(raw, Some("file")).ok()?;
    let storage = drive.get("file")?.split(':').next()?;
    Some(EfiDisk {
        datastore_id: Some(storage.to_owned()),
        r#type: Some(drive.get("efitype").unwrap_or("2m").to_owned()),
        pre_enrolled_keys: Some(drive.flag("pre-enrolled-keys").unwrap_or(false)),
    })
}
