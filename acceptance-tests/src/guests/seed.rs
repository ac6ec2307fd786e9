//! Reads the files of a NoCloud seed out of its ISO 9660 image, since the kernel of the machine may not mount one.
//!
//! Reads the root directory only, by its Joliet names where it has them. No Rock Ridge, no multi-extent files.

use std::collections::BTreeMap;

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
            1 => label = String::from_utf8_lossy(&descriptor[40..72]).trim_end().to_owned(),
            255 => break,
            _ => {}
        }
    }
    let (root, joliet) = root.ok_or("the CD image has no root directory")?;
    if !label.eq_ignore_ascii_case("cidata") {
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

const CUT: &str = "the CD image is cut off";

fn slice(bytes: &[u8], at: usize, length: usize) -> Result<&[u8], String> {
    bytes.get(at..).and_then(|rest| rest.get(..length)).ok_or_else(|| CUT.to_owned())
}

/// What a directory record points at.
fn extent<'a>(image: &'a [u8], record: &[u8]) -> Result<&'a [u8], String> {
    let number = |at| -> Result<usize, String> {
        let bytes: [u8; 4] = slice(record, at, 4)?.try_into().expect("four bytes are four bytes");
        Ok(u32::from_le_bytes(bytes) as usize)
    };
    slice(image, number(2)? * SECTOR, number(10)?)
}

/// The name without its version; ISO 9660 knows capitals only, and a dot even where nothing follows.
fn file_name(name: &[u8], joliet: bool) -> String {
    let name = if joliet {
        let units = name.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    } else {
        String::from_utf8_lossy(name).to_lowercase()
    };
    let name = name.split(';').next().unwrap_or_default();
    name.trim_end_matches('.').to_owned()
}
