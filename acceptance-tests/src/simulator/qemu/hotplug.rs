//! Which changes of a configuration a running VM takes at once, and how pending ones are applied.
//!
//! What a change does inside the guest is not its business, beside disks that appear or grow.

use super::drives;
use super::{Config, Pending, Vm, volume_of};
use crate::simulator::machine::Disk;
use crate::simulator::rules::check::Errors;
use crate::simulator::rules::property::{self, Properties};
use crate::simulator::rules::set;
use crate::simulator::world::State;

/// Keys without effect on the guest.
const AT_ONCE: &[&str] = &[
    "description",
    "hookscript",
    "lock",
    "migrate_downtime",
    "migrate_speed",
    "name",
    "onboot",
    "protection",
    "shares",
    "startup",
    "tags",
    "vmstatestorage",
];

/// Drive options that need a new drive to change.
const FIXED: &[&str] = &[
    "aio", "cache", "discard", "iothread", "product", "queues", "ro", "ssd", "vendor",
];

/// Whether a running VM takes the change of `key` from `old` to `new` (`None` is absence).
pub(crate) fn is_live(config: &Config, key: &str, old: Option<&str>, new: Option<&str>) -> bool {
    let features = config
        .get("hotplug")
        .map_or("network,disk,usb", String::as_str);
    let has = |feature: &str| features == "1" || features.split(',').any(|one| one == feature);
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    match stem {
        _ if AT_ONCE.contains(&key) || super::allow::is_cloud_init(key) => true,
        "unused" | "cpulimit" | "cpuunits" => true,
        "balloon" => old.is_some_and(|b| b != "0") && new.is_some_and(|b| b != "0"),
        "agent" => same_but(set("agent"), old, new, &["fstrim_cloned_disks"]),
        "net" => has("network"),
        "usb" => has("usb"),
        "memory" => has("memory"),
        "vcpus" => has("cpu"),
        "hotplug" => !features.contains("cpu") && !features.contains("memory"),
        "ide" | "sata" | "scsi" | "virtio" => is_live_drive(key, stem, old, new, has("disk")),
        _ => false,
    }
}

fn is_live_drive(key: &str, bus: &str, old: Option<&str>, new: Option<&str>, disk: bool) -> bool {
    let plugs = disk && matches!(bus, "scsi" | "virtio");
    let (Some(old), Some(new)) = (old, new) else {
        return plugs;
    };
    let (old, new) = (drives::parse(key, old), drives::parse(key, new));
    if drives::is_cdrom(&old) && drives::is_cdrom(&new) {
        return true;
    }
    if old.get("file") != new.get("file") {
        return plugs;
    }
    FIXED
        .iter()
        .all(|option| old.get(*option) == new.get(*option))
}

fn same_but(
    rules: &crate::simulator::rules::RuleSet,
    old: Option<&str>,
    new: Option<&str>,
    but: &[&str],
) -> bool {
    let rest = |text: &str| -> Properties {
        let mut found = property::parse(rules, text).unwrap_or_default();
        found.retain(|key, _| !but.contains(&key.as_str()));
        found
    };
    old.map(rest) == new.map(rest)
}

/// Applies everything that is pending, as a start and a change of a stopped VM do.
pub(crate) fn apply_all(state: &mut State, vmid: u32) {
    let Some(vm) = state.vms.get(&vmid) else {
        return;
    };
    for key in vm.pending.keys().cloned().collect::<Vec<_>>() {
        apply(state, vmid, &key);
    }
}

/// Applies what a running VM takes at once, and tells which disks appeared in it. What cannot be applied stays
/// pending and is told by key.
pub(crate) fn apply_live(state: &mut State, vmid: u32) -> (Vec<Disk>, Errors) {
    let (mut attached, mut errors) = (Vec::new(), Errors::new());
    let Some(vm) = state.vms.get(&vmid) else {
        return (attached, errors);
    };
    for key in vm.pending.keys().cloned().collect::<Vec<_>>() {
        let Some(vm) = state.vms.get(&vmid) else {
            break;
        };
        let old = vm.config.get(&key).cloned();
        let new = match vm.pending.get(&key) {
            Some(Pending::Set(value)) => Some(value.clone()),
            _ => None,
        };
        if !is_live(&vm.config, &key, old.as_deref(), new.as_deref()) {
            continue;
        }
        let node = vm.node.clone();
        let bridge = new.as_deref().filter(|_| key.starts_with("net"));
        let bridge =
            bridge.and_then(|text| property::parse(set("net"), text).ok()?.remove("bridge"));
        let known = |bridge: &String| {
            let node = state.node(&node);
            node.is_ok_and(|node| node.network.has_bridge(bridge))
        };
        if let Some(bridge) = bridge.filter(|bridge| !known(bridge)) {
            errors.insert(
                key,
                format!("hotplug problem - bridge '{bridge}' does not exist\n"),
            );
            continue;
        }
        apply(state, vmid, &key);
        let volume = |text: &Option<String>| text.as_deref().and_then(|text| volume_of(&key, text));
        if let Some(text) = new
            .as_ref()
            .filter(|_| drives::is_drive(&key) && volume(&old) != volume(&new))
        {
            let drive = drives::parse(&key, text);
            if !drives::is_cdrom(&drive) {
                attached.push(super::spec::disk(state, &node, &key, &drive));
            }
        }
    }
    (attached, errors)
}

/// Moves one pending change into the configuration; a drive that goes becomes unused or is freed.
fn apply(state: &mut State, vmid: u32, key: &str) {
    let Some(vm) = state.vms.get_mut(&vmid) else {
        return;
    };
    let Some(change) = vm.pending.remove(key) else {
        return;
    };
    let old = vm.config.remove(key);
    let mut force = false;
    match change {
        Pending::Set(value) => {
            vm.config.insert(key.to_owned(), value);
        }
        Pending::Delete(forced) => force = forced,
    }
    if let Some(old) = old {
        let_go(state, vmid, key, &old, force || key.starts_with("unused"));
    }
    if let Some(vm) = state.vms.get_mut(&vmid).filter(|_| drives::is_drive(key)) {
        boot_without_missing(vm);
    }
}

/// Keeps the volume of a value as unused, or frees it; nothing happens if it is still in use.
pub(crate) fn let_go(state: &mut State, vmid: u32, key: &str, value: &str, free: bool) {
    let Some(vm) = state.vms.get_mut(&vmid) else {
        return;
    };
    let Some(volume) = volume_of(key, value).filter(|volume| !vm.holds(volume)) else {
        return;
    };
    let is_own_seed = drives::is_drive(key) && drives::is_cloudinit(&drives::parse(key, value));
    let node = vm.node.clone();
    if free || is_own_seed {
        state.free_volume(&node, &volume).ok();
    } else if let Some(slot) = vm.free_unused() {
        vm.config.insert(slot, volume);
    }
}

/// Takes drives that are gone out of the boot order.
fn boot_without_missing(vm: &mut Vm) {
    let Some(order) = vm
        .config
        .get("boot")
        .and_then(|boot| boot.strip_prefix("order="))
    else {
        return;
    };
    let kept: Vec<&str> = order
        .split(';')
        .filter(|key| !drives::is_drive(key) || vm.config.contains_key(*key))
        .collect();
    let boot = if kept.is_empty() {
        " ".to_owned()
    } else {
        format!("order={}", kept.join(";"))
    };
    vm.config.insert("boot".to_owned(), boot);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, old: Option<&str>, new: Option<&str>, live: bool) {
        assert_eq!(
            is_live(&Config::new(), key, old, new),
            live,
            "{key} {old:?} {new:?}"
        );
    }

    #[test]
    fn a_running_vm_takes_some_changes_at_once() {
        check("name", Some("a"), Some("b"), true);
        check("ipconfig0", None, Some("ip=dhcp"), true);
        check("cores", Some("1"), Some("2"), false);
        check("memory", Some("512"), Some("1024"), false);
        check(
            "net0",
            Some("virtio=BC:24:11:00:00:01,bridge=a"),
            Some("virtio=BC:24:11:00:00:01,bridge=b"),
            true,
        );
        check("scsi1", None, Some("a:vm-1-disk-0"), true);
        check("scsi1", Some("a:vm-1-disk-0"), None, true);
        check(
            "scsi1",
            Some("a:vm-1-disk-0"),
            Some("a:vm-1-disk-0,ssd=1"),
            false,
        );
        check(
            "scsi1",
            Some("a:vm-1-disk-0"),
            Some("a:vm-1-disk-0,mbps_rd=5"),
            true,
        );
        check("sata1", None, Some("a:vm-1-disk-0"), false);
        check(
            "ide2",
            Some("a:iso/x.iso,media=cdrom"),
            Some("none,media=cdrom"),
            true,
        );
        check("ide2", Some("a:iso/x.iso,media=cdrom"), None, false);
        check("agent", Some("1"), Some("1,fstrim_cloned_disks=1"), true);
        check("agent", Some("1"), Some("0"), false);
    }
}
