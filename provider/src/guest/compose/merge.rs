//! Several Compose trees become one, as Compose merges its `-f` files and what a service extends.
//!
//! Does not check keys or types; a value of the wrong shape is only refused where it cannot be merged.

use std::sync::Arc;

use super::Fault;
use super::short;
use super::yaml::{Entry, Node, Scalar, Value};

/// Lays one tree over another; `path` is where both stand.
pub(super) fn merge(
    base: &Arc<Node>,
    over: &Arc<Node>,
    path: &mut Vec<String>,
) -> Result<Arc<Node>, Fault> {
    if over.tag.as_deref() == Some("!override") {
        return Ok(strip(over));
    }
    if over.is_null() {
        return Ok(base.clone());
    }
    let keys: Vec<_> = path.iter().map(String::as_str).collect();
    let (base, over) = match rule(&keys) {
        Rule::Plain => (base.clone(), over.clone()),
        Rule::Replace => return Ok(strip(over)),
        Rule::KeyValues => (as_map(base, None), as_map(over, None)),
        Rule::Names(default) => (as_map(base, default), as_map(over, default)),
        Rule::Sequence => (as_list(base), as_list(over)),
        Rule::Build => (as_build(base), as_build(over)),
        Rule::Driver => {
            let driver = |node: &Node| node.get_text("driver").map(str::to_owned);
            match (driver(base), driver(over)) {
                (Some(a), Some(b)) if a != b => return Ok(strip(over)),
                _ => (base.clone(), over.clone()),
            }
        }
        Rule::Limit => match (&base.value, &over.value) {
            (Value::Map(_), Value::Map(_)) => (base.clone(), over.clone()),
            _ => return Ok(strip(over)),
        },
        Rule::Subnets => return Ok(subnets(base, over)),
    };
    match (&base.value, &over.value) {
        (Value::Map(entries), Value::Map(over)) => {
            let mut merged = entries.clone();
            for entry in over {
                lay(&mut merged, entry, path)?;
            }
            Ok(base.with(Value::Map(merged)))
        }
        (Value::List(items), Value::List(_)) => {
            let mut merged = items.clone();
            for item in strip(&over).items() {
                if merged.iter().all(|known| !same(known, item)) {
                    merged.push(item.clone());
                }
            }
            Ok(base.with(Value::List(merged)))
        }
        (Value::Scalar(_), _) => Ok(strip(&over)),
        _ => {
            let before = format!(
                "is set in another form in {}:{}",
                base.place.file, base.place.line
            );
            Err(over.place.fault(path.join("."), before))
        }
    }
}

fn lay(merged: &mut Vec<Entry>, entry: &Entry, path: &mut Vec<String>) -> Result<(), Fault> {
    let known = merged.iter().position(|known| known.key == entry.key);
    if entry.node.tag.as_deref() == Some("!reset") {
        if let Some(at) = known {
            merged.remove(at);
        }
        return Ok(());
    }
    let Some(at) = known else {
        let node = strip(&entry.node);
        merged.push(Entry {
            node,
            ..entry.clone()
        });
        return Ok(());
    };
    path.push(entry.key.clone());
    let node = merge(&merged[at].node, &entry.node, path)?;
    path.pop();
    merged[at] = Entry {
        node,
        ..entry.clone()
    };
    Ok(())
}

/// A tree without what `!reset` marks, its other tags forgotten.
pub(super) fn strip(node: &Arc<Node>) -> Arc<Node> {
    let kept = |node: &Arc<Node>| node.tag.as_deref() != Some("!reset");
    let value = match &node.value {
        Value::Scalar(_) => return node.clone(),
        Value::List(items) => {
            Value::List(items.iter().filter(|item| kept(item)).map(strip).collect())
        }
        Value::Map(entries) => {
            let entries = entries.iter().filter(|entry| kept(&entry.node));
            let strip = |entry: &Entry| Entry {
                node: strip(&entry.node),
                ..entry.clone()
            };
            Value::Map(entries.map(strip).collect())
        }
    };
    Arc::new(Node::new(node.place.clone(), None, value))
}

/// A service whose lists hold one entry for each target: the last, at the place of the first.
pub(super) fn unique(service: &Arc<Node>) -> Arc<Node> {
    let mut entries = service.entries().to_vec();
    for entry in &mut entries {
        let index: fn(&Node) -> Option<String> = match entry.key.as_str() {
            "volumes" => |item| match item.text() {
                Some(text) => short::mount(text).ok().map(|mount| mount.target),
                None => item.get_text("target").map(str::to_owned),
            },
            "devices" => |item| match item.text() {
                Some(text) => text.split(':').nth(1).or(Some(text)).map(str::to_owned),
                None => item.get_text("target").map(str::to_owned),
            },
            "secrets" | "configs" => |item| {
                let target = item.text().or_else(|| item.get_text("target"));
                target
                    .or_else(|| item.get_text("source"))
                    .map(str::to_owned)
            },
            "cap_add" | "cap_drop" | "dns" | "dns_opt" | "dns_search" | "expose" | "links"
            | "ports" | "profiles" | "tmpfs" => |item| item.text().map(str::to_owned),
            _ => continue,
        };
        let Value::List(items) = &entry.node.value else {
            continue;
        };
        let mut kept: Vec<(Option<String>, Arc<Node>)> = Vec::new();
        for item in items {
            let key = index(item);
            match kept
                .iter_mut()
                .find(|(known, _)| key.is_some() && *known == key)
            {
                Some((_, known)) => *known = item.clone(),
                None => kept.push((key, item.clone())),
            }
        }
        let kept = kept.into_iter().map(|(_, item)| item).collect();
        entry.node = entry.node.with(Value::List(kept));
    }
    service.with(Value::Map(entries))
}

enum Rule {
    /// Maps merge, lists append, the rest is replaced.
    Plain,
    Replace,
    /// `KEY=value` lists and maps, by key.
    KeyValues,
    /// A list of names is a map of them, each with this value.
    Names(Option<&'static [(&'static str, &'static str)]>),
    /// One text is a list of one, a map a list of `key=value`.
    Sequence,
    Build,
    /// Merged only while the driver is the same.
    Driver,
    Limit,
    Subnets,
}

fn rule(path: &[&str]) -> Rule {
    const STARTED: &[(&str, &str)] = &[("condition", "service_started"), ("required", "true")];
    match path {
        ["services", _, "command" | "entrypoint"] | ["services", _, "healthcheck", "test"] => {
            Rule::Replace
        }
        [
            "services",
            _,
            "environment" | "labels" | "annotations" | "sysctls",
        ]
        | ["services", _, "deploy", "labels"]
        | [
            "services",
            _,
            "build",
            "args" | "labels" | "additional_contexts",
        ]
        | ["networks" | "volumes" | "secrets" | "configs", _, "labels"] => Rule::KeyValues,
        ["services", _, "depends_on"] => Rule::Names(Some(STARTED)),
        ["services", _, "networks" | "models"] => Rule::Names(None),
        [
            "services",
            _,
            "dns" | "dns_opt" | "dns_search" | "env_file" | "label_file" | "extra_hosts" | "tmpfs",
        ]
        | ["services", _, "build", "extra_hosts"] => Rule::Sequence,
        ["services", _, "build"] => Rule::Build,
        ["services", _, "logging"] => Rule::Driver,
        ["services", _, "ulimits", _] => Rule::Limit,
        ["networks", _, "ipam", "config"] => Rule::Subnets,
        _ => Rule::Plain,
    }
}

/// `KEY=value` lists, lists of names and maps as a map; a later item of one key wins.
pub(super) fn as_map(node: &Arc<Node>, default: Option<&[(&str, &str)]>) -> Arc<Node> {
    let Value::List(items) = &node.value else {
        return node.clone();
    };
    let mut entries: Vec<Entry> = Vec::new();
    for item in items {
        let Some(text) = item.text() else { continue };
        let scalar = |text: &str, plain| {
            Value::Scalar(Scalar {
                text: text.to_owned(),
                plain,
            })
        };
        let (key, value) = match (text.split_once('='), default) {
            (Some((key, value)), None) => (key, scalar(value, false)),
            (_, None) => (text, scalar("", true)),
            (_, Some(default)) => {
                let entry = |(key, value): &(&str, &str)| Entry {
                    key: (*key).to_owned(),
                    place: item.place.clone(),
                    node: item.with(scalar(value, true)),
                };
                (text, Value::Map(default.iter().map(entry).collect()))
            }
        };
        let (key, place, node) = (key.to_owned(), item.place.clone(), item.with(value));
        match entries.iter_mut().find(|known| known.key == key) {
            Some(known) => known.node = node,
            None => entries.push(Entry { key, place, node }),
        }
    }
    let tag = node.tag.clone();
    Arc::new(Node::new(node.place.clone(), tag, Value::Map(entries)))
}

fn as_list(node: &Arc<Node>) -> Arc<Node> {
    match &node.value {
        Value::List(_) => node.clone(),
        Value::Scalar(_) => node.with(Value::List(vec![node.clone()])),
        Value::Map(entries) => {
            let line = |entry: &Entry, value: Option<&str>| {
                let text = value.map_or_else(
                    || entry.key.clone(),
                    |value| format!("{}={value}", entry.key),
                );
                entry.node.with(Value::Scalar(Scalar::text(text)))
            };
            let lines = entries.iter().flat_map(|entry| match &entry.node.value {
                Value::List(items) => items.iter().map(|item| line(entry, item.text())).collect(),
                _ => vec![line(entry, entry.node.text())],
            });
            node.with(Value::List(lines.collect()))
        }
    }
}

fn as_build(node: &Arc<Node>) -> Arc<Node> {
    if node.text().is_none() {
        return node.clone();
    }
    let (key, place, node_) = ("context".to_owned(), node.place.clone(), node.clone());
    node.with(Value::Map(vec![Entry {
        key,
        place,
        node: node_,
    }]))
}

fn subnets(base: &Arc<Node>, over: &Arc<Node>) -> Arc<Node> {
    let mut merged = base.items().to_vec();
    for item in strip(over).items() {
        let known = merged
            .iter_mut()
            .find(|known| known.get_text("subnet") == item.get_text("subnet"));
        match known {
            Some(known) => {
                let mut entries = known.entries().to_vec();
                entries.retain(|entry| item.get(&entry.key).is_none());
                entries.extend_from_slice(item.entries());
                *known = known.with(Value::Map(entries));
            }
            None => merged.push(item.clone()),
        }
    }
    base.with(Value::List(merged))
}

/// Whether two nodes hold the same, wherever they stand.
pub(super) fn same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Scalar(a), Value::Scalar(b)) => a.text == b.text && a.look() == b.look(),
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Map(a), Value::Map(b)) => {
            let found = |entry: &Entry| b.iter().find(|other| other.key == entry.key);
            a.len() == b.len()
                && a.iter()
                    .all(|entry| found(entry).is_some_and(|other| same(&entry.node, &other.node)))
        }
        _ => false,
    }
}
