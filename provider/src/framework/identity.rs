//! Identities: the attributes of a resource that say which object it is, for as long as it lives.
//!
//! An identity is never stored by a resource: it is always read off a state, so the two agree.

use super::{Failure, Result, Schema, Value};

/// How the identity of one kind of resource looks.
pub struct Identity {
    /// The version of stored identities.
    pub version: i64,
    /// Its attributes, as the resource's schema describes them.
    pub schema: Schema,
    names: &'static [&'static str],
}

impl Identity {
    /// The identity of these attributes; none of none.
    pub fn of(names: &'static [&'static str], version: i64, of: &Schema) -> Option<Self> {
        let mut schema = Schema::new(&of.doc);
        for name in names {
            schema = schema.attribute(name, of.attributes[name].clone());
        }
        (!names.is_empty()).then_some(Self {
            version,
            schema,
            names,
        })
    }

    /// The identity that a state or a plan tells. Null where a part is missing or unknown:
    /// `tofu` 1.12 shows no plan with half an identity as JSON.
    pub fn read(&self, state: &Value) -> Value {
        let parts = self.names.iter().map(|name| (*name, state.get(name)));
        let parts: Option<_> = parts
            .map(|(name, part)| {
                let known = !part.is_null() && !part.has_unknown();
                known.then(|| (name.to_owned(), part.clone()))
            })
            .collect();
        parts.map_or(Value::Null, Value::Map)
    }

    /// The id that imports the same object: the parts, with slashes between.
    pub fn import_id(&self, identity: &Value) -> Result<String> {
        let parts = self.names.iter().map(|name| match identity.get(name) {
            Value::Null => Err(Failure::new(format!("the identity lacks {name}"))),
            part => Ok(part.display()),
        });
        Ok(parts.collect::<Result<Vec<_>>>()?.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::framework::{Attribute, model};

    #[test]
    fn an_identity_is_whole_or_not_at_all() {
        let schema = Schema::new("A stack.")
            .attribute("name", Attribute::of::<String>("Name."))
            .attribute("host", Attribute::of::<i64>("Host."))
            .attribute("size", Attribute::of::<Option<i64>>("Size."));
        let identity = Identity::of(&["host", "name"], 0, &schema).unwrap();
        let state = |json| model::object(&json, &schema);
        let whole = identity.read(&state(json!({ "name": "web", "host": 7, "size": 1 })));
        assert_eq!(model::to_json(&whole), json!({ "host": 7, "name": "web" }));
        assert_eq!(identity.import_id(&whole).unwrap(), "7/web");
        assert!(identity.read(&state(json!({ "name": "web" }))).is_null());
        let mut open = whole.clone();
        open.put("host", Value::Unknown);
        assert!(identity.read(&open).is_null());
        assert!(identity.read(&Value::Null).is_null());
        let part = state(json!({ "name": "web" }));
        let error = identity.import_id(&part).unwrap_err();
        assert_eq!(error.detail, "the identity lacks host");
        assert!(Identity::of(&[], 0, &schema).is_none());
    }
}
