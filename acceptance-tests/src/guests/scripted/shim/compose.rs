//! The Compose plugin, version 2.26.1, over the stand-in Engine.

mod down;
mod interpolate;
mod normal;
mod project;
mod schema;
mod show;
mod up;

use super::docker::{self, Engine, Flags};
use super::{Reply, Root};
use project::Project;

pub(super) const VERSION: &str = "2.26.1";

pub(super) const PROJECT: &str = "com.docker.compose.project";
pub(super) const SERVICE: &str = "com.docker.compose.service";
pub(super) const NUMBER: &str = "com.docker.compose.container-number";
pub(super) const ONE_OFF: &str = "com.docker.compose.oneoff";
pub(super) const HASH: &str = "com.docker.compose.config-hash";
pub(super) const FILES: &str = "com.docker.compose.project.config_files";

/// Exit statuses that this version of Compose gives to kinds of failure.
mod exit {
    pub(super) const FILE: u8 = 14;
    pub(super) const PARSE: u8 = 15;
    pub(super) const USAGE: u8 = 16;
    pub(super) const PULL: u8 = 18;
}

/// The flags in front of the command.
#[derive(Debug, Default)]
pub(super) struct Global {
    name: Option<String>,
    files: Vec<String>,
    directory: Option<String>,
    env_files: Vec<String>,
    profiles: Vec<String>,
}

pub(super) fn run(root: &Root, args: &[String]) -> Reply {
    let (global, args) = match global(args) {
        Ok(parsed) => parsed,
        Err(reply) => return reply,
    };
    let Some((command, args)) = args.split_first() else {
        return Reply::ok("Usage:  docker compose [OPTIONS] COMMAND\n");
    };
    match command.as_str() {
        "version" => version(args),
        "config" | "convert" => show::config(root, &global, args),
        "up" => with_engine(root, || up::up(root, &global, args, true)),
        "create" => with_engine(root, || up::up(root, &global, args, false)),
        "down" => with_engine(root, || down::down(root, &global, args)),
        "pull" => with_engine(root, || down::pull(root, &global, args)),
        "ps" => with_engine(root, || show::ps(root, &global, args)),
        "ls" => with_engine(root, || show::ls(root, args)),
        "logs" => with_engine(root, || show::logs(root, &global, args)),
        "images" => with_engine(root, || show::ps(root, &global, args)),
        "stop" | "start" | "restart" | "kill" | "rm" => {
            with_engine(root, || down::each(root, &global, command, args))
        }
        "build" | "pause" | "unpause" => Reply::default(),
        other => Reply::fail(
            exit::USAGE,
            format!("unknown docker command: \"compose {other}\""),
        ),
    }
}

fn with_engine(root: &Root, act: impl FnOnce() -> Reply) -> Reply {
    if docker::alive(root) {
        act()
    } else {
        Reply::fail(
            1,
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        )
    }
}

fn version(args: &[String]) -> Reply {
    let flags = Flags::parse(args, &["f", "format"]);
    Reply::ok(match flags.value(&["f", "format"]) {
        Some("json") => format!("{{\"version\":\"{VERSION}\"}}\n"),
        _ if flags.has(&["short"]) => format!("{VERSION}\n"),
        _ => format!("Docker Compose version {VERSION}-4\n"),
    })
}

fn global(args: &[String]) -> Result<(Global, &[String]), Reply> {
    let mut global = Global::default();
    let mut rest = args;
    while let Some(arg) = rest.first().filter(|arg| arg.starts_with('-')) {
        let (name, joined) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (arg.as_str(), None),
        };
        rest = &rest[1..];
        let mut value = || {
            if let Some(value) = &joined {
                value.clone()
            } else {
                let value = rest.first().cloned().unwrap_or_default();
                rest = rest.get(1..).unwrap_or_default();
                value
            }
        };
        match name {
            "-p" | "--project-name" => global.name = Some(value()),
            "-f" | "--file" => global.files.push(value()),
            "--project-directory" => global.directory = Some(value()),
            "--env-file" => global.env_files.push(value()),
            "--profile" => global.profiles.push(value()),
            "--progress" => {
                let value = value();
                if !["auto", "tty", "plain", "quiet"].contains(&value.as_str()) {
                    return Err(Reply::fail(
                        1,
                        format!("unsupported --progress value \"{value}\""),
                    ));
                }
            }
            "--ansi" | "--parallel" => drop(value()),
            "--compatibility" | "--all-resources" | "--dry-run" | "--verbose" => {}
            other => return Err(Reply::fail(exit::USAGE, format!("unknown flag: {other}"))),
        }
    }
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if global.files.is_empty()
        && let Some(files) = env("COMPOSE_FILE")
    {
        global.files = files.split(':').map(str::to_owned).collect();
    }
    if let Some(profiles) = env("COMPOSE_PROFILES") {
        global
            .profiles
            .extend(profiles.split(',').map(str::to_owned));
    }
    global.name = global.name.or_else(|| env("COMPOSE_PROJECT_NAME"));
    Ok((global, rest))
}

/// The project's name without its files, as commands on running containers need it.
fn name_of(root: &Root, global: &Global) -> Result<String, Reply> {
    if let (Some(name), true) = (&global.name, global.files.is_empty()) {
        return Ok(name.clone());
    }
    Project::load(root, global, true).map(|project| project.name)
}

/// Positions of a project's own containers, one-off ones left out, by service and number.
fn containers(engine: &Engine, project: &str) -> Vec<usize> {
    let mut found: Vec<usize> = (0..engine.containers.len())
        .filter(|index| {
            let labels = &engine.containers[*index].labels;
            labels.get(PROJECT).is_some_and(|name| name == project)
                && labels.get(ONE_OFF).is_none_or(|one_off| one_off != "True")
        })
        .collect();
    found.sort_by_key(|index| engine.containers[*index].name.clone());
    found
}
