//! NICs, volumes, features and devices in the notation of Proxmox VE, from the model and over what is there. Pure.

use super::model::{DataVolume, Device, Features, IpConfig, MountPoint, NetworkInterface};
use crate::{
    pve::PropertyString,
    resources::host::{network::trunks_text, volumes::storage_of},
};

/// A NIC over what Proxmox VE has: without the MAC it would draw a new one.
pub(super) fn network(
    slot: &str,
    nic: &NetworkInterface,
    ip: Option<&IpConfig>,
    current: Option<&str>,
) -> PropertyString {
    let parsed = current.and_then(|raw| PropertyString::parse(raw, None).ok());
    let mut value = parsed.unwrap_or_default();
    let default_name = || slot.replace("net", "eth");
    let name = nic
        .name
        .clone()
        .or_else(|| value.get("name").map(str::to_owned));
    value.set("name", name.unwrap_or_else(default_name));
    value.set("bridge", &nic.bridge);
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    let mut put = |key: &str, text: Option<String>| match text {
        Some(text) => value.set(key, text),
        None => drop(value.remove(key)),
    };
    if let Some(mac) = &nic.mac_address {
        put("hwaddr", Some(mac.clone()));
    }
    put("tag", number(nic.vlan_id));
    put("firewall", nic.firewall.map(|on| u8::from(on).to_string()));
    put("mtu", number(nic.mtu));
    put("rate", nic.rate_limit.as_ref().map(ToString::to_string));
    put("trunks", trunks_text(nic.trunks.as_ref()));
    match ip {
        Some(ip) => {
            let (v4, v6) = (ip.ipv4.as_ref(), ip.ipv6.as_ref());
            put("ip", v4.and_then(|ip| ip.address.clone()));
            put("gw", v4.and_then(|ip| ip.gateway.clone()));
            put("ip6", v6.and_then(|ip| ip.address.clone()));
            put("gw6", v6.and_then(|ip| ip.gateway.clone()));
        }
        None if current.is_none() => put("ip", Some("dhcp".to_owned())),
        None => {}
    }
    value
}

/// The data volume: a new one of `volume`, or over what Proxmox VE has.
pub(super) fn data(volume: &str, data: &DataVolume) -> PropertyString {
    let mut value = PropertyString::parse(volume, Some("volume")).unwrap_or_default();
    if value.get("mp").is_none() {
        let path = data.mount_path.as_deref().unwrap_or("/opt/appdata");
        value.set("mp", path);
    }
    // Mount points are in no backup unless they say so.
    value.set("backup", u8::from(data.backup != Some(false)).to_string());
    value
}

/// A mount point, over what Proxmox VE has if that is of the same volume.
pub(super) fn mount_point(mount: &MountPoint, current: Option<&str>) -> PropertyString {
    let same = |raw: &&str| source_of(raw).as_deref() == Some(&*mount.volume);
    let size = mount.size_gb.as_ref().map(ToString::to_string);
    let new = || match mount.volume.starts_with('/') {
        true => mount.volume.clone(),
        false => format!("{}:{}", mount.volume, size.as_deref().unwrap_or("8")),
    };
    let base = current.filter(same).map_or_else(new, str::to_owned);
    let mut value = PropertyString::parse(&base, Some("volume")).unwrap_or_default();
    value.set("mp", &mount.path);
    let flag = |flag: Option<bool>| flag.map(|on| u8::from(on).to_string());
    let options = mount.mount_options.iter().flatten().cloned();
    let options = options.collect::<Vec<_>>().join(";");
    for (key, text) in [
        ("backup", flag(mount.backup)),
        ("ro", flag(mount.read_only)),
        ("shared", flag(mount.shared)),
        ("acl", flag(mount.acl)),
        ("quota", flag(mount.quota)),
        ("replicate", flag(mount.replicate)),
        (
            "mountoptions",
            Some(options).filter(|text| !text.is_empty()),
        ),
    ] {
        match text {
            Some(text) => value.set(key, text),
            None => drop(value.remove(key)),
        }
    }
    value
}

/// What a mount point is of: the storage, or the directory of the node.
pub(super) fn source_of(raw: &str) -> Option<String> {
    let volume = raw.split(',').next()?;
    match volume.starts_with('/') {
        true => Some(volume.to_owned()),
        false => storage_of(raw),
    }
}

pub(super) fn device(device: &Device) -> PropertyString {
    PropertyString::with_default("path")
        .with("path", Some(&device.path))
        .with("deny-write", device.deny_write.map(u8::from))
        .with("gid", device.gid)
        .with("mode", device.mode.as_ref())
        .with("uid", device.uid)
}

/// The features over those that there are, which must all be sent again.
pub(super) fn features(features: &Features, current: Option<&str>) -> Option<PropertyString> {
    let parsed = current.and_then(|raw| PropertyString::parse(raw, None).ok());
    let mut value = parsed.unwrap_or_default();
    for (key, flag) in [
        ("nesting", features.nesting),
        ("keyctl", features.keyctl),
        ("fuse", features.fuse),
        ("mknod", features.mknod),
    ] {
        match flag {
            Some(true) => value.set(key, "1"),
            // Off is said as it was, for a change of words counts as one.
            Some(false) if value.flag(key) == Some(true) => drop(value.remove(key)),
            _ => {}
        }
    }
    match &features.mount {
        Some(kinds) if kinds.is_empty() => drop(value.remove("mount")),
        Some(kinds) => {
            let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
            value.set("mount", kinds.join(";"));
        }
        None => {}
    }
    (!value.is_empty()).then_some(value)
}
