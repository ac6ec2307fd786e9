//! Whether the parts of a stack's text fit each other, the files shipped beside it, and the host it runs on.
//!
//! Does not check single values; `schema` did.

mod resources;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Fault;
use super::model::Project;
use super::read::mounts::{build_context, named_files};
use super::read::{Context, Services, ports};
use super::schema::nearest;
use super::shipped::{is_remote, relative};
use super::short;
use super::yaml::{Entry, Node, Place};

/// Adds what is wrong with the project, and what Compose tolerates but the practitioner should know.
pub(super) fn check(
    root: &Node,
    trees: &Services,
    project: &Project,
    context: &Context<'_>,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<Fault>,
) {
    let mut check = Check {
        root,
        trees,
        project,
        context,
        faults,
        warnings,
    };
    check.top();
    for (name, node) in trees {
        check.service(name, node);
    }
    check.circles();
    check.ports();
    check.resources();
}

struct Check<'a> {
    root: &'a Node,
    trees: &'a Services,
    project: &'a Project,
    context: &'a Context<'a>,
    faults: &'a mut Vec<Fault>,
    warnings: &'a mut Vec<Fault>,
}

impl Check<'_> {
    fn fault(&mut self, place: &Place, path: impl Into<String>, words: impl Into<String>) {
        self.faults.push(place.fault(path, words));
    }

    fn fault_with(
        &mut self,
        place: &Place,
        path: &str,
        words: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let hint = Some(hint.into());
        self.faults.push(Fault {
            hint,
            ..place.fault(path, words)
        });
    }

    fn warn(&mut self, place: &Place, path: &str, words: &str, hint: impl Into<String>) {
        let hint = Some(hint.into());
        self.warnings.push(Fault {
            hint,
            ..place.fault(path, words)
        });
    }

    fn top(&mut self) {
        let project = self.context.inputs.project;
        if let Some(version) = self.root.entry("version") {
            self.warn(
                &version.place,
                "version",
                "has no meaning any more",
                "remove it",
            );
        }
        if let Some(name) = self.root.get("name")
            && name.text() != Some(project)
        {
            let hint = format!("write {project}, or leave it out");
            self.fault_with(&name.place, "name", "is not the stack's name", hint);
        }
        let services = self
            .root
            .get("services")
            .map_or(0, |services| services.entries().len());
        if services == 0 {
            self.fault(&self.root.place.clone(), "", "the text has no services");
        }
        let unknown = self
            .context
            .inputs
            .profiles
            .difference(&self.project.profiles);
        for profile in unknown.filter(|profile| *profile != "*") {
            let words = format!("no service has the profile \"{profile}\"");
            self.faults.push(self.root.place.fault("", words));
        }
    }

    fn service(&mut self, name: &str, node: &Arc<Node>) {
        let path = format!("services.{name}");
        if ["image", "build", "provider"]
            .iter()
            .all(|key| node.get(key).is_none())
        {
            self.fault(&node.place, path.as_str(), "needs \"image\" or \"build\"");
        }
        self.references(node, &path);
        self.files(node, &path);
        self.mounts(node, &path);
        self.numbers(node, &path);
        for (item, words) in ports(node).filter_map(Result::err) {
            let port = item
                .text()
                .map_or_else(String::new, |text| format!("\"{text}\": "));
            self.fault(
                &item.place,
                format!("{path}.ports"),
                format!("{port}{words}"),
            );
        }
        if let Some(test) = node.get("healthcheck").and_then(|check| check.get("test"))
            && let Some(first) = test.items().first()
            && !matches!(first.text(), Some("CMD" | "CMD-SHELL" | "NONE"))
        {
            let words = "a list must begin with CMD, CMD-SHELL or NONE";
            self.fault(&first.place, format!("{path}.healthcheck.test"), words);
        }
    }

    fn references(&mut self, node: &Node, path: &str) {
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

    fn undeclared(
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

    fn files(&mut self, node: &Node, path: &str) {
        for key in ["env_file", "label_file"] {
            for file in named_files(node, key).iter().filter(|file| file.required) {
                let Some(full) = relative(self.context.loader.base(&file.node.place), &file.path)
                else {
                    continue;
                };
                let written = full == ".env" && !self.context.inputs.env.is_empty();
                if !written && self.context.shipped.content(&full).is_none() {
                    let words = format!("file \"{}\" is not shipped beside the text", file.path);
                    let hint = if full == ".env" {
                        "set `env`"
                    } else {
                        "add it to `files`, or set `required: false`"
                    };
                    self.fault_with(&file.node.place, &format!("{path}.{key}"), words, hint);
                }
            }
        }
        let Some((at, named)) = build_context(node).filter(|(_, named)| !is_remote(named)) else {
            return;
        };
        // A context outside the project directory is the host's affair.
        let Some(directory) = relative(self.context.loader.base(&at.place), named) else {
            return;
        };
        let build = node.get("build");
        let inline = build.is_some_and(|build| build.get("dockerfile_inline").is_some());
        let dockerfile = build
            .and_then(|build| build.get_text("dockerfile"))
            .unwrap_or("Dockerfile");
        let dockerfile = relative(&directory, dockerfile).filter(|_| !inline);
        if self.context.shipped.below(&directory).next().is_none() {
            let words = format!("build context \"{named}\" is not shipped beside the text");
            self.fault_with(
                &at.place,
                &format!("{path}.build"),
                words,
                "add its files to `files`",
            );
        } else if let Some(dockerfile) = dockerfile
            && self.context.shipped.content(&dockerfile).is_none()
        {
            let words = format!("\"{dockerfile}\" is not shipped beside the text");
            self.fault_with(
                &at.place,
                &format!("{path}.build"),
                words,
                "add it to `files`",
            );
        }
    }

    fn mounts(&mut self, node: &Node, path: &str) {
        let mut targets: BTreeMap<String, usize> = BTreeMap::new();
        let path = format!("{path}.volumes");
        let names: BTreeSet<_> = self.project.volumes.keys().cloned().collect();
        for item in node
            .get("volumes")
            .map_or(&[][..], |volumes| volumes.items())
        {
            let (source, target, drive) = match item.text() {
                Some(text) => match short::mount(text) {
                    Ok(mount) => (
                        mount.source.filter(|_| !mount.bind || mount.drive),
                        mount.target,
                        mount.drive,
                    ),
                    Err(words) => {
                        self.fault(&item.place, path.as_str(), format!("\"{text}\": {words}"));
                        continue;
                    }
                },
                None => {
                    let volume = item.get_text("type") == Some("volume");
                    let source = item.get_text("source").filter(|_| volume);
                    (
                        source.map(str::to_owned),
                        item.get_text("target").unwrap_or_default().to_owned(),
                        false,
                    )
                }
            };
            if drive {
                let words = "Compose takes a volume with a one-letter name for a Windows drive";
                self.warn(
                    &item.place,
                    &path,
                    words,
                    "give the volume a longer name, or use the long form",
                );
            } else if let Some(source) = source.filter(|source| !names.contains(source)) {
                self.undeclared(&item.place, path.clone(), "volumes", &source, &names);
            }
            if let Some(line) = targets.insert(target.clone(), item.place.line) {
                let words = format!("\"{target}\" is already mounted in line {line}");
                self.fault(&item.place, path.as_str(), words);
            }
        }
    }

    fn numbers(&mut self, node: &Node, path: &str) {
        let scale = node.get("scale");
        let replicas = node.get("deploy").and_then(|deploy| deploy.get("replicas"));
        for count in [scale, replicas].into_iter().flatten() {
            let number = count.text().and_then(|text| text.parse::<i64>().ok());
            if !number.is_some_and(|number| u32::try_from(number).is_ok()) {
                self.fault(
                    &count.place,
                    path,
                    "the number of containers cannot be that",
                );
            }
        }
        if let (Some(scale), Some(replicas)) = (scale, replicas)
            && scale.text() != replicas.text()
        {
            self.fault(&scale.place, path, "scale differs from deploy.replicas");
        }
        let count = scale.or(replicas);
        if let (Some(name), Some(count)) = (node.get("container_name"), count)
            && count.text().and_then(|text| text.parse().ok()).unwrap_or(1) > 1
        {
            let words = format!(
                "{} containers cannot share one name",
                count.text().unwrap_or_default()
            );
            self.fault(&name.place, format!("{path}.container_name"), words);
        }
    }

    /// Services that wait for each other in a circle.
    fn circles(&mut self) {
        let mut done = BTreeSet::new();
        for name in self.project.services.keys() {
            let mut chain = Vec::new();
            if let Some(circle) = self.circle(name, &mut chain, &mut done) {
                let node = &self.trees[name];
                let at = node
                    .entry("depends_on")
                    .map_or(&node.place, |entry| &entry.place)
                    .clone();
                let words = format!("services wait for each other: {}", circle.join(" → "));
                self.fault(&at, format!("services.{name}.depends_on"), words);
                return;
            }
        }
    }

    fn circle(
        &self,
        name: &str,
        chain: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(at) = chain.iter().position(|known| known == name) {
            let first = [name.to_owned()];
            return Some(chain[at..].iter().cloned().chain(first).collect());
        }
        if !done.insert(name.to_owned()) {
            return None;
        }
        chain.push(name.to_owned());
        let service = self.project.services.get(name)?;
        let circle = service
            .depends_on
            .keys()
            .find_map(|other| self.circle(other, chain, done));
        chain.pop();
        circle
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
