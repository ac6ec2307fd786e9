//! The directory tree of a scripted guest, and the script that makes it the root of a namespace.
//!
//! Programs are links to the machine's own read-only `/usr`, or to `guest-shim`; nothing else of
//! this machine can be seen from inside.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::shim;
use crate::simulator::machine::Spec;

/// First id of the range that root maps its guests to, so that a guest's root is nobody here.
const FIRST_ID: u32 = 100_000;
const IDS: u32 = 65_536;

/// Runs as pid 1 of the new namespaces, in the guest's directory. Waits for the id map, builds the
/// root, and stays as the parent that reaps orphans while init runs.
pub(super) const ENTER: &str = r#"
set -e
echo mapping
read -r _
setup='
set -e
robind() {
  mount --bind "$1" "$2"
  options=$(findmnt -nro VFS-OPTIONS -T "$1" | tail -n 1)
  mount -o "remount,bind,ro,$(printf %s "$options" | sed "s/^rw,*//")" "$2"
}
mount --bind root root
cd root
robind /usr .host/usr
robind ../../../shim shim
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys 2>/dev/null || :
for dir in sys/block sys/class/block; do mount -t tmpfs -o ro tmpfs $dir 2>/dev/null || :; done
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
mkdir -p run/lock run/shim dev/pts dev/shm dev/disk/by-id
for node in null zero full random urandom tty; do
  [ -e /dev/$node ] || continue
  : >dev/$node
  mount --bind /dev/$node dev/$node
done
if [ -e ../../../block ]; then : >dev/.block; mount --bind ../../../block dev/.block; fi
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
pivot_root . .old
cd /
/.host/usr/bin/umount -l /.old
/shim/guest-shim init
exit $?
'
if [ "$1" = shifted ]; then
  exec setpriv --reuid 0 --regid 0 --clear-groups /bin/sh -c "$setup"
fi
exec /bin/sh -c "$setup"
"#;

/// Programs of this machine that a guest must not find before it installs them, or at all.
const HIDDEN: &[&str] = &[
    "docker",
    "dockerd",
    "docker-compose",
    "docker-proxy",
    "docker-init",
    "containerd",
    "ctr",
    "containerd-shim-runc-v2",
    "runc",
    "podman",
    "qemu-ga",
    "qm",
    "pct",
    "pvesh",
    "pveversion",
    "pveum",
    "pvecm",
    "vzdump",
    "snap",
    "fuser",
    "mkfs.xfs",
    "xfs_growfs",
    "xfs_repair",
    // Container images of Debian forbid every start with it.
    "policy-rc.d",
];

/// What this machine lacks, in one sentence.
pub(super) fn available() -> Result<(), String> {
    for tool in [
        "unshare",
        "mount",
        "umount",
        "pivot_root",
        "setpriv",
        "findmnt",
        "ip",
    ] {
        let found = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
            .iter()
            .any(|dir| Path::new(dir).join(tool).exists());
        if !found {
            return Err(format!("scripted guests need the program `{tool}`"));
        }
    }
    if !fs::symlink_metadata("/bin").is_ok_and(|bin| bin.is_symlink()) {
        return Err("scripted guests need a Linux whose /bin is a link to /usr/bin".to_owned());
    }
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "--pid",
            "--net",
            "--fork",
        ])
        .args(["--mount-proc", "true"])
        .output()
        .map_err(|error| {
            format!("scripted guests need `unshare`, which does not start: {error}")
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "scripted guests need user, mount, pid and network namespaces, which this machine refuses: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    ))
}

/// The directory of one guest.
pub(super) fn guest(base: &Path, vmid: u32) -> PathBuf {
    base.join("guests").join(vmid.to_string())
}

/// `guest-shim` beside the running program, else as Cargo builds it.
pub(super) fn find_shim() -> Result<PathBuf, String> {
    let exe = std::env::current_exe().map_err(|error| error.to_string())?;
    let beside = exe
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("guest-shim"));
    if let Some(shim) = beside.into_iter().find(|shim| shim.exists()) {
        return Ok(shim);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--bin", "guest-shim", "--message-format=json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run Cargo to build guest-shim: {error}"))?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "guest-shim")
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
        .ok_or_else(|| "Cargo did not build guest-shim".to_owned())
}

/// The directory that all guests of a hypervisor live in, with its copy of the shim.
pub(super) fn base(shim: &Path) -> io::Result<TempDir> {
    let base = tempfile::Builder::new()
        .prefix("scripted-guests-")
        .permissions(fs::Permissions::from_mode(0o711))
        .tempdir()?;
    fs::create_dir_all(base.path().join("shim"))?;
    fs::create_dir_all(base.path().join("guests"))?;
    fs::copy(shim, base.path().join("shim/guest-shim"))?;
    block_node(&base.path().join("block"));
    Ok(base)
}

/// A block device node that guests see as their disks and can never open, where one can be had.
fn block_node(path: &Path) {
    let made = Command::new("mknod")
        .arg(path)
        .args(["b", "240", "255"])
        .stderr(Stdio::null())
        .status();
    if made.is_ok_and(|status| status.success()) {
        return;
    }
    let Ok(devices) = fs::read_dir("/dev") else {
        return;
    };
    let locked = devices.flatten().map(|entry| entry.path()).find(|device| {
        fs::metadata(device).is_ok_and(|node| node.file_type().is_block_device())
            && fs::File::open(device)
                .is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    });
    if let Some(device) = locked {
        // Without a node `test -b` is false in the guest; nothing else depends on it.
        let _ = symlink(device, path);
    }
}

/// Makes the guest's files unless they are there from an earlier boot.
pub(super) fn create(dir: &Path, spec: &Spec) -> io::Result<()> {
    let root = dir.join("root");
    if root.exists() {
        return Ok(());
    }
    for dir in [
        ".host/usr",
        ".old",
        "shim",
        "proc",
        "sys",
        "dev",
        "run",
        "tmp",
        "root",
        "home",
        "srv",
        "mnt",
        "media",
        "boot",
        "opt",
        ".volumes",
        "etc/apt/sources.list.d",
        "etc/apt/keyrings",
        "etc/apt/preferences.d",
        "etc/apt/apt.conf.d",
        "etc/systemd/system",
        "etc/ssl/certs",
        "etc/cloud/cloud.cfg.d",
        "etc/sysctl.d",
        "etc/modules-load.d",
        "etc/default",
        "usr/bin",
        "usr/sbin",
        "usr/libexec",
        "usr/local/bin",
        "usr/local/sbin",
        "usr/local/lib",
        "usr/local/etc",
        "usr/local/share/ca-certificates",
        "var/lib/shim",
        "var/lib/dpkg",
        "var/lib/apt/lists",
        "var/lib/cloud",
        "var/log",
        "var/cache/apt",
        "var/spool",
        "var/tmp",
    ] {
        fs::create_dir_all(root.join(dir))?;
    }
    symlink("/run", root.join("var/run"))?;
    for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
            symlink(target, root.join(name))?;
        }
    }
    programs(&root)?;
    let image = spec.disks.iter().find_map(|disk| disk.image.as_deref());
    let files = shim::install::base_files(image.unwrap_or_default(), &spec.name);
    for (path, text) in files {
        fs::write(root.join(path), text)?;
    }
    for path in ["etc/alternatives", "etc/ld.so.cache", "etc/login.defs"] {
        // Absent on some machines; then nothing needs it.
        let _ = copy_tree(&Path::new("/").join(path), &root.join(path));
    }
    shim::install::preinstall(&shim::Root::new(&root), image.unwrap_or_default())?;
    fs::set_permissions(root.join("var/tmp"), fs::Permissions::from_mode(0o1777))?;
    if shifted_ids() {
        give_away(dir)?;
    }
    Ok(())
}

fn programs(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir("/usr")?.flatten() {
        let name = entry.file_name();
        let link = root.join("usr").join(&name);
        if !link.exists() {
            symlink(Path::new("/.host/usr").join(&name), link)?;
        }
    }
    for dir in ["bin", "sbin", "libexec"] {
        let Ok(entries) = fs::read_dir(Path::new("/usr").join(dir)) else {
            continue;
        };
        for name in entries.flatten().map(|entry| entry.file_name()) {
            let text = name.to_string_lossy();
            if HIDDEN.contains(&&*text) || shim::PROGRAMS.contains(&&*text) || text == "docker" {
                continue;
            }
            let target = Path::new("/.host/usr").join(dir).join(&name);
            symlink(target, root.join("usr").join(dir).join(&name))?;
        }
    }
    for name in shim::PROGRAMS {
        symlink("/shim/guest-shim", root.join("usr/bin").join(name))?;
        symlink("/shim/guest-shim", root.join("usr/sbin").join(name))?;
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if from.is_file() {
        return fs::copy(from, to).map(|_| ());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)?.flatten() {
        copy_tree(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Whether guests get ids of their own, which only root can give; otherwise they have just one.
pub(super) fn shifted_ids() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let ids = map
        .split_whitespace()
        .nth(2)
        .and_then(|ids| ids.parse().ok());
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    root && ids.is_some_and(|ids: u32| ids >= FIRST_ID + IDS)
}

pub(super) fn write_id_maps(pid: u32) -> io::Result<()> {
    let map = format!("0 {FIRST_ID} {IDS}");
    fs::write(format!("/proc/{pid}/uid_map"), &map)?;
    fs::write(format!("/proc/{pid}/gid_map"), &map)
}

/// Hands a tree to the guests' root.
fn give_away(path: &Path) -> io::Result<()> {
    std::os::unix::fs::lchown(path, Some(FIRST_ID), Some(FIRST_ID))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)?.flatten() {
            give_away(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a guest's files; what is still busy goes with the base directory.
pub(super) fn remove(dir: &Path) {
    let _ = fs::remove_dir_all(dir);
}
