//! A machine that commands can be run on.
//!
//! Does not know how the machine is reached; each transport implements [`Guest`].

use std::future::Future;

pub mod project;

/// Runs scripts on one guest.
pub trait Guest: Send + Sync {
    /// Runs `script` as the standard input of `/bin/sh`, as root. It may be of any size and may hold secrets.
    fn run(&self, script: &str) -> impl Future<Output = Result<Output>> + Send;
}

/// What a script left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit status.
    pub code: i64,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Whether a stream was cut by the transport.
    pub truncated: bool,
}

/// Why a guest did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The script ran and failed.
    #[error("{what} failed with exit status {code}: {stderr}")]
    Failed {
        /// What the script was for.
        what: String,
        /// Exit status.
        code: i64,
        /// End of standard error.
        stderr: String,
    },
}

/// Answer of a guest.
pub type Result<T, E = Error> = std::result::Result<T, E>;
