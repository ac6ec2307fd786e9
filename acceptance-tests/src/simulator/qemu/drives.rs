//! The drives of a VM: their keys, their text, and the volumes that are made for them.
//!
//! Whether the sender may use a storage is asked in `allow`.

use crate::simulator::rules::property::{self, Properties};
use crate::simulator::rules::{RuleSet, set};
use crate::simulator::storage::{Storage, Volume, format_size, gib_fraction, parse_size};
use crate::simulator::world::State;

use super::Config;

/// The keys that can boot, in the order of the API.
const BUSES: [(&str, u32); 4] = [("ide", 4), ("scsi", 31), ("virtio", 16), ("sata", 6)];

/// All keys that can boot.
pub(crate) fn boot_keys() -> impl Iterator<Item = String> {
    BUSES
        .into_iter()
        .flat_map(|(bus, count)| (0..count).map(move |i| format!("{bus}{i}")))
}

/// Whether a key holds a drive.
pub(crate) fn is_drive(key: &str) -> bool {
    matches!(key, "efidisk0" | "tpmstate0") || boot_keys().any(|known| known == key)
}

/// The rules of a drive's property string.
fn rules(key: &str) -> &'static RuleSet {
    set(match key.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "ide" => "drive-ide",
        "sata" => "drive-sata",
        "scsi" => "drive-scsi",
        "virtio" => "drive-virtio",
        "efidisk" => "efidisk",
        _ => "tpmstate",
    })
}

/// Takes a drive apart; its text passed the rules before.
pub(crate) fn parse(key: &str, text: &str) -> Properties {
    property::parse(rules(key), text).unwrap_or_default()
}

/// Puts a drive together.
pub(crate) fn print(key: &str, drive: &Properties) -> String {
    property::print(rules(key), drive)
}

pub(crate) fn is_cdrom(drive: &Properties) -> bool {
    let has = |key: &str, value: &str| drive.get(key).is_some_and(|found| found == value);
    has("media", "cdrom") || has("file", "none") || has("file", "cdrom")
}

pub(crate) fn is_cloudinit(drive: &Properties) -> bool {
    drive.get("file").is_some_and(|file| {
        let name = file.rsplit(['/', ':']).next().unwrap_or_default();
        name.split('.')
            .next()
            .is_some_and(|stem| stem == "cloudinit" || stem.ends_with("-cloudinit"))
    })
}

/// What the `file` of a drive asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// An empty CD drive.
    Nothing,
    /// A new volume of so many GiB on a storage.
    New { storage: String, size: String },
    /// A new volume with the contents of another.
    Import { storage: String, from: String },
    /// The drive that the node writes cloud-init data on.
    CloudInit { storage: String },
    /// A volume that is there.
    Volume(String),
    /// A path of the node.
    Path,
}

/// What a drive asks for. `default` is the storage of a size without one.
pub(crate) fn source(drive: &Properties, default: Option<&str>) -> Source {
    let file = drive.get("file").map_or("none", String::as_str);
    if matches!(file, "none" | "cdrom") {
        return Source::Nothing;
    }
    if file.starts_with('/') {
        return Source::Path;
    }
    let (storage, rest) = match file.split_once(':') {
        Some((storage, rest)) => (storage.to_owned(), rest),
        None => (default.unwrap_or("local").to_owned(), file),
    };
    if rest == "cloudinit" {
        return Source::CloudInit { storage };
    }
    let is_size = !rest.is_empty()
        && rest.chars().all(|c| c.is_ascii_digit() || c == '.')
        && rest.starts_with(|c: char| c.is_ascii_digit());
    match drive.get("import-from") {
        Some(from) => Source::Import {
            storage,
            from: from.clone(),
        },
        None if is_size => Source::New {
            storage,
            size: rest.to_owned(),
        },
        None => Source::Volume(file.to_owned()),
    }
}

/// The disks that were made: their finished text, their volumes, and what the log says.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) drives: Config,
    pub(crate) volumes: Vec<String>,
    pub(crate) log: Vec<String>,
}

impl State {
    /// Makes or attaches the drives, in the order of their keys. On an error nothing stays.
    pub(crate) fn make_drives(
        &mut self,
        node: &str,
        vmid: u32,
        wanted: &Config,
        default_storage: Option<&str>,
    ) -> Result<Made, String> {
        let mut made = Made::default();
        for (key, text) in wanted {
            let mut drive = parse(key, text);
            if let Err(why) =
                self.make_drive(node, vmid, (key, default_storage), &mut drive, &mut made)
            {
                for volume in &made.volumes {
                    self.free_volume(node, volume).ok();
                }
                return Err(why);
            }
            drive.remove("format");
            drive.remove("import-from");
            made.drives.insert(key.clone(), print(key, &drive));
        }
        Ok(made)
    }

    fn make_drive(
        &mut self,
        node: &str,
        vmid: u32,
        (key, default_storage): (&str, Option<&str>),
        drive: &mut Properties,
        made: &mut Made,
    ) -> Result<(), String> {
        let (id, volume) = match source(drive, default_storage) {
            Source::Nothing => {
                drive.remove("size");
                return Ok(());
            }
            Source::Path => return Ok(()),
            Source::Volume(id) => {
                let volume = self.existing(node, &id).map_err(|fail| fail.text())?;
                drive.insert("size".to_owned(), format_size(volume.virtual_bytes));
                return Ok(());
            }
            Source::New { storage, size } => {
                let bytes = match (key, drive.get("efitype").map(String::as_str)) {
                    ("efidisk0", Some("4m")) => 540_672,
                    ("efidisk0", _) => 131_072,
                    ("tpmstate0", _) => 4 << 20,
                    _ => gib_fraction(&size, 1 << 30).ok_or("unable to parse disk size")?,
                };
                let format = self.format_on(&storage, drive.get("format").map(String::as_str))?;
                let id = self.free_disk_name(node, &storage, vmid, &format);
                (id, Volume::disk(vmid, &format, bytes))
            }
            Source::Import { storage, from } => {
                let missing = {
                    let (storage, name) = from.split_once(':').unwrap_or_default();
                    let file = self
                        .storage(storage)
                        .map(|s| s.file(name))
                        .unwrap_or_default();
                    format!("failed to stat '{file}'")
                };
                let image = self.volume(node, &from).ok_or(missing)?;
                let (bytes, of_image) = (image.virtual_bytes, image.format.clone());
                let wanted = drive.get("format").cloned().or(Some(of_image));
                let can = self.storage(&storage).is_ok_and(Storage::is_file_based);
                let format = self.format_on(&storage, wanted.as_deref().filter(|_| can))?;
                let id = self.free_disk_name(node, &storage, vmid, &format);
                made.log
                    .push(format!("create full clone of drive ({from})"));
                (
                    id,
                    Volume {
                        image: Some(from),
                        ..Volume::disk(vmid, &format, bytes)
                    },
                )
            }
            Source::CloudInit { storage } => {
                self.usable(&storage)?;
                let is_dir = self.storage(&storage).is_ok_and(Storage::is_file_based);
                let (name, format) = if is_dir {
                    (format!("{vmid}/vm-{vmid}-cloudinit.qcow2"), "qcow2")
                } else {
                    (format!("vm-{vmid}-cloudinit"), "raw")
                };
                drive.insert("media".to_owned(), "cdrom".to_owned());
                (
                    format!("{storage}:{name}"),
                    Volume::disk(vmid, format, 4 << 20),
                )
            }
        };
        self.log_allocation(&id, &volume, &mut made.log);
        if volume.image.is_some() {
            made.log.push(format!("allocated target volume '{id}'"));
            made.log.extend(transferred(volume.bytes));
        }
        if key == "efidisk0" && volume.image.is_none() {
            made.log.extend(transferred(volume.bytes));
            if drive.get("pre-enrolled-keys").is_some_and(|is| is == "1") {
                let small = drive.get("efitype").is_none_or(|kind| kind == "2m");
                let name = if small {
                    "OVMF_VARS.ms.fd"
                } else {
                    "OVMF_VARS_4M.ms.fd"
                };
                made.log.push(format!(
                    "INFO: reading raw edk2 varstore from /usr/share/pve-edk2-firmware//{name}"
                ));
                made.log
                    .push("INFO: var store range: 0x64 -> 0x40000".to_owned());
            }
        }
        drive.insert("file".to_owned(), id.clone());
        if is_cloudinit(drive) {
            drive.remove("size");
        } else {
            drive.insert("size".to_owned(), format_size(volume.bytes));
        }
        self.put_volume(node, &id, volume);
        let mut shown = drive.clone();
        shown.remove("format");
        shown.remove("import-from");
        made.log.push(format!(
            "{key}: successfully created disk '{}'",
            print(key, &shown)
        ));
        made.volumes.push(id);
        Ok(())
    }

    /// What the tools of the storage say about a new volume.
    pub(crate) fn log_allocation(&self, id: &str, volume: &Volume, log: &mut Vec<String>) {
        let (storage, name) = id.split_once(':').unwrap_or_default();
        let Ok(storage) = self.storage(storage) else {
            return;
        };
        let (file, bytes) = (storage.file(name), volume.bytes);
        log.push(match volume.format.as_str() {
            _ if !storage.is_file_based() => format!("  Logical volume \"{name}\" created."),
            "qcow2" => format!(
                "Formatting '{file}', fmt=qcow2 cluster_size=65536 extended_l2=off \
                 preallocation=metadata compression_type=zlib size={bytes} lazy_refcounts=off \
                 refcount_bits=16"
            ),
            format => format!("Formatting '{file}', fmt={format} size={bytes} preallocation=off"),
        });
    }

    /// Refuses a storage that is switched off.
    fn usable(&self, storage: &str) -> Result<(), String> {
        match self.storage(storage).map_err(|fail| fail.text())? {
            storage if storage.disabled => Err(format!("storage '{}' is disabled", storage.id)),
            _ => Ok(()),
        }
    }

    /// The format of a new volume there: `wanted`, if the storage can.
    pub(crate) fn format_on(&self, storage: &str, wanted: Option<&str>) -> Result<String, String> {
        self.usable(storage)?;
        let is_dir = self.storage(storage).is_ok_and(Storage::is_file_based);
        match wanted.unwrap_or("raw") {
            format if is_dir || format == "raw" => Ok(format.to_owned()),
            format => Err(format!("unsupported format '{format}'")),
        }
    }
}

/// The boot order that a VM without one gets: first disk, first CD drive, first network card.
pub(crate) fn default_boot(config: &Config) -> String {
    let first = |cdrom: bool| {
        boot_keys().find(|key| {
            config
                .get(key)
                .is_some_and(|text| is_cdrom(&parse(key, text)) == cdrom)
        })
    };
    let net = (0..32)
        .map(|i| format!("net{i}"))
        .find(|key| config.contains_key(key));
    let order: Vec<String> = [first(false), first(true), net]
        .into_iter()
        .flatten()
        .collect();
    if order.is_empty() {
        " ".to_owned()
    } else {
        format!("order={}", order.join(";"))
    }
}

/// What a copy of so many bytes says.
pub(crate) fn transferred(bytes: u64) -> [String; 2] {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = units.into_iter().find(|(_, shift)| bytes >> shift > 0);
    let (unit, shift) = unit.unwrap_or(("B", 0));
    let tenths = (bytes * 10) >> shift;
    let size = format!("{}.{} {unit}", tenths / 10, tenths % 10);
    [
        format!("transferred 0.0 B of {size} (0.00%)"),
        format!("transferred {size} of {size} (100.00%)"),
    ]
}

/// The bytes that the text of a drive tells.
pub(crate) fn bytes(drive: &Properties) -> u64 {
    drive
        .get("size")
        .and_then(|size| parse_size(size))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn asks(text: &str, expected: &Source) {
        assert_eq!(source(&parse("scsi0", text), Some("fallback")), *expected);
    }

    #[test]
    fn the_file_of_a_drive_tells_what_is_wanted() {
        asks("none,media=cdrom", &Source::Nothing);
        asks(
            "a:1.5,ssd=1",
            &Source::New {
                storage: "a".to_owned(),
                size: "1.5".to_owned(),
            },
        );
        asks(
            "a:cloudinit",
            &Source::CloudInit {
                storage: "a".to_owned(),
            },
        );
        asks(
            "a:0,import-from=b:import/x.qcow2",
            &Source::Import {
                storage: "a".to_owned(),
                from: "b:import/x.qcow2".to_owned(),
            },
        );
        asks(
            "a:vm-100-disk-0",
            &Source::Volume("a:vm-100-disk-0".to_owned()),
        );
        asks("/etc/passwd", &Source::Path);
    }

    #[test]
    fn the_default_boot_order_is_disk_cd_net() {
        let config = |text: &str| {
            text.split(' ')
                .filter_map(|p| p.split_once('='))
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect()
        };
        let check = |text, expected| assert_eq!(default_boot(&config(text)), expected);
        check("", " ");
        check(
            "sata0=a:1 scsi0=a:2 virtio1=a:3 ide2=none,media=cdrom net1=virtio",
            "order=scsi0;ide2;net1",
        );
        check("efidisk0=a:1", " ");
    }
}
