//! Data disks: a sparse file per volume, attached to a loop device that goes when nothing uses it any more.
//!
//! What is on them is the guest's affair. The disk that a guest boots from is no volume of this kind.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::simulator::machine::{Disk, Spec};

/// The volumes of a lab, by volume id.
#[derive(Debug)]
pub(crate) struct Volumes {
    directory: PathBuf,
    made: HashMap<String, Volume>,
    files: u32,
}

/// A volume that a guest has had.
#[derive(Debug)]
struct Volume {
    file: PathBuf,
    device: String,
    /// The loop device stays attached as long as it is open.
    _open: File,
    owner: u32,
}

/// A disk as its guest is to see it.
#[derive(Debug, PartialEq)]
pub(crate) struct Attached {
    /// Name in `/dev`.
    pub(crate) node: String,
    /// Name in `/dev/disk/by-id`.
    pub(crate) link: String,
    /// Minor number of the loop device.
    pub(crate) minor: String,
}

impl Volumes {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            made: HashMap::new(),
            files: 0,
        }
    }

    /// Makes the disk's volume, or brings the one there is to its size.
    pub(crate) async fn attach(&mut self, owner: u32, disk: &Disk) -> Result<Attached, String> {
        if self.made.contains_key(&disk.volume) {
            self.resize(&disk.volume, disk.bytes).await?;
        } else {
            self.files += 1;
            let file = self.directory.join(format!("disk-{}", self.files));
            let volume = Volume::new(owner, file, disk.bytes).await?;
            self.made.insert(disk.volume.clone(), volume);
        }
        let volume = &self.made[&disk.volume];
        let (node, link) = names(disk);
        Ok(Attached {
            node,
            link,
            minor: volume.device.trim_start_matches("/dev/loop").to_owned(),
        })
    }

    /// Grows a volume, which may be in use.
    pub(crate) async fn resize(&mut self, volume: &str, bytes: u64) -> Result<(), String> {
        let Some(volume) = self.made.get(volume) else {
            return Ok(());
        };
        let file = File::options()
            .write(true)
            .open(&volume.file)
            .map_err(|error| error.to_string())?;
        if file.metadata().map_err(|error| error.to_string())?.len() < bytes {
            file.set_len(bytes).map_err(|error| error.to_string())?;
            losetup(&["--set-capacity", &volume.device]).await?;
        }
        Ok(())
    }

    /// Frees the volumes of a guest that is gone.
    pub(crate) fn discard(&mut self, owner: u32) {
        for (_, volume) in self.made.extract_if(|_, volume| volume.owner == owner) {
            // What stays behind goes with the lab's directory.
            let _ = std::fs::remove_file(volume.file);
        }
    }
}

impl Volume {
    async fn new(owner: u32, file: PathBuf, bytes: u64) -> Result<Self, String> {
        let failed =
            |error: std::io::Error| format!("cannot make the disk {}: {error}", file.display());
        File::create(&file)
            .and_then(|file| file.set_len(bytes))
            .map_err(failed)?;
        let path = file
            .to_str()
            .ok_or("the cache has a path that is no UTF-8")?;
        let device = losetup(&["--find", "--show", path])
            .await?
            .trim()
            .to_owned();
        let open = File::options()
            .read(true)
            .write(true)
            .open(&device)
            .map_err(failed)?;
        // It is in use, so this only makes the kernel detach it at the last close: ours, or that of a mount in a guest.
        losetup(&["--detach", &device]).await?;
        Ok(Self {
            file,
            device,
            _open: open,
            owner,
        })
    }
}

async fn losetup(arguments: &[&str]) -> Result<String, String> {
    let run = Command::new("losetup").args(arguments).output().await;
    let output = run.map_err(|error| format!("cannot run losetup: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!(
        "losetup {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    ))
}

/// Whether the guest boots from this disk: it came from an image, or is the first of its bus where none did.
pub(crate) fn is_boot_disk(disk: &Disk, spec: &Spec) -> bool {
    match spec.disks.iter().find(|disk| disk.image.is_some()) {
        Some(boot) => boot.slot == disk.slot,
        None => {
            disk.slot.ends_with("si0")
                || disk.slot.ends_with("io0")
                || disk.slot == "sata0"
                || disk.slot == "ide0"
        }
    }
}

/// The name in `/dev` that QEMU's hardware and Linux give to a slot, and udev's name by serial number.
fn names(disk: &Disk) -> (String, String) {
    let bus = disk
        .slot
        .trim_end_matches(|digit: char| digit.is_ascii_digit());
    let number: u8 = disk.slot[bus.len()..].parse().unwrap_or(0);
    let letter = char::from(b'a' + number.min(25));
    let serial = disk.serial.as_deref();
    match bus {
        // The kernel keeps 20 bytes of a virtio serial, and udev makes no link without one.
        "virtio" => {
            let serial = serial.map_or_else(
                || format!("drive-{}", disk.slot),
                |serial| serial.chars().take(20).collect(),
            );
            (format!("vd{letter}"), format!("virtio-{serial}"))
        }
        "sata" | "ide" => {
            let serial = serial.map_or_else(|| format!("QM{:05}", number + 1), ToOwned::to_owned);
            (format!("sd{letter}"), format!("ata-QEMU_HARDDISK_{serial}"))
        }
        _ => {
            let serial = serial.map_or_else(|| format!("drive-{}", disk.slot), ToOwned::to_owned);
            (
                format!("sd{letter}"),
                format!("scsi-0QEMU_QEMU_HARDDISK_{serial}"),
            )
        }
    }
}

/// The line of the guest's `disks` file, which guest-init.sh reads.
pub(crate) fn line(disk: &Attached) -> String {
    format!("{} {} {}\n", disk.node, disk.link, disk.minor)
}

/// Shows a disk in a guest that runs, whose `/dev` is seen through its init.
pub(crate) async fn plug(run: &Path, init: u32, disk: &Attached) -> Result<(), String> {
    let status = Command::new("bash")
        .arg(run.join("disk.sh"))
        .arg(format!("/proc/{init}/root/dev"))
        .args([&disk.node, &disk.link, &disk.minor])
        .status()
        .await
        .map_err(|error| error.to_string())?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("disk.sh: {status}"))
    }
}

#[cfg(test)]
mod tests {
    use super::names;
    use crate::simulator::machine::Disk;

    #[track_caller]
    fn check(slot: &str, serial: Option<&str>, node: &str, link: &str) {
        let serial = serial.map(ToOwned::to_owned);
        let disk = Disk {
            slot: slot.to_owned(),
            volume: String::new(),
            serial,
            bytes: 0,
            image: None,
        };
        assert_eq!(names(&disk), (node.to_owned(), link.to_owned()));
    }

    #[test]
    fn disks_are_named_as_udev_names_them() {
        check(
            "scsi1",
            Some("pmoves-data"),
            "sdb",
            "scsi-0QEMU_QEMU_HARDDISK_pmoves-data",
        );
        check("scsi2", None, "sdc", "scsi-0QEMU_QEMU_HARDDISK_drive-scsi2");
        check(
            "virtio1",
            Some("a-serial-of-more-than-twenty"),
            "vdb",
            "virtio-a-serial-of-more-tha",
        );
        check("sata1", None, "sdb", "ata-QEMU_HARDDISK_QM00002");
    }
}
