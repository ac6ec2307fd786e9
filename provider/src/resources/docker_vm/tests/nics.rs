//! NICs over what Proxmox VE has.

use serde_json::{Value as Json, json};

use super::{
    super::{DockerVm, calls},
    calls::lines,
    config, host,
};

#[test]
fn options_of_a_nic_stay_in_their_words_and_go_when_they_are_taken_out() {
    let nic = |json: Json| DockerVm {
        network_device: Some([("net0".to_owned(), serde_json::from_value(json).unwrap())].into()),
        ..host()
    };
    let mut config = config();
    let raw = "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=on,queues=4,rate=1.50,trunks=10-12";
    config.nets.insert("net0".into(), raw.into());
    let told = json!({ "bridge": "vmbr0", "firewall": true, "queues": 4, "rate_limit": 1.5, "trunks": [10, 11, 12] });
    let with = |name: &str, value: Json| {
        let mut told = told.clone();
        told[name] = value;
        nic(told)
    };
    let check = |prior: &DockerVm, plan: &DockerVm, options: &str| {
        let calls = calls::update(prior, plan, "pve1", 101, &config, None);
        let head = "POST /nodes/pve1/qemu/101/config net0=virtio=BC:24:11:00:00:01,bridge=vmbr0,";
        assert_eq!(lines(&calls), format!("{head}{options}"));
    };
    let prior = nic(told.clone());
    assert!(calls::update(&prior, &prior, "pve1", 101, &config, None).is_empty());
    let tagged = "firewall=on,queues=4,rate=1.50,trunks=10-12,tag=5";
    check(&prior, &with("vlan_id", json!(5)), tagged);
    // The state of an older version knows none of them.
    let older = nic(json!({ "bridge": "vmbr0" }));
    let plan = nic(json!({ "bridge": "vmbr0", "vlan_id": 5 }));
    check(&older, &plan, tagged);
    check(
        &prior,
        &with("trunks", json!([10, 12])),
        "firewall=on,queues=4,rate=1.50,trunks=10;12",
    );
    check(
        &prior,
        &with("trunks", json!([])),
        "firewall=on,queues=4,rate=1.50",
    );
    check(
        &prior,
        &with("queues", json!(null)),
        "firewall=on,rate=1.50,trunks=10-12",
    );
}
