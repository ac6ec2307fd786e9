//! Devices and directories of nodes under a name of the cluster, which is what guests may use of them.
//!
//! The nodes here have none of these devices: that a mapping names its node is all that is asked of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::call::{Allow, Call, Route, now, tell};
use super::qemu::Config;
use super::reply::{Fail, Outcome, Reply};
use super::rules::formats::split_list;
use super::rules::{property, set};
use super::storage::checksum::sha1;
use super::world::State;

/// The kinds of mappings, as paths name them.
const KINDS: [&str; 3] = ["pci", "usb", "dir"];
const PCI: usize = 0;
const USB: usize = 1;
const DIR: usize = 2;

/// The calls on one kind.
macro_rules! routes {
    ($kind:literal, $index:ident, $own:literal, $changed:literal, $first:literal or $second:literal or $third:literal) => {
        [
            Route {
                call: concat!("GET /cluster/mapping/", $kind),
                allow: Allow::Anyone,
                rules: "check-node? string pve-node",
                handler: tell!(list::<$index>),
            },
            Route {
                call: concat!("POST /cluster/mapping/", $kind),
                allow: Allow::All(concat!("/mapping/", $kind), &["Mapping.Modify"]),
                rules: concat!(
                    "description? string len=..4096; id string pve-configid; ",
                    $own
                ),
                handler: now!(create::<$index>),
            },
            Route {
                call: concat!("GET /cluster/mapping/", $kind, "/{id}"),
                allow: Allow::Either(
                    &Allow::All(concat!("/mapping/", $kind, "/{id}"), &[$first]),
                    &Allow::Either(
                        &Allow::All(concat!("/mapping/", $kind, "/{id}"), &[$second]),
                        &Allow::All(concat!("/mapping/", $kind, "/{id}"), &[$third]),
                    ),
                ),
                rules: "id string pve-configid",
                handler: now!(read::<$index>),
            },
            Route {
                call: concat!("PUT /cluster/mapping/", $kind, "/{id}"),
                allow: Allow::All(concat!("/mapping/", $kind, "/{id}"), &["Mapping.Modify"]),
                rules: concat!(
                    "delete? string pve-configid-list len=..4096; description? string len=..4096
                    digest? string len=..64; id string pve-configid; ",
                    $changed
                ),
                handler: now!(update::<$index>),
            },
            Route {
                call: concat!("DELETE /cluster/mapping/", $kind, "/{id}"),
                allow: Allow::All(concat!("/mapping/", $kind), &["Mapping.Modify"]),
                rules: "id string pve-configid",
                handler: now!(delete::<$index>),
            },
        ]
    };
}

pub(crate) const ROUTES: &[&[Route]] = &[
    &routes!(
        "pci",
        PCI,
        "live-migration-capable? boolean; map array {mapped-pci}; mdev? boolean",
        "live-migration-capable? boolean; map? array {mapped-pci}; mdev? boolean",
        "Mapping.Use" or "Mapping.Modify" or "Mapping.Audit"
    ),
    &routes!(
        "usb",
        USB,
        "map array {mapped-usb}",
        "map array {mapped-usb}",
        "Mapping.Audit" or "Mapping.Use" or "Mapping.Modify"
    ),
    &routes!(
        "dir",
        DIR,
        "map array {mapped-dir}",
        "map? array {mapped-dir}",
        "Mapping.Use" or "Mapping.Modify" or "Mapping.Audit"
    ),
    &[Route {
        call: "GET /cluster/mapping",
        allow: Allow::Anyone,
        rules: "",
        handler: tell!(kinds),
    }],
];

/// A mapping: what it is on each node, as property strings, and its settings.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Mapping {
    map: Vec<String>,
    settings: BTreeMap<String, String>,
}

/// All mappings by kind and id.
pub(crate) type Mappings = BTreeMap<String, BTreeMap<String, Mapping>>;

impl State {
    fn mappings_of(&self, kind: usize) -> impl Iterator<Item = (&String, &Mapping)> {
        self.mappings.get(KINDS[kind]).into_iter().flatten()
    }

    pub(crate) fn put_mapping(&mut self, kind: &str, id: &str, lines: &[&str]) {
        let mapping = Mapping {
            map: lines.iter().map(|line| (*line).to_owned()).collect(),
            ..Mapping::default()
        };
        let all = self.mappings.entry(kind.to_owned()).or_default();
        all.insert(id.to_owned(), mapping);
    }

    fn mapping(&self, kind: usize, id: &str) -> Option<&Mapping> {
        self.mappings.get(KINDS[kind])?.get(id)
    }

    fn mappings_digest(&self, kind: usize) -> String {
        sha1(&format!("{:?}", self.mappings.get(KINDS[kind])))
    }

    /// Refuses what a VM cannot be started with: mappings that are not there or not for its node.
    pub(crate) fn check_mappings(&self, node: &str, config: &Config) -> Result<(), Fail> {
        for (key, text) in config {
            let Some((kind, id)) = used(key, text) else {
                continue;
            };
            let lines = self.mapping(kind, &id).map(|mapping| &mapping.map);
            let is_here = |line: &&String| node_of(kind, line).as_deref() == Some(node);
            if lines.into_iter().flatten().any(|line| is_here(&line)) {
                continue;
            }
            return Err(Fail::died(match kind {
                PCI => format!("PCI device mapping not found for '{id}'"),
                USB => format!("USB device mapping not found for '{id}'"),
                _ => format!("directory mapping not found for '{id}'"),
            }));
        }
        Ok(())
    }
}

/// The node that a line of a mapping is for.
fn node_of(kind: usize, line: &str) -> Option<String> {
    let rules = ["mapped-pci", "mapped-usb", "mapped-dir"][kind];
    property::parse(set(rules), line).ok()?.remove("node")
}

/// The mapping that a key of a VM uses: its kind and id.
pub(crate) fn used(key: &str, text: &str) -> Option<(usize, String)> {
    let (kind, rules, name) = match key.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "hostpci" => (PCI, "hostpci", "mapping"),
        "usb" => (USB, "usb", "mapping"),
        "virtiofs" => (DIR, "virtiofs", "dirid"),
        _ => return None,
    };
    let mut parts = property::parse(set(rules), text).ok()?;
    Some((kind, parts.remove(name)?))
}

/// The path that privileges on a mapping are on.
pub(crate) fn path(kind: usize, id: &str) -> String {
    format!("/mapping/{}/{id}", KINDS[kind])
}

fn kinds(_: &Call) -> Json {
    KINDS.iter().map(|kind| json!({"name": kind})).collect()
}

fn shown(state: &State, kind: usize, mapping: &Mapping) -> Json {
    let mut entry = json!({
        "map": mapping.map, "type": KINDS[kind], "digest": state.mappings_digest(kind),
    });
    for (name, value) in &mapping.settings {
        entry[name] = match name.as_str() {
            "description" => json!(value),
            _ => json!(u8::from(value == "1")),
        };
    }
    entry
}

fn list<const KIND: usize>(call: &Call) -> Json {
    let state = call.world.state();
    let sees = |id: &str| {
        let allowed = state.allowed(&call.who.id, &path(KIND, id));
        let any = ["Mapping.Modify", "Mapping.Use", "Mapping.Audit"];
        any.iter().any(|privilege| allowed.contains(*privilege))
    };
    let visible = state.mappings_of(KIND).filter(|(id, _)| sees(id));
    let entry = |(id, mapping): (&String, &Mapping)| {
        let mut entry = shown(&state, KIND, mapping);
        entry["id"] = json!(id);
        if let Some(node) = call.params.text_opt("check-node") {
            let is_here = |line: &String| node_of(KIND, line).as_deref() == Some(node);
            let text = format!("No mapping for node {node}.");
            let missing = json!({"severity": "warning", "message": text});
            let is_there = mapping.map.iter().any(is_here);
            let name = if KIND == USB { "errors" } else { "checks" };
            entry[name] = Json::Array(if is_there { vec![] } else { vec![missing] });
        }
        entry
    };
    visible.map(entry).collect()
}

fn read<const KIND: usize>(call: &Call) -> Outcome {
    let (state, id) = (call.world.state(), call.params.text("id"));
    let found = state.mapping(KIND, id);
    let mapping = found.ok_or_else(|| Fail::died(format!("mapping '{id}' not found")))?;
    Ok(shown(&state, KIND, mapping).into())
}

/// Sets what is given.
fn apply(call: &Call, mapping: &mut Mapping) {
    let lines = call.params.list("map");
    if !lines.is_empty() {
        mapping.map = lines.to_vec();
    }
    for name in ["description", "live-migration-capable", "mdev"] {
        if let Some(value) = call.params.text_opt(name) {
            mapping.settings.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// What a failed change begins with.
fn prefix(kind: usize) -> &'static str {
    ["hardware", "hardware", "directory"][kind]
}

fn create<const KIND: usize>(call: &Call) -> Outcome {
    let (mut state, id) = (call.world.state(), call.params.text("id"));
    if state.mapping(KIND, id).is_some() {
        return Err(Fail::died(format!(
            "create {} mapping failed: {} ID '{id}' already defined",
            prefix(KIND),
            KINDS[KIND]
        )));
    }
    let mut mapping = Mapping::default();
    apply(call, &mut mapping);
    let all = state.mappings.entry(KINDS[KIND].to_owned()).or_default();
    all.insert(id.to_owned(), mapping);
    Ok(Reply::null())
}

fn update<const KIND: usize>(call: &Call) -> Outcome {
    let (mut state, id) = (call.world.state(), call.params.text("id"));
    let failed = |why: String| {
        let what = prefix(KIND);
        Fail::died(format!("update {what} mapping failed: {why}"))
    };
    let known = call.params.text_opt("digest");
    if known.is_some_and(|known| known != state.mappings_digest(KIND)) {
        return Err(failed(
            "detected modified configuration - file changed by other user? Try again.".to_owned(),
        ));
    }
    let all = state.mappings.get_mut(KINDS[KIND]);
    let mapping = all.and_then(|all| all.get_mut(id));
    let mapping =
        mapping.ok_or_else(|| failed(format!("{} ID '{id}' does not exist", KINDS[KIND])))?;
    for name in split_list(call.params.text_opt("delete").unwrap_or_default()) {
        match name {
            "map" => return Err(failed("unable to delete required option 'map'".to_owned())),
            "description" => {}
            "live-migration-capable" | "mdev" if KIND == PCI => {}
            name => return Err(failed(format!("no such option '{name}'"))),
        }
        mapping.settings.remove(name);
    }
    apply(call, mapping);
    Ok(Reply::null())
}

fn delete<const KIND: usize>(call: &Call) -> Outcome {
    // One that is not there is gone already.
    if let Some(all) = call.world.state().mappings.get_mut(KINDS[KIND]) {
        all.remove(call.params.text("id"));
    }
    Ok(Reply::null())
}
