//! Values as core sends them: null, unknown, or known, with numbers of any size.

mod number;

use std::collections::BTreeMap;

use icu_normalizer::ComposingNormalizerBorrowed;
pub use number::{NotANumber, Number};

use super::{Type, path::Step};

/// Any value of any attribute.
///
/// Sets are lists that are sorted and hold no value twice, which makes comparison structural.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// A value that is decided during apply.
    Unknown,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    String(String),
    /// A list, a tuple or (sorted, without repetition) a set.
    List(Vec<Value>),
    /// A map or an object.
    Map(BTreeMap<String, Value>),
    /// What an attribute of any type holds. Null and unknown are written without a type too, where
    /// not even that is known.
    Dynamic(Box<Dynamic>),
}

/// A value and its type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dynamic {
    /// Its type, which has no nested attributes.
    pub ty: Type,
    /// The value.
    pub value: Value,
}

static NULL: Value = Value::Null;
static UNKNOWN: Value = Value::Unknown;

impl Value {
    /// A set: sorted, and no value twice unless it may still become two.
    pub fn set(mut items: Vec<Self>) -> Self {
        items.sort();
        items.dedup_by(|a, b| a == b && !a.has_unknown());
        Self::List(items)
    }

    /// The value without the type that one of any type carries.
    pub fn plain(&self) -> &Self {
        match self {
            Self::Dynamic(dynamic) => &dynamic.value,
            other => other,
        }
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self.plain(), Self::Null)
    }

    /// Whether the value as a whole is decided during apply.
    pub fn is_unknown(&self) -> bool {
        matches!(self.plain(), Self::Unknown)
    }

    /// Whether any part of the value is decided during apply.
    pub fn has_unknown(&self) -> bool {
        match self {
            Self::Unknown => true,
            Self::List(items) => items.iter().any(Self::has_unknown),
            Self::Map(entries) => entries.values().any(Self::has_unknown),
            Self::Dynamic(dynamic) => dynamic.value.has_unknown(),
            _ => false,
        }
    }

    /// Whether what is unknown here could turn out so that this is the other value.
    pub fn may_become(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unknown, _) => true,
            (Self::Map(a), Self::Map(b)) => {
                a.keys().eq(b.keys()) && a.keys().all(|key| a[key].may_become(&b[key]))
            }
            (Self::Dynamic(a), Self::Dynamic(b)) => a.ty == b.ty && a.value.may_become(&b.value),
            // Elements of sets have no place.
            (Self::List(_), Self::List(_)) if self.has_unknown() => true,
            _ => self == other,
        }
    }

    /// An attribute or map element: null inside null, unknown inside unknown.
    pub fn get(&self, name: &str) -> &Self {
        match self.plain() {
            Self::Map(entries) => entries.get(name).unwrap_or(&NULL),
            Self::Unknown => &UNKNOWN,
            _ => &NULL,
        }
    }

    /// An item of a list: null outside of it, unknown inside unknown.
    fn item(&self, index: Option<usize>) -> &Self {
        match (self.plain(), index) {
            (Self::List(items), Some(index)) => items.get(index).unwrap_or(&NULL),
            (Self::Unknown, _) => &UNKNOWN,
            _ => &NULL,
        }
    }

    /// The value one step inside; null for an element of a set, which has no place.
    pub fn step(&self, step: &Step) -> &Self {
        match step {
            Step::Attribute(name) | Step::Key(name) => self.get(name),
            Step::Index(index) => self.item(usize::try_from(*index).ok()),
            Step::Element => &NULL,
        }
    }

    /// The value at a dotted path; list elements by their index.
    pub fn at(&self, dotted: &str) -> &Self {
        dotted
            .split('.')
            .fold(self, |value, step| match value.plain() {
                Self::List(_) => value.item(step.parse().ok()),
                _ => value.get(step),
            })
    }

    /// Puts a value at a dotted path; does nothing where the way there is null or unknown.
    pub fn put(&mut self, dotted: &str, value: Self) {
        let (first, rest) = match dotted.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (dotted, None),
        };
        let Self::Map(entries) = self else { return };
        match rest {
            None => {
                entries.insert(first.to_owned(), value);
            }
            Some(rest) => {
                if let Some(inner) = entries.get_mut(first) {
                    inner.put(rest, value);
                }
            }
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self.plain() {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self.plain() {
            Self::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.plain() {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// A primitive in plain words, for messages.
    pub fn display(&self) -> String {
        match self.plain() {
            Self::Null => "nothing".to_owned(),
            Self::Unknown => "(known after apply)".to_owned(),
            Self::Bool(truth) => truth.to_string(),
            Self::Number(number) => number.to_string(),
            Self::String(text) => text.clone(),
            Self::List(_) | Self::Map(_) | Self::Dynamic(_) => "(a collection)".to_owned(),
        }
    }

    /// The entries of a map or object, if it is one.
    pub fn as_map(&self) -> Option<&BTreeMap<String, Self>> {
        match self.plain() {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items of a list or set, if it is one.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self.plain() {
            Self::List(items) => Some(items),
            _ => None,
        }
    }
}

/// A text in the form in which core sends all texts and compares them: Unicode's NFC.
pub fn composed(text: &str) -> String {
    let normalizer = ComposingNormalizerBorrowed::new_nfc();
    normalizer.normalize(text).into_owned()
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(composed(text))
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}
impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_through_null_and_unknown() {
        let value = Value::Map([("cpu".to_owned(), Value::Unknown)].into());
        assert!(value.at("cpu.cores").is_unknown());
        assert!(value.at("memory.size").is_null());
        let index = |index| Step::Index(index);
        assert!(value.get("cpu").step(&index(0)).is_unknown());
        let list = Value::List(vec!["a".into()]);
        assert_eq!(list.step(&index(0)), &"a".into());
        assert!(list.step(&index(1)).is_null() && list.step(&index(-1)).is_null());
        assert!(list.step(&Step::Element).is_null());
    }

    #[test]
    fn equal_texts_are_equal_values() {
        // One letter, or a letter and its accent.
        assert_eq!(Value::from("caf\u{e9}"), Value::from("cafe\u{301}"));
        assert_eq!(Value::from("cafe\u{301}").as_str(), Some("caf\u{e9}"));
    }

    #[test]
    fn a_value_of_any_type_is_read_like_one_of_its_type() {
        let dynamic = |ty, value| Value::Dynamic(Box::new(Dynamic { ty, value }));
        assert!(dynamic(Type::String, Value::Null).is_null());
        assert!(dynamic(Type::String, Value::Unknown).is_unknown());
        assert!(dynamic(Type::Bool, Value::Unknown).has_unknown());
        assert_eq!(dynamic(Type::Number, 7.into()).as_i64(), Some(7));
    }
}
