//! Private keys to log in with.

use base64::{Engine as _, prelude::BASE64_STANDARD};

const OPENSSH: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";

/// Whether a text can be a private key that needs no passphrase. What is in it, OpenSSH reads.
///
/// # Errors
/// A sentence without the key.
pub fn check(text: &str) -> Result<(), String> {
    let first = text.trim_start().lines().next().unwrap_or_default().trim();
    let is_key = first.starts_with("-----BEGIN ") && first.ends_with("PRIVATE KEY-----");
    if !is_key {
        return Err(format!(
            "Is no private key; the file of one begins with `{OPENSSH}`."
        ));
    }
    match is_encrypted(first, text) {
        true => Err("The key has a passphrase: give it to an SSH agent and set agent = true, or take one without.".to_owned()),
        false => Ok(()),
    }
}

fn is_encrypted(first: &str, text: &str) -> bool {
    if first != OPENSSH {
        return first.contains("ENCRYPTED") || text.contains("Proc-Type: 4,ENCRYPTED");
    }
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("-----"));
    let body = BASE64_STANDARD
        .decode(lines.collect::<String>())
        .unwrap_or_default();
    // OpenSSH PROTOCOL.key: a magic word, then the name of the cipher with its length in four bytes.
    !body.is_empty() && !body.starts_with(b"openssh-key-v1\0\0\0\0\x04none")
}

/// As the file must be: `ssh` takes no key whose last line has no end.
pub(super) fn file(text: &str) -> String {
    format!("{}\n", text.replace('\r', "").trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openssh(body: &[u8]) -> String {
        let body = BASE64_STANDARD.encode(body);
        format!("{OPENSSH}\n{body}\n-----END OPENSSH PRIVATE KEY-----\n")
    }

    #[test]
    fn keys_are_told_from_other_texts_and_from_locked_ones() {
        let open = openssh(b"openssh-key-v1\0\0\0\0\x04none\0\0\0\x04none");
        let locked = openssh(b"openssh-key-v1\0\0\0\0\x0aaes256-ctr\0\0\0\x06bcrypt");
        assert_eq!(check(&open), Ok(()));
        assert_eq!(check(&open.replace('\n', "\r\n")), Ok(()));
        assert_eq!(check("-----BEGIN RSA PRIVATE KEY-----\nMII"), Ok(()));
        for text in [
            locked.as_str(),
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII",
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMII",
        ] {
            assert!(check(text).unwrap_err().contains("passphrase"), "{text}");
        }
        for text in [
            "",
            "x",
            "ssh-ed25519 AAAA me@here",
            "-----BEGIN CERTIFICATE-----",
        ] {
            assert!(check(text).unwrap_err().contains("BEGIN OPENSSH"), "{text}");
        }
    }

    #[test]
    fn a_file_ends_as_ssh_wants_it() {
        assert_eq!(file("a\r\nb"), "a\nb\n");
        assert_eq!(file("\na\nb\n\n"), "a\nb\n");
    }
}
