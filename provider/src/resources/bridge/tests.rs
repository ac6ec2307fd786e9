use serde_json::json;

use super::*;
use crate::framework::{Diagnostics, model::untyped};

fn row(json: Json) -> NetworkRow {
    serde_json::from_value(json).unwrap()
}

fn bridge() -> Bridge {
    Bridge {
        node_name: "pve1".into(),
        name: "vmbr1".into(),
        autostart: Some(true),
        ..Bridge::default()
    }
}

#[test]
fn switching_vlans_off_is_not_said_with_a_zero() {
    let aware = Bridge {
        vlan_aware: Some(true),
        vids: Some("2-4094".into()),
        ..bridge()
    };
    let plain = Bridge {
        vlan_aware: Some(false),
        ..bridge()
    };
    assert_eq!(
        aware.params().put(&plain.params()).to_string(),
        "autostart=1 delete=bridge_vids,bridge_vlan_aware type=bridge"
    );
}

#[test]
fn an_address_is_sent_again_with_every_change() {
    let now = Bridge {
        address: Some("10.0.0.1/24".into()),
        ..bridge()
    };
    let next = Bridge {
        mtu: Some(9000),
        ..now.clone()
    };
    assert_eq!(
        now.params().put(&next.params()).to_string(),
        "autostart=1 cidr=10.0.0.1/24 mtu=9000 type=bridge"
    );
}

#[test]
fn an_answer_becomes_a_state_that_says_the_same() {
    let shown = row(json!({
        "type": "bridge", "active": 1, "autostart": 1, "priority": 7, "bridge_ports": "eno2 eno3", "bridge_stp": "off",
        "bridge_vlan_aware": 1, "bridge_vids": "2-100", "mtu": "1500", "cidr": "198.51.100.2/24",
        "address": "198.51.100.2", "netmask": "24", "comments": "two\nlines\n", "method": "static",
    }));
    let state = bridge().with(&shown);
    assert_eq!(
        state.ports,
        Some(BTreeSet::from(["eno2".into(), "eno3".into()]))
    );
    assert_eq!(state.comment.as_deref(), Some("two\nlines"));
    assert_eq!(
        (state.mtu, state.active, state.isolated),
        (Some(1500), Some(true), Some(false))
    );
    assert_eq!(
        state.params().to_string(),
        r#"autostart=1 bridge_ports="eno2 eno3" bridge_vids=2-100 bridge_vlan_aware=1 cidr=198.51.100.2/24 comments="two\nlines" mtu=1500 type=bridge"#
    );
}

#[test]
fn what_an_answer_lacks_is_off() {
    let state = bridge().with(&row(json!({ "type": "bridge", "bridge_ports": "" })));
    assert_eq!(
        state,
        Bridge {
            id: Some("pve1/vmbr1".into()),
            autostart: Some(false),
            vlan_aware: Some(false),
            isolated: Some(true),
            active: Some(false),
            ..bridge()
        }
    );
    let none = Bridge {
        ports: Some(BTreeSet::new()),
        ..bridge()
    };
    let kept = none.with(&row(json!({ "type": "bridge", "bridge_ports": "" })));
    assert_eq!(
        kept.ports, none.ports,
        "an empty set is how the configuration says none"
    );
}

fn complaints(config: Json) -> Vec<String> {
    let schema = Bridge::schema();
    let mut found = Faults::new(&schema);
    let model: Bridge = serde_json::from_value(config).unwrap();
    BridgeResource::validate(&untyped(&model), &mut found);
    let Diagnostics(found) = found.diagnostics;
    found
        .into_iter()
        .map(|diagnostic| {
            format!(
                "{}: {}",
                diagnostic
                    .path
                    .map_or_else(String::new, |path| path.to_string()),
                diagnostic.detail
            )
        })
        .collect()
}

#[test]
fn attributes_that_contradict_each_other_are_told() {
    let with = |more: Json| {
        let mut config = json!({ "node_name": "pve1", "name": "vmbr1" });
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        complaints(config)
    };
    assert_eq!(
        with(
            json!({ "address": "10.0.0.1/24", "gateway": "10.0.0.254", "ports": ["eno1"], "isolated": false })
        ),
        Vec::<String>::new()
    );
    assert_eq!(
        with(json!({ "address": "10.0.0.1/24", "gateway": "10.0.1.1" })),
        ["gateway: 10.0.1.1 is not in the network 10.0.0.0/24."]
    );
    assert_eq!(
        with(json!({ "gateway6": "fd00::1" })),
        ["gateway6: A gateway needs an address6 to be reached from."]
    );
    assert_eq!(
        with(json!({ "address": "fd00::1/64" })),
        ["address: address takes IPv4."]
    );
    assert_eq!(
        with(json!({ "vids": "2-10" })),
        ["vids: vids needs vlan_aware = true."]
    );
    assert_eq!(
        with(json!({ "isolated": true, "ports": ["eno1"] })).len(),
        1
    );
    assert_eq!(with(json!({ "isolated": false })).len(), 1);
}

#[test]
fn values_are_checked_where_they_stand() {
    let text = |text: &str| Value::from(text);
    for good in ["vmbr1", "lan", "a1234567890_234"] {
        assert!(name(&text(good)).is_ok(), "{good}");
    }
    for bad in ["", "v", "1br", "vmbr-1", "a123456789012345", "vmbr1.5"] {
        assert!(name(&text(bad)).is_err(), "{bad}");
    }
    for good in ["2-4094", "2 4,6-9", "100"] {
        assert!(vids(&text(good)).is_ok(), "{good}");
    }
    for bad in ["", "1-10", "9-2", "4095", "x"] {
        assert!(vids(&text(bad)).is_err(), "{bad}");
    }
    assert!(same_vids(&text("2 4,6-9"), &text("2,4,6-9")));
    assert!(same_cidr(&text("FD00:0::1/64"), &text("fd00::1/64")));
    assert!(!same_cidr(&text("10.0.0.1/24"), &text("10.0.0.2/24")));
}
