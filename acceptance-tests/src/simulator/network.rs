//! The network interfaces of a node, to be read.
//!
//! Changing them is not simulated yet: the calls that do so are unknown here.

use serde_json::{Value as Json, json};

use super::call::{Allow, Call, Route, now, tell};
use super::reply::{Fail, Outcome};

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /nodes/{node}/network",
        allow: Allow::Anyone,
        rules: "+node; type? string enum=bridge|bond|eth|alias|vlan|fabric|OVSBridge|OVSBond|OVSPort|OVSIntPort|vnet|any_bridge|any_local_bridge|include_sdn",
        handler: tell!(list),
    },
    Route {
        call: "GET /nodes/{node}/network/{iface}",
        allow: Allow::All("/nodes/{node}", &["Sys.Audit"]),
        rules: "+node; iface string pve-iface len=2..20",
        handler: now!(one),
    },
];

/// The interfaces: one network card, and the bridges, the first of which has the node's address.
fn interfaces(call: &Call) -> Vec<Json> {
    let state = call.world.state();
    let Some(at) = state.nodes.iter().position(|node| node.name == call.node()) else {
        return Vec::new();
    };
    let mut all = vec![json!({
        "iface": "eno1", "type": "eth", "active": 1, "exists": 1, "method": "manual",
        "method6": "manual", "families": ["inet"], "priority": 3,
    })];
    for (i, bridge) in state.nodes[at].bridges.iter().enumerate() {
        let mut entry = json!({
            "iface": bridge, "type": "bridge", "active": 1, "autostart": 1, "method": "manual",
            "method6": "manual", "families": ["inet"], "bridge_stp": "off", "bridge_fd": "0",
            "bridge_ports": "", "priority": i + 4,
        });
        if i == 0 {
            let address = format!("192.0.2.{}", at + 10);
            entry["bridge_ports"] = json!("eno1");
            entry["method"] = json!("static");
            entry["cidr"] = json!(format!("{address}/24"));
            entry["address"] = json!(address);
            entry["netmask"] = json!("24");
            entry["gateway"] = json!("192.0.2.1");
        }
        all.push(entry);
    }
    all
}

fn list(call: &Call) -> Json {
    let wanted = call.params.text_opt("type");
    let visible = |entry: &Json| {
        let kind = entry["type"].as_str().unwrap_or_default();
        let fits = match wanted {
            None | Some("include_sdn") => true,
            Some("any_bridge" | "any_local_bridge") => kind == "bridge",
            Some(wanted) => kind == wanted,
        };
        let name = entry["iface"].as_str().unwrap_or_default();
        let path = format!("/sdn/zones/localnetwork/{name}");
        fits && (kind != "bridge" || call.can(&path, "SDN.Audit") || call.can(&path, "SDN.Use"))
    };
    interfaces(call)
        .into_iter()
        .filter(visible)
        .collect::<Json>()
}

fn one(call: &Call) -> Outcome {
    let name = call.params.text("iface");
    let found = interfaces(call)
        .into_iter()
        .find(|entry| entry["iface"] == name);
    let mut entry = found.ok_or_else(|| Fail::param("iface", "interface does not exist"))?;
    if let Some(object) = entry.as_object_mut() {
        object.remove("iface");
    }
    Ok(entry.into())
}
