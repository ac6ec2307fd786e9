//! Builds the cloud-init seeds of the tests.

/// A Joliet image with the given files in its root directory.
pub(crate) fn seed(files: &[(&str, &str)]) -> Vec<u8> {
    const SECTOR: usize = 2048;
    let wide = |text: &str| {
        text.encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect::<Vec<u8>>()
    };
    let record = |sector: usize, size: usize, flags: u8, name: &[u8]| {
        let mut record = vec![0; 33];
        record[2..6].copy_from_slice(&u32::try_from(sector).expect("it works").to_le_bytes());
        record[10..14].copy_from_slice(&u32::try_from(size).expect("it works").to_le_bytes());
        record[25] = flags;
        record[32] = u8::try_from(name.len()).expect("it works");
        record.extend(name);
        if name.len().is_multiple_of(2) {
            record.push(0);
        }
        record[0] = u8::try_from(record.len()).expect("it works");
        record
    };
    let mut iso = vec![0; (19 + files.len()) * SECTOR];
    let at = 16 * SECTOR;
    iso[at] = 2;
    iso[at + 1..at + 6].copy_from_slice(b"CD001");
    iso[at + 40..at + 52].copy_from_slice(&wide("cidata"));
    iso[at + 88..at + 91].copy_from_slice(b"%/E");
    let root = record(18, SECTOR, 2, &[0]);
    iso[at + 156..at + 156 + root.len()].copy_from_slice(&root);
    let mut directory = root;
    for (index, (name, text)) in files.iter().enumerate() {
        let sector = 19 + index;
        directory.extend(record(sector, text.len(), 0, &wide(name)));
        iso[sector * SECTOR..sector * SECTOR + text.len()].copy_from_slice(text.as_bytes());
    }
    iso[18 * SECTOR..18 * SECTOR + directory.len()].copy_from_slice(&directory);
    iso
}
