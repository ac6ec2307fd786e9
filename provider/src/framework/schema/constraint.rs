//! Types as JSON, which core calls type constraints: `["list","string"]`.
//!
//! Core panics over a malformed one, so what is written here is read back by a test.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::Type;

impl Type {
    /// The type constraint that core reads.
    pub fn to_json(&self) -> Json {
        match self {
            Self::String => json!("string"),
            Self::Number => json!("number"),
            Self::Bool => json!("bool"),
            Self::Dynamic => json!("dynamic"),
            Self::List(item) => json!(["list", item.to_json()]),
            Self::Set(item) => json!(["set", item.to_json()]),
            Self::Map(item) => json!(["map", item.to_json()]),
            Self::Tuple(items) => {
                json!(["tuple", items.iter().map(Self::to_json).collect::<Vec<_>>()])
            }
            Self::Record(rows) => object(rows.iter().map(|(name, ty)| (name.as_str(), ty))),
            Self::Object(schema) => {
                object(schema.attributes.iter().map(|(name, row)| (*name, &row.ty)))
            }
            Self::Slots(schema) => json!(["map", Self::Object(schema.clone()).to_json()]),
        }
    }

    /// The type that a type constraint names; `None` if it is none.
    pub fn from_json(json: &Json) -> Option<Self> {
        if let Some(name) = json.as_str() {
            return match name {
                "string" => Some(Self::String),
                "number" => Some(Self::Number),
                "bool" => Some(Self::Bool),
                "dynamic" => Some(Self::Dynamic),
                _ => None,
            };
        }
        // The third part of an object lists attributes that may be left out of a configuration.
        let (kind, of) = match json.as_array()?.as_slice() {
            [kind, of] => (kind.as_str()?, of),
            [kind, of, _] if kind == "object" => ("object", of),
            _ => return None,
        };
        let item = || Self::from_json(of).map(Box::new);
        match kind {
            "list" => item().map(Self::List),
            "set" => item().map(Self::Set),
            "map" => item().map(Self::Map),
            "tuple" => {
                let items = of.as_array()?.iter().map(Self::from_json);
                items.collect::<Option<_>>().map(Self::Tuple)
            }
            "object" => {
                let rows = of.as_object()?.iter();
                rows.map(|(name, ty)| Some((name.clone(), Self::from_json(ty)?)))
                    .collect::<Option<BTreeMap<_, _>>>()
                    .map(Self::Record)
            }
            _ => None,
        }
    }
}

fn object<'a>(rows: impl Iterator<Item = (&'a str, &'a Type)>) -> Json {
    let rows: serde_json::Map<_, _> = rows
        .map(|(name, ty)| (name.to_owned(), ty.to_json()))
        .collect();
    json!(["object", rows])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_constraint_is_written_as_it_is_read() {
        let text = r#"["map",["object",{"a":["tuple",["dynamic",["set","bool"]]],"b":["list","number"]}]]"#;
        let json: Json = serde_json::from_str(text).unwrap();
        let ty = Type::from_json(&json).unwrap();
        assert_eq!(ty.to_json(), json);
        let optional = json!(["object", { "a": "string" }, ["a"]]);
        let row = ("a".to_owned(), Type::String);
        assert_eq!(Type::from_json(&optional), Some(Type::Record([row].into())));
    }

    #[test]
    fn other_json_is_no_type_constraint() {
        for json in [
            json!(null),
            json!("text"),
            json!([]),
            json!(["list"]),
            json!(["list", "string", "string"]),
            json!(["tuple", "string"]),
            json!(["object", ["string"]]),
            json!(["map", "text"]),
        ] {
            assert_eq!(Type::from_json(&json), None, "{json}");
        }
    }
}
