//! PVE's property strings, such as `virtio=BC:24:11:AA:BB:CC,bridge=vmbr0`, and its notation of sizes.
//!
//! Does not know which keys a property has, nor checks their values.

use std::{fmt, str::FromStr};

/// Keys and values in their order. A bare first value stands under the default key.
///
/// PVE prints the default key first, then sorted; so equality here does not depend on order.
#[derive(Clone, Debug, Default)]
pub struct PropertyString {
    default_key: Option<&'static str>,
    entries: Vec<(String, String)>,
}

/// Text that is no property string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` has neither a key nor is it the first value")]
pub struct Malformed(String);

impl PropertyString {
    /// An empty property without default key.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty property whose `key` is printed without its name.
    pub fn with_default(key: &'static str) -> Self {
        Self {
            default_key: Some(key),
            entries: Vec::new(),
        }
    }

    /// Reads a property; a value without key is stored under `default_key`.
    ///
    /// # Errors
    /// [`Malformed`] names the part that has no key, if there is no default or it is taken.
    pub fn parse(text: &str, default_key: Option<&'static str>) -> Result<Self, Malformed> {
        let mut this = Self {
            default_key,
            entries: Vec::new(),
        };
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (key, value) = match (part.split_once('='), default_key) {
                (Some(pair), _) => pair,
                (None, Some(key)) if this.get(key).is_none() => (key, part),
                (None, _) => return Err(Malformed(part.to_owned())),
            };
            this.set(key, value);
        }
        Ok(this)
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries
            .iter()
            .find_map(|(name, value)| (name == key).then_some(value.as_str()))
    }

    /// The value of `key` as a flag, in all of PVE's spellings; `None` also for other text.
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key)?.to_ascii_lowercase().as_str() {
            "1" | "on" | "yes" | "true" => Some(true),
            "0" | "off" | "no" | "false" => Some(false),
            _ => None,
        }
    }

    /// The value of `key` as a number.
    pub fn number<T: FromStr>(&self, key: &str) -> Option<T> {
        self.get(key)?.parse().ok()
    }

    /// The first entry: of a network device its model and MAC address.
    pub fn first(&self) -> Option<(&str, &str)> {
        self.iter().next()
    }

    /// Replaces the value of `key` in its place, or appends it.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        let value = value.into();
        match self.entries.iter_mut().find(|(name, _)| name == key) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((key.to_owned(), value)),
        }
    }

    /// Appends `key` if there is a value.
    pub fn with(mut self, key: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.set(key, value.to_string());
        }
        self
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        let index = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.remove(index).1)
    }

    /// Keys and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl PartialEq for PropertyString {
    fn eq(&self, other: &Self) -> bool {
        self.entries.len() == other.entries.len()
            && self
                .iter()
                .all(|(key, value)| other.get(key) == Some(value))
    }
}

/// The default key's value first and without its name unless it could be taken for something else,
/// the rest in order.
impl fmt::Display for PropertyString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain =
            |value: &&str| !value.is_empty() && !value.contains('=') && value.trim() == *value;
        let bare = self.default_key.and_then(|key| self.get(key)).filter(plain);
        f.write_str(bare.unwrap_or_default())?;
        let named = self
            .iter()
            .filter(|(key, _)| bare.is_none() || Some(*key) != self.default_key);
        named.enumerate().try_for_each(|(index, (key, value))| {
            let comma = if index == 0 && bare.is_none() {
                ""
            } else {
                ","
            };
            write!(f, "{comma}{key}={value}")
        })
    }
}

const UNITS: [(char, u64); 4] = [
    ('T', 1 << 40),
    ('G', 1 << 30),
    ('M', 1 << 20),
    ('K', 1 << 10),
];

/// Bytes of a size in PVE's notation (`32G`, `3584M`, `1.5T`, `8GiB`, bare bytes).
pub fn parse_size(text: &str) -> Option<u64> {
    let units = UNITS.iter().find_map(|(letter, scale)| {
        let digits = text
            .strip_suffix("iB")
            .unwrap_or(text)
            .strip_suffix(*letter)?;
        Some((digits, *scale))
    });
    let (digits, scale) = units.unwrap_or((text, 1));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) {
        return None;
    }
    // More digits than bytes can tell apart, and few enough for the arithmetic.
    let fraction = &fraction[..fraction.len().min(15)];
    let part = fraction.parse::<u128>().ok()? * u128::from(scale)
        / 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let whole = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    whole.checked_add(u64::try_from(part).ok()?)
}

/// The size as PVE prints it: in the largest unit that divides it.
pub fn format_size(bytes: u64) -> String {
    match UNITS
        .iter()
        .find(|(_, scale)| bytes > 0 && bytes.is_multiple_of(*scale))
    {
        Some((letter, scale)) => format!("{}{letter}", bytes / scale),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, default_key: Option<&'static str>, printed: &str) {
        let parsed = PropertyString::parse(text, default_key).unwrap();
        assert_eq!(parsed.to_string(), printed);
        assert_eq!(PropertyString::parse(printed, default_key).unwrap(), parsed);
    }

    #[test]
    fn prints_what_it_parsed() {
        check(
            "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0",
            None,
            "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0",
        );
        check(
            "local:vm-1-disk-0,size=32G,ssd=1",
            Some("file"),
            "local:vm-1-disk-0,size=32G,ssd=1",
        );
        check(
            "discard=on,file=local:x",
            Some("file"),
            "local:x,discard=on",
        );
        check("order=scsi0;net0", Some("legacy"), "order=scsi0;net0");
        check(" ", None, "");
        // Bare, these would be another key, or nothing.
        check("path=a=b,size=1G", Some("path"), "path=a=b,size=1G");
        check("size=1G,path=", Some("path"), "size=1G,path=");
        check("path= a,size=1G", Some("path"), "path= a,size=1G");
    }

    #[test]
    fn order_does_not_matter_for_equality() {
        let parse = |text| PropertyString::parse(text, Some("enabled")).unwrap();
        assert_eq!(parse("1,type=virtio"), parse("type=virtio,enabled=1"));
        assert_ne!(parse("1"), parse("0"));
    }

    #[test]
    fn values_without_key_are_refused() {
        assert!(PropertyString::parse("a=1,b", None).is_err());
        assert!(PropertyString::parse("a,b", Some("key")).is_err());
    }

    #[test]
    fn flags_have_many_spellings() {
        let parsed = PropertyString::parse("on,backup=No,x=maybe", Some("enabled")).unwrap();
        assert_eq!(parsed.flag("enabled"), Some(true));
        assert_eq!(parsed.flag("backup"), Some(false));
        assert_eq!(parsed.flag("x"), None);
    }

    #[test]
    fn sizes_are_read_in_bytes() {
        for (text, bytes) in [
            ("32G", Some(34_359_738_368)),
            ("3584M", Some(3_758_096_384)),
            ("1.5T", Some(1_649_267_441_664)),
            ("8GiB", Some(8_589_934_592)),
            ("4194304", Some(4_194_304)),
            ("", None),
            ("G", None),
            ("1.G", None),
            ("-1G", None),
            ("1GG", None),
            ("5iB", None),
            ("99999999999T", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_size_survives_the_round_trip(bytes: u64) {
            assert_eq!(parse_size(&format_size(bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            parse_size(&text);
            if let Ok(parsed) = PropertyString::parse(&text, Some("default")) {
                assert_eq!(PropertyString::parse(&parsed.to_string(), Some("default")), Ok(parsed));
            }
        }
    }

    #[test]
    fn sizes_are_printed_as_pve_does() {
        for text in ["32G", "3584M", "2252M", "4M", "1T", "1K", "1023", "0"] {
            assert_eq!(format_size(parse_size(text).unwrap()), text);
        }
    }
}
