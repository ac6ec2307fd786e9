//! What can go wrong with a call, told apart by what the caller can do about it.
//!
//! `Display` states the error's own fact; causes are in `source`. No advice: that is for who knows the practitioner.

use std::{
    collections::BTreeMap, error::Error as StdError, fmt, ops::RangeInclusive, str::FromStr,
    sync::Arc, time::Duration,
};

/// Result of everything that talks to PVE.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A cause that can be shared by all who waited for the same call.
pub type Cause = Arc<dyn StdError + Send + Sync>;

/// Why a call did not do what it should.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The request was never received, so nothing happened; it was retried a few times.
    #[error("cannot reach {host}")]
    Unreachable {
        /// Host and port, or the node that the connected node could not reach.
        host: String,
        /// Why not.
        source: Cause,
    },
    /// The server has another certificate than the pinned one.
    #[error(
        "the certificate of {host} has the SHA-256 fingerprint {seen}, expected was {expected}"
    )]
    Certificate {
        /// Host and port.
        host: String,
        /// The pinned fingerprint.
        expected: Fingerprint,
        /// What the server showed.
        seen: Fingerprint,
    },
    /// No trusted authority has signed the server's certificate, or it is for another name or time.
    #[error("the certificate of {host} is not trusted{}", seen.map_or_else(String::new, |seen| format!("; its SHA-256 fingerprint is {seen}")))]
    Untrusted {
        /// Host and port.
        host: String,
        /// What the server showed, if it could be learned.
        seen: Option<Fingerprint>,
        /// Which check failed.
        source: Cause,
    },
    /// PVE does not accept the credential.
    #[error("Proxmox VE does not accept the credential: {reason}")]
    Unauthenticated {
        /// PVE's words.
        reason: String,
    },
    /// The credential is good, and not enough.
    #[error("Proxmox VE refuses permission: {message}")]
    Forbidden {
        /// What is missing, when PVE names it.
        permission: Option<Permission>,
        /// PVE's words.
        message: String,
    },
    /// PVE understood and refused.
    #[error("{}", rejected(*status, message, params))]
    Rejected {
        /// HTTP status.
        status: u16,
        /// PVE's words.
        message: String,
        /// Complaints by parameter name.
        params: BTreeMap<String, String>,
    },
    /// The guest, interface or volume does not exist.
    #[error("{0}")]
    Gone(String),
    /// Every VMID of the range that free ones are taken from is in use.
    #[error("no VMID from {} to {} is free", .0.start(), .0.end())]
    NoFreeVmid(RangeInclusive<u32>),
    /// The guest agent is configured and does not answer.
    #[error("the QEMU guest agent does not answer")]
    AgentSilent,
    /// The VM has no guest agent configured.
    #[error("the VM has no QEMU guest agent configured")]
    AgentNotConfigured,
    /// The console of a container is not the root shell that it should be.
    #[error("the console of container {vmid} {why}")]
    Console {
        /// The container.
        vmid: u32,
        /// What is wrong with it.
        why: String,
    },
    /// A task ended, and not well.
    #[error("{what} failed: {exit}")]
    Task {
        /// The task in words.
        what: String,
        /// The task's identifier.
        upid: String,
        /// PVE's words.
        exit: String,
        /// Last lines of its log.
        log: Vec<String>,
    },
    /// Somebody else's changes of a node's network wait to be applied, and a reload would apply them too.
    #[error("changes of the network of {node} wait that are not ours:\n{diff}")]
    ForeignChanges {
        /// The node.
        node: String,
        /// What waits, as a unified diff.
        diff: String,
    },
    /// A node could not apply its changed network.
    #[error("{node} could not apply its network; {}", match restored {
        None => "the former configuration was put back".to_owned(),
        Some(why) => format!("the former configuration could not be put back ({why})"),
    })]
    Reload {
        /// The node.
        node: String,
        /// Why the former configuration could not be put back, if it could not.
        restored: Option<Cause>,
        /// Why not.
        source: Arc<Error>,
    },
    /// The deadline passed.
    #[error("timed out after {after:.0?} waiting for {waiting_for}{}", last.as_ref().map_or_else(String::new, |last| format!(" (last seen: {last})")))]
    TimedOut {
        /// What was awaited.
        waiting_for: String,
        /// For how long.
        after: Duration,
        /// Last state seen.
        last: Option<String>,
    },
    /// The operation was cancelled; nothing new was started.
    #[error("cancelled")]
    Cancelled,
    /// A write was sent and no answer came back: it may have happened.
    #[error("no answer to {call}: it may or may not have taken effect")]
    OutcomeUnknown {
        /// Method and path.
        call: String,
        /// Why there is no answer.
        source: Cause,
    },
    /// The connection broke while reading; nothing was changed.
    #[error("no answer to {call}")]
    Broken {
        /// Method and path.
        call: String,
        /// What broke.
        source: Cause,
    },
    /// An answer that this client does not understand: a bug, or a new PVE.
    #[error("unexpected answer from Proxmox VE to {call}")]
    Unexpected {
        /// Method and path, or the text that was not understood.
        call: String,
        /// What was not understood.
        source: Cause,
    },
}

impl Error {
    /// Whether the thing does not exist, be it said at once or by a task.
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Gone(_) => true,
            Self::Task { exit, .. } => guest_is_gone(exit),
            _ => false,
        }
    }

    /// Whether the same call may be sent again at once: nothing was sent, or nothing changes. Not after a timeout,
    /// which has been patient already.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } | Self::Broken { source, .. } => {
                let error = source.downcast_ref::<reqwest::Error>();
                !error.is_some_and(|error| error.is_timeout() || error.is_builder())
            }
            _ => false,
        }
    }

    /// Whether others who wait for the same answer would be told the same.
    pub(super) fn concerns_all(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Certificate { .. }
                | Self::Untrusted { .. }
                | Self::Unauthenticated { .. }
        )
    }

    /// Whether PVE gave up on a lock before doing anything, so that the call may be repeated.
    ///
    /// Locks are taken first by the code they guard (`PVE/AbstractConfig.pm` `lock_config_full`, `check_lock`;
    /// `PVE/Cluster.pm` `cfs_lock_file`). A text with something before it comes from halfway through, and is not repeated.
    pub(super) fn is_locked(&self) -> bool {
        match self {
            Self::Rejected {
                status: 500,
                message,
                ..
            } => {
                // Calls that edit a file of the cluster do nothing outside its lock.
                let inner = message.split_once(" failed: cfs-lock 'file-");
                lock_is_held(message) || inner.is_some_and(|(_, rest)| rest.ends_with(LOCK_TIMEOUT))
            }
            Self::Task { exit, .. } => lock_is_held(exit),
            _ => false,
        }
    }

    pub(super) fn unexpected(
        call: impl Into<String>,
        why: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Unexpected {
            call: call.into(),
            source: Arc::from(why.into()),
        }
    }
}

/// `PVE/AbstractConfig.pm` `load_config`, and for calls that first look at the run state `PVE/QemuConfig.pm`
/// `assert_config_exists_on_node`. Both say the same of a guest that lives on another node.
pub(super) fn guest_is_gone(message: &str) -> bool {
    (message.starts_with("Configuration file 'nodes/")
        && message.ends_with(".conf' does not exist"))
        || message.starts_with("unable to find configuration file for VM ")
}

const LOCK_TIMEOUT: &str = "' error: got lock request timeout";

fn lock_is_held(message: &str) -> bool {
    const PASSING: [&str; 9] = [
        "backup",
        "clone",
        "create",
        "disk",
        "fstrim",
        "migrate",
        "rollback",
        "snapshot",
        "snapshot-delete",
    ];
    let config = ["VM is locked (", "CT is locked ("]
        .iter()
        .find_map(|start| message.strip_prefix(start));
    (message.starts_with("can't lock file '") && message.ends_with("' - got timeout"))
        || config
            .and_then(|rest| rest.strip_suffix(')'))
            .is_some_and(|lock| PASSING.contains(&lock))
        || (message.starts_with("cfs-lock '") && message.ends_with(LOCK_TIMEOUT))
}

fn rejected(status: u16, message: &str, params: &BTreeMap<String, String>) -> String {
    let complaints: Vec<_> = params
        .iter()
        .map(|(name, why)| format!("{name}: {why}"))
        .collect();
    if complaints.is_empty() {
        format!("Proxmox VE refuses with status {status}: {message}")
    } else {
        format!(
            "Proxmox VE refuses the parameters: {}",
            complaints.join("; ")
        )
    }
}

/// A permission that PVE misses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// ACL path, such as `/vms/100`.
    pub path: String,
    /// One of these is enough.
    pub privileges: Vec<String>,
}

impl Permission {
    /// From `Permission check failed (/vms/100, VM.Audit)` or `(/path, A|B)`; other texts name none.
    pub(super) fn parse(message: &str) -> Option<Self> {
        let (_, rest) = message.split_once("Permission check failed (")?;
        let (path, rest) = rest.strip_suffix(')')?.split_once(", ")?;
        let privileges = rest.split(' ').next()?;
        let named = privileges.contains('.') && path.starts_with('/');
        named.then(|| Self {
            path: path.to_owned(),
            privileges: privileges.split('|').map(str::to_owned).collect(),
        })
    }
}

/// SHA-256 of a certificate, printed as PVE's own pages do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(index, byte)| {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")
        })
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// 32 hexadecimal pairs of any case, with or without colons between them.
impl FromStr for Fingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits: Vec<u8> = text.trim().bytes().filter(|byte| *byte != b':').collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = digits.chunks(2).map(pair).collect();
        bytes
            .filter(|_| digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| {
                Error::unexpected(
                    text,
                    "a SHA-256 fingerprint has 32 pairs of hexadecimal digits",
                )
            })
    }
}
