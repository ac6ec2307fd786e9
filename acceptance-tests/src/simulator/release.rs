//! The releases of Proxmox VE that can be simulated, and how to tell their differences.
//!
//! What differs stands where it matters: `since=` and `until=` in the rules of parameters, `@since` and
//! `@until` for whole calls, and comparisons of releases in the work of calls.

use std::str::FromStr;

/// A release; later ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// The last one before 9.
    V8_4,
    /// The first with privileges of its own for the guest agent.
    V9_0,
    /// As it was first published.
    V9_1,
    /// The one that the recordings are of.
    #[default]
    V9_2,
}

impl Release {
    /// All of them, the oldest first.
    pub const ALL: [Self; 4] = [Self::V8_4, Self::V9_0, Self::V9_1, Self::V9_2];

    /// As practitioners call it, such as `9.2`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V8_4 => "8.4",
            Self::V9_0 => "9.0",
            Self::V9_1 => "9.1",
            Self::V9_2 => "9.2",
        }
    }

    /// The packages, first the one whose version is that of the whole.
    pub(crate) fn packages(self) -> [(&'static str, &'static str); 8] {
        let versions = match self {
            Self::V8_4 => [
                "8.4.14", "8.4.4", "5.3.1", "8.3.7", "8.3.4", "8.2.2", "5.2.2", "9.2.0",
            ],
            Self::V9_0 => [
                "9.0.11", "9.0.23", "6.0.13", "9.0.13", "9.0.11", "9.0.3", "6.0.4", "10.0.2",
            ],
            Self::V9_1 => [
                "9.1.1", "9.1.0", "6.0.18", "9.1.0", "9.1.0", "9.0.4", "6.0.5", "10.1.2",
            ],
            Self::V9_2 => [
                "9.2.11", "9.2.6", "6.1.10", "9.1.7", "9.2.1", "9.1.1", "6.0.5", "10.0.13",
            ],
        };
        let names = [
            "pve-manager",
            "qemu-server",
            "pve-container",
            "libpve-storage-perl",
            "libpve-common-perl",
            "libpve-access-control",
            "libpve-http-server-perl",
            "pve-qemu-kvm",
        ];
        std::array::from_fn(|i| (names[i], versions[i]))
    }

    /// The version of the whole, such as `9.2.11`.
    pub(crate) fn version(self) -> &'static str {
        self.packages()[0].1
    }
}

impl FromStr for Release {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|release| release.name() == name);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("release {name} is not simulated, only {known}")
        })
    }
}
