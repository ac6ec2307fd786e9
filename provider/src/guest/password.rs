//! Password hashes as crypt(5) reads them: SHA-512-crypt with its default of 5000 rounds.
//!
//! Does not verify passwords. The method is Ulrich Drepper's "Unix crypt using SHA-256 and SHA-512".

use aws_lc_rs::{
    digest::{SHA512, digest},
    rand,
};

const ROUNDS: usize = 5000;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `$6$<salt>$<hash>` of a password, with a random salt.
pub fn password_hash(plain: &str) -> String {
    let mut random = [0; 16];
    rand::fill(&mut random).expect("the operating system has random numbers");
    let salt: String = random.iter().map(|byte| letter(u32::from(*byte))).collect();
    crypt(plain.as_bytes(), &salt)
}

fn crypt(password: &[u8], salt: &str) -> String {
    let (password_length, salt_bytes) = (password.len(), salt.as_bytes());
    let alternate = sha512(&[password, salt_bytes, password]);

    let mut input = [password, salt_bytes, &repeat(&alternate, password_length)].concat();
    let mut bits = password_length;
    while bits > 0 {
        input.extend(if bits & 1 == 1 {
            &alternate[..]
        } else {
            password
        });
        bits >>= 1;
    }
    let mut sum = sha512(&[&input]);

    let p = repeat(
        &sha512(&[&password.repeat(password_length)]),
        password_length,
    );
    let s = repeat(
        &sha512(&[&salt_bytes.repeat(16 + usize::from(sum[0]))]),
        salt_bytes.len(),
    );
    for round in 0..ROUNDS {
        let odd = round % 2 == 1;
        let first = if odd { &p[..] } else { &sum[..] };
        let last = if odd { &sum[..] } else { &p[..] };
        let s = if round % 3 == 0 { &[][..] } else { &s[..] };
        let again = if round % 7 == 0 { &[][..] } else { &p[..] };
        sum = sha512(&[first, s, again, last]);
    }
    format!("$6${salt}${}", encode(&sum))
}

fn sha512(parts: &[&[u8]]) -> [u8; 64] {
    digest(&SHA512, &parts.concat())
        .as_ref()
        .try_into()
        .expect("SHA-512 has 64 bytes")
}

fn repeat(block: &[u8], length: usize) -> Vec<u8> {
    block.iter().copied().cycle().take(length).collect()
}

/// Three bytes become four letters; the bytes are taken 21 apart, and the order turns with every group.
fn encode(sum: &[u8; 64]) -> String {
    let mut text = String::with_capacity(86);
    for group in 0..21 {
        let mut bytes = [sum[group], sum[group + 21], sum[group + 42]];
        bytes.rotate_left(group % 3);
        push(&mut text, bytes, 4);
    }
    push(&mut text, [0, 0, sum[63]], 2);
    text
}

fn push(text: &mut String, [high, middle, low]: [u8; 3], letters: u32) {
    let bits = u32::from_be_bytes([0, high, middle, low]);
    text.extend((0..letters).map(|n| letter(bits >> (6 * n))));
}

fn letter(bits: u32) -> char {
    char::from(ALPHABET[bits as usize % 64])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(password: &str, salt: &str, hash: &str) {
        assert_eq!(
            crypt(password.as_bytes(), salt),
            format!("$6${salt}${hash}")
        );
    }

    #[test]
    fn hashes_are_those_of_glibc() {
        check(
            "Hello world!",
            "saltstring",
            "svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        );
        check(
            "",
            "ab",
            "xnh5Qsr2NdbFw1PgdZie7nLON3gv.S.23iQDBqAzkdoXPtDnVSpludXkM5UWybQO3OI7hBj9wHg9Ow6sUWD60/",
        );
        check(
            "pässwörter sind länger als vierundsechzig Bytes, damit jeder Zweig des Verfahrens läuft",
            "0123456789abcdef",
            "CwHnHNX5AqijKnWRhCZF6GdCdRtyhNqF7pqJ89kKdEcJ/rxfqDnv24iLbRvOJ9tzpdrG8qAAOjhkd4ccpH5F.0",
        );
    }

    #[test]
    fn salts_differ() {
        let (one, two) = (password_hash("x"), password_hash("x"));
        assert_ne!(one, two);
        assert_eq!(one.len(), "$6$".len() + 16 + 1 + 86);
    }
}
