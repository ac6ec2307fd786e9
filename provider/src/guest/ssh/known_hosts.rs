//! Which host keys are known.
//!
//! Reads what OpenSSH reads: names, patterns, hashed names and revoked keys. Knows no certificate authorities.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::hmac;
use russh::keys::{
    Algorithm, PublicKey,
    ssh_key::known_hosts::{Entry, HostPatterns, KnownHosts as Lines, Marker},
};

/// The host keys that are known, and whether new ones become so.
#[derive(Debug, Default)]
pub struct KnownHosts {
    /// Lines that were given.
    pub text: Option<String>,
    /// Else the file with them; new keys are added to it.
    pub file: Option<PathBuf>,
    /// Whether the key of a host that has none yet is taken as it comes.
    pub accept_new: bool,
    seen: Mutex<String>,
}

/// What is known of a host key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinned {
    /// It is the one.
    Same,
    /// Nothing is.
    Unknown,
    /// In this line, counted from 1, there is another one of its kind.
    Other(usize),
    /// It must not be used.
    Revoked,
}

impl KnownHosts {
    /// Lines, or else a file with them.
    pub fn new(text: Option<String>, file: Option<PathBuf>, accept_new: bool) -> Self {
        Self {
            file: file.filter(|_| text.is_none()),
            text,
            accept_new,
            seen: Mutex::default(),
        }
    }

    /// All lines; a file that is not there has none.
    fn lines(&self) -> io::Result<String> {
        let known = match (&self.text, &self.file) {
            (Some(text), _) => text.clone(),
            (None, Some(file)) => match std::fs::read_to_string(file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
                other => other?,
            },
            (None, None) => String::new(),
        };
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(format!("{}\n{seen}", known.trim_end()))
    }

    /// What is known of the key of `host`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn pinned(&self, host: &str, port: u16, key: &PublicKey) -> io::Result<Pinned> {
        Ok(pinned(&self.lines()?, host, port, key))
    }

    /// The kinds of keys that are known of `host`: a server that has several is asked for one of these.
    pub(super) fn kinds(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let lines = self.lines().unwrap_or_default();
        let entries = entries(&lines, &name(host, port));
        let known = entries
            .into_iter()
            .filter(|(_, entry)| entry.marker().is_none());
        known
            .map(|(_, entry)| entry.public_key().algorithm())
            .collect()
    }

    /// Takes a new key in: for this run, and into the file if there is one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn learn(&self, line: &str) -> io::Result<()> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push_str(line);
        seen.push('\n');
        let Some(path) = &self.file else {
            return Ok(());
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path)?;
        file.write_all(format!("{line}\n").as_bytes())
    }
}

/// The line that makes a key known.
pub(super) fn line(host: &str, port: u16, key: &PublicKey) -> String {
    let key = key.to_openssh().unwrap_or_default();
    let key: Vec<&str> = key.split(' ').take(2).collect();
    format!("{} {}", name(host, port), key.join(" "))
}

/// A host as its lines name it.
fn name(host: &str, port: u16) -> String {
    match port {
        22 => host.to_ascii_lowercase(),
        port => format!("[{}]:{port}", host.to_ascii_lowercase()),
    }
}

fn pinned(lines: &str, host: &str, port: u16, key: &PublicKey) -> Pinned {
    let same = |entry: &Entry| entry.public_key().key_data() == key.key_data();
    let mut found = Pinned::Unknown;
    for (at, entry) in entries(lines, &name(host, port)) {
        let mine = same(&entry);
        let kin = entry.public_key().algorithm() == key.algorithm();
        match (entry.marker(), found) {
            (Some(Marker::Revoked), _) if mine => return Pinned::Revoked,
            (None, _) if mine => found = Pinned::Same,
            (None, Pinned::Unknown) if kin => found = Pinned::Other(at),
            _ => {}
        }
    }
    found
}

/// The entries about a host, with their lines. What cannot be read is not one.
fn entries(lines: &str, name: &str) -> Vec<(usize, Entry)> {
    let parsed = lines.lines().enumerate().filter_map(|(at, line)| {
        let entry = Lines::new(line).next()?.ok()?;
        Some((at + 1, entry))
    });
    parsed
        .filter(|(_, entry)| about(entry.host_patterns(), name))
        .collect()
}

fn about(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::Patterns(patterns) => {
            let is = |pattern: &str| matches(&pattern.to_ascii_lowercase(), name);
            let mut no = patterns
                .iter()
                .filter_map(|pattern| pattern.strip_prefix('!'));
            !no.any(is) && patterns.iter().any(|pattern| is(pattern))
        }
        HostPatterns::HashedName { salt, hash } => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            hmac::verify(&key, name.as_bytes(), hash).is_ok()
        }
    }
}

/// Whether a pattern with `*` and `?` covers all of a text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = text.chars();
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let after = &pattern[1..];
            matches(after, text) || (rest.next().is_some() && matches(pattern, rest.as_str()))
        }
        Some(letter) => {
            let fits = rest
                .next()
                .is_some_and(|next| letter == '?' || letter == next);
            fits && matches(&pattern[letter.len_utf8()..], rest.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    const OTHER: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2bZ8hUgmtGUmRxbVRmZXhhbXBsZWtleWZvcmRvY3Mx";
    const KIND: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";

    #[track_caller]
    fn check(lines: &str, host: &str, port: u16, expected: Pinned) {
        let key = PublicKey::from_openssh(KEY).unwrap();
        assert_eq!(pinned(lines, host, port, &key), expected, "{lines}");
    }

    #[test]
    fn keys_are_known_by_name_pattern_and_hash() {
        use Pinned::{Other, Revoked, Same, Unknown};
        check("", "a", 22, Unknown);
        check(&format!("# none\n\na {KEY} me@here"), "a", 22, Same);
        check(&format!("A {KEY}"), "a", 22, Same);
        check(&format!("a {KEY}"), "a", 2222, Unknown);
        check(&format!("[a]:2222 {KEY}"), "a", 2222, Same);
        check(&format!("b,192.0.2.* {KEY}"), "192.0.2.10", 22, Same);
        check(&format!("*,!a {KEY}"), "a", 22, Unknown);
        check(&format!("a {OTHER}"), "a", 22, Other(1));
        check(&format!("a {KIND}"), "a", 22, Unknown);
        check(&format!("a {OTHER}\na {KEY}"), "a", 22, Same);
        check(&format!("a {KEY}\n@revoked * {KEY}"), "a", 22, Revoked);
        check(&format!("@cert-authority * {KEY}"), "a", 22, Unknown);
        // `ssh-keygen -H` made these of example.com.
        let hashed = "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=";
        check(&format!("{hashed} {KEY}"), "192.168.1.61", 22, Same);
        check(&format!("{hashed} {KEY}"), "192.168.1.62", 22, Unknown);
    }

    #[test]
    fn a_new_key_is_known_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".ssh/known_hosts");
        let key = PublicKey::from_openssh(KEY).unwrap();
        let hosts = KnownHosts::new(None, Some(path.clone()), true);
        assert_eq!(hosts.pinned("a", 22, &key).unwrap(), Pinned::Unknown);
        hosts.learn(&line("a", 22, &key)).unwrap();
        assert_eq!(hosts.pinned("a", 22, &key).unwrap(), Pinned::Same);
        assert_eq!(std::fs::read_to_string(path).unwrap(), format!("a {KEY}\n"));
        let pinned = KnownHosts::new(Some(format!("a {OTHER}")), None, true);
        pinned.learn(&line("b", 2222, &key)).unwrap();
        assert_eq!(pinned.pinned("b", 2222, &key).unwrap(), Pinned::Same);
        assert_eq!(pinned.pinned("a", 22, &key).unwrap(), Pinned::Other(1));
    }
}
