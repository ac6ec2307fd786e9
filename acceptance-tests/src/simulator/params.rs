//! The parameters of a request: how they are read from path, query and body, and how calls ask for them.
//!
//! Nothing is checked here beside the encoding; see [`super::rules`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use percent_encoding::percent_decode_str;
use serde_json::Value as Json;

use super::reply::Fail;
use super::saved::Word;

/// A parameter as it came.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) enum Value {
    /// Text, or a JSON number as it was written.
    Text(String),
    /// A JSON boolean.
    Bool(bool),
    /// A repeated key, or a JSON array.
    List(Vec<String>),
    /// What no parameter can be, by the name that error messages give it.
    #[serde(skip)]
    Other(Word),
}

/// Parameters by name.
pub(crate) type Raw = BTreeMap<String, Value>;

/// Reads `a=b&c=d` with the habits of the API server: `;` separates too, and of `a=b=c` only `a=b` is
/// kept. A key without a value is not given at all.
pub(crate) fn read_form(text: &str) -> Raw {
    let mut found = Raw::new();
    for pair in text.split(['&', ';']).filter(|pair| !pair.is_empty()) {
        let mut pieces = pair.split('=');
        let key = decode(pieces.next().unwrap_or_default());
        let Some(value) = pieces.next().map(decode) else {
            continue;
        };
        let value = match found.remove(&key) {
            None => Value::Text(value),
            Some(Value::List(mut list)) => {
                list.push(value);
                Value::List(list)
            }
            Some(Value::Text(first)) => Value::List(vec![first, value]),
            Some(other) => other,
        };
        found.insert(key, value);
    }
    found
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

/// Reads a JSON body. A malformed one is a 500 with the parser's text.
pub(crate) fn read_json(text: &[u8]) -> Result<Raw, Fail> {
    let json: Json =
        serde_json::from_slice(text).map_err(|error| Fail::plain(500, &error.to_string()))?;
    let Json::Object(object) = json else {
        return Err(Fail::plain(500, "Not a HASH reference"));
    };
    let scalar = |json: &Json| match json {
        Json::String(text) => text.clone(),
        // With a fraction or an exponent it is a floating point number to the API.
        Json::Number(number) if !number.is_i64() && !number.is_u64() => {
            let number = number.as_f64();
            number.map_or_else(|| json.to_string(), |number| number.to_string())
        }
        other => other.to_string(),
    };
    let value = |json: Json| match json {
        Json::Bool(is) => Some(Value::Bool(is)),
        Json::Array(items) => Some(Value::List(items.iter().map(scalar).collect())),
        Json::Object(_) => Some(Value::Other("HASH")),
        Json::Null => None,
        other => Some(Value::Text(scalar(&other))),
    };
    Ok(object
        .into_iter()
        .filter_map(|(key, json)| Some((key, value(json)?)))
        .collect())
}

/// The parameters of a call that passed its rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(pub(crate) Raw);

impl Params {
    /// The text of `name`, if it is given.
    pub(crate) fn text_opt(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The text of `name`, which the rules require.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.text_opt(name)
            .expect("the rules of the call require it")
    }

    /// The number `name`, if it is given.
    pub(crate) fn number_opt(&self, name: &str) -> Option<i64> {
        self.text_opt(name).and_then(|text| text.parse().ok())
    }

    /// The guest id of the path.
    pub(crate) fn vmid(&self) -> u32 {
        self.text("vmid")
            .parse()
            .expect("the rules made sure that it is a number")
    }

    /// Whether the boolean `name` is given and true.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.text_opt(name) == Some("1")
    }

    /// The elements of the array `name`.
    pub(crate) fn list(&self, name: &str) -> &[String] {
        match self.0.get(name) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }
}

/// The parameters with what must not be shown replaced by `***`.
pub(crate) fn masked(raw: &Raw) -> BTreeMap<String, String> {
    let shown = |name: &str, value: &Value| match value {
        _ if matches!(
            name,
            "password" | "cipassword" | "tfa-challenge" | "otp" | "vncticket"
        ) =>
        {
            "***".to_owned()
        }
        Value::Text(text) => text.clone(),
        Value::Bool(is) => is.to_string(),
        Value::List(list) => list.join(" "),
        Value::Other(what) => (*what).to_owned(),
    };
    raw.iter()
        .map(|(name, value)| (name.clone(), shown(name, value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let expected = expected
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        assert_eq!(masked(&read_form(text)), expected);
    }

    #[test]
    fn an_unescaped_equals_or_semicolon_cuts_a_value() {
        check(
            "agent=enabled=1&tags=a;b",
            &[("agent", "enabled"), ("tags", "a")],
        );
        check(
            "agent=enabled%3D1&tags=a%3Bb",
            &[("agent", "enabled=1"), ("tags", "a;b")],
        );
        check("a=x+y%2Bz&a=2", &[("a", "x y+z 2")]);
    }

    #[test]
    fn json_null_is_not_given() {
        let raw = read_json(br#"{"a":null,"b":1.50,"c":true,"d":["x",2]}"#).expect("it is JSON");
        assert_eq!(raw.len(), 3);
        assert_eq!(raw["b"], Value::Text("1.5".to_owned()));
        assert_eq!(raw["d"], Value::List(vec!["x".to_owned(), "2".to_owned()]));
    }
}
