//! The description of a VM that the hypervisor gets when it is powered on.
//!
//! It is made of the configuration and the volumes; what cannot start is refused here.

use super::drives;
use super::{Vm, memory_mib};
use crate::simulator::machine::{Disk, Nic, Spec};
use crate::simulator::reply::Fail;
use crate::simulator::rules::property::{self, Properties};
use crate::simulator::rules::set;
use crate::simulator::world::State;

/// Whether the agent is enabled in a configuration; `None` if nothing is said.
pub(crate) fn agent(vm: &Vm) -> Option<bool> {
    let text = vm.config.get("agent")?;
    let found = property::parse(set("agent"), text).unwrap_or_default();
    Some(found.get("enabled").is_some_and(|is| is == "1"))
}

/// A disk as the guest gets it.
pub(crate) fn disk(state: &State, node: &str, slot: &str, drive: &Properties) -> Disk {
    let volume = drive.get("file").cloned().unwrap_or_default();
    let serial = drive.get("serial").map(|serial| {
        percent_encoding::percent_decode_str(serial)
            .decode_utf8_lossy()
            .into_owned()
    });
    let known = state.volume(node, &volume);
    Disk {
        slot: slot.to_owned(),
        bytes: known.map_or_else(|| drives::bytes(drive), |volume| volume.virtual_bytes),
        image: known.and_then(|volume| volume.image.clone()),
        volume,
        serial,
    }
}

/// Describes the VM, or tells why it cannot start.
pub(crate) fn spec(state: &State, vm: &Vm) -> Result<Spec, Fail> {
    state.check_mappings(&vm.node, &vm.config)?;
    let mut spec = Spec {
        vmid: vm.vmid,
        node: vm.node.clone(),
        name: vm.name(),
        memory_mib: memory_mib(&vm.config),
        cores: vm.cores(),
        nics: Vec::new(),
        disks: Vec::new(),
        cdrom: None,
        agent: agent(vm) == Some(true),
    };
    for (key, text) in &vm.config {
        if drives::is_drive(key) {
            let drive = drives::parse(key, text);
            let file = drive.get("file").map_or("none", String::as_str);
            if matches!(file, "none" | "cdrom") || file.starts_with('/') {
                continue;
            }
            let volume = state.existing(&vm.node, file)?;
            if drives::is_cdrom(&drive) {
                if !volume.data.is_empty() {
                    spec.cdrom = Some(volume.data.to_vec());
                }
            } else if !matches!(key.as_str(), "efidisk0" | "tpmstate0") {
                spec.disks.push(disk(state, &vm.node, key, &drive));
            }
        } else if key.starts_with("net") && key[3..].parse::<u32>().is_ok() {
            let card = property::parse(set("net"), text).unwrap_or_default();
            let bridge = card.get("bridge").cloned().unwrap_or_default();
            let known = state.node(&vm.node)?.network.has_bridge(&bridge);
            if !known && !bridge.is_empty() {
                return Err(Fail::died(format!("bridge '{bridge}' does not exist")));
            }
            let mac = card.get("macaddr").cloned().unwrap_or_default();
            spec.nics.push(Nic {
                slot: key.clone(),
                mac,
                bridge,
            });
        }
    }
    Ok(spec)
}
