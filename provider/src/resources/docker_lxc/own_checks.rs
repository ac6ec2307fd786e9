//! Checks of single values that only containers have. Pure.

use crate::{framework::Value, resources::host::checks};

type Check = Result<(), String>;

pub(super) fn mount_points(value: &Value) -> Check {
    match value
        .as_map()
        .is_some_and(|slots| slots.contains_key("mp0"))
    {
        true => Err("mp0 is the data_volume; further mount points begin with mp1.".to_owned()),
        false => Ok(()),
    }
}

pub(super) fn device(value: &Value) -> Check {
    let path = value.as_str().unwrap_or_default();
    match path.starts_with("/dev/") && !path.contains([',', ' ']) && !path.contains("/..") {
        true => Ok(()),
        false => Err(format!(
            "{path:?} is no device; its path begins with /dev/."
        )),
    }
}

pub(super) fn mode(value: &Value) -> Check {
    let mode = value.as_str().unwrap_or_default();
    let octal = mode.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    match mode.len() == 4 && mode.starts_with('0') && octal {
        true => Ok(()),
        false => Err(format!(
            "{mode:?} is no mode; write four octal digits such as 0660."
        )),
    }
}

pub(super) fn mount_options(value: &Value) -> Check {
    const KNOWN: [&str; 6] = [
        "discard", "lazytime", "noatime", "nodev", "noexec", "nosuid",
    ];
    let options = value.as_list().into_iter().flatten();
    match options
        .filter_map(Value::as_str)
        .find(|name| !KNOWN.contains(name))
    {
        Some(name) => Err(format!("{name:?} is none of {}.", KNOWN.join(", "))),
        None => Ok(()),
    }
}

/// As long as Proxmox VE wants it. The value itself stays out of the message.
pub(super) fn password(value: &Value) -> Check {
    match value.as_str().map_or(5, |text| text.chars().count()) {
        0..5 => Err("Must have at least 5 characters.".to_owned()),
        _ => Ok(()),
    }
}

pub(super) fn ipv4_address(value: &Value) -> Check {
    match value.as_str() {
        Some("manual") => Ok(()),
        _ => checks::ipv4_address(value),
    }
}

pub(super) fn ipv6_address(value: &Value) -> Check {
    match value.as_str() {
        Some("manual") => Ok(()),
        _ => checks::ipv6_address(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_values_are_refused() {
        assert!(device(&"/dev/net/tun".into()).is_ok());
        assert!(device(&"/etc/passwd".into()).is_err());
        assert!(device(&"/dev/../etc/passwd".into()).is_err());
        for (text, fine) in [("0660", true), ("660", false), ("0888", false), ("", false)] {
            assert_eq!(mode(&text.into()).is_ok(), fine, "{text}");
        }
        assert!(password(&"1234".into()).is_err() && password(&"12345".into()).is_ok());
        assert!(ipv4_address(&"manual".into()).is_ok());
        assert!(mount_options(&Value::List(vec!["noatime".into()])).is_ok());
        assert!(mount_options(&Value::List(vec!["defaults".into()])).is_err());
        let slots = |name: &str| Value::Map([(name.to_owned(), Value::Null)].into());
        assert!(mount_points(&slots("mp0")).is_err() && mount_points(&slots("mp1")).is_ok());
    }
}
