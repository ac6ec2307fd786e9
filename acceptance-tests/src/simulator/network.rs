//! The network interfaces of a node: read, changed in a file of their own, applied, discarded.

mod check;
pub(crate) mod file;

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use similar::TextDiff;
use time::OffsetDateTime;
use time::macros::format_description;

use super::call::{Allow, Call, Route, now};
use super::params::Value;
use super::reply::{Fail, Outcome, Reply};
use super::rules::formats::split_list;
use super::rules::set;
use super::world::{Node, State};
use file::{Iface, Ifaces};

const WRITES: Allow = Allow::All("/nodes/{node}", &["Sys.Modify"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /nodes/{node}/network",
        allow: Allow::Anyone,
        rules: "+node; type? string enum=bridge|bond|eth|alias|vlan|fabric|OVSBridge|OVSBond|OVSPort|OVSIntPort|vnet|any_bridge|any_local_bridge|include_sdn",
        handler: now!(list),
    },
    Route {
        call: "POST /nodes/{node}/network",
        allow: WRITES,
        rules: "+node; +iface; iface string pve-iface len=2..20",
        handler: now!(create),
    },
    Route {
        call: "PUT /nodes/{node}/network",
        allow: WRITES,
        rules: "+node; regenerate-frr? boolean",
        handler: now!(reload),
    },
    Route {
        call: "DELETE /nodes/{node}/network",
        allow: WRITES,
        rules: "+node",
        handler: now!(revert),
    },
    Route {
        call: "GET /nodes/{node}/network/{iface}",
        allow: Allow::All("/nodes/{node}", &["Sys.Audit"]),
        rules: "+node; iface string pve-iface len=2..20",
        handler: now!(one),
    },
    Route {
        call: "PUT /nodes/{node}/network/{iface}",
        allow: WRITES,
        rules: "+node; +iface; delete? string pve-configid-list; iface string pve-iface len=2..20",
        handler: now!(update),
    },
    Route {
        call: "DELETE /nodes/{node}/network/{iface}",
        allow: WRITES,
        rules: "+node; iface string pve-iface len=2..20",
        handler: now!(remove),
    },
];

/// A file with the time of its last change.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Dated {
    text: String,
    #[serde(with = "time::serde::rfc3339")]
    changed: OffsetDateTime,
}

impl Dated {
    fn now(text: String) -> Self {
        let changed = OffsetDateTime::now_utc();
        Self { text, changed }
    }
}

/// The network of a node.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Network {
    cards: Vec<String>,
    live: Dated,
    pending: Option<Dated>,
    /// What is really up.
    up: BTreeSet<String>,
}

impl Network {
    /// As an installer leaves it on the node of that number.
    pub(crate) fn installed(cards: &[String], bridges: &[String], number: usize) -> Self {
        let mut network = Self {
            cards: cards.to_vec(),
            live: Dated::now(file::installed(cards, bridges, number)),
            pending: None,
            up: BTreeSet::new(),
        };
        network.bring_up();
        network
    }

    /// What reads show: the file that is not applied yet, if there is one.
    fn ifaces(&self) -> Ifaces {
        let shown = self.pending.as_ref().unwrap_or(&self.live);
        file::read(&shown.text, &self.cards)
    }

    fn applied(&self) -> Ifaces {
        file::read(&self.live.text, &self.cards)
    }

    /// Whether a bridge of that name is up.
    pub(crate) fn has_bridge(&self, name: &str) -> bool {
        self.up.contains(name) && self.applied().contains_key(name)
    }

    /// The largest packet that an interface carries.
    pub(crate) fn mtu(&self, name: &str) -> u64 {
        let all = self.applied();
        let mtu = all.get(name).and_then(|iface| iface.get("mtu"));
        mtu.and_then(|mtu| mtu.parse().ok()).unwrap_or(1500)
    }

    /// The interfaces that are up are those that start automatically, and the cards.
    fn bring_up(&mut self) {
        let all = self.applied();
        let starts = |(name, iface): &(&String, &Iface)| {
            iface.contains_key("autostart") || self.cards.contains(name)
        };
        self.up = all
            .iter()
            .filter(starts)
            .map(|(name, _)| name.clone())
            .collect();
    }

    fn write(&mut self, mut all: Ifaces) -> Result<(), Fail> {
        check::check(&mut all)?;
        self.pending = Some(Dated::now(file::write(&all)));
        Ok(())
    }

    /// What applying would change, as a unified diff.
    fn changes(&self) -> Option<String> {
        let pending = self.pending.as_ref()?;
        let stamp = |file: &Dated| {
            let form = format_description!(
                "[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:9] +0000"
            );
            file.changed.format(form).unwrap_or_default()
        };
        let name = "/etc/network/interfaces";
        let diff = TextDiff::from_lines(&self.live.text, &pending.text);
        let (from, to) = (stamp(&self.live), stamp(pending));
        let mut unified = diff.unified_diff();
        unified.header(&format!("{name}\t{from}"), &format!("{name}.new\t{to}"));
        Some(unified.to_string())
    }
}

fn node<'a>(state: &'a State, call: &Call) -> Result<&'a Node, Fail> {
    state.node(call.node())
}

fn network<'a>(state: &'a mut State, call: &Call) -> Result<&'a mut Network, Fail> {
    state.node(call.node())?;
    let found = state.nodes.iter_mut().find(|node| node.name == call.node());
    let found = found.map(|node| &mut node.network);
    found.ok_or_else(|| Fail::died("the node is gone"))
}

/// An interface as reads show it.
fn shown(iface: &Iface, is_up: bool) -> Json {
    let mut entry = json!({});
    for (key, value) in iface {
        entry[key] = match key.as_str() {
            "priority" | "autostart" | "bridge_vlan_aware" => json!(value.parse::<i64>().ok()),
            "exists" => Json::Null,
            "families" => json!(value.split(' ').collect::<Vec<_>>()),
            _ => json!(value),
        };
    }
    if is_up {
        entry["active"] = json!(1);
    }
    entry
}

fn list(call: &Call) -> Outcome {
    let wanted = call.params.text_opt("type");
    let (all, up, changes) = {
        let state = call.world.state();
        let network = &node(&state, call)?.network;
        (network.ifaces(), network.up.clone(), network.changes())
    };
    let visible = |(name, iface): &(&String, &Iface)| {
        let kind = iface["type"].as_str();
        let fits = match wanted {
            None | Some("include_sdn") => true,
            Some("any_bridge" | "any_local_bridge") => matches!(kind, "bridge" | "OVSBridge"),
            Some(wanted) => kind == wanted,
        };
        let path = format!("/sdn/zones/localnetwork/{name}");
        let is_bridge = matches!(kind, "bridge" | "OVSBridge");
        kind != "loopback"
            && fits
            && (!is_bridge || call.can(&path, "SDN.Audit") || call.can(&path, "SDN.Use"))
    };
    let entries = all.iter().filter(visible).map(|(name, iface)| {
        let mut entry = shown(iface, up.contains(name));
        entry["iface"] = json!(name);
        entry
    });
    let reply = Reply::from(entries.collect::<Json>());
    Ok(match changes {
        Some(changes) => reply.with("changes", changes),
        None => reply,
    })
}

fn missing() -> Fail {
    Fail::param("iface", "interface does not exist")
}

fn one(call: &Call) -> Outcome {
    let name = call.params.text("iface");
    let state = call.world.state();
    let network = &node(&state, call)?.network;
    let all = network.ifaces();
    let iface = all.get(name).ok_or_else(missing)?;
    Ok(shown(iface, network.up.contains(name)).into())
}

/// The settings among the parameters, with addresses taken apart.
fn given(call: &Call) -> Result<Iface, Fail> {
    let own = |name: &str| set("iface").rule(name).is_some();
    let given = call.params.0.iter().filter(|(name, _)| own(name));
    let mut iface: Iface = given
        .filter_map(|(name, value)| match value {
            Value::Text(text) => Some((name.clone(), text.clone())),
            _ => None,
        })
        .collect();
    if let Some(mask) = iface.get("netmask").cloned() {
        let bits = mask.parse::<std::net::Ipv4Addr>();
        let bits = bits.map_or(mask, |mask| mask.to_bits().count_ones().to_string());
        iface.insert("netmask".to_owned(), bits);
    }
    for suffix in ["", "6"] {
        let Some(cidr) = iface.remove(&format!("cidr{suffix}")) else {
            continue;
        };
        for key in ["address", "netmask"].map(|key| format!("{key}{suffix}")) {
            if iface.contains_key(&key) {
                return Err(Fail::param(
                    &key,
                    format!("{key} conflicts with cidr{suffix}"),
                ));
            }
        }
        let (address, bits) = cidr.split_once('/').unwrap_or((&cidr, "32"));
        iface.insert(format!("address{suffix}"), address.to_owned());
        iface.insert(format!("netmask{suffix}"), bits.to_owned());
    }
    for key in ["bridge_ports", "slaves"] {
        if let Some(list) = iface.get_mut(key) {
            *list = split_list(list).join(" ");
        }
    }
    if let Some(comments) = iface.get_mut("comments") {
        *comments = format!("{}\n", comments.trim_end_matches('\n'));
    }
    if iface.get("autostart").is_some_and(|is| is == "0") {
        iface.remove("autostart");
    }
    Ok(iface)
}

/// What cannot be because of the other interfaces.
fn check_against(all: &Ifaces, name: &str, iface: &Iface) -> Result<(), Fail> {
    for (key, what) in [("gateway", "Default"), ("gateway6", "Default ipv6")] {
        let holder = all
            .iter()
            .find(|(other, of)| *other != name && of.contains_key(key));
        if let Some((other, _)) = holder.filter(|_| iface.contains_key(key)) {
            let text = format!("{what} gateway already exists on interface '{other}'.");
            return Err(Fail::param(key, text));
        }
    }
    if let Some(address) = iface.get("address6") {
        let kind = address.parse().map(kind_of_ipv6);
        if let Ok(Some(kind)) = kind {
            let text =
                format!("{address} with type '{kind}', cannot be used as host IPv6 address.");
            return Err(Fail::param("address", text));
        }
    }
    for key in ["bridge_ports", "slaves"] {
        let ports = iface.get(key).map_or("", String::as_str);
        for port in ports.split_whitespace() {
            let holds = |of: &Iface, key: &str| {
                let ports = of.get(key).map_or("", String::as_str);
                ports.split_whitespace().any(|other| other == port)
            };
            let holder = all.iter().find(|(other, of)| {
                *other != name && (holds(of, "bridge_ports") || holds(of, "slaves"))
            });
            if let Some((other, _)) = holder {
                let text = format!("{port} is already used on interface '{other}'.");
                return Err(Fail::param(key, text));
            }
        }
    }
    if iface
        .get("bridge_vids")
        .is_some_and(|list| split_list(list).is_empty())
    {
        return Err(Fail::param("bridge_vids", "VLAN list items are empty"));
    }
    if iface["type"].starts_with("OVS") {
        return Err(Fail::died(
            "Open VSwitch is not installed (need package 'openvswitch-switch')",
        ));
    }
    Ok(())
}

/// Why no host can have an address, if none can.
fn kind_of_ipv6(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("UNSPECIFIED"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("LOOPBACK"),
        [0x2001, 0xdb8, ..] => Some("DOCUMENTATION"),
        [first, ..] if first >> 8 == 0xff => Some("MULTICAST"),
        _ => None,
    }
}

/// Families and methods are what this request's addresses tell.
fn set_methods(iface: &mut Iface, given: &Iface) {
    let mut families = Vec::new();
    for (suffix, family) in [("", "inet"), ("6", "inet6")] {
        let has = given.contains_key(&format!("address{suffix}"));
        families.extend(has.then_some(family));
        let method = if has { "static" } else { "manual" };
        iface.insert(format!("method{suffix}"), method.to_owned());
    }
    if families.is_empty() {
        families.push("inet");
    }
    iface.insert("families".to_owned(), families.join(" "));
}

fn create(call: &Call) -> Outcome {
    let name = call.params.text("iface");
    let mut iface = given(call)?;
    let mut state = call.world.state();
    let network = network(&mut state, call)?;
    let mut all = network.ifaces();
    if all.contains_key(name) {
        return Err(Fail::param("iface", "interface already exists"));
    }
    check_against(&all, name, &iface)?;
    let given = iface.clone();
    set_methods(&mut iface, &given);
    all.insert(name.to_owned(), iface);
    network.write(all)?;
    Ok(Reply::null())
}

fn update(call: &Call) -> Outcome {
    let name = call.params.text("iface");
    let given = given(call)?;
    let mut state = call.world.state();
    let network = network(&mut state, call)?;
    let mut all = network.ifaces();
    let mut iface = all.get(name).ok_or_else(missing)?.clone();
    for key in split_list(call.params.text_opt("delete").unwrap_or_default()) {
        iface.remove(key);
        if let Some(suffix) = key.strip_prefix("cidr") {
            iface.remove(&format!("address{suffix}"));
            iface.remove(&format!("netmask{suffix}"));
        }
    }
    check_against(&all, name, &given)?;
    if call.params.text_opt("autostart") == Some("0") {
        iface.remove("autostart");
    }
    iface.extend(given.clone());
    set_methods(&mut iface, &given);
    all.insert(name.to_owned(), iface);
    network.write(all)?;
    Ok(Reply::null())
}

fn remove(call: &Call) -> Outcome {
    let name = call.params.text("iface");
    let mut state = call.world.state();
    let network = network(&mut state, call)?;
    let mut all = network.ifaces();
    all.remove(name).ok_or_else(missing)?;
    network.write(all)?;
    Ok(Reply::null())
}

fn revert(call: &Call) -> Outcome {
    network(&mut call.world.state(), call)?.pending = None;
    Ok(Reply::null())
}

fn reload(call: &Call) -> Outcome {
    let name = call.node().to_owned();
    Ok(
        call.start_task("srvreload", "networking", |worker| async move {
            let bridges: Vec<String> = {
                let mut state = worker.world.state();
                let found = state.nodes.iter_mut().find(|node| node.name == name);
                let network = &mut found.ok_or("the node is gone")?.network;
                // The file is renamed first, so a failure leaves nothing pending.
                if let Some(new) = network.pending.take() {
                    network.live = new;
                }
                let all = network.applied().into_iter();
                let bridges = all.filter(|(_, iface)| iface["type"] == "bridge");
                bridges.map(|(name, _)| name).collect()
            };
            worker.takes(Duration::from_secs(2)).await?;
            let done = worker
                .world
                .hypervisor
                .reload_network(&name, &bridges)
                .await;
            if let Err(why) = done {
                worker.log(why);
                return Err("command 'ifreload -a' failed: exit code 1".to_owned());
            }
            let mut state = worker.world.state();
            if let Some(node) = state.nodes.iter_mut().find(|node| node.name == name) {
                node.network.bring_up();
            }
            Ok(())
        }),
    )
}
