//! What a VM's first boot is told: a `NoCloud` seed.
//!
//! Does not put it on a storage or into a VM; the texts are in [`super::cloud_init`], the image format in [`super::iso`].

use std::net::IpAddr;

use ipnet::IpNet;

use super::{cloud_init, iso};
use crate::pve::Secret;

/// Everything a seed says.
#[derive(Clone, Debug, Default)]
pub struct Seed {
    /// cloud-init runs its first-boot steps once for each value.
    pub instance_id: String,
    /// Host name, without a domain.
    pub hostname: String,
    /// The practitioner's account.
    pub user: User,
    /// Whether the guest agent is installed and started.
    pub agent: bool,
    /// Whether all packages are brought up to date at first boot.
    pub upgrade: bool,
    /// Name servers, beside those that DHCP gives.
    pub dns_servers: Vec<IpAddr>,
    /// Search domain, and the domain of the host name.
    pub dns_domain: Option<String>,
    /// NICs, `net0` first.
    pub nics: Vec<SeedNic>,
    /// Files that are there before the first package is installed, by path.
    pub files: Vec<(String, String)>,
    /// Shell scripts that run as root at the end of the first boot, before the practitioner's `user_data`.
    pub scripts: Vec<String>,
    /// The practitioner's own part: begins with `#cloud-config` or `#!`.
    pub user_data: Option<String>,
}

/// The account that the practitioner logs in with; it may use sudo without a password.
#[derive(Clone, Debug, Default)]
pub struct User {
    /// Login name.
    pub username: String,
    /// Public SSH keys, one a line of `authorized_keys`.
    pub keys: Vec<String>,
    /// A crypt(5) hash; none locks the password.
    pub password_hash: Option<Secret<String>>,
}

/// One NIC, found in the guest by its MAC address.
#[derive(Clone, Debug)]
pub struct SeedNic {
    /// `bc:24:11:…`.
    pub mac: String,
    /// How it gets its IPv4 address.
    pub ipv4: Address,
    /// How it gets its IPv6 address.
    pub ipv6: Address,
    /// Largest frame, in bytes.
    pub mtu: Option<u16>,
}

/// How a NIC gets an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Address {
    /// Not at all.
    #[default]
    None,
    /// From a DHCP server.
    Dhcp,
    /// From router advertisements; IPv6 only.
    Auto,
    /// As given.
    Static {
        /// Address with its prefix length.
        address: IpNet,
        /// Next hop of the default route.
        gateway: Option<IpAddr>,
    },
}

/// The seed as an ISO image with the label `cidata`. The same seed gives the same bytes.
pub fn seed(seed: &Seed) -> Vec<u8> {
    iso::image("cidata", &cloud_init::files(seed))
}

/// An image without files, which takes the place of a seed that may not be deleted.
pub fn empty() -> Vec<u8> {
    iso::image("pmoves", &[])
}
