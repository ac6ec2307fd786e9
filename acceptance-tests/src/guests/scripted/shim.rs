//! What `guest-shim` does inside a scripted guest, by the name that it is called by.
//!
//! Each program is a function from arguments to a `Reply`; only this file writes to stdout.
//! What must outlive a command is JSON below `/var/lib/shim`, what must not outlive a boot is
//! below `/run/shim`.

#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "the few lines of a stand-in read better than what saves an allocation"
)]

mod agent;
mod apt;
mod cloudinit;
mod compose;
mod disks;
mod docker;
mod dpkg;
mod host;
mod init;
pub(super) mod install;
mod job;
mod systemctl;
mod template;
mod unit;
mod yaml;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Programs that are there in every guest, whatever is installed.
pub(super) const PROGRAMS: &[&str] = &[
    "apt",
    "apt-cache",
    "apt-get",
    "apt-helper",
    "apt-mark",
    "blkid",
    "blockdev",
    "chgrp",
    "chown",
    "cloud-init",
    "df",
    "dpkg",
    "dpkg-query",
    "e2fsck",
    "findmnt",
    "growpart",
    "halt",
    "head",
    "hostnamectl",
    "install",
    "journalctl",
    "lsblk",
    "mkfs",
    "mkfs.ext4",
    "modprobe",
    "mount",
    "mountpoint",
    "nft",
    "poweroff",
    "reboot",
    "resize2fs",
    "shutdown",
    "sysctl",
    "systemctl",
    "systemd-analyze",
    "systemd-detect-virt",
    "systemd-escape",
    "systemd-run",
    "udevadm",
    "umount",
    "update-ca-certificates",
    "wipefs",
];

/// What a program says and how it ends.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Reply {
    pub(super) code: u8,
    pub(super) out: String,
    pub(super) err: String,
}

impl Reply {
    pub(super) fn ok(out: impl Into<String>) -> Self {
        Self {
            out: out.into(),
            ..Self::default()
        }
    }

    pub(super) fn fail(code: u8, err: impl Into<String>) -> Self {
        let mut err = err.into();
        if !err.is_empty() && !err.ends_with('\n') {
            err.push('\n');
        }
        Self {
            code,
            err,
            ..Self::default()
        }
    }
}

/// The root directory that the programs work in: `/`, or a guest's tree seen from outside.
#[derive(Clone, Debug)]
pub(super) struct Root(PathBuf);

impl Root {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The place of an absolute path of the guest.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    pub(super) fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    pub(super) fn write(&self, path: &str, text: impl AsRef<[u8]>) -> io::Result<()> {
        let path = self.path(path);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        // A reader sees the old text or the new one.
        let new = path.with_extension(format!("new{}", std::process::id()));
        fs::write(&new, text)?;
        fs::rename(new, path)
    }

    /// State that a JSON file holds; the default where there is none.
    pub(super) fn load<T: DeserializeOwned + Default>(&self, path: &str) -> T {
        let text = self.read(path).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Changes state that a JSON file holds, one process at a time.
    pub(super) fn update<T, R>(&self, path: &str, change: impl FnOnce(&mut T) -> R) -> R
    where
        T: DeserializeOwned + Serialize + Default,
    {
        let lock = self.path(&format!("{path}.lock"));
        if let Some(dir) = lock.parent() {
            let _ = fs::create_dir_all(dir);
        }
        let lock = fs::File::create(lock).expect("the state directory is writable");
        lock.lock().expect("the state can be locked");
        let mut state = self.load(path);
        let result = change(&mut state);
        let text = serde_json::to_vec(&state).expect("state is JSON");
        self.write(path, text)
            .expect("the state directory is writable");
        result
    }

    /// How the guest was started: `vmid`, `nics`, `disks`, `seed`, `boot_ms`.
    pub(super) fn boot(&self) -> Value {
        self.load("/run/shim/boot.json")
    }

    pub(super) fn scenario(&self) -> super::Scenario {
        self.load("/run/shim/scenario.json")
    }
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or_default()
}

/// A time in milliseconds as the Engine prints it.
pub(super) fn rfc3339(ms: u64) -> String {
    let nanos = i128::from(ms) * 1_000_000;
    time::OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|time| {
            time.format(&time::format_description::well_known::Rfc3339)
                .ok()
        })
        .unwrap_or_default()
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Runs the program that this process was called as.
pub fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let root = Root::new(Path::new("/"));
    let name = args.first().and_then(|path| path.rsplit('/').next());
    let reply = match (name.unwrap_or_default(), args.get(1).map(String::as_str)) {
        ("guest-shim", Some("init")) => return init::run(&root),
        ("guest-shim", Some("job")) => return job::supervise(&root, &args[2..]),
        (name, _) => run(&root, name, &args[1.min(args.len())..]),
    };
    // Whoever called may have closed its end.
    let _ = io::stdout().write_all(reply.out.as_bytes());
    let _ = io::stderr().write_all(reply.err.as_bytes());
    ExitCode::from(reply.code)
}

fn run(root: &Root, name: &str, args: &[String]) -> Reply {
    match name {
        "docker" => docker::run(root, args),
        "docker-compose" => compose::run(root, plugin_args(args)),
        "dockerd" => docker::daemon::run(root, args),
        "containerd" | "runc" => host::version(name),
        "apt" | "apt-get" => apt::get(root, args),
        "apt-mark" => apt::mark(root, args),
        "apt-cache" => apt::cache(root, args),
        "apt-helper" => apt::helper(root, args),
        "dpkg" => dpkg::dpkg(root, args),
        "dpkg-query" => dpkg::query(root, args),
        "systemctl" => systemctl::run(root, args),
        "systemd-run" => job::run(root, args),
        "cloud-init" => cloudinit::run(root, args),
        "blkid" | "blockdev" | "df" | "e2fsck" | "findmnt" | "growpart" | "head" | "lsblk"
        | "mkfs" | "mkfs.ext4" | "mkfs.xfs" | "mount" | "mountpoint" | "resize2fs" | "umount"
        | "wipefs" | "xfs_growfs" => disks::run(root, name, args),
        _ => host::run(root, name, args),
    }
}

/// A Compose plugin is called as `docker-compose compose ..` by the CLI, without by people.
fn plugin_args(args: &[String]) -> &[String] {
    match args.first().map(String::as_str) {
        Some("compose") => &args[1..],
        _ => args,
    }
}
