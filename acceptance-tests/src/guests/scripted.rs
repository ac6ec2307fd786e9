//! Guests whose scripts really run, in a private root where Docker, systemd and apt are stand-ins.
//!
//! Starts no kernel and no containers: what a script may not do to this machine, or what is not
//! installed on it, is answered by one program, `guest-shim`. Needs Linux with user namespaces,
//! but not root.

mod container;
mod machine;
pub mod shim;
mod tree;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sshd::Sshd;
use crate::simulator::container::{Container, ContainerSpec, Started};
use crate::simulator::machine::{BoxFuture, Hypervisor, Machine, Spec};
use container::ScriptedContainer;
use machine::ScriptedMachine;

/// What is unusual about a guest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scenario {
    /// How the agent behaves once it is installed and started.
    pub agent: AgentMood,
    /// Text with which every `apt-get install` and `apt-get update` ends (exit status 100).
    pub apt_error: Option<String>,
    /// The guest is itself a Proxmox VE node.
    pub pve_node: bool,
    /// How cloud-init ends.
    pub cloud_init: CloudInit,
    /// Milliseconds from power-on until the agent can answer; 200 by default.
    pub boot_ms: Option<u64>,
    /// The guest does not react to a request to shut down.
    pub ignores_powerdown: bool,
}

/// How a guest agent behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum AgentMood {
    /// It answers.
    #[default]
    Answers,
    /// It never answers.
    Silent,
    /// It misses every second command.
    Flaps,
}

/// How cloud-init ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum CloudInit {
    /// Without complaint.
    #[default]
    Done,
    /// Exit status 2: done, with recoverable errors.
    Degraded,
    /// Exit status 1.
    Error,
    /// Never.
    Hangs,
}

/// Names a guest by VMID or by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Guest {
    /// By VMID.
    Vmid(u32),
    /// By the configured name.
    Name(String),
}

impl From<u32> for Guest {
    fn from(vmid: u32) -> Self {
        Self::Vmid(vmid)
    }
}

impl From<&str> for Guest {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

/// What a command in a guest left behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The exit status; 128 + n when a signal ended it.
    pub code: i64,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Powers scripted guests on. All of them end with this process, and their files with this value.
pub struct ScriptedHypervisor {
    base: tempfile::TempDir,
    scenarios: Mutex<HashMap<Guest, Scenario>>,
    running: Mutex<HashMap<u32, Arc<ScriptedMachine>>>,
}

impl ScriptedHypervisor {
    /// Makes a hypervisor whose guests use the program at `shim`.
    ///
    /// # Errors
    /// In words, when this machine lacks something or the directory cannot be made.
    pub fn new(shim: &Path) -> Result<Self, String> {
        Self::available()?;
        let base = tree::base(shim).map_err(|error| {
            format!(
                "cannot prepare scripted guests from {}: {error}",
                shim.display()
            )
        })?;
        Ok(Self {
            base,
            scenarios: Mutex::default(),
            running: Mutex::default(),
        })
    }

    /// Says in one sentence what this machine lacks to run scripted guests.
    ///
    /// # Errors
    /// That sentence.
    pub fn available() -> Result<(), String> {
        tree::available()
    }

    /// Finds `guest-shim` beside the running program, or builds it with Cargo.
    ///
    /// # Errors
    /// In words, when it is not there and cannot be built.
    pub fn find_shim() -> Result<PathBuf, String> {
        tree::find_shim()
    }

    /// Sets what is unusual about a guest, from its next boot on; agent, apt and cloud-init change
    /// in a running guest too.
    pub fn scenario(&self, guest: impl Into<Guest>, scenario: Scenario) {
        let guest = guest.into();
        for machine in lock(&self.running).values() {
            if guest == Guest::Vmid(machine.vmid()) || guest == Guest::Name(machine.name()) {
                machine.set_scenario(&scenario);
            }
        }
        lock(&self.scenarios).insert(guest, scenario);
    }

    /// Runs a shell command in a running guest, whatever its agent does.
    ///
    /// # Errors
    /// In words, when the guest is not running or ends meanwhile.
    pub async fn sh(&self, vmid: u32, command: &str) -> Result<Output, String> {
        let machine = lock(&self.running).get(&vmid).cloned();
        let machine = machine.ok_or_else(|| format!("guest {vmid} is not running"))?;
        machine.sh(command).await
    }

    /// Starts a genuine sshd for a guest, which need not run yet.
    ///
    /// # Errors
    /// In words, when this machine lacks something or nothing can listen.
    pub async fn sshd(self: &Arc<Self>, vmid: u32) -> Result<Sshd, String> {
        let hypervisor = Arc::downgrade(self);
        let enter = move || {
            let machine = lock(&hypervisor.upgrade()?.running).get(&vmid).cloned()?;
            machine.is_running().then(|| machine.enter())
        };
        Sshd::start(enter).await
    }

    /// The root directory of a guest, for tests that look at its files.
    pub fn root(&self, vmid: u32) -> PathBuf {
        tree::guest(self.base.path(), vmid).join("root")
    }

    fn scenario_of(&self, spec: &Spec) -> Scenario {
        let scenarios = lock(&self.scenarios);
        scenarios
            .get(&Guest::Vmid(spec.vmid))
            .or_else(|| scenarios.get(&Guest::Name(spec.name.clone())))
            .cloned()
            .unwrap_or_default()
    }
}

impl Hypervisor for ScriptedHypervisor {
    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Arc<dyn Machine>, String>> {
        Box::pin(async move {
            let scenario = self.scenario_of(&spec);
            let vmid = spec.vmid;
            let machine = ScriptedMachine::start(self.base.path(), spec, scenario).await?;
            lock(&self.running).insert(vmid, Arc::clone(&machine));
            Ok(machine as Arc<dyn Machine>)
        })
    }

    fn start_container(&self, spec: ContainerSpec) -> Started<'_> {
        Box::pin(async move {
            let vmid = spec.vmid;
            let (guest, seed) = (container::spec(&spec), container::seed(&spec));
            let scenario = self.scenario_of(&guest);
            let base = self.base.path();
            let machine = ScriptedMachine::start_container(base, guest, scenario, seed).await?;
            lock(&self.running).insert(vmid, Arc::clone(&machine));
            let container = ScriptedContainer::new(machine, &spec).await?;
            Ok(Arc::new(container) as Arc<dyn Container>)
        })
    }

    fn discard(&self, vmid: u32) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let machine = lock(&self.running).remove(&vmid);
            if let Some(machine) = machine {
                machine.kill().await;
            }
            tree::remove(&tree::guest(self.base.path(), vmid));
        })
    }
}

/// How long a guest boots when its scenario does not say.
const BOOT: Duration = Duration::from_millis(200);

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
