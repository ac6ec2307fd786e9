//! What the provider remembers beside the state, and the practitioner never sees.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Path, Schema, Value, path::Step, schema::Nesting};

/// The version of the bytes that this provider writes.
const VERSION: u32 = 1;

/// The private bytes of a resource, as versioned JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Private {
    /// Version of this format.
    pub v: u32,
    /// Dotted paths that the configuration set at the last apply.
    ///
    /// An attribute that is null now was *removed* if it is listed here, else it was never managed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub claimed: BTreeSet<String>,
    /// Set between import and the first read, which then fills every attribute it can.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub importing: bool,
}

impl Private {
    /// Reads the bytes of a state; bytes of an unknown version mean that nothing is claimed.
    pub fn decode(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes)
            .ok()
            .filter(|private: &Self| private.v <= VERSION)
            .unwrap_or_default()
    }

    /// The bytes for the state.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&Self {
            v: VERSION,
            ..self.clone()
        })
        .expect("private data is JSON")
    }

    /// What an apply of `config` remembers.
    pub fn claiming(schema: &Schema, config: &Value) -> Self {
        let mut claimed = BTreeSet::new();
        claim(schema, config, &Path::default(), &mut claimed);
        Self {
            claimed,
            ..Self::default()
        }
    }
}

fn claim(schema: &Schema, object: &Value, at: &Path, claimed: &mut BTreeSet<String>) {
    for (name, attribute) in &schema.attributes {
        let (value, path) = (object.get(name), at.attribute(name));
        if value.is_null() || attribute.write_only {
            continue;
        }
        let nested = attribute.ty.nested();
        if !matches!(nested, Some((Nesting::Single | Nesting::Map, _))) {
            claimed.insert(path.dotted());
        }
        let Some((nesting, inner)) = nested else {
            continue;
        };
        for (step, object) in nesting.objects(value) {
            match step {
                None => claim(inner, object, &path, claimed),
                // What a set holds has no name to claim it by.
                Some(Step::Element) => {}
                Some(step) => {
                    let path = path.with(step);
                    claimed.insert(path.dotted());
                    claim(inner, object, &path, claimed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::framework::{Attribute, Type, model};

    fn schema() -> Schema {
        let row = |ty| Attribute {
            ty,
            ..Attribute::of::<Option<String>>("A row.")
        };
        let nic = Schema::new("A NIC.")
            .attribute("bridge", row(Type::String))
            .attribute("key_wo", row(Type::String).write_only());
        Schema::new("A guest.")
            .attribute("name", row(Type::String))
            .attribute("tags", row(Type::Set(Box::new(Type::String))))
            .attribute("secret_wo", row(Type::String).write_only())
            .attribute("one", row(Type::Object(Box::new(nic.clone()))))
            .attribute(
                "list",
                row(Type::List(Box::new(Type::Object(Box::new(nic.clone()))))),
            )
            .attribute(
                "set",
                row(Type::Set(Box::new(Type::Object(Box::new(nic.clone()))))),
            )
            .attribute("nic", row(Type::Slots(Box::new(nic))))
    }

    #[track_caller]
    fn check(config: &serde_json::Value, secret: bool, claimed: &[&str]) {
        let mut config = model::object(config, &schema());
        if secret {
            config.put("secret_wo", "s".into());
            config.put("nic.net0.key_wo", "s".into());
        }
        let found = Private::claiming(&schema(), &config).claimed;
        assert_eq!(
            found.iter().map(String::as_str).collect::<Vec<_>>(),
            claimed
        );
    }

    #[test]
    fn what_the_configuration_sets_is_claimed() {
        check(&json!({}), false, &[]);
        check(
            &json!({ "name": "a", "tags": ["x", "y"] }),
            false,
            &["name", "tags"],
        );
        // Empty is set, and says that the practitioner wants none.
        check(&json!({ "name": "", "tags": [] }), false, &["name", "tags"]);
        check(&json!({ "one": { "bridge": "b" } }), false, &["one.bridge"]);
        check(&json!({ "one": {}, "nic": {} }), false, &[]);
    }

    #[test]
    fn a_slot_is_claimed_with_what_it_sets() {
        let config = json!({ "nic": { "net0": {}, "net7": { "bridge": "b" } } });
        check(&config, false, &["nic.net0", "nic.net7", "nic.net7.bridge"]);
    }

    #[test]
    fn objects_of_a_list_are_claimed_by_place_and_those_of_a_set_only_together() {
        let config = json!({ "list": [{}, { "bridge": "b" }], "set": [{ "bridge": "b" }] });
        check(
            &config,
            false,
            &["list", "list.0", "list.1", "list.1.bridge", "set"],
        );
    }

    #[test]
    fn secrets_are_never_claimed() {
        check(&json!({ "nic": { "net0": {} } }), true, &["nic.net0"]);
    }

    #[test]
    fn what_was_written_is_read() {
        let private = Private {
            v: VERSION,
            claimed: ["name".to_owned()].into(),
            importing: true,
        };
        assert_eq!(Private::decode(&private.encode()), private);
        let bytes = Private::default().encode();
        assert_eq!(bytes, br#"{"v":1}"#);
    }

    #[test]
    fn what_cannot_be_read_claims_nothing() {
        for bytes in [
            &b""[..],
            b"{",
            b"null",
            b"[1]",
            b"\xff",
            br#"{"claimed":["name"]}"#,
            br#"{"v":2,"claimed":["name"]}"#,
            br#"{"v":1,"claimed":"name"}"#,
        ] {
            assert!(Private::decode(bytes).claimed.is_empty(), "{bytes:?}");
        }
        let more = br#"{"v":1,"claimed":["name"],"later":1}"#;
        assert_eq!(Private::decode(more).claimed.len(), 1);
    }
}
