//! The Docker command line over the stand-in Engine.
//!
//! Version 26.1.5 with Compose 2.26.1, in texts and in exit statuses.

mod act;
mod container;
pub(super) mod daemon;
mod engine;
mod info;
mod inspect;
mod list;

use super::{Reply, Root, compose, unit};
pub(super) use container::{Container, Health, Live, Port};
pub(super) use engine::{Engine, Volume, image_name, pull};
pub(super) use list::{lines, status};

pub(super) const VERSION: &str = "26.1.5+dfsg1";

const NO_DAEMON: &str = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";

pub(super) fn run(root: &Root, args: &[String]) -> Reply {
    let mut args = args;
    // Global flags.
    while let Some(first) = args.first().filter(|arg| arg.starts_with('-')) {
        match first.as_str() {
            "-v" | "--version" => {
                return Reply::ok(format!("Docker version {VERSION}, build a72d7cd\n"));
            }
            "--config" | "-H" | "--host" | "-c" | "--context" | "-l" | "--log-level" => {
                args = args.get(2..).unwrap_or_default();
            }
            _ => args = &args[1..],
        }
    }
    let words: Vec<&str> = args.iter().take(2).map(String::as_str).collect();
    let (one, two) = (
        args.get(1..).unwrap_or_default(),
        args.get(2..).unwrap_or_default(),
    );
    match words.as_slice() {
        ["compose", ..] => {
            if root
                .path("/usr/libexec/docker/cli-plugins/docker-compose")
                .is_symlink()
            {
                compose::run(root, one)
            } else {
                Reply::fail(
                    1,
                    "docker: 'compose' is not a docker command.\nSee 'docker --help'",
                )
            }
        }
        ["version", ..] => info::version(root, one),
        ["info", ..] => info::info(root, one),
        ["system", "info"] => info::info(root, two),
        ["login" | "logout", ..] => login(root, words[0]),
        ["builder" | "system" | "buildx", ..] => Reply::ok("Total reclaimed space: 0B\n"),
        _ if !alive(root) => Reply::fail(1, NO_DAEMON),
        ["ps", ..] => list::ps(root, one),
        ["container", "ls" | "list" | "ps"] => list::ps(root, two),
        ["images", ..] => list::images(root, one),
        ["image", "ls" | "list"] => list::images(root, two),
        ["volume", "ls" | "list"] => list::volumes(root, two),
        ["network", "ls" | "list"] => list::networks(root, two),
        ["inspect", ..] => inspect::run(root, None, one),
        [
            kind @ ("container" | "image" | "volume" | "network"),
            "inspect",
        ] => inspect::run(root, Some(kind), two),
        ["logs", ..] => list::logs(root, one),
        ["container", "logs"] => list::logs(root, two),
        ["pull", ..] => act::pull(root, one),
        ["image", "pull"] => act::pull(root, two),
        ["rmi", ..] => act::remove_images(root, one),
        ["image", "rm"] => act::remove_images(root, two),
        ["image", "prune"] => act::prune_images(root),
        [kind @ ("volume" | "network"), "rm" | "remove"] => act::remove(root, kind, two),
        [kind @ ("volume" | "network"), "create"] => act::create(root, kind, two),
        ["exec", ..] => act::exec(root, one),
        ["container", verb] => act::containers(root, verb, two),
        [verb, ..] => act::containers(root, verb, one),
        [] => Reply::ok("Usage:  docker [OPTIONS] COMMAND\n"),
    }
}

/// Whether the Engine answers; a call on its socket starts it.
pub(super) fn alive(root: &Root) -> bool {
    if unit::find(root, "docker.service").active == "active" {
        return true;
    }
    unit::find(root, "docker.socket").active == "active"
        && unit::start(root, "docker.service").code == 0
}

fn login(root: &Root, verb: &str) -> Reply {
    let dir = std::env::var("DOCKER_CONFIG").unwrap_or_else(|_| "/root/.docker".to_owned());
    if verb == "logout" {
        let _ = std::fs::remove_file(root.path(&format!("{dir}/config.json")));
        return Reply::default();
    }
    let _ = std::io::read_to_string(std::io::stdin());
    match root.write(&format!("{dir}/config.json"), "{\"auths\":{}}") {
        Ok(()) => Reply::ok("Login Succeeded\n"),
        Err(error) => Reply::fail(1, error.to_string()),
    }
}

/// Flags with and without values, and words, of one docker command.
pub(super) struct Flags {
    pairs: Vec<(String, String)>,
    pub(super) words: Vec<String>,
}

impl Flags {
    /// `valued` are the flags that take a value; short ones may be joined (`-aq`).
    pub(super) fn parse(args: &[String], valued: &[&str]) -> Self {
        let mut flags = Self {
            pairs: Vec::new(),
            words: Vec::new(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                flags.words.extend(args.cloned());
                break;
            }
            if let Some(long) = arg.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, value.to_owned()),
                    None if valued.contains(&long) => {
                        (long, args.next().cloned().unwrap_or_default())
                    }
                    None => (long, "true".to_owned()),
                };
                flags.pairs.push((name.to_owned(), value));
            } else if let Some(short) = arg.strip_prefix('-').filter(|short| !short.is_empty()) {
                for (at, letter) in short.char_indices() {
                    let name = letter.to_string();
                    if valued.contains(&name.as_str()) {
                        let rest = short[at + letter.len_utf8()..].trim_start_matches('=');
                        let value = if rest.is_empty() {
                            args.next().cloned().unwrap_or_default()
                        } else {
                            rest.to_owned()
                        };
                        flags.pairs.push((name, value));
                        break;
                    }
                    flags.pairs.push((name, "true".to_owned()));
                }
            } else {
                flags.words.push(arg.clone());
            }
        }
        flags
    }

    pub(super) fn has(&self, names: &[&str]) -> bool {
        self.value(names).is_some_and(|value| value != "false")
    }

    pub(super) fn value(&self, names: &[&str]) -> Option<&str> {
        let found = self
            .pairs
            .iter()
            .rev()
            .find(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn values(&self, names: &[&str]) -> Vec<&str> {
        let found = self
            .pairs
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, value)| value.as_str()).collect()
    }
}
