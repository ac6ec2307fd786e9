//! The units of a guest: which exist, how they start and stop, what a boot starts.
//!
//! A unit file is read, drop-ins included; of what it may say only mounts, assertions, commands
//! and `[Install]` count.

mod boot;
mod file;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::{Reply, Root, disks, docker, dpkg, job};
pub(super) use boot::{boot, package_installed, package_removed, shutdown};
pub(super) use file::UnitFile;

const RUNTIME: &str = "/run/shim/units.json";
const SETTINGS: &str = "/var/lib/shim/units.json";

/// The Engine's unit allows this many starts a minute.
const START_LIMIT: usize = 3;

/// How a unit is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Unit {
    /// `loaded`, `not-found` or `masked`.
    pub(super) load: String,
    pub(super) active: String,
    pub(super) sub: String,
    /// `enabled`, `disabled`, `static`, `masked`, `transient` or empty.
    pub(super) file_state: String,
    pub(super) result: String,
    pub(super) exit_status: i32,
    pub(super) pid: u32,
    /// Milliseconds since 1970.
    pub(super) since: u64,
    pub(super) transient: bool,
    pub(super) starts: Vec<u64>,
}

type Units = BTreeMap<String, Unit>;

/// Enabled or not, by unit; absent where nobody decided.
type Settings = BTreeMap<String, bool>;

/// `name` with `.service` where it has no suffix.
pub(super) fn full_name(name: &str) -> String {
    let suffixes = [
        ".service", ".socket", ".timer", ".mount", ".target", ".path", ".slice",
    ];
    if suffixes.iter().any(|suffix| name.ends_with(suffix)) {
        name.to_owned()
    } else {
        format!("{name}.service")
    }
}

/// `service`, `mount`, `timer` ..
pub(super) fn kind(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

/// The package whose unit file this is, where it is one that is known here.
fn owner(root: &Root, name: &str) -> bool {
    match name {
        "docker.service" | "docker.socket" => dpkg::docker(root).is_some(),
        "containerd.service" => {
            dpkg::installed(root, "containerd") || dpkg::installed(root, "containerd.io")
        }
        "qemu-guest-agent.service" => dpkg::installed(root, "qemu-guest-agent"),
        "ssh.service"
        | "cloud-init.service"
        | "cloud-final.service"
        | "multi-user.target"
        | "network-online.target"
        | "systemd-timesyncd.service"
        | "basic.target" => true,
        _ => false,
    }
}

/// The unit as it is, whether or not it exists.
pub(super) fn find(root: &Root, name: &str) -> Unit {
    let known = owner(root, name);
    let file = UnitFile::load(root, name);
    let mut unit: Unit = root.load::<Units>(RUNTIME).remove(name).unwrap_or_default();
    if unit.active.is_empty() {
        "inactive".clone_into(&mut unit.active);
        "dead".clone_into(&mut unit.sub);
        "success".clone_into(&mut unit.result);
    }
    let masked = std::fs::read_link(root.path(&format!("/etc/systemd/system/{name}")))
        .is_ok_and(|target| target.as_os_str() == "/dev/null");
    let load = match (masked, known || file.is_some() || unit.transient) {
        (true, _) => "masked",
        (false, true) => "loaded",
        (false, false) => "not-found",
    };
    load.clone_into(&mut unit.load);
    let installable = file.as_ref().is_none_or(file::UnitFile::installs);
    let file_state = match root.load::<Settings>(SETTINGS).get(name) {
        _ if masked => "masked",
        _ if unit.transient => "transient",
        _ if unit.load == "not-found" => "",
        _ if kind(name) == "target" || !installable => "static",
        Some(true) => "enabled",
        // Debian enables what its packages bring.
        None if known => "enabled",
        _ => "disabled",
    };
    file_state.clone_into(&mut unit.file_state);
    unit
}

pub(super) fn set(root: &Root, name: &str, change: impl FnOnce(&mut Unit)) {
    root.update(RUNTIME, |units: &mut Units| {
        change(units.entry(name.to_owned()).or_default());
    });
}

pub(super) fn forget(root: &Root, name: &str) {
    root.update(RUNTIME, |units: &mut Units| drop(units.remove(name)));
}

pub(super) fn enable(root: &Root, name: &str, enabled: bool) {
    root.update(SETTINGS, |settings: &mut Settings| {
        settings.insert(name.to_owned(), enabled)
    });
}

/// Names of units that have been started, or failed, since the boot.
pub(super) fn touched(root: &Root) -> Vec<(String, Unit)> {
    root.load::<Units>(RUNTIME).into_iter().collect()
}

fn mark(root: &Root, name: &str, active: &str, sub: &str) {
    set(root, name, |unit| {
        active.clone_into(&mut unit.active);
        sub.clone_into(&mut unit.sub);
        let result = if active == "failed" {
            "exit-code"
        } else {
            "success"
        };
        result.clone_into(&mut unit.result);
        unit.since = super::now();
    });
}

/// Starts a unit and what it needs; the reply carries systemctl's words.
pub(super) fn start(root: &Root, name: &str) -> Reply {
    let unit = find(root, name);
    match unit.load.as_str() {
        "masked" => {
            return Reply::fail(1, format!("Failed to start {name}: Unit {name} is masked."));
        }
        "not-found" => {
            return Reply::fail(5, format!("Failed to start {name}: Unit {name} not found."));
        }
        _ if unit.active == "active" => return Reply::default(),
        _ => {}
    }
    let file = UnitFile::load(root, name).unwrap_or_default();
    for path in file.values("Unit", "RequiresMountsFor") {
        if !disks::mount_for(root, path) {
            return Reply::fail(
                1,
                format!("A dependency job for {name} failed. See 'journalctl -xe' for details."),
            );
        }
    }
    for path in file.values("Unit", "AssertPathIsMountPoint") {
        if !disks::is_mount_point(root, path) {
            mark(root, name, "failed", "failed");
            return Reply::fail(1, format!("Assertion failed on job for {name}."));
        }
    }
    for path in file.values("Unit", "ConditionPathIsMountPoint") {
        if !disks::is_mount_point(root, path) {
            return Reply::default();
        }
    }
    let started = match name {
        "docker.service" => start_docker(root),
        "docker.socket" | "containerd.service" => Ok(()),
        _ if kind(name) == "mount" => disks::mount_unit(root, &file),
        _ if kind(name) == "service" => commands(root, name, &file),
        _ => Ok(()),
    };
    match started {
        Ok(()) => {
            let oneshot = file.value("Service", "Type") == Some("oneshot");
            let remains = file.value("Service", "RemainAfterExit") == Some("yes");
            let (active, sub) = match name {
                _ if oneshot && !remains => ("inactive", "dead"),
                _ if oneshot => ("active", "exited"),
                _ if kind(name) == "timer" => ("active", "waiting"),
                _ if kind(name) == "mount" => ("active", "mounted"),
                _ if kind(name) == "socket" => ("active", "running"),
                _ => ("active", "running"),
            };
            mark(root, name, active, sub);
            Reply::default()
        }
        Err(why) => {
            mark(root, name, "failed", "failed");
            job::log(root, name, &format!("{why}\n"));
            Reply::fail(
                1,
                format!(
                    "Job for {name} failed because the control process exited with error code.\nSee \"systemctl status {name}\" and \"journalctl -xeu {name}\" for details."
                ),
            )
        }
    }
}

fn start_docker(root: &Root) -> Result<(), String> {
    let mut starts = find(root, "docker.service").starts;
    let now = super::now();
    starts.retain(|at| now.saturating_sub(*at) < 60_000);
    if starts.len() >= START_LIMIT {
        return Err("docker.service: Start request repeated too quickly.".to_owned());
    }
    starts.push(now);
    set(root, "docker.service", |unit| unit.starts = starts);
    for need in ["containerd.service", "docker.socket"] {
        let reply = start(root, need);
        // The Engine only wants containerd, but requires its socket.
        if reply.code != 0 && need == "docker.socket" {
            return Err(reply.err);
        }
    }
    docker::daemon::start(root)
}

/// Runs the commands of a service: to their end for a one-shot, else detached.
fn commands(root: &Root, name: &str, file: &UnitFile) -> Result<(), String> {
    let oneshot = file.value("Service", "Type") == Some("oneshot");
    let (before, main) = (
        file.values("Service", "ExecStartPre"),
        file.values("Service", "ExecStart"),
    );
    for (line, waits) in before
        .iter()
        .map(|line| (line, true))
        .chain(main.iter().map(|line| (line, oneshot)))
    {
        let (may_fail, line) = match line
            .trim_start_matches(['@', ':', '+', '!'])
            .strip_prefix('-')
        {
            Some(rest) => (true, rest),
            None => (false, *line),
        };
        let words = file::words(line);
        let Some((program, args)) = words.split_first() else {
            continue;
        };
        if !waits {
            job::spawn(root, name, &words)?;
            continue;
        }
        let output = Command::new(program)
            .args(args)
            .env("PATH", super::agent::PATH)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{program}: {error}"))?;
        job::log(root, name, &String::from_utf8_lossy(&output.stdout));
        job::log(root, name, &String::from_utf8_lossy(&output.stderr));
        if !output.status.success() && !may_fail {
            set(root, name, |unit| {
                unit.exit_status = super::agent::status(output.status);
            });
            return Err(format!("{name}: {program} failed: {}", output.status));
        }
    }
    Ok(())
}

pub(super) fn stop(root: &Root, name: &str) -> Reply {
    let unit = find(root, name);
    if unit.load == "not-found" {
        return Reply::fail(5, format!("Failed to stop {name}: Unit {name} not loaded."));
    }
    match name {
        "docker.service" if unit.active == "active" => docker::daemon::stop(root),
        _ if kind(name) == "mount" => {
            if let Some(target) = UnitFile::load(root, name)
                .and_then(|file| file.value("Mount", "Where").map(str::to_owned))
            {
                disks::unmount(root, &target);
            }
        }
        _ => {}
    }
    for line in UnitFile::load(root, name)
        .unwrap_or_default()
        .values("Service", "ExecStop")
    {
        if let Some((program, args)) = file::words(line.trim_start_matches('-')).split_first()
            && unit.active == "active"
        {
            let _ = Command::new(program)
                .args(args)
                .stdin(Stdio::null())
                .output();
        }
    }
    if unit.pid != 0 && name != "docker.service" {
        super::init::real("kill", &["-TERM", "--", &format!("-{}", unit.pid)]);
    }
    if unit.transient {
        forget(root, name);
    } else {
        mark(root, name, "inactive", "dead");
        set(root, name, |unit| unit.pid = 0);
    }
    Reply::default()
}

pub(super) fn reset_failed(root: &Root, name: &str) {
    let unit = find(root, name);
    if unit.transient && unit.active == "failed" {
        forget(root, name);
    } else if unit.active == "failed" || !unit.starts.is_empty() {
        set(root, name, |unit| {
            unit.starts.clear();
            if unit.active == "failed" {
                "inactive".clone_into(&mut unit.active);
                "dead".clone_into(&mut unit.sub);
            }
        });
    }
}
