//! A guest that becomes a template: what makes it one machine is taken away.
//!
//! Does not shut it down; nothing may start on it between this and that.

use super::{Guest, Result};

const CLEAN: &str = include_str!("template/clean.sh");

/// Gives a clone its own machine-id if its source was not cleaned. Runs at the end of the first boot.
pub const OWN_IDENTITY: &str = include_str!("template/identity.sh");

const OWN_KEYS: &str = include_str!("template/keys.sh");

/// Stops Docker, and removes host keys, machine-id, traces of cloud-init, leases and logs.
pub async fn clean(guest: &impl Guest) -> Result<()> {
    guest
        .run(CLEAN)
        .await?
        .ok("cleaning the template")
        .map(drop)
}

/// Gives a clone without cloud-init host keys and a machine-id of its own. Runs once, when it has booted first.
pub async fn own_identity(guest: &impl Guest) -> Result<()> {
    guest
        .run(&format!("{OWN_IDENTITY}{OWN_KEYS}"))
        .await?
        .ok("giving the clone an identity of its own")
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_are_shell() {
        crate::guest::sh::check(CLEAN);
        crate::guest::sh::check(OWN_IDENTITY);
        crate::guest::sh::check(OWN_KEYS);
    }
}
