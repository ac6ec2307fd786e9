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
        (Value::List(planned), Value::List(actual)) if planned.len() == actual.len() => {
            Value::List(
                planned
                    .iter()
                    .zip(actual)
                    .map(|(planned, actual)| echo(planned, actual))
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
