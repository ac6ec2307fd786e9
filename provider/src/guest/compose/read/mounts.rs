//! What a service reads besides its own declaration: mounted names and paths, env files, build contexts.
//!
//! Does not decide whether names are declared; `check` does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::super::model::{Origin, Project, Resource, Service};
use super::super::shipped::{is_remote, relative};
use super::super::yaml::Node;
use super::super::{Fault, dotenv, short};
use super::Context;

/// Secrets or configs that a service mounts, those of its build included.
pub(super) fn names(service: &Node, key: &str) -> BTreeSet<String> {
    let build = service.get("build").and_then(|build| build.get(key));
    let lists = [service.get(key), build];
    let items = lists.into_iter().flatten().flat_map(|list| list.items());
    items
        .filter_map(|item| item.text().or_else(|| item.get_text("source")))
        .map(str::to_owned)
        .collect()
}

/// One env or label file that a service names.
pub(in super::super) struct NamedFile {
    pub(in super::super) node: Arc<Node>,
    pub(in super::super) path: String,
    pub(in super::super) required: bool,
    pub(in super::super) raw: bool,
}

/// Files of `env_file` or `label_file`.
pub(in super::super) fn named_files(service: &Node, key: &str) -> Vec<NamedFile> {
    let Some(named) = service.get(key) else {
        return Vec::new();
    };
    let items = if named.text().is_some() {
        std::slice::from_ref(named)
    } else {
        named.items()
    };
    let read = |item: &Arc<Node>| NamedFile {
        node: item.clone(),
        path: item
            .text()
            .or_else(|| item.get_text("path"))
            .unwrap_or_default()
            .to_owned(),
        required: item.get_text("required").and_then(short::boolean) != Some(false),
        raw: item.get_text("format") == Some("raw"),
    };
    items.iter().map(read).collect()
}

/// Context of a service's build, as the text names it.
pub(in super::super) fn build_context(service: &Node) -> Option<(&Arc<Node>, &str)> {
    let build = service.get("build")?;
    let context = build.get("context").unwrap_or(build);
    Some((context, context.text().unwrap_or(".")))
}

/// Adds to a service what it reads and what of that decides whether its containers stay.
pub(super) fn read(
    name: &str,
    node: &Arc<Node>,
    service: &mut Service,
    project: &Project,
    context: &Context<'_>,
    faults: &mut Vec<Fault>,
) {
    let mut seen = Seen {
        service,
        context,
        faults,
    };
    seen.mounts(node);
    for file in named_files(node, "env_file") {
        seen.env_file(name, &file);
    }
    for file in named_files(node, "label_file") {
        seen.path(&file.node, &file.path);
    }
    if let Some((at, path)) = build_context(node)
        && !is_remote(path)
    {
        seen.path(at, path);
    }
    seen.resources("secrets", &project.secrets);
    seen.resources("configs", &project.configs);
    let volumes = project
        .volumes
        .iter()
        .map(|(key, volume)| (key, &volume.definition));
    let used = seen.service.volumes.clone();
    seen.declared("volumes", &used, volumes);
    let networks = project
        .networks
        .iter()
        .map(|(key, network)| (key, &network.definition));
    let used = seen.service.networks.clone();
    seen.declared("networks", &used, networks);
}

struct Seen<'a> {
    service: &'a mut Service,
    context: &'a Context<'a>,
    faults: &'a mut Vec<Fault>,
}

impl Seen<'_> {
    /// A path whose shipped files the service sees; gives it relative to the project directory.
    fn path(&mut self, at: &Node, path: &str) -> Option<String> {
        let path = relative(self.context.loader.base(&at.place), path)?;
        for file in self.context.shipped.below(&path) {
            self.service.inputs.insert(file.to_owned());
            let content = self.context.shipped.content(file).unwrap_or_default();
            self.service
                .beside
                .insert(format!("files.{file}"), sha256(content));
        }
        Some(path)
    }

    fn mounts(&mut self, node: &Node) {
        for item in node
            .get("volumes")
            .map_or(&[][..], |volumes| volumes.items())
        {
            let (source, bind) = match item.text() {
                Some(text) => match short::mount(text) {
                    Ok(mount) => (mount.source, mount.bind),
                    Err(_) => continue,
                },
                None => (
                    item.get_text("source").map(str::to_owned),
                    item.get_text("type") == Some("bind"),
                ),
            };
            let named = item.get_text("type").is_none_or(|kind| kind == "volume");
            match source {
                Some(source) if bind => {
                    let path = self.path(item, &source);
                    self.service.binds.extend(path);
                }
                Some(source) if named => {
                    self.service.volumes.insert(source);
                }
                _ => {}
            }
        }
    }

    fn env_file(&mut self, name: &str, file: &NamedFile) {
        let Some(path) = relative(self.context.loader.base(&file.node.place), &file.path) else {
            return;
        };
        let env = self.context.env;
        let content = match self.context.shipped.content(&path) {
            Some(content) => Some(content.to_vec()),
            // Written from the variables themselves.
            None if path == ".env" && !self.context.inputs.env.is_empty() => {
                Some(dotenv::write(&self.context.inputs.env).into_bytes())
            }
            None => None,
        };
        let Some(content) = content else { return };
        self.service.env_files.insert(path.clone());
        if self.context.shipped.content(&path).is_some() {
            self.service.inputs.insert(path.clone());
        }
        let text = String::from_utf8_lossy(&content);
        let values = if file.raw {
            Ok(BTreeMap::from([(String::new(), text.to_string())]))
        } else {
            dotenv::parse(&path, &text, env)
        };
        match values {
            Ok(values) => {
                let values = serde_json::json!(values).to_string();
                self.service
                    .beside
                    .insert(format!("files.{path}"), sha256(values.as_bytes()));
            }
            Err(fault) => self.faults.push(Fault {
                path: format!("env file of services.{name}"),
                ..fault
            }),
        }
    }

    fn resources(&mut self, section: &str, declared: &BTreeMap<String, Resource>) {
        let used = if section == "secrets" {
            &self.service.secrets
        } else {
            &self.service.configs
        };
        for key in used.clone() {
            let Some(resource) = declared.get(&key) else {
                continue;
            };
            self.service
                .beside
                .insert(format!("{section}.{key}"), resource.definition.clone());
            match &resource.origin {
                Origin::File(file) => {
                    if let Some(content) = self.context.shipped.content(file) {
                        self.service
                            .beside
                            .insert(format!("files.{file}"), sha256(content));
                        self.service.inputs.insert(file.clone());
                    }
                }
                Origin::Environment(name) => {
                    let value = self.context.env.get(name).map_or("", String::as_str);
                    let value = format!("{}\n{}", resource.definition, sha256(value.as_bytes()));
                    self.service
                        .beside
                        .insert(format!("{section}.{key}"), value);
                }
                _ => {}
            }
        }
    }

    fn declared<'d>(
        &mut self,
        section: &str,
        used: &BTreeSet<String>,
        declared: impl Iterator<Item = (&'d String, &'d String)>,
    ) {
        for (key, definition) in declared.filter(|(key, _)| used.contains(*key)) {
            self.service
                .beside
                .insert(format!("{section}.{key}"), definition.clone());
        }
    }
}

fn sha256(content: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, content);
    BASE64_STANDARD.encode(hash)
}
