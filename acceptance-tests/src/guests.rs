//! Guests that the simulator starts: real ones in namespaces, or scripted ones.
//!
//! A real guest is a Debian with systemd, cloud-init, the QEMU guest agent and Docker, in namespaces of the machine's
//! own kernel: it boots in seconds and needs no virtualisation. A real container is one of LXC. All of them live below
//! one process, the [`Lab`], in a network of their own without a way out but to the Debian mirror.

mod agent;
pub mod cd;
mod disks;
mod guest;
mod image;
mod lab;
mod lxc;
mod lxc_files;
mod names;
mod network;
mod nodes;
mod registry;
mod requirements;
mod rootfs;
pub mod scripted;
mod seed;
pub mod shell;
pub mod sshd;
mod terminal;

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

pub use lab::Lab;
pub use network::Forward;
pub use rootfs::Rootfs;

/// Where file systems of guests are kept between runs, and what labs need while they run: `PMOVES_CACHE`, else
/// `/var/cache/pmoves` for root, else `pmoves` in the practitioner's own cache.
pub fn cache() -> PathBuf {
    if let Some(chosen) = std::env::var_os("PMOVES_CACHE") {
        return chosen.into();
    }
    if is_root() {
        return "/var/cache/pmoves".into();
    }
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(home, PathBuf::from)
        .join("pmoves")
}

/// Whether a guest can grow an ext4 file system that is mounted. Linux wants `CAP_SYS_RESOURCE` for it
/// (fs/ext4/ioctl.c, `ext4_resize_begin`), which root of a container or sandbox may lack; unmounted it always grows.
pub fn can_grow_mounted_ext4() -> bool {
    const SYS_RESOURCE: u64 = 1 << 24;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let held = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    held.and_then(|held| u64::from_str_radix(held.trim(), 16).ok())
        .is_some_and(|held| held & SYS_RESOURCE != 0)
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
