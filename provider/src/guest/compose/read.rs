//! The merged tree of a stack becomes a [`Project`].
//!
//! Does not check the references between its parts; `check` does, with the same tree.

pub(super) mod mounts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::definition;
use super::load::Loader;
use super::merge::{as_map, unique};
use super::model::{
    Condition, Dependency, Network, Origin, Project, Resource, Service, Volume, Wanted,
};
use super::shipped::{Shipped, relative};
use super::short;
use super::yaml::{Node, Value};
use super::{Fault, Inputs};

/// What is at hand while a project is read.
pub(super) struct Context<'a> {
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) loader: &'a Loader<'a>,
    pub(super) env: &'a BTreeMap<String, String>,
    pub(super) shipped: Shipped<'a>,
}

/// A service in use, with the tree it was read from.
pub(super) type Services = BTreeMap<String, Arc<Node>>;

/// Reads the project; the services in use are also given as trees.
pub(super) fn project(
    root: &Node,
    context: &Context<'_>,
    faults: &mut Vec<Fault>,
) -> (Project, Services) {
    let mut project = Project {
        secrets: section(root, "secrets", |_, node| resource(node, context)),
        configs: section(root, "configs", |_, node| resource(node, context)),
        volumes: section(root, "volumes", |key, node| Volume {
            name: host_name(key, node, context),
            external: external(node),
            definition: definition::volume(node),
        }),
        networks: section(root, "networks", |key, node| Network {
            name: host_name(key, node, context),
            external: external(node),
            driver: node.get_text("driver").map(str::to_owned),
            definition: definition::other(node),
        }),
        ..Project::default()
    };
    let mut trees = Services::new();
    for (name, node) in section(root, "services", |_, node| unique(node)) {
        let profiles: BTreeSet<_> = strings(&node, "profiles").collect();
        project
            .profiles
            .extend(profiles.iter().map(|profile| (*profile).to_owned()));
        let used = |profile: &&str| context.inputs.profiles.contains(*profile);
        if profiles.is_empty() || context.inputs.profiles.contains("*") || profiles.iter().any(used)
        {
            trees.insert(name, node);
        }
    }
    for (name, node) in &trees {
        let read = service(name, node, &project, context, faults);
        project.services.insert(name.clone(), read);
    }
    let awaited: Vec<_> = project
        .services
        .values()
        .flat_map(|service| &service.depends_on)
        .collect();
    let completed = awaited
        .into_iter()
        .filter(|(_, dependency)| dependency.condition == Condition::Completed);
    for name in completed.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
        if let Some(service) = project.services.get_mut(&name) {
            service.wanted = Wanted::Completed;
        }
    }
    (project, trees)
}

/// The entries of a section at the top, `x-` left out.
fn section<T>(root: &Node, key: &str, read: impl Fn(&str, &Arc<Node>) -> T) -> BTreeMap<String, T> {
    let entries = root.get(key).map_or(&[][..], |node| node.entries());
    let known = entries.iter().filter(|entry| !entry.key.starts_with("x-"));
    known
        .map(|entry| (entry.key.clone(), read(&entry.key, &entry.node)))
        .collect()
}

fn resource(node: &Arc<Node>, context: &Context<'_>) -> Resource {
    let text = |key| node.get_text(key).map(str::to_owned);
    let origin = if external(node) {
        Origin::External
    } else if let Some(file) = text("file") {
        let base = context.loader.base(&node.place);
        Origin::File(relative(base, &file).unwrap_or(file))
    } else if let Some(name) = text("environment") {
        Origin::Environment(name)
    } else {
        text("content").map_or(Origin::Absent, Origin::Content)
    };
    Resource {
        origin,
        definition: definition::other(node),
    }
}

fn host_name(key: &str, node: &Node, context: &Context<'_>) -> String {
    match node.get_text("name") {
        Some(name) => name.to_owned(),
        None if external(node) => key.to_owned(),
        None => format!("{}_{key}", context.inputs.project),
    }
}

pub(super) fn external(node: &Node) -> bool {
    node.get("external")
        .is_some_and(|external| match &external.value {
            Value::Map(_) => true,
            _ => external.text().and_then(short::boolean) == Some(true),
        })
}

pub(super) fn is_true(node: &Node, key: &str) -> bool {
    node.get_text(key).and_then(short::boolean) == Some(true)
}

/// The texts of a list, or the keys of a map.
pub(super) fn strings<'n>(node: &'n Node, key: &str) -> impl Iterator<Item = &'n str> {
    let node = node.get(key);
    let items = node
        .map_or(&[][..], |node| node.items())
        .iter()
        .filter_map(|item| item.text());
    let keys = node
        .map_or(&[][..], |node| node.entries())
        .iter()
        .map(|entry| entry.key.as_str());
    items.chain(keys)
}

fn service(
    name: &str,
    node: &Arc<Node>,
    project: &Project,
    context: &Context<'_>,
    faults: &mut Vec<Fault>,
) -> Service {
    let owned = |text: &str| text.to_owned();
    let mut service = Service {
        image: node.get_text("image").map(owned),
        build: node.get("build").is_some(),
        ports: ports(node).flatten().map(|port| port.to_string()).collect(),
        replicas: replicas(node),
        healthcheck: node.get("healthcheck").is_some_and(|check| has_test(check)),
        restart: restart(node),
        depends_on: dependencies(node),
        secrets: mounts::names(node, "secrets"),
        configs: mounts::names(node, "configs"),
        networks: match (node.get("networks"), node.get("network_mode")) {
            (None, None) => BTreeSet::from(["default".to_owned()]),
            (None, Some(_)) => BTreeSet::new(),
            (Some(_), _) => strings(node, "networks").map(owned).collect(),
        },
        definition: definition::service(node, context.env),
        joined: joined(node).map(owned).collect(),
        ..Service::default()
    };
    service
        .beside
        .insert("replicas".into(), service.replicas.to_string());
    if let Some(build) = node.get("build") {
        service
            .beside
            .insert("build".into(), definition::build(build));
    }
    mounts::read(name, node, &mut service, project, context, faults);
    service
}

/// Ports of a service, with what is wrong with those that cannot be read.
pub(super) fn ports(node: &Node) -> impl Iterator<Item = Result<short::Port, (Arc<Node>, String)>> {
    let items = node.get("ports").map_or(&[][..], |ports| ports.items());
    items
        .iter()
        .map(|item| port(item).map_err(|words| (item.clone(), words)))
}

pub(super) fn port(item: &Node) -> Result<short::Port, String> {
    if let Some(text) = item.text() {
        return short::port(text);
    }
    let published = item
        .get_text("published")
        .filter(|published| !published.is_empty());
    let host_ip = item.get_text("host_ip").filter(|ip| !ip.is_empty());
    short::sized(short::Port {
        host_ip: host_ip
            .map(|ip| ip.parse().map_err(|_| format!("`{ip}` is no IP address")))
            .transpose()?,
        published: published.map(short::range).transpose()?,
        target: short::range(item.get_text("target").unwrap_or_default())?,
        protocol: item.get_text("protocol").unwrap_or("tcp").to_owned(),
    })
}

fn replicas(node: &Node) -> u32 {
    let deploy = node
        .get("deploy")
        .and_then(|deploy| deploy.get_text("replicas"));
    let text = node.get_text("scale").or(deploy);
    text.and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn has_test(check: &Node) -> bool {
    let test = check.get("test");
    let first = test.and_then(|test| {
        test.items()
            .first()
            .map_or(test.text(), |first| first.text())
    });
    !is_true(check, "disable") && first.is_some_and(|first| first != "NONE")
}

/// The policy that Compose gives the container: the one of `deploy` wins.
fn restart(node: &Node) -> String {
    let policy = node
        .get("deploy")
        .and_then(|deploy| deploy.get("restart_policy"));
    let own = node
        .get_text("restart")
        .filter(|restart| !restart.is_empty());
    match policy.map(|policy| policy.get_text("condition")) {
        Some(Some("none")) => "no",
        Some(Some("any") | None) => "always",
        Some(Some(condition)) => condition,
        None => own.unwrap_or("no"),
    }
    .to_owned()
}

/// Services it must come after, by `depends_on` or because it uses something of theirs.
fn dependencies(node: &Node) -> BTreeMap<String, Dependency> {
    let started = Dependency {
        condition: Condition::Started,
        required: true,
    };
    let links = strings(node, "links").map(|link| link.split(':').next().unwrap_or(link));
    let implied = links
        .chain(joined(node))
        .map(|name| (name.to_owned(), started));
    let mut all: BTreeMap<_, _> = implied.collect();
    let Some(depends_on) = node.get("depends_on") else {
        return all;
    };
    for entry in as_map(depends_on, Some(&[])).entries() {
        let condition = match entry.node.get_text("condition") {
            Some("service_healthy") => Condition::Healthy,
            Some("service_completed_successfully") => Condition::Completed,
            _ => Condition::Started,
        };
        let required = entry.node.get_text("required").and_then(short::boolean) != Some(false);
        all.insert(
            entry.key.clone(),
            Dependency {
                condition,
                required,
            },
        );
    }
    all
}

/// Services whose containers it shares a namespace or volumes with.
fn joined(node: &Node) -> impl Iterator<Item = &str> {
    let modes = ["network_mode", "ipc", "pid"]
        .into_iter()
        .filter_map(|key| node.get_text(key));
    let modes = modes.filter_map(|mode| mode.strip_prefix("service:"));
    let volumes = strings(node, "volumes_from").filter(|from| !from.starts_with("container:"));
    modes.chain(volumes.map(|from| from.split(':').next().unwrap_or(from)))
}
