//! The record of installed packages, and `dpkg` and `dpkg-query` that answer from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Reply, Root};

const STATE: &str = "/var/lib/shim/packages.json";

/// A package that is, or was, installed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Package {
    pub(super) version: String,
    #[serde(default)]
    pub(super) hold: bool,
    /// Removed, its configuration still there.
    #[serde(default)]
    pub(super) removed: bool,
}

pub(super) type Packages = BTreeMap<String, Package>;

pub(super) fn packages(root: &Root) -> Packages {
    root.load(STATE)
}

pub(super) fn change<R>(root: &Root, change: impl FnOnce(&mut Packages) -> R) -> R {
    root.update(STATE, change)
}

pub(super) fn record(root: &Root, name: &str, version: &str) {
    let package = Package {
        version: version.to_owned(),
        ..Package::default()
    };
    change(root, |packages| packages.insert(name.to_owned(), package));
}

pub(super) fn installed(root: &Root, name: &str) -> bool {
    packages(root)
        .get(name)
        .is_some_and(|package| !package.removed)
}

/// The package that brings the Engine, if one is installed.
pub(super) fn docker(root: &Root) -> Option<&'static str> {
    ["docker.io", "docker-ce"]
        .into_iter()
        .find(|name| installed(root, name))
}

impl Package {
    fn abbreviation(&self) -> &'static str {
        match (self.removed, self.hold) {
            (true, _) => "rc ",
            (false, true) => "hi ",
            (false, false) => "ii ",
        }
    }

    fn status(&self) -> &'static str {
        match (self.removed, self.hold) {
            (true, _) => "deinstall ok config-files",
            (false, true) => "hold ok installed",
            (false, false) => "install ok installed",
        }
    }
}

pub(super) fn query(root: &Root, args: &[String]) -> Reply {
    let mut format = "${binary:Package}\t${Version}\n".to_owned();
    let mut names = Vec::new();
    let mut action = 'W';
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-f" | "--showformat" => format = args.next().cloned().unwrap_or_default(),
            "-W" | "--show" => action = 'W',
            "-l" | "--list" => action = 'l',
            "-s" | "--status" => action = 's',
            "-L" | "--listfiles" | "-S" | "--search" => action = 'L',
            "--no-pager" => {}
            other => match other
                .strip_prefix("--showformat=")
                .or(other.strip_prefix("-f="))
            {
                Some(text) => text.clone_into(&mut format),
                None => match other.strip_prefix("-f") {
                    Some(text) => text.clone_into(&mut format),
                    None => names.push(other.to_owned()),
                },
            },
        }
    }
    match action {
        'l' => list(root, &names),
        's' => statuses(root, &names),
        'L' => Reply::fail(1, "dpkg-query: no path found matching pattern"),
        _ => show(root, &names, &format),
    }
}

pub(super) fn dpkg(root: &Root, args: &[String]) -> Reply {
    match args.first().map(String::as_str) {
        Some("--print-architecture") => Reply::ok("amd64\n"),
        Some("--version") => {
            Reply::ok("Debian 'dpkg' package management program version 1.22.21 (amd64).\n")
        }
        Some("--configure" | "--audit" | "-C") => Reply::default(),
        Some("--get-selections") => {
            let rows = packages(root).into_iter().map(|(name, package)| {
                let selection = package.status().split(' ').next().unwrap_or_default();
                format!("{name}\t\t\t\t\t{selection}\n")
            });
            Reply::ok(rows.collect::<String>())
        }
        Some("--compare-versions") => compare(&args[1..]),
        Some("-l" | "--list" | "-s" | "--status" | "-L" | "-S" | "-W") => query(root, args),
        _ => Reply::fail(2, "dpkg: error: need an action option"),
    }
}

/// Names that match a pattern with `*`.
fn matching<'a>(packages: &'a Packages, pattern: &str) -> Vec<(&'a String, &'a Package)> {
    let found = packages
        .iter()
        .filter(|(name, _)| match pattern.split_once('*') {
            Some((start, end)) => {
                name.len() >= start.len() + end.len()
                    && name.starts_with(start)
                    && name.ends_with(end)
            }
            None => name.as_str() == pattern.split(':').next().unwrap_or_default(),
        });
    found.collect()
}

fn show(root: &Root, names: &[String], format: &str) -> Reply {
    let packages = packages(root);
    let mut reply = Reply::default();
    let all = ["*".to_owned()];
    for pattern in if names.is_empty() { &all } else { names } {
        let found = matching(&packages, pattern);
        if found.is_empty() {
            reply.code = 1;
            reply.err.push_str(&format!(
                "dpkg-query: no packages found matching {pattern}\n"
            ));
        }
        for (name, package) in found {
            let text = format
                .replace("\\n", "\n")
                .replace("\\t", "\t")
                .replace("${binary:Package}", name)
                .replace("${Package}", name)
                .replace("${Version}", &package.version)
                .replace("${Architecture}", "amd64")
                .replace("${db:Status-Abbrev}", package.abbreviation())
                .replace(
                    "${db:Status-Status}",
                    if package.removed {
                        "config-files"
                    } else {
                        "installed"
                    },
                )
                .replace("${Status}", package.status())
                .replace(
                    "${db:Status-Want}",
                    package.status().split(' ').next().unwrap_or_default(),
                );
            reply.out.push_str(&text);
        }
    }
    reply
}

fn list(root: &Root, names: &[String]) -> Reply {
    let format = "${db:Status-Abbrev} ${Package} ${Version} amd64 a package\n";
    let mut reply = show(root, names, format);
    let head = "Desired=Unknown/Install/Remove/Purge/Hold\n||/ Name Version Architecture Description\n+++-====-=======-============-===========\n";
    reply.out.insert_str(0, head);
    reply
}

fn statuses(root: &Root, names: &[String]) -> Reply {
    let packages = packages(root);
    let mut reply = Reply::default();
    for name in names {
        if let Some(package) = packages.get(name) {
            reply.out.push_str(&format!(
                "Package: {name}\nStatus: {}\nArchitecture: amd64\nVersion: {}\n\n",
                package.status(),
                package.version
            ));
        } else {
            reply.code = 1;
            reply.err.push_str(&format!(
                "dpkg-query: package '{name}' is not installed and no information is available\n"
            ));
        }
    }
    reply
}

/// Compares by runs of digits and of other characters; `~` and epochs only as far as tests need.
fn compare(args: &[String]) -> Reply {
    let [left, relation, right] = args else {
        return Reply::fail(2, "dpkg: error: --compare-versions takes three arguments");
    };
    let key = |version: &str| {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        let mut parts = vec![(epoch.parse::<u64>().unwrap_or(0), String::new())];
        let mut rest = rest;
        while !rest.is_empty() {
            let end = rest
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(rest.len());
            let (text, tail) = rest.split_at(end);
            let end = tail
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(tail.len());
            let (digits, tail) = tail.split_at(end);
            parts.push((0, text.replace('~', "\u{1}")));
            parts.push((digits.parse().unwrap_or(0), String::new()));
            rest = tail;
        }
        parts
    };
    let order = key(left).cmp(&key(right));
    let holds = match relation.as_str() {
        "lt" | "<<" => order.is_lt(),
        "le" | "<=" => order.is_le(),
        "eq" | "=" => order.is_eq(),
        "ne" => order.is_ne(),
        "ge" | ">=" => order.is_ge(),
        "gt" | ">>" => order.is_gt(),
        _ => return Reply::fail(2, "dpkg: error: --compare-versions bad relation"),
    };
    Reply {
        code: u8::from(!holds),
        ..Reply::default()
    }
}
