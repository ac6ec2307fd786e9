//! Checksums of files by the algorithm names of the API.
//!
//! MD5 is not offered: the simulator refuses it where a node would compute it.

use aws_lc_rs::digest;

/// A checksum in the making.
pub(crate) struct Checksum(digest::Context);

impl Checksum {
    /// Begins a checksum.
    pub(crate) fn new(algorithm: &str) -> Option<Self> {
        let algorithm = match algorithm {
            "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            "sha224" => &digest::SHA224,
            "sha256" => &digest::SHA256,
            "sha384" => &digest::SHA384,
            "sha512" => &digest::SHA512,
            _ => return None,
        };
        Some(Self(digest::Context::new(algorithm)))
    }

    /// Takes more of the file in.
    pub(crate) fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The checksum in hexadecimal.
    pub(crate) fn finish(self) -> String {
        hex(self.0.finish().as_ref())
    }
}

/// The checksum of `data`, if the algorithm is known.
pub(crate) fn of(algorithm: &str, data: &[u8]) -> Option<String> {
    let mut sum = Checksum::new(algorithm)?;
    sum.update(data);
    Some(sum.finish())
}

/// `data` in lower-case hexadecimal.
pub(crate) fn hex(data: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).expect("a nibble is below 16");
    data.iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// SHA-1 of a text, which configuration digests are.
pub(crate) fn sha1(text: &str) -> String {
    hex(sha1_bytes(text).as_ref())
}

/// SHA-1 of a text as bytes, which handshakes of websockets want.
pub(crate) fn sha1_bytes(text: &str) -> digest::Digest {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_has_the_known_checksum() {
        assert_eq!(sha1(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        let mut sum = Checksum::new("sha224").expect("it is known");
        sum.update(b"");
        assert_eq!(
            sum.finish(),
            "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f"
        );
        assert!(Checksum::new("crc32").is_none());
    }
}
