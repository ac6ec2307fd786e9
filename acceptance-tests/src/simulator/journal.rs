//! The record of every call: what was asked, by whom, and how it ended.
//!
//! Secrets never enter it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::faults::Effect;

/// One call.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// When it came.
    pub at: SystemTime,
    /// How long the answer took.
    pub took: Duration,
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: String,
    /// The decoded path below `/api2/json`, such as `/nodes/pve1/qemu/100/config`.
    pub path: String,
    /// Parameters of query and body; secrets are `***`.
    pub params: BTreeMap<String, String>,
    /// The status; 0 if the connection was dropped.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// User or token id, if the credentials were good.
    pub user: Option<String>,
    /// The faults that hit it.
    pub faults: Vec<Effect>,
}

impl Entry {
    /// Whether the call is `method` on a path that `pattern` covers; see [`covers`].
    pub fn is(&self, method: &str, pattern: &str) -> bool {
        self.method == method && covers(pattern, &self.path)
    }

    /// Whether the call only asks for how far something is: a task, or what a guest does.
    pub fn is_poll(&self) -> bool {
        self.is("GET", "/nodes/*/tasks/*/status") || covers("/nodes/*/qemu/*/agent/**", &self.path)
    }
}

/// Whether `pattern` covers `path`: `*` stands for one segment, a final `**` for any rest.
pub fn covers(pattern: &str, path: &str) -> bool {
    let mut wanted = pattern.split('/').filter(|part| !part.is_empty());
    let mut got = path.split('/').filter(|part| !part.is_empty());
    loop {
        match (wanted.next(), got.next()) {
            (Some("**"), _) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(want), Some(got)) if want == got => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[track_caller]
    fn check(pattern: &str, path: &str, expected: bool) {
        assert_eq!(covers(pattern, path), expected, "{pattern} {path}");
    }

    #[test]
    fn stars_stand_for_segments() {
        check(
            "/nodes/*/qemu/*/config",
            "/nodes/pve1/qemu/100/config",
            true,
        );
        check("/nodes/*/qemu", "/nodes/pve1/qemu/100", false);
        check("/nodes/**", "/nodes/pve1/qemu/100", true);
        check("/version", "/version", true);
        check("/version", "/", false);
    }
}
