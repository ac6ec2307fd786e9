//! Reading numbers and flags that PVE sends as JSON numbers in one release and as strings in another.
//!
//! Everything goes through `serde_json::Value`, the only type that reads any number while
//! `arbitrary_precision` is on.

use std::{fmt::Display, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// A number or text; absent and `null` are `None`.
pub(super) fn opt<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    match Option::<Value>::deserialize(deserializer)? {
        None => Ok(None),
        Some(value) => {
            let text = text(value);
            let parsed = text.parse();
            parsed
                .map(Some)
                .map_err(|error| D::Error::custom(format_args!("{error}: `{text}`")))
        }
    }
}

/// A number or text that PVE always sends.
pub(super) fn must<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    opt(deserializer)?.ok_or_else(|| D::Error::custom("null where a value is due"))
}

/// `1`, `"1"` or `true`; anything else, and absent, is false.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    Ok(value.map(text).is_some_and(|text| text == "1"))
}

/// Scalars as PVE's files hold them; arrays and objects as JSON.
pub(super) fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Bool(flag) => u8::from(flag).to_string(),
        other => other.to_string(),
    }
}
