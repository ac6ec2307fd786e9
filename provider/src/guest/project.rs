//! A Compose project on a guest: written, started, watched, read back and removed.
//!
//! Does not read Compose text (`guest::compose` does) and does not decide what should change: it does what a
//! [`Stack`] says and tells what is there. Every script is made by a pure function and sent to `/bin/sh` on its
//! standard input, so nothing of it shows in a process list.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use crate::guest;
use crate::secret::Secret;

pub mod containers;
pub mod down;
pub mod health;
pub mod inputs;
pub mod manifest;
pub mod read_back;
pub mod round;
pub mod services;
mod shell;
pub mod ship;
pub mod up;

#[cfg(test)]
mod fake;

/// Directory of ours inside a project directory, mode 0700: override, manifest, key, secrets, log
/// of the last up.
pub(crate) const PRIVATE: &str = ".pmoves";

/// One Compose project as it shall be on a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stack {
    /// Name of the project.
    pub project: String,
    /// Absolute path of the project directory.
    pub directory: String,
    /// Compose files in the order of `-f`: path relative to the directory, text.
    pub compose_files: Vec<(String, String)>,
    /// Files shipped beside them: path relative to the directory, content.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Text of `.env`. Without it no `.env` is read, even if one is there.
    pub env: Option<String>,
    /// Text of a second env file that only root may read; its keys win over those of `.env`.
    pub env_secret: Option<Secret<Vec<u8>>>,
    /// Secret files by the name under `secrets:` in the Compose text.
    pub secrets: BTreeMap<String, SecretFile>,
    /// Value of the label [`inputs::LABEL`] by service; see [`inputs::labels`].
    pub input_labels: BTreeMap<String, String>,
    /// Active profiles.
    pub profiles: Vec<String>,
    /// When images are pulled.
    pub pull: Pull,
    /// Whether containers of services that the text does not name are removed.
    pub remove_orphans: bool,
    /// When containers are made anew.
    pub recreate: Recreate,
}

/// A Compose secret: a file whose owner and mode are those of the host, since Compose ignores what its text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    /// Content.
    pub content: Secret<Vec<u8>>,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

impl SecretFile {
    /// A secret that only root may read.
    pub fn new(content: impl Into<Vec<u8>>) -> Self {
        Self {
            content: Secret::new(content.into()),
            uid: 0,
            gid: 0,
            mode: 0o400,
        }
    }
}

/// When images are pulled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pull {
    /// Those that are not there; a service's own `pull_policy` counts.
    #[default]
    Missing,
    /// All.
    Always,
    /// None.
    Never,
}

/// When containers are made anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Recreate {
    /// When their configuration or image differs.
    #[default]
    Auto,
    /// Each time.
    Always,
    /// Not if they exist.
    Never,
}

/// How time passes between two looks at a guest.
pub trait Pause: Send + Sync {
    /// Waits; an error ends the whole wait, for example because the practitioner cancelled it.
    fn pause(&self, time: Duration) -> impl Future<Output = guest::Result<()>> + Send;
}

/// Why a project is not as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The guest could not run the script, or it failed.
    #[error(transparent)]
    Guest(#[from] guest::Error),
    /// `docker compose up` failed.
    #[error(
        "docker compose up failed with exit status {code}{}:\n{log}{}",
        of(service.as_deref()),
        said(output)
    )]
    Up {
        /// Exit status.
        code: i64,
        /// Service that its output blames, if any.
        service: Option<String>,
        /// Last lines of its output.
        log: String,
        /// Last lines of what the containers of that service wrote.
        output: String,
    },
    /// `docker compose up` ended without an exit status: the guest was restarted, or someone stopped the unit.
    #[error("docker compose up was interrupted on the guest:\n{log}")]
    Interrupted {
        /// Last lines of its output.
        log: String,
    },
    /// A service does not come up.
    #[error("service {service:?} {why}{}", tail(log))]
    Unhealthy {
        /// Name of the service.
        service: String,
        /// What is wrong with it.
        why: String,
        /// Last lines of its log.
        log: String,
    },
    /// The deadline passed.
    #[error("still waiting for {waiting_for} after {} s{}", after.as_secs(), tail(log))]
    TimedOut {
        /// What was awaited, as last seen.
        waiting_for: String,
        /// The time that was allowed.
        after: Duration,
        /// Last lines of output, if there are any.
        log: String,
    },
}

/// Answer of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn of(service: Option<&str>) -> String {
    service
        .map(|name| format!(" (service {name:?})"))
        .unwrap_or_default()
}

fn said(output: &str) -> String {
    if output.is_empty() {
        String::new()
    } else {
        format!("\nlast output of its containers:\n{output}")
    }
}

fn tail(log: &str) -> String {
    if log.is_empty() {
        String::new()
    } else {
        format!("; its last output:\n{log}")
    }
}
