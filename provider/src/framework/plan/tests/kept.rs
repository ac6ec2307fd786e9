//! What a change does not touch: kept inputs, other spellings, secrets; and what replaces instead.

use super::*;

#[test]
fn keep_prior_attributes_warn_and_keep() {
    let (replace, found) = check(
        json!({ "name": "a", "image": "new" }),
        host(json!({ "image": "old" })),
        &[],
        host(json!({ "image": "old" })),
    );
    assert_eq!(
        (replace.len(), found),
        (0, vec!["Kept as it was made".to_owned()])
    );
    let (_, quiet) = check(
        json!({ "name": "a", "image": "new" }),
        host(json!({})),
        &[],
        host(json!({ "image": "new" })),
    );
    assert!(
        quiet.is_empty(),
        "an imported guest takes the image as a note"
    );
}

#[test]
fn a_create_time_input_keeps_its_value_while_the_configuration_is_unknown() {
    check(
        json!({ "name": "a", "image": "?" }),
        host(json!({ "image": "old" })),
        &[],
        host(json!({ "image": "old" })),
    );
}

#[test]
fn semantic_equality_returns_prior() {
    check(
        json!({ "name": "a", "tag": "WEB" }),
        host(json!({ "tag": "web" })),
        &[],
        host(json!({ "tag": "web" })),
    );
}

#[test]
fn write_only_values_are_never_planned() {
    check(
        json!({
            "name": "a", "secret_wo": "s", "disk": { "size": 8, "key_wo": "s" },
            "nic": { "net0": { "bridge": "vmbr0", "key_wo": "s" } }
        }),
        host(json!({})),
        &[],
        host(json!({
            "disk": { "size": 8, "path": "/opt" },
            "nic": { "net0": { "bridge": "vmbr0", "mac": "?" } }
        })),
    );
}

#[test]
fn a_replacing_change_names_its_path_and_silences_kept_inputs() {
    let (replace, found) = check(
        json!({ "name": "a", "vm_id": 7, "image": "new" }),
        host(json!({ "image": "old" })),
        &[],
        host(json!({ "vm_id": 7, "image": "old" })),
    );
    assert_eq!((replace, found), (vec!["vm_id".to_owned()], vec![]));
}

#[test]
fn an_unknown_value_that_would_replace_a_guest_is_an_error() {
    let (_, found) = check(
        json!({ "name": "a", "vm_id": "?" }),
        host(json!({})),
        &[],
        {
            let mut planned = host(json!({}));
            planned["vm_id"] = "?".into();
            planned
        },
    );
    assert_eq!(found, ["This value must be known"]);
}

#[test]
fn a_value_that_is_partly_unknown_is_kept_or_refused_as_a_whole() {
    let prior = host(json!({ "servers": ["::1"] }));
    check(
        json!({ "name": "a", "servers": ["::2", "?"] }),
        prior.clone(),
        &[],
        prior,
    );
}

#[test]
fn an_unknown_object_is_kept_if_all_of_it_would_be() {
    let config = json!({ "name": "a", "source": "?" });
    let whole = host(json!({ "source": { "id": "x", "user": "y" } }));
    check(config.clone(), whole.clone(), &[], whole);
    // The configuration may turn out to name a user, which nothing keeps.
    let half = host(json!({ "source": { "id": "x" } }));
    check(config, half, &[], host(json!({ "source": "?" })));
}

#[test]
fn an_unknown_object_that_nothing_keeps_is_unknown() {
    check(
        json!({ "name": "a", "cpu": "?" }),
        host(json!({})),
        &[],
        host(json!({ "cpu": "?" })),
    );
}

#[test]
fn an_unknown_value_that_follows_a_replacement_replaces_too() {
    let (replace, found) = check(
        json!({ "name": "a", "node": "?" }),
        host(json!({ "node": "pve1" })),
        &[],
        host(json!({ "node": "?" })),
    );
    assert_eq!((replace, found), (vec!["node".to_owned()], vec![]));
}

#[test]
fn what_was_not_there_is_no_reason_to_replace() {
    for node in ["?", "pve1"] {
        let (replace, found) = check(
            json!({ "name": "a", "node": node, "vm_id": 100 }),
            host(json!({})),
            &[],
            host(json!({ "node": node })),
        );
        assert_eq!((replace.len(), found.len()), (0, 0), "{node}");
    }
}

#[test]
fn another_spelling_stays_the_prior_one_beside_other_changes() {
    check(
        json!({ "name": "b", "tag": "WEB" }),
        host(json!({ "tag": "web" })),
        &[],
        host(json!({ "name": "b", "tag": "web" })),
    );
}
