//! What answers of the API become.

use expect_test::{Expect, expect};
use serde_json::json;

use super::{
    super::{DockerVm, DockerVmResource, read},
    config, config_of, host, shown,
};
use crate::{
    framework::{Model, Resource, model::untyped},
    pve::{GuestRow, QemuConfig},
};

fn row() -> GuestRow {
    serde_json::from_value(
        json!({ "vmid": 101, "type": "qemu", "node": "pve1", "status": "running" }),
    )
    .unwrap()
}

#[track_caller]
fn check_state(prior: &DockerVm, config: &QemuConfig, importing: bool, expected: &Expect) {
    let state = read::from_config(prior, config, &row(), Some("pmoves"), importing);
    let (before, after) = (untyped(prior), untyped(&state));
    let changed: Vec<String> = DockerVm::schema()
        .attributes
        .keys()
        .filter(|name| before.get(name) != after.get(name))
        .map(|name| format!("{name}: {}", shown(after.get(name))))
        .collect();
    expected.assert_eq(&changed.join("\n"));
}

#[test]
fn a_state_takes_what_the_configuration_tells() {
    check_state(&host(), &config(), false, &expect![[""]]);
    let mut changed = config();
    changed.memory = Some(1024);
    changed.tags = vec!["mine".into(), "pmoves".into()];
    changed.nets.insert(
        "net0".into(),
        "virtio=bc:24:11:00:00:01,bridge=vmbr9,tag=5".into(),
    );
    changed.nets.insert(
        "net1".into(),
        "virtio=BC:24:11:00:00:09,bridge=vmbr0".into(),
    );
    changed
        .disks
        .insert("scsi0".into(), "local-lvm:vm-101-disk-0,size=3584M".into());
    changed.protection = Some(true);
    check_state(
        &host(),
        &changed,
        false,
        &expect![[r#"
            memory: {"balloon":null,"size":1024}
            network_device: {"net0":{"bridge":"vmbr9","disconnected":null,"firewall":null,"mac_address":"bc:24:11:00:00:01","mtu":null,"queues":null,"rate_limit":null,"trunks":null,"vlan_id":5}}
            os_disk: {"datastore_id":"local-lvm","interface":"scsi0","size_gb":3.5}
            protection: true
            tags: ["mine"]"#]],
    );
}

#[test]
fn an_import_takes_all_that_the_configuration_tells() {
    let blank = serde_json::from_value(DockerVmResource::import("qemu/101").unwrap()).unwrap();
    check_state(
        &blank,
        &config(),
        true,
        &expect![[r#"
            agent: {"enabled":true}
            cpu: {"cores":2,"limit":null,"numa":null,"sockets":null,"type":"x86-64-v2-AES","units":null}
            current_node: "pve1"
            data_disk: {"backup":true,"datastore_id":"local-lvm","filesystem":null,"mount_path":null,"size_gb":32}
            memory: {"balloon":null,"size":2048}
            name: "web"
            network_device: {"net0":{"bridge":"vmbr0","disconnected":null,"firewall":null,"mac_address":"BC:24:11:00:00:01","mtu":null,"queues":4,"rate_limit":null,"trunks":null,"vlan_id":null}}
            node_name: "pve1"
            os_disk: {"datastore_id":"local-lvm","interface":"scsi0","size_gb":8}
            start_on_boot: true
            template: false"#]],
    );
    // A recorded VM that somebody made by hand.
    let recorded: serde_json::Value =
        serde_json::from_str(include_str!("../../../../fixtures/qemu_config.9.2.json")).unwrap();
    check_state(
        &blank,
        &config_of(&recorded["data"]),
        true,
        &expect![[r#"
            agent: {"enabled":true}
            cpu: {"cores":2,"limit":null,"numa":false,"sockets":1,"type":"x86-64-v2-AES","units":null}
            current_node: "pve1"
            description: "Hello\nworld ümlaut"
            memory: {"balloon":256,"size":512}
            name: "vm-one"
            network_device: {"net0":{"bridge":"vmbr0","disconnected":null,"firewall":true,"mac_address":"BC:24:11:35:C8:19","mtu":null,"queues":null,"rate_limit":null,"trunks":null,"vlan_id":null}}
            node_name: "pve1"
            os_disk: {"datastore_id":"vmdata","interface":"scsi0","size_gb":1}
            start_on_boot: true
            startup: {"down_delay":null,"order":1,"up_delay":10}
            tags: ["alpha","beta","zeta"]
            template: false"#]],
    );
}

#[test]
fn devices_are_read_if_they_are_followed_or_imported() {
    let config = config_of(&json!({
        "name": "web", "bios": "ovmf", "machine": "q35",
        "efidisk0": "local-lvm:vm-101-disk-2,efitype=4m,pre-enrolled-keys=1,size=4M",
        "hostpci0": "mapping=gpu,pcie=1,rombar=0,x-vga=1", "hostpci1": "0000:01:00.0,pcie=1",
        "usb0": "mapping=zigbee,usb3=1", "usb1": "spice", "virtiofs0": "media,direct-io=1,cache=never",
    }));
    check_devices(
        &config,
        true,
        &expect![[r#"
            bios: "ovmf"
            machine: "q35"
            efi_disk: {"datastore_id":"local-lvm","pre_enrolled_keys":true,"type":"4m"}
            hostpci: {"hostpci0":{"mapping":"gpu","mdev":null,"pcie":true,"rombar":false,"xvga":true}}
            usb: {"usb0":{"mapping":"zigbee","usb3":true}}
            virtiofs: {"virtiofs0":{"cache":"never","direct_io":true,"expose_acl":null,"expose_xattr":null,"mapping":"media","mount_path":null}}"#]],
    );
    check_devices(
        &config,
        false,
        &expect![[r#"
        bios: "ovmf"
        machine: "q35"
        efi_disk: null
        hostpci: null
        usb: null
        virtiofs: null"#]],
    );
}

#[track_caller]
fn check_devices(config: &QemuConfig, importing: bool, expected: &Expect) {
    let state = read::from_config(&host(), config, &row(), None, importing);
    let state = untyped(&state);
    let lines: Vec<String> = ["bios", "machine", "efi_disk", "hostpci", "usb", "virtiofs"]
        .iter()
        .map(|name| format!("{name}: {}", shown(state.get(name))))
        .collect();
    expected.assert_eq(&lines.join("\n"));
}
