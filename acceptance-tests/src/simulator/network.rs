//! The network interfaces of a node: read, changed in a file of their own, applied, discarded.

mod check;
pub(crate) mod file;
mod given;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use similar::TextDiff;
use time::OffsetDateTime;
use time::macros::format_description;

use super::call::{Allow, Call, Route, now};
use super::machine::Reload;
use super::reply::{Fail, Outcome, Reply};
use super::rules::formats::split_list;
use super::world::{Node, State};
use file::{Iface, Ifaces};
use given::{check_against, given, set_methods};

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
            let reload = {
                let mut state = worker.world.state();
                let found = state.nodes.iter_mut().find(|node| node.name == name);
                let network = &mut found.ok_or("the node is gone")?.network;
                // The file is renamed first, so a failure leaves nothing pending.
                if let Some(new) = network.pending.take() {
                    network.live = new;
                }
                Reload {
                    node: name.clone(),
                    cards: network.cards.clone(),
                    interfaces: network.live.text.clone(),
                }
            };
            worker.takes(Duration::from_secs(2)).await?;
            let done = worker.world.hypervisor.reload_network(reload).await;
            if let Err(bad) = done {
                worker.log_all(bad.said.lines().map(str::to_owned).collect());
                let status = bad.status;
                return Err(format!("command 'ifreload -a' failed: exit code {status}"));
            }
            let mut state = worker.world.state();
            if let Some(node) = state.nodes.iter_mut().find(|node| node.name == name) {
                node.network.bring_up();
            }
            Ok(())
        }),
    )
}
