//! Writes the small CD images that tests of guests boot with.
//!
//! Files of the root directory only. What the provider writes itself is tested with the provider.

const SECTOR: usize = 2048;
/// Where the two directories and then the files begin, in sectors.
const PRIMARY: usize = 19;
const JOLIET: usize = 20;
const FILES: usize = 21;

/// A `cidata` image of these files, by name and content. Its primary names are shouted and cut off at the dot, so that only
/// a reader of the Joliet names finds `user-data`.
pub fn seed(files: &[(&str, &str)]) -> Vec<u8> {
    let mut image = vec![0; 16 * SECTOR];
    for (kind, root, escape) in [(1, PRIMARY, &b""[..]), (2, JOLIET, b"%/E")] {
        let mut descriptor = vec![0; SECTOR];
        descriptor[..7].copy_from_slice(&[kind, b'C', b'D', b'0', b'0', b'1', 1]);
        let label = format!("{:32}", "cidata");
        let label = if kind == 1 {
            label.to_uppercase().into_bytes()
        } else {
            ucs2(&label[..16])
        };
        descriptor[40..72].copy_from_slice(&label);
        descriptor[88..88 + escape.len()].copy_from_slice(escape);
        descriptor[156..190].copy_from_slice(&record(&[0], root, SECTOR, true));
        image.extend(descriptor);
    }
    let mut end = vec![0; SECTOR];
    end[..7].copy_from_slice(b"\xffCD001\x01");
    image.extend(end);
    for (root, joliet) in [(PRIMARY, false), (JOLIET, true)] {
        let mut directory = [
            record(&[0], root, SECTOR, true),
            record(&[1], root, SECTOR, true),
        ]
        .concat();
        let mut at = FILES;
        for (name, content) in files {
            let name = if joliet {
                ucs2(&format!("{name};1"))
            } else {
                primary(name)
            };
            directory.extend(record(&name, at, content.len(), false));
            at += content.len().div_ceil(SECTOR);
        }
        directory.resize(SECTOR, 0);
        image.extend(directory);
    }
    for (_, content) in files {
        image.extend(content.as_bytes());
        image.resize(image.len().next_multiple_of(SECTOR), 0);
    }
    image
}

fn primary(name: &str) -> Vec<u8> {
    format!(
        "{}.;1",
        name.chars()
            .take(8)
            .collect::<String>()
            .to_uppercase()
            .replace('-', "_")
    )
    .into_bytes()
}

fn ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// A directory record (ECMA-119, 9.1); numbers are little-endian and big-endian side by side.
fn record(name: &[u8], sector: usize, length: usize, directory: bool) -> Vec<u8> {
    let mut record = vec![0; (33 + name.len()).next_multiple_of(2)];
    record[0] = u8::try_from(record.len()).expect("names of seeds are short");
    for (at, number) in [(2, sector), (10, length)] {
        let number = u32::try_from(number).expect("seeds are small");
        record[at..at + 4].copy_from_slice(&number.to_le_bytes());
        record[at + 4..at + 8].copy_from_slice(&number.to_be_bytes());
    }
    record[25] = if directory { 2 } else { 0 };
    record[28..32].copy_from_slice(&[1, 0, 0, 1]);
    record[32] = u8::try_from(name.len()).expect("names of seeds are short");
    record[33..33 + name.len()].copy_from_slice(name);
    record
}
