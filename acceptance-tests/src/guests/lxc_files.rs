//! The files that a node writes for a container: LXC's configuration, and what goes into its root.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::rootfs::{self, Rootfs};
use crate::simulator::container::{ContainerNic, ContainerSpec};

/// What a template has not, or what only makes noise in a container that lives for a minute.
const MASKED: [&str; 9] = [
    "qemu-guest-agent.service",
    "systemd-resolved.service",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "fstrim.timer",
];
const GETTY: &str = "usr/lib/systemd/system/container-getty@.service";

/// Writes the files below the container's `directory`: `config`, `once` for a new root and `always` for each start.
///
/// # Errors
/// Where they cannot be written.
pub(crate) fn write(
    run: &Path,
    directory: &Path,
    rootfs: &Rootfs,
    spec: &ContainerSpec,
) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("config"), config(run, spec))?;
    for name in ["once", "always"] {
        rootfs::remove(&directory.join(name)).map_err(io::Error::other)?;
    }
    once(run, &directory.join("once"), rootfs, spec)?;
    always(&directory.join("always"), spec)
}

fn once(run: &Path, once: &Path, rootfs: &Rootfs, spec: &ContainerSpec) -> io::Result<()> {
    // The lab's registry is trusted by everything in the lab.
    for name in [
        "etc/ssl/certs/ca-certificates.crt",
        "usr/local/share/ca-certificates/registry.crt",
    ] {
        put(
            once,
            name,
            &fs::read_to_string(run.join("layer").join(name))?,
        )?;
    }
    put(once, "etc/machine-id", "")?;
    put(once, "etc/cloud/cloud-init.disabled", "")?;
    let units = once.join("etc/systemd/system");
    fs::create_dir_all(&units)?;
    for unit in MASKED {
        symlink("/dev/null", units.join(unit))?;
    }
    // Its terminals have these names.
    let getty = fs::read_to_string(rootfs.file(GETTY))?.replace("pts/%I", "tty%I");
    put(once, "etc/systemd/system/container-getty@.service", &getty)?;
    let system = "/usr/lib/systemd/system";
    for (target, unit, link) in [
        (
            "getty.target",
            "container-getty@.service",
            "container-getty@1.service",
        ),
        (
            "multi-user.target",
            "systemd-networkd.service",
            "systemd-networkd.service",
        ),
        (
            "network-online.target",
            "systemd-networkd-wait-online.service",
            "systemd-networkd-wait-online.service",
        ),
    ] {
        let wants = units.join(format!("{target}.wants"));
        fs::create_dir_all(&wants)?;
        symlink(format!("{system}/{unit}"), wants.join(link))?;
    }
    if let Some(keys) = &spec.ssh_keys {
        put(
            once,
            "root/.ssh/authorized_keys",
            &format!("{}\n", keys.trim_end()),
        )?;
        for private in ["root", "root/.ssh"] {
            fs::set_permissions(once.join(private), fs::Permissions::from_mode(0o700))?;
        }
    }
    Ok(())
}

fn always(always: &Path, spec: &ContainerSpec) -> io::Result<()> {
    let name = &spec.hostname;
    put(always, "etc/hostname", &format!("{name}\n"))?;
    let hosts = format!(
        "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 {name}\n"
    );
    put(always, "etc/hosts", &hosts)?;
    // Without a setting it asks whom the node asks.
    let servers = spec.nameservers.as_deref().unwrap_or("198.51.100.1");
    let servers: String = servers
        .split_whitespace()
        .map(|server| format!("nameserver {server}\n"))
        .collect();
    put(always, "etc/resolv.conf", &servers)?;
    for nic in &spec.nics {
        let file = format!("etc/systemd/network/{}.network", nic.name);
        put(always, &file, &network(nic))?;
    }
    Ok(())
}

fn put(root: &Path, name: &str, text: &str) -> io::Result<()> {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap_or(root))?;
    fs::write(path, text)
}

/// LXC's configuration. The script that starts the container adds mount points and the limit of memory.
fn config(run: &Path, spec: &ContainerSpec) -> String {
    let mut includes = vec!["common", "userns"];
    if spec.nesting {
        includes.push("nesting");
    }
    let mut config: String = includes
        .iter()
        .map(|name| format!("lxc.include = /usr/share/lxc/config/{name}.conf\n"))
        .collect();
    let hook = run.join("hook.sh");
    // Systemd is told where the machine has the version 1 of control groups; else it fails where version 2 has none.
    let mut init = "/sbin/init".to_owned();
    if Path::new("/sys/fs/cgroup/memory").is_dir() {
        init += " SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 systemd.unified_cgroup_hierarchy=0";
    }
    let (vmid, name) = (spec.vmid, &spec.hostname);
    let _ = write!(
        config,
        "lxc.idmap = u 0 100000 65536\n\
         lxc.idmap = g 0 100000 65536\n\
         lxc.uts.name = {name}\n\
         lxc.rootfs.path = dir:/srv/{vmid}/rootfs\n\
         lxc.apparmor.profile = unconfined\n\
         lxc.cgroup.relative = 1\n\
         lxc.tty.max = 2\n\
         lxc.environment = TERM=linux\n\
         lxc.init.cmd = {init}\n\
         lxc.hook.version = 1\n\
         lxc.hook.start-host = {hook}\n\
         lxc.hook.post-stop = {hook}\n",
        hook = hook.display(),
    );
    for (index, card) in spec.nics.iter().enumerate() {
        let slot = card.nic.slot.trim_start_matches("net");
        let _ = write!(
            config,
            "lxc.net.{index}.type = veth\n\
             lxc.net.{index}.link = {bridge}\n\
             lxc.net.{index}.veth.pair = veth{vmid}i{slot}\n\
             lxc.net.{index}.name = {name}\n\
             lxc.net.{index}.hwaddr = {mac}\n\
             lxc.net.{index}.flags = up\n",
            bridge = card.nic.bridge,
            name = card.name,
            mac = card.nic.mac,
        );
    }
    config
}

/// The settings of a card for systemd-networkd, as nodes write them for systems that use it.
fn network(nic: &ContainerNic) -> String {
    let mut text = format!("[Match]\nName = {}\n\n[Network]\n", nic.name);
    let is = |ip: &Option<String>, what: &str| ip.as_deref() == Some(what);
    let dhcp = match (is(&nic.ip, "dhcp"), is(&nic.ip6, "dhcp")) {
        (true, true) => "yes",
        (true, false) => "ipv4",
        (false, true) => "ipv6",
        (false, false) => "no",
    };
    let _ = writeln!(text, "DHCP = {dhcp}");
    for (ip, gateway) in [(&nic.ip, &nic.gateway), (&nic.ip6, &nic.gateway6)] {
        if let Some(ip) = ip.as_ref().filter(|ip| ip.contains('/')) {
            let _ = writeln!(text, "Address = {ip}");
        }
        if let Some(gateway) = gateway {
            let _ = writeln!(text, "Gateway = {gateway}");
        }
    }
    let _ = writeln!(text, "IPv6AcceptRA = {}", is(&nic.ip6, "auto"));
    text
}
