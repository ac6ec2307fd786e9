//! What starts by itself: with the guest, or with a package.

use std::process::{Command, Stdio};

use super::{SETTINGS, Settings, find, kind, start, stop};
use crate::guests::scripted::shim::{Root, docker};

fn units_of(package: &str) -> &'static [&'static str] {
    match package {
        "docker.io" | "docker-ce" => &["docker.service", "docker.socket"],
        "containerd" | "containerd.io" => &["containerd.service"],
        "qemu-guest-agent" => &["qemu-guest-agent.service"],
        _ => &[],
    }
}

/// What a package's installation starts, unless policy or a mask forbids it.
pub(in super::super) fn package_installed(root: &Root, package: &str) {
    let policy = root.path("/usr/sbin/policy-rc.d");
    let forbidden = policy.exists()
        && Command::new(policy)
            .stdin(Stdio::null())
            .status()
            .is_ok_and(|status| status.code() == Some(101));
    if !forbidden {
        for unit in units_of(package) {
            start(root, unit);
        }
    }
}

pub(in super::super) fn package_removed(root: &Root, package: &str) {
    for unit in units_of(package) {
        stop(root, unit);
    }
}

/// Starts what is enabled, as a boot does.
pub(in super::super) fn boot(root: &Root) {
    let mut names: Vec<String> = [
        "containerd.service",
        "docker.service",
        "qemu-guest-agent.service",
        "ssh.service",
        "multi-user.target",
    ]
    .map(str::to_owned)
    .to_vec();
    let own = root
        .load::<Settings>(SETTINGS)
        .into_iter()
        .filter(|(_, enabled)| *enabled);
    // Mounts come first, and the Engine's own units keep their order.
    let (mounts, others): (Vec<_>, Vec<_>) = own
        .map(|(name, _)| name)
        .partition(|name| kind(name) == "mount");
    names.splice(0..0, mounts);
    names.extend(others);
    for name in names {
        let unit = find(root, &name);
        if matches!(unit.file_state.as_str(), "enabled" | "static") && unit.active != "active" {
            start(root, &name);
        }
    }
}

/// Stops what must know that the guest ends.
pub(in super::super) fn shutdown(root: &Root) {
    if find(root, "docker.service").active == "active" {
        docker::daemon::stop(root);
    }
}
