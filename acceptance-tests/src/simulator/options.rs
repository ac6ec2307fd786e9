//! The options of the datacenter: stored as they are set, and shown taken apart.
//!
//! Of what they decide, only the range of free guest ids is simulated.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::call::{Allow, Call, Route, now, tell};
use super::reply::{Outcome, Reply};
use super::rules::formats::split_list;
use super::rules::{Format, Kind, property, set};
use super::world::State;

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /cluster/options",
        allow: Allow::Anyone,
        rules: "",
        handler: tell!(read),
    },
    Route {
        call: "PUT /cluster/options",
        allow: Allow::All("/", &["Sys.Modify"]),
        rules: "+datacenter; delete? string pve-configid-list",
        handler: now!(change),
    },
];

/// The options by name.
pub(crate) type Options = BTreeMap<String, String>;

impl State {
    /// The range that free guest ids are looked for in; its end is not part of it.
    pub(crate) fn free_ids(&self) -> std::ops::Range<u32> {
        let given = self
            .options
            .get("next-id")
            .map(|text| property::parse(set("next-id"), text));
        let given = given.and_then(Result::ok).unwrap_or_default();
        let bound = |key: &str| given.get(key).and_then(|text| text.parse().ok());
        bound("lower").unwrap_or(100)..bound("upper").unwrap_or(1_000_000)
    }
}

/// An option as it is shown: property strings as objects, lists of tags as lists.
fn shown(name: &str, value: &str) -> Json {
    let rule = set("datacenter").rule(name);
    match rule.map(|rule| (&rule.format, rule.kind)) {
        Some((Some(Format::Properties(keys)), _)) => {
            let parts = property::parse(set(keys), value).unwrap_or_default();
            let part = |(key, value): (String, String)| {
                let value = if key == "user-allow-list" {
                    json!(split_list(&value))
                } else {
                    json!(value)
                };
                (key, value)
            };
            Json::Object(parts.into_iter().map(part).collect())
        }
        Some((_, Kind::Integer | Kind::Boolean)) => value
            .parse::<i64>()
            .map_or_else(|_| json!(value), |n| json!(n)),
        _ if name == "registered-tags" => json!(split_list(value)),
        _ => json!(value),
    }
}

fn read(call: &Call) -> Json {
    let state = call.world.state();
    let mut data = json!({
        "description": "", "mac_prefix": "BC:24:11",
    });
    let sees_all = state.allowed(&call.who.id, "/").contains("Sys.Audit");
    let open = ["console", "tag-style", "consent-text"];
    for (name, value) in &state.options {
        if sees_all || open.contains(&name.as_str()) {
            data[name] = shown(name, value);
        }
    }
    let registered = state
        .options
        .get("registered-tags")
        .map_or("", String::as_str);
    data["allowed-tags"] = json!(split_list(registered));
    data
}

fn change(call: &Call) -> Outcome {
    let mut state = call.world.state();
    let given = call.params.0.keys().filter(|name| *name != "delete");
    for name in given {
        if let Some(value) = call.params.text_opt(name) {
            state.options.insert(name.clone(), value.to_owned());
        }
    }
    for name in split_list(call.params.text_opt("delete").unwrap_or_default()) {
        state.options.remove(name);
    }
    Ok(Reply::null())
}
