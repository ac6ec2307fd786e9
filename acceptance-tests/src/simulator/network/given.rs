//! What a request says about an interface, and whether that can be beside the other interfaces.

use std::net::Ipv6Addr;

use super::file::{Iface, Ifaces};
use crate::simulator::call::Call;
use crate::simulator::params::Value;
use crate::simulator::reply::Fail;
use crate::simulator::rules::formats::split_list;
use crate::simulator::rules::set;

/// The settings among the parameters, with addresses taken apart.
pub(super) fn given(call: &Call) -> Result<Iface, Fail> {
    let own = |name: &str| set("iface").rule(name).is_some();
    let given = call.params.0.iter().filter(|(name, _)| own(name));
    let mut iface: Iface = given
        .filter_map(|(name, value)| match value {
            Value::Text(text) => Some((name.clone(), text.clone())),
            _ => None,
        })
        .collect();
    if let Some(mask) = iface.get("netmask").cloned() {
        let bits = mask.parse::<std::net::Ipv4Addr>();
        let bits = bits.map_or(mask, |mask| mask.to_bits().count_ones().to_string());
        iface.insert("netmask".to_owned(), bits);
    }
    for suffix in ["", "6"] {
        let Some(cidr) = iface.remove(&format!("cidr{suffix}")) else {
            continue;
        };
        for key in ["address", "netmask"].map(|key| format!("{key}{suffix}")) {
            if iface.contains_key(&key) {
                return Err(Fail::param(
                    &key,
                    format!("{key} conflicts with cidr{suffix}"),
                ));
            }
        }
        let (address, bits) = cidr.split_once('/').unwrap_or((&cidr, "32"));
        iface.insert(format!("address{suffix}"), address.to_owned());
        iface.insert(format!("netmask{suffix}"), bits.to_owned());
    }
    for key in ["bridge_ports", "slaves"] {
        if let Some(list) = iface.get_mut(key) {
            *list = split_list(list).join(" ");
        }
    }
    if let Some(comments) = iface.get_mut("comments") {
        *comments = format!("{}\n", comments.trim_end_matches('\n'));
    }
    if iface.get("autostart").is_some_and(|is| is == "0") {
        iface.remove("autostart");
    }
    Ok(iface)
}

/// What cannot be because of the other interfaces.
pub(super) fn check_against(all: &Ifaces, name: &str, iface: &Iface) -> Result<(), Fail> {
    for (key, what) in [("gateway", "Default"), ("gateway6", "Default ipv6")] {
        let holder = all
            .iter()
            .find(|(other, of)| *other != name && of.contains_key(key));
        if let Some((other, _)) = holder.filter(|_| iface.contains_key(key)) {
            let text = format!("{what} gateway already exists on interface '{other}'.");
            return Err(Fail::param(key, text));
        }
    }
    if let Some(address) = iface.get("address6") {
        let kind = address.parse().map(kind_of_ipv6);
        if let Ok(Some(kind)) = kind {
            let text =
                format!("{address} with type '{kind}', cannot be used as host IPv6 address.");
            return Err(Fail::param("address", text));
        }
    }
    for key in ["bridge_ports", "slaves"] {
        let ports = iface.get(key).map_or("", String::as_str);
        for port in ports.split_whitespace() {
            let holds = |of: &Iface, key: &str| {
                let ports = of.get(key).map_or("", String::as_str);
                ports.split_whitespace().any(|other| other == port)
            };
            let holder = all.iter().find(|(other, of)| {
                *other != name && (holds(of, "bridge_ports") || holds(of, "slaves"))
            });
            if let Some((other, _)) = holder {
                let text = format!("{port} is already used on interface '{other}'.");
                return Err(Fail::param(key, text));
            }
        }
    }
    if iface
        .get("bridge_vids")
        .is_some_and(|list| split_list(list).is_empty())
    {
        return Err(Fail::param("bridge_vids", "VLAN list items are empty"));
    }
    if iface["type"].starts_with("OVS") {
        return Err(Fail::died(
            "Open VSwitch is not installed (need package 'openvswitch-switch')",
        ));
    }
    Ok(())
}

/// Why no host can have an address, if none can.
fn kind_of_ipv6(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("UNSPECIFIED"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("LOOPBACK"),
        [0x2001, 0xdb8, ..] => Some("DOCUMENTATION"),
        [first, ..] if first >> 8 == 0xff => Some("MULTICAST"),
        _ => None,
    }
}

/// Families and methods are what this request's addresses tell.
pub(super) fn set_methods(iface: &mut Iface, given: &Iface) {
    let mut families = Vec::new();
    for (suffix, family) in [("", "inet"), ("6", "inet6")] {
        let has = given.contains_key(&format!("address{suffix}"));
        families.extend(has.then_some(family));
        let method = if has { "static" } else { "manual" };
        iface.insert(format!("method{suffix}"), method.to_owned());
    }
    if families.is_empty() {
        families.push("inet");
    }
    iface.insert("families".to_owned(), families.join(" "));
}
