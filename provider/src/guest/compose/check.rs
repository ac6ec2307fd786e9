//! Whether the parts of a stack's text fit each other, the files shipped beside it, and the host it runs on.
//!
//! Does not check single values; `schema` did.

mod references;
mod resources;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Fault;
use super::model::Project;
use super::read::mounts::{build_context, named_files};
use super::read::{Context, Services, ports};
use super::shipped::{is_remote, relative};
use super::short;
use super::yaml::{Node, Place};

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
        let path = format!("{path}.volumes");
        let names: BTreeSet<_> = self.project.volumes.keys().cloned().collect();
        let volumes = node.get("volumes");
        for item in volumes.map_or(&[][..], |volumes| volumes.items()) {
            let volume = if let Some(text) = item.text() {
                match short::mount(text) {
                    Ok(mount) if mount.drive => {
                        let words = "Compose takes a one-letter volume for a Windows drive";
                        let hint = "give the volume a longer name, or use the long form";
                        self.warn(&item.place, &path, words, hint);
                        None
                    }
                    Ok(mount) => mount.source.filter(|_| !mount.bind),
                    Err(words) => {
                        let words = format!("\"{text}\": {words}");
                        self.fault(&item.place, path.as_str(), words);
                        None
                    }
                }
            } else {
                let source = item.get_text("source");
                let kind = item.get_text("type");
                if kind == Some("bind") && source.is_none() {
                    self.fault(&item.place, path.as_str(), "a bind needs a \"source\"");
                }
                source.filter(|_| kind == Some("volume")).map(str::to_owned)
            };
            if let Some(name) = volume.filter(|name| !names.contains(name)) {
                self.undeclared(&item.place, path.clone(), "volumes", &name, &names);
            }
        }
    }

    fn numbers(&mut self, node: &Node, path: &str) {
        let scale = node.get("scale");
        let replicas = node.get("deploy").and_then(|deploy| deploy.get("replicas"));
        for count in [scale, replicas].into_iter().flatten() {
            let number = count.text().and_then(|text| text.parse::<i64>().ok());
            if number.is_none_or(|number| u32::try_from(number).is_err()) {
                self.fault(
                    &count.place,
                    path,
                    "the number of containers must be 0 or more",
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
        let services = &self.project.services;
        let known = |name: &&String| services.contains_key(*name);
        let mut awaited: BTreeMap<_, _> = services
            .iter()
            .map(|(name, service)| (name, service.depends_on.keys().filter(known).count()))
            .collect();
        let mut awaiting: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, service) in services {
            for other in service.depends_on.keys() {
                awaiting.entry(other).or_default().push(name);
            }
        }
        let mut free: Vec<_> = services.keys().filter(|name| awaited[name] == 0).collect();
        while let Some(name) = free.pop() {
            awaited.remove(name);
            for other in awaiting.get(name).into_iter().flatten() {
                if let Some(count) = awaited.get_mut(other) {
                    *count -= 1;
                    if *count == 0 {
                        free.push(other);
                    }
                }
            }
        }
        // Each service left waits for one left, so following these ends in a circle.
        let left = |name: &&String| awaited.contains_key(*name);
        let mut next = services.keys().find(left);
        let mut chain = Vec::new();
        while let Some(name) = next.filter(|name| !chain.contains(name)) {
            chain.push(name);
            next = services[name].depends_on.keys().find(left);
        }
        let Some(first) = next else { return };
        let circle = chain
            .iter()
            .skip_while(|name| **name != first)
            .chain([&first]);
        let words: Vec<_> = circle.map(|name| name.as_str()).collect();
        let words = format!("services wait for each other: {}", words.join(" → "));
        let node = &self.trees[first];
        let at = node
            .entry("depends_on")
            .map_or(&node.place, |entry| &entry.place);
        self.faults
            .push(at.fault(format!("services.{first}.depends_on"), words));
    }
}
