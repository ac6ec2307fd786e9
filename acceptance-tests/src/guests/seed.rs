//! Reads the files of a `NoCloud` seed out of its ISO 9660 image, since the kernel of the machine may not mount one.
//!
//! Reads the root directory only, by its Joliet names where it has them. No Rock Ridge, no multi-extent files.

use std::collections::BTreeMap;
use std::path::Path;

use super::rootfs;

const SECTOR: usize = 2048;

/// The files of the image by name, or `None` where the volume is not called `cidata`, so that cloud-init passes over it.
///
/// # Errors
/// A sentence, where the image is no ISO 9660 or points outside itself.
pub(crate) fn files(image: &[u8]) -> Result<Option<BTreeMap<String, Vec<u8>>>, String> {
    let mut root = None;
    let mut label = String::new();
    // The descriptors begin at sector 16 and end with type 255 (ECMA-119, 8.1).
    for sector in 16.. {
        let descriptor = slice(image, sector * SECTOR, SECTOR)?;
        if &descriptor[1..6] != b"CD001" {
            return Err("the CD image is no ISO 9660 file system".to_owned());
        }
        let joliet = descriptor[0] == 2 && matches!(&descriptor[88..91], b"%/@" | b"%/C" | b"%/E");
        if joliet || descriptor[0] == 1 && root.is_none() {
            root = Some((&descriptor[156..190], joliet));
        }
        match descriptor[0] {
            1 => label = String::from_utf8_lossy(&descriptor[40..72]).into_owned(),
            255 => break,
            _ => {}
        }
    }
    let (root, joliet) = root.ok_or("the CD image has no root directory")?;
    if !label
        .trim_end_matches([' ', '\0'])
        .eq_ignore_ascii_case("cidata")
    {
        return Ok(None);
    }
    let directory = extent(image, root)?;
    let mut files = BTreeMap::new();
    let mut at = 0;
    while at < directory.len() {
        let length = usize::from(directory[at]);
        if length == 0 {
            // A record never crosses a sector; the rest of this one is empty.
            at = (at / SECTOR + 1) * SECTOR;
            continue;
        }
        let record = slice(directory, at, length)?;
        at += length;
        let name = slice(record, 33, usize::from(*record.get(32).ok_or(CUT)?))?;
        let is_directory = record[25] & 2 != 0;
        if !is_directory {
            files.insert(file_name(name, joliet), extent(image, record)?.to_vec());
        }
    }
    Ok(Some(files))
}

/// Lays the files of a seed where cloud-init finds them, or takes away those of the last boot.
pub(crate) fn insert(guest: &Path, image: Option<&[u8]>) -> Result<(), String> {
    let seeds = guest.join("upper/var/lib/cloud/seed");
    rootfs::remove(&seeds)?;
    let Some(files) = image.map(files).transpose()?.flatten() else {
        return Ok(());
    };
    let failed = |error| format!("cannot write the seed: {error}");
    std::fs::create_dir_all(seeds.join("nocloud")).map_err(failed)?;
    for (name, bytes) in files {
        std::fs::write(seeds.join("nocloud").join(name), bytes).map_err(failed)?;
    }
    Ok(())
}

const CUT: &str = "the CD image is cut off";

fn slice(bytes: &[u8], at: usize, length: usize) -> Result<&[u8], String> {
    bytes
        .get(at..)
        .and_then(|rest| rest.get(..length))
        .ok_or_else(|| CUT.to_owned())
}

/// What a directory record points at.
fn extent<'a>(image: &'a [u8], record: &[u8]) -> Result<&'a [u8], String> {
    let number = |at| -> Result<usize, String> {
        let bytes: [u8; 4] = slice(record, at, 4)?
            .try_into()
            .expect("four bytes are four bytes");
        Ok(u32::from_le_bytes(bytes) as usize)
    };
    slice(image, number(2)? * SECTOR, number(10)?)
}

/// The name without its version; ISO 9660 knows capitals only, and a dot even where nothing follows.
fn file_name(name: &[u8], joliet: bool) -> String {
    let name = if joliet {
        let units = name
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        char::decode_utf16(units)
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    } else {
        String::from_utf8_lossy(name).to_lowercase()
    };
    let name = name.split(';').next().unwrap_or_default();
    name.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{file_name, files};
    use crate::guests::cd;

    #[test]
    fn files_come_by_their_joliet_names() {
        let long = "x".repeat(5000);
        let image = cd::seed(&[
            ("meta-data", "instance-id: 1\n"),
            ("user-data", &long),
            ("network-config", ""),
        ]);
        let files = files(&image)
            .expect("the image is whole")
            .expect("the label is cidata");
        let listed: Vec<(&str, usize)> = files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.len()))
            .collect();
        assert_eq!(
            listed,
            [
                ("meta-data", 15),
                ("network-config", 0),
                ("user-data", 5000)
            ]
        );
        assert_eq!(files["user-data"], long.as_bytes());
    }

    #[test]
    fn an_image_of_another_name_is_passed_over() {
        let mut image = cd::seed(&[("user-data", "#cloud-config\n")]);
        let label = 16 * super::SECTOR + 40;
        image[label..label + 6].copy_from_slice(b"OTHER ");
        assert_eq!(files(&image), Ok(None));
    }

    #[test]
    fn a_damaged_image_is_refused() {
        let image = cd::seed(&[("user-data", "#cloud-config\n")]);
        for length in (0..image.len() - super::SECTOR).step_by(512) {
            assert!(files(&image[..length]).is_err(), "cut off at {length}");
        }
        assert!(files(&vec![0; image.len()]).is_err());
    }

    #[test]
    fn primary_names_lose_their_version_and_dot() {
        assert_eq!(file_name(b"USER-DATA.;1", false), "user-data");
        assert_eq!(file_name(b"A.TXT;1", false), "a.txt");
    }
}
