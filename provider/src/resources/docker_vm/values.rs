//! Drives and NICs in the notation of Proxmox VE, from the model and over what is there. Pure.

use super::{
    calls::{DATA_SERIAL, OS_SLOT},
    model::{DataDisk, NetworkDevice},
};
use crate::{
    pve::{PropertyString, QemuConfig},
    resources::host::{network::trunks_text, volumes::storage_of},
};

pub(super) fn drive(volume: &str) -> PropertyString {
    PropertyString::with_default("file")
        .with("file", Some(volume))
        .with("discard", Some("on"))
        .with("iothread", Some(1))
}

/// The OS disk in its slot: not every bus takes every option.
pub(super) fn os_drive(volume: &str, slot: &str) -> PropertyString {
    let mut drive = drive(volume);
    if !slot.starts_with("virtio") {
        drive.set("ssd", "1");
    }
    if !(slot.starts_with("virtio") || slot.starts_with("scsi")) {
        drive.remove("iothread");
    }
    drive
}

/// The slot of the disk that a VM boots from: the first of its order, else the first of those that are usual.
pub(super) fn boot_disk(config: &QemuConfig) -> Option<&str> {
    let order = config
        .boot
        .as_deref()
        .and_then(|boot| boot.strip_prefix("order="));
    let order = order.into_iter().flat_map(|order| order.split(';'));
    let legacy = config.rest.get("bootdisk").map(String::as_str);
    let usual = [OS_SLOT, "virtio0", "sata0", "ide0"];
    order
        .chain(legacy)
        .chain(usual)
        .filter_map(|slot| config.disks.get_key_value(slot))
        .find(|(_, raw)| !raw.contains("media=cdrom"))
        .map(|(slot, _)| slot.as_str())
}

/// The storage of that disk: others are made beside it if none is chosen.
pub(super) fn boot_storage(config: &QemuConfig) -> Option<String> {
    storage_of(config.disks.get(boot_disk(config)?)?)
}

pub(super) fn data_drive(volume: &str, disk: &DataDisk) -> PropertyString {
    drive(volume)
        .with("serial", Some(DATA_SERIAL))
        .with("ssd", Some(1))
        .with("backup", disk.backup.map(u8::from))
}

pub(super) fn with_backup(raw: &str, disk: &DataDisk) -> PropertyString {
    let mut drive = PropertyString::parse(raw, Some("file")).unwrap_or_default();
    drive.set("backup", u8::from(disk.backup.unwrap_or(true)).to_string());
    drive
}

pub(super) fn with_cpu_type(raw: &str, kind: &str) -> PropertyString {
    let mut cpu = PropertyString::parse(raw, Some("cputype")).unwrap_or_default();
    let mut parts = kind.splitn(2, ',');
    cpu.set("cputype", parts.next().unwrap_or_default());
    cpu
}

/// The agent switched on or off, with its other options as they are.
pub(super) fn with_agent(raw: Option<&str>, enabled: bool) -> PropertyString {
    let parsed = raw.and_then(|raw| PropertyString::parse(raw, Some("enabled")).ok());
    let mut agent = parsed.unwrap_or_default();
    agent.set("enabled", u8::from(enabled).to_string());
    agent
}

/// A NIC as Proxmox VE takes it, over what it has: without the MAC it would draw a new one. An option that is as it
/// was `known` is left as it is, in whatever words.
pub(super) fn network(
    nic: &NetworkDevice,
    known: Option<&NetworkDevice>,
    current: Option<&str>,
) -> PropertyString {
    let parsed = current.and_then(|raw| PropertyString::parse(raw, None).ok());
    let mut value = parsed.unwrap_or_default();
    let model = value
        .first()
        .map_or_else(|| "virtio".to_owned(), |(model, _)| model.to_owned());
    match &nic.mac_address {
        Some(mac) => value.set(&model, mac),
        None if current.is_none() => value.set("model", &model),
        None => {}
    }
    value.set("bridge", &nic.bridge);
    let known = known.filter(|_| current.is_some()).map(options);
    for (place, (key, option)) in options(nic).into_iter().enumerate() {
        match option {
            option if known.as_ref().is_some_and(|known| known[place].1 == option) => {}
            Some(option) => value.set(key, option),
            None => drop(value.remove(key)),
        }
    }
    value
}

fn options(nic: &NetworkDevice) -> [(&'static str, Option<String>); 7] {
    let flag = |flag: Option<bool>| flag.map(|on| u8::from(on).to_string());
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    let rate = nic.rate_limit.as_ref();
    [
        ("tag", number(nic.vlan_id)),
        ("firewall", flag(nic.firewall)),
        ("mtu", number(nic.mtu)),
        ("link_down", flag(nic.disconnected)),
        ("queues", number(nic.queues)),
        ("rate", rate.map(ToString::to_string)),
        ("trunks", trunks_text(nic.trunks.as_ref())),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_disk_that_boots_is_the_first_of_the_order() {
        let boots = |settings: serde_json::Value| {
            let config: QemuConfig = serde_json::from_value(settings).unwrap();
            boot_disk(&config).map(str::to_owned)
        };
        let disk = "a:vm-1-disk-0,size=1G";
        for (settings, slot) in [
            (
                json!({ "boot": "order=net0;virtio0;scsi0", "virtio0": disk, "scsi0": disk }),
                Some("virtio0"),
            ),
            (
                json!({ "boot": "order=ide2;sata0", "ide2": "a:iso/x.iso,media=cdrom", "sata0": disk }),
                Some("sata0"),
            ),
            (
                json!({ "boot": "c", "bootdisk": "ide0", "ide0": disk, "scsi0": disk }),
                Some("ide0"),
            ),
            (
                json!({ "boot": "order=net0", "virtio0": disk }),
                Some("virtio0"),
            ),
            (json!({ "scsi1": disk }), None),
        ] {
            assert_eq!(boots(settings.clone()).as_deref(), slot, "{settings}");
        }
    }

    #[test]
    fn a_bus_gets_the_options_that_it_takes() {
        for (slot, drive) in [
            ("scsi0", "a:0,discard=on,iothread=1,ssd=1"),
            ("virtio0", "a:0,discard=on,iothread=1"),
            ("sata0", "a:0,discard=on,ssd=1"),
        ] {
            assert_eq!(os_drive("a:0", slot).to_string(), drive);
        }
    }
}
