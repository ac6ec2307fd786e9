//! Whether the names that a service uses are declared.
//!
//! Named volumes are checked with the other mounts.

use std::collections::BTreeSet;

use super::super::Fault;
use super::super::schema::nearest;
use super::super::short;
use super::super::yaml::{Entry, Node, Place};
use super::Check;

impl Check<'_> {
    pub(super) fn references(&mut self, node: &Node, path: &str) {
        if let (Some(mode), Some(networks)) = (node.get("network_mode"), node.entry("networks")) {
            let words = format!(
                "cannot stand beside network_mode \"{}\"",
                mode.text().unwrap_or_default()
            );
            self.fault(&networks.place, format!("{path}.networks"), words);
        }
        let networks: BTreeSet<_> = self
            .project
            .networks
            .keys()
            .cloned()
            .chain(["default".into()])
            .collect();
        self.declared(node, path, "networks", &networks);
        self.declared(
            node,
            path,
            "secrets",
            &self.project.secrets.keys().cloned().collect(),
        );
        self.declared(
            node,
            path,
            "configs",
            &self.project.configs.keys().cloned().collect(),
        );
        let models = self
            .root
            .get("models")
            .map_or(&[][..], |models| models.entries());
        self.declared(
            node,
            path,
            "models",
            &models.iter().map(|entry| entry.key.clone()).collect(),
        );
        let required = |name: &str| {
            let depends = node.get("depends_on").and_then(|depends| depends.get(name));
            depends
                .and_then(|depends| depends.get_text("required"))
                .and_then(short::boolean)
                != Some(false)
        };
        for (key, item, other) in other_services(node) {
            if self.trees.contains_key(&other) || (key == "depends_on" && !required(&other)) {
                continue;
            }
            let all = self
                .root
                .get("services")
                .map_or(&[][..], |services| services.entries());
            let path = format!("{path}.{key}");
            if all.iter().any(|entry| entry.key == other) {
                let words = format!("service \"{other}\" is in no profile that the stack uses");
                self.fault(&item, path, words);
            } else {
                let names = all.iter().map(|entry| entry.key.as_str());
                let hint = nearest(&other, names).map(|near| format!("did you mean \"{near}\"?"));
                self.faults.push(Fault {
                    hint,
                    ..item.fault(path, format!("there is no service \"{other}\""))
                });
            }
        }
    }

    /// Names under a key of a service that must be declared in the section of the same name.
    fn declared(&mut self, node: &Node, path: &str, key: &str, names: &BTreeSet<String>) {
        let build = node
            .get("build")
            .and_then(|build| build.get(key))
            .filter(|_| key == "secrets");
        for used in [node.get(key), build].into_iter().flatten() {
            let items = used.items().iter().filter_map(|item| {
                let name = item.text().or_else(|| item.get_text("source"))?;
                Some((&item.place, name))
            });
            let entries = used
                .entries()
                .iter()
                .map(|entry| (&entry.place, entry.key.as_str()));
            let unknown: Vec<_> = items
                .chain(entries)
                .filter(|(_, name)| !names.contains(*name))
                .collect();
            for (place, name) in unknown {
                self.undeclared(place, format!("{path}.{key}"), key, name, names);
            }
        }
    }

    pub(super) fn undeclared(
        &mut self,
        place: &Place,
        path: String,
        key: &str,
        name: &str,
        names: &BTreeSet<String>,
    ) {
        let hint = match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("declare it under the top-level key \"{key}\""),
        };
        self.faults.push(Fault {
            hint: Some(hint),
            ..place.fault(path, format!("\"{name}\" is not declared"))
        });
    }
}

/// Other services that a service names: key, place and name.
fn other_services(node: &Node) -> Vec<(&'static str, Place, String)> {
    let mut all = Vec::new();
    for key in ["depends_on", "links", "volumes_from"] {
        let Some(named) = node.get(key) else { continue };
        let entry = |entry: &Entry| (key, entry.place.clone(), entry.key.clone());
        all.extend(named.entries().iter().map(entry));
        for item in named.items() {
            let text = item.text().unwrap_or_default();
            if !(key == "volumes_from" && text.starts_with("container:")) {
                let name = if key == "depends_on" {
                    text
                } else {
                    text.split(':').next().unwrap_or(text)
                };
                all.push((key, item.place.clone(), name.to_owned()));
            }
        }
    }
    for key in ["network_mode", "ipc", "pid"] {
        if let Some(mode) = node.get(key)
            && let Some(name) = mode.text().and_then(|mode| mode.strip_prefix("service:"))
        {
            all.push((key, mode.place.clone(), name.to_owned()));
        }
    }
    all
}
