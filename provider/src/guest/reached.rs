//! A guest by whichever way it is reached.

use super::{Guest, Output, Result, agent::AgentGuest, console::ConsoleGuest, ssh::SshGuest};

/// A VM by its agent, a container by its console, or either by SSH.
#[derive(Clone)]
pub enum Reached {
    /// By the QEMU guest agent.
    Agent(AgentGuest),
    /// By the console.
    Console(ConsoleGuest),
    /// By SSH.
    Ssh(SshGuest),
}

impl Reached {
    /// Waits until commands can be run in it.
    pub async fn wait(&self) -> Result<()> {
        match self {
            Self::Agent(guest) => guest.wait().await,
            // A console waits for its guest by itself.
            Self::Console(_) => Ok(()),
            Self::Ssh(guest) => guest.wait().await,
        }
    }

    /// Says that nothing more comes for the moment.
    pub async fn close(&self) {
        match self {
            Self::Agent(_) => {}
            Self::Console(guest) => guest.close().await,
            Self::Ssh(guest) => guest.close(),
        }
    }
}

impl Guest for Reached {
    async fn run(&self, script: &str) -> Result<Output> {
        match self {
            Self::Agent(guest) => guest.run(script).await,
            Self::Console(guest) => guest.run(script).await,
            Self::Ssh(guest) => guest.run(script).await,
        }
    }

    async fn poll(&self, what: &str, script: &str) -> Result<Output> {
        match self {
            Self::Agent(guest) => guest.poll(what, script).await,
            Self::Console(guest) => guest.poll(what, script).await,
            Self::Ssh(guest) => guest.poll(what, script).await,
        }
    }
}
