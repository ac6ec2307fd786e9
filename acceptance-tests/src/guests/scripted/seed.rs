//! Reads the files of a `NoCloud` seed: the root directory of an ISO 9660 image.
//!
//! Does not descend into directories and reads no extents beyond the first; a seed has neither.

use std::collections::HashMap;

const SECTOR: usize = 2048;

/// The files of the volume `cidata` by lower-case name, as text.
///
/// # Errors
/// In words, when the bytes are no such image.
pub(super) fn files(iso: &[u8]) -> Result<HashMap<String, String>, String> {
    let (descriptor, joliet) = descriptor(iso)?;
    let label = name(&descriptor[40..72], joliet);
    if !label
        .trim_matches([' ', '\0'])
        .eq_ignore_ascii_case("cidata")
    {
        return Err(format!("the volume is called {label:?}, not cidata"));
    }
    let root = &descriptor[156..190];
    let mut files = HashMap::new();
    let mut directory = extent(iso, root)?;
    while let Some(&length) = directory.first() {
        let length = usize::from(length);
        if length == 0 {
            // Records do not cross sectors: the rest of this one is padding.
            let rest = directory.len() % SECTOR;
            let skip = if rest == 0 { SECTOR } else { rest };
            directory = directory.get(skip..).unwrap_or_default();
            continue;
        }
        let record = directory.get(..length).filter(|record| record.len() > 33);
        let record = record.ok_or("a directory record is cut off")?;
        directory = &directory[length..];
        let name_length = usize::from(record[32]);
        let identifier = record.get(33..33 + name_length);
        let identifier = identifier.ok_or("a file name is cut off")?;
        if record[25] & 2 != 0 || identifier.len() < 2 {
            continue;
        }
        let system_use = &record[(33 + name_length + (1 - name_length % 2)).min(length)..];
        let name = match rock_ridge(system_use) {
            Some(name) if !joliet => name,
            _ => name(identifier, joliet),
        };
        let name = name.split(';').next().unwrap_or_default().to_lowercase();
        let name = if joliet { name } else { name.replace('_', "-") };
        let text = String::from_utf8(extent(iso, record)?.to_vec());
        let text = text.map_err(|_| format!("{name} is not UTF-8"))?;
        files.insert(name.trim_end_matches('.').to_owned(), text);
    }
    Ok(files)
}

/// The Joliet volume descriptor where there is one, else the primary one.
fn descriptor(iso: &[u8]) -> Result<(&[u8], bool), String> {
    let mut primary = None;
    for sector in iso.chunks_exact(SECTOR).skip(16) {
        if &sector[1..6] != b"CD001" {
            break;
        }
        match sector[0] {
            1 => primary = Some(sector),
            2 if sector[88..91].starts_with(b"%/") => return Ok((sector, true)),
            255 => break,
            _ => {}
        }
    }
    let primary = primary.ok_or("no ISO 9660 volume descriptor")?;
    Ok((primary, false))
}

fn extent<'a>(iso: &'a [u8], record: &[u8]) -> Result<&'a [u8], String> {
    let number = |at: usize| {
        let bytes: [u8; 4] = record[at..at + 4].try_into().expect("four bytes");
        usize::try_from(u32::from_le_bytes(bytes)).expect("fits an address")
    };
    let start = number(2) * SECTOR;
    iso.get(start..start + number(10))
        .ok_or_else(|| "a file lies outside the image".to_owned())
}

fn name(bytes: &[u8], joliet: bool) -> String {
    if !joliet {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let units = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    char::decode_utf16(units)
        .map(|c| c.unwrap_or('?'))
        .collect()
}

/// The alternate name (`NM`) of the Rock Ridge extension.
fn rock_ridge(mut entries: &[u8]) -> Option<String> {
    while entries.len() > 5 {
        let length = usize::from(entries[2]).max(4);
        if &entries[..2] == b"NM" {
            let name = entries.get(5..length)?;
            return Some(String::from_utf8_lossy(name).into_owned());
        }
        entries = entries.get(length..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image with one file in its root directory.
    fn image(label: &str, identifier: &[u8], system_use: &[u8], joliet: bool) -> Vec<u8> {
        let wide = |text: &str| -> Vec<u8> {
            if joliet {
                text.encode_utf16().flat_map(u16::to_be_bytes).collect()
            } else {
                text.as_bytes().to_vec()
            }
        };
        let record = |extent: u32, size: u32, flags: u8, name: &[u8], system_use: &[u8]| {
            let mut record = vec![0; 33];
            record[2..6].copy_from_slice(&extent.to_le_bytes());
            record[10..14].copy_from_slice(&size.to_le_bytes());
            record[25] = flags;
            record[32] = u8::try_from(name.len()).expect("it is short");
            record.extend(name);
            if name.len().is_multiple_of(2) {
                record.push(0);
            }
            record.extend(system_use);
            record[0] = u8::try_from(record.len()).expect("it is short");
            record
        };
        let mut iso = vec![0; 21 * SECTOR];
        let at = 16 * SECTOR;
        iso[at] = if joliet { 2 } else { 1 };
        iso[at + 1..at + 6].copy_from_slice(b"CD001");
        let label = wide(label);
        iso[at + 40..at + 72].fill(if joliet { 0 } else { b' ' });
        iso[at + 40..at + 40 + label.len()].copy_from_slice(&label);
        if joliet {
            iso[at + 88..at + 91].copy_from_slice(b"%/E");
        }
        let root = record(19, 2048, 2, &[0], &[]);
        iso[at + 156..at + 156 + root.len()].copy_from_slice(&root);
        let mut entries = root;
        entries.extend(record(20, 5, 0, identifier, system_use));
        iso[19 * SECTOR..19 * SECTOR + entries.len()].copy_from_slice(&entries);
        iso[20 * SECTOR..20 * SECTOR + 5].copy_from_slice(b"hello");
        iso
    }

    #[track_caller]
    fn check(iso: &[u8], expected: Result<&str, &str>) {
        let found = files(iso).map(|files| files.get("user-data").cloned().unwrap_or_default());
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn user_data_is_found_by_its_joliet_rock_ridge_or_plain_name() {
        let wide: Vec<u8> = "user-data;1"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        check(&image("cidata", &wide, &[], true), Ok("hello"));
        check(
            &image("cidata", b"USER_DAT.;1", b"NM\x0e\x01\0user-data", false),
            Ok("hello"),
        );
        check(&image("CIDATA", b"USER_DATA;1", &[], false), Ok("hello"));
    }

    #[test]
    fn other_images_are_refused() {
        let other = image("other", b"USER_DATA;1", &[], false);
        check(
            &other,
            Err("the volume is called \"other                           \", not cidata"),
        );
        check(&[0; 4096], Err("no ISO 9660 volume descriptor"));
    }
}
