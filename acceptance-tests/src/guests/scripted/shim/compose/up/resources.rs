//! What a project needs before its containers: images, networks, volumes, no orphans.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::project::Project;
use super::super::{PROJECT, SERVICE, VERSION, containers, exit};
use crate::guests::scripted::shim::docker::{self, Engine, Volume, image_name};
use crate::guests::scripted::shim::{Reply, Root, now, rfc3339};

pub(super) fn image_of(project: &Project, name: &str, service: &Value) -> String {
    let built = format!("{}-{name}", project.name);
    service["image"].as_str().unwrap_or(&built).to_owned()
}

pub(in super::super) fn images(
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

pub(super) fn resources(
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

pub(super) fn orphans(root: &Root, project: &Project, remove: bool, log: &mut String) {
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
