//! What is asked of the API.

use expect_test::{Expect, expect};

use super::{
    super::{
        DockerVm, calls,
        disks::Disk,
        model::{Agent, CloneOf, Memory, NetworkDevice, Startup},
    },
    config, host,
};
use crate::{
    pve::Call,
    resources::host::{
        Kind,
        power::{self, Place},
    },
};

fn number(text: &str) -> serde_json::Number {
    serde_json::from_str(text).unwrap()
}

pub(super) fn lines(calls: &[Call]) -> String {
    let lines: Vec<String> = calls.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn a_create_names_all_hardware_at_once() {
    let seed = "local:iso/pmoves-seed-101.iso";
    let call = calls::create(&host(), 101, seed, Some("pmoves"));
    expect!["POST /nodes/pve1/qemu agent=enabled=1 boot=order=scsi0 cores=2 cpu=x86-64-v2-AES memory=2048 name=web net0=virtio=BC:24:11:00:00:01,bridge=vmbr0,queues=4 onboot=1 ostype=l26 scsi0=local-lvm:0,discard=on,iothread=1,ssd=1,import-from=local:import/debian-13.qcow2 scsi1=local-lvm:32,discard=on,iothread=1,serial=pmoves-data,ssd=1,backup=1 scsi30=local:iso/pmoves-seed-101.iso,media=cdrom scsihw=virtio-scsi-single serial0=socket tags=pmoves vmid=101"].assert_eq(&call.to_string());
    let dormant = DockerVm {
        started: Some(false),
        protection: Some(true),
        ..host()
    };
    // Nothing lets go of the seed of a VM that is not started, so it may be protected at once.
    assert!(
        calls::create(&dormant, 101, seed, None)
            .to_string()
            .contains("protection=1")
    );
    assert!(
        !calls::create(
            &DockerVm {
                started: Some(true),
                ..dormant
            },
            101,
            seed,
            None
        )
        .to_string()
        .contains("protection")
    );
}

#[track_caller]
fn check_update(change: impl FnOnce(&mut DockerVm), expected: &Expect) {
    let (prior, mut plan) = (host(), host());
    change(&mut plan);
    let calls = calls::update(&prior, &plan, "pve2", 101, &config(), Some("pmoves"));
    expected.assert_eq(&lines(&calls));
}

#[test]
fn an_update_sends_what_changes_and_nothing_else() {
    check_update(|_| {}, &expect![[""]]);
    check_update(
        |vm| {
            vm.name = "www".into();
            vm.tags = Some(["blue".to_owned()].into());
            vm.description = Some("x".into());
            vm.protection = Some(true);
            vm.memory = Some(Memory {
                size: Some(4096),
                balloon: Some(0),
            });
        },
        &expect![
            "POST /nodes/pve2/qemu/101/config balloon=0 description=x memory=4096 name=www protection=1 tags=blue;pmoves"
        ],
    );
    check_update(
        |vm| {
            let cpu = vm.cpu.as_mut().unwrap();
            (cpu.limit, cpu.numa) = (Some(number("1.5")), Some(true));
        },
        &expect!["POST /nodes/pve2/qemu/101/config cpulimit=1.5 numa=1"],
    );
    // What Proxmox VE has beside our options stays: flags of the CPU, what the state does not know of a NIC.
    check_update(
        |vm| vm.cpu.as_mut().unwrap().r#type = Some("host".into()),
        &expect!["POST /nodes/pve2/qemu/101/config cpu=host,flags=+aes"],
    );
    check_update(
        |vm| {
            vm.network_device
                .as_mut()
                .unwrap()
                .get_mut("net0")
                .unwrap()
                .vlan_id = Some(20);
        },
        &expect![
            "POST /nodes/pve2/qemu/101/config net0=virtio=BC:24:11:00:00:01,bridge=vmbr0,queues=4,tag=20"
        ],
    );
    check_update(
        |vm| {
            let nic = NetworkDevice {
                bridge: "vmbr1".into(),
                trunks: Some([20, 10].into()),
                mac_address: Some("BC:24:11:00:00:02".into()),
                firewall: Some(true),
                disconnected: Some(false),
                queues: Some(4),
                rate_limit: Some(number("12.5")),
                ..NetworkDevice::default()
            };
            vm.network_device
                .as_mut()
                .unwrap()
                .insert("net1".into(), nic);
        },
        &expect![
            "POST /nodes/pve2/qemu/101/config net1=virtio=BC:24:11:00:00:02,bridge=vmbr1,firewall=1,link_down=0,queues=4,rate=12.5,trunks=10;20"
        ],
    );
    check_update(
        |vm| vm.network_device = Some([].into()),
        &expect!["POST /nodes/pve2/qemu/101/config delete=net0"],
    );
    check_update(
        |vm| {
            vm.os_disk.as_mut().unwrap().size_gb = Some(number("8.5"));
            let data = vm.data_disk.as_mut().unwrap();
            (data.size_gb, data.backup) = (number("64"), Some(false));
        },
        &expect![[r"
            POST /nodes/pve2/qemu/101/config scsi1=local-lvm:vm-101-disk-1,backup=0,discard=on,serial=pmoves-data,size=32G
            PUT /nodes/pve2/qemu/101/resize disk=scsi0 size=8704M
            PUT /nodes/pve2/qemu/101/resize disk=scsi1 size=65536M"]],
    );
}

/// A disk as a plan has it.
fn more(size: &str) -> Disk {
    Disk {
        datastore_id: Some("local-lvm".into()),
        size_gb: number(size),
        mount_path: Some("/srv/media".into()),
        filesystem: Some("ext4".into()),
        backup: Some(true),
        cache: None,
        discard: Some(true),
        ssd: Some(true),
        iothread: Some(true),
    }
}

#[test]
fn disks_are_added_changed_and_detached() {
    check_update(
        |vm| vm.disk = Some([("scsi2".into(), more("8"))].into()),
        &expect![
            "POST /nodes/pve2/qemu/101/config scsi2=local-lvm:8,discard=on,iothread=1,serial=pmoves-d2,ssd=1,backup=1"
        ],
    );
    let with = |disk: Disk| {
        let mut vm = host();
        vm.disk = Some([("scsi2".to_owned(), disk)].into());
        vm
    };
    let mut config = config();
    config.disks.insert(
        "scsi2".into(),
        "local-lvm:vm-101-disk-2,backup=1,discard=on,iothread=1,mbps_rd=50,serial=pmoves-d2,size=8G,ssd=1".into(),
    );
    let prior = with(more("8"));
    let slow = Disk {
        cache: Some("writeback".into()),
        discard: Some(false),
        datastore_id: Some("slow".into()),
        ..more("9.5")
    };
    for (plan, expected) in [
        (prior.clone(), expect![""]),
        (
            with(slow),
            expect![[r#"
            POST /nodes/pve2/qemu/101/config scsi2=local-lvm:vm-101-disk-2,backup=1,discard=ignore,iothread=1,mbps_rd=50,serial=pmoves-d2,size=8G,ssd=1,cache=writeback
            POST /nodes/pve2/qemu/101/move_disk delete=1 disk=scsi2 storage=slow
            PUT /nodes/pve2/qemu/101/resize disk=scsi2 size=9728M"#]],
        ),
        (
            DockerVm {
                disk: Some([].into()),
                ..host()
            },
            expect!["POST /nodes/pve2/qemu/101/config delete=scsi2"],
        ),
    ] {
        let calls = calls::update(&prior, &plan, "pve2", 101, &config, Some("pmoves"));
        expected.assert_eq(&lines(&calls));
    }
}

#[test]
fn pools_order_and_agent_change_in_place() {
    check_update(
        |vm| {
            vm.pool_id = Some("prod/web".into());
            vm.startup = Some(Startup {
                order: Some(2),
                down_delay: Some(90),
                ..Startup::default()
            });
            vm.agent = Some(Agent {
                enabled: Some(false),
            });
        },
        &expect![[r#"
            PUT /pools poolid=prod/web vms=101
            POST /nodes/pve2/qemu/101/config agent=0 startup=order=2,down=90"#]],
    );
    let prior = DockerVm {
        pool_id: Some("old".into()),
        startup: Some(Startup::default()),
        ..host()
    };
    for (pool, expected) in [
        (
            Some("new"),
            expect!["PUT /pools allow-move=1 poolid=new vms=101"],
        ),
        (None, expect!["PUT /pools delete=1 poolid=old vms=101"]),
    ] {
        let plan = DockerVm {
            pool_id: pool.map(str::to_owned),
            startup: None,
            ..prior.clone()
        };
        expected.assert_eq(&lines(&calls::update(
            &prior,
            &plan,
            "pve1",
            101,
            &config(),
            None,
        )));
    }
}

#[test]
fn disks_move_before_they_grow_and_nothing_stays_behind() {
    check_update(
        |vm| {
            let disk = vm.os_disk.as_mut().unwrap();
            (disk.datastore_id, disk.size_gb) = (Some("ceph".into()), Some(number("9")));
            vm.data_disk.as_mut().unwrap().datastore_id = Some("ceph".into());
        },
        &expect![[r#"
            POST /nodes/pve2/qemu/101/move_disk delete=1 disk=scsi0 storage=ceph
            POST /nodes/pve2/qemu/101/move_disk delete=1 disk=scsi1 storage=ceph
            PUT /nodes/pve2/qemu/101/resize disk=scsi0 size=9216M"#]],
    );
    expect!["POST /nodes/pve1/qemu/101/migrate online=1 target=pve2 with-local-disks=1"]
        .assert_eq(&calls::migrate("pve1", 101, "pve2", true).to_string());
    expect!["POST /nodes/pve1/qemu/101/migrate target=pve2"]
        .assert_eq(&calls::migrate("pve1", 101, "pve2", false).to_string());
}

#[test]
fn a_data_disk_may_come_later() {
    let prior = DockerVm {
        data_disk: None,
        ..host()
    };
    let mut config = config();
    config.disks.remove("scsi1");
    let calls = calls::update(&prior, &host(), "pve1", 101, &config, None);
    expect!["POST /nodes/pve1/qemu/101/config scsi1=local-lvm:32,discard=on,iothread=1,serial=pmoves-data,ssd=1,backup=1"].assert_eq(&lines(&calls));
}

#[test]
fn a_protected_vm_is_opened_before_it_lets_go_of_the_seed() {
    let plan = DockerVm {
        protection: Some(true),
        ..host()
    };
    expect![[r"
        PUT /nodes/pve1/qemu/101/config protection=0
        PUT /nodes/pve1/qemu/101/config delete=scsi30 protection=1"]]
    .assert_eq(&lines(&calls::detach_seed(&plan, "pve1", 101, true)));
    expect!["PUT /nodes/pve1/qemu/101/config delete=scsi30"]
        .assert_eq(&lines(&calls::detach_seed(&host(), "pve1", 101, false)));
}

#[test]
fn a_destroy_purges_if_it_shall() {
    expect!["DELETE /nodes/pve1/qemu/101 destroy-unreferenced-disks=1 purge=1"]
        .assert_eq(&power::destroy(&Place::new(Kind::Qemu, "pve1", 101), true).to_string());
}

#[test]
fn a_clone_becomes_what_is_planned_and_keeps_nothing_of_its_source() {
    let source = CloneOf {
        vm_id: Some(9000),
        full: Some(true),
        datastore_id: Some("fast".into()),
    };
    let linked = CloneOf {
        full: Some(false),
        datastore_id: None,
        ..source.clone()
    };
    let mut of_source = config();
    of_source.description = Some("golden".into());
    of_source.tags.push("golden".into());
    of_source.protection = Some(true);
    of_source.nets.insert(
        "net1".into(),
        "virtio=BC:24:11:00:00:77,bridge=vmbr7".into(),
    );
    of_source.disks.insert(
        "ide2".into(),
        "local-lvm:vm-101-cloudinit,media=cdrom".into(),
    );
    let mut plan = host();
    plan.data_disk.as_mut().unwrap().size_gb = number("64");
    plan.os_disk.as_mut().unwrap().datastore_id = Some("ceph".into());
    let seed = "local:iso/pmoves-seed-101.iso";
    let mut calls = vec![
        calls::clone(&plan, &source, "pve2", 101),
        calls::clone(&plan, &linked, "pve2", 101),
    ];
    calls.extend(calls::adopt(&plan, 101, &of_source, seed, Some("pmoves")));
    expect![[r#"
        POST /nodes/pve2/qemu/9000/clone full=1 name=web newid=101 storage=fast
        POST /nodes/pve2/qemu/9000/clone full=0 name=web newid=101
        POST /nodes/pve1/qemu/101/config protection=0
        POST /nodes/pve1/qemu/101/config agent=1 cores=2 cpu=x86-64-v2-AES delete=description,net1,ide2 memory=2048 name=web net0=virtio=BC:24:11:00:00:01,bridge=vmbr0,queues=4 onboot=1 scsi1=local-lvm:vm-101-disk-1,backup=1,discard=on,serial=pmoves-data,size=32G scsi30=local:iso/pmoves-seed-101.iso,media=cdrom tags=pmoves
        POST /nodes/pve1/qemu/101/move_disk delete=1 disk=scsi0 storage=ceph
        PUT /nodes/pve1/qemu/101/resize disk=scsi1 size=65536M"#]].assert_eq(&lines(&calls));
}

#[test]
fn devices_are_asked_for_by_mapping_and_keep_what_we_do_not_know() {
    let devices = serde_json::json!({
        "bios": "ovmf", "machine": "q35",
        "efi_disk": { "datastore_id": "local-lvm", "type": "4m", "pre_enrolled_keys": false },
        "hostpci": { "hostpci0": { "mapping": "gpu", "pcie": true, "rombar": false } },
        "usb": { "usb1": { "mapping": "zigbee", "usb3": true } },
        "virtiofs": { "virtiofs0": { "mapping": "media", "cache": "never", "direct_io": true } },
    });
    let json = serde_json::to_value(host()).unwrap();
    let both = json
        .as_object()
        .unwrap()
        .iter()
        .chain(devices.as_object().unwrap());
    let both: serde_json::Map<_, _> = both
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let plan: DockerVm = serde_json::from_value(both.into()).unwrap();
    let mut config = config();
    let mut expected = calls::update(&host(), &plan, "pve1", 101, &config, None);
    let other = "mapping=old,legacy-igd=1,mdev=nvidia-63";
    config.rest.insert("hostpci0".into(), other.into());
    expected.extend(calls::update(&host(), &plan, "pve1", 101, &config, None));
    expected.extend(calls::update(&plan, &host(), "pve1", 101, &config, None));
    expect![[r#"
        POST /nodes/pve1/qemu/101/config bios=ovmf efidisk0=local-lvm:1,efitype=4m,pre-enrolled-keys=0 hostpci0=mapping=gpu,pcie=1,rombar=0 machine=q35 usb1=mapping=zigbee,usb3=1 virtiofs0=media,cache=never,direct-io=1
        POST /nodes/pve1/qemu/101/config bios=ovmf efidisk0=local-lvm:1,efitype=4m,pre-enrolled-keys=0 hostpci0=mapping=gpu,legacy-igd=1,pcie=1,rombar=0 machine=q35 usb1=mapping=zigbee,usb3=1 virtiofs0=media,cache=never,direct-io=1
        POST /nodes/pve1/qemu/101/config delete=bios,hostpci0,machine,usb1,virtiofs0"#]].assert_eq(&lines(&expected));
}
