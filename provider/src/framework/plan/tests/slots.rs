//! Maps of devices by slot: ours, foreign ones, and those that may be either.

use super::*;

const NIC: [&str; 2] = ["BC:24:11:00:00:00", "BC:24:11:00:00:01"];

fn nic(number: usize) -> Json {
    json!({ "bridge": "vmbr0", "mac": NIC[number] })
}

fn two() -> Json {
    host(json!({ "nic": { "net0": nic(0), "net1": nic(1) } }))
}

fn nics(nics: Json) -> Json {
    let mut config = json!({ "name": "a" });
    config["nic"] = nics;
    config
}

#[test]
fn slot_maps_leave_foreign_devices() {
    let one = host(json!({ "nic": { "net0": nic(0) } }));
    let config = nics(json!({ "net0": { "bridge": "vmbr0" } }));
    check(config.clone(), two(), &["nic.net0", "nic.net1"], one);
    let (_, found) = check(config, two(), &["nic.net0"], two());
    assert!(found.is_empty(), "a foreign NIC is no difference");
}

#[test]
fn a_map_that_is_gone_or_empty_loses_what_was_claimed() {
    for (config, none) in [
        (json!({ "name": "a" }), json!({})),
        (nics(json!({})), json!({ "nic": {} })),
    ] {
        check(config.clone(), two(), &["nic.net0", "nic.net1"], host(none));
        check(config, two(), &[], two());
    }
    let left = host(json!({ "nic": { "net1": nic(1) } }));
    check(json!({ "name": "a" }), two(), &["nic.net0"], left);
}

#[test]
fn foreign_slots_leave_the_state_when_others_change() {
    for (wanted, planned) in [
        (
            json!({ "net0": { "bridge": "vmbr9" } }),
            json!({ "net0": { "bridge": "vmbr9", "mac": NIC[0] } }),
        ),
        // A new slot is a change, whatever its MAC will be.
        (
            json!({ "net0": { "bridge": "vmbr0" }, "net2": { "bridge": "?" } }),
            json!({ "net0": nic(0), "net2": { "bridge": "?", "mac": "?" } }),
        ),
        (
            json!({ "net0": { "bridge": "vmbr0" }, "net2": "?" }),
            json!({ "net0": nic(0), "net2": "?" }),
        ),
    ] {
        let planned = host(json!({ "nic": planned }));
        let (_, found) = check(nics(wanted), two(), &["nic.net0"], planned);
        assert_eq!(
            found,
            ["Devices that are not in the configuration stay attached"]
        );
    }
}

#[test]
fn foreign_slots_beside_what_may_turn_out_equal_are_an_error() {
    for slot in [json!("?"), json!({ "bridge": "?" })] {
        let mut planned = host(json!({ "nic": { "net0": slot.clone() } }));
        if slot.is_object() {
            planned["nic"]["net0"]["mac"] = NIC[0].into();
        }
        let (_, found) = check(nics(json!({ "net0": slot })), two(), &["nic.net0"], planned);
        assert_eq!(
            found,
            ["Unknown values beside devices that are not in the configuration"]
        );
    }
}

#[test]
fn a_map_that_is_unknown_as_a_whole_may_become_anything() {
    let (_, found) = check(
        nics(json!("?")),
        two(),
        &["nic.net0"],
        host(json!({ "nic": "?" })),
    );
    assert!(found.is_empty());
}
