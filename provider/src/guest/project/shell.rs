//! Words of POSIX sh, and what scripts print.
//!
//! Knows nothing of Docker.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::de::DeserializeOwned;

use super::{Error, Result};
use crate::guest::{self, Guest};

/// First lines of every script: a fixed locale, the administrator's path, and new files that only root may read.
pub(super) const START: &str =
    "LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
umask 077
";

/// One word of sh, whatever it holds.
pub(super) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn decode(what: &'static str, text: &str) -> Result<Vec<u8>> {
    STANDARD
        .decode(text.trim())
        .map_err(|_| unexpected(what, text))
}

/// Runs a script that must succeed, and returns what it printed.
pub(super) async fn run(guest: &impl Guest, what: &'static str, script: &str) -> Result<String> {
    let output = guest.run(script).await?;
    if output.code != 0 {
        let stderr = last_lines(&output.stderr, 10);
        return Err(guest::Error::Failed {
            what: what.to_owned(),
            code: output.code,
            stderr,
        }
        .into());
    }
    if output.truncated {
        return Err(unexpected(what, "output was cut"));
    }
    Ok(output.stdout)
}

/// Reads one JSON value a line; blank lines are skipped.
pub(super) fn json_lines<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<Vec<T>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).map_err(|_| unexpected(what, line)))
        .collect()
}

pub(super) fn unexpected(what: &'static str, text: &str) -> Error {
    Error::Unexpected {
        what,
        text: text.chars().take(200).collect(),
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
