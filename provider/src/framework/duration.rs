//! Durations as Go writes them, which is what practitioners know from `timeouts`: `30m`, `1h30m`.

use std::time::Duration;

use super::Value;

/// Parses `90s`, `1.5h`, `2m30s`, `100ms` or `0`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let refuse = || format!("{text:?} is no duration; write it like \"30m\", \"90s\" or \"1h30m\"");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut total) = (text, 0.0_f64);
    while !rest.is_empty() {
        let digits = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
                .len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len()
            - tail
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let (unit, tail) = tail.split_at(letters);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(refuse()),
        };
        total += number.parse::<f64>().map_err(|_| refuse())? * seconds;
        rest = tail;
    }
    if text.is_empty() {
        return Err(refuse());
    }
    Duration::try_from_secs_f64(total).map_err(|_| refuse())
}

/// The check of an attribute that holds a duration.
pub fn check(value: &Value) -> Result<(), String> {
    value.as_str().map_or(Ok(()), |text| parse(text).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (text, seconds) in [
            ("30m", 1800.0),
            ("1h30m", 5400.0),
            ("1.5s", 1.5),
            ("100ms", 0.1),
            ("0", 0.0),
        ] {
            assert_eq!(
                parse(text).unwrap(),
                Duration::from_secs_f64(seconds),
                "{text}"
            );
        }
        for text in ["", "10", "1 m", "m", "1d", "-1s", "1s2", "ten minutes"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
