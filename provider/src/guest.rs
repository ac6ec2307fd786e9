//! A machine that commands can be run on, and what is run there to make it a Docker host.
//!
//! Does not know resources or Terraform: pure functions make texts and read answers, [`Guest`] carries them.

use std::future::Future;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_STANDARD};

pub mod agent;
pub mod boot;
pub mod cloud_init;
pub mod compose;
pub mod console;
pub mod containerd;
pub mod daemon;
pub mod detached;
pub mod disk;
pub mod docker;
pub mod facts;
pub mod iso;
pub mod keys;
pub mod look;
pub mod mounts;
mod packages;
pub mod password;
pub mod project;
pub mod reached;
pub mod seed;
#[cfg(test)]
mod sh;
pub mod ssh;
pub mod template;

/// A machine one can run commands on.
pub trait Guest: Send + Sync {
    /// Runs a POSIX shell script as root.
    ///
    /// The text goes to the standard input of `/bin/sh`, never into arguments, so it may hold secrets and be of any
    /// size. A nonzero exit status is an [`Output`], not an error.
    fn run(&self, script: &str) -> impl Future<Output = Result<Output>> + Send;

    /// Runs a script again and again until it exits with another status than [`NOT_YET`].
    ///
    /// The script waits a few seconds by itself before it says so. A transport that can lose the guest for a moment,
    /// as the guest agent does while it is upgraded, takes that for one more "not yet".
    fn poll(&self, what: &str, script: &str) -> impl Future<Output = Result<Output>> + Send {
        async move {
            tracing::debug!(what, "waiting");
            loop {
                let output = self.run(script).await?;
                if output.code != NOT_YET {
                    return Ok(output);
                }
            }
        }
    }
}

/// Every script begins with this: a transport gives its children next to no environment.
const ENVIRONMENT: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root\n\
                           export PATH LC_ALL HOME\numask 022\ncd /\n";

/// Exit status of a script that wants to be asked again, `EX_TEMPFAIL` of sysexits.h.
pub const NOT_YET: i64 = 75;

/// What a script left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit status; 128 + signal when one ended it.
    pub code: i64,
    /// Standard output; bytes that are no UTF-8 are replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// Whether the transport cut one of them.
    pub truncated: bool,
}

impl Output {
    /// Standard output of a script that exited 0.
    ///
    /// # Errors
    /// [`Error::Failed`] with the last lines of what the script said, named by `what` (a noun phrase, such as
    /// `setting up the data disk`); [`Error::Truncated`].
    pub fn ok(self, what: &str) -> Result<String> {
        if self.code != 0 {
            let said = if self.stderr.trim().is_empty() {
                &self.stdout
            } else {
                &self.stderr
            };
            return Err(Error::Failed {
                what: what.to_owned(),
                code: self.code,
                stderr: last_lines(said),
            });
        }
        if self.truncated {
            return Err(Error::Truncated {
                what: what.to_owned(),
            });
        }
        Ok(self.stdout)
    }
}

/// Why a guest is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The guest could not be asked.
    #[error(transparent)]
    Api(#[from] crate::pve::Error),
    /// A script ran and failed.
    #[error("{what} failed with exit status {code}{}", after_colon(.stderr))]
    Failed {
        /// What the script was for.
        what: String,
        /// Exit status.
        code: i64,
        /// Its last lines.
        stderr: String,
    },
    /// The answer is longer than the transport delivers.
    #[error("the answer to {what} was cut off")]
    Truncated {
        /// What the script was for.
        what: String,
    },
    /// An answer that our own scripts do not give.
    #[error("unexpected answer to {what}: {answer}")]
    Unexpected {
        /// What the script was for.
        what: String,
        /// What cannot be read, and why.
        answer: String,
    },
    /// Nobody gets in by SSH.
    #[error("cannot log in by SSH: {0}")]
    Ssh(String),
    /// The machine is one that Docker must not run on.
    #[error("{0}")]
    Guard(String),
    /// What is asked for would lose data or contradicts what the guest has.
    #[error("{0}")]
    Refused(String),
}

/// Answer of a guest.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// `text` as one word of a POSIX shell.
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Shell commands that make `path` hold `content`, by way of a temporary file beside it, so that no reader ever sees
/// half of it; they exit 1 when they cannot. `mode` is octal, such as `0600`; the parent directory must exist.
pub fn write_file(path: &str, mode: &str, content: &[u8]) -> String {
    let (path, lines) = (quote(path), base64_lines(content));
    format!(
        "{{ (umask 077; base64 -d > {path}.pmoves-new <<'END'\n{lines}END\n) &&\n\
         chmod {mode} {path}.pmoves-new && mv -f {path}.pmoves-new {path}; }} || exit 1\n"
    )
}

fn base64_lines(content: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(content);
    let mut lines = String::with_capacity(text.len() + text.len() / 76 + 1);
    for (n, letter) in text.chars().enumerate() {
        if n > 0 && n % 76 == 0 {
            lines.push('\n');
        }
        lines.push(letter);
    }
    lines + "\n"
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn sha256(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

fn after_colon(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(": {text}")
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn sh(script: &str) -> String {
        let output = Command::new("sh").args(["-ec", script]).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn quoted_text_comes_out_of_the_shell_unchanged() {
        for text in ["", "a", "it's", "a b\n$HOME `x` \\ \"q\" !*?", "-n", "grün"] {
            assert_eq!(sh(&format!("printf %s {}", quote(text))), text);
        }
        assert_eq!(quote("/opt/docker"), "/opt/docker");
    }

    #[test]
    fn files_are_written_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it's a file");
        let content: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for content in [&content[..], b""] {
            sh(&write_file(path.to_str().unwrap(), "0640", content));
            assert_eq!(std::fs::read(&path).unwrap(), content);
        }
        assert_eq!(
            sh(&format!("stat -c %a {}", quote(path.to_str().unwrap()))),
            "640\n"
        );
        let missing = write_file("/nonexistent/x", "0640", b"x");
        assert_eq!(
            sh(&format!("({missing} echo on) 2>&1 || echo stopped"))
                .lines()
                .last(),
            Some("stopped")
        );
    }

    #[test]
    fn a_failure_ends_with_the_last_lines() {
        let output = Output {
            code: 3,
            stdout: "x".into(),
            stderr: " \n".into(),
            truncated: false,
        };
        assert_eq!(
            output.clone().ok("trying").unwrap_err().to_string(),
            "trying failed with exit status 3: x"
        );
        assert!(matches!(
            Output {
                code: 0,
                truncated: true,
                ..output
            }
            .ok("x"),
            Err(Error::Truncated { .. })
        ));
        let long: String = (0..50).map(|n| n.to_string() + "\n").collect();
        assert!(last_lines(&long).starts_with("30\n"));
    }
}
