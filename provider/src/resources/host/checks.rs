//! Checks of single values of guests, and what counts as the same value. Pure.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::framework::Value;

type Check = Result<(), String>;

/// Labels of letters, digits and inner hyphens, as Proxmox VE wants guest names.
pub(in crate::resources) fn dns_name(value: &Value) -> Check {
    let name = value.as_str().unwrap_or_default();
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if name.len() <= 253 && name.split('.').all(label) {
        return Ok(());
    }
    Err(format!(
        "{name:?} is no DNS name: use letters, digits and hyphens (not at either end), in parts \
         separated by dots."
    ))
}

pub(in crate::resources) fn description(value: &Value) -> Check {
    match value.as_str().map_or(0, |text| text.chars().count()) {
        0..=8192 => Ok(()),
        length => Err(format!("Has {length} characters; Proxmox VE keeps 8192.")),
    }
}

/// Proxmox VE cuts blanks at the end.
pub(in crate::resources) fn same_description(a: &Value, b: &Value) -> bool {
    let text = |value: &Value| value.as_str().map(|text| text.trim_end().to_owned());
    text(a) == text(b)
}

pub(in crate::resources) fn tags(value: &Value) -> Check {
    for tag in value
        .as_list()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let first =
            tag.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let rest = tag
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-+.".contains(c));
        if !first || !rest {
            return Err(format!(
                "{tag:?} is no tag: use lower-case letters, digits, `_`, and inside also `-`, `+` and `.`."
            ));
        }
    }
    Ok(())
}

/// Up to three names, since pools nest.
pub(in crate::resources) fn pool_id(value: &Value) -> Check {
    let text = value.as_str().unwrap_or_default();
    let name = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    match text.split('/').all(name) && text.split('/').count() <= 3 {
        true => Ok(()),
        false => Err(format!(
            "{text:?} is no pool: use letters, digits, `.`, `_` and `-`, and `/` before a pool in a pool."
        )),
    }
}

/// A positive decimal number of GiB that is a whole number of MiB.
pub(in crate::resources) fn size_gb(value: &Value) -> Check {
    let Value::Number(number) = value else {
        return Ok(());
    };
    match mebibytes(number.as_str()) {
        Some(1..) => Ok(()),
        _ => Err(format!(
            "{number} GiB is no size: it must be positive and a whole number of MiB, such as 32 or 3.5."
        )),
    }
}

/// A slot for a disk: how many each bus has is in `PVE/QemuServer/Drive.pm`.
pub(in crate::resources) fn disk_slot(value: &Value) -> Check {
    let Some(slot) = value.as_str() else {
        return Ok(());
    };
    let slots = [("scsi", 31), ("virtio", 16), ("sata", 6), ("ide", 4)];
    let fits = slots
        .iter()
        .any(|(bus, count)| (0..*count).any(|number| slot == format!("{bus}{number}")));
    match fits {
        true => Ok(()),
        false => Err(format!(
            "{slot:?} is no slot for a disk; take one such as scsi0, virtio0 or sata0."
        )),
    }
}

/// Whole MiB of a decimal number of GiB, exactly.
pub(in crate::resources) fn mebibytes(gibibytes: &str) -> Option<u64> {
    let (whole, fraction) = gibibytes.split_once('.').unwrap_or((gibibytes, ""));
    // 1/1024 has ten decimals; more cannot be a whole number of MiB.
    if fraction.len() > 10 {
        return None;
    }
    let scale = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: u64 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    let parts = fraction.checked_mul(1024)?;
    (parts % scale == 0).then_some(())?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)?
        .checked_add(parts / scale)
}

pub(in crate::resources) fn absolute_path(value: &Value) -> Check {
    let path = value.as_str().unwrap_or_default();
    let fine = path.len() > 1
        && path.starts_with('/')
        && path.split('/').all(|part| part != "..")
        && path
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    match fine {
        true => Ok(()),
        false => Err(format!(
            "{path:?} is no usable path: it must begin with `/` and hold letters, digits, `.`, `_` and `-` only."
        )),
    }
}

pub(in crate::resources) fn mac(value: &Value) -> Check {
    let text = value.as_str().unwrap_or_default();
    let bytes: Vec<&str> = text.split(':').collect();
    let hex = bytes.len() == 6
        && bytes
            .iter()
            .all(|byte| byte.len() == 2 && byte.chars().all(|c| c.is_ascii_hexdigit()));
    let unicast = || u8::from_str_radix(bytes[0], 16).is_ok_and(|byte| byte & 1 == 0);
    match hex && unicast() {
        true => Ok(()),
        false => Err(format!(
            "{text:?} is no unicast MAC address such as BC:24:11:2A:00:01."
        )),
    }
}

pub(in crate::resources) fn same_mac(a: &Value, b: &Value) -> bool {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        _ => false,
    }
}

/// CPU time in cores; 0 is no limit.
pub(in crate::resources) fn cpu_limit<const MOST: u16>(value: &Value) -> Check {
    match number(value) {
        Some(cores) if (0.0..=f64::from(MOST)).contains(&cores) => Ok(()),
        _ => Err(format!("Must be from 0 to {MOST}.")),
    }
}

pub(in crate::resources) fn rate(value: &Value) -> Check {
    match number(value) {
        Some(rate) if rate > 0.0 => Ok(()),
        _ => Err("Must be more than 0.".to_owned()),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_str().parse().ok(),
        _ => None,
    }
}

pub(in crate::resources) fn trunks(value: &Value) -> Check {
    let tags = value.as_list().into_iter().flatten();
    match tags
        .filter_map(Value::as_i64)
        .find(|tag| !(1..=4094).contains(tag))
    {
        Some(tag) => Err(format!("{tag} is no VLAN tag; they go from 1 to 4094.")),
        None => Ok(()),
    }
}

pub(in crate::resources) fn user_data(value: &Value) -> Check {
    let text = value.as_str().unwrap_or_default();
    match text.starts_with("#cloud-config") || text.starts_with("#!") {
        true => Ok(()),
        false => Err("Must begin with `#cloud-config` or, as a script, with `#!`.".to_owned()),
    }
}

pub(in crate::resources) fn addresses(value: &Value) -> Check {
    for text in value
        .as_list()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if text.parse::<std::net::IpAddr>().is_err() {
            return Err(format!("{text:?} is no IP address."));
        }
    }
    Ok(())
}

pub(in crate::resources) fn user_name(value: &Value) -> Check {
    let name = value.as_str().unwrap_or_default();
    let fine = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.len() <= 32
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
    match (fine, name) {
        (true, "root") => {
            Err("The account is made with sudo rights; root exists already.".to_owned())
        }
        (true, _) => Ok(()),
        (false, _) => Err(format!("{name:?} is no account name of a Linux guest.")),
    }
}

pub(in crate::resources) fn ssh_keys(value: &Value) -> Check {
    for key in value
        .as_list()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let mut parts = key.split_whitespace();
        let kind = parts.next().unwrap_or_default();
        let known = ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"]
            .iter()
            .any(|prefix| kind.starts_with(prefix));
        let body = parts.next().unwrap_or_default();
        if !known || body.len() < 16 || key.contains('\n') {
            return Err(format!(
                "{key:?} is no SSH public key; it looks like `ssh-ed25519 AAAA… comment`."
            ));
        }
    }
    Ok(())
}

pub(in crate::resources) fn ipv4_address(value: &Value) -> Check {
    match value.as_str().unwrap_or_default() {
        "dhcp" => Ok(()),
        text => with_prefix(
            text,
            text.parse::<Ipv4Net>().is_ok(),
            "192.0.2.10/24",
            "`dhcp`",
        ),
    }
}

pub(in crate::resources) fn ipv6_address(value: &Value) -> Check {
    match value.as_str().unwrap_or_default() {
        "dhcp" | "auto" => Ok(()),
        text => with_prefix(
            text,
            text.parse::<Ipv6Net>().is_ok(),
            "2001:db8::10/64",
            "`auto`, `dhcp`",
        ),
    }
}

fn with_prefix(text: &str, fine: bool, example: &str, words: &str) -> Check {
    match (fine, text.parse::<std::net::IpAddr>().is_ok()) {
        (true, _) => Ok(()),
        (false, true) => Err(format!("{text:?} has no prefix; write it like {example}.")),
        (false, false) => Err(format!(
            "{text:?} is neither {words} nor an address with its prefix such as {example}."
        )),
    }
}

pub(in crate::resources) fn ipv4(value: &Value) -> Check {
    plain::<Ipv4Addr>(value, "IPv4")
}

pub(in crate::resources) fn ipv6(value: &Value) -> Check {
    plain::<Ipv6Addr>(value, "IPv6")
}

fn plain<A: std::str::FromStr>(value: &Value, kind: &str) -> Check {
    let text = value.as_str().unwrap_or_default();
    text.parse::<A>()
        .map(drop)
        .map_err(|_| format!("{text:?} is no {kind} address; a gateway has no prefix."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact_to_one_mebibyte() {
        for (text, mib) in [
            ("32", Some(32768)),
            ("3.5", Some(3584)),
            ("0.0009765625", Some(1)),
            ("0.1", None),
            ("0", Some(0)),
            ("-1", None),
        ] {
            assert_eq!(mebibytes(text), mib, "{text}");
        }
    }

    #[test]
    fn limits_rates_and_trunks_are_in_their_range() {
        let number = |text: &str| Value::Number(text.parse().expect("it is a number"));
        assert!(cpu_limit::<128>(&number("1.5")).is_ok() && cpu_limit::<128>(&number("0")).is_ok());
        assert!(cpu_limit::<128>(&number("-1")).is_err());
        assert!(cpu_limit::<128>(&number("128.5")).is_err());
        assert!(rate(&number("12.5")).is_ok() && rate(&number("0")).is_err());
        assert!(trunks(&Value::List(vec![number("4095")])).is_err());
    }

    #[test]
    fn a_slot_is_one_of_its_bus() {
        for (slot, fine) in [
            ("scsi30", true),
            ("virtio15", true),
            ("virtio16", false),
            ("sata01", false),
            ("scsi", false),
        ] {
            assert_eq!(disk_slot(&slot.into()).is_ok(), fine, "{slot}");
        }
    }

    #[test]
    fn addresses_want_a_prefix() {
        for (text, fine) in [
            ("dhcp", true),
            ("192.0.2.1/24", true),
            ("192.0.2.1", false),
            ("x", false),
        ] {
            assert_eq!(ipv4_address(&text.into()).is_ok(), fine, "{text}");
        }
        assert!(
            ipv4_address(&"192.0.2.1".into())
                .unwrap_err()
                .contains("no prefix")
        );
    }

    #[test]
    fn names_macs_keys_and_tags_are_checked() {
        for (name, fine) in [
            ("web", true),
            ("web.lan", true),
            ("we_b", false),
            ("-web", false),
            ("", false),
            ("a..b", false),
        ] {
            assert_eq!(dns_name(&name.into()).is_ok(), fine, "{name}");
        }
        for (text, fine) in [
            ("BC:24:11:00:00:01", true),
            ("bd:24:11:00:00:01", false),
            ("BC-24", false),
        ] {
            assert_eq!(mac(&text.into()).is_ok(), fine, "{text}");
        }
        assert!(tags(&Value::List(vec!["Web".into()])).is_err());
        assert!(ssh_keys(&Value::List(vec!["/root/.ssh/id.pub".into()])).is_err());
    }
}
