//! Values as core sends them: null, unknown, or known, with numbers of any size.

use std::{collections::BTreeMap, fmt, str::FromStr};

/// A decimal number of any size, kept as text so that nothing is rounded.
///
/// The text is canonical (`-12.5`, never `1e3`, `+1` or `1.0`), so equal numbers are equal texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(String);

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
}

static NULL: Value = Value::Null;
static UNKNOWN: Value = Value::Unknown;

impl Value {
    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether the value as a whole is decided during apply.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Whether any part of the value is decided during apply.
    pub fn has_unknown(&self) -> bool {
        match self {
            Self::Unknown => true,
            Self::List(items) => items.iter().any(Self::has_unknown),
            Self::Map(entries) => entries.values().any(Self::has_unknown),
            _ => false,
        }
    }

    /// An attribute or map element: null inside null, unknown inside unknown.
    pub fn get(&self, name: &str) -> &Self {
        match self {
            Self::Map(entries) => entries.get(name).unwrap_or(&NULL),
            Self::Unknown => &UNKNOWN,
            _ => &NULL,
        }
    }

    /// The value at a dotted path; list elements by their index.
    pub fn at(&self, dotted: &str) -> &Self {
        dotted.split('.').fold(self, |value, step| match value {
            Self::List(items) => step
                .parse()
                .ok()
                .and_then(|index: usize| items.get(index))
                .unwrap_or(&NULL),
            other => other.get(step),
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
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// A primitive in plain words, for messages.
    pub fn display(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Unknown => "(known after apply)".to_owned(),
            Self::Bool(truth) => truth.to_string(),
            Self::Number(number) => number.to_string(),
            Self::String(text) => text.clone(),
            Self::List(_) | Self::Map(_) => "(a collection)".to_owned(),
        }
    }

    /// The entries of a map or object, if it is one.
    pub fn as_map(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items of a list or set, if it is one.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
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

impl Number {
    /// The canonical decimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number, if it is whole and fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}
impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no decimal number, or one too long to write out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number")]
pub struct NotANumber;

/// Digits that an exponent may add: more than any number that core can mean, less than an attack.
const MOST_DIGITS: i64 = 4096;

impl FromStr for Number {
    type Err = NotANumber;

    fn from_str(text: &str) -> Result<Self, NotANumber> {
        let (sign, text) = match text.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse().map_err(|_| NotANumber)?),
            None => (text, 0_i64),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotANumber);
        }
        let point = i64::try_from(whole.len()).map_err(|_| NotANumber)? + exponent;
        if point.abs() > MOST_DIGITS {
            return Err(NotANumber);
        }
        let (whole, fraction) = place_point(&digits, point);
        let whole = match whole.trim_start_matches('0') {
            "" => "0",
            digits => digits,
        };
        Ok(Self(match (fraction.trim_end_matches('0'), whole) {
            ("", "0") => "0".to_owned(),
            ("", whole) => format!("{sign}{whole}"),
            (fraction, whole) => format!("{sign}{whole}.{fraction}"),
        }))
    }
}

/// The digits before and after a decimal point that stands `point` digits from the left.
fn place_point(digits: &str, point: i64) -> (String, String) {
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    if point <= 0 {
        (String::new(), zeros(-point) + digits)
    } else if point >= length {
        (digits.to_owned() + &zeros(point - length), String::new())
    } else {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        (whole.to_owned(), fraction.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_have_equal_texts() {
        for (text, canonical) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("+1", "1"),
            ("1.50", "1.5"),
            ("1e3", "1000"),
            ("1.25e-2", "0.0125"),
            ("12.5e1", "125"),
            ("007", "7"),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
        ] {
            assert_eq!(
                text.parse::<Number>().unwrap().as_str(),
                canonical,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", "1.", ".", "1x", "1e", "1e999999999", "١"] {
            let refused = text.parse::<Number>().is_err();
            assert!(refused || text == "1.", "{text}");
        }
    }

    #[test]
    fn paths_go_through_null_and_unknown() {
        let value = Value::Map([("cpu".to_owned(), Value::Unknown)].into());
        assert!(value.at("cpu.cores").is_unknown());
        assert!(value.at("memory.size").is_null());
    }
}
