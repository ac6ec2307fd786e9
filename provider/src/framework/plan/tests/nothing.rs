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

/// An apply claims what its configuration set; a plan that follows tells by that what was removed.
#[test]
fn removed_is_told_from_unmanaged_by_claimed_paths() {
    let prior = host(json!({ "cpu": { "cores": 4, "limit": 3 }, "labels": ["x"] }));
    let applied = json!({ "name": "a", "cpu": { "limit": 3 }, "labels": ["x"] });
    let claims = Private::claiming(&schema(), &value(&applied)).claimed;
    let claims: Vec<&str> = claims.iter().map(String::as_str).collect();
    let mut removed = host(json!({ "cpu": { "cores": 4 } }));
    removed.as_object_mut().unwrap().remove("labels");
    check(json!({ "name": "a" }), prior.clone(), &claims, removed);
    // After an import, or when only the cluster set it, nothing is claimed.
    check(json!({ "name": "a" }), prior.clone(), &[], prior);
}

#[test]
fn forgetting_a_line_moves_replaces_and_redraws_nothing() {
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
    // What replaces when it changes: here on its own, and decided by the provider at first.
    let prior = host(json!({ "node": "pve1" }));
    let (replace, _) = check(
        json!({ "name": "a" }),
        prior.clone(),
        &["node", "vm_id"],
        prior,
    );
    assert!(replace.is_empty());
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
fn absent_nested_objects_sprout_no_defaults() {
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
fn an_unknown_input_counts_as_changed() {
    let prior = host(json!({ "cpu": { "limit": 3 } }));
    check(
        json!({ "name": "a", "cpu": { "limit": "?" } }),
        prior,
        &["cpu.limit"],
        host(json!({ "cpu": { "limit": "?" } })),
    );
}
