//! Random identifiers: secrets, UUIDs, MAC addresses.
//!
//! Nothing here can be repeated; no test depends on a value of it.

use aws_lc_rs::rand;

use super::storage::checksum::hex;

/// Random bytes in hexadecimal.
pub(crate) fn random_hex(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    rand::fill(&mut buffer).expect("the system has randomness");
    hex(&buffer)
}

/// A random UUID.
pub(crate) fn random_uuid() -> String {
    let h = random_hex(16);
    format!(
        "{}-{}-4{}-a{}-{}",
        &h[..8],
        &h[8..12],
        &h[13..16],
        &h[17..20],
        &h[20..]
    )
}

/// A MAC address with the prefix that generated ones have.
pub(crate) fn random_mac() -> String {
    let tail = random_hex(3).to_uppercase();
    format!("BC:24:11:{}:{}:{}", &tail[..2], &tail[2..4], &tail[4..])
}
