//! An ISO 9660 image with Joliet names, as blkid, the Linux kernel and cloud-init read it.
//!
//! Writes one flat directory of a few files: no subdirectories, no Rock Ridge, no boot record, no clock. The field
//! numbers are those of ECMA-119; the names that Linux shows come from the Joliet tree.

const SECTOR: usize = 2048;
const PRIMARY: u32 = 16;
const PATH_TABLES: u32 = 19;
const DIRECTORIES: u32 = 23;
const FILES: u32 = 25;
/// 1970-01-01, so that the bytes depend on the content alone.
const DATE: [u8; 7] = [70, 1, 1, 0, 0, 0, 0];

/// An image labelled `label` (at most 16 ASCII characters) that holds `files` (name and content).
pub fn image(label: &str, files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut files: Vec<_> = files.iter().collect();
    files.sort_by_key(|(name, _)| *name);
    let mut next = FILES;
    let extents: Vec<_> = (files.iter())
        .map(|(name, content)| {
            let start = next;
            next += sectors(content.len());
            Extent {
                name,
                start,
                length: length(content),
            }
        })
        .collect();

    let mut image = vec![0; PRIMARY as usize * SECTOR];
    for tree in [Tree::Primary, Tree::Joliet] {
        image.extend(tree.descriptor(label, next));
    }
    image.extend(sector(b"\xffCD001\x01"));
    for tree in [Tree::Primary, Tree::Joliet] {
        let root = tree.directory();
        for number in [root.to_le_bytes(), root.to_be_bytes()] {
            // The only entry is the root: name length, extent, its parent is itself.
            let parent = if number == root.to_le_bytes() {
                [1, 0]
            } else {
                [0, 1]
            };
            image.extend(sector(&[&[1, 0][..], &number, &parent, &[0, 0]].concat()));
        }
    }
    for tree in [Tree::Primary, Tree::Joliet] {
        image.extend(sector(&tree.listing(&extents)));
    }
    for (_, content) in files {
        image.extend(content);
        image.resize(image.len().next_multiple_of(SECTOR), 0);
    }
    image
}

struct Extent<'a> {
    name: &'a str,
    start: u32,
    length: u32,
}

#[derive(Clone, Copy)]
enum Tree {
    Primary,
    Joliet,
}

impl Tree {
    fn directory(self) -> u32 {
        DIRECTORIES + self as u32
    }

    /// 8.4 and 8.5: a volume descriptor.
    fn descriptor(self, label: &str, blocks: u32) -> Vec<u8> {
        let path_table = PATH_TABLES + 2 * self as u32;
        let (kind, escape): (u8, &[u8]) = match self {
            Self::Primary => (1, b""),
            Self::Joliet => (2, b"%/E"),
        };
        let mut bytes = vec![kind];
        bytes.extend(b"CD001\x01\0");
        bytes.extend(self.text("", 32));
        bytes.extend(self.text(label, 32));
        bytes.extend([0; 8]);
        bytes.extend(both32(blocks));
        bytes.extend(escape);
        bytes.resize(120, 0);
        bytes.extend([both16(1), both16(1), both16(2048)].concat());
        bytes.extend(both32(10));
        bytes.extend(path_table.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend((path_table + 1).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.root(b"\0"));
        // Volume set, publisher, preparer, application; then three names of files that there are not.
        for width in [128, 128, 128, 128, 37, 37, 37] {
            bytes.extend(self.text("", width));
        }
        for _ in 0..4 {
            bytes.extend(b"0000000000000000\0");
        }
        bytes.push(1);
        sector(&bytes)
    }

    /// 6.8: the root directory, which must stay within one sector.
    fn listing(self, extents: &[Extent<'_>]) -> Vec<u8> {
        let mut bytes = [self.root(b"\0"), self.root(b"\x01")].concat();
        for extent in extents {
            let identifier = match self {
                Self::Primary => format!("{}.;1", extent.name.to_ascii_uppercase()).into_bytes(),
                Self::Joliet => ucs2(extent.name),
            };
            bytes.extend(record(&identifier, extent.start, extent.length, 0));
        }
        bytes
    }

    fn root(self, identifier: &[u8]) -> Vec<u8> {
        record(identifier, self.directory(), 2048, 2)
    }

    /// A text field of `width` bytes, padded with blanks.
    fn text(self, text: &str, width: usize) -> Vec<u8> {
        let (mut bytes, blank) = match self {
            Self::Primary => (text.as_bytes().to_vec(), vec![b' ']),
            Self::Joliet => (ucs2(text), ucs2(" ")),
        };
        bytes.extend(blank.iter().cycle().take(width - bytes.len()));
        bytes
    }
}

/// 9.1: a directory record.
fn record(identifier: &[u8], start: u32, length: u32, flags: u8) -> Vec<u8> {
    let size = (33 + identifier.len()).next_multiple_of(2);
    let name = u8::try_from(identifier.len()).expect("names are those of a seed");
    let mut bytes = vec![u8::try_from(size).expect("names are those of a seed"), 0];
    bytes.extend([both32(start), both32(length)].concat());
    bytes.extend(DATE);
    bytes.extend([flags, 0, 0]);
    bytes.extend(both16(1));
    bytes.push(name);
    bytes.extend(identifier);
    bytes.resize(size, 0);
    bytes
}

fn sector(bytes: &[u8]) -> Vec<u8> {
    assert!(
        bytes.len() <= SECTOR,
        "a directory of {} bytes does not fit its sector",
        bytes.len()
    );
    let mut bytes = bytes.to_vec();
    bytes.resize(SECTOR, 0);
    bytes
}

fn sectors(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(SECTOR)).expect("a seed is far below 8 TiB")
}

fn length(content: &[u8]) -> u32 {
    u32::try_from(content.len()).expect("a seed is far below 4 GiB")
}

fn both16(number: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (number.to_le_bytes(), number.to_be_bytes());
    [a, b, c, d]
}

fn both32(number: u32) -> Vec<u8> {
    [number.to_le_bytes(), number.to_be_bytes()].concat()
}

fn ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(image: &[u8], at: usize) -> usize {
        u32::from_le_bytes(image[at..at + 4].try_into().unwrap()) as usize
    }

    /// Reads an image back by way of the descriptor in `sector`: names as bytes, with contents.
    fn read(image: &[u8], sector: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let descriptor = sector * SECTOR;
        assert_eq!(&image[descriptor + 1..descriptor + 6], b"CD001");
        assert_eq!(
            number(image, descriptor + 80) * SECTOR,
            image.len(),
            "volume size"
        );
        let root = number(image, descriptor + 156 + 2) * SECTOR;
        let path_table = number(image, descriptor + 140) * SECTOR;
        assert_eq!(number(image, path_table + 2) * SECTOR, root, "path table");
        let (mut at, mut files) = (root, Vec::new());
        while image[at] != 0 {
            let (start, length) = (number(image, at + 2) * SECTOR, number(image, at + 10));
            let name = &image[at + 33..at + 33 + usize::from(image[at + 32])];
            if image[at + 25] & 2 == 0 {
                files.push((name.to_vec(), image[start..start + length].to_vec()));
            }
            at += usize::from(image[at]);
        }
        files
    }

    #[test]
    fn both_trees_hold_every_file() {
        let large = vec![b'x'; 5000];
        let image = image(
            "cidata",
            &[("user-data", large.clone()), ("meta-data", b"id".to_vec())],
        );
        assert_eq!(image.len() % SECTOR, 0);
        assert_eq!(&image[16 * SECTOR + 40..16 * SECTOR + 47], b"cidata ");
        let primary = [
            (b"META-DATA.;1".to_vec(), b"id".to_vec()),
            (b"USER-DATA.;1".to_vec(), large.clone()),
        ];
        assert_eq!(read(&image, 16), primary);
        assert_eq!(
            read(&image, 17),
            [
                (ucs2("meta-data"), b"id".to_vec()),
                (ucs2("user-data"), large)
            ]
        );
        assert_eq!(image[18 * SECTOR], 255);
    }

    #[test]
    fn an_image_may_be_empty() {
        let image = image("pmoves", &[]);
        assert_eq!((read(&image, 16).len(), image.len()), (0, 25 * SECTOR));
    }
}
