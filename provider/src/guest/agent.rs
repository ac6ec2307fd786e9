//! A VM reached through its QEMU guest agent.
//!
//! Does not start the VM and does not decide what runs in it.

use std::time::Duration;

use super::{ENVIRONMENT, Guest, NOT_YET, Output, Result};
use crate::pve::{self, ExecOutput, Pve};

/// Most bytes of standard input that PVE passes to a command.
const MAX_INPUT: usize = 65536;

/// A VM with a running guest agent.
#[derive(Clone)]
pub struct AgentGuest {
    pve: Pve,
    node: String,
    vmid: u32,
}

impl AgentGuest {
    /// The VM `vmid` on `node`. Deadline and cancellation are those of `pve`.
    pub fn new(pve: Pve, node: impl Into<String>, vmid: u32) -> Self {
        Self {
            pve,
            node: node.into(),
            vmid,
        }
    }

    /// Waits until the agent answers.
    pub async fn wait(&self) -> Result<()> {
        let (first, longest) = (Duration::from_millis(250), Duration::from_secs(3));
        let look = || async {
            match self.pve.agent_ping(&self.node, self.vmid).await {
                Ok(()) => Ok(Some(())),
                Err(error) if passes(&error) => Ok(None),
                Err(error) => Err(error),
            }
        };
        Ok(self
            .pve
            .poll("the QEMU guest agent", first, longest, look)
            .await?)
    }

    async fn exec(&self, script: &str) -> pve::Result<Output> {
        let script = format!("{ENVIRONMENT}{script}");
        if script.len() <= MAX_INPUT {
            // Read whole before it runs, so that no command in it can swallow the rest from standard input.
            return self
                .command(&["/bin/sh", "-c", r#"eval "$(cat)""#], script.as_bytes())
                .await
                .map(|exec| output(&exec));
        }
        let path = self.ship(&script).await?;
        let run = r#"script=$(cat "$0"); rm -f "$0"; eval "$script""#;
        self.command(&["/bin/sh", "-c", run, &path], b"")
            .await
            .map(|exec| output(&exec))
    }

    /// Puts a long script into a file that only root can read.
    async fn ship(&self, script: &str) -> pve::Result<String> {
        let made = self
            .command(&["/bin/mktemp", "/run/pmoves.XXXXXXXX"], b"")
            .await?;
        let path = output(&made).stdout.trim().to_owned();
        for chunk in script.as_bytes().chunks(MAX_INPUT) {
            self.command(&["/bin/sh", "-c", r#"cat >> "$0""#, &path], chunk)
                .await?;
        }
        Ok(path)
    }

    async fn command(&self, command: &[&str], stdin: &[u8]) -> pve::Result<ExecOutput> {
        self.pve
            .agent_exec(&self.node, self.vmid, command, stdin)
            .await
    }
}

impl Guest for AgentGuest {
    async fn run(&self, script: &str) -> Result<Output> {
        Ok(self.exec(script).await?)
    }

    async fn poll(&self, what: &str, script: &str) -> Result<Output> {
        let pause = Duration::from_millis(500);
        let look = || async {
            match self.exec(script).await {
                Ok(output) => Ok((output.code != NOT_YET).then_some(output)),
                Err(error) if passes(&error) => Ok(None),
                Err(error) => Err(error),
            }
        };
        Ok(self.pve.poll(what, pause, pause, look).await?)
    }
}

/// Whether the error is that of an agent that starts, or starts again.
fn passes(error: &pve::Error) -> bool {
    match error {
        pve::Error::AgentSilent | pve::Error::OutcomeUnknown { .. } => true,
        // qemu-server PVE/QMPClient.pm: the socket goes away with the agent.
        pve::Error::Rejected {
            status: 500,
            message,
            ..
        } => message.contains(" qga command '"),
        _ => false,
    }
}

fn output(exec: &ExecOutput) -> Output {
    let code = exec
        .code
        .or_else(|| exec.signal.map(|signal| 128 + signal))
        .unwrap_or(-1);
    Output {
        code: code.into(),
        stdout: String::from_utf8_lossy(&exec.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&exec.stderr).into_owned(),
        truncated: exec.truncated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_an_exit_status_as_in_a_shell() {
        let killed = ExecOutput {
            signal: Some(9),
            stderr: b"caf\xe9".to_vec(),
            ..ExecOutput::default()
        };
        let read = output(&killed);
        assert_eq!((read.code, read.stderr.as_str()), (137, "caf\u{fffd}"));
        assert_eq!(
            output(&ExecOutput {
                code: Some(3),
                ..ExecOutput::default()
            })
            .code,
            3
        );
    }

    #[test]
    fn only_an_absent_agent_passes() {
        let rejected = |message: &str| pve::Error::Rejected {
            status: 500,
            message: message.to_owned(),
            params: std::collections::BTreeMap::new(),
        };
        assert!(passes(&pve::Error::AgentSilent));
        assert!(passes(&rejected(
            "VM 100 qga command 'guest-exec' failed - got timeout"
        )));
        assert!(!passes(&rejected("VM 100 is not running")));
        assert!(!passes(&pve::Error::Cancelled));
    }
}
