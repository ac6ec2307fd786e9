//! What a client needs to know before its first call.
//!
//! Reads no environment and checks nothing: the provider block did.

use std::{ops::RangeInclusive, time::Duration};

use super::Secret;

/// Where the API is, who asks, and how gently.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `https://host:8006`, with or without a trailing slash or `/api2/json`.
    pub endpoint: String,
    /// Who asks.
    pub credential: Credential,
    /// Which certificate is believed.
    pub trust: Trust,
    /// Longest time one HTTP exchange may take. PVE itself gives up on a call after 30 s.
    pub request_timeout: Duration,
    /// Concurrent calls per node.
    pub limits: Limits,
    /// Where free VMIDs are taken from, if not where Proxmox VE says.
    pub vmids: Option<RangeInclusive<u32>>,
}

/// An API token, or a user who gets a ticket.
#[derive(Clone, Debug)]
pub enum Credential {
    /// `user@realm!id=secret`.
    Token(Secret<String>),
    /// A user with realm, such as `root@pam`.
    Password {
        /// `user@realm`.
        username: String,
        /// The user's password.
        password: Secret<String>,
        /// Six digits of a TOTP app, or another factor as `kind:value`. PVE takes it once.
        otp: Option<Secret<String>>,
    },
}

/// Which server certificate is believed.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The operating system's certificate authorities.
    System,
    /// Any certificate.
    Insecure,
    /// Only these authorities, PEM.
    Ca(String),
    /// Only the certificate with this SHA-256 digest; names and dates do not matter.
    Fingerprint([u8; 32]),
}

/// Concurrent calls per node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Clones and imports, from the request until their task ends.
    pub clone: usize,
    /// Requests that change something.
    pub write: usize,
    /// Requests that go through the guest agent.
    pub agent: usize,
    /// Requests that only read.
    pub read: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clone: 2,
            write: 2,
            agent: 2,
            read: 4,
        }
    }
}
