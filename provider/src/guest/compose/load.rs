//! The texts of a stack become one tree: each is read, interpolated, checked against the schema, then its `extends` and
//! `include` are followed and all are merged.
//!
//! Does not follow other references between parts of the tree; `check` does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::interpolate::{self, Findings};
use super::shipped::{Shipped, parent, relative};
use super::yaml::{self, Entry, Node, Place, Scalar, Value};
use super::{Fault, Inputs, dotenv, merge, schema};

/// Deepest chain of includes or extends.
const DEEPEST: usize = 20;

pub(super) struct Loader<'a> {
    shipped: Shipped<'a>,
    pub(super) found: Findings,
    /// Directory of each text's relative paths, where it is not the project directory.
    pub(super) bases: BTreeMap<String, String>,
}

/// One text with the name of messages and the directory of its paths.
struct Written<'a> {
    name: String,
    text: &'a str,
    base: String,
}

type Env = BTreeMap<String, String>;

impl<'a> Loader<'a> {
    pub(super) fn new(inputs: &'a Inputs<'a>) -> Self {
        Self {
            shipped: Shipped(&inputs.files),
            found: Findings::default(),
            bases: BTreeMap::new(),
        }
    }

    /// The merged tree; `None` if no text could be read.
    pub(super) fn sources(&mut self, inputs: &'a Inputs<'a>, env: &Env) -> Option<Arc<Node>> {
        let texts = inputs.sources.iter().map(|source| Written {
            name: source.name.to_owned(),
            text: source.text,
            base: String::new(),
        });
        self.project(texts.collect(), env, &[])
    }

    /// Directory that a node's relative paths start from.
    pub(super) fn base(&self, place: &Place) -> &str {
        self.bases.get(&*place.file).map_or("", String::as_str)
    }

    fn project(
        &mut self,
        texts: Vec<Written<'a>>,
        env: &Env,
        chain: &[String],
    ) -> Option<Arc<Node>> {
        let mut merged: Option<Arc<Node>> = None;
        for text in texts {
            let Some(tree) = self.tree(&text, env) else {
                continue;
            };
            let tree = self.extended(&tree, env);
            let chain: Vec<_> = chain.iter().cloned().chain([text.name.clone()]).collect();
            let tree = self.included(&tree, env, &chain);
            let next = match &merged {
                None => Ok(merge::strip(&tree)),
                Some(base) => merge::merge(base, &tree, &mut Vec::new()),
            };
            match next {
                Ok(next) => merged = Some(next),
                Err(fault) => self.found.faults.push(fault),
            }
        }
        merged
    }

    fn tree(&mut self, text: &Written<'_>, env: &Env) -> Option<Arc<Node>> {
        if !text.base.is_empty() {
            self.bases.insert(text.name.clone(), text.base.clone());
        }
        let tree = match yaml::parse(&text.name, text.text) {
            Ok(tree) => tree,
            Err(fault) => {
                self.found.faults.push(fault);
                return None;
            }
        };
        let tree = interpolate::tree(&tree, "", env, &mut self.found);
        let before = self.found.faults.len();
        schema::check(&tree, &mut self.found.faults);
        (self.found.faults.len() == before).then_some(tree)
    }

    /// The text of a shipped file, or a fault where it is named.
    fn shipped_text(
        &mut self,
        place: &Place,
        path: &str,
        what: &str,
        file: &str,
    ) -> Option<(String, &'a str)> {
        let full = relative(self.base(place), file);
        let content = full.as_deref().and_then(|full| self.shipped.content(full));
        let text = content.map(std::str::from_utf8);
        let (Some(full), Some(Ok(text))) = (full, text) else {
            let words = match text {
                Some(_) => format!("{what} \"{file}\", which is no UTF-8 text"),
                None => format!("{what} \"{file}\", which is not shipped beside the text"),
            };
            self.found.faults.push(Fault {
                hint: Some("add it to `files`".into()),
                ..place.fault(path, words)
            });
            return None;
        };
        Some((full, text))
    }

    /// A tree whose services hold what they extend.
    fn extended(&mut self, tree: &Arc<Node>, env: &Env) -> Arc<Node> {
        let Some(services) = tree.entry("services") else {
            return tree.clone();
        };
        let mut entries = services.node.entries().to_vec();
        for entry in &mut entries {
            let mut seen = BTreeSet::new();
            entry.node = self.extend(
                &entry.key.clone(),
                &entry.node.clone(),
                &services.node,
                env,
                &mut seen,
            );
        }
        let node = services.node.with(Value::Map(entries));
        replace(tree, "services", &node)
    }

    fn extend(
        &mut self,
        name: &str,
        service: &Arc<Node>,
        among: &Arc<Node>,
        env: &Env,
        seen: &mut BTreeSet<(String, String)>,
    ) -> Arc<Node> {
        let Some(extends) = service.entry("extends") else {
            return service.clone();
        };
        let path = format!("services.{name}.extends");
        let fault = |words: String| extends.node.place.fault(path.as_str(), words);
        if !seen.insert((service.place.file.to_string(), name.to_owned())) || seen.len() > DEEPEST {
            self.found
                .faults
                .push(fault("the services extend each other in a circle".into()));
            return service.clone();
        }
        let named = extends
            .node
            .text()
            .or_else(|| extends.node.get_text("service"));
        let Some(named) = named else {
            return service.clone();
        };
        let among = match extends.node.get("file") {
            None => among.clone(),
            Some(file) => {
                let Some((name, text)) = self.shipped_text(
                    &file.place,
                    &path,
                    "extends",
                    file.text().unwrap_or_default(),
                ) else {
                    return service.clone();
                };
                let base = parent(&name).to_owned();
                let Some(tree) = self.tree(&Written { name, text, base }, env) else {
                    return service.clone();
                };
                let Some(services) = tree.get("services").cloned() else {
                    self.found
                        .faults
                        .push(fault("the file extended from has no services".into()));
                    return service.clone();
                };
                services
            }
        };
        let Some(base) = among.get(named) else {
            self.found.faults.push(fault(format!(
                "extends \"{named}\", which is no service there"
            )));
            return service.clone();
        };
        let base = merge::strip(&self.extend(named, base, &among, env, seen));
        let own = without(service, "extends");
        let mut path = vec!["services".to_owned(), name.to_owned()];
        merge::merge(&without(&base, "extends"), &own, &mut path).unwrap_or_else(|fault| {
            self.found.faults.push(fault);
            own
        })
    }

    /// A tree with the parts of the texts it includes.
    fn included(&mut self, tree: &Arc<Node>, env: &Env, chain: &[String]) -> Arc<Node> {
        let Some(include) = tree.get("include") else {
            return tree.clone();
        };
        let mut whole = without(tree, "include");
        for (at, item) in include.items().iter().enumerate() {
            let path = format!("include[{at}]");
            let Some(other) = self.include(item, &path, env, chain) else {
                continue;
            };
            for part in other.entries() {
                if part.key != "name" && part.key != "version" {
                    whole = self.import(&whole, part);
                }
            }
        }
        whole
    }

    fn include(
        &mut self,
        item: &Arc<Node>,
        path: &str,
        env: &Env,
        chain: &[String],
    ) -> Option<Arc<Node>> {
        let files = texts(item).or_else(|| item.get("path").and_then(|files| texts(files)))?;
        let directory = item
            .get("project_directory")
            .and_then(|directory| relative(self.base(&directory.place), directory.text()?));
        let mut sources = Vec::new();
        for file in files {
            let (name, text) = self.shipped_text(&item.place, path, "includes", &file)?;
            if chain.contains(&name) || chain.len() > DEEPEST {
                let words = format!("\"{name}\" includes itself");
                self.found.faults.push(item.place.fault(path, words));
                return None;
            }
            let base = directory
                .clone()
                .unwrap_or_else(|| parent(&name).to_owned());
            sources.push(Written { name, text, base });
        }
        let mut local = self.include_env(item, path, &sources.first()?.base.clone(), env);
        local.extend(
            env.iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        self.project(sources, &local, chain)
    }

    /// Variables that an included text has besides: those of the env files named, or of the `.env` in its directory.
    fn include_env(&mut self, item: &Arc<Node>, path: &str, base: &str, env: &Env) -> Env {
        let mut texts_found = Vec::new();
        if let Some(files) = item.get("env_file").and_then(|files| texts(files)) {
            for file in files {
                texts_found.extend(self.shipped_text(&item.place, path, "reads", &file));
            }
        } else if !base.is_empty() {
            let name = format!("{base}/.env");
            let content = self.shipped.content(&name);
            let text = content.and_then(|content| std::str::from_utf8(content).ok());
            texts_found.extend(text.map(|text| (name, text)));
        }
        let mut values = Env::new();
        for (name, text) in texts_found {
            match dotenv::parse(&name, text, env) {
                Ok(more) => values.extend(more),
                Err(fault) => self.found.faults.push(fault),
            }
        }
        values
    }

    /// Puts a section of an included text into the whole; what both declare must be the same.
    fn import(&mut self, whole: &Arc<Node>, part: &Entry) -> Arc<Node> {
        let Some(own) = whole.get(&part.key) else {
            let mut entries = whole.entries().to_vec();
            entries.push(part.clone());
            return whole.with(Value::Map(entries));
        };
        let mut entries = own.entries().to_vec();
        for entry in part.node.entries() {
            match own.entry(&entry.key) {
                None => entries.push(entry.clone()),
                Some(known) if merge::same(&known.node, &entry.node) => {}
                Some(known) => {
                    let words = format!(
                        "is also declared in {}:{}",
                        entry.place.file, entry.place.line
                    );
                    let path = format!("{}.{}", part.key, entry.key);
                    self.found.faults.push(known.place.fault(path, words));
                }
            }
        }
        replace(whole, &part.key, &own.with(Value::Map(entries)))
    }
}

/// A text or a list of texts.
fn texts(node: &Node) -> Option<Vec<String>> {
    match &node.value {
        Value::Scalar(Scalar { text, .. }) => Some(vec![text.clone()]),
        Value::List(items) => Some(
            items
                .iter()
                .filter_map(|item| item.text())
                .map(str::to_owned)
                .collect(),
        ),
        Value::Map(_) => None,
    }
}

fn without(node: &Arc<Node>, key: &str) -> Arc<Node> {
    let entries = node.entries().iter().filter(|entry| entry.key != key);
    node.with(Value::Map(entries.cloned().collect()))
}

fn replace(node: &Arc<Node>, key: &str, value: &Arc<Node>) -> Arc<Node> {
    let mut entries = node.entries().to_vec();
    for entry in entries.iter_mut().filter(|entry| entry.key == key) {
        entry.node = value.clone();
    }
    node.with(Value::Map(entries))
}
