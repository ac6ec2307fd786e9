//! `apt-get`, `apt-mark` and `apt-cache` over the record of packages.
//!
//! Downloads nothing: what can be installed is the list in [`super::install`].

use std::time::Duration;

use super::{Reply, Root, dpkg, install, unit};

/// What an installation takes beside nothing.
const MOMENT: Duration = Duration::from_millis(150);

pub(super) fn get(root: &Root, args: &[String]) -> Reply {
    let options = Options::parse(args);
    let Some((command, names)) = options.words.split_first() else {
        return Reply::ok("apt 3.0.3 (amd64)\n");
    };
    if matches!(
        command.as_str(),
        "update" | "install" | "upgrade" | "dist-upgrade"
    ) && let Some(error) = root.scenario().apt_error
    {
        return Reply::fail(100, error);
    }
    match command.as_str() {
        "update" => {
            std::thread::sleep(MOMENT);
            let _ = root.write("/var/lib/apt/lists/lock", "");
            Reply::ok(
                "Hit:1 http://deb.debian.org/debian trixie InRelease\nReading package lists...\n",
            )
        }
        "install" | "reinstall" => install(root, &options, names),
        "remove" | "purge" | "autoremove" => remove(root, &options, command, names),
        "upgrade" | "dist-upgrade" | "full-upgrade" | "clean" | "autoclean" | "check" => {
            Reply::ok("0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n")
        }
        other => Reply::fail(100, format!("E: Invalid operation {other}")),
    }
}

/// The key ring that every repository has: one key, with the fingerprint `191668..1A90`.
const KEY: &[u8] = b"\xc6\x0c\x04\0\0\0\x01\x01\0\x08\xff\0\x08\xff";

/// Downloads the key of a repository; nothing else is out there.
pub(super) fn helper(root: &Root, args: &[String]) -> Reply {
    match args {
        [command, url, file] if command == "download-file" && url.ends_with("/gpg") => {
            match root.write(file, KEY) {
                Ok(()) => Reply::ok(format!("Get:1 {url} [14 B]\n")),
                Err(error) => Reply::fail(100, format!("E: {error}")),
            }
        }
        _ => Reply::fail(100, "E: Failed to fetch: 404 Not Found"),
    }
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
struct Options {
    yes: bool,
    simulate: bool,
    allow_held: bool,
    purge: bool,
    words: Vec<String>,
}

impl Options {
    fn parse(args: &[String]) -> Self {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "-y" | "--yes" | "--assume-yes" | "-qqy" | "-qy" | "-yq" | "-yqq" => {
                    options.yes = true;
                }
                "-s" | "--simulate" | "--dry-run" => options.simulate = true,
                "--allow-change-held-packages" => options.allow_held = true,
                "--purge" => options.purge = true,
                "-o" | "-c" | "-t" | "--option" | "--target-release" => drop(args.next()),
                word if word.starts_with('-') => {}
                word => options.words.push(word.to_owned()),
            }
        }
        options
    }
}

fn install(root: &Root, options: &Options, names: &[String]) -> Reply {
    let mut wanted: Vec<(String, String)> = Vec::new();
    for name in names {
        let (name, version) = match name.split_once('=') {
            Some((name, version)) => (name, Some(version)),
            None => (name.as_str(), None),
        };
        let Some(candidate) = install::candidate(root, name) else {
            return Reply::fail(100, format!("E: Unable to locate package {name}"));
        };
        if let Some(version) = version
            && version != candidate
            && !glob(version, candidate)
        {
            return Reply::fail(
                100,
                format!("E: Version '{version}' for '{name}' was not found"),
            );
        }
        wanted.push((name.to_owned(), candidate.to_owned()));
    }
    let mut index = 0;
    while let Some((name, _)) = wanted.get(index).cloned() {
        for depend in install::depends(&name) {
            if let Some(version) = install::candidate(root, depend)
                && !wanted.iter().any(|(name, _)| name == depend)
            {
                wanted.push(((*depend).to_owned(), version.to_owned()));
            }
        }
        index += 1;
    }
    let packages = dpkg::packages(root);
    let new: Vec<_> = wanted
        .iter()
        .filter(|(name, _)| packages.get(name).is_none_or(|package| package.removed))
        .collect();
    let in_the_way: Vec<String> = new
        .iter()
        .flat_map(|(name, _)| install::conflicts(name))
        .filter(|name| packages.get(**name).is_some_and(|package| !package.removed))
        .map(|name| (*name).to_owned())
        .collect();
    if in_the_way.iter().any(|name| packages[name].hold) && !options.allow_held {
        return Reply::fail(100, HELD);
    }
    let list: Vec<&str> = new.iter().map(|(name, _)| name.as_str()).collect();
    let mut out = format!(
        "Reading package lists...\nBuilding dependency tree...\nThe following NEW packages will be installed:\n  {}\n{} upgraded, {} newly installed, {} to remove and 0 not upgraded.\n",
        list.join(" "),
        0,
        new.len(),
        in_the_way.len(),
    );
    if options.simulate || new.is_empty() {
        return Reply::ok(out);
    }
    if !options.yes {
        return Reply {
            code: 1,
            out: out + "Do you want to continue? [Y/n] Abort.\n",
            ..Reply::default()
        };
    }
    std::thread::sleep(MOMENT);
    take_out(root, &in_the_way, false);
    dpkg::change(root, |packages| {
        for (name, version) in &new {
            let package = dpkg::Package {
                version: version.clone(),
                ..dpkg::Package::default()
            };
            packages.insert(name.clone(), package);
        }
    });
    for (name, version) in &new {
        if let Err(error) = install::unpack(root, name) {
            return Reply::fail(
                100,
                format!("dpkg: error processing package {name}: {error}"),
            );
        }
        out.push_str(&format!("Setting up {name} ({version}) ...\n"));
    }
    for (name, _) in &new {
        unit::package_installed(root, name);
    }
    Reply::ok(out)
}

const HELD: &str =
    "E: Held packages were changed and -y was used without --allow-change-held-packages.";

fn glob(pattern: &str, version: &str) -> bool {
    pattern
        .strip_suffix('*')
        .is_some_and(|start| version.starts_with(start))
}

fn remove(root: &Root, options: &Options, command: &str, names: &[String]) -> Reply {
    let packages = dpkg::packages(root);
    let mut gone = Vec::new();
    for name in names {
        if install::candidate(root, name).is_none() && !packages.contains_key(name) {
            return Reply::fail(100, format!("E: Unable to locate package {name}"));
        }
        if let Some(package) = packages.get(name).filter(|package| !package.removed) {
            if package.hold && !options.allow_held {
                return Reply::fail(100, HELD);
            }
            gone.push(name.clone());
        }
    }
    take_out(root, &gone, command == "purge" || options.purge);
    Reply::ok(format!(
        "0 upgraded, 0 newly installed, {} to remove and 0 not upgraded.\n",
        gone.len()
    ))
}

fn take_out(root: &Root, names: &[String], purge: bool) {
    for name in names {
        unit::package_removed(root, name);
        install::remove_files(root, name);
    }
    dpkg::change(root, |packages| {
        for name in names {
            if purge {
                packages.remove(name);
            } else if let Some(package) = packages.get_mut(name) {
                package.removed = true;
            }
        }
    });
    if purge && names.iter().any(|name| name == "docker.io") {
        // Debian's package deletes the Engine's data on purge.
        let _ = std::fs::remove_dir_all(root.path("/var/lib/docker"));
    }
}

pub(super) fn mark(root: &Root, args: &[String]) -> Reply {
    let Some((command, names)) = args.split_first() else {
        return Reply::fail(1, "apt-mark: no command");
    };
    let hold = match command.as_str() {
        "hold" => true,
        "unhold" => false,
        "showhold" => {
            let held = dpkg::packages(root)
                .into_iter()
                .filter(|(_, package)| package.hold);
            return Reply::ok(
                held.map(|(name, _)| format!("{name}\n"))
                    .collect::<String>(),
            );
        }
        _ => return Reply::default(),
    };
    dpkg::change(root, |packages| {
        let mut reply = Reply::default();
        for name in names {
            match packages.get_mut(name) {
                Some(package) if package.hold == hold => {
                    let word = if hold { "already" } else { "already not" };
                    reply.out.push_str(&format!("{name} was {word} on hold.\n"));
                }
                Some(package) => {
                    package.hold = hold;
                    reply.out.push_str(&if hold {
                        format!("{name} set on hold.\n")
                    } else {
                        format!("Canceled hold on {name}.\n")
                    });
                }
                None => return Reply::fail(100, format!("E: Unable to locate package {name}")),
            }
        }
        reply
    })
}

pub(super) fn cache(root: &Root, args: &[String]) -> Reply {
    let mut reply = Reply::default();
    let packages = dpkg::packages(root);
    let Some((command, names)) = args.split_first() else {
        return reply;
    };
    for name in names {
        let Some(candidate) = install::candidate(root, name) else {
            if command == "show" {
                reply = Reply::fail(100, "E: No packages found");
            }
            continue;
        };
        let installed = packages.get(name).filter(|package| !package.removed);
        let installed = installed.map_or("(none)", |package| &package.version);
        reply.out.push_str(&match command.as_str() {
            "policy" => format!(
                "{name}:\n  Installed: {installed}\n  Candidate: {candidate}\n  Version table:\n     {candidate} 500\n        500 http://deb.debian.org/debian trixie/main amd64 Packages\n"
            ),
            "madison" => format!("{name:>10} | {candidate} | http://deb.debian.org/debian trixie/main amd64 Packages\n"),
            _ => format!("Package: {name}\nVersion: {candidate}\nArchitecture: amd64\n\n"),
        });
    }
    reply
}
