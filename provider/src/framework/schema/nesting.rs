//! Nested attributes: the objects in them, whatever holds those.
//!
//! Does not know what the objects are for.

use super::{Attribute, Schema, Type};
use crate::framework::{Value, path::Step};

/// How a nested attribute holds its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// It is one.
    Single,
    /// By position.
    List,
    /// By content: an object that differs is another one.
    Set,
    /// By name.
    Map,
}

impl Type {
    /// What a nested attribute holds, and how.
    pub fn nested(&self) -> Option<(Nesting, &Schema)> {
        match self {
            Self::Object(schema) => Some((Nesting::Single, schema)),
            Self::Slots(schema) => Some((Nesting::Map, schema)),
            Self::List(item) => Some((Nesting::List, item.object()?)),
            Self::Set(item) => Some((Nesting::Set, item.object()?)),
            _ => None,
        }
    }

    /// Whether objects of a set have attributes that are compared with what they were.
    pub(super) fn compares_in_sets(&self) -> bool {
        match self.nested() {
            Some((Nesting::Set, schema)) => schema.compares(),
            _ => false,
        }
    }

    fn object(&self) -> Option<&Schema> {
        match self {
            Self::Object(schema) => Some(schema),
            _ => None,
        }
    }
}

impl Schema {
    fn compares(&self) -> bool {
        let compares = |row: &Attribute| row.keep || row.replace || row.sticky;
        let mut rows = self.attributes.values();
        rows.any(|row| compares(row) || row.ty.nested().is_some_and(|(_, inner)| inner.compares()))
    }
}

impl Nesting {
    /// The objects in a value of this nesting with their steps; none where it is null or unknown.
    pub fn objects(self, value: &Value) -> Vec<(Option<Step>, &Value)> {
        match (self, value) {
            (Self::Single, Value::Map(_)) => vec![(None, value)],
            (Self::List, Value::List(items)) => (0..)
                .zip(items)
                .map(|(index, item)| (Some(Step::Index(index)), item))
                .collect(),
            (Self::Set, Value::List(items)) => items
                .iter()
                .map(|item| (Some(Step::Element), item))
                .collect(),
            (Self::Map, Value::Map(entries)) => entries
                .iter()
                .map(|(key, item)| (Some(Step::Key(key.clone())), item))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The value with each of its objects made anew, from its step, itself and the object in the same
    /// place of another value; what is null or unknown stays.
    pub fn each(
        self,
        value: &Value,
        beside: &Value,
        mut made: impl FnMut(Option<Step>, &Value, &Value) -> Value,
    ) -> Value {
        let made = |(step, object): (Option<Step>, &Value)| match object {
            Value::Map(_) => {
                let beside = step.as_ref().map_or(beside, |step| beside.step(step));
                made(step, object, beside)
            }
            other => other.clone(),
        };
        let mut objects = self.objects(value).into_iter().map(made);
        match (self, value) {
            (Self::Single, Value::Map(_)) => objects.next().unwrap_or_default(),
            (Self::Map, Value::Map(entries)) => {
                Value::Map(entries.keys().cloned().zip(objects).collect())
            }
            (Self::List, Value::List(_)) => Value::List(objects.collect()),
            (Self::Set, Value::List(_)) => Value::set(objects.collect()),
            _ => value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_set_holds_has_no_past() {
        let objects = |row: Attribute| {
            let inner = Schema::new("").attribute("name", row);
            Schema::new("").attribute(
                "deep",
                Attribute {
                    ty: Type::Object(inner.into()),
                    ..Default::default()
                },
            )
        };
        let set = |row| Type::Set(Box::new(Type::Object(objects(row).into())));
        let row = Attribute::of::<Option<String>>;
        assert!(!set(row("")).compares_in_sets());
        assert!(set(row("").keep()).compares_in_sets());
        assert!(set(row("").replace()).compares_in_sets());
        assert!(!Type::Slots(objects(row("").replace()).into()).compares_in_sets());
    }
}
