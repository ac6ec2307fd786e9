//! Configuration for what was imported: what a practitioner could have written to get a state.
//!
//! Core prints it; this decides only which attributes are in it.

use super::{Attribute, Schema, Value};

/// The configuration that a state stands for: without what only the provider sets, and without what
/// nobody should set any more.
pub fn config(schema: &Schema, state: &Value) -> Value {
    let Value::Map(entries) = state else {
        return state.clone();
    };
    let value = |(name, value): (&String, &Value)| {
        let row = schema.attributes.get(name.as_str());
        let value = row
            .filter(|row| is_written(row))
            .map_or(Value::Null, |row| match row.ty.nested() {
                Some((nesting, inner)) => {
                    nesting.each(value, &Value::Null, |_, object, _| config(inner, object))
                }
                None => value.clone(),
            });
        (name.clone(), value)
    };
    Value::Map(entries.iter().map(value).collect())
}

fn is_written(row: &Attribute) -> bool {
    row.required || (row.optional && row.deprecated.is_none())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::framework::{Type, model};

    #[test]
    fn what_only_the_provider_sets_is_left_out_at_any_depth() {
        let nic = Schema::new("A NIC.")
            .attribute("bridge", Attribute::of::<String>("Bridge."))
            .attribute("seen", Attribute::of::<Option<bool>>("Up.").computed());
        let nested = |ty| Attribute {
            ty,
            ..Attribute::of::<Option<String>>("Nested.")
        };
        let schema = Schema::new("A guest.")
            .attribute("id", Attribute::of::<Option<String>>("Id.").computed())
            .attribute("name", Attribute::of::<String>("Name."))
            .attribute("size", Attribute::of::<Option<i64>>("Size.").default(1))
            .attribute(
                "old",
                Attribute::of::<Option<i64>>("Old.").deprecated("Use size."),
            )
            .attribute("one", nested(Type::Object(Box::new(nic.clone()))))
            .attribute(
                "many",
                nested(Type::List(Box::new(Type::Object(Box::new(nic.clone()))))),
            )
            .attribute("nic", nested(Type::Slots(Box::new(nic))));
        let seen = json!({ "bridge": "vmbr0", "seen": true });
        let state = json!({
            "id": "qemu/1", "name": "a", "size": 2, "old": 2, "one": seen, "nic": { "net0": seen },
            "many": [seen],
        });
        let wanted = json!({ "bridge": "vmbr0", "seen": null });
        assert_eq!(
            model::to_json(&config(&schema, &model::object(&state, &schema))),
            json!({
                "id": null, "name": "a", "size": 2, "old": null, "one": wanted,
                "nic": { "net0": wanted }, "many": [wanted],
            })
        );
        assert!(config(&schema, &Value::Null).is_null());
    }
}
