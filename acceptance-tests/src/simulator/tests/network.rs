//! Changing the network of a node: pending, applied, discarded, refused.

use serde_json::{Value as Json, json};

use super::Lab;
use crate::simulator::{Effect, Fault};

const NETWORK: &str = "/nodes/pve1/network";

async fn lab() -> Lab {
    let lab = Lab::new().await;
    let token = lab.simulator.token_with("Sys.Modify Sys.Audit SDN.Use");
    lab.by(token)
}

fn bridge(name: &str) -> Json {
    json!({"iface": name, "type": "bridge", "autostart": 1, "cidr": "198.51.100.1/24"})
}

#[tokio::test]
async fn a_change_waits_until_it_is_applied() {
    let lab = lab().await;
    assert_eq!(
        lab.call("POST", NETWORK, bridge("vmbr1")).await.line(),
        "200 OK"
    );
    let list = lab.call("GET", NETWORK, Json::Null).await;
    let changes = list.body["changes"].as_str().unwrap_or_default();
    assert!(
        changes.contains("\n+auto vmbr1\n+iface vmbr1 inet static\n+\taddress 198.51.100.1/24\n")
    );
    let one = format!("{NETWORK}/vmbr1");
    assert!(lab.get(&one).await["active"].is_null());
    assert_eq!(lab.task("PUT", NETWORK, json!({})).await, "OK");
    assert_eq!(lab.get(&one).await["active"], 1);
    let list = lab.call("GET", NETWORK, Json::Null).await;
    assert!(list.body["changes"].is_null());
}

#[tokio::test]
async fn a_change_can_be_discarded() {
    let lab = lab().await;
    lab.call("POST", NETWORK, bridge("vmbr1")).await;
    assert_eq!(
        lab.call("DELETE", NETWORK, Json::Null).await.line(),
        "200 OK"
    );
    let gone = lab
        .call("GET", &format!("{NETWORK}/vmbr1"), Json::Null)
        .await;
    assert_eq!(gone.body["errors"]["iface"], "interface does not exist");
}

#[tokio::test]
async fn a_failed_apply_leaves_nothing_pending() {
    let lab = lab().await;
    lab.call("POST", NETWORK, bridge("vmbr1")).await;
    let text = "command 'ifreload -a' failed: exit code 1";
    lab.simulator.fault(Fault::new(
        "PUT",
        NETWORK,
        Effect::TaskFails(text.to_owned()),
    ));
    assert_eq!(lab.task("PUT", NETWORK, json!({})).await, text);
    let list = lab.call("GET", NETWORK, Json::Null).await;
    assert!(list.body["changes"].is_null());
    assert!(lab.get(&format!("{NETWORK}/vmbr1")).await["active"].is_null());
}

#[tokio::test]
async fn an_update_keeps_what_is_not_sent_but_the_method() {
    let lab = lab().await;
    let mut first = bridge("vmbr1");
    first["mtu"] = json!(1400);
    first["comments"] = json!("mine");
    lab.call("POST", NETWORK, first).await;
    let one = format!("{NETWORK}/vmbr1");
    lab.call("PUT", &one, json!({"type": "bridge"})).await;
    let after = lab.get(&one).await;
    assert_eq!(
        (&after["mtu"], &after["comments"]),
        (&json!("1400"), &json!("mine\n"))
    );
    assert_eq!(
        (&after["method"], &after["address"]),
        (&json!("manual"), &json!("198.51.100.1"))
    );
    lab.call(
        "PUT",
        &one,
        json!({"type": "bridge", "delete": "cidr,comments"}),
    )
    .await;
    let after = lab.get(&one).await;
    assert!(
        after["address"].is_null() && after["comments"].is_null(),
        "{after}"
    );
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let lab = lab().await;
    let refused = async |params: Json| {
        let answer = lab.call("POST", NETWORK, params).await;
        let error = answer.body["errors"]
            .as_object()
            .and_then(|all| all.iter().next());
        error.map_or_else(|| answer.line(), |(key, text)| format!("{key}: {text}"))
    };
    let port = json!({"iface": "vmbr2", "type": "bridge", "bridge_ports": "eno1"});
    let used = r#"bridge_ports: "eno1 is already used on interface 'vmbr0'.""#;
    assert_eq!(refused(port).await, used);
    let port = json!({"iface": "vmbr2", "type": "bridge", "bridge_ports": "eno9"});
    let unknown = "500 bridge 'vmbr2' - unable to find bridge port 'eno9'";
    assert_eq!(refused(port).await, unknown);
    let gateway = json!({
        "iface": "vmbr2", "type": "bridge", "cidr": "203.0.113.2/24", "gateway": "203.0.113.1",
    });
    let second = r#"gateway: "Default gateway already exists on interface 'vmbr0'.""#;
    assert_eq!(refused(gateway).await, second);
    let mtu = json!({"iface": "vmbr2", "type": "bridge", "bridge_ports": "eno2", "mtu": 9000});
    let small = "500 interface 'eno2' - mtu 1500 is lower than 'vmbr2' - mtu 9000";
    assert_eq!(refused(mtu).await, small);
    let vlan = json!({"iface": "vmbr7.5", "type": "vlan"});
    let orphan = "500 vlan 'vmbr7.5' - unable to find parent 'vmbr7'";
    assert_eq!(refused(vlan).await, orphan);
}
