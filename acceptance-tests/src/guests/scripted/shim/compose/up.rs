//! `up`, `down`, `pull` and the commands on a project's containers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::project::{Project, hash};
use super::{
    FILES, Global, HASH, NUMBER, ONE_OFF, PROJECT, SERVICE, VERSION, containers, exit, name_of,
    normal,
};
use crate::guests::scripted::shim::docker::{
    self, Container, Engine, Flags, Health, Port, Volume, image_name,
};
use crate::guests::scripted::shim::{Reply, Root, now, rfc3339, sha256};

const VALUED: &[&str] = &[
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

fn image_of(project: &Project, name: &str, service: &Value) -> String {
    let built = format!("{}-{name}", project.name);
    service["image"].as_str().unwrap_or(&built).to_owned()
}

fn images(
    root: &Root,
    project: &Project,
    services: &BTreeMap<String, Value>,
    pull: Option<&str>,
    log: &mut String,
) -> Result<(), Reply> {
    for (name, service) in services {
        let image = image_of(project, name, service);
        let policy = pull
            .or(service["pull_policy"].as_str())
            .unwrap_or("missing");
        let known = Engine::load(root).images.contains_key(&image_name(&image));
        if policy == "never" && !known {
            return Err(Reply::fail(
                1,
                format!(
                    "Error response from daemon: No such image: {}",
                    image_name(&image)
                ),
            ));
        }
        if known && policy != "always" || policy == "never" {
            continue;
        }
        log.push_str(&format!(" {name} Pulling \n"));
        docker::pull(root, &image).map_err(|why| {
            Reply::fail(
                exit::PULL,
                format!(" {name} Error {why}\nError response from daemon: {why}"),
            )
        })?;
        log.push_str(&format!(" {name} Pulled \n"));
    }
    Ok(())
}

fn resources(
    root: &Root,
    project: &Project,
    services: &BTreeMap<String, Value>,
    log: &mut String,
) -> Result<(), Reply> {
    let labels = |kind: &str, key: &str| {
        BTreeMap::from([
            (PROJECT.to_owned(), project.name.clone()),
            (format!("com.docker.compose.{kind}"), key.to_owned()),
            ("com.docker.compose.version".to_owned(), VERSION.to_owned()),
        ])
    };
    for service in services.values() {
        for key in service["networks"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key)
        {
            let (name, external) = project.resource("networks", key);
            let entry = &project.sections["networks"][key];
            Engine::change(root, |engine| match engine.networks.contains_key(&name) {
                true => Ok(()),
                false if external => Err(Reply::fail(
                    1,
                    format!("network {name} declared as external, but could not be found"),
                )),
                false => {
                    let network =
                        engine.network(&name, entry["driver"].as_str().unwrap_or("bridge"));
                    network.labels = labels("network", key);
                    let options = entry["driver_opts"].as_object().into_iter().flatten();
                    network.options = options
                        .map(|(key, value)| {
                            (
                                key.clone(),
                                value
                                    .as_str()
                                    .map_or_else(|| value.to_string(), str::to_owned),
                            )
                        })
                        .collect();
                    log.push_str(&format!(" Network {name}  Created\n"));
                    Ok(())
                }
            })?;
        }
        for volume in service["volumes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|volume| volume["type"] == "volume")
        {
            let Some(key) = volume["source"].as_str() else {
                continue;
            };
            let (name, external) = project.resource("volumes", key);
            let made = Engine::change(root, |engine| match engine.volumes.contains_key(&name) {
                true => Ok(()),
                false if external => Err(Reply::fail(
                    1,
                    format!("external volume \"{name}\" not found"),
                )),
                false => {
                    engine.volumes.insert(
                        name.clone(),
                        Volume {
                            labels: labels("volume", key),
                            created: now(),
                        },
                    );
                    log.push_str(&format!(" Volume \"{name}\"  Created\n"));
                    Ok(())
                }
            });
            made?;
            let state = root.path(&format!(
                "{}/volumes/{name}/_data",
                docker::daemon::root_dir(root)
            ));
            let _ = std::fs::create_dir_all(state);
        }
    }
    Ok(())
}

fn orphans(root: &Root, project: &Project, remove: bool, log: &mut String) {
    Engine::change(root, |engine| {
        let found: Vec<String> = containers(engine, &project.name)
            .into_iter()
            .map(|index| &engine.containers[index])
            .filter(|container| {
                container
                    .labels
                    .get(SERVICE)
                    .is_some_and(|service| !project.known.contains(service))
            })
            .map(|container| container.name.clone())
            .collect();
        if found.is_empty() {
            return;
        }
        if remove {
            engine
                .containers
                .retain(|container| !found.contains(&container.name));
            log.extend(
                found
                    .iter()
                    .map(|name| format!(" Container {name}  Removed\n")),
            );
        } else {
            log.push_str(&format!(
                "time=\"{}\" level=warning msg=\"Found orphan containers ([{}]) for this project. If you removed or renamed this service in your compose file, you can run this command with the --remove-orphans flag to clean it up.\"\n",
                rfc3339(now()), found.join(" "),
            ));
        }
    });
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
    let mounts = mounts(root, project, service)?;
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
            let mut container = container(project, name, service, count, &expected);
            container.id = sha256(format!("{full} {} {}", now(), std::process::id()).as_bytes());
            container.name = full;
            container
                .labels
                .insert("com.docker.compose.image".to_owned(), image_id.clone());
            container.image = image.clone();
            container.image_id.clone_from(&image_id);
            container.mounts.clone_from(&mounts);
            engine.containers.push(container);
        }
        Ok(())
    })
}

fn container(project: &Project, name: &str, service: &Value, number: u64, hash: &str) -> Container {
    let depends = service["depends_on"].as_object().into_iter().flatten();
    let depends: Vec<String> = depends
        .map(|(name, how)| {
            format!(
                "{name}:{}:false",
                how["condition"].as_str().unwrap_or("service_started")
            )
        })
        .collect();
    let mut labels: BTreeMap<String, String> = service["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    labels.extend(
        [
            (PROJECT, project.name.clone()),
            (SERVICE, name.to_owned()),
            (NUMBER, number.to_string()),
            (ONE_OFF, "False".to_owned()),
            (HASH, hash.to_owned()),
            (
                "com.docker.compose.project.working_dir",
                project.directory.clone(),
            ),
            (FILES, project.files.join(",")),
            ("com.docker.compose.depends_on", depends.join(",")),
            ("com.docker.compose.version", VERSION.to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    if !project.env_files.is_empty() {
        labels.insert(
            "com.docker.compose.project.environment_file".to_owned(),
            project.env_files.join(","),
        );
    }
    let strings = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect()
    };
    let environment = service["environment"].as_object().into_iter().flatten();
    let (restart, max) = match service["restart"].as_str().unwrap_or("no").split_once(':') {
        Some((policy, max)) => (policy.to_owned(), max.parse().unwrap_or(0)),
        None => (service["restart"].as_str().unwrap_or("no").to_owned(), 0),
    };
    let ports = service["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|port| Port {
            ip: port["host_ip"].as_str().unwrap_or("0.0.0.0").to_owned(),
            host: port["published"]
                .as_str()
                .and_then(|port| port.parse().ok()),
            target: port["target"]
                .as_u64()
                .and_then(|port| u16::try_from(port).ok())
                .unwrap_or(0),
            protocol: port["protocol"].as_str().unwrap_or("tcp").to_owned(),
        });
    let networks = match service["network_mode"].as_str() {
        Some(mode) => vec![mode.to_owned()],
        None => service["networks"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| project.resource("networks", key).0)
            .collect(),
    };
    let command = [
        strings(&service["entrypoint"]),
        strings(&service["command"]),
    ]
    .concat();
    Container {
        created: now(),
        labels,
        env: environment
            .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
            .collect(),
        command,
        health: health(&service["healthcheck"]),
        restart,
        max_retries: max,
        networks,
        ports: ports.collect(),
        ..Container::default()
    }
}

fn health(check: &Value) -> Option<Health> {
    let test: Vec<String> = check["test"]
        .as_array()?
        .iter()
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect();
    if check["disable"] == true || test.first().is_none_or(|word| word == "NONE") {
        return None;
    }
    let time = |key: &str, default: u64| normal::duration(&check[key]).unwrap_or(default);
    let retries = check["retries"]
        .as_u64()
        .or_else(|| check["retries"].as_str()?.parse().ok());
    Some(Health {
        test,
        interval: time("interval", 30_000),
        timeout: time("timeout", 30_000),
        retries: retries.unwrap_or(3),
        start_period: time("start_period", 0),
    })
}

/// The mounts of a container; a source that must exist and does not is the Engine's error.
fn mounts(root: &Root, project: &Project, service: &Value) -> Result<Vec<Value>, Reply> {
    let missing = |source: &str| {
        Reply::fail(
            1,
            format!(
                "Error response from daemon: invalid mount config for type \"bind\": bind source path does not exist: {source}"
            ),
        )
    };
    let mut mounts = Vec::new();
    for volume in service["volumes"].as_array().into_iter().flatten() {
        let target = volume["target"].as_str().unwrap_or_default();
        let writes = volume["read_only"] != true;
        let source = volume["source"].as_str().unwrap_or_default();
        if !target.starts_with('/') {
            return Err(Reply::fail(
                1,
                format!(
                    "Error response from daemon: invalid mount config for type \"volume\": invalid mount path: '{target}' mount path must be absolute"
                ),
            ));
        }
        if volume["type"] == "bind" {
            if !root.path(source).exists() {
                if volume["bind"]["create_host_path"] != true {
                    return Err(missing(source));
                }
                let _ = std::fs::create_dir_all(root.path(source));
            }
            mounts.push(json!({"Type": "bind", "Source": source, "Destination": target, "Mode": "", "RW": writes, "Propagation": "rprivate"}));
        } else if volume["type"] == "volume" {
            let name = if source.is_empty() {
                sha256(format!("{target} {}", now()).as_bytes())
            } else {
                project.resource("volumes", source).0
            };
            let place = format!("{}/volumes/{name}/_data", docker::daemon::root_dir(root));
            mounts.push(json!({"Type": "volume", "Name": name, "Source": place, "Destination": target, "Driver": "local", "Mode": "z", "RW": writes, "Propagation": ""}));
        }
    }
    for (section, dir) in [("secrets", "/run/secrets/"), ("configs", "/")] {
        for item in service[section].as_array().into_iter().flatten() {
            let key = item["source"].as_str().unwrap_or_default();
            let Some(file) = project.sections[section][key]["file"].as_str() else {
                continue;
            };
            let source = normal::absolute(file, &project.directory);
            if !root.path(&source).exists() {
                return Err(missing(&source));
            }
            let target = item["target"].as_str().unwrap_or(key);
            let target = if target.starts_with('/') {
                target.to_owned()
            } else {
                format!("{dir}{target}")
            };
            mounts.push(json!({"Type": "bind", "Source": source, "Destination": target, "Mode": "", "RW": false, "Propagation": "rprivate"}));
        }
    }
    Ok(mounts)
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

pub(super) fn down(root: &Root, global: &Global, args: &[String]) -> Reply {
    let flags = Flags::parse(args, VALUED);
    let name = match name_of(root, global) {
        Ok(name) => name,
        Err(reply) => return reply,
    };
    let mut log = String::new();
    let volumes = flags.has(&["v", "volumes"]);
    let gone = Engine::change(root, |engine| {
        let own: Vec<String> = containers(engine, &name)
            .into_iter()
            .map(|index| engine.containers[index].id.clone())
            .collect();
        let (removed, kept): (Vec<_>, Vec<_>) = engine
            .containers
            .drain(..)
            .partition(|container| own.contains(&container.id));
        engine.containers = kept;
        log.extend(
            removed
                .iter()
                .map(|container| format!(" Container {}  Removed\n", container.name)),
        );
        let is_own = |labels: &BTreeMap<String, String>| labels.get(PROJECT) == Some(&name);
        let networks: Vec<String> = engine
            .networks
            .iter()
            .filter(|(_, network)| is_own(&network.labels))
            .map(|(name, _)| name.clone())
            .collect();
        for network in networks {
            let used = engine
                .containers
                .iter()
                .any(|container| container.networks.contains(&network));
            log.push_str(&format!(
                " Network {network}  {}\n",
                if used {
                    "Resource is still in use"
                } else {
                    "Removed"
                }
            ));
            if !used {
                engine.networks.remove(&network);
            }
        }
        let gone: Vec<String> = engine
            .volumes
            .iter()
            .filter(|(_, volume)| volumes && is_own(&volume.labels))
            .map(|(name, _)| name.clone())
            .collect();
        for volume in &gone {
            engine.volumes.remove(volume);
            log.push_str(&format!(" Volume {volume}  Removed\n"));
        }
        gone
    });
    for volume in gone {
        let _ = std::fs::remove_dir_all(root.path(&format!(
            "{}/volumes/{volume}",
            docker::daemon::root_dir(root)
        )));
    }
    if log.is_empty() {
        log = format!("Warning: No resource found to remove for project \"{name}\".\n");
    }
    Reply {
        err: log,
        ..Reply::default()
    }
}

pub(super) fn pull(root: &Root, global: &Global, args: &[String]) -> Reply {
    let flags = Flags::parse(args, &["policy"]);
    let project = match Project::load(root, global, true) {
        Ok(project) => project,
        Err(reply) => return reply,
    };
    let mut log = project.warnings.clone();
    let wanted = project
        .services
        .iter()
        .filter(|(name, _)| flags.words.is_empty() || flags.words.contains(name));
    let services: BTreeMap<String, Value> = wanted
        .filter(|(_, service)| service["image"].is_string())
        .map(|(name, service)| (name.clone(), service.clone()))
        .collect();
    match images(
        root,
        &project,
        &services,
        Some(flags.value(&["policy"]).unwrap_or("always")),
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

/// `stop`, `start`, `restart`, `kill` and `rm` of some or all services.
pub(super) fn each(root: &Root, global: &Global, verb: &str, args: &[String]) -> Reply {
    let flags = Flags::parse(args, VALUED);
    let name = match name_of(root, global) {
        Ok(name) => name,
        Err(reply) => return reply,
    };
    Engine::change(root, |engine| {
        let mut log = String::new();
        let ids: Vec<String> = containers(engine, &name)
            .into_iter()
            .map(|index| &engine.containers[index])
            .filter(|container| {
                flags.words.is_empty()
                    || container
                        .labels
                        .get(SERVICE)
                        .is_some_and(|service| flags.words.contains(service))
            })
            .map(|container| container.id.clone())
            .collect();
        for id in ids {
            let Some(index) = engine.find(&id) else {
                continue;
            };
            let running = matches!(
                engine.containers[index].live(now()).status,
                "running" | "restarting"
            );
            if verb == "rm" {
                if !running || flags.has(&["s", "stop"]) {
                    engine.containers.remove(index);
                }
                continue;
            }
            if verb != "start" {
                engine.stop(index, 137);
            }
            if verb == "restart" || verb == "start" && !running {
                if let Err(why) = engine.start(index) {
                    return Reply::fail(1, format!("{log}Error response from daemon: {why}"));
                }
            }
            log.push_str(&format!(
                " Container {}  {verb}\n",
                engine.containers[index].name
            ));
        }
        Reply {
            err: log,
            ..Reply::default()
        }
    })
}
