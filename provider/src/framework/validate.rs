//! The checks that a schema alone decides, over a configuration that may hold unknown values. Pure.

use super::{Attribute, Diagnostics, Path, Schema, Value, path::Step, schema::Rule};

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
        // Core refuses a required attribute that is missing, but not one that is null.
        if attribute.required && value.is_null() {
            found.error(
                Some(path),
                format!("Missing {name}"),
                "This attribute is required, but its value is null.",
            );
            continue;
        }
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
        // Core knows that an attribute is deprecated, and says nothing.
        if let Some(why) = attribute.deprecated {
            found.warn(Some(path.clone()), format!("{name} is deprecated"), why);
        }
        for rule in &attribute.checks {
            if let Err(why) = rule.check(value) {
                found.error(Some(path.clone()), format!("Invalid {name}"), why);
            }
        }
        let Some((nesting, inner)) = attribute.ty.nested() else {
            continue;
        };
        for (step, value) in nesting.objects(value) {
            let why = match &step {
                // Both cores crash on a plan of such a collection, whatever it says.
                Some(step) if value.is_null() => Some(without(step)),
                Some(Step::Key(key)) => key_error(attribute, key),
                _ => None,
            };
            let path = path.with(step);
            match why {
                Some(why) => found.error(Some(path), format!("Invalid {name}"), why),
                None => object(inner, value, &path, write_only_allowed, found),
            }
        }
    }
}

fn without(step: &Step) -> String {
    let subject = match step {
        Step::Key(key) => key.as_str(),
        _ => "An element",
    };
    format!(
        "{subject} is null. Leave it out instead, for example with a `for` expression that filters."
    )
}

fn key_error(attribute: &Attribute, key: &str) -> Option<String> {
    let Some((prefix, count)) = attribute.slots else {
        // Core writes keys without quotes when it generates configuration.
        let mut letters = key.chars();
        let fine = letters
            .next()
            .is_some_and(|first| first.is_alphabetic() || first == '_')
            && letters.all(|next| next.is_alphanumeric() || "_-".contains(next));
        return (!fine).then(|| {
            format!("{key:?} is no name; names begin with a letter, and go on with letters, digits, _ and -.")
        });
    };
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
    use serde_json::json;

    use super::*;
    use crate::framework::{Type, model};

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
            assert_eq!(key_error(&row, key).is_none(), fine, "{key}");
        }
        let row = <Attribute as Default>::default();
        for (key, fine) in [
            ("a", true),
            ("é_1-x", true),
            ("", false),
            ("1a", false),
            ("a.b", false),
        ] {
            assert_eq!(key_error(&row, key).is_none(), fine, "{key}");
        }
    }

    fn nested(ty: Type) -> Attribute {
        Attribute {
            ty,
            ..Attribute::of::<Option<String>>("Nested.")
        }
    }

    fn paths(found: &Diagnostics) -> Vec<String> {
        let paths = found.0.iter().filter_map(|found| found.path.as_ref());
        paths.map(ToString::to_string).collect()
    }

    #[test]
    fn null_elements_of_nested_collections_are_refused() {
        let inner = || Type::Object(Box::new(Schema::new("Inner.")));
        let schema = Schema::new("Outer.")
            .attribute("list", nested(Type::List(Box::new(inner()))))
            .attribute("map", nested(Type::Slots(Box::new(Schema::new("Inner.")))))
            .attribute("plain", nested(Type::List(Box::new(Type::String))))
            .attribute("set", nested(Type::Set(Box::new(inner()))));
        let config = json!({
            "list": [{}, null], "map": { "a": null, "b": {} }, "plain": [null], "set": [null]
        });
        let mut found = Diagnostics::default();
        validate(&schema, &model::object(&config, &schema), true, &mut found);
        assert_eq!(paths(&found), ["list[1]", r#"map["a"]"#, "set[*]"]);
    }

    #[test]
    fn a_required_attribute_that_is_null_is_missing() {
        let inner = || Schema::new("Inner.").attribute("name", Attribute::of::<String>("Name."));
        let schema = inner().attribute("one", nested(Type::Object(Box::new(inner()))));
        for (config, wanted) in [
            (json!({ "name": null }), vec!["name"]),
            (json!({ "name": "a", "one": null }), vec![]),
            (json!({ "name": "a", "one": {} }), vec!["one.name"]),
        ] {
            let mut found = Diagnostics::default();
            validate(&schema, &model::object(&config, &schema), true, &mut found);
            assert_eq!(paths(&found), wanted);
        }
        let mut found = Diagnostics::default();
        validate(&schema, &Value::Unknown, true, &mut found);
        assert_eq!(found, Diagnostics::default());
    }

    #[test]
    fn a_deprecated_attribute_warns_where_it_is_set() {
        let row = Attribute::of::<Option<String>>("Old.").deprecated("Use `new`.");
        let schema = Schema::new("Outer.").attribute("old", row);
        for (config, warned) in [(json!({ "old": "a" }), true), (json!({}), false)] {
            let mut found = Diagnostics::default();
            validate(&schema, &model::object(&config, &schema), true, &mut found);
            assert_eq!(
                (paths(&found).len(), found.has_error()),
                (warned.into(), false)
            );
        }
    }

    #[test]
    fn rules_are_checked_in_every_nesting_and_never_over_unknown_values() {
        let inner =
            Schema::new("Inner.").attribute("port", Attribute::of::<Option<i64>>("P.").range(1, 9));
        let inner = || Type::Object(Box::new(inner.clone()));
        let schema = Schema::new("Outer.")
            .attribute("list", nested(Type::List(Box::new(inner()))))
            .attribute("one", nested(inner()))
            .attribute("set", nested(Type::Set(Box::new(inner()))));
        let port = json!({ "port": 10 });
        let config = json!({ "list": [port], "one": port, "set": [port] });
        let mut config = model::object(&config, &schema);
        let mut found = Diagnostics::default();
        validate(&schema, &config, true, &mut found);
        assert_eq!(paths(&found), ["list[0].port", "one.port", "set[*].port"]);
        config.put("list", Value::List(vec![Value::Unknown]));
        config.put("one.port", Value::Unknown);
        config.put("set", Value::Unknown);
        let mut found = Diagnostics::default();
        validate(&schema, &config, true, &mut found);
        assert_eq!(found, Diagnostics::default());
    }

    /// A secret at the root, in an object and in a slot, and the paths that an old core is told.
    #[track_caller]
    fn check_secrets(secret: &Value, told: &[&str]) {
        let inner = Schema::new("Inner.").attribute(
            "key_wo",
            Attribute::of::<Option<String>>("Key.").write_only(),
        );
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
        assert_eq!(paths(&found), told);
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
