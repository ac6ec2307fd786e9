//! `down`, `pull`, and the commands on a project's containers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::project::Project;
use super::up::{VALUED, images};
use super::{Global, PROJECT, SERVICE, containers, name_of};
use crate::guests::scripted::shim::docker::{self, Engine, Flags};
use crate::guests::scripted::shim::{Reply, Root, now};

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
            if (verb == "restart" || verb == "start" && !running)
                && let Err(why) = engine.start(index)
            {
                return Reply::fail(1, format!("{log}Error response from daemon: {why}"));
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
