//! What `pmoves_docker_vm` asks of the API: pure, from models and the guest's current config.
//!
//! Does not talk to the guest itself: disks are mounted and Docker is set up by `guest`.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    devices::{self, efi_drive},
    disks,
    model::{DataDisk, DockerVm, Startup},
    values::{boot_storage, data_drive, network, os_drive, with_agent, with_backup, with_cpu_type},
};
use crate::{
    pve::{Call, Params, PropertyString, QemuConfig},
    resources::host::{
        Kind,
        power::{self, Place, pool},
        volumes::storage_of,
    },
};

mod clones;

pub(super) use clones::{adopt, clone, template};

/// Slot of the OS disk, unless another is chosen.
pub(super) const OS_SLOT: &str = "scsi0";
/// Slot of the data disk.
pub(super) const DATA_SLOT: &str = "scsi1";
/// Slot of the seed while the first boot runs. A SCSI drive can be unplugged from a running VM, an
/// IDE drive cannot; the kernels of cloud images have no driver for the latter anyway.
pub(super) const SEED_SLOT: &str = "scsi30";
/// Serial by which the guest finds its data disk, whatever the kernel calls it.
pub(super) const DATA_SERIAL: &str = "pmoves-data";

/// Makes the VM, with its disks and the seed attached, but does not start it.
///
/// If it is started next, protection comes later: with it Proxmox VE would not let go of the seed.
pub(super) fn create(plan: &DockerVm, vmid: u32, seed: &str, tag: Option<&str>) -> Call {
    let os = plan.os_disk.clone().unwrap_or_default();
    let storage = os.datastore_id.unwrap_or_default();
    let image = plan.image.as_ref().and_then(|image| image.id.clone());
    let slot = plan.os_slot();
    let os_disk = os_drive(&format!("{storage}:0"), slot).with("import-from", image);
    let data_disk = plan.data_disk.as_ref().map(|disk| {
        let storage = disk.datastore_id.as_deref().unwrap_or(&storage);
        data_drive(&format!("{storage}:{}", disk.size_gb), disk)
    });
    let mut params = scalars(plan, plan.tags.as_ref(), tag)
        .with("vmid", Some(vmid))
        .with("ostype", Some("l26"))
        .with("agent", Some(with_agent(None, plan.has_agent())))
        .with("pool", plan.pool_id.as_deref())
        .with("scsihw", Some("virtio-scsi-single"))
        // Debian's and Ubuntu's cloud kernels may panic on a resized disk without a serial port.
        .with("serial0", Some("socket"))
        .with("boot", Some(format!("order={slot}")))
        .with(slot.to_owned(), Some(os_disk))
        .with(DATA_SLOT, data_disk)
        .with(SEED_SLOT, Some(format!("{seed},media=cdrom")))
        .flag(
            "protection",
            plan.protection
                .filter(|on| *on && plan.started == Some(false)),
        );
    for (slot, nic) in plan.network_device.iter().flatten() {
        params = params.with(slot.clone(), Some(network(nic, None, None)));
    }
    params = params
        .with("efidisk0", plan.efi_disk.as_ref().map(efi_drive))
        .and(devices::params(plan, None))
        .and(disks::params(plan, None));
    Call::post(format!("/nodes/{}/qemu", plan.node_name), params).task()
}

/// A data disk for a VM that has none, beside its OS disk if no storage is chosen.
fn new_data_drive(disk: &DataDisk, config: &QemuConfig) -> PropertyString {
    let storage = disk.datastore_id.clone().or_else(|| boot_storage(config));
    let volume = format!("{}:{}", storage.unwrap_or_default(), disk.size_gb);
    data_drive(&volume, disk)
}

/// Lets go of the seed, and protects the VM if it shall be. One that is `protected` already would
/// not let go of a drive.
pub(super) fn detach_seed(plan: &DockerVm, node: &str, vmid: u32, protected: bool) -> Vec<Call> {
    let change = |params| Call::put(format!("/nodes/{node}/qemu/{vmid}/config"), params);
    let open = Params::new().flag("protection", Some(false));
    let detach = Params::new()
        .with("delete", Some(SEED_SLOT))
        .flag("protection", plan.protection.filter(|protect| *protect));
    match protected {
        true => vec![change(open), change(detach)],
        false => vec![change(detach)],
    }
}

/// Changes the configuration from `prior` to `plan`; `config` is what Proxmox VE has, whose
/// sub-options that we do not know are sent again, since it replaces property strings whole.
pub(super) fn update(
    prior: &DockerVm,
    plan: &DockerVm,
    node: &str,
    vmid: u32,
    config: &QemuConfig,
    tag: Option<&str>,
) -> Vec<Call> {
    let base = format!("/nodes/{node}/qemu/{vmid}");
    let tag = tag.filter(|tag| config.tags.iter().any(|current| current == tag));
    let mut before = scalars(prior, prior.tags.as_ref(), tag).flag("protection", prior.protection);
    let mut after = scalars(plan, plan.tags.as_ref(), tag).flag("protection", plan.protection);
    if let (Some(raw), Some(cpu)) = (
        config.cpu.as_deref(),
        plan.cpu.as_ref().and_then(|cpu| cpu.r#type.as_deref()),
    ) {
        after = after.with("cpu", Some(with_cpu_type(raw, cpu)));
        before = before.with("cpu", Some(raw));
    }
    let enabled = |vm: &DockerVm| vm.agent.as_ref().and_then(|agent| agent.enabled);
    if let Some(on) = enabled(plan).filter(|on| enabled(prior) != Some(*on)) {
        after = after.with("agent", Some(with_agent(config.agent.as_deref(), on)));
    }
    let known = |slot: &str| prior.network_device.as_ref()?.get(slot);
    for (vm, params) in [(prior, &mut before), (plan, &mut after)] {
        for (slot, nic) in vm.network_device.iter().flatten() {
            let current = config.nets.get(slot).map(String::as_str);
            let nic = network(nic, known(slot), current);
            *params = std::mem::take(params).with(slot.clone(), Some(nic));
        }
    }
    match (
        &prior.data_disk,
        &plan.data_disk,
        config.disks.get(DATA_SLOT),
    ) {
        (Some(old), Some(new), Some(raw)) if old.backup != new.backup => {
            before = before.with(DATA_SLOT, Some(raw));
            after = after.with(DATA_SLOT, Some(with_backup(raw, new)));
        }
        (None, Some(new), None) => {
            after = after.with(DATA_SLOT, Some(new_data_drive(new, config)));
        }
        _ => {}
    }
    if let (None, Some(disk), None) = (
        &prior.efi_disk,
        &plan.efi_disk,
        config.disks.get("efidisk0"),
    ) {
        after = after.with("efidisk0", Some(efi_drive(disk)));
    }
    for (vm, params) in [(prior, &mut before), (plan, &mut after)] {
        let beside = devices::params(vm, Some(config)).and(disks::params(vm, Some(config)));
        *params = std::mem::take(params).and(beside);
    }
    let mut calls: Vec<Call> = pool(prior.pool_id.as_ref(), plan.pool_id.as_ref(), vmid)
        .into_iter()
        .collect();
    let patch = before.patch(&after);
    if !patch.is_empty() {
        // The asynchronous form: allocating a disk may outlast the proxy's 30 seconds.
        calls.push(Call::post(format!("{base}/config"), patch).task());
    }
    calls.extend(moves(plan, node, vmid, config));
    let sizes = volumes(prior);
    for (slot, volume) in volumes(plan) {
        let old = sizes.get(slot).and_then(|volume| volume.size.clone());
        if let (Some(old), Some(new)) = (old, volume.size)
            && old != new
        {
            calls.push(resize(node, vmid, slot, &new));
        }
    }
    calls
}

/// What is wanted of a disk's volume.
struct Volume<'a> {
    storage: Option<&'a str>,
    size: Option<String>,
}

/// The disks of a host by slot.
fn volumes(vm: &DockerVm) -> BTreeMap<&str, Volume<'_>> {
    let os = vm.os_disk.iter().map(|disk| {
        let size = disk.size_gb.as_ref().map(ToString::to_string);
        (vm.os_slot(), disk.datastore_id.as_deref(), size)
    });
    let data = vm.data_disk.iter().map(|disk| {
        let size = Some(disk.size_gb.to_string());
        (DATA_SLOT, disk.datastore_id.as_deref(), size)
    });
    let more = vm.disk.iter().flatten().map(|(slot, disk)| {
        let size = Some(disk.size_gb.to_string());
        (slot.as_str(), disk.datastore_id.as_deref(), size)
    });
    let all = os.chain(data).chain(more);
    all.map(|(slot, storage, size)| (slot, Volume { storage, size }))
        .collect()
}

/// Moves the disks that are on another storage than planned. PVE keeps the old volume if not told otherwise.
fn moves(plan: &DockerVm, node: &str, vmid: u32, config: &QemuConfig) -> Vec<Call> {
    let wanted = volumes(plan).into_iter();
    wanted
        .filter_map(|(slot, volume)| {
            let (wanted, now) = (volume.storage?, storage_of(config.disks.get(slot)?)?);
            (wanted != now).then(|| move_disk(node, vmid, slot, wanted))
        })
        .collect()
}

fn move_disk(node: &str, vmid: u32, slot: &str, storage: &str) -> Call {
    let params = Params::new()
        .with("disk", Some(slot))
        .with("storage", Some(storage))
        .flag("delete", Some(true));
    Call::post(format!("/nodes/{node}/qemu/{vmid}/move_disk"), params)
        .task()
        .clone_slot()
}

/// Moves the VM to another node, with the disks that are only on its own.
pub(super) fn migrate(node: &str, vmid: u32, target: &str, online: bool) -> Call {
    let params = Params::new()
        .with("target", Some(target))
        .flag("online", online.then_some(true))
        .flag("with-local-disks", online.then_some(true));
    Call::post(format!("/nodes/{node}/qemu/{vmid}/migrate"), params)
        .task()
        .clone_slot()
}

/// Grows a disk to a decimal number of GiB.
pub(super) fn resize(node: &str, vmid: u32, slot: &str, gibibytes: &str) -> Call {
    power::resize(&Place::new(Kind::Qemu, node, vmid), slot, gibibytes)
}

/// Attributes whose change a running VM takes only after a restart.
pub(super) const NEEDS_RESTART: &[&str] = &[
    "cpu.cores",
    "cpu.sockets",
    "cpu.type",
    "cpu.numa",
    "memory.size",
    "agent.enabled",
    "bios",
    "machine",
    "hostpci",
    "virtiofs",
    "disk",
];

fn scalars(vm: &DockerVm, tags: Option<&BTreeSet<String>>, tag: Option<&str>) -> Params {
    let cpu = vm.cpu.clone().unwrap_or_default();
    let memory = vm.memory.clone().unwrap_or_default();
    let tags: BTreeSet<&str> = tags
        .into_iter()
        .flatten()
        .map(String::as_str)
        .chain(tag)
        .collect();
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let params = Params::new()
        .with("name", Some(&vm.name))
        .with("cores", cpu.cores)
        .with("sockets", cpu.sockets)
        .with("cpu", cpu.r#type)
        .with("cpulimit", cpu.limit)
        .with("cpuunits", cpu.units)
        .flag("numa", cpu.numa)
        .with("memory", memory.size)
        .with("balloon", memory.balloon)
        .flag("onboot", vm.start_on_boot)
        .with("startup", vm.startup.as_ref().and_then(Startup::value))
        .with("description", text(&vm.description));
    match tags.is_empty() {
        true => params,
        false => params.with("tags", Some(tags.into_iter().collect::<Vec<_>>().join(";"))),
    }
}
