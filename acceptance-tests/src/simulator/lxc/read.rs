//! The calls that look at containers: lists, configuration, pending changes, status, interfaces.
//!
//! Figures of load are zero.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Value as Json, json};

use super::{Ct, filesystem, shown, snapshot, texts};
use crate::simulator::call::{Allow, Call, Route, later, now, tell};
use crate::simulator::container::Interface;
use crate::simulator::ha;
use crate::simulator::qemu::{Config, Pending};
use crate::simulator::reply::{Fail, Outcome, Reply};

const AUDIT: Allow = Allow::All("/vms/{vmid}", &["VM.Audit"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /nodes/{node}/lxc",
        allow: Allow::Anyone,
        rules: "+node",
        handler: tell!(list),
    },
    Route {
        call: "GET /nodes/{node}/lxc/{vmid}",
        allow: Allow::Anyone,
        rules: "+ct",
        handler: tell!(index),
    },
    Route {
        call: "GET /nodes/{node}/lxc/{vmid}/config",
        allow: AUDIT,
        rules: "+ct; current? boolean; snapshot? string pve-configid len=..40",
        handler: now!(config),
    },
    Route {
        call: "GET /nodes/{node}/lxc/{vmid}/pending",
        allow: AUDIT,
        rules: "+ct",
        handler: now!(pending),
    },
    Route {
        call: "GET /nodes/{node}/lxc/{vmid}/status",
        allow: Allow::Anyone,
        rules: "+ct",
        handler: tell!(statuses),
    },
    Route {
        call: "GET /nodes/{node}/lxc/{vmid}/status/current",
        allow: AUDIT,
        rules: "+ct",
        handler: now!(current),
    },
    Route {
        call: "GET /nodes/{node}/lxc/{vmid}/interfaces",
        allow: AUDIT,
        rules: "+ct",
        handler: later!(interfaces),
    },
    Route {
        call: "GET /nodes/{node}/lxc/{vmid}/feature",
        allow: AUDIT,
        rules: "+ct; feature string enum=snapshot|clone|copy; snapname? string pve-configid len=..40",
        handler: now!(feature),
    },
];

fn subdirs(names: &[&str]) -> Json {
    let entries = names.iter().map(|name| json!({"subdir": name}));
    entries.collect::<Json>()
}

fn index(_: &Call) -> Json {
    subdirs(&[
        "config",
        "pending",
        "status",
        "vncproxy",
        "termproxy",
        "vncwebsocket",
        "spiceproxy",
        "migrate",
        "clone",
        "rrd",
        "rrddata",
        "firewall",
        "snapshot",
        "resize",
        "interfaces",
    ])
}

fn statuses(_: &Call) -> Json {
    subdirs(&[
        "current", "start", "stop", "shutdown", "migrate", "reboot", "suspend", "resume",
    ])
}

fn list(call: &Call) -> Json {
    let state = call.world.state();
    let sees = |ct: &&Ct| {
        let path = format!("/vms/{}", ct.vmid);
        ct.node == call.node() && state.allowed(&call.who.id, &path).contains("VM.Audit")
    };
    let own = state.cts.values().filter(sees);
    own.map(|ct| summary(ct, call.world.settings.node_cores))
        .collect::<Json>()
}

/// What list and status have in common.
fn summary(ct: &Ct, node_cores: u32) -> Json {
    let mib = |key: &str| ct.number(key).unwrap_or(512) << 20;
    let mut data = json!({
        "vmid": ct.vmid, "name": ct.name(), "type": "lxc",
        "status": if ct.running.is_some() { "running" } else { "stopped" },
        "cpus": ct.number("cores").unwrap_or(node_cores.into()),
        "maxmem": mib("memory"), "maxswap": mib("swap"), "maxdisk": ct.root_bytes(),
        "uptime": ct.uptime(), "cpu": 0, "mem": 0, "swap": 0, "disk": 0,
        "netin": 0, "netout": 0, "diskread": 0, "diskwrite": 0,
    });
    for key in ["lock", "tags"] {
        if let Some(value) = ct.config.get(key) {
            data[key] = json!(value);
        }
    }
    if ct.is("template") {
        data["template"] = json!(1);
    }
    if let Some(running) = &ct.running {
        data["pid"] = json!(running.pid);
        data["maxdisk"] = json!(filesystem::usable(ct.root_bytes()));
        for kind in ["cpu", "io", "memory"] {
            data[format!("pressure{kind}some")] = json!("0.00");
            data[format!("pressure{kind}full")] = json!("0.00");
        }
    }
    data
}

fn current(call: &Call) -> Outcome {
    let state = call.world.state();
    let ct = state.ct(call.node(), call.params.vmid())?;
    let mut data = summary(ct, call.world.settings.node_cores);
    data["ha"] = ha::status_of(&state, &format!("ct:{}", ct.vmid));
    Ok(data.into())
}

fn config(call: &Call) -> Outcome {
    // Who may not change the environment may not see it.
    let path = format!("/vms/{}", call.params.vmid());
    let sees_env = call.can(&path, "VM.Config.Options");
    let state = call.world.state();
    let ct = state.ct(call.node(), call.params.vmid())?;
    let is_current = call.params.is_set("current");
    let config: Config = match call.params.text_opt("snapshot") {
        Some(_) if is_current => {
            let text = "cannot use 'snapshot' parameter with 'current'";
            let both = ["snapshot", "current"].map(|name| (name.to_owned(), text.to_owned()));
            return Err(Fail::Params(both.into()));
        }
        Some(name) => snapshot::find(ct, name)?.config.clone(),
        None if is_current => ct.config.clone(),
        None => ct.with_pending(),
    };
    let visible = config.iter().filter(|(key, _)| *key != "env" || sees_env);
    let mut data: Json = visible
        .map(|(key, value)| (key.clone(), shown(key, value)))
        .collect();
    if let Some(parent) = &ct.parent {
        data["parent"] = json!(parent);
    }
    data["digest"] = json!(ct.digest());
    Ok(data.into())
}

fn pending(call: &Call) -> Outcome {
    let state = call.world.state();
    let ct = state.ct(call.node(), call.params.vmid())?;
    let keys: BTreeSet<&String> = ct.config.keys().chain(ct.pending.keys()).collect();
    let entry = |key: &String| {
        let mut entry = json!({"key": key});
        if let Some(value) = ct.config.get(key) {
            entry["value"] = shown(key, value);
        }
        match ct.pending.get(key) {
            Some(Pending::Set(value)) => entry["pending"] = shown(key, value),
            Some(Pending::Delete(_)) => entry["delete"] = json!(1),
            None => {}
        }
        entry
    };
    let digest = json!({"key": "digest", "value": ct.digest()});
    let entries = keys.into_iter().map(entry).chain([digest]);
    Ok(entries.collect::<Json>().into())
}

async fn interfaces(call: Call) -> Outcome {
    let (configured, container) = {
        let state = call.world.state();
        let ct = state.ct(call.node(), call.params.vmid())?;
        let Some(running) = &ct.running else {
            return Ok(Reply::null());
        };
        (as_configured(ct), running.container.clone())
    };
    let found = container.interfaces().await.unwrap_or(configured);
    Ok(found.iter().map(interface).collect::<Json>().into())
}

fn interface(found: &Interface) -> Json {
    let mut addresses = Vec::new();
    let mut entry = json!({
        "name": found.name, "hwaddr": found.mac, "hardware-address": found.mac,
    });
    for (address, prefix) in &found.addresses {
        let kind = if address.is_ipv4() { "inet" } else { "inet6" };
        addresses.push(json!({
            "ip-address": address.to_string(), "prefix": prefix.to_string(), "ip-address-type": kind,
        }));
        entry[kind] = json!(format!("{address}/{prefix}"));
    }
    entry["ip-addresses"] = Json::Array(addresses);
    entry
}

/// The interfaces that a healthy system brings up from the configuration.
fn as_configured(ct: &Ct) -> Vec<Interface> {
    let address = |text: &str| -> Option<(IpAddr, u8)> {
        let (address, prefix) = text.split_once('/')?;
        Some((address.parse().ok()?, prefix.parse().ok()?))
    };
    let lo = Interface {
        name: "lo".to_owned(),
        mac: "00:00:00:00:00:00".to_owned(),
        addresses: ["127.0.0.1/8", "::1/128"]
            .into_iter()
            .filter_map(address)
            .collect(),
    };
    let cards = ct.config.iter().filter(|(key, _)| texts::is_card(key));
    let cards = cards.map(|(key, text)| {
        let card = texts::parse_card(text);
        let value = |key: &str| card.get(key).map_or("", String::as_str);
        let mac = value("hwaddr").to_lowercase();
        let number: u32 = key[3..].parse().unwrap_or(0);
        // Nobody answers DHCP here: the lease is made up from the id of the container.
        let lease = format!("10.{}.{}.{number}/8", ct.vmid / 250 % 250, ct.vmid % 250);
        let ip = if value("ip") == "dhcp" {
            &lease
        } else {
            value("ip")
        };
        let mut addresses: Vec<_> = address(ip)
            .into_iter()
            .chain(address(value("ip6")))
            .collect();
        addresses.extend(link_local(&mac));
        Interface {
            name: value("name").to_owned(),
            mac,
            addresses,
        }
    });
    std::iter::once(lo).chain(cards).collect()
}

/// The IPv6 address that a card gives itself.
fn link_local(mac: &str) -> Option<(IpAddr, u8)> {
    let byte = |text| u8::from_str_radix(text, 16).ok();
    let mac: Vec<u8> = mac.split(':').filter_map(byte).collect();
    let mac: [u8; 6] = mac.try_into().ok()?;
    let mut address = [0; 16];
    address[..2].copy_from_slice(&[0xfe, 0x80]);
    address[8..11].copy_from_slice(&mac[..3]);
    address[8] ^= 2;
    address[11..13].copy_from_slice(&[0xff, 0xfe]);
    address[13..].copy_from_slice(&mac[3..]);
    let address = std::net::Ipv6Addr::from(address);
    Some((address.into(), 64))
}

fn feature(call: &Call) -> Outcome {
    let state = call.world.state();
    let ct = state.ct(call.node(), call.params.vmid())?;
    if let Some(name) = call.params.text_opt("snapname") {
        snapshot::find(ct, name)?;
    }
    let has = match call.params.text("feature") {
        "snapshot" => snapshot::is_possible(&state, ct),
        "clone" => super::clone::can_link(&state, ct).is_ok(),
        _ => ct.running.is_none() || call.params.text_opt("snapname").is_some(),
    };
    Ok(json!({"hasFeature": u8::from(has)}).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_gives_itself_an_address() {
        let (address, prefix) = link_local("bc:24:11:47:c2:9f").expect("it is a MAC address");
        assert_eq!(address.to_string(), "fe80::be24:11ff:fe47:c29f");
        assert_eq!(prefix, 64);
    }
}
