//! A declaration as canonical JSON, so that two spellings of the same compare equal.
//!
//! Takes two spellings for different where Compose might; it then only says "changes" too often.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::merge::as_map;
use super::yaml::{Entry, Node, Value};

/// What Compose hashes of a service; variables without a value take it from `env`.
pub(super) fn service(service: &std::sync::Arc<Node>, env: &BTreeMap<String, String>) -> String {
    let mut out = Map::new();
    for entry in service.entries() {
        let key = entry.key.as_str();
        let json = match key {
            "build" | "pull_policy" | "scale" | "extends" => continue,
            _ if key.starts_with("x-") => continue,
            "environment" => variables(&as_map(&entry.node, None), env),
            "labels" | "annotations" | "sysctls" | "networks" | "models" => {
                json(&as_map(&entry.node, None))
            }
            "depends_on" => dependencies(&as_map(
                &entry.node,
                Some(&[("condition", "service_started")]),
            )),
            "deploy" => {
                let mut deploy = json(&entry.node);
                if let Some(deploy) = deploy.as_object_mut() {
                    deploy.remove("replicas");
                }
                match deploy {
                    Json::Object(deploy) if deploy.is_empty() => continue,
                    deploy => deploy,
                }
            }
            _ => json(&entry.node),
        };
        out.insert(key.to_owned(), json);
    }
    Json::Object(out).to_string()
}

/// A build, which has no more to it than its text.
pub(super) fn build(build: &Node) -> String {
    json(build).to_string()
}

/// A network, secret or config; labels may be a list or a map.
pub(super) fn other(node: &Node) -> String {
    Json::Object(declaration(node)).to_string()
}

/// A volume, whose driver is `local` when it names none.
pub(super) fn volume(node: &Node) -> String {
    let mut volume = declaration(node);
    volume.entry("driver").or_insert_with(|| "local".into());
    Json::Object(volume).to_string()
}

fn declaration(node: &Node) -> Map<String, Json> {
    let known = |entry: &&Entry| !entry.key.starts_with("x-");
    let read = |entry: &Entry| {
        let node = &entry.node;
        let json = match entry.key.as_str() {
            "labels" => json(&as_map(node, None)),
            _ => json(node),
        };
        (entry.key.clone(), json)
    };
    node.entries().iter().filter(known).map(read).collect()
}

fn variables(node: &Node, env: &BTreeMap<String, String>) -> Json {
    let variable = |key: &str, node: &Node| match node.text() {
        Some(text) => Json::from(text),
        None if node.is_null() => env
            .get(key)
            .map_or(Json::Null, |value| Json::from(value.as_str())),
        None => Json::from(""),
    };
    let entries = node.entries().iter();
    Json::Object(
        entries
            .map(|entry| (entry.key.clone(), variable(&entry.key, &entry.node)))
            .collect(),
    )
}

fn dependencies(node: &Node) -> Json {
    let mut all = json(node);
    for dependency in all.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some(dependency) = dependency.as_object_mut() {
            dependency
                .entry("required")
                .or_insert_with(|| Json::from("true"));
        }
    }
    all
}

fn json(node: &Node) -> Json {
    match &node.value {
        // How a scalar looks does not count: Compose casts each to the type it wants.
        Value::Scalar(_) => node.text().map_or(Json::Null, Json::from),
        Value::List(items) => items.iter().map(|item| json(item)).collect(),
        Value::Map(entries) => Json::Object(
            entries
                .iter()
                .map(|entry| (entry.key.clone(), json(&entry.node)))
                .collect(),
        ),
    }
}
