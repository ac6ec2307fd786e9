//! Checks of what services share: host ports, networks, secrets and configs.
//!
//! Does not look into single services.

use super::super::model::Origin;
use super::super::read::{self, external};
use super::super::yaml::{Entry, Node, Place};
use super::Check;

impl Check<'_> {
    /// No two services may publish the same port of the host.
    pub(super) fn ports(&mut self) {
        let mut taken: Vec<(String, Place, super::short::Port)> = Vec::new();
        for (name, node) in self.trees {
            // In the host's network nothing is published.
            if node.get_text("network_mode") == Some("host") {
                continue;
            }
            let items = node.get("ports").map_or(&[][..], |ports| ports.items());
            for (at, item) in items.iter().enumerate() {
                let Ok(port) = read::port(item) else { continue };
                let path = format!("services.{name}.ports[{at}]");
                let replicas = self.project.services[name].replicas;
                if replicas > 1 && port.fixed().is_some() {
                    let words = format!("{replicas} containers cannot all publish {port}");
                    let hint = "leave the host's port out, or give a range";
                    self.warn(&item.place, &path, &words, hint);
                }
                if let Some((other, place, _)) =
                    taken.iter().find(|(_, _, other)| other.clashes(&port))
                {
                    let words = format!(
                        "port {port} is already published by service \"{other}\" in {}:{}",
                        place.file, place.line
                    );
                    self.faults.push(item.place.fault(path, words));
                }
                taken.push((name.clone(), item.place.clone(), port));
            }
        }
    }

    pub(super) fn resources(&mut self) {
        for key in ["networks", "volumes"] {
            for entry in section(self.root, key) {
                let path = format!("{key}.{}", entry.key);
                self.exclusive(&entry, &path);
                if key == "networks" {
                    self.network(&entry.node, &path);
                }
            }
        }
        for (key, declared) in [
            ("secrets", &self.project.secrets),
            ("configs", &self.project.configs),
        ] {
            for entry in section(self.root, key) {
                if let Some(resource) = declared.get(&entry.key) {
                    self.source(key, &entry, &resource.origin);
                }
            }
        }
    }

    /// What is external is described where it was made.
    fn exclusive(&mut self, entry: &Entry, path: &str) {
        let allowed = |key: &str| matches!(key, "name" | "external") || key.starts_with("x-");
        if external(&entry.node)
            && let Some(other) = entry
                .node
                .entries()
                .iter()
                .find(|other| !allowed(&other.key))
        {
            let words = format!("is external, so \"{}\" has no effect", other.key);
            self.fault_with(&other.place, path, words, "remove one of both");
        }
    }

    fn network(&mut self, node: &Node, path: &str) {
        let driver = node.get_text("driver").unwrap_or_default();
        let parent = node
            .get("driver_opts")
            .and_then(|options| options.get("parent"));
        let Some((parent, name)) = parent.and_then(|parent| Some((parent, parent.text()?))) else {
            return;
        };
        let bridge = name
            .strip_prefix("vmbr")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if matches!(driver, "macvlan" | "ipvlan") && bridge {
            let words =
                format!("\"{name}\" is a bridge of the node, which the guest does not have");
            let hint = "name the guest's own interface, such as eth0 or ens18";
            self.fault_with(
                &parent.place,
                &format!("{path}.driver_opts.parent"),
                words,
                hint,
            );
        }
    }

    fn source(&mut self, key: &str, entry: &Entry, origin: &Origin) {
        let path = format!("{key}.{}", entry.key);
        let sources = ["file", "environment", "content"].map(|key| entry.node.entry(key));
        let sources: Vec<_> = sources.into_iter().flatten().collect();
        if let [first, second, ..] = sources[..] {
            let words = format!("has both \"{}\" and \"{}\"", first.key, second.key);
            self.fault(&second.place, path.as_str(), words);
        }
        let supplied = match (key, &self.context.inputs.secrets) {
            ("secrets", None) => true,
            ("secrets", Some(names)) => names.contains(&entry.key),
            _ => false,
        };
        let shipped = |names: &std::collections::BTreeSet<String>| {
            key == "secrets" && names.contains(&entry.key)
        };
        match origin {
            Origin::External if self.context.inputs.secrets.as_ref().is_some_and(shipped) => {
                let words = "is external, so the value in `secrets_wo` has no effect";
                let hint = "remove \"external\", or the secret from `secrets_wo`";
                self.fault_with(&entry.place, &path, words, hint);
            }
            Origin::Absent if !supplied && entry.node.get("driver").is_none() => {
                let hint = if key == "secrets" {
                    "set it in `secrets_wo`, or name a \"file\""
                } else {
                    "name a \"file\" or give its \"content\""
                };
                self.fault_with(&entry.place, &path, "has no source", hint);
            }
            Origin::File(file)
                if !supplied
                    && !file.starts_with(['/', '~'])
                    && !file.starts_with("..")
                    && self.context.shipped.content(file).is_none() =>
            {
                let words = format!("file \"{file}\" is not shipped beside the text");
                self.fault_with(&entry.place, &path, words, "add it to `files`");
            }
            Origin::Environment(name) if !self.context.env.contains_key(name) => {
                let words = format!("variable \"{name}\" is not set");
                self.fault_with(&entry.place, &path, words, "set it in `env`");
            }
            _ => {}
        }
    }
}

/// Entries of a section at the top, `x-` left out.
fn section(root: &Node, key: &str) -> Vec<Entry> {
    let entries = root.get(key).map_or(&[][..], |node| node.entries());
    entries
        .iter()
        .filter(|entry| !entry.key.starts_with("x-"))
        .cloned()
        .collect()
}
