//! What the tests of `pmoves_docker_lxc` share, and the state that a config tells.

mod calls;
mod plans;

use serde_json::json;

use super::{DockerLxc, model, read::from_config};
use crate::{
    framework::model::check_model,
    pve::{GuestRow, LxcConfig},
};

/// A host as the state has it.
fn host() -> DockerLxc {
    let json = json!({
        "id": "lxc/102", "vm_id": 102, "name": "web", "node_name": "pve1", "current_node": "pve1",
        "template_file_id": "local:vztmpl/debian-13-standard_13.0-1_amd64.tar.zst",
        "unprivileged": true, "features": { "nesting": true, "keyctl": false },
        "cpu": { "cores": 2 }, "memory": { "size": 2048, "swap": 0 },
        "root_disk": { "datastore_id": "local-lvm", "size_gb": 8 },
        "data_volume": { "datastore_id": "local-lvm", "size_gb": 32, "mount_path": "/opt/appdata", "backup": true },
        "network_interface": { "net0": { "bridge": "vmbr0", "name": "eth0", "mac_address": "BC:24:11:00:00:01" } },
        "docker": { "source": "distro", "live_restore": true },
        "started": true, "template": false, "start_on_boot": true, "restart_policy": "if_needed", "restart_required": false,
        "connection": "auto", "stop_on_destroy": false, "purge_on_destroy": true, "status": "running",
        "docker_version": "29.1", "ipv4_address": "192.0.2.10", "addresses": { "net0": ["192.0.2.10"] },
        "interface_name": "eth0",
    });
    serde_json::from_value(json).unwrap()
}

/// Its configuration, as Proxmox VE answers.
fn config() -> LxcConfig {
    config_of(&json!({
        "hostname": "web", "arch": "amd64", "ostype": "debian", "cores": 2, "memory": 2048, "swap": 0, "onboot": 1,
        "tags": "pmoves", "cmode": "shell", "unprivileged": 1, "features": "nesting=1", "digest": "d",
        "net0": "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=dhcp,type=veth",
        "rootfs": "local-lvm:vm-102-disk-0,size=8G",
        "mp0": "local-lvm:vm-102-disk-1,mp=/opt/appdata,backup=1,size=32G",
        "lxc": [["lxc.cap.drop", "sys_time"]],
    }))
}

fn config_of(json: &serde_json::Value) -> LxcConfig {
    serde_json::from_value(json.clone()).unwrap()
}

fn row() -> GuestRow {
    let json =
        json!({ "vmid": 102, "type": "lxc", "node": "pve1", "status": "running", "name": "web" });
    serde_json::from_value(json).unwrap()
}

#[test]
fn models_and_schemas_agree() {
    check_model::<DockerLxc>();
    check_model::<model::CloneOf>();
    check_model::<model::Features>();
    check_model::<model::DataVolume>();
    check_model::<model::MountPoint>();
    check_model::<model::Device>();
    check_model::<model::NetworkInterface>();
    check_model::<model::Initialization>();
    check_model::<model::UserAccount>();
    check_model::<model::IpConfig>();
    check_model::<model::Ipv4>();
    check_model::<model::Ipv6>();
}

#[test]
fn what_was_made_is_read_back_as_it_was_planned() {
    let read = from_config(&host(), &config(), &row(), Some("pmoves"), false);
    assert_eq!(read, host());
}

#[test]
fn an_import_takes_what_the_config_tells() {
    let empty: DockerLxc = serde_json::from_value(json!({ "name": "", "node_name": "" })).unwrap();
    let config = config_of(&json!({
        "hostname": "web", "memory": 512, "swap": 512, "features": "fuse=1,nesting=1,mount=nfs;cifs",
        "nameserver": "192.0.2.53 192.0.2.54", "description": "note\n", "startup": "order=2",
        "net0": "name=eth0,bridge=vmbr0,gw=192.0.2.1,hwaddr=BC:24:11:00:00:01,ip=192.0.2.10/24,ip6=auto,rate=12.5,tag=5,trunks=10;20,type=veth",
        "rootfs": "local:102/vm-102-disk-0.raw,size=3584M",
        "mp0": "local-lvm:vm-102-disk-1,mp=/var/lib/docker,size=4G",
        "mp3": "/srv/media,mp=/media,acl=1,mountoptions=noatime;nodev,replicate=0,ro=1,shared=1", "cpulimit": "1.5", "dev0": "/dev/dri/renderD128,gid=104,mode=0660",
    }));
    let read = from_config(&empty, &config, &row(), None, true);
    let told = json!({
        "id": "lxc/102", "vm_id": 102, "name": "web", "node_name": "pve1", "current_node": "pve1",
        "unprivileged": false,
        "features": { "nesting": true, "keyctl": false, "fuse": true, "mount": ["cifs", "nfs"] },
        "memory": { "size": 512, "swap": 512 }, "cpu": { "limit": 1.5 }, "root_disk": { "datastore_id": "local", "size_gb": 3.5 },
        "data_volume": { "datastore_id": "local-lvm", "size_gb": 4, "mount_path": "/var/lib/docker", "backup": false },
        "mount_point": { "mp3": { "volume": "/srv/media", "path": "/media", "read_only": true, "shared": true, "acl": true, "replicate": false, "mount_options": ["noatime", "nodev"] } },
        "device_passthrough": { "dev0": { "path": "/dev/dri/renderD128", "gid": 104, "mode": "0660" } },
        "network_interface": { "net0": { "bridge": "vmbr0", "name": "eth0", "vlan_id": 5, "trunks": [10, 20], "rate_limit": 12.5, "mac_address": "BC:24:11:00:00:01" } },
        "initialization": {
            "dns": { "servers": ["192.0.2.53", "192.0.2.54"] },
            "ip_config": { "net0": { "ipv4": { "address": "192.0.2.10/24", "gateway": "192.0.2.1" }, "ipv6": { "address": "auto" } } },
        },
        "description": "note\n", "template": false, "start_on_boot": false, "startup": { "order": 2 },
    });
    assert_eq!(read, serde_json::from_value(told).unwrap());
}

#[test]
fn what_was_never_set_stays_out_of_the_state() {
    let mut changed = config();
    changed.nets.insert(
        "net1".into(),
        "name=eth1,bridge=vmbr1,hwaddr=BC:24:11:00:00:02".into(),
    );
    changed
        .mount_points
        .insert("mp5".into(), "local-lvm:vm-102-disk-9,mp=/x,size=1G".into());
    changed.nameserver = Some("192.0.2.53".into());
    let read = from_config(&host(), &changed, &row(), Some("pmoves"), false);
    assert_eq!(read, host());
}
