//! A data disk inside a guest: found by serial, formatted once, mounted before Docker, grown with its volume.
//!
//! Never formats a disk that holds anything, never unmounts, and mounts only what it made itself or what already is at
//! its mount point.

use serde::Deserialize;

use super::{Error, Guest, Result, detached, mounts, packages, quote};

const SCRIPT: &str = include_str!("disk/disk.sh");
const GROW_ROOT: &str = include_str!("disk/grow_root.sh");
const WHAT: &str = "setting up the data disk";
const TOOLS_MISSING: i64 = 69;

/// A data disk as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDisk {
    /// Serial of the virtual disk, also the label of its filesystem: at most 12 characters of `[A-Za-z0-9_-]`.
    pub serial: String,
    /// Mount point: an absolute path of `[A-Za-z0-9/._-]`.
    pub mount_path: String,
    /// What a blank disk is formatted with; a disk of ours keeps what it has.
    pub filesystem: Filesystem,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a disk is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Docker's data: its mount is never taken back.
    Docker,
    /// Something else: [`mounts::release`] knows its mount.
    Other,
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
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
    let script = script(disk)?;
    let answer = with_tools(guest, &script, WHAT).await?;
    serde_json::from_str(&answer).map_err(|error| Error::Unexpected {
        what: WHAT.to_owned(),
        answer: format!("{error}: {answer}"),
    })
}

/// Runs a script that ends with status 69 and the name of a package where that is missing.
pub(super) async fn with_tools(guest: &impl Guest, script: &str, what: &str) -> Result<String> {
    let mut output = guest.run(script).await?;
    if output.code == TOOLS_MISSING {
        let package = output.stdout.trim().to_owned();
        let install = packages::install(&[&package]);
        let log = detached::run(guest, &format!("pmoves-{package}"), &install).await?;
        log.ok(&format!("installing {package}"))?;
        output = guest.run(script).await?;
    }
    output.ok(what)
}

/// Grows the partition and the filesystem of `/` to the size of its disk. Safe to repeat; a root that
/// is on no partition or disk of its own is left alone.
pub async fn grow_root(guest: &impl Guest) -> Result<()> {
    let what = "growing the root filesystem";
    guest.run(GROW_ROOT).await?.ok(what).map(drop)
}

fn script(disk: &DataDisk) -> Result<String> {
    let word = |text: &str, more: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    // The serial is the label too, and XFS has room for 12 bytes.
    if disk.serial.len() > 12 || !word(&disk.serial, "_-") {
        return Err(Error::Refused(format!(
            "{:?} cannot be the serial of a data disk",
            disk.serial
        )));
    }
    let path = disk.mount_path.trim_end_matches('/');
    if !path.starts_with('/') || !word(path, "/._-") || path.split('/').any(|part| part == "..") {
        return Err(Error::Refused(format!(
            "{:?} cannot be the mount point of a data disk",
            disk.mount_path
        )));
    }
    let kind = match disk.filesystem {
        Filesystem::Ext4 => "ext4",
        Filesystem::Xfs => "xfs",
    };
    let mark = match disk.purpose {
        Purpose::Docker => "",
        Purpose::Other => mounts::MARK,
    };
    Ok(format!(
        "serial={} mount={} kind={kind} mark={mark}\n{SCRIPT}",
        quote(&disk.serial),
        quote(path)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(serial: &str, mount_path: &str) -> DataDisk {
        DataDisk {
            serial: serial.into(),
            mount_path: mount_path.into(),
            filesystem: Filesystem::Ext4,
            purpose: Purpose::Docker,
        }
    }

    #[test]
    fn odd_names_are_refused() {
        for (serial, path) in [
            ("pmoves-data-2", "/opt/docker"),
            ("", "/opt/docker"),
            ("a b", "/opt/docker"),
            ("data", "opt"),
            ("data", "/"),
            ("data", "/opt/../etc"),
            ("data", "/opt/my docker"),
            ("data", "/opt/%n"),
        ] {
            assert!(
                matches!(script(&disk(serial, path)), Err(Error::Refused(_))),
                "{serial} {path}"
            );
        }
    }

    #[test]
    fn the_script_for_the_root_is_a_script() {
        crate::guest::sh::check(GROW_ROOT);
    }

    #[test]
    fn the_script_begins_with_its_parameters() {
        let script = script(&disk("pmoves-data", "/opt/docker/")).unwrap();
        assert_eq!(
            script.lines().next(),
            Some("serial=pmoves-data mount=/opt/docker kind=ext4 mark=")
        );
        crate::guest::sh::check(&script);
    }
}
