//! What the writer of `/etc/network/interfaces` refuses: the whole file is checked at each change.

use super::file::{Iface, Ifaces};
use crate::simulator::reply::Fail;

fn value<'a>(iface: &'a Iface, key: &str) -> &'a str {
    iface.get(key).map_or("", String::as_str)
}

/// The interfaces of a kind, with the members that a key lists.
fn members<'a>(
    all: &'a Ifaces,
    kind: &'static str,
    key: &'static str,
) -> impl Iterator<Item = (&'a String, &'a Iface, &'a str)> {
    let of_kind = all
        .iter()
        .filter(move |(_, iface)| value(iface, "type") == kind);
    of_kind.flat_map(move |(name, iface)| {
        let members = value(iface, key).split([' ', ',', ';']);
        members
            .filter(|member| !matches!(*member, "" | "none"))
            .map(move |member| (name, iface, member))
    })
}

/// Checks all interfaces together, and switches on the automatic start of a bond's members.
pub(super) fn check(all: &mut Ifaces) -> Result<(), Fail> {
    let mut started = Vec::new();
    for (name, iface, slave) in members(all, "bond", "slaves") {
        let found = all
            .get(slave)
            .ok_or_else(|| Fail::died(format!("bond '{name}' - unable to find slave '{slave}'")))?;
        has_no_address(found, slave, &format!("bonded in {name}"))?;
        carries(iface, name, found, slave)?;
        started.push(slave.to_owned());
    }
    for (name, iface, port) in members(all, "bridge", "bridge_ports") {
        let Some(found) = all.get(port) else {
            // VLANs need not be declared if what they are on is.
            let parent = port.rsplit_once('.').map(|(parent, _)| parent);
            if parent.is_some_and(|parent| all.contains_key(parent)) {
                continue;
            }
            return Err(Fail::died(format!(
                "bridge '{name}' - unable to find bridge port '{port}'"
            )));
        };
        has_no_address(found, port, &format!("bridged in {name}"))?;
        carries(iface, name, found, port)?;
    }
    for (name, iface) in all
        .iter()
        .filter(|(_, iface)| value(iface, "type") == "vlan")
    {
        let child = name.rsplit_once('.').map(|(parent, _)| parent);
        let parent = match value(iface, "vlan-raw-device") {
            "" => child.ok_or_else(|| {
                Fail::died(
                    "missing vlan-raw-device option at /usr/share/perl5/PVE/Network/Interfaces.pm \
                     line 954.",
                )
            })?,
            parent => parent,
        };
        if child.is_none() && value(iface, "vlan-id").is_empty() && !name.starts_with("vlan") {
            return Err(Fail::died(
                "missing vlan-id option at /usr/share/perl5/PVE/Network/Interfaces.pm line 957.",
            ));
        }
        let found = all.get(parent).ok_or_else(|| {
            Fail::died(format!("vlan '{name}' - unable to find parent '{parent}'"))
        })?;
        carries(iface, name, found, parent)?;
    }
    for name in started {
        if let Some(iface) = all.get_mut(&name) {
            iface.insert("autostart".to_owned(), "1".to_owned());
        }
    }
    Ok(())
}

fn has_no_address(iface: &Iface, name: &str, why: &str) -> Result<(), Fail> {
    let is_static = ["method", "method6"]
        .iter()
        .any(|key| value(iface, key) == "static");
    match is_static {
        true => Err(Fail::died(format!(
            "iface {name} - ip address can't be set on interface if {why}"
        ))),
        false => Ok(()),
    }
}

/// What lies below must take packets as large as what lies above.
fn carries(above: &Iface, above_name: &str, below: &Iface, name: &str) -> Result<(), Fail> {
    let mtu = |iface: &Iface| value(iface, "mtu").parse::<u64>().ok();
    let Some(wanted) = mtu(above) else {
        return Ok(());
    };
    let can = mtu(below).unwrap_or(1500);
    if can < wanted {
        return Err(Fail::died(format!(
            "interface '{name}' - mtu {can} is lower than '{above_name}' - mtu {wanted}"
        )));
    }
    Ok(())
}
