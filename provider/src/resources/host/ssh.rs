//! The `ssh` attribute of guests and of what is on them.

use serde::{Deserialize, Serialize};

use crate::{framework::Model, guest::ssh::Target};

/// How SSH gets to the guest, where that differs from what the provider's `ssh` says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Ssh {
    /// Name or address. Left open, the address of `net0` that Proxmox VE knows.
    pub host: Option<String>,
    /// Port of sshd.
    #[attr(range(1, 65535))]
    pub port: Option<i64>,
    /// Account; any but root needs sudo without a password.
    pub username: Option<String>,
}

impl Ssh {
    /// As a transport takes it.
    pub(in crate::resources) fn target(ssh: Option<&Self>) -> Target {
        let ssh = ssh.cloned().unwrap_or_default();
        Target {
            host: ssh.host,
            port: ssh.port.and_then(|port| u16::try_from(port).ok()),
            username: ssh.username,
        }
    }
}
