//! What `pmoves_docker_vm` asks of the API, what it makes of its answers, and what a plan means.

use expect_test::{Expect, expect};
use serde_json::json;

use super::{
    DockerVm, DockerVmResource, calls, effects,
    model::{
        Cpu, DataDisk, Dns, Image, Initialization, IpConfig, Ipv4, Ipv6, Memory, NetworkDevice,
        OsDisk, UserAccount,
    },
    read, vmid_of,
};
use crate::{
    framework::{
        Model, Resource, Value,
        model::{check_model, object, untyped},
        plan::plan,
        private::Private,
    },
    pve::{Call, GuestRow, QemuConfig},
};

fn number(text: &str) -> serde_json::Number {
    serde_json::from_str(text).unwrap()
}

/// A host as the state has it.
fn host() -> DockerVm {
    let json = json!({
        "id": "qemu/101", "vm_id": 101, "name": "web", "node_name": "pve1", "current_node": "pve1",
        "image": { "id": "local:import/debian-13.qcow2" },
        "cpu": { "cores": 2, "type": "x86-64-v2-AES" }, "memory": { "size": 2048 },
        "os_disk": { "datastore_id": "local-lvm", "size_gb": 8 },
        "data_disk": { "datastore_id": "local-lvm", "size_gb": 32, "mount_path": "/opt/docker", "filesystem": "ext4", "backup": true },
        "network_device": { "net0": { "bridge": "vmbr0", "mac_address": "BC:24:11:00:00:01" } },
        "docker": { "source": "distro", "live_restore": true },
        "started": true, "start_on_boot": true, "restart_policy": "if_needed", "restart_required": false,
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

fn row() -> GuestRow {
    serde_json::from_value(
        json!({ "vmid": 101, "type": "qemu", "node": "pve1", "status": "running" }),
    )
    .unwrap()
}

fn lines(calls: &[Call]) -> String {
    let lines: Vec<String> = calls.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn the_models_match_their_schemas() {
    check_model::<DockerVm>();
    check_model::<Image>();
    check_model::<Cpu>();
    check_model::<Memory>();
    check_model::<OsDisk>();
    check_model::<DataDisk>();
    check_model::<NetworkDevice>();
    check_model::<Initialization>();
    check_model::<Dns>();
    check_model::<UserAccount>();
    check_model::<IpConfig>();
    check_model::<Ipv4>();
    check_model::<Ipv6>();
}

#[test]
fn a_create_names_all_hardware_at_once() {
    let seed = "local:iso/pmoves-seed-101.iso";
    let call = calls::create(&host(), 101, seed, Some("pmoves"));
    expect!["POST /nodes/pve1/qemu agent=enabled=1 boot=order=scsi0 cores=2 cpu=x86-64-v2-AES memory=2048 name=web net0=virtio=BC:24:11:00:00:01,bridge=vmbr0 onboot=1 ostype=l26 scsi0=local-lvm:0,discard=on,iothread=1,import-from=local:import/debian-13.qcow2,ssd=1 scsi1=local-lvm:32,discard=on,iothread=1,serial=pmoves-data,ssd=1,backup=1 scsi30=local:iso/pmoves-seed-101.iso,media=cdrom scsihw=virtio-scsi-single serial0=socket tags=pmoves vmid=101"].assert_eq(&call.to_string());
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
fn check_update(change: impl FnOnce(&mut DockerVm), expected: Expect) {
    let (prior, mut plan) = (host(), host());
    change(&mut plan);
    let calls = calls::update(&prior, &plan, "pve2", 101, &config(), Some("pmoves"));
    expected.assert_eq(&lines(&calls));
}

#[test]
fn an_update_sends_what_changes_and_nothing_else() {
    check_update(|_| {}, expect![[""]]);
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
        expect!["POST /nodes/pve2/qemu/101/config balloon=0 description=x memory=4096 name=www protection=1 tags=blue;pmoves"],
    );
    // What Proxmox VE has beside our options stays: flags of the CPU, queues of the NIC.
    check_update(
        |vm| vm.cpu.as_mut().unwrap().r#type = Some("host".into()),
        expect!["POST /nodes/pve2/qemu/101/config cpu=host,flags=+aes"],
    );
    check_update(
        |vm| {
            vm.network_device
                .as_mut()
                .unwrap()
                .get_mut("net0")
                .unwrap()
                .vlan_id = Some(20)
        },
        expect!["POST /nodes/pve2/qemu/101/config net0=virtio=BC:24:11:00:00:01,bridge=vmbr0,queues=4,tag=20"],
    );
    check_update(
        |vm| {
            let nic = NetworkDevice {
                bridge: "vmbr1".into(),
                vlan_id: None,
                mac_address: Some("BC:24:11:00:00:02".into()),
                firewall: Some(true),
                mtu: None,
            };
            vm.network_device
                .as_mut()
                .unwrap()
                .insert("net1".into(), nic);
        },
        expect!["POST /nodes/pve2/qemu/101/config net1=virtio=BC:24:11:00:00:02,bridge=vmbr1,firewall=1"],
    );
    check_update(|vm| vm.network_device = Some([].into()), expect!["POST /nodes/pve2/qemu/101/config delete=net0"]);
    check_update(
        |vm| {
            vm.os_disk.as_mut().unwrap().size_gb = Some(number("8.5"));
            let data = vm.data_disk.as_mut().unwrap();
            (data.size_gb, data.backup) = (number("64"), Some(false));
        },
        expect![[r#"
            POST /nodes/pve2/qemu/101/config scsi1=local-lvm:vm-101-disk-1,backup=0,discard=on,serial=pmoves-data,size=32G
            PUT /nodes/pve2/qemu/101/resize disk=scsi0 size=8704M
            PUT /nodes/pve2/qemu/101/resize disk=scsi1 size=65536M"#]],
    );
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
    expect![[r#"
        PUT /nodes/pve1/qemu/101/config protection=0
        PUT /nodes/pve1/qemu/101/config delete=scsi30 protection=1"#]].assert_eq(&lines(&calls::detach_seed(&plan, "pve1", 101, true)));
    expect!["PUT /nodes/pve1/qemu/101/config delete=scsi30"].assert_eq(&lines(&calls::detach_seed(&host(), "pve1", 101, false)));
}

#[test]
fn a_destroy_purges_if_it_shall() {
    expect!["DELETE /nodes/pve1/qemu/101 destroy-unreferenced-disks=1 purge=1"].assert_eq(&calls::destroy(&host(), "pve1", 101).to_string());
}

#[track_caller]
fn check_state(prior: &DockerVm, config: &QemuConfig, importing: bool, expected: Expect) {
    let state = read::from_config(prior, config, &row(), Some("pmoves"), importing);
    let (before, after) = (untyped(prior), untyped(&state));
    let changed: Vec<String> = DockerVm::schema()
        .attributes
        .keys()
        .filter(|name| before.get(name) != after.get(name))
        .map(|name| format!("{name}: {}", after.get(name).display()))
        .collect();
    expected.assert_eq(&changed.join("\n"));
}

#[test]
fn a_state_takes_what_the_configuration_tells() {
    check_state(&host(), &config(), false, expect![[""]]);
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
    check_state(&host(), &changed, false, expect![[r#"
        memory: (a collection)
        network_device: (a collection)
        os_disk: (a collection)
        protection: true
        tags: (a collection)"#]]);
}

#[test]
fn an_import_takes_all_that_the_configuration_tells() {
    let blank = serde_json::from_value(DockerVmResource::import("qemu/101").unwrap()).unwrap();
    check_state(&blank, &config(), true, expect![[r#"
        cpu: (a collection)
        current_node: pve1
        data_disk: (a collection)
        memory: (a collection)
        name: web
        network_device: (a collection)
        node_name: pve1
        os_disk: (a collection)
        start_on_boot: true"#]]);
    // A recorded VM that somebody made by hand.
    let recorded: serde_json::Value =
        serde_json::from_str(include_str!("../../../fixtures/qemu_config.9.2.json")).unwrap();
    check_state(&blank, &config_of(&recorded["data"]), true, expect![[r#"
        cpu: (a collection)
        current_node: pve1
        description: Hello
        world ümlaut
        memory: (a collection)
        name: vm-one
        network_device: (a collection)
        node_name: pve1
        os_disk: (a collection)
        start_on_boot: true
        tags: (a collection)"#]]);
}

#[track_caller]
fn check_plan(config: serde_json::Value, prior: Option<&DockerVm>, expected: Expect) {
    let schema = DockerVm::schema();
    let config = object(&config, &schema);
    let prior = prior.map_or(Value::Null, untyped);
    // What the configuration does not set was never set.
    let private = Private::default();
    let mut plan = plan(&schema, &config, &prior, &private);
    effects::effects(&mut plan);
    let mut lines: Vec<String> = schema
        .attributes
        .keys()
        .filter(|name| plan.changed(name) && (!plan.creating() || config.get(name).is_null()))
        .map(|name| format!("{name} = {}", plan.value.get(name).display()))
        .collect();
    lines.extend(plan.replace.iter().map(|path| format!("replace {path}")));
    lines.extend(plan.diagnostics.0.iter().map(|found| {
        let kind = if found.error { "error" } else { "warning" };
        let at = found
            .path
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        format!("{kind} {at}: {}", found.summary)
    }));
    expected.assert_eq(&lines.join("\n"));
}

fn minimal() -> serde_json::Value {
    json!({
        "name": "web", "node_name": "pve1", "image": { "id": "local:import/debian-13.qcow2" },
        "os_disk": { "datastore_id": "local-lvm", "size_gb": 8 }, "data_disk": { "size_gb": 32 },
        "network_device": { "net0": { "bridge": "vmbr0" } },
    })
}

/// The minimal configuration with some attributes set.
fn with(more: &serde_json::Value) -> serde_json::Value {
    let mut config = minimal();
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

#[test]
fn a_new_host_gets_its_defaults() {
    check_plan(minimal(), None, expect![[r#"
        addresses = (known after apply)
        compose_version = (known after apply)
        cpu = (a collection)
        current_node = (known after apply)
        docker = (a collection)
        docker_version = (known after apply)
        id = (known after apply)
        initialization = (a collection)
        interface_name = (known after apply)
        ipv4_address = (known after apply)
        ipv6_address = (known after apply)
        memory = (a collection)
        purge_on_destroy = true
        restart_policy = if_needed
        restart_required = false
        start_on_boot = true
        started = true
        status = (known after apply)
        stop_on_destroy = false
        storage_driver = (known after apply)
        vm_id = (known after apply)"#]]);
    check_plan(
        with(&json!({ "vm_id": 200, "image": null, "data_disk": null })),
        None,
        expect![[r#"
            addresses = (known after apply)
            compose_version = (known after apply)
            cpu = (a collection)
            current_node = (known after apply)
            docker = (a collection)
            docker_version = (known after apply)
            id = qemu/200
            initialization = (a collection)
            interface_name = (known after apply)
            ipv4_address = (known after apply)
            ipv6_address = (known after apply)
            memory = (a collection)
            purge_on_destroy = true
            restart_policy = if_needed
            restart_required = false
            start_on_boot = true
            started = true
            status = (known after apply)
            stop_on_destroy = false
            storage_driver = (known after apply)
            error image: image.id is missing
            warning data_disk: Docker stays on the OS disk"#]],
    );
}

#[test]
fn a_change_says_what_it_causes() {
    let prior = host();
    check_plan(minimal(), Some(&prior), expect![[""]]);
    for (change, expected) in [
        (json!({ "memory": { "size": 4096 } }), expect![[r#"
            memory = (a collection)
            warning memory.size: The VM restarts"#]]),
        (
            json!({ "memory": { "size": 4096 }, "restart_policy": "never" }),
            expect![[r#"
                memory = (a collection)
                restart_policy = never
                restart_required = true
                warning memory.size: The change waits for a restart"#]],
        ),
        (
            json!({ "memory": { "size": 4096 }, "started": false }),
            expect![[r#"
                memory = (a collection)
                started = false
                status = stopped"#]],
        ),
        (
            json!({ "network_device": { "net0": { "bridge": "vmbr1" } } }),
            expect![[r#"
                addresses = (known after apply)
                ipv4_address = (known after apply)
                ipv6_address = (known after apply)
                network_device = (a collection)"#]],
        ),
        (json!({ "data_disk": { "size_gb": 16 } }), expect![[r#"
            data_disk = (a collection)
            error data_disk.size_gb: A disk cannot shrink"#]]),
        (
            json!({ "os_disk": { "datastore_id": "ceph" } }),
            expect![[r#"
                os_disk = (a collection)
                error os_disk.datastore_id: The disk is on another storage"#]],
        ),
        (json!({ "node_name": "pve2" }), expect![[r#"
            node_name = pve2
            error node_name: The VM is on another node"#]]),
        (json!({ "vm_id": 200 }), expect![[r#"
            vm_id = 200
            replace vm_id
            warning vm_id: The data disk goes with the VM"#]]),
        (
            json!({ "vm_id": 101, "image": { "id": "local:import/other.qcow2" } }),
            expect![[""]],
        ),
        (
            json!({ "docker": { "source": "preinstalled" } }),
            expect![[r#"
                docker = (a collection)
                error docker.source: Docker's source cannot be swapped"#]],
        ),
    ] {
        check_plan(with(&change), Some(&prior), expected);
    }
}

#[test]
fn a_host_that_is_not_finished_is_taken_up_again() {
    let unfinished = DockerVm {
        docker_version: None,
        ..host()
    };
    check_plan(minimal(), Some(&unfinished), expect![[r#"
        compose_version = (known after apply)
        docker_version = (known after apply)
        interface_name = (known after apply)
        storage_driver = (known after apply)"#]]);
    // One without Docker is nobody's to finish.
    let plain = DockerVm {
        docker: None,
        ..unfinished
    };
    check_plan(minimal(), Some(&plain), expect![[""]]);
}

#[test]
fn a_restart_that_waits_is_made_once_it_may() {
    let waiting = DockerVm {
        restart_required: Some(true),
        restart_policy: Some("never".into()),
        ..host()
    };
    check_plan(
        with(&json!({ "restart_policy": "if_needed" })),
        Some(&waiting),
        expect![[r#"
            restart_policy = if_needed
            restart_required = false"#]],
    );
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
        assert_eq!(vmid_of(id), vmid, "{id}");
    }
}
