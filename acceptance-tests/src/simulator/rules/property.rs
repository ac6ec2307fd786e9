//! Property strings: `default,key=value,…`, taken apart and put together as the API does it.
//!
//! Values are not judged here; that is [`super::check`].

use std::collections::BTreeMap;

use super::{Kind, RuleSet};

/// The keys and values of a property string.
pub(crate) type Properties = BTreeMap<String, String>;

/// Takes `text` apart. Aliases are resolved, booleans with a key become `0` and `1`.
pub(crate) fn parse(rules: &RuleSet, text: &str) -> Result<Properties, String> {
    let mut found = Properties::new();
    let duplicate = |key: &str| format!("duplicate key in comma-separated list property: {key}");
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let (key, value) = match part.split_once('=') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => (key, value),
            Some(_) => return Err("missing key in comma-separated list property".to_owned()),
            None => {
                let rule = rules.default_key().ok_or(
                    "value without key, but schema does not define a default key".to_owned(),
                )?;
                if found.insert(rule.name.clone(), part.to_owned()).is_some() {
                    return Err(duplicate(&rule.name));
                }
                continue;
            }
        };
        if found.contains_key(key) {
            return Err(duplicate(key));
        }
        let mut name = key;
        let mut rule = rules.rule(key);
        if let Some(alias) = rule.and_then(|rule| rule.alias.as_ref()) {
            if let Some(holder) = &alias.names_value_of
                && found.insert(holder.clone(), key.to_owned()).is_some()
            {
                return Err(format!("key alias '{holder}' is already defined"));
            }
            name = &alias.target;
            rule = rules.rule(name);
        }
        let value = rule.map_or_else(|| value.to_owned(), |rule| normal(rule.kind, value));
        found.insert(name.to_owned(), value);
    }
    Ok(found)
}

fn normal(kind: Kind, value: &str) -> String {
    match (kind, value.to_ascii_lowercase().as_str()) {
        (Kind::Boolean, "1" | "on" | "yes" | "true") => "1".to_owned(),
        (Kind::Boolean, "0" | "off" | "no" | "false") => "0".to_owned(),
        _ => value.to_owned(),
    }
}

/// Puts `properties` together: the default key first and without its name, then the required keys,
/// then the others, both sorted.
pub(crate) fn print(rules: &RuleSet, properties: &Properties) -> String {
    let mut parts = Vec::new();
    let mut rest = properties.clone();
    if let Some(default) = rules.default_key()
        && let Some(value) = rest.remove(&default.name)
    {
        // `model=virtio,macaddr=…` is written `virtio=…`.
        let short = rules.rule(&value).and_then(|rule| rule.alias.as_ref());
        match short.and_then(|alias| rest.remove(&alias.target)) {
            Some(target) => parts.push(format!("{value}={target}")),
            None => parts.push(value),
        }
    }
    let required = |key: &String| rules.rule(key).is_some_and(|rule| !rule.optional);
    for wanted in [true, false] {
        for (key, value) in rest.iter().filter(|(key, _)| required(key) == wanted) {
            parts.push(format!("{key}={value}"));
        }
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::super::set;
    use super::*;

    #[track_caller]
    fn check(rules: &str, text: &str, printed: &str) {
        let rules = set(rules);
        assert_eq!(
            parse(rules, text).map(|found| print(rules, &found)),
            Ok(printed.to_owned())
        );
    }

    #[test]
    fn printing_sorts_and_shortens() {
        check(
            "drive-scsi",
            "discard=on,file=a:b,ssd=yes",
            "a:b,discard=on,ssd=1",
        );
        check(
            "net",
            "virtio=AA:BB:CC:DD:EE:F0,firewall=1,bridge=b",
            "virtio=AA:BB:CC:DD:EE:F0,bridge=b,firewall=1",
        );
        check("net", "model=e1000,bridge=b", "e1000,bridge=b");
        check("agent", "enabled=1,guest-fsfreeze=0", "1,freeze-fs=0");
    }

    #[test]
    fn malformed_strings_are_refused() {
        let refused = |rules, text| parse(set(rules), text).expect_err("it is malformed");
        assert_eq!(
            refused("net", "virtio,virtio"),
            "duplicate key in comma-separated list property: model"
        );
        assert_eq!(
            refused("net", "virtio,e1000=BC:24:11:00:00:01"),
            "key alias 'model' is already defined"
        );
        assert_eq!(
            refused("net", "virtio,tag=2,tag=3"),
            "duplicate key in comma-separated list property: tag"
        );
        assert_eq!(
            refused("ipconfig", "dhcp"),
            "value without key, but schema does not define a default key"
        );
        assert_eq!(
            refused("net", "virtio,=x"),
            "missing key in comma-separated list property"
        );
    }
}
