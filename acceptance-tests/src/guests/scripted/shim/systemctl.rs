//! `systemctl`: asks and changes the units of [`super::unit`].

use super::unit::{self, Unit};
use super::{Reply, Root};

pub(super) fn run(root: &Root, args: &[String]) -> Reply {
    let mut words = Vec::new();
    let mut properties: Vec<String> = Vec::new();
    let (mut value, mut now, mut quiet) = (false, false, false);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-p" | "--property" => {
                let names = args.next().map(String::as_str).unwrap_or_default();
                properties.extend(names.split(',').map(str::to_owned));
            }
            "-P" => {
                value = true;
                properties.extend(args.next().cloned());
            }
            "--value" => value = true,
            "--now" => now = true,
            "-q" | "--quiet" => quiet = true,
            "-t" | "--type" | "--state" | "-n" | "-o" => drop(args.next()),
            other => match other
                .strip_prefix("--property=")
                .or(other.strip_prefix("-p"))
            {
                Some(names) => properties.extend(names.split(',').map(str::to_owned)),
                None if other.starts_with('-') => {}
                None => words.push(other.to_owned()),
            },
        }
    }
    let Some((command, names)) = words.split_first() else {
        return Reply::ok("0 loaded units listed.\n");
    };
    let names: Vec<String> = names.iter().map(|name| unit::full_name(name)).collect();
    let mut reply = match command.as_str() {
        "is-system-running" => is_system_running(root),
        "is-active" => ask(root, &names, 3, |unit| {
            (unit.active.clone(), unit.active == "active")
        }),
        "is-failed" => ask(root, &names, 1, |unit| {
            (unit.active.clone(), unit.active == "failed")
        }),
        "is-enabled" => is_enabled(root, &names),
        "show" => show(root, &names, &properties, value),
        "status" => status(root, &names),
        "cat" => cat(root, &names),
        "list-units" | "list-unit-files" | "list-timers" => list(root, command),
        "start" => each(&names, |name| unit::start(root, name)),
        "stop" => each(&names, |name| unit::stop(root, name)),
        "restart" | "reload-or-restart" => each(&names, |name| restart(root, name)),
        "try-restart" | "condrestart" => each(&names, |name| {
            match unit::find(root, name).active.as_str() {
                "active" => restart(root, name),
                _ => Reply::default(),
            }
        }),
        "reload" | "try-reload-or-restart" => each(&names, |name| reload(root, name)),
        "kill" => each(&names, |name| unit::stop(root, name)),
        "enable" | "disable" | "reenable" => {
            each(&names, |name| enable(root, name, command != "disable", now))
        }
        "mask" | "unmask" => each(&names, |name| mask(root, name, command == "mask", now)),
        "reset-failed" => reset_failed(root, &names),
        "daemon-reload" | "daemon-reexec" | "set-property" | "preset" => Reply::default(),
        "poweroff" | "halt" => super::host::power(root, "poweroff"),
        "reboot" => super::host::power(root, "reboot"),
        other => Reply::fail(1, format!("Unknown command verb '{other}'.")),
    };
    if quiet {
        reply.out.clear();
    }
    reply
}

fn each(names: &[String], mut act: impl FnMut(&str) -> Reply) -> Reply {
    let mut all = Reply::default();
    for name in names {
        let reply = act(name);
        all.code = all.code.max(reply.code);
        all.out.push_str(&reply.out);
        all.err.push_str(&reply.err);
    }
    all
}

/// One word a unit; `failure` unless the word pleases for one of them.
fn ask(
    root: &Root,
    names: &[String],
    failure: u8,
    word: impl Fn(&Unit) -> (String, bool),
) -> Reply {
    let words: Vec<_> = names
        .iter()
        .map(|name| word(&unit::find(root, name)))
        .collect();
    Reply {
        code: if words.iter().any(|(_, pleases)| *pleases) {
            0
        } else {
            failure
        },
        out: words.iter().map(|(word, _)| format!("{word}\n")).collect(),
        err: String::new(),
    }
}

fn is_system_running(root: &Root) -> Reply {
    let failed = unit::touched(root)
        .iter()
        .any(|(_, unit)| unit.active == "failed");
    let state = root.read("/run/shim/cloud-init");
    // Without a state the boot has not come to cloud-init yet.
    if state.is_none_or(|state| state == "running") {
        return Reply {
            code: 1,
            out: "starting\n".to_owned(),
            ..Reply::default()
        };
    }
    if failed {
        Reply {
            code: 1,
            out: "degraded\n".to_owned(),
            ..Reply::default()
        }
    } else {
        Reply::ok("running\n")
    }
}

fn is_enabled(root: &Root, names: &[String]) -> Reply {
    let mut reply = Reply::default();
    let mut any = false;
    for name in names {
        let state = unit::find(root, name).file_state;
        any |= matches!(state.as_str(), "enabled" | "static" | "transient");
        if state.is_empty() {
            reply.out.push_str("not-found\n");
        } else {
            reply.out.push_str(&format!("{state}\n"));
        }
    }
    reply.code = u8::from(!any);
    reply
}

fn show(root: &Root, names: &[String], wanted: &[String], value: bool) -> Reply {
    let mut out = String::new();
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        // systemctl prints in its own order, whatever the order of -p.
        for (key, text) in properties(root, name) {
            if wanted.is_empty() || wanted.iter().any(|wanted| wanted == key) {
                out.push_str(&if value {
                    format!("{text}\n")
                } else {
                    format!("{key}={text}\n")
                });
            }
        }
    }
    Reply::ok(out)
}

fn properties(root: &Root, name: &str) -> Vec<(&'static str, String)> {
    let unit = unit::find(root, name);
    let path = format!("/etc/systemd/system/{name}");
    let fragment = match unit.load.as_str() {
        "loaded" if root.path(&path).exists() => path,
        "loaded" => format!("/usr/lib/systemd/system/{name}"),
        _ => String::new(),
    };
    let ended = unit.active == "failed" || unit.active == "inactive" && unit.since > 0;
    let file = unit::UnitFile::load(root, name).unwrap_or_default();
    let own = |key: &str| file.value("Service", key).unwrap_or_default().to_owned();
    let stamp = |ms: u64| {
        if ms == 0 {
            String::new()
        } else {
            super::rfc3339(ms)
        }
    };
    vec![
        (
            "Type",
            if own("Type").is_empty() {
                "simple".to_owned()
            } else {
                own("Type")
            },
        ),
        ("Restart", own("Restart")),
        ("MainPID", unit.pid.to_string()),
        ("Result", unit.result.clone()),
        ("NRestarts", "0".to_owned()),
        ("ExecMainStartTimestamp", stamp(unit.since)),
        (
            "ExecMainExitTimestamp",
            if ended {
                stamp(unit.since)
            } else {
                String::new()
            },
        ),
        ("ExecMainPID", unit.pid.to_string()),
        ("ExecMainCode", if ended { "1" } else { "0" }.to_owned()),
        ("ExecMainStatus", unit.exit_status.to_string()),
        ("Id", name.to_owned()),
        ("Names", name.to_owned()),
        (
            "Description",
            file.value("Unit", "Description").unwrap_or(name).to_owned(),
        ),
        ("LoadState", unit.load.clone()),
        ("ActiveState", unit.active.clone()),
        ("SubState", unit.sub.clone()),
        ("FragmentPath", fragment),
        ("UnitFileState", unit.file_state.clone()),
        ("ActiveEnterTimestamp", stamp(unit.since)),
        ("NeedDaemonReload", "no".to_owned()),
        (
            "Transient",
            if unit.transient { "yes" } else { "no" }.to_owned(),
        ),
    ]
}

fn status(root: &Root, names: &[String]) -> Reply {
    each(names, |name| {
        let unit = unit::find(root, name);
        if unit.load == "not-found" {
            return Reply::fail(4, format!("Unit {name} could not be found."));
        }
        let log = super::job::journal(root, name);
        let tail: Vec<&str> = log.lines().rev().take(10).collect();
        let tail: String = tail.iter().rev().map(|line| format!("{line}\n")).collect();
        Reply {
            code: if unit.active == "active" { 0 } else { 3 },
            out: format!(
                "● {name}\n     Loaded: {} ({})\n     Active: {} ({})\n\n{tail}",
                unit.load, unit.file_state, unit.active, unit.sub
            ),
            err: String::new(),
        }
    })
}

fn cat(root: &Root, names: &[String]) -> Reply {
    each(names, |name| {
        let own = root.read(&format!("/etc/systemd/system/{name}"));
        match own {
            Some(text) => Reply::ok(format!("# /etc/systemd/system/{name}\n{text}")),
            None if unit::find(root, name).load == "loaded" => Reply::ok(packaged(name)),
            None => Reply::fail(1, format!("No files found for {name}.")),
        }
    })
}

fn list(root: &Root, command: &str) -> Reply {
    let rows = unit::touched(root).into_iter().filter_map(|(name, _)| {
        let unit = unit::find(root, &name);
        match command {
            "list-timers" if unit::kind(&name) != "timer" => None,
            "list-unit-files" => Some(format!("{name} {}\n", unit.file_state)),
            _ => Some(format!(
                "{name} {} {} {} {name}\n",
                unit.load, unit.active, unit.sub
            )),
        }
    });
    Reply::ok(rows.collect::<String>())
}

fn restart(root: &Root, name: &str) -> Reply {
    if unit::find(root, name).active == "active" {
        unit::stop(root, name);
    }
    unit::start(root, name)
}

fn reload(root: &Root, name: &str) -> Reply {
    if unit::find(root, name).active != "active" {
        return Reply::fail(1, format!("{name} is not active, cannot reload."));
    }
    if name == "docker.service" {
        super::docker::daemon::reload(root);
    }
    Reply::default()
}

fn enable(root: &Root, name: &str, enabled: bool, now: bool) -> Reply {
    let unit = unit::find(root, name);
    if unit.load == "not-found" {
        let verb = if enabled { "enable" } else { "disable" };
        return Reply::fail(
            1,
            format!("Failed to {verb} unit: Unit file {name} does not exist."),
        );
    }
    if unit.load == "masked" && enabled {
        return Reply::fail(
            1,
            format!("Failed to enable unit: Unit file /etc/systemd/system/{name} is masked."),
        );
    }
    unit::enable(root, name, enabled);
    match (now, enabled) {
        (true, true) => unit::start(root, name),
        (true, false) => unit::stop(root, name),
        _ => Reply::default(),
    }
}

fn mask(root: &Root, name: &str, masks: bool, now: bool) -> Reply {
    let link = root.path(&format!("/etc/systemd/system/{name}"));
    let masked = std::fs::read_link(&link).is_ok_and(|target| target.as_os_str() == "/dev/null");
    let done = match (masks, masked) {
        (true, false) => std::os::unix::fs::symlink("/dev/null", link),
        (false, true) => std::fs::remove_file(link),
        _ => Ok(()),
    };
    if let Err(error) = done {
        return Reply::fail(1, format!("Failed to mask unit: {error}"));
    }
    if masks && now {
        unit::stop(root, name);
    }
    Reply::default()
}

fn reset_failed(root: &Root, names: &[String]) -> Reply {
    if names.is_empty() {
        for (name, _) in unit::touched(root) {
            unit::reset_failed(root, &name);
        }
        return Reply::default();
    }
    each(names, |name| {
        if unit::find(root, name).load == "not-found" {
            return Reply::fail(
                1,
                format!("Failed to reset failed state of unit {name}: Unit {name} not loaded."),
            );
        }
        unit::reset_failed(root, name);
        Reply::default()
    })
}

/// The unit file of a package, as far as somebody may look into it.
fn packaged(name: &str) -> String {
    let start = if name == "docker.service" {
        "ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock\nStartLimitBurst=3\n"
    } else {
        ""
    };
    format!("# /usr/lib/systemd/system/{name}\n[Unit]\nDescription={name}\n\n[Service]\n{start}")
}
