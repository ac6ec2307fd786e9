//! What a machine must have so that real guests run on it.
//!
//! Installs nothing: it says what is missing, and how to get it.

use std::path::Path;
use std::process::Command;

/// Programs, and the Debian packages that hold them.
const PROGRAMS: [(&str, &str); 10] = [
    ("mmdebstrap", "mmdebstrap"),
    ("arch-test", "arch-test"),
    ("dnsmasq", "dnsmasq-base"),
    ("docker-registry", "docker-registry"),
    ("ip", "iproute2"),
    ("awk", "mawk"),
    ("find", "findutils"),
    ("losetup", "mount"),
    ("setpriv", "util-linux"),
    ("nsenter", "util-linux"),
];

/// Tries what the lab does, in namespaces of its own. What fails is the last line on stderr.
const TRIAL: &str = r#"
set -e
try() { what=$1; shift; "$@" >/dev/null 2>&1 || { echo "$what" >&2; exit 1; }; }
try "mounts cannot be made private" mount --make-rprivate /
cd "$1"
mkdir lower upper work merged
try "no overlay can be mounted in $2 (another file system may do: set PMOVES_CACHE)" \
  mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged
try "no bridge can be made (is the kernel module bridge loaded?)" ip link add trial0 type bridge
try "no veth pair can be made (is the kernel module veth loaded?)" ip link add trial1 type veth peer name trial2
try "no user namespace can be made (see the kernel's setting user.max_user_namespaces)" unshare --user true
truncate -s 1M disk
device=$(losetup --find --show disk 2>/dev/null) || { echo "no loop device can be attached" >&2; exit 1; }
losetup --detach "$device"
"#;

/// Tells whether real guests run on this machine.
///
/// # Errors
/// The reason why not, in one sentence.
pub(crate) fn check() -> Result<(), String> {
    if !super::is_root() {
        return Err("real guests need root, for namespaces, mounts and loop devices".to_owned());
    }
    let missing: Vec<(&str, &str)> = PROGRAMS
        .into_iter()
        .filter(|(program, _)| !is_installed(program))
        .collect();
    if !missing.is_empty() {
        let (programs, packages): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
        return Err(format!(
            "real guests need {}: apt-get install --no-install-recommends {}",
            programs.join(", "),
            packages.join(" ")
        ));
    }
    let cache = super::cache();
    let directory = std::fs::create_dir_all(&cache)
        .and_then(|()| tempfile::Builder::new().prefix("trial-").tempdir_in(&cache))
        .map_err(|error| {
            format!(
                "real guests need a directory that can be written, and {} is none: {error}",
                cache.display()
            )
        })?;
    let tried = Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--pid",
            "--uts",
            "--ipc",
            "--cgroup",
            "--fork",
            "--kill-child",
            "bash",
            "-c",
            TRIAL,
            "trial",
        ])
        .args([directory.path(), &cache])
        .output()
        .map_err(|error| format!("real guests need unshare, and it does not start: {error}"))?;
    if tried.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&tried.stderr);
    Err(format!(
        "real guests do not run here: {}",
        said.lines().last().unwrap_or("no namespaces can be made")
    ))
}

/// Whether a program is on the path, or where root's are.
fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| {
            let file: &Path = &directory.join(program);
            file.is_file()
        })
}
