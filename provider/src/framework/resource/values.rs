//! What happens to whole values on their way between core and a model. Pure.

use crate::framework::{
    Attribute, Path, Schema, Value, path::Step, private::Private, schema::Nesting, value::Dynamic,
};

/// An object whose attributes are made from their row and those of two objects.
fn each(
    schema: &Schema,
    object: &Value,
    beside: &Value,
    made: &mut dyn FnMut(&Attribute, &str, &Value, &Value) -> Value,
) -> Value {
    let Value::Map(entries) = object else {
        return object.clone();
    };
    let made = entries.iter().map(|(name, value)| {
        let value = match schema.attributes.get(name.as_str()) {
            Some(row) => made(row, name, value, beside.get(name)),
            None => value.clone(),
        };
        (name.clone(), value)
    });
    Value::Map(made.collect())
}

/// The planned values with the write-only ones of the configuration, which plans do not carry.
pub(super) fn with_write_only(schema: &Schema, planned: &Value, config: &Value) -> Value {
    each(
        schema,
        planned,
        config,
        &mut |row, _, planned, config| match row.ty.nested() {
            _ if row.write_only => config.clone(),
            Some((nesting, inner)) => nesting.each(planned, config, |_, planned, config| {
                with_write_only(inner, planned, config)
            }),
            None => planned.clone(),
        },
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
    followed(schema, prior, planned, private, &Path::default())
}

fn followed(
    schema: &Schema,
    prior: &Value,
    planned: &Value,
    private: &Private,
    at: &Path,
) -> Value {
    each(schema, prior, planned, &mut |row, name, prior, planned| {
        let (mut prior, at) = (prior.clone(), at.attribute(name));
        let Some((nesting, inner)) = row.ty.nested() else {
            return prior;
        };
        if let Value::Map(slots) = &mut prior
            && nesting == Nesting::Map
        {
            slots.retain(|key, _| {
                !planned.get(key).is_null() || private.claimed.contains(&at.key(key).dotted())
            });
        }
        nesting.each(&prior, planned, |step, prior, planned| {
            followed(inner, prior, planned, private, &at.with(step))
        })
    })
}

/// Core demands that every value it was promised comes back, even where reality moved on.
pub(super) fn echo(planned: &Value, actual: &Value) -> Value {
    match planned {
        Value::Unknown => actual.clone(),
        Value::Map(planned) => Value::Map(
            planned
                .iter()
                .map(|(name, value)| (name.clone(), echo(value, actual.get(name))))
                .collect(),
        ),
        Value::List(planned) => {
            let items = actual.as_list().unwrap_or_default();
            let in_place = |index| items.get(index).unwrap_or(&Value::Null);
            // An element of a set is found by what is known of it.
            let found = |index, planned: &Value| {
                let fits = |item: &&Value| planned.may_become(item);
                Some(in_place(index))
                    .filter(fits)
                    .or_else(|| items.iter().find(fits))
                    .unwrap_or(in_place(index))
            };
            let planned = planned.iter().enumerate();
            Value::List(
                planned
                    .map(|(index, planned)| echo(planned, found(index, planned)))
                    .collect(),
            )
        }
        Value::Dynamic(planned) => {
            let actual = match actual {
                Value::Dynamic(actual) if actual.ty == planned.ty => &actual.value,
                _ => &Value::Null,
            };
            Value::Dynamic(Box::new(Dynamic {
                ty: planned.ty.clone(),
                value: echo(&planned.value, actual),
            }))
        }
        planned => planned.clone(),
    }
}

/// Keeps the spelling of the state where what was read means the same.
pub(super) fn keep_spelling(schema: &Schema, prior: &Value, read: &Value) -> Value {
    each(
        schema,
        read,
        prior,
        &mut |row, _, read, prior| match (row.ty.nested(), row.same) {
            _ if read.is_null() || prior.is_null() => read.clone(),
            (Some((nesting, inner)), _) => nesting.each(read, prior, |step, read, before| {
                let spelled = |before: &Value| keep_spelling(inner, before, read);
                let mut others = prior.as_list().into_iter().flatten();
                match step {
                    Some(Step::Element) => others
                        .find(|other| spelled(other) == **other)
                        .unwrap_or(read)
                        .clone(),
                    _ => spelled(before),
                }
            }),
            (_, Some(same)) if same(prior, read) => prior.clone(),
            _ => read.clone(),
        },
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::framework::{
        Type,
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
    fn foreign_slots_leave_the_state_and_nothing_else_at_any_depth() {
        let outer = schema().attribute(
            "inner",
            Attribute {
                ty: Type::Object(Box::new(schema())),
                ..Default::default()
            },
        );
        let nics = |keys: &[&str]| {
            let slots = keys
                .iter()
                .map(|key| ((*key).to_owned(), json!({ "mac": key })));
            json!({ "nic": slots.collect::<serde_json::Map<_, _>>() })
        };
        let both = |keys: &[&str]| {
            let mut host = nics(keys);
            host["inner"] = nics(keys);
            value(&host)
        };
        let private = Private {
            claimed: ["nic.net1", "inner.nic.net1"].map(str::to_owned).into(),
            ..Private::default()
        };
        // net1 was ours and is removed, net2 is somebody else's.
        let (prior, planned) = (both(&["net0", "net1", "net2"]), both(&["net0"]));
        let followed = without_foreign(&outer, &prior, &planned, &private);
        assert_eq!(followed, both(&["net0", "net1"]));
        assert_eq!(without_foreign(&outer, &prior, &prior, &private), prior);
        let gone = value(&json!({ "inner": null }));
        let followed = without_foreign(&outer, &prior, &gone, &private);
        assert_eq!(followed, both(&["net1"]));
    }

    #[test]
    fn what_was_open_in_an_element_of_a_set_comes_from_that_element() {
        let item = |name: &str, id| {
            let entries = [("name", name.into()), ("id", id)];
            Value::Map(entries.map(|(name, value)| (name.to_owned(), value)).into())
        };
        let planned = Value::List(vec![item("a", Value::Unknown), item("b", Value::Unknown)]);
        let actual = Value::List(vec![item("b", 2.into()), item("a", 1.into())]);
        let wanted = Value::List(vec![item("a", 1.into()), item("b", 2.into())]);
        assert_eq!(echo(&planned, &actual), wanted);
    }

    #[test]
    fn apply_echoes_what_was_known() {
        let mut planned = value(&json!({ "name": "a", "id": "?", "tags": ["x"] }));
        planned.put("id", Value::Unknown);
        let actual = value(&json!({ "name": "moved", "id": "qemu/1", "tags": ["y"] }));
        assert_eq!(
            model::to_json(&echo(&planned, &actual)),
            json!({ "name": "a", "id": "qemu/1", "tags": ["x"] })
        );
        assert_eq!(
            model::to_json(&echo(&planned, &Value::Null))["id"],
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
                let echoed = echo(&planned, &actual);
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
        let kept = keep_spelling(&schema(), &prior, &value(&read));
        let expected = json!({ "name": "A", "nic": { "net0": { "mac": "bc:24" }, "net1": { "mac": "BC:25" } } });
        assert_eq!(model::to_json(&kept), expected);
    }
}
