//! The key that signs a package repository, checked by its fingerprint before apt trusts it.
//!
//! Does not verify signatures, and knows only version 4 keys (RFC 4880), which apt's repositories have.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::guest::{Error, Result, hex};

/// Fingerprint of the key of `download.docker.com`, as Docker's installation page gives it.
pub(super) const DOCKER: &str = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88";

const SIGNATURE: u8 = 2;
const PUBLIC_KEY: u8 = 6;
const USER_ID: u8 = 13;
const SUBKEY: u8 = 14;
const ATTRIBUTE: u8 = 17;

/// The binary key ring of `file` (armoured or not), which must hold the key `fingerprint` and no other.
///
/// # Errors
/// [`Error::Refused`] for another key, a second one, or something that is no key.
pub(super) fn verified(file: &[u8], fingerprint: &str) -> Result<Vec<u8>> {
    let refused = |why: String| {
        Err(Error::Refused(format!(
            "the key of the package repository is not trusted: {why}"
        )))
    };
    let Some(ring) = binary(file) else {
        return refused("it cannot be read".into());
    };
    let Some(packets) = packets(&ring) else {
        return refused("it cannot be read".into());
    };
    let mut found = Vec::new();
    for (tag, body) in packets {
        match tag {
            PUBLIC_KEY => found.push(print(body)),
            SIGNATURE | USER_ID | SUBKEY | ATTRIBUTE => {}
            _ => return refused(format!("it holds a packet of type {tag}")),
        }
    }
    let expected: String = fingerprint
        .chars()
        .filter(char::is_ascii_hexdigit)
        .collect();
    if found != [expected.to_ascii_uppercase()] {
        return refused(format!(
            "its fingerprint is {}, expected was {expected}",
            found.join(" and ")
        ));
    }
    Ok(ring)
}

fn binary(file: &[u8]) -> Option<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
    let Some(text) = std::str::from_utf8(file)
        .ok()
        .filter(|text| text.contains(BEGIN))
    else {
        return Some(file.to_vec());
    };
    let (_, rest) = text.split_once(BEGIN)?;
    let (body, _) = rest.split_once("-----END")?;
    let body = body.replace('\r', "");
    // Headers end with an empty line, the data with a checksum.
    let (_, body) = body.split_once("\n\n")?;
    let data: String = body
        .lines()
        .take_while(|line| !line.starts_with('='))
        .map(str::trim)
        .collect();
    BASE64_STANDARD.decode(data).ok()
}

/// Tags and bodies.
fn packets(mut ring: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut packets = Vec::new();
    while let Some((&header, rest)) = ring.split_first() {
        if header & 0x80 == 0 {
            return None;
        }
        let (tag, length, width) = if header & 0x40 == 0 {
            let width = 1 << (header & 3);
            ((header >> 2) & 0x0f, number(rest.get(..width)?), width)
        } else {
            let (length, width) = match *rest.first()? {
                short @ ..192 => (usize::from(short), 1),
                long @ 192..224 => (
                    (usize::from(long) - 192) * 256 + usize::from(*rest.get(1)?) + 192,
                    2,
                ),
                255 => (number(rest.get(1..5)?), 5),
                _ => return None,
            };
            (header & 0x3f, length, width)
        };
        packets.push((tag, rest.get(width..)?.get(..length)?));
        ring = &rest[width + length..];
    }
    Some(packets)
}

fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

fn print(body: &[u8]) -> String {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
    let hash = digest(
        &SHA1_FOR_LEGACY_USE_ONLY,
        &[&[0x99][..], &length, body].concat(),
    );
    hex(hash.as_ref()).to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `gpg --quick-generate-key` for this test.
    const KEY: &str = "\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawOrYhYJKwYBBAHaRw8BAQdAm7RAbCYMZ6BruRPo7YUedgb0gsEJVaVRb/qq
nz0nlNe0C3Btb3ZlcyB0ZXN0iJAEExYIADgWIQSivLZp7FrYRQgNlqzkmY4Qz3nm
cQUCawOrYgIbAwULCQgHAgYVCgkICwIEFgIDAQIeAQIXgAAKCRDkmY4Qz3nmcSVD
AP4oA2vTWiqUo/N9Q7g4Ia+/XGu9oHTmNbEU2CA0y6F0TgEAoVZ3zuleVdPIElmE
Q5Lx4inNaBz6Ge0ePGa32KYYGA8=
=Coxn
-----END PGP PUBLIC KEY BLOCK-----";
    const FINGERPRINT: &str = "A2BCB669EC5AD845080D96ACE4998E10CF79E671";

    #[track_caller]
    fn refused(file: &[u8], fingerprint: &str, why: &str) {
        let error = verified(file, fingerprint).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn only_the_expected_key_passes() {
        let ring = verified(KEY.as_bytes(), FINGERPRINT).unwrap();
        assert_eq!(verified(&ring, &FINGERPRINT.to_lowercase()).unwrap(), ring);
        refused(
            KEY.as_bytes(),
            DOCKER,
            &format!("its fingerprint is {FINGERPRINT}, expected was 9DC8"),
        );
        refused(&ring.repeat(2), FINGERPRINT, " and ");
        refused(&ring[..ring.len() - 1], FINGERPRINT, "cannot be read");
        refused(b"<html>not found</html>", FINGERPRINT, "cannot be read");
        refused(b"", FINGERPRINT, "its fingerprint is ");
    }
}
