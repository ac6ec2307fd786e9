//! How much of a volume the filesystem of a container's root leaves to files.
//!
//! A running container tells the size of its filesystem, a stopped one that of its volume.

/// Bytes of a block.
const BLOCK: u64 = 4096;
/// Blocks of a group.
const GROUP: u64 = 32_768;
/// Blocks of the inode table of a full group: an inode of 256 bytes for every 16 KiB.
const INODE_TABLE: u64 = 512;
/// Group descriptors that a block holds.
const DESCRIPTORS: u64 = 64;

/// The blocks of the journal that `mkfs.ext4` makes.
fn journal(blocks: u64) -> u64 {
    const K: u64 = 1024;
    match blocks / K {
        0..2 => 0,
        2..32 => K,
        32..256 => 4 * K,
        256..512 => 8 * K,
        512..4096 => 16 * K,
        4096..8192 => 32 * K,
        8192..16_384 => 64 * K,
        16_384..32_768 => 128 * K,
        _ => 256 * K,
    }
}

/// Whether a group has a copy of the superblock.
fn has_superblock(group: u64) -> bool {
    let is_power_of = |base: u64| {
        let powers = std::iter::successors(Some(base), |power| power.checked_mul(base));
        powers
            .take_while(|power| *power <= group)
            .any(|power| power == group)
    };
    group <= 1 || [3, 5, 7].into_iter().any(is_power_of)
}

/// The size that an ext4 filesystem on a volume of so many bytes tells.
pub(super) fn usable(bytes: u64) -> u64 {
    let blocks = bytes / BLOCK;
    let groups = blocks.div_ceil(GROUP);
    // There is room for the descriptors of a filesystem that grows to a thousand times its size.
    let descriptors = groups.div_ceil(DESCRIPTORS);
    let grown = (groups * 1024).div_ceil(DESCRIPTORS) - descriptors;
    let copies: u64 = (0..groups)
        .map(|group| u64::from(has_superblock(group)))
        .sum();
    let of_copy = 1 + descriptors + grown.min(BLOCK / 4);
    let tables = blocks * INODE_TABLE / GROUP;
    let overhead = journal(blocks) + tables + 2 * groups + copies * of_copy;
    blocks.saturating_sub(overhead) * BLOCK
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As genuine containers told them.
    #[test]
    fn a_filesystem_is_smaller_than_its_volume() {
        assert_eq!(usable(1 << 30), 1_020_702_720);
        assert_eq!(usable(1 << 29), 510_873_600);
        assert_eq!(usable(0), 0);
    }
}
