//! Decimal numbers of any size.

use std::{fmt, str::FromStr};

/// A decimal number of any size, or an infinity, kept as text so that nothing is rounded.
///
/// The text is canonical (`-12.5`, never `1e3`, `+1` or `1.0`), so equal numbers are equal texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(String);

impl Number {
    /// The canonical decimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number, if it is whole and fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// More than any number, or less.
    pub fn infinite(negative: bool) -> Self {
        let sign = if negative { "-" } else { "" };
        Self(format!("{sign}{INFINITY}"))
    }

    /// Whether it is more than any number, or less.
    pub fn is_infinite(&self) -> bool {
        self.0.ends_with(INFINITY)
    }
}

const INFINITY: &str = "Infinity";

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
        if text == INFINITY {
            return Ok(Self::infinite(sign == "-"));
        }
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse().map_err(|_| NotANumber)?),
            None => (text, 0_i64),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotANumber);
        }
        let point = i64::try_from(whole.len())
            .ok()
            .and_then(|length| exponent.checked_add(length))
            .filter(|point| (-MOST_DIGITS..=MOST_DIGITS).contains(point))
            .ok_or(NotANumber)?;
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
            ("+Infinity", "Infinity"),
            ("-Infinity", "-Infinity"),
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
        for text in [
            "",
            "-",
            "1.",
            ".",
            "1x",
            "1e",
            "1e999999999",
            "1e9223372036854775807",
            "Inf",
            "١",
        ] {
            let refused = text.parse::<Number>().is_err();
            assert!(refused || text == "1.", "{text}");
        }
    }
}
