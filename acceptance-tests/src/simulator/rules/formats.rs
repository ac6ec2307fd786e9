//! The named formats of parameter values, with the text that each refusal carries.
//!
//! Only the look of a value is judged: whether a node, a storage or a VM exists is not asked here.

mod guests;
mod storages;

pub(crate) use guests::whole;

use super::pattern::Pattern;
use crate::simulator::access::is_privilege;
use crate::simulator::release::Release;

/// Checks `value` against the format `name`. The error is the format checker's text without its
/// trailing newline. A name that ends in `-list` checks each element, `-opt` allows the empty text.
pub(crate) fn check(name: &str, value: &str, release: Release) -> Result<(), String> {
    if let Some(one) = name.strip_suffix("-list") {
        return split_list(value)
            .into_iter()
            .try_for_each(|part| check(one, part, release));
    }
    if let Some(one) = name.strip_suffix("-opt") {
        return if value.is_empty() {
            Ok(())
        } else {
            check(one, value, release)
        };
    }
    let (good, text) = names(name, value)
        .or_else(|| addresses(name, value))
        .or_else(|| guests::devices(name, value))
        .or_else(|| people(name, value, release))
        .or_else(|| guests::containers(name, value))
        .or_else(|| jobs(name, value))
        .or_else(|| storages::judge(name, value))
        .unwrap_or_else(|| panic!("no format is called {name}"));
    if good { Ok(()) } else { Err(text) }
}

/// Whether a value is good, and the text if it is not; nothing for a format of another kind.
type Judgement = Option<(bool, String)>;

fn like(what: &str) -> String {
    format!("value does not look like a valid {what}")
}

/// Ids and names of things.
fn names(name: &str, value: &str) -> Judgement {
    let judged = |is: bool, text: String| Some((is, text));
    match name {
        "pve-vmid" => judged(fits("[1-9][0-9]{2,8}", value), like("VM ID")),
        "pve-node" => judged(fits(LABEL, value), like("node name")),
        "pve-iface" => judged(
            fits(r"[a-zA-Z][a-zA-Z0-9_]{1,20}([:.]\d+)?", value),
            format!("invalid network interface name '{value}'"),
        ),
        "pve-bridge-id" => judged(
            fits(r"[-_.\w\d]+", value),
            format!("invalid bridge ID '{value}'"),
        ),
        "pve-configid" => judged(
            fits(r"[a-zA-Z][a-zA-Z0-9_\-]+", value),
            format!("invalid configuration ID '{value}'"),
        ),
        "pve-tag" => judged(
            fits(r"[a-zA-Z0-9_][a-zA-Z0-9_\-+.]*", value),
            "invalid characters in tag".to_owned(),
        ),
        "pve-poolid" if value.split('/').count() > 3 => judged(
            false,
            format!("pool name '{value}' nested too deeply (max levels = 3)"),
        ),
        "pve-poolid" => judged(
            fits(r"[A-Za-z0-9.\-_]+(/[A-Za-z0-9.\-_]+)*", value),
            format!("pool name '{value}' contains invalid characters"),
        ),
        _ => None,
    }
}

/// Addresses and host names.
fn addresses(name: &str, value: &str) -> Judgement {
    let judged = |is: bool, text: String| Some((is, text));
    match name {
        "dns-name" => judged(
            value.split('.').all(|part| fits(LABEL, part)),
            like("DNS name"),
        ),
        "mac-addr" => judged(
            fits("[a-fA-F0-9][02468aceACE](:[a-fA-F0-9]{2}){5}", value),
            like("unicast MAC address"),
        ),
        "mac-prefix" => judged(
            fits("[a-fA-F0-9][02468aceACE](:[a-fA-F0-9]{2}){0,2}:?", value),
            "value is not a valid unicast MAC address prefix".to_owned(),
        ),
        "CIDR" => judged(is_cidr4(value) || is_cidr6(value), like("CIDR network")),
        "ipv4" => judged(is_ipv4(value), like("IPv4 address")),
        "ipv6" => judged(is_ipv6(value), like("IPv6 address")),
        "ip" => judged(is_ipv4(value) || is_ipv6(value), like("IP address")),
        "address" => judged(
            is_ipv4(value) || is_ipv6(value) || value.split('.').all(|part| fits(LABEL, part)),
            format!("value does not look like a valid address: {value}"),
        ),
        "ipv4mask" => judged(is_mask(value), like("IP netmask")),
        "pve-vlan-id-or-range" if !fits(r"\d+(-\d+)?", value) => {
            judged(false, format!("invalid VLAN configuration '{value}'"))
        }
        "pve-vlan-id-or-range" => {
            let ids = value.split('-').map(|id| id.parse().unwrap_or(u32::MAX));
            let outside = ids.clone().find(|id| !(1..=4094).contains(id));
            let text = match outside {
                Some(id) => format!("invalid VLAN tag '{id}'"),
                None => format!("VLAN range must go from lower to higher tag '{value}'"),
            };
            judged(outside.is_none() && ids.is_sorted(), text)
        }
        "CIDRv4" => judged(is_cidr4(value), like("IPv4 CIDR network")),
        "CIDRv6" => judged(is_cidr6(value), like("IPv6 CIDR network")),
        "pve-ipv4-config" => judged(
            matches!(value, "dhcp" | "manual") || is_cidr4(value),
            like("ipv4 network configuration"),
        ),
        "pve-ipv6-config" => judged(
            matches!(value, "auto" | "dhcp" | "manual") || is_cidr6(value),
            like("ipv6 network configuration"),
        ),
        _ => None,
    }
}

/// What jobs and the manager of guests take.
fn jobs(name: &str, value: &str) -> Judgement {
    let judged = |is: bool, text: String| Some((is, text));
    match name {
        "pve-calendar-event" => judged(
            fits(r"[A-Za-z0-9*/.,:\- ]+", value) && value.contains(|c: char| c.is_alphanumeric()),
            format!("unable to parse calendar event - {value}"),
        ),
        "pve-day-of-week" => judged(
            matches!(value, "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun"),
            format!("invalid day '{value}'"),
        ),
        "string" => judged(true, String::new()),
        "email-or-username" => judged(!value.is_empty(), like("email address")),
        "pve-ha-resource-or-vm-id" => judged(
            fits(r"((vm|ct):)?[1-9][0-9]{2,8}", value),
            "value does not look like a valid ha resource id".to_owned(),
        ),
        _ => None,
    }
}

/// Users, tokens, roles.
fn people(name: &str, value: &str, release: Release) -> Judgement {
    let judged = |is: bool, text: String| Some((is, text));
    match name {
        "pve-userid" if value.chars().count() < 3 => {
            judged(false, format!("user name '{value}' is too short"))
        }
        "pve-userid" if value.chars().count() > 64 => {
            let length = value.chars().count();
            judged(
                false,
                format!("user name '{value}' is too long ({length} > 64)"),
            )
        }
        "pve-userid" => judged(
            fits(r"[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+", value),
            format!("value '{value}' does not look like a valid user name"),
        ),
        "pve-tokenid" => judged(
            fits(
                r"[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+![A-Za-z][A-Za-z0-9.\-_]+",
                value,
            ),
            format!("value '{value}' does not look like a valid token ID"),
        ),
        "pve-groupid" | "pve-roleid" => judged(
            fits(r"[A-Za-z0-9.\-_]+", value),
            format!(
                "{} name '{value}' contains invalid characters",
                &name[4..name.len() - 2]
            ),
        ),
        "pve-realm" => judged(
            fits(r"[A-Za-z][A-Za-z0-9.\-_]+", value),
            "value does not look like a valid realm".to_owned(),
        ),
        "pve-priv" => judged(
            is_privilege(value, release),
            format!("invalid privilege '{value}'"),
        ),
        "email" => judged(
            fits(
                r"[\w+\-~]+(\.[\w+\-~]+)*@[a-zA-Z0-9\-]+(\.[a-zA-Z0-9\-]+)*",
                value,
            ),
            like("email address"),
        ),
        _ => None,
    }
}

/// A label of a DNS name.
const LABEL: &str = r"[a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?";

fn fits(pattern: &str, value: &str) -> bool {
    Pattern::new(pattern).matches(value)
}

fn is_ipv4(value: &str) -> bool {
    value.parse::<std::net::Ipv4Addr>().is_ok()
}

/// Whether it is a dotted mask whose ones come first.
fn is_mask(value: &str) -> bool {
    let mask = value
        .parse::<std::net::Ipv4Addr>()
        .map(std::net::Ipv4Addr::to_bits);
    mask.is_ok_and(|mask| {
        mask.leading_ones() >= 8 && mask.leading_ones() + mask.trailing_zeros() == 32
    })
}

fn is_ipv6(value: &str) -> bool {
    value.parse::<std::net::Ipv6Addr>().is_ok()
}

fn is_cidr(value: &str, is_address: fn(&str) -> bool, max: u8) -> bool {
    value.split_once('/').is_some_and(|(address, mask)| {
        is_address(address)
            && mask
                .parse::<u8>()
                .is_ok_and(|bits| (8..=max).contains(&bits))
    })
}

fn is_cidr4(value: &str) -> bool {
    is_cidr(value, is_ipv4, 32)
}

fn is_cidr6(value: &str) -> bool {
    is_cidr(value, is_ipv6, 128)
}

fn is_volume_id(value: &str) -> bool {
    fits(r"[a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]:.+", value)
}

/// The elements of a list: split on NUL if there is one, else on commas, semicolons and white space.
pub(crate) fn split_list(text: &str) -> Vec<&str> {
    let parts: Vec<&str> = if text.contains('\0') {
        text.split('\0').collect()
    } else {
        text.split(|c: char| matches!(c, ',' | ';') || c.is_whitespace())
            .collect()
    };
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> Result<(), String> {
        super::check(name, value, Release::default())
    }

    #[track_caller]
    fn accepts(name: &str, values: &[&str]) {
        for value in values {
            assert_eq!(check(name, value), Ok(()), "{name} {value}");
        }
    }

    #[track_caller]
    fn refuses(name: &str, value: &str, text: &str) {
        assert_eq!(check(name, value), Err(text.to_owned()));
    }

    #[test]
    fn good_values_pass() {
        accepts("pve-vmid", &["100", "999999999"]);
        accepts("dns-name", &["a", "vm-1.example.test"]);
        accepts("mac-addr", &["BC:24:11:aa:bb:cc"]);
        accepts("pve-ipv4-config", &["dhcp", "192.0.2.7/24"]);
        accepts("pve-startup-order", &["order=1,up=10", "1", "down=3,up=4"]);
        accepts("pve-tag-list", &["a;B c", ""]);
        accepts(
            "pve-volume-id-or-qm-path",
            &["none", "local:iso/x.iso", "/dev/sda"],
        );
        accepts("pve-qm-bootdev-list", &["scsi0;net0", ""]);
        accepts("pve-vlan-id-or-range-list", &["2-4094", "1 7,8"]);
    }

    #[test]
    fn bad_values_are_refused_with_the_text_of_the_format() {
        refuses("pve-vmid", "99", "value does not look like a valid VM ID");
        refuses(
            "dns-name",
            "bad_name!",
            "value does not look like a valid DNS name",
        );
        refuses("pve-bridge-id", "bad!br", "invalid bridge ID 'bad!br'");
        refuses(
            "CIDRv4",
            "192.0.2.1/33",
            "value does not look like a valid IPv4 CIDR network",
        );
        refuses("pve-iface", "x", "invalid network interface name 'x'");
        refuses(
            "pve-userid",
            "alice",
            "value 'alice' does not look like a valid user name",
        );
    }
}
