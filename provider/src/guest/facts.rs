//! What a guest is and what Docker on it looks like, in one round.
//!
//! Changes nothing, and starts no daemon that is stopped.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::Deserialize;

use super::{Error, Guest, Result};

mod answer;

pub(super) const SCRIPT: &str = include_str!("facts/facts.sh");
pub(super) const WHAT: &str = "looking at the guest";

/// One look at a guest. What a tool that is not there would have said is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// `ID` of os-release, such as `debian`.
    pub os_id: Option<String>,
    /// `VERSION_ID` of os-release.
    pub os_version: Option<String>,
    /// `VERSION_CODENAME` of os-release.
    pub os_codename: Option<String>,
    /// Kernel release.
    pub kernel: String,
    /// Machine, such as `x86_64`.
    pub arch: String,
    /// Host name.
    pub hostname: String,
    /// Changes with every boot.
    pub boot_id: String,
    /// What it runs on, by systemd: `kvm`, `qemu`, `lxc`, `none`, …
    pub virtualization: Option<String>,
    /// Proxmox products on it; see [`guard`].
    pub proxmox: Vec<String>,
    /// Installed packages that matter here, with their versions.
    pub packages: BTreeMap<String, String>,
    /// Of those, the ones held by apt-mark.
    pub held: Vec<String>,
    /// The running daemon.
    pub docker: Option<Docker>,
    /// Version of the Compose plugin.
    pub compose: Option<String>,
    /// Text of `/etc/docker/daemon.json`.
    pub daemon_json: Option<String>,
    /// Text of `/etc/containerd/config.toml`.
    pub containerd_toml: Option<String>,
    /// What we noted about our own settings, `/etc/pmoves/docker.json`.
    pub manifest: Option<String>,
    /// SHA-256 of units and drop-ins that may be ours, by path.
    pub files: BTreeMap<String, String>,
    /// systemd's `ActiveState` of docker.service, docker.socket and containerd.service, where they exist.
    pub units: BTreeMap<String, String>,
    /// NICs by MAC address in lower case. Docker's own interfaces are left out.
    pub nics: BTreeMap<String, Nic>,
    /// Local filesystems by mount point.
    pub mounts: BTreeMap<String, Mount>,
    /// Members of the group `docker`.
    pub docker_group: Vec<String>,
}

/// What the daemon says about itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Docker {
    /// Engine version.
    pub server: String,
    /// Storage driver.
    pub driver: String,
    /// Data root.
    pub root: String,
    /// Default logging driver.
    pub logging: String,
    /// Whether containers outlive the daemon.
    pub live_restore: bool,
    /// `inactive`, `active`, …
    pub swarm: String,
    /// Containers, stopped ones included.
    pub containers: u64,
    /// Volumes.
    pub volumes: u64,
    /// What it warns about.
    pub warnings: Option<Vec<String>>,
}

/// A network interface of the guest.
#[derive(Clone, Debug, PartialEq)]
pub struct Nic {
    /// Interface name, such as `eth0`.
    pub name: String,
    /// Largest frame, in bytes.
    pub mtu: u32,
    /// Addresses of global scope, also those of a bridge or VLAN on top of it.
    pub addresses: Vec<IpNet>,
}

/// A mounted filesystem.
#[derive(Clone, Debug, PartialEq)]
pub struct Mount {
    /// Device.
    pub source: String,
    /// Filesystem type.
    pub filesystem: String,
    /// Size in bytes.
    pub size: u64,
    /// Bytes in use.
    pub used: u64,
}

/// Looks at a guest.
pub async fn read(guest: &impl Guest) -> Result<Facts> {
    parse(&guest.run(SCRIPT).await?.ok(WHAT)?)
}

fn parse(answer: &str) -> Result<Facts> {
    first(answer).map(|(facts, _)| facts)
}

/// The facts that a text begins with, and the rest of it.
pub(super) fn first(text: &str) -> Result<(Facts, &str)> {
    let unexpected = |error| Error::Unexpected {
        what: WHAT.to_owned(),
        answer: format!("{error}: {text}"),
    };
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<answer::Answer>();
    let none = || serde::de::Error::custom("nothing");
    let answer = stream
        .next()
        .ok_or_else(none)
        .flatten()
        .map_err(unexpected)?;
    let rest = &text[stream.byte_offset()..];
    Ok((answer.facts().map_err(unexpected)?, rest))
}

/// Refuses a machine that Docker must not run on.
///
/// # Errors
/// [`Error::Guard`] says what was found and what to use instead.
pub fn guard(facts: &Facts) -> Result<()> {
    if facts.proxmox.is_empty() {
        return Ok(());
    }
    Err(Error::Guard(format!(
        "{} is a Proxmox host ({}): Docker never runs there; use a VM or an LXC container",
        facts.hostname,
        facts.proxmox.join(", ")
    )))
}

#[cfg(test)]
mod tests;
