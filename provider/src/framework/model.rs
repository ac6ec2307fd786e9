//! Models: structs whose fields are attributes, and their way to values and back.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

use super::{
    Number, Schema, Type, Value,
    schema::Attribute,
    value::{Dynamic, composed},
};

/// A struct whose fields are the attributes of a resource; derived.
pub trait Model: Clone + Serialize + DeserializeOwned + Send + Sync {
    /// One row per field, described by its doc comment.
    fn schema() -> Schema;
}

/// A Rust type that can stand for an attribute.
pub trait Typed {
    /// Whether the configuration must set it.
    const REQUIRED: bool = true;
    /// Its type.
    fn ty() -> Type;
}

/// A model from a value; unknown becomes `None`, which only computed attributes may be.
pub fn typed<M: Model>(value: &Value) -> Result<M, serde_json::Error> {
    serde_json::from_value(to_json(value))
}

/// A value from a model, of the model's schema; write-only attributes are left out.
pub fn untyped<M: Model>(model: &M) -> Value {
    let json = serde_json::to_value(model).expect("models are JSON");
    object(&json, &M::schema())
}

/// A value as JSON, unknown as null; one of any type as its `type` and its `value`.
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Null | Value::Unknown => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        // JSON has no infinities, and whoever wants a number shall not get none.
        Value::Number(number) if number.is_infinite() => number.as_str().into(),
        Value::Number(number) => {
            serde_json::from_str(number.as_str()).expect("canonical decimals are JSON numbers")
        }
        Value::String(text) => Json::String(text.clone()),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|(name, value)| (name.clone(), to_json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Dynamic(dynamic) => {
            serde_json::json!({ "type": dynamic.ty.to_json(), "value": to_json(&dynamic.value) })
        }
    }
}

/// JSON of a type as a value.
///
/// Lenient where a state of another version may differ: a primitive of another kind is converted as
/// core does, what is missing or does not fit is null, what is unknown to the schema is dropped.
pub fn from_json(json: &Json, ty: &Type) -> Value {
    match (ty, json) {
        (Type::String, Json::String(text)) => text.as_str().into(),
        (Type::String, Json::Number(number)) => number.to_string().into(),
        (Type::String, Json::Bool(truth)) => truth.to_string().into(),
        (Type::Bool, Json::Bool(truth)) => Value::Bool(*truth),
        (Type::Bool, Json::String(text)) => text.parse().map_or(Value::Null, Value::Bool),
        (Type::Number, Json::Number(number)) => parsed(&number.to_string()),
        (Type::Number, Json::String(text)) => parsed(text),
        (Type::List(inner), Json::Array(items)) => {
            Value::List(items.iter().map(|item| from_json(item, inner)).collect())
        }
        (Type::Set(inner), Json::Array(items)) => {
            Value::set(items.iter().map(|item| from_json(item, inner)).collect())
        }
        (Type::Tuple(types), Json::Array(items)) => {
            let missing = std::iter::repeat(&Json::Null);
            let items = types.iter().zip(items.iter().chain(missing));
            Value::List(items.map(|(ty, item)| from_json(item, ty)).collect())
        }
        (Type::Map(inner), Json::Object(entries)) => Value::Map(
            entries
                .iter()
                .map(|(key, value)| (composed(key), from_json(value, inner)))
                .collect(),
        ),
        (Type::Record(rows), Json::Object(entries)) => Value::Map(
            rows.iter()
                .map(|(name, ty)| {
                    let value = entries
                        .get(name)
                        .map_or(Value::Null, |json| from_json(json, ty));
                    (name.clone(), value)
                })
                .collect(),
        ),
        (Type::Dynamic, Json::Object(parts)) => {
            let part = |name| parts.get(name).unwrap_or(&Json::Null);
            match Type::from_json(part("type")) {
                None => Value::Null,
                Some(Type::Dynamic) => from_json(part("value"), ty),
                Some(ty) => {
                    let value = from_json(part("value"), &ty);
                    Value::Dynamic(Box::new(Dynamic { ty, value }))
                }
            }
        }
        (Type::Object(schema), Json::Object(_)) => object(json, schema),
        (Type::Slots(schema), Json::Object(entries)) => Value::Map(
            entries
                .iter()
                .map(|(key, value)| (composed(key), object(value, schema)))
                .collect(),
        ),
        _ => Value::Null,
    }
}

fn parsed(number: &str) -> Value {
    number.parse().map_or(Value::Null, Value::Number)
}

/// A JSON object as a value that has every attribute of the schema.
pub fn object(json: &Json, schema: &Schema) -> Value {
    let Json::Object(entries) = json else {
        return Value::Null;
    };
    let value = |name: &str, attribute: &Attribute| match entries.get(name) {
        Some(json) if !attribute.write_only => from_json(json, &attribute.ty),
        _ => Value::Null,
    };
    Value::Map(
        schema
            .attributes
            .iter()
            .map(|(name, attribute)| ((*name).to_owned(), value(name, attribute)))
            .collect(),
    )
}

impl Typed for String {
    fn ty() -> Type {
        Type::String
    }
}
impl Typed for i64 {
    fn ty() -> Type {
        Type::Number
    }
}
impl Typed for u32 {
    fn ty() -> Type {
        Type::Number
    }
}
/// A decimal of any size.
impl Typed for serde_json::Number {
    fn ty() -> Type {
        Type::Number
    }
}
/// A value of any type, as the state stores it: an object of its `type` and its `value`.
impl Typed for Json {
    fn ty() -> Type {
        Type::Dynamic
    }
}
impl Typed for bool {
    fn ty() -> Type {
        Type::Bool
    }
}
impl<T: Typed> Typed for Vec<T> {
    fn ty() -> Type {
        Type::List(Box::new(T::ty()))
    }
}
impl<T: Typed> Typed for BTreeSet<T> {
    fn ty() -> Type {
        Type::Set(Box::new(T::ty()))
    }
}
impl<T: Typed> Typed for BTreeMap<String, T> {
    fn ty() -> Type {
        match T::ty() {
            Type::Object(schema) => Type::Slots(schema),
            ty => Type::Map(Box::new(ty)),
        }
    }
}
impl<T: Typed> Typed for Option<T> {
    const REQUIRED: bool = false;
    fn ty() -> Type {
        T::ty()
    }
}
impl<T: Typed> Typed for crate::secret::Secret<T> {
    const REQUIRED: bool = T::REQUIRED;
    fn ty() -> Type {
        T::ty()
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Number(Number::from(i64::from(number)))
    }
}

/// Fails unless `M` and its schema name the same attributes with the same types.
#[cfg(test)]
#[track_caller]
pub fn check_model<M: Model>() {
    fn sample(ty: &Type) -> Json {
        match ty {
            Type::String => "x".into(),
            Type::Number => 1.into(),
            Type::Bool => true.into(),
            Type::List(item) | Type::Set(item) => vec![sample(item)].into(),
            Type::Map(item) => serde_json::json!({ "k": sample(item) }),
            Type::Record(rows) => rows
                .iter()
                .map(|(name, ty)| (name.clone(), sample(ty)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Type::Tuple(items) => items.iter().map(sample).collect(),
            Type::Dynamic => serde_json::json!({ "type": "string", "value": "x" }),
            Type::Object(schema) => object(schema),
            Type::Slots(schema) => serde_json::json!({ "k": object(schema) }),
        }
    }
    fn object(schema: &Schema) -> Json {
        schema
            .attributes
            .iter()
            .map(|(name, row)| ((*name).to_owned(), sample(&row.ty)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
    let full = object(&M::schema());
    let model: M = serde_json::from_value(full.clone()).expect("types agree");
    assert_eq!(serde_json::to_value(model).expect("models are JSON"), full);
}
