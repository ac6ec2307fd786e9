//! Commands in a guest, as a person at its console would run them, by way of its agent.
//!
//! For tests and the demo; the provider under test has its own.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::simulator::machine::{AgentError, Machine};

/// How often a guest is asked while it is busy.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until the guest's agent answers.
///
/// # Errors
/// Where the guest ends first.
pub async fn agent(machine: &dyn Machine) -> Result<(), String> {
    let answer = async {
        while machine
            .agent(json!({"execute": "guest-ping"}))
            .await
            .is_err()
        {
            sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = answer => Ok(()),
        exit = machine.ended() => Err(format!("the guest ended before its agent answered: {exit:?}")),
    }
}

/// Runs a shell command and yields what it writes to stdout.
///
/// # Errors
/// All that the command wrote, where it fails; or the agent's error.
pub async fn run(machine: &dyn Machine, command: &str) -> Result<String, String> {
    let failed = |error: AgentError| format!("{command}: {error:?}");
    let start = json!({"execute": "guest-exec", "arguments": {
        "path": "/bin/sh",
        "arg": ["-c", command],
        "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "DEBIAN_FRONTEND=noninteractive"],
        "capture-output": true,
    }});
    let pid = machine.agent(start).await.map_err(failed)?["pid"].clone();
    let ask = json!({"execute": "guest-exec-status", "arguments": {"pid": pid}});
    loop {
        let status = machine.agent(ask.clone()).await.map_err(failed)?;
        if status["exited"] != true {
            sleep(PAUSE).await;
        } else if status["exitcode"] == 0 {
            return Ok(text(&status["out-data"]));
        } else {
            return Err(format!(
                "{command}: {}{}",
                text(&status["out-data"]),
                text(&status["err-data"])
            ));
        }
    }
}

fn text(encoded: &Value) -> String {
    let bytes = BASE64_STANDARD
        .decode(encoded.as_str().unwrap_or_default())
        .unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
