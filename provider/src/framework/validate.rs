//! The checks that a schema alone decides, over a configuration that may hold unknown values. Pure.

use super::{Attribute, Diagnostics, Path, Schema, Type, Value, schema::Rule};

/// Checks a whole configuration.
pub fn validate(
    schema: &Schema,
    config: &Value,
    write_only_allowed: bool,
    found: &mut Diagnostics,
) {
    object(schema, config, &Path::default(), write_only_allowed, found);
}

fn object(
    schema: &Schema,
    config: &Value,
    at: &Path,
    write_only_allowed: bool,
    found: &mut Diagnostics,
) {
    for (name, attribute) in &schema.attributes {
        let (value, path) = (config.get(name), at.attribute(name));
        // What is unknown may turn out to be null; validation comes again when it is known.
        if value.is_null() || value.is_unknown() {
            continue;
        }
        if attribute.write_only && !write_only_allowed {
            found.error(
                Some(path),
                "Write-only attributes need a newer core",
                "This version of OpenTofu or Terraform would store the secret in the state. Use \
                 OpenTofu 1.11 or Terraform 1.11, or newer.",
            );
            continue;
        }
        for rule in &attribute.checks {
            if let Err(why) = rule.check(value) {
                found.error(Some(path.clone()), format!("Invalid {name}"), why);
            }
        }
        match &attribute.ty {
            Type::Object(inner) => object(inner, value, &path, write_only_allowed, found),
            Type::Slots(inner) => {
                for (key, slot) in value.as_map().into_iter().flatten() {
                    let path = path.key(key);
                    match slot_error(attribute, key, slot) {
                        Some(why) => found.error(Some(path), format!("Invalid {name}"), why),
                        None => object(inner, slot, &path, write_only_allowed, found),
                    }
                }
            }
            _ => {}
        }
    }
}

fn slot_error(attribute: &Attribute, key: &str, slot: &Value) -> Option<String> {
    if slot.is_null() {
        // Both cores crash on a plan of such a map, whatever it says.
        return Some(format!(
            "{key} is null. Leave the key out instead, for example with a `for` expression that filters."
        ));
    }
    let (prefix, count) = attribute.slots?;
    let numbered = key
        .strip_prefix(prefix)
        .filter(|digits| *digits == "0" || !digits.starts_with('0'))
        .and_then(|digits| digits.parse::<u32>().ok());
    match numbered {
        Some(number) if number < count => None,
        _ => Some(format!(
            "{key:?} is no slot; slots are {prefix}0 to {prefix}{}.",
            count - 1
        )),
    }
}

impl Rule {
    /// Checks a known, non-null value.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        match self {
            Self::Range(low, high) => match value.as_i64() {
                Some(number) if (*low..=*high).contains(&number) => Ok(()),
                _ => Err(format!("Must be a whole number from {low} to {high}.")),
            },
            Self::OneOf(words) => match value.as_str() {
                Some(word) if words.contains(&word) => Ok(()),
                _ => Err(format!("Must be one of: {}.", words.join(", "))),
            },
            Self::Check(check) => check(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_checked_by_name() {
        let row = <Attribute as Default>::default().slots("net", 32);
        for (key, fine) in [
            ("net0", true),
            ("net31", true),
            ("net32", false),
            ("net01", false),
            ("eth0", false),
        ] {
            assert_eq!(
                slot_error(&row, key, &Value::Map([].into())).is_none(),
                fine,
                "{key}"
            );
        }
        assert!(slot_error(&row, "net0", &Value::Null).is_some());
    }

    /// A secret at the root, in an object and in a slot, and the paths that an old core is told.
    #[track_caller]
    fn check_secrets(secret: &Value, told: &[&str]) {
        let inner = Schema::new("Inner.").attribute(
            "key_wo",
            Attribute::of::<Option<String>>("Key.").write_only(),
        );
        let nested = |ty| Attribute {
            ty,
            ..Attribute::of::<Option<String>>("Nested.")
        };
        let schema = inner
            .clone()
            .attribute("one", nested(Type::Object(Box::new(inner.clone()))))
            .attribute("nic", nested(Type::Slots(Box::new(inner))).slots("net", 32));
        let map = |name: &str, value| Value::Map([(name.to_owned(), value)].into());
        let key = || map("key_wo", secret.clone());
        let mut config = key();
        config.put("one", key());
        config.put("nic", map("net0", key()));
        let mut found = Diagnostics::default();
        validate(&schema, &config, true, &mut found);
        assert_eq!(found, Diagnostics::default());
        validate(&schema, &config, false, &mut found);
        let paths: Vec<String> = found
            .0
            .iter()
            .filter_map(|found| found.path.as_ref())
            .map(ToString::to_string)
            .collect();
        assert_eq!(paths, told);
    }

    #[test]
    fn secrets_are_refused_where_core_would_store_them() {
        check_secrets(
            &"s".into(),
            &["key_wo", r#"nic["net0"].key_wo"#, "one.key_wo"],
        );
        check_secrets(&Value::Null, &[]);
        // A module may turn out to pass null.
        check_secrets(&Value::Unknown, &[]);
    }
}
