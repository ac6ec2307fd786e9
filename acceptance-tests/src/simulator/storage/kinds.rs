//! What each type of storage can: its options, contents, formats, and how its volumes are named.
//!
//! Types that need more than a name to be simulated are not here, and refused.

use crate::simulator::reply::Fail;

/// How the volumes of a storage are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// Files below a directory.
    Files,
    /// Logical volumes.
    Lvm,
    /// Datasets.
    Zfs,
    /// Snapshots of a backup server.
    Pbs,
}

/// A type of storage.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// What it must be created with, and keeps.
    pub(crate) fixed: &'static [&'static str],
    /// What may be set.
    pub(crate) optional: &'static [&'static str],
    /// The contents that it can have.
    pub(crate) contents: &'static str,
    /// The contents that it has if none are said.
    pub(crate) default: &'static str,
    /// The formats of images, the default first.
    pub(crate) formats: &'static [&'static str],
    pub(crate) names: Names,
    /// All nodes see the same volumes, whatever is configured.
    pub(crate) shared: bool,
    /// Snapshots of raw volumes can be taken, and those of bases cloned.
    pub(crate) copies_on_write: bool,
}

const DIRECTORY: Kind = Kind {
    name: "dir",
    fixed: &["path"],
    optional: &[
        "bwlimit",
        "content",
        "content-dirs",
        "create-base-path",
        "create-subdirs",
        "disable",
        "format",
        "is_mountpoint",
        "max-protected-backups",
        "mkdir",
        "nodes",
        "preallocation",
        "prune-backups",
        "shared",
        "snapshot-as-volume-chain",
    ],
    contents: "images,rootdir,vztmpl,iso,backup,snippets,import,none",
    default: "images,rootdir",
    formats: &["raw", "qcow2", "vmdk", "subvol"],
    names: Names::Files,
    shared: false,
    copies_on_write: false,
};

/// What the mounted kinds have in common with a directory.
const MOUNT: Kind = Kind {
    contents: "images,rootdir,vztmpl,iso,backup,snippets,import",
    default: "images",
    formats: &["raw", "qcow2", "vmdk"],
    shared: true,
    ..DIRECTORY
};

const KINDS: &[Kind] = &[
    DIRECTORY,
    Kind {
        name: "nfs",
        fixed: &["server", "export"],
        optional: &[
            "bwlimit",
            "content",
            "content-dirs",
            "create-base-path",
            "create-subdirs",
            "disable",
            "format",
            "max-protected-backups",
            "mkdir",
            "nodes",
            "options",
            "path",
            "preallocation",
            "prune-backups",
            "snapshot-as-volume-chain",
        ],
        ..MOUNT
    },
    Kind {
        name: "cephfs",
        fixed: &[],
        optional: &[
            "bwlimit",
            "content",
            "content-dirs",
            "create-base-path",
            "create-subdirs",
            "disable",
            "fs-name",
            "fuse",
            "keyring",
            "max-protected-backups",
            "mkdir",
            "monhost",
            "nodes",
            "options",
            "path",
            "prune-backups",
            "subdir",
            "username",
        ],
        contents: "vztmpl,iso,backup,snippets,import",
        default: "backup",
        formats: &[],
        ..MOUNT
    },
    Kind {
        name: "cifs",
        fixed: &["server", "share"],
        optional: &[
            "bwlimit",
            "content",
            "content-dirs",
            "create-base-path",
            "create-subdirs",
            "disable",
            "domain",
            "format",
            "max-protected-backups",
            "mkdir",
            "nodes",
            "options",
            "password",
            "path",
            "preallocation",
            "prune-backups",
            "smbversion",
            "snapshot-as-volume-chain",
            "subdir",
            "username",
        ],
        ..MOUNT
    },
    Kind {
        name: "lvm",
        fixed: &["vgname"],
        optional: &[
            "base",
            "bwlimit",
            "content",
            "disable",
            "nodes",
            "saferemove",
            "saferemove-stepsize",
            "saferemove_throughput",
            "shared",
            "snapshot-as-volume-chain",
            "tagged_only",
        ],
        contents: "images,rootdir",
        default: "images",
        formats: &["raw"],
        names: Names::Lvm,
        shared: false,
        copies_on_write: false,
    },
    Kind {
        name: "lvmthin",
        fixed: &["thinpool", "vgname"],
        optional: &["bwlimit", "content", "disable", "nodes"],
        contents: "images,rootdir",
        default: "images,rootdir",
        formats: &["raw"],
        names: Names::Lvm,
        shared: false,
        copies_on_write: true,
    },
    Kind {
        name: "zfspool",
        fixed: &["pool"],
        optional: &[
            "blocksize",
            "bwlimit",
            "content",
            "disable",
            "mountpoint",
            "nodes",
            "sparse",
        ],
        contents: "images,rootdir",
        default: "images,rootdir",
        formats: &["raw", "subvol"],
        names: Names::Zfs,
        shared: false,
        copies_on_write: true,
    },
    Kind {
        name: "pbs",
        fixed: &["server", "datastore"],
        optional: &[
            "content",
            "disable",
            "encryption-key",
            "fingerprint",
            "master-pubkey",
            "max-protected-backups",
            "namespace",
            "nodes",
            "password",
            "port",
            "prune-backups",
            "skip-cert-verification",
            "username",
        ],
        contents: "backup,none",
        default: "backup",
        formats: &[],
        names: Names::Pbs,
        shared: true,
        copies_on_write: false,
    },
];

/// The options that are kept where nobody reads them.
pub(crate) const SECRET: &[&str] = &["encryption-key", "master-pubkey", "password"];

impl Kind {
    /// The type of that name, if storages of it are simulated.
    pub(crate) fn find(name: &str) -> Result<&'static Self, Fail> {
        let found = KINDS.iter().find(|kind| kind.name == name);
        found.ok_or_else(|| Fail::died(format!("the simulator has no storages of type '{name}'")))
    }

    /// Refuses content types that it cannot have.
    pub(crate) fn check_contents(&self, contents: &[&str]) -> Result<(), Fail> {
        let can = |content: &str| self.contents.split(',').any(|one| one == content);
        if let Some(content) = contents.iter().find(|content| !can(content)) {
            return Err(Fail::died(format!(
                "storage does not support content type '{content}'"
            )));
        }
        if contents.contains(&"none") && contents.len() > 1 {
            return Err(Fail::died(
                "unable to combine 'none' with other content types",
            ));
        }
        Ok(())
    }
}
