//! Checks of single values of the `docker` attribute. Pure.

use crate::framework::Value;

pub(super) fn absolute(value: &Value) -> Result<(), String> {
    match value
        .as_str()
        .is_some_and(|path| path.starts_with('/') && path.len() > 1)
    {
        true => Ok(()),
        false => Err("Must be an absolute path.".to_owned()),
    }
}

pub(super) fn urls(value: &Value) -> Result<(), String> {
    let texts = value
        .as_list()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    for text in texts {
        if !text.starts_with("https://") && !text.starts_with("http://") {
            return Err(format!("{text:?} is no URL; it begins with `https://`."));
        }
    }
    Ok(())
}

pub(super) fn pools(value: &Value) -> Result<(), String> {
    for pool in value.as_list().into_iter().flatten() {
        let (Some(base), Some(size)) = (pool.get("base").as_str(), pool.get("size").as_i64())
        else {
            continue;
        };
        match base.parse::<ipnet::IpNet>() {
            Ok(net)
                if size >= i64::from(net.prefix_len())
                    && size <= i64::from(net.max_prefix_len()) => {}
            Ok(net) => {
                return Err(format!("Networks of /{size} cannot be cut from {net}."));
            }
            Err(_) => {
                return Err(format!(
                    "{base:?} is no address range such as 10.64.0.0/16."
                ));
            }
        }
    }
    Ok(())
}

/// Keys of `daemon.json` that have an attribute of their own.
const OWNED: &[(&str, &str)] = &[
    ("data-root", "data_root"),
    ("live-restore", "live_restore"),
    ("log-driver", "log.driver"),
    ("log-opts", "log"),
    ("registry-mirrors", "registry_mirrors"),
    ("insecure-registries", "insecure_registries"),
    ("default-address-pools", "address_pools"),
    ("mtu", "mtu"),
    ("default-network-opts", "mtu"),
    ("proxies", "proxy"),
];

pub(super) fn daemon_json(value: &Value) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let parsed: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("Is no JSON: {error}."))?;
    let Some(entries) = parsed.as_object() else {
        return Err("Must be a JSON object.".to_owned());
    };
    match OWNED.iter().find(|(key, _)| entries.contains_key(*key)) {
        Some((key, attribute)) => Err(format!(
            "Holds {key:?}, which has an attribute of its own: docker.{attribute}."
        )),
        None => Ok(()),
    }
}

pub(super) fn same_json(a: &Value, b: &Value) -> bool {
    let parsed = |value: &Value| {
        value
            .as_str()
            .and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok())
    };
    parsed(a).is_some() && parsed(a) == parsed(b)
}

/// A version or the beginning of one, also as the package has it.
pub(super) fn version(value: &Value) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let fine = text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".:~+-".contains(c));
    match fine {
        true => Ok(()),
        false => Err(format!("{text:?} is no version such as 28.5 or 28.5.2.")),
    }
}

pub(super) fn https(value: &Value) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let plain = text
        .chars()
        .all(|c| c.is_ascii_graphic() && !"'\"\\".contains(c));
    match text.starts_with("https://") && plain {
        true => Ok(()),
        false => Err(format!("{text:?} is no URL that begins with https://.")),
    }
}

pub(super) fn fingerprint(value: &Value) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let digits = text.chars().filter(char::is_ascii_hexdigit).count();
    match digits == 40 && text.chars().all(|c| c.is_ascii_hexdigit() || c == ' ') {
        true => Ok(()),
        false => Err("Must be the 40 hex digits of an OpenPGP key.".to_owned()),
    }
}

pub(super) fn proxy_url(value: &Value) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let plain = text
        .chars()
        .all(|c| c.is_ascii_graphic() && !"'\"\\;".contains(c));
    match (text.starts_with("http://") || text.starts_with("https://")) && plain {
        true if text.contains('@') => {
            Err("Holds a user: everybody in the guest could read it, and its password.".to_owned())
        }
        true => Ok(()),
        false => Err(format!(
            "{text:?} is no URL of a proxy such as http://proxy.lan:3128."
        )),
    }
}

/// Certificates as PEM, by the name of a registry.
pub(super) fn authorities(value: &Value) -> Result<(), String> {
    for (registry, pem) in value.as_map().into_iter().flatten() {
        let (name, port) = registry.split_once(':').unwrap_or((registry, "443"));
        let named = !name.is_empty()
            && !name.starts_with('.')
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
        if !named || port.parse::<u16>().is_err() {
            return Err(format!(
                "{registry:?} is no registry such as registry.lan:5000."
            ));
        }
        let begins = |text: &str| text.trim_start().starts_with("-----BEGIN CERTIFICATE-----");
        if !pem.as_str().is_none_or(begins) {
            return Err(format!("What {registry} has is no certificate in PEM."));
        }
    }
    Ok(())
}
