//! The data disk inside a guest: found by serial, formatted once, mounted before Docker, grown with its volume.
//!
//! Never formats a disk that holds anything, never unmounts.

use super::{Guest, Result};

/// A data disk as it should be.
#[derive(Clone, Debug)]
pub struct DataDisk {
    /// Serial of the virtual disk, also the label of its filesystem: at most 12 characters of `[A-Za-z0-9_-]`.
    pub serial: String,
    /// Absolute path of its mount point.
    pub mount_path: String,
    /// What a blank disk is formatted with; a disk of ours keeps what it has.
    pub filesystem: Filesystem,
}

/// Filesystem of a data disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filesystem {
    /// ext4
    Ext4,
    /// XFS
    Xfs,
}

/// A data disk as it is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Disk {
    /// Device node.
    pub device: String,
    /// UUID of the filesystem.
    pub uuid: String,
    /// `ext4` or `xfs`.
    pub filesystem: String,
    /// Size of the device in bytes.
    pub size: u64,
    /// Whether this run formatted it.
    pub formatted: bool,
}

/// Brings the disk into the state that `disk` describes. Safe to repeat.
pub async fn prepare(guest: &impl Guest, disk: &DataDisk) -> Result<Disk> {
    let _ = (guest, disk);
    Err(super::Error::Refused(String::new()))
}
