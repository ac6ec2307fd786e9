//! One look at a Docker host: what it is, and what runs on it, for all who want to know.
//!
//! Changes nothing.

use super::{
    Guest,
    facts::{self, Facts},
    project::{
        self,
        round::{self, HostRound},
    },
};

/// What a look showed.
#[derive(Clone, Debug)]
pub struct Look {
    /// The guest and its Docker.
    pub facts: Facts,
    /// Its Compose projects.
    pub round: HostRound,
}

/// Looks at a guest, in one round.
pub async fn look(guest: &impl Guest) -> project::Result<Look> {
    let output = guest
        .run(&format!("{}{}", facts::SCRIPT, round::script()))
        .await?;
    let stderr = output.stderr.clone();
    let text = output.ok(facts::WHAT)?;
    let (facts, rest) = facts::first(&text)?;
    let round = round::parse(rest, &stderr)?;
    Ok(Look { facts, round })
}
