//! What the scripts of this module have in common.
//!
//! Knows nothing of Docker.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::guest::{Error, Guest, Result};

/// First lines of every script: a fixed locale, the administrator's path, and new files that only root may read.
pub(super) const START: &str =
    "LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
umask 077
";

pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn decode(what: &str, text: &str) -> Result<Vec<u8>> {
    STANDARD
        .decode(text.trim())
        .map_err(|_| unexpected(what, text))
}

pub(super) fn decode_text(what: &str, text: &str) -> Result<String> {
    String::from_utf8(decode(what, text)?).map_err(|_| unexpected(what, "text that is no UTF-8"))
}

/// Runs a script that must succeed, and returns what it printed.
pub(super) async fn run(guest: &impl Guest, what: &str, script: &str) -> Result<String> {
    guest.run(script).await?.ok(what)
}

/// Reads one JSON object a line, whose member `is` says what it is; blank lines are skipped.
///
/// No tagged enum: with numbers of any size serde cannot look at the tag first.
pub(super) fn objects(what: &str, text: &str) -> Result<Vec<(String, Value)>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let object = |line| {
        let value: Value = serde_json::from_str(line).ok()?;
        Some((value.get("is")?.as_str()?.to_owned(), value))
    };
    lines
        .map(|line| object(line).ok_or_else(|| unexpected(what, line)))
        .collect()
}

/// Reads one object of [`objects`].
pub(super) fn object<T: DeserializeOwned>(what: &str, value: &Value) -> Result<T> {
    T::deserialize(value).map_err(|_| unexpected(what, &value.to_string()))
}

pub(super) fn unexpected(what: &str, text: &str) -> Error {
    Error::Unexpected {
        what: what.to_owned(),
        answer: text.chars().take(200).collect(),
    }
}

pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
