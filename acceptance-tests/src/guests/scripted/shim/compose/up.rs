//! `up`: makes the containers that a project asks for, and starts them in order.

mod container;
mod resources;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::project::{Project, hash};
use super::{Global, HASH, NUMBER, SERVICE, containers, exit};
use crate::guests::scripted::shim::docker::{Container, Engine, Flags, image_name};
use crate::guests::scripted::shim::{Reply, Root, now, sha256};

pub(super) use resources::images;
use resources::{image_of, orphans, resources};

pub(super) const VALUED: &[&str] = &[
    "pull",
    "timeout",
    "t",
    "scale",
    "wait-timeout",
    "exit-code-from",
    "attach",
    "no-attach",
    "s",
    "signal",
    "rmi",
];

pub(super) fn up(root: &Root, global: &Global, args: &[String], starts: bool) -> Reply {
    let flags = Flags::parse(args, VALUED);
    let mut log = String::new();
    match run(
        root,
        global,
        &flags,
        starts && !flags.has(&["no-start"]),
        &mut log,
    ) {
        Ok(()) => Reply {
            err: log,
            ..Reply::default()
        },
        Err(reply) => Reply {
            err: log + &reply.err,
            ..reply
        },
    }
}

fn run(
    root: &Root,
    global: &Global,
    flags: &Flags,
    starts: bool,
    log: &mut String,
) -> Result<(), Reply> {
    let project = Project::load(root, global, true)?;
    log.push_str(&project.warnings);
    if project.services.is_empty() {
        return Err(Reply::fail(exit::FILE, "no service selected"));
    }
    let mut services = BTreeMap::new();
    for (name, service) in &project.services {
        services.insert(name.clone(), project.resolved(root, service)?);
    }
    images(root, &project, &services, flags.value(&["pull"]), log)?;
    resources(root, &project, &services, log)?;
    orphans(root, &project, flags.has(&["remove-orphans"]), log);
    let order = ordered(&services);
    for name in &order {
        converge(root, &project, name, &services[name], flags, log)?;
    }
    if !starts {
        return Ok(());
    }
    for name in &order {
        for (needed, how) in services[name]["depends_on"]
            .as_object()
            .into_iter()
            .flatten()
        {
            await_dependency(root, &project, needed, how)?;
        }
        start(root, &project, name, log)?;
    }
    Ok(())
}

/// Services, those that others depend on first.
fn ordered(services: &BTreeMap<String, Value>) -> Vec<String> {
    let mut order: Vec<String> = Vec::new();
    while order.len() < services.len() {
        let ready = services.iter().find(|(name, service)| {
            let needs = service["depends_on"].as_object();
            !order.contains(name)
                && needs
                    .into_iter()
                    .flatten()
                    .all(|(needed, _)| order.contains(needed) || !services.contains_key(needed))
        });
        // A circle: Compose refuses it earlier; here any order will do.
        let next = ready.or_else(|| services.iter().find(|(name, _)| !order.contains(name)));
        order.extend(next.map(|(name, _)| name.clone()));
    }
    order
}

/// Makes as many containers of a service as there should be, and remakes those that differ.
fn converge(
    root: &Root,
    project: &Project,
    name: &str,
    service: &Value,
    flags: &Flags,
    log: &mut String,
) -> Result<(), Reply> {
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let asked = flags
        .values(&["scale"])
        .into_iter()
        .filter_map(|pair| pair.split_once('='))
        .find(|(service, _)| *service == name);
    let scale = asked
        .and_then(|(_, count)| count.parse().ok())
        .or_else(|| number(&service["scale"]))
        .or_else(|| number(&service["deploy"]["replicas"]))
        .unwrap_or(1);
    let expected = hash(service);
    let mounts = container::mounts(root, project, service)?;
    Engine::change(root, |engine| {
        let image = image_of(project, name, service);
        let image_id = engine
            .images
            .get(&image_name(&image))
            .map(|image| image.id.clone())
            .unwrap_or_default();
        let of_service = |container: &Container| {
            container
                .labels
                .get(SERVICE)
                .is_some_and(|service| service == name)
        };
        let number_of = |container: &Container| {
            container
                .labels
                .get(NUMBER)
                .and_then(|number| number.parse::<u64>().ok())
                .unwrap_or(0)
        };
        let mine: Vec<String> = containers(engine, &project.name)
            .into_iter()
            .map(|index| &engine.containers[index])
            .filter(|container| of_service(container))
            .map(|container| container.id.clone())
            .collect();
        engine
            .containers
            .retain(|container| !mine.contains(&container.id) || number_of(container) <= scale);
        for count in 1..=scale {
            let known = engine.containers.iter().position(|container| {
                mine.contains(&container.id) && number_of(container) == count
            });
            let full = match service["container_name"].as_str() {
                Some(name) => name.to_owned(),
                None => format!("{}-{name}-{count}", project.name),
            };
            if let Some(index) = known {
                let container = &engine.containers[index];
                let same =
                    container.labels.get(HASH) == Some(&expected) && container.image_id == image_id;
                if same && !flags.has(&["force-recreate"]) || flags.has(&["no-recreate"]) {
                    let running = container.live(now()).status == "running";
                    if running {
                        log.push_str(&format!(" Container {full}  Running\n"));
                    }
                    continue;
                }
                engine.containers.remove(index);
                log.push_str(&format!(" Container {full}  Recreated\n"));
            } else {
                log.push_str(&format!(" Container {full}  Created\n"));
            }
            if engine.containers.iter().any(|other| other.name == full) {
                return Err(Reply::fail(
                    1,
                    format!(
                        "Error response from daemon: Conflict. The container name \"/{full}\" is already in use by container. You have to remove (or rename) that container to be able to reuse that name."
                    ),
                ));
            }
            let mut container = container::container(project, name, service, count, &expected);
            container.id = sha256(format!("{full} {} {}", now(), std::process::id()).as_bytes());
            container.name = full;
            container
                .labels
                .insert("com.docker.compose.image".to_owned(), image_id.clone());
            container.image.clone_from(&image);
            container.image_id.clone_from(&image_id);
            container.mounts.clone_from(&mounts);
            engine.containers.push(container);
        }
        Ok(())
    })
}

/// Blocks until what a service depends on is as it must be.
fn await_dependency(root: &Root, project: &Project, name: &str, how: &Value) -> Result<(), Reply> {
    let condition = how["condition"].as_str().unwrap_or_default();
    loop {
        let engine = Engine::load(root);
        let mut pending = false;
        for index in containers(&engine, &project.name) {
            let container = &engine.containers[index];
            if container
                .labels
                .get(SERVICE)
                .is_none_or(|service| service != name)
            {
                continue;
            }
            let live = container.live(now());
            let full = &container.name;
            match (condition, live.status, live.health) {
                ("service_healthy", "exited", _) => {
                    return Err(Reply::fail(
                        1,
                        format!(
                            "dependency failed to start: container {full} exited ({})",
                            live.exit_code
                        ),
                    ));
                }
                ("service_healthy", _, Some("unhealthy")) => {
                    return Err(Reply::fail(
                        1,
                        format!("dependency failed to start: container {full} is unhealthy"),
                    ));
                }
                ("service_healthy", _, None) => {
                    return Err(Reply::fail(
                        1,
                        format!("container {full} has no healthcheck configured"),
                    ));
                }
                ("service_healthy", _, health) => pending |= health != Some("healthy"),
                ("service_completed_successfully", "exited", _) if live.exit_code != 0 => {
                    return Err(Reply::fail(
                        1,
                        format!(
                            "service \"{name}\" didn't complete successfully: exit {}",
                            live.exit_code
                        ),
                    ));
                }
                ("service_completed_successfully", status, _) => pending |= status != "exited",
                _ => {}
            }
        }
        if !pending {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn start(root: &Root, project: &Project, name: &str, log: &mut String) -> Result<(), Reply> {
    Engine::change(root, |engine| {
        for index in containers(engine, &project.name) {
            let container = &engine.containers[index];
            let mine = container
                .labels
                .get(SERVICE)
                .is_some_and(|service| service == name);
            if !mine || matches!(container.live(now()).status, "running" | "restarting") {
                continue;
            }
            let full = container.name.clone();
            engine
                .start(index)
                .map_err(|why| Reply::fail(1, format!("Error response from daemon: {why}")))?;
            log.push_str(&format!(" Container {full}  Started\n"));
        }
        Ok(())
    })
}
