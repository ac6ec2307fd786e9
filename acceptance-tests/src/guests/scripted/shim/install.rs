//! What packages are there, what they put into a guest, and the files that a guest begins with.

use std::io;
use std::os::unix::fs::symlink;

use super::{Root, dpkg};

/// Packages that apt can install, with the versions of Debian 13.
const AVAILABLE: &[(&str, &str)] = &[
    ("apparmor", "4.1.0-1"),
    ("apt-transport-https", "3.0.3"),
    ("bridge-utils", "1.7.1-4"),
    ("ca-certificates", "20250419"),
    ("chrony", "4.6.1-3"),
    ("cifs-utils", "2:7.4-1"),
    ("cloud-guest-utils", "0.33-1"),
    ("cloud-init", "25.1.4-1"),
    ("containerd", "1.7.24~ds1-6+b4"),
    ("curl", "8.14.1-2"),
    ("docker-buildx", "0.13.1+ds1-3"),
    ("docker-cli", "26.1.5+dfsg1-9+b9"),
    ("docker-compose", "2.26.1-4"),
    ("docker.io", "26.1.5+dfsg1-9+b9"),
    ("e2fsprogs", "1.47.2-3"),
    ("git", "1:2.47.3-0"),
    ("gnupg", "2.4.7-21"),
    ("htop", "3.4.1-5"),
    ("iproute2", "6.15.0-1"),
    ("iptables", "1.8.11-2"),
    ("jq", "1.7.1-6"),
    ("kmod", "34.2-2"),
    ("linux-image-cloud-amd64", "6.12.41-1"),
    ("nfs-common", "1:2.8.3-1"),
    ("nftables", "1.1.3-1"),
    ("openssh-server", "1:10.0p1-7"),
    ("parted", "3.6-5"),
    ("pigz", "2.8-1"),
    ("procps", "2:4.0.4-9"),
    ("qemu-guest-agent", "1:10.0.2+ds-2"),
    ("rclone", "1.60.1+dfsg-4"),
    ("restic", "0.18.0-1"),
    ("rsync", "3.4.1+ds1-5"),
    ("runc", "1.1.15+ds1-2+b4"),
    ("sudo", "1.9.16p2-3"),
    ("util-linux", "2.41-5"),
    ("vim", "2:9.1.1230-2"),
    ("xfsprogs", "6.13.0-2"),
];

/// What Docker's own repository adds, once a source names it.
const FROM_DOCKER: &[(&str, &str)] = &[
    ("containerd.io", "1.7.24-1"),
    ("docker-buildx-plugin", "0.13.1-1~debian.13~trixie"),
    ("docker-ce", "5:26.1.5-1~debian.13~trixie"),
    ("docker-ce-cli", "5:26.1.5-1~debian.13~trixie"),
    ("docker-ce-rootless-extras", "5:26.1.5-1~debian.13~trixie"),
    ("docker-compose-plugin", "2.26.1-1~debian.13~trixie"),
];

/// What a cloud image brings.
const PREINSTALLED: &[&str] = &[
    "ca-certificates",
    "cloud-guest-utils",
    "cloud-init",
    "curl",
    "e2fsprogs",
    "iproute2",
    "kmod",
    "openssh-server",
    "procps",
    "sudo",
    "util-linux",
];

const DEPENDS: &[(&str, &[&str])] = &[
    ("docker.io", &["containerd", "runc", "iptables"]),
    ("docker-compose", &["docker-cli"]),
    ("docker-ce", &["docker-ce-cli", "containerd.io", "iptables"]),
    ("docker-compose-v2", &["docker.io"]),
];

const CONFLICTS: &[(&str, &[&str])] = &[
    ("docker.io", &["docker-ce", "docker-ce-rootless-extras"]),
    ("docker-ce", &["docker.io"]),
    ("docker-cli", &["docker-ce-cli", "podman-docker"]),
    ("docker-ce-cli", &["docker-cli"]),
    ("docker-compose", &["docker-compose-plugin"]),
    (
        "docker-compose-plugin",
        &["docker-compose", "docker-compose-v2"],
    ),
    ("containerd.io", &["containerd", "runc"]),
    ("containerd", &["containerd.io"]),
];

const PLUGIN: &str = "usr/libexec/docker/cli-plugins/docker-compose";

/// The stand-ins that come and go with a package.
const FILES: &[(&str, &[&str])] = &[
    ("docker.io", &["usr/sbin/dockerd"]),
    ("docker-cli", &["usr/bin/docker"]),
    ("docker-ce", &["usr/bin/dockerd"]),
    ("docker-ce-cli", &["usr/bin/docker"]),
    ("docker-compose", &[PLUGIN, "usr/bin/docker-compose"]),
    ("docker-compose-v2", &[PLUGIN]),
    ("docker-compose-plugin", &[PLUGIN]),
    ("containerd", &["usr/bin/containerd"]),
    ("containerd.io", &["usr/bin/containerd", "usr/bin/runc"]),
    ("runc", &["usr/sbin/runc"]),
    ("qemu-guest-agent", &["usr/sbin/qemu-ga"]),
    ("xfsprogs", &["usr/sbin/mkfs.xfs", "usr/sbin/xfs_growfs"]),
    ("nfs-common", &["usr/sbin/mount.nfs"]),
    ("cifs-utils", &["usr/sbin/mount.cifs"]),
];

/// The candidate version of a package, if apt knows it.
pub(super) fn candidate(root: &Root, name: &str) -> Option<&'static str> {
    let find = |list: &[(&str, &'static str)]| {
        list.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, version)| *version)
    };
    if is_ubuntu(root) {
        match name {
            "docker-compose-v2" => return Some("2.26.1+ds1-0ubuntu1~24.04.1"),
            // Part of docker.io there.
            "docker-cli" | "docker-compose" => return None,
            _ => {}
        }
    }
    find(AVAILABLE).or_else(|| has_docker_source(root).then(|| find(FROM_DOCKER)).flatten())
}

pub(super) fn depends(name: &str) -> &'static [&'static str] {
    entry(DEPENDS, name)
}

pub(super) fn conflicts(name: &str) -> &'static [&'static str] {
    entry(CONFLICTS, name)
}

fn entry(table: &[(&str, &'static [&'static str])], name: &str) -> &'static [&'static str] {
    let found = table.iter().find(|(key, _)| *key == name);
    found.map_or(&[], |(_, list)| list)
}

fn is_ubuntu(root: &Root) -> bool {
    root.read("/etc/os-release")
        .is_some_and(|text| text.contains("ID=ubuntu"))
}

fn has_docker_source(root: &Root) -> bool {
    let sources = std::fs::read_dir(root.path("/etc/apt/sources.list.d"));
    sources.into_iter().flatten().flatten().any(|file| {
        let text = std::fs::read_to_string(file.path()).unwrap_or_default();
        text.lines()
            .any(|line| !line.starts_with('#') && line.contains("docker"))
    })
}

/// Puts a package's programs into the guest.
pub(super) fn unpack(root: &Root, name: &str) -> io::Result<()> {
    // Ubuntu's docker.io brings the command line too.
    let client: &[&str] = if name == "docker.io" && is_ubuntu(root) {
        &["usr/bin/docker"]
    } else {
        &[]
    };
    for file in entry(FILES, name).iter().chain(client) {
        let path = root.path(file);
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        if !path.is_symlink() {
            symlink("/shim/guest-shim", path)?;
        }
    }
    if dpkg::docker(root).is_some() {
        let group = root.read("/etc/group").unwrap_or_default();
        if !group.contains("\ndocker:") {
            root.write("/etc/group", format!("{group}docker:x:990:\n"))?;
        }
        std::fs::create_dir_all(root.path("/etc/docker"))?;
    }
    Ok(())
}

/// Takes a removed package's programs out of the guest.
pub(super) fn remove_files(root: &Root, name: &str) {
    let client: &[&str] = if name == "docker.io" && is_ubuntu(root) {
        &["usr/bin/docker"]
    } else {
        &[]
    };
    for file in entry(FILES, name).iter().chain(client) {
        let _ = std::fs::remove_file(root.path(file));
    }
}

/// Installs what the image brings; Docker and the agent when the image's name says `docker`.
pub(in super::super) fn preinstall(root: &Root, image: &str) -> io::Result<()> {
    let with_docker: &[&str] = match image.contains("docker") {
        true if is_ubuntu(root) => &[
            "docker.io",
            "docker-compose-v2",
            "containerd",
            "runc",
            "iptables",
            "qemu-guest-agent",
        ],
        true => &[
            "docker.io",
            "docker-cli",
            "docker-compose",
            "containerd",
            "runc",
            "iptables",
            "qemu-guest-agent",
        ],
        false => &[],
    };
    for name in PREINSTALLED.iter().chain(with_docker) {
        dpkg::record(root, name, candidate(root, name).unwrap_or("1.0-1"));
        unpack(root, name)?;
    }
    Ok(())
}

/// The text files that a guest begins with, by path.
pub(in super::super) fn base_files(image: &str, name: &str) -> Vec<(&'static str, String)> {
    let release = if image.contains("ubuntu") || image.contains("noble") {
        "PRETTY_NAME=\"Ubuntu 24.04.3 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\nVERSION=\"24.04.3 LTS (Noble Numbat)\"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\nUBUNTU_CODENAME=noble\n"
    } else if image.contains("debian-12") || image.contains("bookworm") {
        "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n"
    } else {
        "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"13\"\nVERSION=\"13 (trixie)\"\nVERSION_CODENAME=trixie\nID=debian\n"
    };
    let machine_id = super::sha256(format!("{name} {}", super::now()).as_bytes());
    vec![
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nsshd:x:102:65534:sshd user:/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n".to_owned()),
        ("etc/group", "root:x:0:\ndaemon:x:1:\nadm:x:4:\nsudo:x:27:\nusers:x:100:\nnogroup:x:65534:\n".to_owned()),
        ("etc/shadow", "root:*:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\nnobody:*:20000:0:99999:7:::\n".to_owned()),
        ("etc/gshadow", "root:*::\ndaemon:*::\nadm:*::\nsudo:*::\nusers:*::\nnogroup:*::\n".to_owned()),
        ("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n".to_owned()),
        ("etc/hostname", format!("{}\n", name.split('.').next().unwrap_or_default())),
        ("etc/hosts", format!("127.0.0.1 localhost\n127.0.1.1 {name}\n")),
        ("etc/fstab", "UUID=0b6e1c1a-73a7-4a43-9e39-4d1d0d5f9f10 / ext4 rw,discard,errors=remount-ro 0 1\n".to_owned()),
        ("etc/machine-id", format!("{}\n", &machine_id[..32])),
        ("etc/os-release", release.to_owned()),
        ("etc/debian_version", "13.1\n".to_owned()),
        ("etc/resolv.conf", "# no name server\n".to_owned()),
        ("etc/shells", "/bin/sh\n/bin/bash\n".to_owned()),
        ("var/lib/dpkg/lock-frontend", String::new()),
        ("var/lib/dpkg/status", String::new()),
    ]
}
