//! A hypervisor without guests: machines that only exist in memory, for tests of the simulator.
//!
//! Its agent answers pings and pretends that every command ends well without output.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use tokio::sync::watch;

use super::container::{Console, ConsoleMode, Container, ContainerSpec, Interface, Started};
use super::machine::{AgentError, BoxFuture, Disk, Exit, Hypervisor, Machine, Spec};

/// Starts [`MemoryMachine`]s.
#[derive(Debug, Default)]
pub struct MemoryHypervisor {
    started: Mutex<Vec<Arc<MemoryMachine>>>,
    containers: Mutex<Vec<Arc<MemoryContainer>>>,
}

impl MemoryHypervisor {
    /// All machines that were started so far, in that order.
    pub fn started(&self) -> Vec<Arc<MemoryMachine>> {
        self.started.lock().expect("no holder panics").clone()
    }

    /// All containers that were started so far, in that order.
    pub fn containers(&self) -> Vec<Arc<MemoryContainer>> {
        self.containers.lock().expect("no holder panics").clone()
    }
}

impl Hypervisor for MemoryHypervisor {
    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Arc<dyn Machine>, String>> {
        let machine = Arc::new(MemoryMachine::new(spec));
        self.started
            .lock()
            .expect("no holder panics")
            .push(Arc::clone(&machine));
        Box::pin(std::future::ready(Ok(machine as Arc<dyn Machine>)))
    }

    fn start_container(&self, spec: ContainerSpec) -> Started<'_> {
        let container = Arc::new(MemoryContainer {
            spec,
            exit: watch::Sender::new(None),
        });
        self.containers
            .lock()
            .expect("no holder panics")
            .push(Arc::clone(&container));
        Box::pin(std::future::ready(Ok(container as Arc<dyn Container>)))
    }

    fn discard(&self, _: u32) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A machine that does nothing until it is told to end.
#[derive(Debug)]
pub struct MemoryMachine {
    /// What it was started with.
    pub spec: Spec,
    exit: watch::Sender<Option<Exit>>,
    next_pid: AtomicI64,
    /// Commands whose end nobody has read yet.
    commands: Mutex<BTreeMap<i64, Vec<String>>>,
    files: Mutex<BTreeMap<String, String>>,
}

impl MemoryMachine {
    fn new(spec: Spec) -> Self {
        Self {
            spec,
            exit: watch::Sender::new(None),
            next_pid: AtomicI64::new(1),
            commands: Mutex::default(),
            files: Mutex::default(),
        }
    }

    /// Ends it as if the guest did.
    pub fn end(&self, exit: Exit) {
        self.exit.send_replace(Some(exit));
    }

    fn answer(&self, request: &Json) -> Result<Json, AgentError> {
        let arguments = &request["arguments"];
        let refused = |desc: String| AgentError::Refused {
            class: "GenericError".to_owned(),
            desc,
        };
        let path = || arguments["path"].as_str().unwrap_or_default().to_owned();
        match request["execute"].as_str().unwrap_or_default() {
            "guest-ping" | "guest-file-close" => Ok(json!({})),
            "guest-get-host-name" => Ok(json!({"host-name": self.spec.name})),
            "guest-shutdown" => {
                self.end(Exit::PowerOff);
                Err(AgentError::Silent)
            }
            "guest-exec" => {
                let pid = self.next_pid.fetch_add(1, Ordering::Relaxed);
                let command = vec![path()];
                self.commands
                    .lock()
                    .expect("no holder panics")
                    .insert(pid, command);
                Ok(json!({"pid": pid}))
            }
            "guest-exec-status" => {
                let pid = arguments["pid"].as_i64().unwrap_or_default();
                match self.commands.lock().expect("no holder panics").remove(&pid) {
                    Some(_) => Ok(json!({"exited": true, "exitcode": 0})),
                    None => Err(refused("PID ld does not exist".to_owned())),
                }
            }
            "guest-file-open" => {
                let known = self
                    .files
                    .lock()
                    .expect("no holder panics")
                    .contains_key(&path());
                if arguments["mode"].is_null() && !known {
                    let text = format!(
                        "failed to open file '{}' (mode: 'r'): No such file or directory",
                        path()
                    );
                    return Err(refused(text));
                }
                // The handle is the path, which suits a machine without processes.
                Ok(json!(path()))
            }
            "guest-file-write" => {
                let handle = arguments["handle"].as_str().unwrap_or_default().to_owned();
                let data = arguments["buf-b64"].as_str().unwrap_or_default().to_owned();
                self.files
                    .lock()
                    .expect("no holder panics")
                    .insert(handle, data);
                Ok(json!({}))
            }
            "guest-file-read" => {
                let handle = arguments["handle"].as_str().unwrap_or_default();
                let data = self
                    .files
                    .lock()
                    .expect("no holder panics")
                    .get(handle)
                    .cloned();
                let data = data.unwrap_or_default();
                let bytes = data.trim_end_matches('=').len() * 3 / 4;
                Ok(json!({"count": bytes, "buf-b64": data, "eof": true}))
            }
            other => Err(AgentError::Refused {
                class: "CommandNotFound".to_owned(),
                desc: format!("The command {other} has not been found"),
            }),
        }
    }
}

impl Machine for MemoryMachine {
    fn agent(&self, request: Json) -> BoxFuture<'_, Result<Json, AgentError>> {
        Box::pin(std::future::ready(self.answer(&request)))
    }

    fn kill(&self) -> BoxFuture<'_, ()> {
        self.end(Exit::PowerOff);
        Box::pin(std::future::ready(()))
    }

    fn powerdown(&self) -> BoxFuture<'_, ()> {
        self.end(Exit::PowerOff);
        Box::pin(std::future::ready(()))
    }

    fn ended(&self) -> BoxFuture<'_, Exit> {
        let mut exit = self.exit.subscribe();
        Box::pin(async move {
            let ended = exit.wait_for(Option::is_some).await;
            ended
                .ok()
                .and_then(|exit| exit.clone())
                .unwrap_or(Exit::PowerOff)
        })
    }

    fn resized(&self, _: &str, _: u64) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn attached(&self, _: Disk) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A container that does nothing until it is told to end.
#[derive(Debug)]
pub struct MemoryContainer {
    /// What it was started with.
    pub spec: ContainerSpec,
    exit: watch::Sender<Option<Exit>>,
}

impl MemoryContainer {
    /// Ends it as if its init did.
    pub fn end(&self, exit: Exit) {
        self.exit.send_replace(Some(exit));
    }
}

impl Container for MemoryContainer {
    fn console(&self, _: ConsoleMode) -> BoxFuture<'_, Result<Console, String>> {
        let text = "this container only exists in memory: nothing runs in it".to_owned();
        Box::pin(std::future::ready(Err(text)))
    }

    fn interfaces(&self) -> BoxFuture<'_, Option<Vec<Interface>>> {
        Box::pin(std::future::ready(None))
    }

    fn kill(&self) -> BoxFuture<'_, ()> {
        self.end(Exit::PowerOff);
        Box::pin(std::future::ready(()))
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.kill()
    }

    fn ended(&self) -> BoxFuture<'_, Exit> {
        let mut exit = self.exit.subscribe();
        Box::pin(async move {
            let ended = exit.wait_for(Option::is_some).await;
            let ended = ended.ok().and_then(|exit| exit.clone());
            ended.unwrap_or(Exit::PowerOff)
        })
    }
}
