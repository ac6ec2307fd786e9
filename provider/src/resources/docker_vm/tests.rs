//! What the tests of `pmoves_docker_vm` share, and what needs no host.

mod calls;
mod nics;
mod plans;
mod states;

use serde_json::json;

use super::{
    DockerVm,
    devices::{EfiDisk, HostPci, Usb, Virtiofs},
    disks::Disk,
    model::{
        Agent, CloneOf, Cpu, DataDisk, Dns, Image, Initialization, IpConfig, Ipv4, Ipv6, Memory,
        NetworkDevice, OsDisk, Startup, UserAccount,
    },
    mounts::Mount,
};
use crate::{
    framework::{
        Value,
        model::{check_model, to_json},
    },
    pve::QemuConfig,
    resources::host::Kind,
};

/// A host as the state has it.
fn host() -> DockerVm {
    let json = json!({
        "id": "qemu/101", "vm_id": 101, "name": "web", "node_name": "pve1", "current_node": "pve1",
        "image": { "id": "local:import/debian-13.qcow2" },
        "cpu": { "cores": 2, "type": "x86-64-v2-AES" }, "memory": { "size": 2048 },
        "os_disk": { "datastore_id": "local-lvm", "size_gb": 8, "interface": "scsi0" },
        "data_disk": { "datastore_id": "local-lvm", "size_gb": 32, "mount_path": "/opt/docker", "filesystem": "ext4", "backup": true },
        "network_device": { "net0": { "bridge": "vmbr0", "mac_address": "BC:24:11:00:00:01", "queues": 4 } },
        "docker": { "source": "distro", "live_restore": true }, "agent": { "enabled": true }, "template": false,
        "started": true, "start_on_boot": true, "restart_policy": "if_needed", "connection": "auto", "restart_required": false,
        "stop_on_destroy": false, "purge_on_destroy": true, "status": "running", "docker_version": "29.1",
        "ipv4_address": "192.0.2.10", "addresses": { "net0": ["192.0.2.10"] }, "interface_name": "eth0",
    });
    serde_json::from_value(json).unwrap()
}

/// Its configuration, as Proxmox VE answers.
fn config() -> QemuConfig {
    config_of(&json!({
        "name": "web", "cores": 2, "cpu": "x86-64-v2-AES,flags=+aes", "memory": "2048", "onboot": 1,
        "tags": "pmoves", "agent": "enabled=1",
        "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0,queues=4",
        "scsi0": "local-lvm:vm-101-disk-0,discard=on,iothread=1,size=8G,ssd=1",
        "scsi1": "local-lvm:vm-101-disk-1,backup=1,discard=on,serial=pmoves-data,size=32G",
    }))
}

fn config_of(json: &serde_json::Value) -> QemuConfig {
    serde_json::from_value(json.clone()).unwrap()
}

/// A value in one line; `?` is known after apply.
fn shown(value: &Value) -> String {
    match value {
        Value::Unknown => "?".to_owned(),
        value => to_json(value).to_string(),
    }
}

#[test]
fn the_models_match_their_schemas() {
    check_model::<DockerVm>();
    check_model::<EfiDisk>();
    check_model::<HostPci>();
    check_model::<Usb>();
    check_model::<Virtiofs>();
    check_model::<Image>();
    check_model::<CloneOf>();
    check_model::<Cpu>();
    check_model::<Memory>();
    check_model::<OsDisk>();
    check_model::<DataDisk>();
    check_model::<Disk>();
    check_model::<Mount>();
    check_model::<NetworkDevice>();
    check_model::<Startup>();
    check_model::<Agent>();
    check_model::<Initialization>();
    check_model::<Dns>();
    check_model::<UserAccount>();
    check_model::<IpConfig>();
    check_model::<Ipv4>();
    check_model::<Ipv6>();
}

#[test]
fn import_ids_are_those_of_proxmox_ve() {
    for (id, vmid) in [
        ("101", Some(101)),
        ("qemu/101", Some(101)),
        ("pve1/101", Some(101)),
        ("pve1/qemu/101", Some(101)),
        ("lxc/101", None),
        ("pve1/lxc/101", None),
        ("qemu/99", None),
        ("web", None),
        ("", None),
    ] {
        assert_eq!(Kind::Qemu.vmid_of(id), vmid, "{id}");
    }
}
