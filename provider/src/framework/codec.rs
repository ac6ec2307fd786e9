//! The wire: values, schemas and messages as the protocol wants them.
//!
//! Knows the protocol's messages, but neither its methods nor when they are called.

pub mod diagnostics;
pub mod msgpack;
pub mod number;
pub mod schema;
mod shape;

use proto::tfplugin6::DynamicValue;
use serde_json::Value as Json;
pub use shape::Shape;

use super::{Diagnostics, Path, Schema, Type, Value, model};

/// Bytes that are no value of their type.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{why}")]
pub struct Malformed {
    /// Where the value stops making sense.
    pub path: Path,
    /// What is wrong there.
    pub why: String,
}

/// A value that core sent for a schema: msgpack, else JSON, else null.
pub fn decode(wire: Option<&DynamicValue>, schema: &Schema) -> Result<Value, Diagnostics> {
    dynamic(wire, schema.into(), |json| model::object(json, schema))
}

/// A value that core sent for a type, as function arguments are.
pub fn decode_argument(wire: &DynamicValue, ty: &Type) -> Result<Value, Diagnostics> {
    dynamic(Some(wire), ty.into(), |json| model::from_json(json, ty))
}

/// A value for core. What does not fit its type becomes null and an error, so that the rest of a
/// state is not lost with it.
pub fn encode<'a>(
    value: &Value,
    shape: impl Into<Shape<'a>>,
    found: &mut Diagnostics,
) -> DynamicValue {
    let (bytes, wrong) = msgpack::encode(value, shape.into());
    for path in wrong {
        let detail = format!("The provider made a value of the wrong type for {path}. {REPORT}");
        found.error(Some(path), "Bug in the provider", detail);
    }
    DynamicValue {
        msgpack: bytes.into(),
        ..DynamicValue::default()
    }
}

/// Stored state as JSON.
pub fn decode_json(bytes: &[u8]) -> Result<Json, Diagnostics> {
    serde_json::from_slice(bytes).map_err(|error| refusal(None, &error.to_string()))
}

/// What every message about a fault of ours ends with.
pub const REPORT: &str = "Please report this.";

fn dynamic(
    wire: Option<&DynamicValue>,
    shape: Shape<'_>,
    from_json: impl Fn(&Json) -> Value,
) -> Result<Value, Diagnostics> {
    match wire {
        Some(wire) if !wire.msgpack.is_empty() => msgpack::decode(&wire.msgpack, shape)
            .map_err(|error| refusal(Some(error.path), &error.why)),
        Some(wire) if !wire.json.is_empty() => decode_json(&wire.json).map(|json| from_json(&json)),
        _ => Ok(Value::Null),
    }
}

fn refusal(path: Option<Path>, why: &str) -> Diagnostics {
    let mut found = Diagnostics::default();
    found.error(
        path,
        "Value that cannot be read",
        format!("A value that arrived does not fit the provider's schema: {why}. {REPORT}"),
    );
    found
}
