//! Waits for a container that has just been started, and looks at what the node's kernel lends it.
//!
//! Changes nothing.

use super::{Guest, Result};

const WAIT: &str = include_str!("boot/wait.sh");
const WHAT: &str = "waiting for the container to boot";

/// What Docker needs of the node's kernel and does not find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// Kernel modules that no container can load, such as `overlay`.
    pub missing: Vec<String>,
}

/// Waits until the boot is over, and until there is an address if one is to come.
pub async fn wait(guest: &impl Guest, network: bool) -> Result<Kernel> {
    let script = format!("network={}\n{WAIT}", if network { "yes" } else { "" });
    let answer = guest.poll(WHAT, &script).await?.ok(WHAT)?;
    Ok(Kernel {
        missing: answer.split_whitespace().map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_shell() {
        crate::guest::sh::check(WAIT);
    }
}
