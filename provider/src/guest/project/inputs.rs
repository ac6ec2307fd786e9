//! A label per service that changes when the contents it uses change, so that Compose makes its container anew.
//!
//! Does not find out which contents a service uses; whoever reads the Compose text does.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::hmac;

use super::Stack;

/// Name of the label.
pub const LABEL: &str = "pmoves.inputs";

/// Key of the labels of one project. It stays in the project directory: `docker inspect` shows the labels, and a
/// plain checksum of a password could be guessed.
#[derive(Clone)]
pub struct Key(pub [u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Contents that one service uses and that Compose itself does not compare.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    /// Shipped files, or directories of them, relative to the project directory; `.` is all.
    pub files: BTreeSet<String>,
    /// Names of shipped secrets.
    pub secrets: BTreeSet<String>,
    /// Contents that are not files by any name: `content:` of a config, the value behind an `environment:` source.
    pub texts: BTreeMap<String, Vec<u8>>,
}

/// The label of each service that uses any content; a service without has none, so that a project made by someone
/// else is not made anew for nothing.
pub fn labels(key: &Key, stack: &Stack, uses: &BTreeMap<String, Uses>) -> BTreeMap<String, String> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key.0);
    uses.iter()
        .filter_map(|(service, uses)| Some((service.clone(), label(&key, stack, uses)?)))
        .collect()
}

fn label(key: &hmac::Key, stack: &Stack, uses: &Uses) -> Option<String> {
    let mut hash = hmac::Context::with_key(key);
    let mut any = false;
    let mut add = |kind: &str, name: &str, content: &[u8]| {
        any = true;
        for part in [kind.as_bytes(), name.as_bytes(), content] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    };
    for (path, content) in &stack.files {
        if uses.files.iter().any(|used| holds(used, path)) {
            add("file", path, content);
        }
    }
    for (name, secret) in stack
        .secrets
        .iter()
        .filter(|(name, _)| uses.secrets.contains(*name))
    {
        // The owner and the mode are those that the container sees.
        add(
            "secret",
            &format!("{name} {}:{} {:o}", secret.uid, secret.gid, secret.mode),
            secret.content.expose(),
        );
    }
    for (name, content) in &uses.texts {
        add("text", name, content);
    }
    any.then(|| hex(&hash.sign().as_ref()[..16]))
}

/// Whether `path` is `used` itself or lies in it.
fn holds(used: &str, path: &str) -> bool {
    let used = used.trim_start_matches("./").trim_end_matches('/');
    used.is_empty()
        || used == "."
        || path
            .strip_prefix(used)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests;
