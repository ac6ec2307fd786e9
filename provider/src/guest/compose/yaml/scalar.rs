//! What a YAML scalar looks like: text, a number, a bool or nothing.
//!
//! Follows the YAML library that Compose uses, so `yes` is text and `0755` a number.

/// A scalar's text as written, and whether its look decides its type.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Scalar {
    pub(in super::super) text: String,
    /// Neither quoted, tagged, a block, nor made by interpolation.
    pub(in super::super) plain: bool,
}

/// What YAML takes a scalar for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Look {
    Null,
    Bool,
    Int,
    Float,
    Text,
}

impl Scalar {
    pub(in super::super) fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            plain: false,
        }
    }

    pub(in super::super) fn look(&self) -> Look {
        if !self.plain {
            return Look::Text;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => return Look::Null,
            "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => return Look::Bool,
            _ => {}
        }
        let digits = self.text.trim_start_matches(['+', '-']);
        if self.text.len() - digits.len() > 1 {
            return Look::Text;
        }
        let all = |text: &str, ok: fn(char) -> bool| {
            text.contains(ok) && text.chars().all(|c| ok(c) || c == '_')
        };
        let radix = [
            ("0x", (|c| c.is_ascii_hexdigit()) as fn(char) -> bool),
            ("0o", |c| matches!(c, '0'..='7')),
            ("0b", |c| matches!(c, '0' | '1')),
        ];
        let based = radix
            .iter()
            .any(|&(prefix, ok)| digits.strip_prefix(prefix).is_some_and(|d| all(d, ok)));
        if based
            || (digits.starts_with(|c: char| c.is_ascii_digit())
                && all(digits, |c| c.is_ascii_digit()))
        {
            return Look::Int;
        }
        let float = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && digits.contains(|c: char| c.is_ascii_digit())
            && digits.parse::<f64>().is_ok();
        match digits.to_ascii_lowercase().as_str() {
            ".inf" | ".nan" => Look::Float,
            _ if float => Look::Float,
            _ => Look::Text,
        }
    }
}
