//! What a clone takes: the copy itself, and then everything that is not to be as in its source.

use super::{
    super::{
        devices::{self, efi_drive},
        disks,
        model::DockerVm,
        values::{network, with_agent, with_backup},
    },
    DATA_SLOT, SEED_SLOT, moves, new_data_drive, resize, scalars, volumes,
};
use crate::{
    pve::{Call, Params, QemuConfig},
    resources::host::{checks::mebibytes, clones::CloneOf, volumes::bytes_of},
};

/// Clones a VM of `node` to the VMID.
pub(in super::super) fn clone(plan: &DockerVm, source: &CloneOf, node: &str, vmid: u32) -> Call {
    let full = source.full != Some(false);
    let os = plan
        .os_disk
        .as_ref()
        .and_then(|disk| disk.datastore_id.as_ref());
    let storage = source.datastore_id.as_ref().or(os);
    let params = Params::new()
        .with("newid", Some(vmid))
        .with("name", Some(&plan.name))
        .with("pool", plan.pool_id.as_deref())
        .flag("full", Some(full))
        .with("storage", storage.filter(|_| full));
    let source = source.vm_id.unwrap_or_default();
    Call::post(format!("/nodes/{node}/qemu/{source}/clone"), params)
        .task()
        .clone_slot()
}

/// Makes of a fresh clone, whose configuration is that of its source, what is planned; with the
/// seed attached.
pub(in super::super) fn adopt(
    plan: &DockerVm,
    vmid: u32,
    config: &QemuConfig,
    seed: &str,
    tag: Option<&str>,
) -> Vec<Call> {
    let node = &plan.node_name;
    let inherited = [
        ("description", config.description.is_some()),
        ("tags", !config.tags.is_empty()),
        ("startup", config.startup.is_some()),
        ("balloon", config.balloon.is_some()),
        ("cpulimit", config.cpulimit.is_some()),
        ("cpuunits", config.cpuunits.is_some()),
        ("numa", config.numa.is_some()),
        ("sockets", config.sockets.is_some()),
    ];
    let foreign_nics = config.nets.keys().filter(|slot| {
        !plan
            .network_device
            .iter()
            .flatten()
            .any(|(ours, _)| ours == *slot)
    });
    // It would tell the guest the source's settings beside ours.
    let drives = config
        .disks
        .iter()
        .filter(|(_, drive)| drive.contains("cloudinit"))
        .map(|(slot, _)| slot);
    let mut after = scalars(plan, plan.tags.as_ref(), tag)
        .with(
            "agent",
            Some(with_agent(config.agent.as_deref(), plan.has_agent())),
        )
        .with(SEED_SLOT, Some(format!("{seed},media=cdrom")));
    for (slot, nic) in plan.network_device.iter().flatten() {
        let now = config.nets.get(slot).map(String::as_str);
        after = after.with(slot.clone(), Some(network(nic, None, now)));
    }
    match (&plan.data_disk, config.disks.get(DATA_SLOT)) {
        (Some(disk), Some(raw)) => after = after.with(DATA_SLOT, Some(with_backup(raw, disk))),
        (Some(disk), None) => after = after.with(DATA_SLOT, Some(new_data_drive(disk, config))),
        (None, _) => {}
    }
    if let (Some(disk), None) = (&plan.efi_disk, config.disks.get("efidisk0")) {
        after = after.with("efidisk0", Some(efi_drive(disk)));
    }
    after = after
        .and(devices::params(plan, Some(config)))
        .and(disks::params(plan, Some(config)));
    let gone = inherited
        .into_iter()
        .filter(|(key, set)| *set && after.value(key).is_none())
        .map(|(key, _)| key)
        .chain(foreign_nics.chain(drives).map(String::as_str));
    let delete: Vec<&str> = gone.collect();
    let change = |params| Call::post(format!("/nodes/{node}/qemu/{vmid}/config"), params).task();
    let mut calls = Vec::new();
    if config.protection == Some(true) {
        calls.push(change(Params::new().flag("protection", Some(false))));
    }
    calls.push(change(after.list("delete", delete)));
    calls.extend(moves(plan, node, vmid, config));
    for (slot, volume) in volumes(plan) {
        // That of the OS disk grows with any create.
        if let (Some(wanted), Some(raw)) = (volume.size, config.disks.get(slot))
            && slot != plan.os_slot()
            && mebibytes(&wanted).map(|mib| mib << 20) != bytes_of(raw)
        {
            calls.push(resize(node, vmid, slot, &wanted));
        }
    }
    calls
}

/// Turns the VM into a template.
pub(in super::super) fn template(node: &str, vmid: u32) -> Call {
    Call::post(format!("/nodes/{node}/qemu/{vmid}/template"), Params::new()).task()
}
