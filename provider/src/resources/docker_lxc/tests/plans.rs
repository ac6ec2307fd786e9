//! What a plan means beyond its attributes.

use expect_test::{Expect, expect};
use serde_json::{Value as Json, json};

use super::{
    super::{DockerLxc, effects},
    host,
};
use crate::framework::{
    Model, Value,
    model::{object, to_json, untyped},
    plan::plan,
    private::Private,
};

fn shown(value: &Value) -> String {
    match value {
        Value::Unknown => "?".to_owned(),
        known => to_json(known).to_string(),
    }
}

#[track_caller]
fn check_plan(config: &Json, prior: Option<&DockerLxc>, expected: &Expect) {
    let schema = DockerLxc::schema();
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
        let at = found.path.as_ref().map(ToString::to_string);
        format!("{kind} {}: {}", at.unwrap_or_default(), found.summary)
    }));
    expected.assert_eq(&lines.join("\n"));
}

fn with(more: &Json) -> Json {
    let mut config = json!({
        "name": "web", "node_name": "pve1",
        "template_file_id": "local:vztmpl/debian-13-standard_13.0-1_amd64.tar.zst",
        "root_disk": { "datastore_id": "local-lvm", "size_gb": 8 }, "data_volume": { "size_gb": 32 },
        "network_interface": { "net0": { "bridge": "vmbr0" } },
    });
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

#[test]
fn a_new_container_gets_the_defaults() {
    check_plan(
        &with(&json!({ "vm_id": 102 })),
        None,
        &expect![[r#"
            addresses = ?
            compose_version = ?
            connection = "auto"
            cpu = {"cores":2,"limit":null,"units":null}
            current_node = ?
            docker = {"address_pools":null,"daemon_json":null,"data_root":null,"insecure_registries":null,"live_restore":true,"log":{"driver":"local","max_file":3,"max_size":"10m"},"mtu":null,"proxy":null,"prune":{"schedule":"weekly","until":"168h","volumes":false},"registry_ca":null,"registry_mirrors":null,"repository_key":null,"repository_url":null,"source":"docker","users":null,"version":null}
            docker_version = ?
            features = {"fuse":null,"keyctl":null,"mknod":null,"mount":null,"nesting":true}
            id = "lxc/102"
            interface_name = ?
            ipv4_address = ?
            ipv6_address = ?
            memory = {"size":2048,"swap":0}
            purge_on_destroy = true
            restart_policy = "if_needed"
            restart_required = false
            start_on_boot = true
            started = true
            status = ?
            stop_on_destroy = false
            storage_driver = ?
            template = false
            unprivileged = true"#]],
    );
}

#[test]
fn what_a_new_container_needs_is_asked_for() {
    check_plan(
        &json!({ "name": "web", "node_name": "pve1" }),
        None,
        &expect![[r#"
            addresses = ?
            compose_version = ?
            connection = "auto"
            cpu = {"cores":2,"limit":null,"units":null}
            current_node = ?
            docker = {"address_pools":null,"daemon_json":null,"data_root":null,"insecure_registries":null,"live_restore":true,"log":{"driver":"local","max_file":3,"max_size":"10m"},"mtu":null,"proxy":null,"prune":{"schedule":"weekly","until":"168h","volumes":false},"registry_ca":null,"registry_mirrors":null,"repository_key":null,"repository_url":null,"source":"docker","users":null,"version":null}
            docker_version = ?
            features = {"fuse":null,"keyctl":null,"mknod":null,"mount":null,"nesting":true}
            id = ?
            interface_name = ?
            ipv4_address = ?
            ipv6_address = ?
            memory = {"size":2048,"swap":0}
            purge_on_destroy = true
            restart_policy = "if_needed"
            restart_required = false
            start_on_boot = true
            started = true
            status = ?
            stop_on_destroy = false
            storage_driver = ?
            template = false
            unprivileged = true
            vm_id = ?
            error template_file_id: template_file_id is missing
            error root_disk: root_disk.datastore_id is missing
            error network_interface: network_interface.net0.bridge is missing
            warning data_volume: Docker stays on the root disk"#]],
    );
}

#[test]
fn docker_without_nesting_is_refused() {
    let config = with(&json!({ "features": { "nesting": false } }));
    check_plan(
        &config,
        Some(&host()),
        &expect![[r#"
        features = {"fuse":null,"keyctl":false,"mknod":null,"mount":null,"nesting":false}
        error features.nesting: Docker needs nesting
        warning features: The container restarts"#]],
    );
}

#[test]
fn the_same_configuration_changes_nothing() {
    check_plan(&with(&json!({})), Some(&host()), &expect![[""]]);
}

#[test]
fn another_privilege_is_another_container() {
    let config = with(&json!({ "unprivileged": false }));
    check_plan(
        &config,
        Some(&host()),
        &expect![[r#"
        unprivileged = false
        replace unprivileged
        warning unprivileged: The data volume goes with the container"#]],
    );
    let protected = DockerLxc {
        protection: Some(true),
        ..host()
    };
    check_plan(
        &config,
        Some(&protected),
        &expect![[r#"
        unprivileged = false
        replace unprivileged
        error unprivileged: The container is protected"#]],
    );
}

#[test]
fn changes_say_what_stops_or_restarts() {
    let config = with(&json!({
        "node_name": "pve2", "root_disk": { "datastore_id": "tank", "size_gb": 8 },
        "features": { "fuse": true }, "memory": { "size": 4096 },
    }));
    check_plan(
        &config,
        Some(&host()),
        &expect![[r#"
        current_node = "pve2"
        features = {"fuse":true,"keyctl":false,"mknod":null,"mount":null,"nesting":true}
        memory = {"size":4096,"swap":0}
        node_name = "pve2"
        root_disk = {"datastore_id":"tank","size_gb":8}
        warning node_name: The container moves to another node
        warning root_disk.datastore_id: The volume moves to another storage
        warning features: The container restarts"#]],
    );
}

#[test]
fn a_new_mount_point_restarts_nothing() {
    let config = with(
        &json!({ "mount_point": { "mp1": { "volume": "tank", "path": "/media", "size_gb": 1 } } }),
    );
    check_plan(
        &config,
        Some(&host()),
        &expect![[
            r#"mount_point = {"mp1":{"acl":null,"backup":null,"mount_options":null,"path":"/media","quota":null,"read_only":null,"replicate":null,"shared":null,"size_gb":1,"volume":"tank"}}"#
        ]],
    );
}

#[test]
fn volumes_do_not_shrink() {
    let config = with(&json!({ "data_volume": { "size_gb": 31 } }));
    check_plan(
        &config,
        Some(&host()),
        &expect![[r#"
        data_volume = {"backup":true,"datastore_id":"local-lvm","mount_path":"/opt/appdata","size_gb":31}
        error data_volume.size_gb: A disk cannot shrink"#]],
    );
}
