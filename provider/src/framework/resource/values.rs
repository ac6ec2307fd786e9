//! What happens to whole values on their way between core and a model. Pure.

use crate::framework::{Path, Schema, Type, Value, private::Private};

/// The planned values with the write-only ones of the configuration, which plans do not carry.
pub(super) fn with_write_only(schema: &Schema, planned: &Value, config: &Value) -> Value {
    let Value::Map(entries) = planned else {
        return planned.clone();
    };
    let value = |name: &String, value: &Value| match schema.attributes.get(name.as_str()) {
        Some(attribute) if attribute.write_only => config.get(name).clone(),
        Some(attribute) => match &attribute.ty {
            Type::Object(inner) => with_write_only(inner, value, config.get(name)),
            Type::Slots(inner) => match value {
                Value::Map(slots) => Value::Map(
                    slots
                        .iter()
                        .map(|(key, slot)| {
                            (
                                key.clone(),
                                with_write_only(inner, slot, config.get(name).get(key)),
                            )
                        })
                        .collect(),
                ),
                other => other.clone(),
            },
            _ => value.clone(),
        },
        None => value.clone(),
    };
    Value::Map(
        entries
            .iter()
            .map(|(name, planned)| (name.clone(), value(name, planned)))
            .collect(),
    )
}

/// What is there without the slots that the plan drops although no configuration ever listed them: they
/// leave the state and nothing else.
pub(super) fn without_foreign(
    schema: &Schema,
    prior: &Value,
    planned: &Value,
    private: &Private,
) -> Value {
    let mut prior = prior.clone();
    let Value::Map(entries) = &mut prior else {
        return prior;
    };
    for (name, value) in entries {
        let slots = schema.attributes.get(name.as_str()).map(|row| &row.ty);
        if let (Some(Type::Slots(_)), Value::Map(slots)) = (slots, value) {
            let at = Path::default().attribute(name);
            let planned = planned.get(name);
            slots.retain(|key, _| {
                !planned.get(key).is_null() || private.claimed.contains(&at.key(key).dotted())
            });
        }
    }
    prior
}

/// Core demands that every value it was promised comes back, even where reality moved on.
pub(super) fn echo(planned: &Value, actual: Value) -> Value {
    match (planned, actual) {
        (Value::Unknown, actual) => actual,
        (Value::Map(planned), Value::Map(mut actual)) => Value::Map(
            planned
                .iter()
                .map(|(name, value)| {
                    (
                        name.clone(),
                        echo(value, actual.remove(name).unwrap_or_default()),
                    )
                })
                .collect(),
        ),
        (Value::Map(planned), _) => Value::Map(
            planned
                .iter()
                .map(|(name, value)| (name.clone(), echo(value, Value::Null)))
                .collect(),
        ),
        (Value::List(planned), actual) => {
            let mut actual = match actual {
                Value::List(items) => items.into_iter(),
                _ => Vec::new().into_iter(),
            };
            Value::List(
                planned
                    .iter()
                    .map(|planned| echo(planned, actual.next().unwrap_or_default()))
                    .collect(),
            )
        }
        (planned, _) => planned.clone(),
    }
}

/// Keeps the spelling of the state where what was read means the same.
pub(super) fn keep_spelling(schema: &Schema, prior: &Value, read: Value) -> Value {
    let Value::Map(entries) = read else {
        return read;
    };
    let value = |name: &str, value: Value| {
        let before = prior.get(name);
        match schema.attributes.get(name) {
            Some(attribute) => match (&attribute.ty, attribute.same) {
                (_, Some(same))
                    if !before.is_null() && !value.is_null() && same(before, &value) =>
                {
                    before.clone()
                }
                (Type::Object(inner), _) => keep_spelling(inner, before, value),
                (Type::Slots(inner), _) => match value {
                    Value::Map(slots) => Value::Map(
                        slots
                            .into_iter()
                            .map(|(key, slot)| {
                                let kept = keep_spelling(inner, before.get(&key), slot);
                                (key, kept)
                            })
                            .collect(),
                    ),
                    other => other,
                },
                _ => value,
            },
            None => value,
        }
    };
    Value::Map(
        entries
            .into_iter()
            .map(|(name, read)| {
                let kept = value(&name, read);
                (name, kept)
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::framework::{
        Attribute,
        core_rules::{completion_faults, random},
        model,
    };

    fn schema() -> Schema {
        let nic = Schema::new("A NIC.")
            .attribute(
                "mac",
                Attribute::of::<Option<String>>("MAC.").same(ignore_case),
            )
            .attribute(
                "key_wo",
                Attribute::of::<Option<String>>("Key.").write_only(),
            );
        Schema::new("A guest.")
            .attribute("name", Attribute::of::<String>("Name."))
            .attribute(
                "password_wo",
                Attribute::of::<Option<String>>("Password.").write_only(),
            )
            .attribute(
                "nic",
                Attribute {
                    ty: Type::Slots(Box::new(nic)),
                    ..Default::default()
                },
            )
    }

    fn ignore_case(a: &Value, b: &Value) -> bool {
        matches!((a, b), (Value::String(a), Value::String(b)) if a.eq_ignore_ascii_case(b))
    }

    /// A value with everything that the JSON says, write-only or not.
    fn value(json: &Json) -> Value {
        match json {
            Json::Object(entries) => Value::Map(
                entries
                    .iter()
                    .map(|(name, json)| (name.clone(), value(json)))
                    .collect(),
            ),
            Json::String(text) => text.clone().into(),
            Json::Array(items) => Value::List(items.iter().map(value).collect()),
            _ => Value::Null,
        }
    }

    #[test]
    fn write_only_values_come_from_the_configuration_at_any_depth() {
        let config = json!({ "name": "a", "password_wo": "p", "nic": { "net0": { "mac": "x", "key_wo": "k" } } });
        let planned = json!({ "name": "b", "password_wo": null, "nic": { "net0": { "mac": "x", "key_wo": null } } });
        let merged = with_write_only(&schema(), &value(&planned), &value(&config));
        let expected = json!({ "name": "b", "password_wo": "p", "nic": { "net0": { "mac": "x", "key_wo": "k" } } });
        assert_eq!(model::to_json(&merged), expected);
    }

    #[test]
    fn what_was_promised_comes_back_and_what_was_open_is_filled() {
        let mut planned = value(&json!({ "name": "a", "id": "?", "tags": ["x"] }));
        planned.put("id", Value::Unknown);
        let actual = value(&json!({ "name": "moved", "id": "qemu/1", "tags": ["y"] }));
        assert_eq!(
            model::to_json(&echo(&planned, actual)),
            json!({ "name": "a", "id": "qemu/1", "tags": ["x"] })
        );
        assert_eq!(
            model::to_json(&echo(&planned, Value::Null))["id"],
            Json::Null
        );
    }

    proptest! {
        #![proptest_config(random::unrecorded())]

        #[test]
        fn core_accepts_whatever_became_of_a_plan(mut case in random::cases()) {
            let actual = random::object_state(&case.schema, &mut case.tape);
            // A plan may hold unknown values wherever a configuration may.
            for planned in [case.plan().value, case.config] {
                let echoed = echo(&planned, actual.clone());
                prop_assert!(!echoed.has_unknown());
                let faults = completion_faults(&case.schema, &planned, &echoed);
                prop_assert!(faults.is_empty(), "{faults:?}");
            }
        }
    }

    #[test]
    fn another_spelling_of_the_same_keeps_that_of_the_state() {
        let prior = value(&json!({ "name": "a", "nic": { "net0": { "mac": "bc:24" } } }));
        let read = json!({ "name": "A", "nic": { "net0": { "mac": "BC:24" }, "net1": { "mac": "BC:25" } } });
        let kept = keep_spelling(&schema(), &prior, value(&read));
        let expected = json!({ "name": "A", "nic": { "net0": { "mac": "bc:24" }, "net1": { "mac": "BC:25" } } });
        assert_eq!(model::to_json(&kept), expected);
    }
}
