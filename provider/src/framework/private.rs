//! What the provider remembers beside the state, and the practitioner never sees.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Path, Schema, Value, schema::Type};

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
        match &attribute.ty {
            Type::Object(inner) => claim(inner, value, &path, claimed),
            Type::Slots(inner) => {
                for (key, slot) in value.as_map().into_iter().flatten() {
                    claimed.insert(path.key(key).dotted());
                    claim(inner, slot, &path.key(key), claimed);
                }
            }
            _ => {
                claimed.insert(path.dotted());
            }
        }
    }
}
