//! What a template and a storage say of themselves before anything is made of them.

/// What the names of templates begin with that have no systemd.
const NO_SYSTEMD: [&str; 3] = ["alpine-", "devuan-", "gentoo-"];
/// Likewise, whose systemd is too old for cgroup v2, the only one that Proxmox VE 9 has.
const NO_CGROUP_V2: [&str; 7] = [
    "centos-6-",
    "centos-7-",
    "debian-7",
    "debian-8",
    "ubuntu-12",
    "ubuntu-14",
    "ubuntu-16",
];
/// Likewise, that have no apt.
const NO_APT: [&str; 6] = [
    "almalinux-",
    "archlinux-",
    "centos-",
    "fedora-",
    "opensuse-",
    "rockylinux-",
];

/// Why a template, a volume id, does not become a Docker host, with what to do instead. A template is known by its name
/// as that of Proxmox VE's list; others may be anything.
pub(super) fn unfit(template: &str, installs: bool) -> Option<(&'static str, &'static str)> {
    let name = template.rsplit(['/', ':']).next().unwrap_or_default();
    let is = |names: &[&str]| names.iter().any(|start| name.starts_with(start));
    match () {
        () if is(&NO_SYSTEMD) => Some((
            "The template has no systemd",
            "Docker is run and looked after by systemd. Take a template of Debian or Ubuntu.",
        )),
        () if is(&NO_CGROUP_V2) => Some((
            "The template is too old",
            "Its systemd knows nothing of cgroup v2, without which neither it nor Docker runs here. Take a template of Debian 12, Ubuntu 22.04 or later.",
        )),
        () if is(&NO_APT) && installs => Some((
            "The template has no apt",
            "Docker is installed with apt. Take a template of Debian or Ubuntu, or one of your own that brings Docker, with docker = { source = \"preinstalled\" }.",
        )),
        () => None,
    }
}

/// What to mind where Docker stores on a storage of this type.
pub(super) fn mind(kind: &str) -> Option<&'static str> {
    match kind {
        "zfspool" => Some(
            "Its volumes are filesystems of ZFS, on which Docker's overlay2 takes OpenZFS 2.2 (Proxmox VE 8.1). The apply fails rather than let Docker fall back to vfs. A data_volume on lvmthin or dir is ext4, and faster.",
        ),
        "btrfs" => Some(
            "Its volumes are subvolumes of Btrfs, which Docker and the snapshots of Proxmox VE both cut up. A data_volume on lvmthin or dir is ext4, and faster.",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, installs: bool, expected: Option<&str>) {
        let why = unfit(&format!("local:vztmpl/{template}"), installs);
        assert_eq!(why.map(|(summary, _)| summary), expected, "{template}");
    }

    #[test]
    fn templates_are_known_by_their_names() {
        let (init, old, apt) = (
            Some("The template has no systemd"),
            Some("The template is too old"),
            Some("The template has no apt"),
        );
        check("debian-13-standard_13.1-2_amd64.tar.zst", true, None);
        check("ubuntu-24.04-standard_24.04-2_amd64.tar.zst", true, None);
        check("turnkey-core-18.1.tar.gz", true, None);
        check("alpine-3.22-default_20250617_amd64.tar.xz", true, init);
        check("alpine-3.22-default_20250617_amd64.tar.xz", false, init);
        check("centos-7-default_20190926_amd64.tar.xz", false, old);
        check("debian-8.0-standard_8.11-1_amd64.tar.gz", true, old);
        check("ubuntu-16.04-standard_16.04.5-1_amd64.tar.gz", true, old);
        check("centos-9-stream-default_20240828_amd64.tar.xz", true, apt);
        check("fedora-42-default_20250428_amd64.tar.xz", true, apt);
        check("fedora-42-default_20250428_amd64.tar.xz", false, None);
    }
}
