//! Configuration for what was imported: what a practitioner could have written to get a state.
//!
//! Core prints it; this decides only which attributes are in it.

use super::{Schema, Type, Value};

/// The configuration that a state stands for: without what only the provider sets.
pub fn config(schema: &Schema, state: &Value) -> Value {
    let Value::Map(entries) = state else {
        return state.clone();
    };
    let value = |name: &String, value: &Value| match schema.attributes.get(name.as_str()) {
        Some(row) if row.required || row.optional => match (&row.ty, value) {
            (Type::Object(inner), value) => config(inner, value),
            (Type::Slots(inner), Value::Map(slots)) => Value::Map(
                slots
                    .iter()
                    .map(|(key, slot)| (key.clone(), config(inner, slot)))
                    .collect(),
            ),
            _ => value.clone(),
        },
        _ => Value::Null,
    };
    Value::Map(
        entries
            .iter()
            .map(|(name, entry)| (name.clone(), value(name, entry)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::framework::{Attribute, model};

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
            .attribute("one", nested(Type::Object(Box::new(nic.clone()))))
            .attribute("nic", nested(Type::Slots(Box::new(nic))));
        let seen = json!({ "bridge": "vmbr0", "seen": true });
        let state = json!({
            "id": "qemu/1", "name": "a", "size": 2, "one": seen, "nic": { "net0": seen },
        });
        let wanted = json!({ "bridge": "vmbr0", "seen": null });
        assert_eq!(
            model::to_json(&config(&schema, &model::object(&state, &schema))),
            json!({ "id": null, "name": "a", "size": 2, "one": wanted, "nic": { "net0": wanted } })
        );
        assert!(config(&schema, &Value::Null).is_null());
    }
}
