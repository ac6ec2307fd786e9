//! Drives and NICs in the notation of Proxmox VE, from the model and over what is there. Pure.

use super::{
    calls::DATA_SERIAL,
    model::{DataDisk, NetworkDevice},
};
use crate::{pve::PropertyString, resources::host::network::trunks_text};

pub(super) fn drive(volume: &str) -> PropertyString {
    PropertyString::with_default("file")
        .with("file", Some(volume))
        .with("discard", Some("on"))
        .with("iothread", Some(1))
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
