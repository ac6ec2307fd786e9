//! Storages and the volumes on them: names, paths, allocation.
//!
//! No disk contents are kept beside what was uploaded or downloaded; guests have their own.

pub(crate) mod allocate;
pub(crate) mod calls;
pub(crate) mod checksum;
pub(crate) mod config;
pub(crate) mod download;
pub(crate) mod upload;
mod wget;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use axum::body::Bytes;

use super::reply::Fail;
use super::saved;
use super::world::{Place, State, World};

/// A storage of the cluster.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Storage {
    /// Its id, such as `local`.
    pub id: String,
    /// `dir`, `lvmthin`, …
    pub kind: String,
    /// Content types, separated by commas.
    pub content: String,
    /// The directory of a file-based storage.
    pub path: String,
    /// Whether all nodes see the same volumes.
    pub shared: bool,
    /// Whether it is switched off.
    pub disabled: bool,
    /// Its size in bytes.
    pub total: u64,
    /// Whether it is there because nothing was ever configured; the first change of any storage ends that.
    pub implicit: bool,
    /// Further options as they are configured, such as `nodes`.
    pub options: BTreeMap<String, String>,
}

impl Storage {
    /// A directory.
    pub fn dir(id: &str, path: &str, content: &str) -> Self {
        Self {
            id: id.to_owned(),
            kind: "dir".to_owned(),
            content: content.to_owned(),
            path: path.to_owned(),
            shared: false,
            disabled: false,
            total: 256 << 30,
            implicit: false,
            options: BTreeMap::new(),
        }
    }

    /// A thin pool.
    pub fn lvmthin(id: &str, content: &str) -> Self {
        Self {
            kind: "lvmthin".to_owned(),
            ..Self::dir(id, "", content)
        }
    }

    /// Whether it holds content of this type.
    pub fn has(&self, content: &str) -> bool {
        self.content.split(',').any(|one| one == content)
    }

    /// Whether the node may use it.
    pub(crate) fn is_on(&self, node: &str) -> bool {
        self.options
            .get("nodes")
            .is_none_or(|nodes| nodes.split(',').any(|one| one == node))
    }

    pub(crate) fn is_file_based(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "dir" | "nfs" | "cifs" | "cephfs" | "btrfs"
        )
    }

    /// The file of a volume name.
    pub(crate) fn file(&self, name: &str) -> String {
        if !self.is_file_based() {
            return format!("/dev/pve/{name}");
        }
        let below = match name.split_once('/') {
            Some(("iso", file)) => format!("template/iso/{file}"),
            Some(("vztmpl", file)) => format!("template/cache/{file}"),
            Some(("backup", file)) => format!("dump/{file}"),
            Some(("import" | "snippets", _)) => name.to_owned(),
            _ => format!("images/{}", image_name(name)),
        };
        format!("{}/{below}", self.path)
    }

    /// The type and owner that a volume name tells, or why it tells nothing.
    pub(crate) fn parse_name(&self, name: &str) -> Result<(&'static str, Option<u32>), String> {
        if !self.is_file_based() {
            let owner = without_role(name);
            let owner = owner.and_then(|rest| rest.split('-').next()?.parse().ok());
            return match owner {
                Some(owner) => Ok(("images", Some(owner))),
                None => Err(format!("unable to parse lvm volume name '{name}'")),
            };
        }
        let kinds = ["iso", "vztmpl", "import", "backup", "snippets"];
        if let Some((kind, file)) = name.split_once('/') {
            if let Some(kind) = kinds.into_iter().find(|known| *known == kind) {
                return Ok((kind, None));
            }
            let image = image_name(name);
            let owner = image.split('/').next().and_then(|owner| owner.parse().ok());
            if let Some(owner) = owner.filter(|_| !file.is_empty() && file.contains('.')) {
                return Ok(("images", Some(owner)));
            }
        }
        Err(format!("unable to parse directory volume name '{name}'"))
    }
}

/// `100-disk-0` of `vm-100-disk-0`: images of guests tell what they are for.
fn without_role(name: &str) -> Option<&str> {
    let roles = ["vm-", "base-", "subvol-", "basevol-"];
    roles.iter().find_map(|role| name.strip_prefix(role))
}

/// `123/vm-123-disk-0.qcow2` of a linked clone's `122/base-122-disk-0.qcow2/123/vm-123-disk-0.qcow2`.
fn image_name(name: &str) -> &str {
    match name.match_indices('/').nth(1) {
        Some((at, _)) => &name[at + 1..],
        None => name,
    }
}

/// A volume.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Volume {
    #[serde(deserialize_with = "saved::word")]
    pub(crate) content: saved::Word,
    pub(crate) format: String,
    /// The size that a guest sees, or that a file has.
    pub(crate) bytes: u64,
    pub(crate) ctime: i64,
    pub(crate) owner: Option<u32>,
    /// The volume that a disk was imported from.
    pub(crate) image: Option<String>,
    /// The base of a linked clone.
    pub(crate) parent: Option<String>,
    /// The bytes of an uploaded or downloaded file; of a big one only the beginning.
    #[serde(with = "saved::base64")]
    pub(crate) data: Bytes,
    /// The checksums that are known, by algorithm.
    pub(crate) sums: BTreeMap<String, String>,
    /// The size as a disk, which differs from that of a compact image file.
    pub(crate) virtual_bytes: u64,
}

impl Volume {
    pub(crate) fn disk(owner: u32, format: &str, bytes: u64) -> Self {
        Self {
            content: "images",
            format: format.to_owned(),
            bytes,
            ctime: World::now(),
            owner: Some(owner),
            image: None,
            parent: None,
            data: Bytes::new(),
            sums: BTreeMap::new(),
            virtual_bytes: bytes,
        }
    }

    /// A file of `bytes` bytes that begins with `data`.
    pub(crate) fn file(content: &'static str, name: &str, bytes: u64, data: Bytes) -> Self {
        let format = match (content, name.rsplit('.').next().unwrap_or_default()) {
            ("iso", _) => "iso".to_owned(),
            ("vztmpl", "zst") => "tzst".to_owned(),
            ("vztmpl", "gz") => "tgz".to_owned(),
            ("vztmpl", "xz") => "txz".to_owned(),
            (_, extension) => extension.to_owned(),
        };
        let virtual_bytes = qcow2_size(&data).unwrap_or_else(|| bytes.max(1).next_multiple_of(512));
        Self {
            content,
            format,
            owner: None,
            data,
            virtual_bytes,
            ..Self::disk(0, "raw", bytes)
        }
    }
}

impl Volume {
    /// The checksum of the file, if it is known or can be computed.
    pub(crate) fn sum(&self, algorithm: &str) -> Option<String> {
        if let Some(known) = self.sums.get(algorithm) {
            return Some(known.clone());
        }
        let mut sum = checksum::Checksum::new(algorithm)?;
        sum.update(&self.data);
        Some(sum.finish())
    }
}

/// The disk size in the header of a qcow2 image.
fn qcow2_size(data: &[u8]) -> Option<u64> {
    let size = data.get(24..32).filter(|_| data.starts_with(b"QFI\xfb"))?;
    Some(u64::from_be_bytes(size.try_into().ok()?))
}

/// `32G`, `2252M`, `512`: the largest unit that divides the size.
pub(crate) fn format_size(bytes: u64) -> String {
    let units = [("T", 40), ("G", 30), ("M", 20), ("K", 10)];
    let fits = |(_, shift): &(&str, u32)| bytes > 0 && bytes.trailing_zeros() >= *shift;
    match units.into_iter().find(fits) {
        Some((unit, shift)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// The bytes of `32G`, `1.5G`, `512`.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let text = text.strip_suffix("iB").unwrap_or(text);
    let shift = match text.chars().last()? {
        'K' => 10,
        'M' => 20,
        'G' => 30,
        'T' => 40,
        _ => 0,
    };
    let number = if shift == 0 {
        text
    } else {
        &text[..text.len() - 1]
    };
    gib_fraction(number, 1 << shift)
}

/// `number` (with at most a decimal fraction) times `unit`, cut to whole bytes.
pub(crate) fn gib_fraction(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut bytes = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    if !fraction.is_empty() {
        let digits = &fraction[..fraction.len().min(9)];
        let scale = 10_u128.pow(u32::try_from(digits.len()).ok()?);
        let part = digits.parse::<u128>().ok()? * u128::from(unit) / scale;
        bytes += u64::try_from(part).ok()?;
    }
    Some(bytes)
}

impl State {
    /// The key of a volume as a node sees it.
    pub(crate) fn place(&self, node: &str, volume: &str) -> Place {
        let storage = volume.split(':').next().unwrap_or_default();
        let shared = self.storages.iter().any(|s| s.id == storage && s.shared);
        (
            if shared {
                String::new()
            } else {
                node.to_owned()
            },
            volume.to_owned(),
        )
    }

    /// The volume, if there is one.
    pub(crate) fn volume(&self, node: &str, id: &str) -> Option<&Volume> {
        self.volumes.get(&self.place(node, id))
    }

    /// The volume, or the error that a missing one gives.
    pub(crate) fn existing(&self, node: &str, id: &str) -> Result<&Volume, Fail> {
        self.volume(node, id)
            .ok_or_else(|| Fail::died(format!("volume '{id}' does not exist")))
    }

    /// Puts a volume there.
    pub(crate) fn put_volume(&mut self, node: &str, id: &str, volume: Volume) {
        let place = self.place(node, id);
        self.volumes.insert(place, volume);
    }

    /// Frees a volume; a base that linked clones need stays.
    pub(crate) fn free_volume(&mut self, node: &str, id: &str) -> Result<(), String> {
        if self
            .volumes
            .values()
            .any(|volume| volume.parent.as_deref() == Some(id))
        {
            return Err(format!(
                "base volume '{id}' is still in use by linked cloned"
            ));
        }
        let place = self.place(node, id);
        self.volumes.remove(&place);
        Ok(())
    }

    /// The id of a new disk: the lowest free number of the guest on that storage.
    pub(crate) fn free_disk_name(
        &self,
        node: &str,
        storage: &str,
        owner: u32,
        format: &str,
    ) -> String {
        let is_dir = self
            .storages
            .iter()
            .any(|s| s.id == storage && s.is_file_based());
        let taken = |number: u32| {
            let stem = format!("{owner}-disk-{number}");
            self.volumes.keys().any(|(place, id)| {
                let file = id.rsplit(['/', ':']).next().unwrap_or_default();
                let name = without_role(file);
                (place.is_empty() || place == node)
                    && id.split(':').next() == Some(storage)
                    && name.and_then(|name| name.split('.').next()) == Some(&stem)
            })
        };
        let number = (0..u32::MAX)
            .find(|number| !taken(*number))
            .unwrap_or(u32::MAX);
        let name = format!("vm-{owner}-disk-{number}");
        if is_dir {
            format!("{storage}:{owner}/{name}.{format}")
        } else {
            format!("{storage}:{name}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_in_the_largest_unit_that_divides() {
        let check = |bytes, text| assert_eq!(format_size(bytes), text);
        check(34_359_738_368, "32G");
        check(3_758_096_384, "3584M");
        check(2_361_393_152, "2252M");
        check(4_194_304, "4M");
        check(540_672, "528K");
        check(1000, "1000");
    }

    #[test]
    fn sizes_are_read_with_fractions() {
        let check = |text, bytes| assert_eq!(parse_size(text), bytes);
        check("32G", Some(34_359_738_368));
        check("1.5G", Some(1_610_612_736));
        check("512", Some(512));
        check("350KiB", Some(358_400));
        check("big", None);
    }

    #[test]
    fn names_tell_type_and_owner() {
        let dir = Storage::dir("local", "/var/lib/vz", "iso");
        let check = |name: &str, expected| assert_eq!(dir.parse_name(name), expected);
        check("iso/x.iso", Ok(("iso", None)));
        check("100/vm-100-disk-0.raw", Ok(("images", Some(100))));
        check(
            "122/base-122-disk-0.qcow2/123/vm-123-disk-0.qcow2",
            Ok(("images", Some(123))),
        );
        check(
            "abc",
            Err("unable to parse directory volume name 'abc'".to_owned()),
        );
        assert_eq!(
            dir.file("100/vm-100-disk-0.raw"),
            "/var/lib/vz/images/100/vm-100-disk-0.raw"
        );
        let thin = Storage::lvmthin("local-lvm", "images");
        assert_eq!(thin.parse_name("vm-100-disk-0"), Ok(("images", Some(100))));
    }
}
