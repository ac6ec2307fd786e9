//! The small programs: power, names, kernel settings, file owners.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Command;

use super::{Reply, Root, init, job};

pub(super) fn run(root: &Root, name: &str, args: &[String]) -> Reply {
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    match name {
        "poweroff" | "halt" => power(root, "poweroff"),
        "reboot" => power(root, "reboot"),
        "shutdown" => power(root, if has("-r") { "reboot" } else { "poweroff" }),
        "hostnamectl" => hostnamectl(root, args),
        "systemd-detect-virt" if root.boot()["container"] == true => {
            let asks_for_vm = has("-v") || has("--vm");
            Reply {
                code: u8::from(asks_for_vm),
                out: if asks_for_vm { "none\n" } else { "lxc\n" }.to_owned(),
                ..Reply::default()
            }
        }
        "systemd-detect-virt" if has("-c") || has("--container") => Reply {
            code: 1,
            out: "none\n".to_owned(),
            ..Reply::default()
        },
        "systemd-detect-virt" => Reply::ok("kvm\n"),
        "systemd-escape" => escape(args),
        "journalctl" => journalctl(root, args),
        "nft" => nft(root, args),
        "sysctl" => sysctl(root, args),
        "update-ca-certificates" => certificates(root),
        "chown" | "chgrp" | "install" => owner(root, name, args),
        "systemd-analyze" | "modprobe" | "udevadm" => Reply::default(),
        other => Reply::fail(127, format!("{other}: not found")),
    }
}

pub(super) fn version(name: &str) -> Reply {
    Reply::ok(match name {
        "runc" => "runc version 1.1.15+ds1\n",
        _ => "containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6+b4\n",
    })
}

/// Asks init to end the guest.
pub(super) fn power(root: &Root, how: &str) -> Reply {
    let stream = UnixStream::connect(root.path(init::CONTROL));
    match stream.and_then(|mut stream| writeln!(stream, "{how}")) {
        Ok(()) => Reply::default(),
        Err(error) => Reply::fail(1, format!("Failed to talk to init: {error}")),
    }
}

fn hostnamectl(root: &Root, args: &[String]) -> Reply {
    match args {
        [verb, name] if verb == "set-hostname" || verb == "hostname" => {
            let _ = root.write("/etc/hostname", format!("{name}\n"));
            init::real("hostname", &[name]);
            Reply::default()
        }
        [verb] if verb == "hostname" => Reply::ok(root.read("/etc/hostname").unwrap_or_default()),
        _ => Reply::ok(format!(
            " Static hostname: {}  Virtualization: kvm\n",
            root.read("/etc/hostname").unwrap_or_default()
        )),
    }
}

/// Unit names of paths: `--path`, `--suffix=` and `--template=` as systemd does them.
fn escape(args: &[String]) -> Reply {
    let value = |flag: &str| args.iter().find_map(|arg| arg.strip_prefix(flag));
    let words = args.iter().filter(|arg| !arg.starts_with('-'));
    let names = words.map(|word| {
        let mut name = String::new();
        for (index, byte) in word.trim_matches('/').bytes().enumerate() {
            match byte {
                b'/' => name.push('-'),
                b'.' if index == 0 => name.push_str("\\x2e"),
                b if b.is_ascii_alphanumeric() || b":_.".contains(&b) => name.push(char::from(b)),
                b => name.push_str(&format!("\\x{b:02x}")),
            }
        }
        match (value("--suffix="), value("--template=")) {
            (Some(suffix), _) => format!("{name}.{suffix}\n"),
            (_, Some(template)) => template.replacen('@', &format!("@{name}"), 1) + "\n",
            _ => name + "\n",
        }
    });
    Reply::ok(names.collect::<String>())
}

fn journalctl(root: &Root, args: &[String]) -> Reply {
    let value = |flags: [&str; 2]| {
        let at = args.iter().position(|arg| flags.contains(&arg.as_str()));
        let joined = args
            .iter()
            .find_map(|arg| arg.strip_prefix(flags[1])?.strip_prefix('='));
        at.and_then(|at| args.get(at + 1))
            .map(String::as_str)
            .or(joined)
    };
    let Some(unit) = value(["-u", "--unit"]) else {
        return Reply::ok("-- No entries --\n");
    };
    let text = job::journal(root, &super::unit::full_name(unit));
    let count = value(["-n", "--lines"])
        .and_then(|count| count.parse().ok())
        .unwrap_or(usize::MAX);
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(count);
    Reply::ok(
        lines[start..]
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    )
}

/// Keeps rule sets as text by their file; checks nothing but that the file is there.
fn nft(root: &Root, args: &[String]) -> Reply {
    const RULES: &str = "/run/shim/nft";
    if let Some(at) = args.iter().position(|arg| arg == "-f" || arg == "--file") {
        let path = args.get(at + 1).map_or("-", String::as_str);
        let text = if path == "-" {
            std::io::read_to_string(std::io::stdin()).ok()
        } else {
            root.read(path)
        };
        let Some(text) = text else {
            return Reply::fail(
                1,
                format!(
                    "internal:0:0-0: Error: Could not open file \"{path}\": No such file or directory"
                ),
            );
        };
        if !args.iter().any(|arg| arg == "-c" || arg == "--check") {
            let _ = root.write(RULES, text);
        }
        return Reply::default();
    }
    let words: Vec<&str> = args
        .iter()
        .map(String::as_str)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let rules = root.read(RULES).unwrap_or_default();
    match words.as_slice() {
        ["list", "table", .., name] if !rules.contains(&format!(" {name} ")) => {
            Reply::fail(1, "Error: No such file or directory")
        }
        ["list", ..] => Reply::ok(rules),
        ["delete", "table", ..] if rules.is_empty() => Reply::fail(
            1,
            "Error: Could not process rule: No such file or directory",
        ),
        ["delete" | "flush", ..] => {
            let _ = root.write(RULES, "");
            Reply::default()
        }
        _ => Reply::default(),
    }
}

fn sysctl(root: &Root, args: &[String]) -> Reply {
    let bare = args
        .iter()
        .any(|arg| arg.starts_with('-') && arg.contains('n'));
    let quiet = args
        .iter()
        .any(|arg| arg.starts_with('-') && arg.contains('q'));
    let mut reply = Reply::default();
    for word in args.iter().filter(|arg| !arg.starts_with('-')) {
        let (key, value) = word
            .split_once('=')
            .map_or((word.as_str(), None), |(key, value)| (key, Some(value)));
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        if let Some(value) = value {
            // Only what belongs to the guest's own namespaces can be changed.
            let _ = std::fs::write(root.path(&path), value);
            if !quiet {
                reply.out.push_str(&format!("{key} = {value}\n"));
            }
            continue;
        }
        match root.read(&path) {
            Some(text) if bare => reply.out.push_str(&format!("{}\n", text.trim())),
            Some(text) => reply.out.push_str(&format!("{key} = {}\n", text.trim())),
            None => {
                reply.code = 255;
                reply.err.push_str(&format!(
                    "sysctl: cannot stat {path}: No such file or directory\n"
                ));
            }
        }
    }
    reply
}

fn certificates(root: &Root) -> Reply {
    let dir = std::fs::read_dir(root.path("/usr/local/share/ca-certificates"));
    let mut bundle = String::new();
    let mut count = 0;
    for entry in dir.into_iter().flatten().flatten() {
        if entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "crt")
        {
            bundle.push_str(&std::fs::read_to_string(entry.path()).unwrap_or_default());
            count += 1;
        }
    }
    let _ = root.write("/etc/ssl/certs/ca-certificates.crt", bundle);
    Reply::ok(format!(
        "Updating certificates in /etc/ssl/certs...\n{count} added, 0 removed; done.\n"
    ))
}

/// Runs the real program; where the guest has only one id, owners are let go.
fn owner(root: &Root, name: &str, args: &[String]) -> Reply {
    let map = root.read("/proc/self/uid_map").unwrap_or_default();
    let single = map.split_whitespace().nth(2) == Some("1");
    if single && name != "install" {
        return Reply::default();
    }
    let mut kept = Vec::new();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-o" | "-g" if single => drop(words.next()),
            other if single && (other.starts_with("--owner") || other.starts_with("--group")) => {}
            _ => kept.push(word),
        }
    }
    let status = Command::new(format!("/.host/usr/bin/{name}"))
        .args(kept)
        .status();
    let code = status.map_or(127, super::agent::status);
    Reply {
        code: u8::try_from(code).unwrap_or(1),
        ..Reply::default()
    }
}
