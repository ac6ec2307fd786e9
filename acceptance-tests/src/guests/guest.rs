//! A guest that runs: its process, its agent and its disks.
//!
//! Does not make the guest; the lab does.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::agent::Agent;
use super::disks::{self, Volumes};
use crate::simulator::machine::{AgentError, BoxFuture, Disk, Exit, Machine};

/// A powered-on guest.
#[derive(Debug)]
pub(crate) struct Guest {
    vmid: u32,
    run: PathBuf,
    /// Its process 1, as the machine sees it.
    init: u32,
    agent: Option<Agent>,
    volumes: Arc<tokio::sync::Mutex<Volumes>>,
    /// Volume id by slot.
    slots: Mutex<HashMap<String, String>>,
    killed: Arc<AtomicBool>,
    exit: watch::Receiver<Option<Exit>>,
}

/// What a guest starts out with.
pub(crate) struct Parts {
    pub(crate) vmid: u32,
    pub(crate) run: PathBuf,
    pub(crate) init: u32,
    pub(crate) socket: Option<PathBuf>,
    pub(crate) volumes: Arc<tokio::sync::Mutex<Volumes>>,
    pub(crate) slots: HashMap<String, String>,
    pub(crate) process: Child,
}

impl Guest {
    pub(crate) fn new(parts: Parts) -> Self {
        let (ended, exit) = watch::channel(None);
        let killed = Arc::new(AtomicBool::new(false));
        let mut process = parts.process;
        let was_killed = Arc::clone(&killed);
        tokio::spawn(async move {
            let end = match process.wait().await {
                _ if was_killed.load(Ordering::SeqCst) => Exit::PowerOff,
                Ok(status) => end_of(status),
                Err(error) => Exit::Crashed(error.to_string()),
            };
            ended.send_replace(Some(end));
        });
        Self {
            vmid: parts.vmid,
            run: parts.run,
            init: parts.init,
            agent: parts.socket.map(Agent::new),
            volumes: parts.volumes,
            slots: Mutex::new(parts.slots),
            killed,
            exit,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// Sends a signal to the guest's init, unless it is gone and its id may be another's.
    async fn signal(&self, signal: &str) {
        if self.is_running() {
            let mut kill = Command::new("bash");
            kill.args(["-c", "kill -\"$1\" \"$2\"", "kill", signal])
                .arg(self.init.to_string());
            report("cannot signal VM", self.vmid, kill.status().await);
        }
    }
}

/// How a guest ended: reboot(2) in a PID namespace ends it with one of two signals, which its parents pass on
/// (Linux `kernel/pid_namespace.c`, `reboot_pid_ns`), as a signal or as a shell's exit code.
fn end_of(status: ExitStatus) -> Exit {
    match status.signal().or(status.code().map(|code| code - 128)) {
        Some(1) => Exit::Reboot,
        Some(2) => Exit::PowerOff,
        _ => Exit::Crashed(format!("the guest's init ended with {status}")),
    }
}

fn report<T, E: std::fmt::Display>(what: &str, vmid: u32, result: Result<T, E>) {
    if let Err(error) = result {
        eprintln!("lab: {what} {vmid}: {error}");
    }
}

impl Machine for Guest {
    fn agent(&self, request: Value) -> BoxFuture<'_, Result<Value, AgentError>> {
        Box::pin(async move {
            let agent = self
                .agent
                .as_ref()
                .filter(|_| self.is_running())
                .ok_or(AgentError::Silent)?;
            if request["execute"] == "guest-shutdown" {
                return agent.send(&request).await.map(|()| json!({}));
            }
            agent.call(&request).await
        })
    }

    fn kill(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.killed.store(true, Ordering::SeqCst);
            self.signal("KILL").await;
            self.ended().await;
        })
    }

    fn powerdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let request = json!({"execute": "guest-shutdown", "arguments": {"mode": "powerdown"}});
            if self.agent(request).await.is_err() {
                // The power button, which systemd knows by this signal where there is no ACPI (systemd(1), SIGNALS).
                self.signal("RTMIN+4").await;
            }
        })
    }

    fn ended(&self) -> BoxFuture<'_, Exit> {
        let mut exit = self.exit.clone();
        Box::pin(async move {
            match exit.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(exit)) => exit.clone(),
                _ => Exit::Crashed("the lab is gone".to_owned()),
            }
        })
    }

    fn resized(&self, slot: &str, bytes: u64) -> BoxFuture<'_, ()> {
        let volume = self
            .slots
            .lock()
            .expect("nothing panics while it holds the slots")
            .get(slot)
            .cloned();
        Box::pin(async move {
            if let Some(volume) = volume {
                report(
                    "cannot grow a disk of VM",
                    self.vmid,
                    self.volumes.lock().await.resize(&volume, bytes).await,
                );
            }
        })
    }

    fn attached(&self, disk: Disk) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let attached = self.volumes.lock().await.attach(self.vmid, &disk).await;
            self.slots
                .lock()
                .expect("nothing panics while it holds the slots")
                .insert(disk.slot, disk.volume);
            let plugged = match attached {
                Ok(attached) => disks::plug(&self.run, self.init, &attached).await,
                Err(error) => Err(error),
            };
            report("cannot attach a disk to VM", self.vmid, plugged);
        })
    }
}
