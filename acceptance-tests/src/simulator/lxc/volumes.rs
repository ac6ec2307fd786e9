//! The root and the mount points of a container: their text, and the volumes that are made for them.
//!
//! Whether the sender may use a storage is asked in `allow`.

use crate::simulator::qemu::Config;
use crate::simulator::random::random_uuid;
use crate::simulator::rules::property::{self, Properties};
use crate::simulator::rules::set;
use crate::simulator::storage::kinds::Names;
use crate::simulator::storage::{Volume, format_size, gib_fraction};
use crate::simulator::world::State;

/// The size of a root that nobody chose, in GiB.
pub(crate) const DEFAULT_ROOT: &str = "4";

/// Whether a key holds the root or a mount point.
pub(crate) fn is_mount(key: &str) -> bool {
    key == "rootfs" || is_numbered(key, "mp")
}

/// Whether a key is `stem` and a number.
pub(crate) fn is_numbered(key: &str, stem: &str) -> bool {
    let digits = key.strip_prefix(stem).unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Takes a mount point apart; its text passed the rules before.
pub(crate) fn parse(key: &str, text: &str) -> Properties {
    property::parse(rules(key), text).unwrap_or_default()
}

/// Puts a mount point together.
pub(crate) fn print(key: &str, mount: &Properties) -> String {
    property::print(rules(key), mount)
}

fn rules(key: &str) -> &'static crate::simulator::rules::RuleSet {
    set(match key {
        "rootfs" => "lxc-volume",
        _ if key.starts_with("unused") => "lxc-unused",
        _ => "lxc-mount",
    })
}

/// What a mount point is of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// A new volume of so many GiB on a storage.
    New { storage: String, size: String },
    /// A volume that is there.
    Volume(String),
    /// A device of the node.
    Device(String),
    /// A directory of the node.
    Bind(String),
}

impl Source {
    /// Its name in refusals.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::New { .. } | Self::Volume(_) => "volume",
            Self::Device(_) => "device",
            Self::Bind(_) => "bind",
        }
    }

    /// The storage that it lies on.
    pub(crate) fn storage(&self) -> Option<&str> {
        match self {
            Self::New { storage, .. } => Some(storage),
            Self::Volume(id) => id.split(':').next(),
            Self::Device(_) | Self::Bind(_) => None,
        }
    }
}

/// What a mount point is of.
pub(crate) fn source(mount: &Properties) -> Source {
    let volume = mount.get("volume").map_or("", String::as_str);
    if volume.starts_with("/dev/") {
        return Source::Device(volume.to_owned());
    }
    if volume.starts_with('/') {
        return Source::Bind(volume.to_owned());
    }
    let Some((storage, rest)) = volume.split_once(':') else {
        return Source::Volume(volume.to_owned());
    };
    let is_size = rest.starts_with(|c: char| c.is_ascii_digit())
        && rest.chars().all(|c| c.is_ascii_digit() || c == '.');
    if is_size {
        let (storage, size) = (storage.to_owned(), rest.to_owned());
        return Source::New { storage, size };
    }
    Source::Volume(volume.to_owned())
}

/// The volume of its own that a key of the configuration holds.
pub(crate) fn volume_of(key: &str, value: &str) -> Option<String> {
    if !is_mount(key) && !is_numbered(key, "unused") {
        return None;
    }
    match source(&parse(key, value)) {
        Source::Volume(id) => Some(id),
        _ => None,
    }
}

/// The keys of mount points in the order in which they are mounted: the root first.
pub(crate) fn in_order(config: &Config) -> Vec<(String, Properties)> {
    let mounts = config.iter().filter(|(key, _)| is_mount(key));
    let mut mounts: Vec<_> = mounts
        .map(|(key, text)| (key.clone(), parse(key, text)))
        .collect();
    mounts.sort_by_key(|(key, _)| key[key.len().min(2)..].parse::<i32>().unwrap_or(-1));
    mounts
}

impl State {
    /// Makes the new volume that a mount point asks for and puts it there; tells its id.
    pub(crate) fn make_mount(
        &mut self,
        node: &str,
        vmid: u32,
        mount: &mut Properties,
        log: &mut Vec<String>,
    ) -> Result<Option<String>, String> {
        let Source::New { storage, size } = source(mount) else {
            return Ok(None);
        };
        let bytes = gib_fraction(&size, 1 << 30).ok_or("unable to parse volume size")?;
        let id = self.allocate_mount(node, vmid, &storage, bytes, log)?;
        mount.insert("volume".to_owned(), id.clone());
        let shown = match bytes {
            0 => "0T".to_owned(),
            _ => format_size(bytes),
        };
        mount.insert("size".to_owned(), shown);
        Ok(Some(id))
    }

    /// Makes a volume with a file system on it, or a directory where no size is wanted.
    pub(crate) fn allocate_mount(
        &mut self,
        node: &str,
        vmid: u32,
        storage: &str,
        bytes: u64,
        log: &mut Vec<String>,
    ) -> Result<String, String> {
        self.format_on(node, storage, None)?;
        let (is_dir, is_zfs) = {
            let storage = self.storage(storage).map_err(|fail| fail.text())?;
            (storage.is_file_based(), storage.kind().names == Names::Zfs)
        };
        let as_tree = is_zfs || (is_dir && bytes == 0);
        let format = if as_tree { "subvol" } else { "raw" };
        let id = self.free_disk_name(node, storage, vmid, format);
        let id = match id.split_once(':').filter(|_| as_tree) {
            Some((storage, name)) => format!("{storage}:{}", name.replacen("vm-", "subvol-", 1)),
            None => id,
        };
        let volume = Volume {
            content: "rootdir",
            ..Volume::disk(vmid, format, bytes)
        };
        if !as_tree {
            self.log_allocation(&id, &volume, log);
            log.extend(new_file_system(bytes));
        }
        self.put_volume(node, &id, volume);
        Ok(id)
    }
}

/// What making a file system of so many bytes says.
fn new_file_system(bytes: u64) -> Vec<String> {
    const GROUP: u64 = 32_768;
    let blocks = bytes / 4096;
    // Superblocks are kept in group 1 and in those whose number is a power of 3, 5 or 7.
    let powers = |of: u64| std::iter::successors(Some(of), move |n| n.checked_mul(of));
    let mut groups = vec![1];
    for of in [3, 5, 7] {
        groups.extend(powers(of).take_while(|group| group * GROUP < blocks));
    }
    groups.sort_unstable();
    let backups = groups.into_iter().map(|group| group * GROUP);
    let backups = backups
        .filter(|block| *block < blocks)
        .map(|n| n.to_string());
    let mut lines = vec![
        format!(
            "Creating filesystem with {blocks} 4k blocks and {} inodes",
            bytes / 16_384
        ),
        format!("Filesystem UUID: {}", random_uuid()),
    ];
    let backups: Vec<String> = backups.collect();
    if !backups.is_empty() {
        lines.push("Superblock backups stored on blocks: ".to_owned());
        lines.push(format!("\t{}", backups.join(", ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_volume_of_a_mount_point_tells_what_is_wanted() {
        let check = |text, expected: Source| assert_eq!(source(&parse("mp0", text)), expected);
        check(
            "a:1.5,mp=/x",
            Source::New {
                storage: "a".to_owned(),
                size: "1.5".to_owned(),
            },
        );
        check(
            "a:vm-1-disk-0,mp=/x",
            Source::Volume("a:vm-1-disk-0".to_owned()),
        );
        check("/srv/x,mp=/x", Source::Bind("/srv/x".to_owned()));
        check("/dev/sdb,mp=/x", Source::Device("/dev/sdb".to_owned()));
    }

    #[test]
    fn file_systems_tell_where_their_superblocks_are() {
        let of = |gib: u64| new_file_system(gib << 30)[3].clone();
        assert_eq!(of(1), "\t32768, 98304, 163840, 229376");
        assert_eq!(
            of(4),
            "\t32768, 98304, 163840, 229376, 294912, 819200, 884736"
        );
    }

    #[test]
    fn mount_points_follow_their_root_by_number() {
        let config = ["mp10", "mp2", "rootfs", "net0"];
        let config = config.map(|key| (key.to_owned(), "a:1".to_owned())).into();
        let keys: Vec<String> = in_order(&config).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["rootfs", "mp2", "mp10"]);
    }
}
