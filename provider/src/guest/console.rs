//! A container reached through its console: PVE has no call that runs a command in one.
//!
//! Does not start the container, nor make its console a root shell: `cmode=shell` does, from the next start on.

mod screen;
mod session;

use std::{sync::Arc, time::Duration};

use tokio::sync::Mutex;

use self::session::{Opened, Session, Trouble, Wire};
use super::{ENVIRONMENT, Guest, NOT_YET, Output, Result};
use crate::pve::{self, Pve, Terminal};

/// How often a command that did not even start is tried.
const TRIES: usize = 3;

/// The one terminal of a container, for all who run commands there: one at a time.
#[derive(Clone, Debug, Default)]
pub struct Console(Arc<Mutex<Option<Session<Terminal>>>>);

/// A running container whose console is a root shell.
#[derive(Clone)]
pub struct ConsoleGuest {
    pve: Pve,
    node: String,
    vmid: u32,
    console: Console,
    is_shell: bool,
}

impl ConsoleGuest {
    /// The container `vmid` on `node`. Deadline and cancellation are those of `pve`.
    pub fn new(pve: Pve, node: impl Into<String>, vmid: u32, console: Console) -> Self {
        Self {
            pve,
            node: node.into(),
            vmid,
            console,
            is_shell: false,
        }
    }

    /// Spares the question whether its console is a root shell, since the caller knows.
    pub fn with_shell(self) -> Self {
        Self {
            is_shell: true,
            ..self
        }
    }

    /// Ends the shell, unless somebody is at work in it. Otherwise it ends by itself some seconds later, and another
    /// process that comes meanwhile must wait.
    pub async fn close(&self) {
        if let Ok(mut console) = self.console.0.try_lock()
            && let Some(session) = console.take()
        {
            session.quit().await;
        }
    }

    async fn exec(&self, script: &str) -> pve::Result<Output> {
        let script = format!("{ENVIRONMENT}{script}");
        let mut console = self.console.0.lock().await;
        let mut tries = 0;
        loop {
            // Taken out, so that one that is given up half-way is not used again.
            let mut session = match console.take().filter(Session::is_alive) {
                Some(session) => session,
                None => Box::pin(self.open()).await?,
            };
            tries += 1;
            match session.run(&script).await {
                Ok(output) => {
                    tracing::debug!(target: "pmoves::guest", vmid = self.vmid, bytes = script.len(), code = output.code);
                    *console = Some(session);
                    return Ok(output);
                }
                Err(Trouble::NotStarted(why)) if tries < TRIES => {
                    tracing::debug!(target: "pmoves::guest", vmid = self.vmid, why, "again");
                }
                Err(Trouble::NotStarted(why)) => return Err(self.wrong(why)),
                Err(Trouble::Lost(why)) => return Err(self.lost(why)),
                Err(Trouble::Wire(error)) => return Err(self.lost(error)),
            }
        }
    }

    async fn open(&self) -> pve::Result<Session<Terminal>> {
        if !self.is_shell {
            let config = self.pve.lxc_config_now(&self.node, self.vmid).await?;
            if config.cmode.as_deref() != Some("shell") {
                return Err(self.wrong("is no root shell: set its console mode (`pct set VMID --cmode shell`) and restart the container".to_owned()));
            }
        }
        loop {
            let terminal = self.pve.terminal(&self.node, self.vmid).await?;
            match Session::open(terminal).await? {
                Opened::Ready(session) => return Ok(session),
                Opened::No(why) => return Err(self.wrong(why)),
                // Another run of the provider, or what is left of one for some seconds.
                Opened::Busy => {
                    let what = format!("the console of container {}, which is in use", self.vmid);
                    self.pve.pause(&what, Duration::from_secs(1)).await?;
                }
            }
        }
    }

    fn wrong(&self, why: String) -> pve::Error {
        pve::Error::Console {
            vmid: self.vmid,
            why,
        }
    }

    fn lost(&self, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> pve::Error {
        pve::Error::OutcomeUnknown {
            call: format!("a command in container {}", self.vmid),
            source: Arc::from(why.into()),
        }
    }
}

impl Guest for ConsoleGuest {
    async fn run(&self, script: &str) -> Result<Output> {
        let what = format!("a command in container {}", self.vmid);
        Ok(self.pve.bound(&what, self.exec(script)).await??)
    }

    async fn poll(&self, what: &str, script: &str) -> Result<Output> {
        let pause = Duration::from_millis(500);
        let look = || async {
            match self.exec(script).await {
                Ok(output) => Ok((output.code != NOT_YET).then_some(output)),
                // A container that boots cuts its console off.
                Err(pve::Error::OutcomeUnknown { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let polled = self.pve.poll(what, pause, pause, look);
        Ok(self.pve.bound(what, polled).await??)
    }
}

impl Wire for Terminal {
    async fn send(&mut self, bytes: &[u8]) -> pve::Result<()> {
        Self::send(self, bytes).await
    }

    async fn receive(&mut self) -> pve::Result<Option<Vec<u8>>> {
        Self::receive(self).await
    }
}
