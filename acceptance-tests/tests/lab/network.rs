//! The network of a Proxmox VE node, reloaded by the genuine ifreload.

use acceptance_tests::guests::Lab;
use acceptance_tests::simulator::machine::{Hypervisor as _, Reload};
use serde_json::Value;

use super::{in_time, lab};

const NODE: &str = "\
auto lo
iface lo inet loopback

iface eno1 inet manual

auto vmbr0
iface vmbr0 inet static
\taddress 192.0.2.11/24
\tgateway 192.0.2.1
\tbridge-ports eno1
\tbridge-stp off
\tbridge-fd 0
";

const MORE: &str = "
auto vmbr1
iface vmbr1 inet static
\taddress 10.10.0.1/24
\tbridge-ports none
\tbridge-stp off
\tbridge-fd 0
\tmtu 1400
";

fn reload(node: &str, interfaces: &str) -> Reload {
    Reload {
        node: node.to_owned(),
        cards: vec!["eno1".to_owned()],
        interfaces: interfaces.to_owned(),
    }
}

/// The interfaces that a node really has, by name.
async fn links(lab: &Lab, node: &str) -> Vec<String> {
    let shown = in_time(lab.node_sh(node, "ip -j link")).await;
    let shown: Vec<Value> = serde_json::from_str(&shown.expect("it runs")).expect("it is JSON");
    let name = |link: &Value| link["ifname"].as_str().unwrap_or_default().to_owned();
    shown.iter().map(name).collect()
}

#[tokio::test]
async fn bridges_come_and_go_with_the_settings_of_their_node() {
    let lab = lab().await;
    let more = format!("{NODE}{MORE}");
    assert_eq!(
        in_time(lab.reload_network(reload("pve1", &more))).await,
        Ok(())
    );
    let show = "ip -j -d address show vmbr1";
    let shown = lab.node_sh("pve1", show).await.expect("it is there");
    let shown: Value = serde_json::from_str(&shown).expect("it is JSON");
    assert_eq!(shown[0]["linkinfo"]["info_kind"], "bridge");
    assert_eq!(shown[0]["mtu"], 1400);
    assert_eq!(shown[0]["addr_info"][0]["local"], "10.10.0.1");
    let ports = lab.node_sh("pve1", "ls /sys/class/net/vmbr0/brif").await;
    assert_eq!(ports.as_deref(), Ok("eno1\n"));

    assert_eq!(
        in_time(lab.reload_network(reload("pve2", NODE))).await,
        Ok(())
    );
    assert_eq!(
        in_time(lab.reload_network(reload("pve1", NODE))).await,
        Ok(())
    );
    assert!(!links(&lab, "pve1").await.contains(&"vmbr1".to_owned()));

    let bad = more.replace("bridge-ports none", "bridge-ports eno9");
    let refused = in_time(lab.reload_network(reload("pve1", &bad))).await;
    let refused = refused.expect_err("there is no such port");
    assert_eq!(refused.status, 1, "{refused:?}");
    let said = "error: vmbr1: bridge port eno9 does not exist\n";
    assert!(refused.said.contains(said), "{refused:?}");
    lab.stop().await;
}
