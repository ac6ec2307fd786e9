//! The guest's disks: each is a directory, and mounting a disk binds its directory.
//!
//! What is mounted is asked of the kernel, so that there is no second truth; what a file system
//! is called lies beside its directory.

mod mount;
mod print;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::{Reply, Root, init, sha256};
pub(super) use mount::{mount_all, mount_for, mount_unit, unmount};

/// A disk as the guest sees it.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    /// `/dev/sdb`
    device: String,
    /// Below `/dev/disk/by-id`.
    id: String,
    serial: String,
    /// The directory that stands for it.
    place: String,
    bytes: u64,
    is_root: bool,
}

/// A file system on a disk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct FileSystem {
    kind: String,
    uuid: String,
    #[serde(default)]
    label: String,
    bytes: u64,
}

/// A mounted disk or share.
#[derive(Clone, Debug)]
pub(super) struct Mounted {
    pub(super) device: String,
    pub(super) target: String,
    pub(super) filesystem: String,
    pub(super) bytes: u64,
    uuid: String,
}

fn disks(root: &Root) -> Vec<Disk> {
    let boot = root.boot();
    let mut disks: Vec<&serde_json::Value> =
        boot["disks"].as_array().into_iter().flatten().collect();
    let slot = |disk: &serde_json::Value| -> (String, u32) {
        let slot = disk["slot"].as_str().unwrap_or_default();
        let kind = slot.trim_end_matches(|c: char| c.is_ascii_digit());
        (kind.to_owned(), slot[kind.len()..].parse().unwrap_or(0))
    };
    disks.sort_by_key(|disk| slot(disk));
    let (mut scsi, mut virtio) = (b'a', b'a');
    let first_image = disks
        .iter()
        .position(|disk| disk["image"].is_string())
        .unwrap_or(0);
    let known = disks.iter().enumerate().map(|(index, disk)| {
        let (kind, _) = slot(disk);
        let text = |key: &str| disk[key].as_str().unwrap_or_default().to_owned();
        let drive = format!("drive-{}", text("slot"));
        let serial = Some(text("serial")).filter(|serial| !serial.is_empty());
        let (letter, prefix, id) = if kind == "virtio" {
            (
                &mut virtio,
                "vd",
                format!("virtio-{}", serial.clone().unwrap_or_default()),
            )
        } else {
            (
                &mut scsi,
                "sd",
                format!(
                    "scsi-0QEMU_QEMU_HARDDISK_{}",
                    serial.clone().unwrap_or(drive)
                ),
            )
        };
        let device = format!("/dev/{prefix}{}", char::from(*letter));
        *letter += 1;
        Disk {
            device,
            id,
            serial: serial.unwrap_or_default(),
            place: format!("/.volumes/{}", text("volume").replace(['/', ':'], "_")),
            bytes: disk["bytes"].as_u64().unwrap_or_default(),
            is_root: index == first_image,
        }
    });
    known.collect()
}

/// Makes `/dev/sdb` and `/dev/disk/by-id/..` for disks that have none.
pub(super) fn make_nodes(root: &Root) {
    for disk in disks(root) {
        let node = root.path(&disk.device);
        if !node.exists() {
            let _ = std::fs::write(&node, "");
            init::real("mount", &["--bind", "/dev/.block", &disk.device]);
        }
        let name = disk.device.trim_start_matches("/dev/");
        let link = root.path(&format!("/dev/disk/by-id/{}", disk.id));
        let _ = std::os::unix::fs::symlink(format!("../../{name}"), link);
    }
}

/// The disk that a device path, link, `UUID=` or `LABEL=` names.
fn resolve(root: &Root, source: &str) -> Option<Disk> {
    let disks = disks(root);
    if let Some((key, value)) = source.split_once('=') {
        let value = value.trim_matches('"');
        return disks.into_iter().find(|disk| {
            let found = filesystem(root, disk).unwrap_or_default();
            !value.is_empty()
                && (key == "UUID" && found.uuid == value || key == "LABEL" && found.label == value)
        });
    }
    if let Some(uuid) = source.strip_prefix("/dev/disk/by-uuid/") {
        return resolve(root, &format!("UUID={uuid}"));
    }
    if let Some(label) = source.strip_prefix("/dev/disk/by-label/") {
        return resolve(root, &format!("LABEL={label}"));
    }
    let by_id = source.strip_prefix("/dev/disk/by-id/");
    disks
        .into_iter()
        .find(|disk| disk.device == source || by_id == Some(&disk.id))
}

fn filesystem(root: &Root, disk: &Disk) -> Option<FileSystem> {
    if disk.is_root {
        return Some(FileSystem {
            kind: "ext4".to_owned(),
            uuid: "0b6e1c1a-73a7-4a43-9e39-4d1d0d5f9f10".to_owned(),
            label: "cloudimg-rootfs".to_owned(),
            bytes: disk.bytes,
        });
    }
    serde_json::from_str(&root.read(&format!("{}/fs.json", disk.place))?).ok()
}

/// The disks and shares that are mounted, the root disk first.
pub(super) fn mounted(root: &Root) -> Vec<Mounted> {
    let disks = disks(root);
    let entry = |disk: &Disk, target: &str, device: String| {
        let found = filesystem(root, disk).unwrap_or_default();
        Mounted {
            device,
            target: target.to_owned(),
            filesystem: found.kind,
            bytes: found.bytes,
            uuid: found.uuid,
        }
    };
    let system = disks.iter().find(|disk| disk.is_root);
    let mut list: Vec<Mounted> = system
        .map(|disk| entry(disk, "/", format!("{}1", disk.device)))
        .into_iter()
        .collect();
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for line in table.lines() {
        let mut fields = line.split(' ').skip(3);
        let (Some(source), Some(target)) = (fields.next(), fields.next()) else {
            continue;
        };
        let found = disks
            .iter()
            .find(|disk| source.ends_with(&format!("{}/fs", disk.place)));
        let share = source.split_once("/.volumes/net-");
        if let Some((_, rest)) = share.filter(|(_, rest)| rest.ends_with("/fs")) {
            let place = format!("/.volumes/net-{}", rest.trim_end_matches("/fs"));
            let about = root.read(&format!("{place}/about")).unwrap_or_default();
            let (filesystem, device) = about.split_once(' ').unwrap_or_default();
            list.push(Mounted {
                device: device.to_owned(),
                target: target.replace("\\040", " "),
                filesystem: filesystem.to_owned(),
                bytes: 0,
                uuid: String::new(),
            });
        }
        if let Some(disk) = found {
            list.push(entry(
                disk,
                &target.replace("\\040", " "),
                disk.device.clone(),
            ));
        }
    }
    list
}

/// Whether something, a disk or not, is mounted exactly here.
pub(super) fn is_mount_point(root: &Root, path: &str) -> bool {
    let path = std::fs::canonicalize(root.path(path)).unwrap_or_default();
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().any(|line| {
        line.split(' ')
            .nth(4)
            .is_some_and(|target| Path::new(target) == path)
    })
}

pub(super) fn run(root: &Root, name: &str, args: &[String]) -> Reply {
    match name {
        "mount" => mount::mount(root, args),
        "umount" => mount::umount(root, args),
        "mountpoint" => mount::mountpoint(root, args),
        "mkfs" | "mkfs.ext4" | "mkfs.xfs" => make(root, name, args),
        "resize2fs" | "xfs_growfs" => grow(root, name, args),
        "blkid" => print::blkid(root, args),
        "lsblk" => print::lsblk(root, args),
        "findmnt" => print::findmnt(root, args),
        "df" => print::df(root, args),
        "wipefs" => wipe(root, args),
        "blockdev" => blockdev(root, args),
        "head" => head(root, args),
        _ => Reply::default(),
    }
}

fn make(root: &Root, name: &str, args: &[String]) -> Reply {
    let mut kind = name.strip_prefix("mkfs.").unwrap_or("ext4").to_owned();
    let (mut label, mut uuid, mut force, mut device) = (String::new(), None, false, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut next = || args.next().cloned().unwrap_or_default();
        match arg.as_str() {
            "-t" => kind = next(),
            "-L" => label = next(),
            "-U" => uuid = Some(next()),
            "-F" | "-f" => force = true,
            "-m" | "-E" | "-O" | "-i" | "-N" | "-b" | "-T" | "-n" | "-l" | "-d" | "-I" => {
                drop(next());
            }
            other if other.starts_with('-') => {}
            other => device = Some(other.to_owned()),
        }
    }
    let device = device.unwrap_or_default();
    let Some(disk) = resolve(root, &device) else {
        return Reply::fail(
            1,
            format!("The file {device} does not exist and no size was specified."),
        );
    };
    if disk.is_root
        || mounted(root)
            .iter()
            .any(|mount| mount.device == disk.device)
    {
        return Reply::fail(
            1,
            format!("{device} is mounted; will not make a filesystem here!"),
        );
    }
    let existing = filesystem(root, &disk);
    if let (Some(existing), "xfs", false) = (existing, kind.as_str(), force) {
        return Reply::fail(
            1,
            format!(
                "mkfs.xfs: {device} appears to contain an existing filesystem ({}).\nmkfs.xfs: Use the -f option to force overwrite.",
                existing.kind
            ),
        );
    }
    let _ = std::fs::remove_dir_all(root.path(&disk.place));
    let random =
        sha256(format!("{} {} {}", disk.place, super::now(), std::process::id()).as_bytes());
    let made = [8, 4, 4, 4, 12].iter().scan(0, |at, length| {
        let part = &random[*at..*at + length];
        *at += length;
        Some(part)
    });
    let uuid = uuid.unwrap_or_else(|| made.collect::<Vec<_>>().join("-"));
    let created = FileSystem {
        kind,
        uuid,
        label,
        bytes: disk.bytes,
    };
    let text = serde_json::to_string(&created).expect("it is JSON");
    let lost = root.path(&format!("{}/fs/lost+found", disk.place));
    let done = std::fs::create_dir_all(lost)
        .and_then(|()| root.write(&format!("{}/fs.json", disk.place), text));
    match done {
        Ok(()) => Reply::default(),
        Err(error) => Reply::fail(1, error.to_string()),
    }
}

fn grow(root: &Root, name: &str, args: &[String]) -> Reply {
    let target = args
        .iter()
        .find(|arg| !arg.starts_with('-'))
        .cloned()
        .unwrap_or_default();
    let device = mounted(root)
        .into_iter()
        .find(|mount| mount.target == target)
        .map_or(target.clone(), |mount| mount.device);
    let device = device.trim_end_matches(|c: char| c.is_ascii_digit());
    let Some(disk) = resolve(root, device) else {
        return Reply::fail(1, format!("{name}: {target}: No such file or directory"));
    };
    let Some(mut found) = filesystem(root, &disk) else {
        return Reply::fail(
            1,
            format!("{name}: Bad magic number in super-block while trying to open {target}"),
        );
    };
    found.bytes = disk.bytes;
    if !disk.is_root {
        let text = serde_json::to_string(&found).expect("it is JSON");
        let _ = root.write(&format!("{}/fs.json", disk.place), text);
    }
    Reply::ok(format!(
        "The filesystem on {} is now {} (4k) blocks long.\n",
        disk.device,
        disk.bytes / 4096
    ))
}

fn blockdev(root: &Root, args: &[String]) -> Reply {
    match args.iter().find_map(|arg| resolve(root, arg)) {
        Some(disk) => Reply::ok(format!("{}\n", disk.bytes)),
        None => Reply::fail(1, "blockdev: cannot open: No such file or directory"),
    }
}

/// Reads zeros from a disk, whose node nobody can open; all else is left to the real program.
fn head(root: &Root, args: &[String]) -> Reply {
    if args
        .iter()
        .any(|arg| arg.starts_with("/dev/") && resolve(root, arg).is_some())
    {
        let count = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(512);
        return Reply::ok("\0".repeat(count));
    }
    let error = Command::new("/.host/usr/bin/head").args(args).exec();
    Reply::fail(127, error.to_string())
}

fn wipe(root: &Root, args: &[String]) -> Reply {
    let all = args
        .iter()
        .any(|arg| arg == "-a" || arg == "--all" || arg == "-af");
    let disk = args.iter().find_map(|arg| resolve(root, arg));
    let found = disk.as_ref().and_then(|disk| filesystem(root, disk));
    match (disk, found) {
        (Some(disk), Some(_)) if all => {
            let _ = std::fs::remove_dir_all(root.path(&disk.place));
            Reply::default()
        }
        (Some(disk), Some(found)) => Reply::ok(format!(
            "DEVICE OFFSET TYPE UUID LABEL\n{} 0x438 {} {} {}\n",
            disk.device, found.kind, found.uuid, found.label
        )),
        _ => Reply::default(),
    }
}
