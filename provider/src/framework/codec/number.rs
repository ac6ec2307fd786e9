//! Numbers on the wire: whole ones as integers, exact binary fractions as floats, all others as text.
//!
//! Core holds decimals of 512 bits. A `0.1` that went through a float would be another number to it.

use rmp::encode;

use super::super::Number;

/// The number that a float is, to its last digit.
pub fn exact(float: f64) -> Option<Number> {
    if float.is_infinite() {
        return Some(Number::infinite(float < 0.0));
    }
    // 1074 digits are all that a binary64 fraction can have.
    let digits = if float.fract() == 0.0 { 0 } else { 1074 };
    format!("{float:.digits$}").parse().ok()
}

/// Appends a number in the first form that holds it exactly.
pub fn encode(number: &Number, out: &mut Vec<u8>) {
    let text = number.as_str();
    let written = if let Some(whole) = number.as_i64() {
        encode::write_sint(out, whole).map(|_| ())
    } else if let Ok(whole) = text.parse() {
        encode::write_u64(out, whole)
    } else if let Some(float) = float(number) {
        encode::write_f64(out, float)
    } else {
        encode::write_str(out, text)
    };
    written.expect("memory takes all bytes");
}

fn float(number: &Number) -> Option<f64> {
    let float = number.as_str().parse().ok()?;
    (exact(float)? == *number).then_some(float)
}
