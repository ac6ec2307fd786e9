//! `mount`, `umount`, `mountpoint`, and the mounts of `/etc/fstab` and of units.

use super::{Disk, disks, filesystem, is_mount_point, mounted, resolve};
use crate::guests::scripted::shim::unit::{self, UnitFile};
use crate::guests::scripted::shim::{Reply, Root, init, sha256};

pub(super) fn mount(root: &Root, args: &[String]) -> Reply {
    let (mut kind, mut options, mut places) = (String::new(), String::new(), Vec::new());
    let mut all = false;
    let mut words = args.iter();
    while let Some(arg) = words.next() {
        match arg.as_str() {
            "-t" | "--types" => kind = words.next().cloned().unwrap_or_default(),
            "-o" | "--options" => options = words.next().cloned().unwrap_or_default(),
            "-a" | "--all" => all = true,
            "--bind" | "-B" | "--rbind" => "bind".clone_into(&mut options),
            other if other.starts_with('-') => {}
            other => places.push(other.to_owned()),
        }
    }
    if all {
        return mount_fstab(root, |_| true);
    }
    match places.as_slice() {
        [] => Reply::ok(
            mounted(root)
                .iter()
                .map(|mount| {
                    format!(
                        "{} on {} type {} (rw,relatime)\n",
                        mount.device, mount.target, mount.filesystem
                    )
                })
                .collect::<String>(),
        ),
        [place] => {
            let known = fstab(root)
                .into_iter()
                .any(|(source, target, _)| source == *place || target == *place);
            if !known {
                return Reply::fail(1, format!("mount: {place}: can't find in /etc/fstab."));
            }
            mount_fstab(root, |(source, target)| source == place || target == place)
        }
        [source, target, ..] => attach(root, source, target, &kind, &options),
    }
}

fn attach(root: &Root, source: &str, target: &str, kind: &str, options: &str) -> Reply {
    if !root.path(target).is_dir() {
        return Reply::fail(32, format!("mount: {target}: mount point does not exist."));
    }
    let has = |option: &str| options.split(',').any(|one| one == option);
    if has("remount") {
        return Reply::default();
    }
    if has("bind") {
        return bind(source, target);
    }
    if ["tmpfs", "proc", "sysfs", "overlay"].contains(&kind) {
        let done = init::real("mount", &["-t", kind, source, target]);
        return if done {
            Reply::default()
        } else {
            Reply::fail(32, format!("mount: {target}: permission denied."))
        };
    }
    if kind.starts_with("nfs") || kind == "cifs" || kind == "virtiofs" {
        let place = format!("/.volumes/net-{}", &sha256(source.as_bytes())[..12]);
        let _ = std::fs::create_dir_all(root.path(&format!("{place}/fs")));
        let _ = root.write(&format!("{place}/about"), format!("{kind} {source}"));
        return bind(&format!("{place}/fs"), target);
    }
    let Some(disk) = resolve(root, source) else {
        return Reply::fail(
            32,
            match source.split_once('=') {
                Some(_) => format!("mount: {target}: can't find {source}."),
                None => format!("mount: {target}: special device {source} does not exist."),
            },
        );
    };
    attach_disk(root, &disk, target)
}

fn attach_disk(root: &Root, disk: &Disk, target: &str) -> Reply {
    let device = &disk.device;
    if disk.is_root || filesystem(root, disk).is_none() {
        return Reply::fail(
            32,
            format!(
                "mount: {target}: wrong fs type, bad option, bad superblock on {device}, missing codepage or helper program, or other error."
            ),
        );
    }
    let already = mounted(root)
        .into_iter()
        .any(|mount| &mount.device == device && mount.target == target);
    if already {
        return Reply::fail(
            32,
            format!("mount: {target}: {device} already mounted on {target}."),
        );
    }
    bind(&format!("{}/fs", disk.place), target)
}

fn bind(source: &str, target: &str) -> Reply {
    if init::real("mount", &["--bind", source, target]) {
        Reply::default()
    } else {
        Reply::fail(
            32,
            format!("mount: {target}: special device {source} does not exist."),
        )
    }
}

/// Source, target and options of each line that mounts a disk.
fn fstab(root: &Root) -> Vec<(String, String, String)> {
    let text = root.read("/etc/fstab").unwrap_or_default();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let entries = lines.filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [source, target, _, rest @ ..] = fields.as_slice() else {
            return None;
        };
        (*target != "/" && target.starts_with('/')).then(|| {
            (
                (*source).to_owned(),
                (*target).to_owned(),
                rest.first().unwrap_or(&"").to_string(),
            )
        })
    });
    entries.collect()
}

fn kind_of(root: &Root, target: &str) -> String {
    let text = root.read("/etc/fstab").unwrap_or_default();
    let line = text
        .lines()
        .find(|line| line.split_whitespace().nth(1) == Some(target));
    line.and_then(|line| line.split_whitespace().nth(2))
        .unwrap_or_default()
        .to_owned()
}

fn mount_fstab(root: &Root, wanted: impl Fn((&String, &String)) -> bool) -> Reply {
    let mut all = Reply::default();
    for (source, target, options) in fstab(root) {
        if !wanted((&source, &target)) || is_mount_point(root, &target) {
            continue;
        }
        // systemd and mount -a make the directory where it is missing.
        let _ = std::fs::create_dir_all(root.path(&target));
        let reply = attach(root, &source, &target, &kind_of(root, &target), &options);
        if reply.code != 0 && !options.contains("nofail") {
            all.code = reply.code;
        }
        all.err.push_str(&reply.err);
    }
    all
}

/// Mounts what `/etc/fstab` asks for at boot.
pub(in super::super) fn mount_all(root: &Root) {
    mount_fstab(root, |_| true);
}

/// Mounts the disk that a path needs; false when there should be one and is not.
pub(in super::super) fn mount_for(root: &Root, path: &str) -> bool {
    let above = |target: &str| {
        let rest = path.strip_prefix(target.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    for (_, target, _) in fstab(root) {
        if above(&target) && !is_mount_point(root, &target) {
            mount_fstab(root, |(_, other)| *other == target);
            if !is_mount_point(root, &target) {
                return false;
            }
        }
    }
    let units = std::fs::read_dir(root.path("/etc/systemd/system"));
    for entry in units.into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if unit::kind(&name) != "mount" {
            continue;
        }
        let file = UnitFile::load(root, &name).unwrap_or_default();
        if file.value("Mount", "Where").is_some_and(above) && unit::start(root, &name).code != 0 {
            return false;
        }
    }
    true
}

/// Mounts what a `.mount` unit describes.
pub(in super::super) fn mount_unit(root: &Root, file: &UnitFile) -> Result<(), String> {
    let value = |key: &str| file.value("Mount", key).unwrap_or_default();
    let target = value("Where");
    if is_mount_point(root, target) {
        return Ok(());
    }
    let _ = std::fs::create_dir_all(root.path(target));
    let reply = attach(root, value("What"), target, value("Type"), value("Options"));
    if reply.code == 0 {
        Ok(())
    } else {
        Err(reply.err)
    }
}

pub(in super::super) fn unmount(root: &Root, target: &str) -> Reply {
    let by_device = mounted(root)
        .into_iter()
        .find(|mount| mount.device == target);
    let target = by_device.map_or(target.to_owned(), |mount| mount.target);
    if !is_mount_point(root, &target) {
        return Reply::fail(32, format!("umount: {target}: not mounted."));
    }
    if init::real("umount", &[&target]) {
        Reply::default()
    } else {
        Reply::fail(32, format!("umount: {target}: target is busy."))
    }
}

pub(super) fn umount(root: &Root, args: &[String]) -> Reply {
    let mut all = Reply::default();
    for target in args.iter().filter(|arg| !arg.starts_with('-')) {
        let reply = unmount(root, target);
        all.code = all.code.max(reply.code);
        all.err.push_str(&reply.err);
    }
    all
}

pub(super) fn mountpoint(root: &Root, args: &[String]) -> Reply {
    let quiet = args.iter().any(|arg| arg == "-q" || arg == "--quiet");
    let path = args
        .iter()
        .find(|arg| !arg.starts_with('-'))
        .cloned()
        .unwrap_or_default();
    let found = is_mount_point(root, &path) || path == "/" && !disks(root).is_empty();
    let word = if found {
        "is a mountpoint"
    } else {
        "is not a mountpoint"
    };
    Reply {
        code: if found { 0 } else { 32 },
        out: if quiet {
            String::new()
        } else {
            format!("{path} {word}\n")
        },
        err: String::new(),
    }
}
