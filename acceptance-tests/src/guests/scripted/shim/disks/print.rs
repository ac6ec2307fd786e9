//! `blkid`, `lsblk`, `findmnt` and `df`: tables about disks and mounts.

use serde_json::{Map, Value};

use super::{Disk, Mounted, disks, filesystem, mounted, resolve};
use crate::guests::scripted::shim::{Reply, Root};

pub(super) fn blkid(root: &Root, args: &[String]) -> Reply {
    let (mut tag, mut format, mut devices) = (None, "full".to_owned(), Vec::new());
    let mut words = args.iter();
    while let Some(arg) = words.next() {
        let mut next = || words.next().cloned().unwrap_or_default();
        match arg.as_str() {
            "-s" | "--match-tag" => tag = Some(next()),
            "-o" | "--output" => format = next(),
            "-c" | "-w" | "-n" | "-u" => drop(next()),
            "-U" | "-L" | "-t" => {
                let value = next();
                let key = match arg.as_str() {
                    "-U" => format!("UUID={value}"),
                    "-L" => format!("LABEL={value}"),
                    _ => value,
                };
                return match resolve(root, &key) {
                    Some(disk) => Reply::ok(format!("{}\n", disk.device)),
                    None => Reply::fail(2, ""),
                };
            }
            other if other.starts_with('-') => {}
            other => devices.push(other.to_owned()),
        }
    }
    let chosen: Vec<Disk> = if devices.is_empty() {
        disks(root)
    } else {
        devices
            .iter()
            .filter_map(|device| resolve(root, device))
            .collect()
    };
    let mut out = String::new();
    for disk in chosen {
        let Some(found) = filesystem(root, &disk) else {
            continue;
        };
        let tags = [
            ("LABEL", &found.label),
            ("UUID", &found.uuid),
            ("TYPE", &found.kind),
        ];
        let tags = tags.iter().filter(|(name, value)| {
            !value.is_empty() && tag.as_deref().is_none_or(|tag| tag == *name)
        });
        let device = if disk.is_root {
            format!("{}1", disk.device)
        } else {
            disk.device.clone()
        };
        out.push_str(&match format.as_str() {
            "value" => tags
                .map(|(_, value)| format!("{value}\n"))
                .collect::<String>(),
            "export" => format!(
                "DEVNAME={device}\n{}",
                tags.map(|(name, value)| format!("{name}={value}\n"))
                    .collect::<String>()
            ),
            "device" => format!("{device}\n"),
            _ => format!(
                "{device}:{}\n",
                tags.map(|(name, value)| format!(" {name}=\"{value}\""))
                    .collect::<String>()
            ),
        });
    }
    Reply {
        code: if out.is_empty() { 2 } else { 0 },
        out,
        err: String::new(),
    }
}

/// The columns and flags that `lsblk`, `findmnt` and `df` have in common.
#[derive(Default)]
struct Options {
    columns: Vec<String>,
    json: bool,
    bare: bool,
    flags: String,
    by: Option<(char, String)>,
    types: Vec<String>,
    words: Vec<String>,
}

impl Options {
    fn parse(args: &[String]) -> Self {
        let mut options = Self::default();
        let mut words = args.iter();
        while let Some(arg) = words.next() {
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (arg.as_str(), None),
            };
            let mut next = || {
                value
                    .clone()
                    .or_else(|| words.next().cloned())
                    .unwrap_or_default()
            };
            match name {
                "--output" => options.columns = next().split(',').map(str::to_uppercase).collect(),
                "--json" => options.json = true,
                "--noheadings" => options.bare = true,
                "--mountpoint" => options.by = Some(('M', next())),
                "--target" => options.by = Some(('T', next())),
                "--source" => options.by = Some(('S', next())),
                "-t" | "--types" => options.types = next().split(',').map(str::to_owned).collect(),
                "-e" | "-I" => drop(next()),
                long if long.starts_with("--") => {}
                short if short.starts_with('-') && short.len() > 1 => {
                    for flag in short[1..].chars() {
                        match flag {
                            'o' => {
                                options.columns =
                                    next().split(',').map(str::to_uppercase).collect();
                            }
                            'M' | 'S' => options.by = Some((flag, next())),
                            'J' => options.json = true,
                            'n' => options.bare = true,
                            other => options.flags.push(other),
                        }
                    }
                }
                word => options.words.push(word.to_owned()),
            }
        }
        options
    }

    fn print(&self, name: &str, default: &[&str], rows: &[Map<String, Value>]) -> Reply {
        let columns: Vec<String> = if self.columns.is_empty() {
            default.iter().map(|column| (*column).to_owned()).collect()
        } else {
            self.columns.clone()
        };
        if self.json {
            let rows: Vec<Value> = rows
                .iter()
                .map(|row| {
                    let cells = columns.iter().map(|column| {
                        (
                            column.to_lowercase(),
                            row.get(column).cloned().unwrap_or_default(),
                        )
                    });
                    Value::Object(cells.collect())
                })
                .collect();
            let mut all = Map::new();
            all.insert(name.to_owned(), rows.into());
            return Reply::ok(format!("{:#}\n", Value::Object(all)));
        }
        let mut out = if self.bare {
            String::new()
        } else {
            format!("{}\n", columns.join(" "))
        };
        for row in rows {
            let cells = columns.iter().map(|column| match row.get(column) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => String::new(),
                Some(other) => other.to_string(),
            });
            out.push_str(cells.collect::<Vec<_>>().join(" ").trim_end());
            out.push('\n');
        }
        Reply::ok(out)
    }
}

fn row<const N: usize>(cells: [(&str, Value); N]) -> Map<String, Value> {
    cells
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

pub(super) fn lsblk(root: &Root, args: &[String]) -> Reply {
    let options = Options::parse(args);
    let mounts = mounted(root);
    let chosen: Vec<Disk> = if options.words.is_empty() {
        disks(root)
    } else {
        options
            .words
            .iter()
            .filter_map(|word| resolve(root, word))
            .collect()
    };
    if chosen.is_empty() && !options.words.is_empty() {
        return Reply::fail(
            32,
            format!("lsblk: {}: not a block device", options.words[0]),
        );
    }
    let rows: Vec<_> = chosen
        .iter()
        .map(|disk| {
            let found = filesystem(root, disk).unwrap_or_default();
            let target = mounts
                .iter()
                .find(|mount| mount.device == disk.device)
                .map(|mount| mount.target.clone());
            let size = if options.flags.contains('b') {
                Value::from(disk.bytes)
            } else {
                format!("{}G", disk.bytes >> 30).into()
            };
            let name = disk.device.trim_start_matches("/dev/");
            let text = |text: &str| {
                if text.is_empty() {
                    Value::Null
                } else {
                    text.into()
                }
            };
            row([
                (
                    "NAME",
                    if options.flags.contains('p') {
                        disk.device.as_str()
                    } else {
                        name
                    }
                    .into(),
                ),
                ("KNAME", name.into()),
                ("PATH", disk.device.as_str().into()),
                ("SIZE", size),
                ("TYPE", "disk".into()),
                ("RO", "0".into()),
                ("SERIAL", text(&disk.serial)),
                ("FSTYPE", text(&found.kind)),
                ("UUID", text(&found.uuid)),
                ("LABEL", text(&found.label)),
                (
                    "MOUNTPOINT",
                    target.clone().map_or(Value::Null, Value::from),
                ),
                ("MOUNTPOINTS", target.map_or(Value::Null, Value::from)),
            ])
        })
        .collect();
    options.print(
        "blockdevices",
        &["NAME", "SIZE", "RO", "TYPE", "MOUNTPOINTS"],
        &rows,
    )
}

/// The mount that a path lies on.
fn containing(mounts: &[Mounted], path: &str) -> Option<Mounted> {
    let above = |target: &str| {
        target == "/"
            || path
                .strip_prefix(target)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    mounts
        .iter()
        .filter(|mount| above(&mount.target))
        .max_by_key(|mount| mount.target.len())
        .cloned()
}

pub(super) fn findmnt(root: &Root, args: &[String]) -> Reply {
    let mut options = Options::parse(args);
    let mounts = mounted(root);
    if options.flags.contains('T')
        && let Some(path) = options.words.pop()
    {
        options.by = Some(('T', path));
    }
    let device = |source: &str| resolve(root, source).map_or(source.to_owned(), |disk| disk.device);
    let found: Vec<Mounted> = match (&options.by, options.words.first()) {
        (Some(('T', path)), _) => {
            let path = std::fs::canonicalize(root.path(path)).unwrap_or_default();
            containing(&mounts, &path.to_string_lossy())
                .into_iter()
                .collect()
        }
        (Some(('M', target)), _) => mounts
            .into_iter()
            .filter(|mount| mount.target == target.trim_end_matches('/') || mount.target == *target)
            .collect(),
        (Some((_, source)), _) => mounts
            .into_iter()
            .filter(|mount| mount.device == device(source))
            .collect(),
        (None, Some(word)) => mounts
            .into_iter()
            .filter(|mount| mount.target == *word || mount.device == device(word))
            .collect(),
        (None, None) => mounts,
    };
    let wanted =
        |mount: &Mounted| options.types.is_empty() || options.types.contains(&mount.filesystem);
    let found: Vec<Mounted> = found.into_iter().filter(wanted).collect();
    if found.is_empty() {
        return Reply::fail(1, "");
    }
    let rows: Vec<_> = found
        .iter()
        .map(|mount| {
            row([
                ("TARGET", mount.target.as_str().into()),
                ("SOURCE", mount.device.as_str().into()),
                ("FSTYPE", mount.filesystem.as_str().into()),
                ("OPTIONS", "rw,relatime".into()),
                ("UUID", mount.uuid.as_str().into()),
                ("SIZE", mount.bytes.into()),
                ("USED", (mount.bytes / 10).into()),
            ])
        })
        .collect();
    options.print(
        "filesystems",
        &["TARGET", "SOURCE", "FSTYPE", "OPTIONS"],
        &rows,
    )
}

pub(super) fn df(root: &Root, args: &[String]) -> Reply {
    let bytes = args
        .iter()
        .any(|arg| arg == "-B1" || arg == "--block-size=1");
    let options = Options::parse(args);
    let mounts = mounted(root);
    let mut rows = Vec::new();
    for path in &options.words {
        let Ok(real) = std::fs::canonicalize(root.path(path)) else {
            return Reply::fail(1, format!("df: {path}: No such file or directory"));
        };
        rows.extend(containing(&mounts, &real.to_string_lossy()));
    }
    let rows = if options.words.is_empty() {
        mounts
    } else {
        rows
    };
    let unit = if bytes { 1 } else { 1024 };
    let rows: Vec<_> = rows
        .iter()
        .map(|mount| {
            let used = mount.bytes / 10;
            row([
                ("SOURCE", mount.device.as_str().into()),
                ("FSTYPE", mount.filesystem.as_str().into()),
                ("SIZE", (mount.bytes / unit).into()),
                ("USED", (used / unit).into()),
                ("AVAIL", ((mount.bytes - used) / unit).into()),
                ("PCENT", "10%".into()),
                ("TARGET", mount.target.as_str().into()),
            ])
        })
        .collect();
    let default: &[&str] = if options.flags.contains('T') {
        &[
            "SOURCE", "FSTYPE", "SIZE", "USED", "AVAIL", "PCENT", "TARGET",
        ]
    } else {
        &["SOURCE", "SIZE", "USED", "AVAIL", "PCENT", "TARGET"]
    };
    options.print("filesystems", default, &rows)
}
