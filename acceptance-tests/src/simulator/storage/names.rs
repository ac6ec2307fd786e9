//! What the name of a volume tells: its file, its type, its owner.

use super::Storage;
use super::kinds::Names;

impl Storage {
    /// The file of a volume name.
    pub(crate) fn file(&self, name: &str) -> String {
        let option = |name: &str| self.options.get(name).map_or("", String::as_str);
        let below = match (self.kind().names, name.split_once('/')) {
            (Names::Lvm, _) => return format!("/dev/{}/{name}", option("vgname")),
            (Names::Zfs, _) => {
                let own = name.rsplit('/').next().unwrap_or_default();
                let is_tree = own.starts_with("subvol-") || own.starts_with("basevol-");
                let root = if is_tree { "" } else { "/dev/zvol" };
                return format!("{root}/{}/{own}", option("pool"));
            }
            (Names::Pbs, _) => {
                return format!("{}:{}:{name}", option("server"), option("datastore"));
            }
            (Names::Files, Some(("iso", file))) => format!("template/iso/{file}"),
            (Names::Files, Some(("vztmpl", file))) => format!("template/cache/{file}"),
            (Names::Files, Some(("backup", file))) => format!("dump/{file}"),
            (Names::Files, Some(("import" | "snippets", _))) => name.to_owned(),
            (Names::Files, _) => format!("images/{}", image_name(name)),
        };
        format!("{}/{below}", self.path)
    }

    /// The type and owner that a volume name tells, or why it tells nothing.
    pub(crate) fn parse_name(&self, name: &str) -> Result<(&'static str, Option<u32>), String> {
        let what = match self.kind().names {
            Names::Files => return parse_file(name),
            Names::Pbs => {
                let parts: Vec<&str> = name.split('/').collect();
                let ["backup", "vm" | "ct", owner, _] = parts[..] else {
                    return Err(format!("unable to parse PBS volume name '{name}'"));
                };
                return Ok(("backup", owner.parse().ok()));
            }
            Names::Lvm => "lvm",
            Names::Zfs => "zfs",
        };
        // A linked clone of a dataset carries its base before it.
        let own = name.rsplit('/').next().filter(|_| what == "zfs");
        let owner = without_role(own.unwrap_or(name));
        match owner.and_then(|rest| rest.split('-').next()?.parse().ok()) {
            Some(owner) => Ok(("images", Some(owner))),
            None => Err(format!("unable to parse {what} volume name '{name}'")),
        }
    }
}

/// The type and owner of a file.
fn parse_file(name: &str) -> Result<(&'static str, Option<u32>), String> {
    let kinds = ["iso", "vztmpl", "import", "backup", "snippets"];
    if let Some((kind, file)) = name.split_once('/') {
        if let Some(kind) = kinds.into_iter().find(|known| *known == kind) {
            let guest = file.strip_prefix("vzdump-").filter(|_| kind == "backup");
            let owner = guest.and_then(|rest| rest.split('-').nth(1)?.parse().ok());
            return Ok((kind, owner));
        }
        let image = image_name(name);
        let owner = image.split('/').next().and_then(|owner| owner.parse().ok());
        if let Some(owner) = owner.filter(|_| !file.is_empty() && file.contains('.')) {
            return Ok(("images", Some(owner)));
        }
    }
    Err(format!("unable to parse directory volume name '{name}'"))
}

/// `100-disk-0` of `vm-100-disk-0`: images of guests tell what they are for.
pub(super) fn without_role(name: &str) -> Option<&str> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
        check(
            "backup/vzdump-qemu-100-2026_11_23-09_00_00.vma.zst",
            Ok(("backup", Some(100))),
        );
        let thin = Storage::lvmthin("local-lvm", "images");
        assert_eq!(thin.parse_name("vm-100-disk-0"), Ok(("images", Some(100))));
        let of = |kind| Storage::of_type("s", kind, "").expect("there are such storages");
        let zfs = of("zfspool");
        let clone = "base-100-disk-0/vm-101-disk-0";
        assert_eq!(zfs.parse_name(clone), Ok(("images", Some(101))));
        assert_eq!(zfs.file(clone), "/dev/zvol/rpool/data/vm-101-disk-0");
        assert_eq!(
            zfs.file("subvol-101-disk-0"),
            "/rpool/data/subvol-101-disk-0"
        );
        assert_eq!(
            of("pbs").parse_name("backup/vm/100/2026-11-23T09:00:00Z"),
            Ok(("backup", Some(100)))
        );
    }
}
