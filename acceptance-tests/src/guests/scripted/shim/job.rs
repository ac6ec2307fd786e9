//! `systemd-run`: transient units, each watched by a process that records how it ended.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use super::{Reply, Root, agent, unit};

const SHIM: &str = "/shim/guest-shim";

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
struct Options {
    unit: Option<String>,
    waits: bool,
    pipes: bool,
    collects: bool,
    remains: bool,
    quiet: bool,
    directory: Option<String>,
    env: Vec<String>,
    properties: Vec<String>,
    command: Vec<String>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (arg.as_str(), None),
            };
            let mut next = || {
                value
                    .clone()
                    .or_else(|| args.next().cloned())
                    .unwrap_or_default()
            };
            match name {
                "-u" | "--unit" => options.unit = Some(next()),
                "--wait" => options.waits = true,
                "-P" | "--pipe" => options.pipes = true,
                "-G" | "--collect" => options.collects = true,
                "-r" | "--remain-after-exit" => options.remains = true,
                "-q" | "--quiet" => options.quiet = true,
                "--working-directory" => options.directory = Some(next()),
                "-E" | "--setenv" => options.env.push(next()),
                "-p" | "--property" => options.properties.push(next()),
                "--description" | "--service-type" | "--slice" | "--uid" | "--gid" | "--nice" => {
                    drop(next());
                }
                "--no-block"
                | "--no-ask-password"
                | "--same-dir"
                | "-d"
                | "--scope"
                | "--expand-environment" => {}
                "--" => {
                    options.command = args.cloned().collect();
                    break;
                }
                other if other.starts_with('-') => {
                    return Err(format!("systemd-run: unrecognized option '{other}'"));
                }
                other => {
                    options.command.push(other.to_owned());
                    options.command.extend(args.cloned());
                    break;
                }
            }
        }
        Ok(options)
    }

    fn property(&self, key: &str) -> Option<&str> {
        let found = self.properties.iter().rev();
        found
            .filter_map(|pair| pair.split_once('='))
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }
}

pub(super) fn run(root: &Root, args: &[String]) -> Reply {
    let options = match Options::parse(args) {
        Ok(options) => options,
        Err(why) => return Reply::fail(1, why),
    };
    let Some(program) = options.command.first() else {
        return Reply::fail(1, "Command line to execute required.");
    };
    let name = unit::full_name(
        &options
            .unit
            .clone()
            .unwrap_or_else(|| format!("run-u{}", std::process::id())),
    );
    let prior = unit::find(root, &name);
    if prior.load != "not-found" {
        return Reply::fail(
            1,
            format!(
                "Failed to start transient service unit: Unit {name} was already loaded or has a fragment file."
            ),
        );
    }
    if !in_path(root, program) {
        return Reply::fail(
            1,
            format!("Failed to find executable {program}: No such file or directory"),
        );
    }
    unit::set(root, &name, |unit| {
        unit.transient = true;
        "active".clone_into(&mut unit.active);
        "running".clone_into(&mut unit.sub);
        "success".clone_into(&mut unit.result);
        unit.since = super::now();
    });
    let spawned = watched(root, &name, &options).spawn();
    let Ok(mut child) = spawned else {
        return Reply::fail(
            1,
            format!(
                "Failed to start transient service unit: {}",
                spawned.expect_err("it is an error")
            ),
        );
    };
    if !options.waits && !options.pipes {
        let quiet = options.quiet;
        return Reply {
            err: if quiet {
                String::new()
            } else {
                format!("Running as unit: {name}\n")
            },
            ..Reply::default()
        };
    }
    let status = child.wait().map_or(1, agent::status);
    Reply {
        code: u8::try_from(status).unwrap_or(1),
        ..Reply::default()
    }
}

/// The command in the hands of a process that watches it.
fn watched(root: &Root, name: &str, options: &Options) -> Command {
    let mut command = Command::new(SHIM);
    command.arg("job").arg(name);
    for (set, flag) in [
        (options.collects, "collect"),
        (
            options.remains || options.property("RemainAfterExit") == Some("yes"),
            "remain",
        ),
    ] {
        if set {
            command.arg(flag);
        }
    }
    command.arg("--").args(&options.command).process_group(0);
    command.env(
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
    command.envs(options.env.iter().filter_map(|pair| pair.split_once('=')));
    let environment = options
        .properties
        .iter()
        .filter_map(|pair| pair.strip_prefix("Environment="));
    command.envs(environment.filter_map(|pair| pair.split_once('=')));
    let directory = options
        .directory
        .as_deref()
        .or(options.property("WorkingDirectory"));
    command.current_dir(directory.unwrap_or("/"));
    if !options.pipes {
        let sink = |key: &str| {
            let target = options.property(key).and_then(|value| {
                let path = value
                    .strip_prefix("append:")
                    .or(value.strip_prefix("truncate:"))
                    .or(value.strip_prefix("file:"))?;
                OpenOptions::new()
                    .create(true)
                    .append(!value.starts_with("truncate:"))
                    .write(true)
                    .truncate(value.starts_with("truncate:"))
                    .open(root.path(path))
                    .ok()
            });
            target.map_or_else(|| journal_sink(root, name), Stdio::from)
        };
        let input = options
            .property("StandardInput")
            .and_then(|value| std::fs::File::open(root.path(value.strip_prefix("file:")?)).ok());
        command.stdin(input.map_or_else(Stdio::null, Stdio::from));
        command
            .stdout(sink("StandardOutput"))
            .stderr(sink("StandardError"));
    }
    command
}

fn in_path(root: &Root, program: &str) -> bool {
    let places = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];
    if program.starts_with('/') {
        root.path(program).exists()
    } else {
        places
            .iter()
            .any(|dir| root.path(&format!("{dir}/{program}")).exists())
    }
}

/// Starts a command of a service unit and watches it.
pub(super) fn spawn(root: &Root, name: &str, words: &[String]) -> Result<(), String> {
    Command::new(SHIM)
        .args(["job", name, "--"])
        .args(words)
        .process_group(0)
        .current_dir("/")
        .env("PATH", agent::PATH)
        .stdin(Stdio::null())
        .stdout(journal_sink(root, name))
        .stderr(journal_sink(root, name))
        .spawn()
        .map(drop)
        .map_err(|error| error.to_string())
}

/// The watching process: `NAME [collect] [remain] -- COMMAND..`.
pub(super) fn supervise(root: &Root, args: &[String]) -> ExitCode {
    let split = args.iter().position(|arg| arg == "--").unwrap_or(0);
    let (head, command) = (&args[..split], &args[split + 1..]);
    let (name, has) = (&head[0], |flag: &str| head.iter().any(|arg| arg == flag));
    unit::set(root, name, |unit| unit.pid = std::process::id());
    let status = Command::new(&command[0]).args(&command[1..]).status();
    let code = status.map_or(203, agent::status);
    let ended = unit::find(root, name);
    // A stop has forgotten or changed the unit already.
    if ended.pid == std::process::id() {
        if code == 0 && ended.transient && !has("remain") || has("collect") {
            unit::forget(root, name);
        } else {
            unit::set(root, name, |unit| {
                let (active, sub, result) = match code {
                    0 if has("remain") => ("active", "exited", "success"),
                    0 => ("inactive", "dead", "success"),
                    _ => ("failed", "failed", "exit-code"),
                };
                active.clone_into(&mut unit.active);
                sub.clone_into(&mut unit.sub);
                result.clone_into(&mut unit.result);
                unit.exit_status = code;
                unit.pid = 0;
            });
        }
    }
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn journal_path(name: &str) -> String {
    format!("/run/shim/journal/{name}")
}

fn journal_sink(root: &Root, name: &str) -> Stdio {
    let path = root.path(&journal_path(name));
    if let Some(dir) = path.parent() {
        let _ = std::fs::create_dir_all(dir);
    }
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.map_or_else(|_| Stdio::null(), Stdio::from)
}

pub(super) fn log(root: &Root, name: &str, text: &str) {
    let path = root.path(&journal_path(name));
    if let Some(dir) = path.parent() {
        let _ = std::fs::create_dir_all(dir);
    }
    if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
        let _ = file.write_all(text.as_bytes());
    }
}

/// What a unit wrote.
pub(super) fn journal(root: &Root, name: &str) -> String {
    root.read(&journal_path(name)).unwrap_or_default()
}
