//! One view of schemas and types, so that a resource and a function argument are read alike.

use std::collections::BTreeMap;

use super::super::{Schema, Type};

/// What a value must look like.
#[derive(Clone, Copy)]
pub enum Shape<'a> {
    /// A text.
    String,
    /// A number.
    Number,
    /// A truth value.
    Bool,
    /// A list of items.
    List(&'a Type),
    /// A set of items.
    Set(&'a Type),
    /// A map from text.
    Map(&'a Type),
    /// A map of objects.
    Slots(&'a Schema),
    /// An object with the attributes of a schema.
    Object(&'a Schema),
    /// An object with the attributes of a plain type.
    Record(&'a BTreeMap<String, Type>),
    /// As many items as there are types.
    Tuple(&'a [Type]),
    /// A value that brings its type.
    Dynamic,
}

impl<'a> Shape<'a> {
    /// The shape of an attribute, if the object has it.
    pub(super) fn attribute(self, name: &str) -> Option<Self> {
        match self {
            Self::Object(schema) => schema.attributes.get(name).map(|row| (&row.ty).into()),
            Self::Record(rows) => rows.get(name).map(Into::into),
            _ => None,
        }
    }

    /// The attributes of an object.
    pub(super) fn attributes(self) -> Vec<(&'a str, Self)> {
        match self {
            Self::Object(schema) => schema
                .attributes
                .iter()
                .map(|(name, row)| (*name, (&row.ty).into()))
                .collect(),
            Self::Record(rows) => rows
                .iter()
                .map(|(name, ty)| (name.as_str(), ty.into()))
                .collect(),
            _ => Vec::new(),
        }
    }
}

impl<'a> From<&'a Schema> for Shape<'a> {
    fn from(schema: &'a Schema) -> Self {
        Self::Object(schema)
    }
}

impl<'a> From<&'a Type> for Shape<'a> {
    fn from(ty: &'a Type) -> Self {
        match ty {
            Type::String => Self::String,
            Type::Number => Self::Number,
            Type::Bool => Self::Bool,
            Type::List(item) => Self::List(item),
            Type::Set(item) => Self::Set(item),
            Type::Map(item) => Self::Map(item),
            Type::Slots(schema) => Self::Slots(schema),
            Type::Object(schema) => Self::Object(schema),
            Type::Record(rows) => Self::Record(rows),
            Type::Tuple(items) => Self::Tuple(items),
            Type::Dynamic => Self::Dynamic,
        }
    }
}
