//! Docker commands that change something.

use std::io::Read;
use std::process::{Command, Stdio};

use super::{Container, Engine, Flags, Volume, image_name, pull as fetch};
use crate::guests::scripted::shim::{Reply, Root, agent, now, sha256};

pub(super) fn pull(root: &Root, args: &[String]) -> Reply {
    let flags = Flags::parse(args, &["platform"]);
    let name = image_name(&flags.words.first().cloned().unwrap_or_default());
    match fetch(root, &name) {
        Ok(_) if flags.has(&["q", "quiet"]) => Reply::ok(format!("{name}\n")),
        Ok(true) => Reply::ok(format!(
            "Status: Downloaded newer image for {name}\n{name}\n"
        )),
        Ok(false) => Reply::ok(format!("Status: Image is up to date for {name}\n{name}\n")),
        Err(why) => Reply::fail(1, format!("Error response from daemon: {why}")),
    }
}

pub(super) fn remove_images(root: &Root, args: &[String]) -> Reply {
    let flags = Flags::parse(args, &[]);
    let mut reply = Reply::default();
    for word in &flags.words {
        let name = image_name(word);
        let outcome = Engine::change(root, |engine| {
            if engine
                .containers
                .iter()
                .any(|container| image_name(&container.image) == name)
                && !flags.has(&["f", "force"])
            {
                return Err(format!(
                    "Error response from daemon: conflict: unable to remove repository reference \"{word}\" (must force) - container is using its referenced image"
                ));
            }
            engine
                .images
                .remove(&name)
                .ok_or_else(|| format!("Error response from daemon: No such image: {name}"))
        });
        match outcome {
            Ok(_) => reply.out.push_str(&format!("Untagged: {name}\n")),
            Err(why) => {
                reply.code = 1;
                reply.err.push_str(&format!("{why}\n"));
            }
        }
    }
    reply
}

pub(super) fn prune_images(root: &Root) -> Reply {
    Engine::change(root, |engine| {
        let used: Vec<String> = engine
            .containers
            .iter()
            .map(|container| image_name(&container.image))
            .collect();
        engine.images.retain(|name, _| used.contains(name));
    });
    Reply::ok("Total reclaimed space: 0B\n")
}

pub(super) fn remove(root: &Root, kind: &str, args: &[String]) -> Reply {
    let flags = Flags::parse(args, &[]);
    let mut reply = Reply::default();
    for name in &flags.words {
        let removed = Engine::change(root, |engine| {
            let user = engine.containers.iter().find(|container| match kind {
                "volume" => container
                    .mounts
                    .iter()
                    .any(|mount| mount["Name"] == name.as_str()),
                _ => container.networks.contains(name),
            });
            match (kind, user) {
                ("volume", Some(user)) => {
                    Err(format!("remove {name}: volume is in use - [{}]", user.id))
                }
                ("volume", None) => engine
                    .volumes
                    .remove(name)
                    .map(drop)
                    .ok_or(format!("get {name}: no such volume")),
                (_, Some(_)) => Err(format!(
                    "error while removing network: network {name} has active endpoints"
                )),
                (_, None) => engine
                    .networks
                    .remove(name)
                    .map(drop)
                    .ok_or(format!("network {name} not found")),
            }
        });
        match removed {
            Ok(()) => {
                if kind == "volume" {
                    let _ = std::fs::remove_dir_all(volume_dir(root, name));
                }
                reply.out.push_str(&format!("{name}\n"));
            }
            Err(_) if flags.has(&["f", "force"]) => {}
            Err(why) => {
                reply.code = 1;
                reply
                    .err
                    .push_str(&format!("Error response from daemon: {why}\n"));
            }
        }
    }
    reply
}

pub(in super::super) fn volume_dir(root: &Root, name: &str) -> std::path::PathBuf {
    let state = super::daemon::state(root);
    root.path(&format!(
        "{}/volumes/{name}",
        state.trim_end_matches("/engine.json")
    ))
}

pub(super) fn create(root: &Root, kind: &str, args: &[String]) -> Reply {
    let flags = Flags::parse(
        args,
        &[
            "label", "d", "driver", "o", "opt", "subnet", "gateway", "ip-range",
        ],
    );
    let name = flags
        .words
        .first()
        .cloned()
        .unwrap_or_else(|| sha256(now().to_string().as_bytes()));
    let labels = flags
        .values(&["label"])
        .into_iter()
        .map(|label| {
            let (key, value) = label.split_once('=').unwrap_or((label, ""));
            (key.to_owned(), value.to_owned())
        })
        .collect();
    if kind == "volume" {
        let _ = std::fs::create_dir_all(volume_dir(root, &name).join("_data"));
        Engine::change(root, |engine| {
            engine.volumes.entry(name.clone()).or_insert(Volume {
                labels,
                created: now(),
            });
        });
        return Reply::ok(format!("{name}\n"));
    }
    let driver = flags.value(&["d", "driver"]).unwrap_or("bridge");
    Engine::change(root, |engine| {
        if engine.networks.contains_key(&name) {
            return Reply::fail(
                1,
                format!("Error response from daemon: network with name {name} already exists"),
            );
        }
        let network = engine.network(&name, driver);
        network.labels = labels;
        Reply::ok(format!("{}\n", network.id))
    })
}

/// `start`, `stop`, `restart`, `kill`, `rm`, `run`, `wait`, by name.
pub(super) fn containers(root: &Root, verb: &str, args: &[String]) -> Reply {
    if verb == "run" || verb == "create" {
        return run(root, verb, args);
    }
    if verb == "prune" {
        let now = now();
        Engine::change(root, |engine| {
            engine
                .containers
                .retain(|container| container.live(now).status == "running");
        });
        return Reply::ok("Total reclaimed space: 0B\n");
    }
    if !["start", "stop", "restart", "kill", "rm", "wait"].contains(&verb) {
        return Reply::fail(
            1,
            format!("docker: '{verb}' is not a docker command.\nSee 'docker --help'"),
        );
    }
    let flags = Flags::parse(args, &["t", "time", "s", "signal"]);
    let force = flags.has(&["f", "force"]);
    let mut reply = Reply::default();
    for name in &flags.words {
        let done = Engine::change(root, |engine| {
            let index = engine
                .find(name)
                .ok_or_else(|| format!("No such container: {name}"))?;
            let live = engine.containers[index].live(now());
            let running = matches!(live.status, "running" | "restarting");
            match verb {
                "start" if running => Ok(()),
                "start" => engine.start(index),
                "restart" => {
                    engine.stop(index, 137);
                    engine.start(index)
                }
                "kill" if !running => Err(format!(
                    "Cannot kill container: {name}: container {} is not running",
                    engine.containers[index].id
                )),
                "stop" | "kill" => {
                    engine.stop(index, 137);
                    Ok(())
                }
                "rm" if running && !force => Err(format!(
                    "cannot remove container \"/{}\": container is running: stop the container before removing or force remove",
                    engine.containers[index].name
                )),
                "rm" => {
                    engine.containers.remove(index);
                    Ok(())
                }
                _ => Ok(()),
            }
        });
        match done {
            Ok(()) => reply.out.push_str(&format!("{name}\n")),
            Err(_) if verb == "rm" && force => {}
            Err(why) => {
                reply.code = 1;
                reply
                    .err
                    .push_str(&format!("Error response from daemon: {why}\n"));
            }
        }
    }
    reply
}

fn run(root: &Root, verb: &str, args: &[String]) -> Reply {
    const VALUED: &[&str] = &[
        "name",
        "network",
        "net",
        "p",
        "publish",
        "v",
        "volume",
        "e",
        "env",
        "l",
        "label",
        "restart",
        "w",
        "u",
        "user",
        "entrypoint",
        "m",
        "memory",
        "pull",
        "env-file",
        "mount",
    ];
    // Everything after the image belongs to its command.
    let mut end = 0;
    while let Some(arg) = args.get(end).filter(|arg| arg.starts_with('-')) {
        let valued = VALUED.contains(&arg.trim_start_matches('-'));
        end += if valued { 2 } else { 1 };
    }
    let flags = Flags::parse(&args[..end.min(args.len())], VALUED);
    let Some((image, command)) = args.get(end..).and_then(<[String]>::split_first) else {
        return Reply::fail(125, "docker: \"docker run\" requires at least 1 argument.");
    };
    let name = image_name(image);
    if !Engine::load(root).images.contains_key(&name)
        && let Err(why) = fetch(root, &name)
    {
        return Reply::fail(
            125,
            format!("docker: Error response from daemon: {why}.\nSee 'docker run --help'."),
        );
    }
    let id = sha256(format!("{image} {} {}", now(), std::process::id()).as_bytes());
    let container = Engine::change(root, |engine| {
        let container = Container {
            name: flags
                .value(&["name"])
                .map_or_else(|| format!("quiet_{}", &id[..6]), str::to_owned),
            id: id.clone(),
            image: image.clone(),
            image_id: engine.images[&name].id.clone(),
            created: now(),
            labels: flags
                .values(&["l", "label"])
                .into_iter()
                .map(|label| {
                    let (key, value) = label.split_once('=').unwrap_or((label, ""));
                    (key.to_owned(), value.to_owned())
                })
                .collect(),
            env: flags
                .values(&["e", "env"])
                .into_iter()
                .map(str::to_owned)
                .collect(),
            command: command.to_vec(),
            restart: flags.value(&["restart"]).unwrap_or("no").to_owned(),
            networks: vec![
                flags
                    .value(&["network", "net"])
                    .unwrap_or("bridge")
                    .to_owned(),
            ],
            started: (verb == "run").then(now),
            ..Container::default()
        };
        engine.containers.push(container.clone());
        container
    });
    if flags.has(&["d", "detach"]) || verb == "create" {
        return Reply::ok(format!("{id}\n"));
    }
    // In the foreground: wait for its end, and give its exit status.
    while container.live(now()).status == "running" && !container.command.is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    if flags.has(&["rm"]) {
        Engine::change(root, |engine| {
            engine.containers.retain(|other| other.id != id);
        });
    }
    Reply {
        code: u8::try_from(container.live(now()).exit_code).unwrap_or(1),
        ..Reply::default()
    }
}

/// Runs the command in the guest, since there is no container to run it in.
pub(super) fn exec(root: &Root, args: &[String]) -> Reply {
    let mut end = 0;
    while let Some(arg) = args.get(end).filter(|arg| arg.starts_with('-')) {
        end += if ["-e", "-u", "-w", "--env", "--user", "--workdir"].contains(&arg.as_str()) {
            2
        } else {
            1
        };
    }
    let Some((name, command)) = args.get(end..).and_then(<[String]>::split_first) else {
        return Reply::fail(1, "\"docker exec\" requires at least 2 arguments.");
    };
    let engine = Engine::load(root);
    let running = engine
        .find(name)
        .map(|index| engine.containers[index].live(now()).status == "running");
    match running {
        None => {
            return Reply::fail(
                1,
                format!("Error response from daemon: No such container: {name}"),
            );
        }
        Some(false) => {
            return Reply::fail(
                1,
                format!("Error response from daemon: container {name} is not running"),
            );
        }
        Some(true) => {}
    }
    let interactive = args[..end]
        .iter()
        .any(|arg| arg.starts_with('-') && arg.contains('i'));
    let child = Command::new(command.first().map_or("true", String::as_str))
        .args(command.iter().skip(1))
        .stdin(if interactive {
            Stdio::inherit()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        return Reply::fail(
            126,
            "OCI runtime exec failed: exec failed: unable to start container process: executable file not found in $PATH",
        );
    };
    let mut out = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        let _ = stdout.read_to_string(&mut out);
    }
    let code = child.wait().map_or(1, agent::status);
    Reply {
        code: u8::try_from(code).unwrap_or(1),
        out,
        ..Reply::default()
    }
}
