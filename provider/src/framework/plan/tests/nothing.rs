//! The kinds of nothing: unmanaged, removed, empty, absent; and what fills them.

use super::*;

#[test]
fn unmanaged_stays_and_removed_returns_to_the_default() {
    let prior = host(json!({ "cpu": { "cores": 4, "limit": 3 } }));
    check(json!({ "name": "a" }), prior.clone(), &[], prior.clone());
    check(
        json!({ "name": "a" }),
        prior,
        &["cpu.cores", "cpu.limit"],
        host(json!({ "cpu": { "cores": 2 } })),
    );
}

#[test]
fn removal_does_not_move_a_disk_or_draw_a_new_mac() {
    let prior = host(json!({
        "disk": { "size": 8, "storage": "fast", "path": "/srv" },
        "nic": { "net0": { "bridge": "vmbr0", "mac": "BC:24:11:00:00:01" } }
    }));
    check(
        json!({ "name": "a", "disk": { "size": 8 }, "nic": { "net0": { "bridge": "vmbr0" } } }),
        prior.clone(),
        &["disk.storage", "disk.path", "nic.net0", "nic.net0.mac"],
        prior,
    );
}

#[test]
fn an_optional_attribute_that_is_owned_whole_is_removed_by_absence() {
    check(
        json!({ "name": "a" }),
        host(json!({ "note": "x" })),
        &[],
        host(json!({})),
    );
}

#[test]
fn defaults_are_for_creation() {
    check(json!({ "name": "a" }), Json::Null, &[], made());
    let imported = json!({ "id": "qemu/1", "name": "a", "vm_id": 1, "started": true });
    check(json!({ "name": "a" }), imported.clone(), &[], imported);
}

#[test]
fn a_device_that_is_configured_for_the_first_time_gets_its_defaults() {
    check(
        json!({ "name": "a", "disk": { "size": 8 } }),
        host(json!({})),
        &[],
        host(json!({
            "disk": { "size": 8, "path": "/opt" }
        })),
    );
}

#[test]
fn an_enforced_default_corrects_drift() {
    check(
        json!({ "name": "a" }),
        host(json!({ "started": false })),
        &[],
        host(json!({})),
    );
}

#[test]
fn a_replacement_does_not_follow_the_claims_of_what_it_replaces() {
    check(
        json!({ "name": "a" }),
        Json::Null,
        &["cpu.cores", "nic.net0"],
        made(),
    );
}

#[test]
fn an_object_that_was_never_there_sprouts_no_defaults() {
    let imported = json!({ "id": "qemu/1", "name": "a", "vm_id": 1, "started": true });
    check(
        json!({ "name": "a", "cpu": { "limit": 1 } }),
        imported.clone(),
        &[],
        {
            let mut planned = imported;
            planned["cpu"] = json!({ "cores": 2, "limit": 1 });
            planned
        },
    );
}

#[test]
fn a_new_slot_gets_its_defaults_and_an_old_one_does_not() {
    let prior = host(json!({ "nic": { "net0": { "bridge": "vmbr0" } } }));
    let nics = json!({ "net0": { "bridge": "vmbr0" }, "net1": { "bridge": "vmbr1" } });
    check(
        json!({ "name": "a", "nic": nics }),
        prior,
        &["nic.net0"],
        host(json!({
            "nic": { "net0": { "bridge": "vmbr0" }, "net1": { "bridge": "vmbr1", "mac": "?" } }
        })),
    );
}

#[test]
fn a_setting_that_is_missing_is_quiet() {
    let mut prior = host(json!({}));
    prior.as_object_mut().unwrap().remove("policy");
    check(json!({ "name": "a" }), prior.clone(), &[], prior);
}

#[test]
fn empty_is_a_value() {
    let prior = host(json!({ "labels": ["x"], "note": "n" }));
    let config = json!({ "name": "a", "labels": [], "note": "" });
    let empty = host(json!({ "labels": [], "note": "" }));
    check(config.clone(), prior, &[], empty.clone());
    check(config, empty.clone(), &["labels", "note"], empty);
}

#[test]
fn an_empty_value_that_nobody_configured_stays_empty() {
    let prior = host(json!({ "nic": {}, "labels": [] }));
    check(json!({ "name": "a" }), prior.clone(), &[], prior);
}

#[test]
fn an_object_of_nulls_stays_one_while_nobody_configures_it() {
    let mut prior = host(json!({}));
    prior["cpu"] = json!({});
    check(json!({ "name": "a" }), prior.clone(), &[], prior);
}

#[test]
fn an_absent_object_means_that_its_attributes_are_absent() {
    let prior = host(json!({ "cpu": { "cores": 4, "limit": 3 } }));
    for config in [json!({ "name": "a" }), json!({ "name": "a", "cpu": {} })] {
        check(
            config,
            prior.clone(),
            &["cpu.limit"],
            host(json!({ "cpu": { "cores": 4 } })),
        );
    }
}

#[test]
fn a_device_is_not_removed_by_absence() {
    let prior = host(json!({ "disk": { "size": 8, "storage": "fast", "path": "/srv" } }));
    let claims = ["disk.size", "disk.storage", "disk.path"];
    check(json!({ "name": "a" }), prior.clone(), &claims, prior);
}

#[test]
fn an_optional_object_that_is_owned_whole_is_removed_by_absence() {
    check(
        json!({ "name": "a" }),
        host(json!({ "limits": { "create": "1h" } })),
        &[],
        host(json!({})),
    );
}

#[test]
fn computed_values_stay_known() {
    check(
        json!({ "name": "b" }),
        host(json!({})),
        &[],
        host(json!({ "name": "b" })),
    );
}

#[test]
fn an_unknown_value_counts_as_changed() {
    let prior = host(json!({ "cpu": { "limit": 3 } }));
    check(
        json!({ "name": "a", "cpu": { "limit": "?" } }),
        prior,
        &["cpu.limit"],
        host(json!({ "cpu": { "limit": "?" } })),
    );
}
