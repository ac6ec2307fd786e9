//! The description of a container that is handed over when it is started.
//!
//! It is made of the configuration and the volumes; what cannot start is refused here.

use super::volumes::{self, Source, is_mount};
use super::{Ct, texts};
use crate::simulator::container::{ConsoleMode, ContainerNic, ContainerSpec};
use crate::simulator::machine::{Disk, Nic};
use crate::simulator::reply::Fail;
use crate::simulator::rules::{property, set};
use crate::simulator::world::State;

/// What a terminal of the container shows.
pub(crate) fn console_mode(ct: &Ct) -> ConsoleMode {
    match ct.config.get("cmode").map(String::as_str) {
        Some("shell") => ConsoleMode::Shell,
        Some("console") => ConsoleMode::Console,
        _ => ConsoleMode::Tty,
    }
}

/// Whether a feature is on.
pub(crate) fn has_feature(ct: &Ct, feature: &str) -> bool {
    let text = ct.config.get("features").map_or("", String::as_str);
    let found = property::parse(set("lxc-features"), text).unwrap_or_default();
    found.get(feature).is_some_and(|is| is == "1")
}

/// Describes the container, or tells why it cannot start.
pub(crate) fn spec(state: &State, ct: &Ct) -> Result<ContainerSpec, Fail> {
    let mut nics = Vec::new();
    for (key, text) in ct.config.iter().filter(|(key, _)| texts::is_card(key)) {
        nics.push(nic(state, ct, key, text)?);
    }
    let mut disks = Vec::new();
    for (key, mount) in volumes::in_order(&ct.config) {
        let Source::Volume(volume) = volumes::source(&mount) else {
            continue;
        };
        let known = state.existing(&ct.node, &volume)?;
        let path = mount.get("mp").cloned().unwrap_or_default();
        let disk = Disk {
            slot: key,
            bytes: known.bytes,
            image: known.image.clone(),
            volume,
            serial: None,
        };
        disks.push((path, disk));
    }
    if disks.is_empty() || !ct.config.keys().any(|key| is_mount(key)) {
        return Err(Fail::died("container has no root"));
    }
    let (_, root) = disks.remove(0);
    Ok(ContainerSpec {
        vmid: ct.vmid,
        node: ct.node.clone(),
        hostname: ct.name(),
        memory_mib: ct.number("memory").unwrap_or(512),
        swap_mib: ct.number("swap").unwrap_or(512),
        cores: ct.number("cores").and_then(|n| u32::try_from(n).ok()),
        template: ct.origin.template.clone(),
        nics,
        root,
        mounts: disks,
        nesting: has_feature(ct, "nesting"),
        unprivileged: ct.is("unprivileged"),
        nameservers: ct.config.get("nameserver").cloned(),
        ssh_keys: ct.origin.ssh_keys.clone(),
    })
}

fn nic(state: &State, ct: &Ct, key: &str, text: &str) -> Result<ContainerNic, Fail> {
    let card = texts::parse_card(text);
    let value = |key: &str| card.get(key).cloned();
    let bridge = value("bridge").unwrap_or_default();
    if !bridge.is_empty() && !state.node(&ct.node)?.network.has_bridge(&bridge) {
        return Err(Fail::died(format!("bridge '{bridge}' does not exist")));
    }
    Ok(ContainerNic {
        nic: Nic {
            slot: key.to_owned(),
            mac: value("hwaddr").unwrap_or_default(),
            bridge,
        },
        name: value("name").unwrap_or_default(),
        ip: value("ip"),
        gateway: value("gw"),
        ip6: value("ip6"),
        gateway6: value("gw6"),
    })
}
