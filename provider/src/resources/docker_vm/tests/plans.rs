//! What a plan means beyond its attributes.

use expect_test::{Expect, expect};
use serde_json::json;

use super::{
    super::{DockerVm, effects},
    host, shown,
};
use crate::framework::{
    Model, Value,
    model::{object, untyped},
    plan::plan,
    private::Private,
};

#[track_caller]
fn check_plan(config: &serde_json::Value, prior: Option<&DockerVm>, expected: &Expect) {
    let schema = DockerVm::schema();
    let config = object(config, &schema);
    let prior = prior.map_or(Value::Null, untyped);
    // What the configuration does not set was never set.
    let private = Private::default();
    let mut plan = plan(&schema, &config, &prior, &private);
    effects::effects(&mut plan);
    let mut lines: Vec<String> = schema
        .attributes
        .keys()
        .filter(|name| plan.changed(name) && (!plan.creating() || config.get(name).is_null()))
        .map(|name| format!("{name} = {}", shown(plan.value.get(name))))
        .collect();
    lines.extend(plan.replace.iter().map(|path| format!("replace {path}")));
    lines.extend(plan.diagnostics.0.iter().map(|found| {
        let kind = if found.error { "error" } else { "warning" };
        let at = found
            .path
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let how = found.detail.lines().next().filter(|_| at == "node_name");
        let how = how.map(|how| format!(": {how}")).unwrap_or_default();
        format!("{kind} {at}: {}{how}", found.summary)
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
    check_plan(
        &minimal(),
        None,
        &expect![[r#"
            addresses = ?
            agent = {"enabled":true}
            compose_version = ?
            connection = "auto"
            cpu = {"cores":2,"limit":null,"numa":null,"sockets":null,"type":"x86-64-v2-AES","units":null}
            current_node = ?
            docker = {"address_pools":null,"daemon_json":null,"data_root":null,"insecure_registries":null,"live_restore":true,"log":{"driver":"local","max_file":3,"max_size":"10m"},"mtu":null,"proxy":null,"prune":{"schedule":"weekly","until":"168h","volumes":false},"registry_ca":null,"registry_mirrors":null,"repository_key":null,"repository_url":null,"source":"docker","users":null,"version":null}
            docker_version = ?
            id = ?
            initialization = {"datastore_id":null,"dns":null,"hostname":null,"ip_config":null,"upgrade":false,"user_account":{"keys":null,"password_wo":null,"password_wo_version":null,"username":"pmoves"},"user_data":null,"user_data_wo":null}
            interface_name = ?
            ipv4_address = ?
            ipv6_address = ?
            memory = {"balloon":null,"size":2048}
            purge_on_destroy = true
            restart_policy = "if_needed"
            restart_required = false
            start_on_boot = true
            started = true
            status = ?
            stop_on_destroy = false
            storage_driver = ?
            template = false
            vm_id = ?"#]],
    );
    check_plan(
        &with(&json!({ "vm_id": 200, "image": null, "data_disk": null })),
        None,
        &expect![[r#"
            addresses = ?
            agent = {"enabled":true}
            compose_version = ?
            connection = "auto"
            cpu = {"cores":2,"limit":null,"numa":null,"sockets":null,"type":"x86-64-v2-AES","units":null}
            current_node = ?
            docker = {"address_pools":null,"daemon_json":null,"data_root":null,"insecure_registries":null,"live_restore":true,"log":{"driver":"local","max_file":3,"max_size":"10m"},"mtu":null,"proxy":null,"prune":{"schedule":"weekly","until":"168h","volumes":false},"registry_ca":null,"registry_mirrors":null,"repository_key":null,"repository_url":null,"source":"docker","users":null,"version":null}
            docker_version = ?
            id = "qemu/200"
            initialization = {"datastore_id":null,"dns":null,"hostname":null,"ip_config":null,"upgrade":false,"user_account":{"keys":null,"password_wo":null,"password_wo_version":null,"username":"pmoves"},"user_data":null,"user_data_wo":null}
            interface_name = ?
            ipv4_address = ?
            ipv6_address = ?
            memory = {"balloon":null,"size":2048}
            purge_on_destroy = true
            restart_policy = "if_needed"
            restart_required = false
            start_on_boot = true
            started = true
            status = ?
            stop_on_destroy = false
            storage_driver = ?
            template = false
            error image: image.id is missing
            warning data_disk: Docker stays on the OS disk"#]],
    );
}

#[test]
fn a_change_says_what_it_causes() {
    let prior = host();
    check_plan(&minimal(), Some(&prior), &expect![[""]]);
    for (change, expected) in [
        (
            json!({ "memory": { "size": 4096 } }),
            expect![[r#"
            memory = {"balloon":null,"size":4096}
            warning memory.size: The VM restarts"#]],
        ),
        (
            json!({ "memory": { "size": 4096 }, "restart_policy": "never" }),
            expect![[r#"
                memory = {"balloon":null,"size":4096}
                restart_policy = "never"
                restart_required = true
                warning memory.size: The change waits for a restart"#]],
        ),
        (
            json!({ "memory": { "size": 4096 }, "started": false }),
            expect![[r#"
                memory = {"balloon":null,"size":4096}
                started = false
                status = "stopped""#]],
        ),
        (
            json!({ "network_device": { "net0": { "bridge": "vmbr1" } } }),
            expect![[r#"
                addresses = ?
                ipv4_address = ?
                ipv6_address = ?
                network_device = {"net0":{"bridge":"vmbr1","disconnected":null,"firewall":null,"mac_address":"BC:24:11:00:00:01","mtu":null,"queues":4,"rate_limit":null,"trunks":null,"vlan_id":null}}"#]],
        ),
        (
            json!({ "data_disk": { "size_gb": 16 } }),
            expect![[r#"
            data_disk = {"backup":true,"datastore_id":"local-lvm","filesystem":"ext4","mount_path":"/opt/docker","size_gb":16}
            error data_disk.size_gb: A disk cannot shrink"#]],
        ),
        (
            json!({ "os_disk": { "datastore_id": "ceph" } }),
            expect![[r#"os_disk = {"datastore_id":"ceph","interface":"scsi0","size_gb":8}"#]],
        ),
        (
            json!({ "node_name": "pve2" }),
            expect![[r#"
                current_node = "pve2"
                node_name = "pve2"
                warning node_name: The VM moves to another node: From pve1 to pve2. It moves online: it goes on running, and its local disks are copied meanwhile."#]],
        ),
        (
            json!({ "agent": { "enabled": false } }),
            expect![[r#"
                agent = {"enabled":false}
                warning agent.enabled: The VM restarts"#]],
        ),
        (
            json!({ "vm_id": 200 }),
            expect![[r"
            vm_id = 200
            replace vm_id
            warning vm_id: The data disk goes with the VM"]],
        ),
        (
            json!({ "vm_id": 101, "image": { "id": "local:import/other.qcow2" } }),
            expect![[""]],
        ),
        (
            json!({ "docker": { "source": "preinstalled" } }),
            expect![[r#"
                compose_version = ?
                docker = {"address_pools":null,"daemon_json":null,"data_root":null,"insecure_registries":null,"live_restore":true,"log":null,"mtu":null,"proxy":null,"prune":null,"registry_ca":null,"registry_mirrors":null,"repository_key":null,"repository_url":null,"source":"preinstalled","users":null,"version":null}
                docker_version = ?
                error docker.source: Docker's source cannot be swapped"#]],
        ),
    ] {
        check_plan(&with(&change), Some(&prior), &expected);
    }
}

#[test]
fn devices_and_firmware_say_what_they_cause() {
    let prior = host();
    for (change, expected) in [
        (
            json!({ "hostpci": { "hostpci0": { "mapping": "gpu" } } }),
            expect![[r#"
                hostpci = {"hostpci0":{"mapping":"gpu","mdev":null,"pcie":null,"rombar":null,"xvga":null}}
                warning hostpci: The VM restarts"#]],
        ),
        (
            json!({ "usb": { "usb0": { "mapping": "zigbee" } } }),
            expect![[r#"usb = {"usb0":{"mapping":"zigbee","usb3":null}}"#]],
        ),
        (
            json!({ "bios": "ovmf", "efi_disk": {} }),
            expect![[r#"
            bios = "ovmf"
            efi_disk = {"datastore_id":"local-lvm","pre_enrolled_keys":false,"type":"4m"}
            warning bios: The guest may not boot
            warning bios: The VM restarts"#]],
        ),
    ] {
        check_plan(&with(&change), Some(&prior), &expected);
    }
}

#[test]
fn a_clone_takes_its_disks_from_its_source() {
    check_plan(
        &json!({
            "name": "web", "node_name": "pve1", "clone": { "vm_id": 9000 }, "data_disk": { "size_gb": 32 },
            "network_device": { "net0": { "bridge": "vmbr0" } }, "docker": { "source": "preinstalled" },
        }),
        None,
        &expect![[r#"
            addresses = ?
            agent = {"enabled":true}
            compose_version = ?
            connection = "auto"
            cpu = {"cores":2,"limit":null,"numa":null,"sockets":null,"type":"x86-64-v2-AES","units":null}
            current_node = ?
            docker_version = ?
            id = ?
            initialization = {"datastore_id":null,"dns":null,"hostname":null,"ip_config":null,"upgrade":false,"user_account":{"keys":null,"password_wo":null,"password_wo_version":null,"username":"pmoves"},"user_data":null,"user_data_wo":null}
            interface_name = ?
            ipv4_address = ?
            ipv6_address = ?
            memory = {"balloon":null,"size":2048}
            os_disk = ?
            purge_on_destroy = true
            restart_policy = "if_needed"
            restart_required = false
            start_on_boot = true
            started = true
            status = ?
            stop_on_destroy = false
            storage_driver = ?
            template = false
            vm_id = ?"#]],
    );
}

#[test]
fn a_template_does_not_run_and_does_not_turn_back() {
    let template = DockerVm {
        template: Some(true),
        started: Some(false),
        status: Some("stopped".into()),
        ipv4_address: None,
        addresses: None,
        ..host()
    };
    for (config, prior, expected) in [
        (
            json!({ "template": true }),
            host(),
            expect![[r#"
            addresses = null
            ipv4_address = null
            started = false
            status = "stopped"
            template = true
            warning template: The VM becomes a template"#]],
        ),
        (json!({ "template": true }), template.clone(), expect![[""]]),
        (
            json!({ "template": true, "name": "www", "data_disk": { "size_gb": 64 } }),
            template.clone(),
            expect![[r#"
                data_disk = {"backup":true,"datastore_id":"local-lvm","filesystem":"ext4","mount_path":"/opt/docker","size_gb":64}
                name = "www"
                error data_disk: A template is not changed from the inside"#]],
        ),
        (
            json!({ "template": false, "started": false }),
            template.clone(),
            expect![[r#"
                template = false
                error template: A template does not turn back"#]],
        ),
        (
            json!({ "template": true, "started": true }),
            host(),
            expect![[r#"
                addresses = null
                ipv4_address = null
                started = false
                status = "stopped"
                template = true
                error started: A template does not run
                warning template: The VM becomes a template"#]],
        ),
    ] {
        check_plan(&with(&config), Some(&prior), &expected);
    }
}

#[test]
fn a_move_says_how_it_is_made() {
    let stopped = DockerVm {
        started: Some(false),
        status: Some("stopped".into()),
        ..host()
    };
    let moved = DockerVm {
        current_node: Some("pve2".into()),
        ..host()
    };
    for (prior, expected) in [
        (
            stopped,
            expect![[r#"
        current_node = "pve2"
        node_name = "pve2"
        warning node_name: The VM moves to another node: From pve1 to pve2. It is stopped, and moves offline."#]],
        ),
        (moved, expect![[r#"node_name = "pve2""#]]),
    ] {
        let started = prior.started;
        check_plan(
            &with(&json!({ "node_name": "pve2", "started": started })),
            Some(&prior),
            &expected,
        );
    }
}

#[test]
fn a_host_that_is_not_finished_is_taken_up_again() {
    let unfinished = DockerVm {
        docker_version: None,
        ..host()
    };
    check_plan(
        &minimal(),
        Some(&unfinished),
        &expect![[r"
        compose_version = ?
        docker_version = ?
        interface_name = ?
        storage_driver = ?"]],
    );
    // One without Docker is nobody's to finish.
    let plain = DockerVm {
        docker: None,
        ..unfinished
    };
    check_plan(&minimal(), Some(&plain), &expect![[""]]);
}

#[test]
fn a_restart_that_waits_is_made_once_it_may() {
    let waiting = DockerVm {
        restart_required: Some(true),
        restart_policy: Some("never".into()),
        ..host()
    };
    check_plan(
        &with(&json!({ "restart_policy": "if_needed" })),
        Some(&waiting),
        &expect![[r#"
            restart_policy = "if_needed"
            restart_required = false"#]],
    );
}
