//! One scripted guest that is powered on: the process, the line protocol to its init, its end.
//!
//! Does not know the agent's commands; `shim::agent`, inside the guest, does. One JSON object a
//! line goes in (`{"id", "agent"|"sh"|"powerdown"|"scenario"|"attached"}`), and one comes out for
//! each id, besides `{"ended": "poweroff"|"reboot"}`.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot, watch};

use super::{AgentMood, BOOT, Output, Scenario, lock, tree};
use crate::guests::seed;
use crate::simulator::machine::{AgentError, BoxFuture, Disk, Exit, Machine, Spec};

pub(super) struct ScriptedMachine {
    spec: Spec,
    scenario: Mutex<Scenario>,
    /// Lines for init; dropping it makes init end, and with it the whole guest.
    lines: Mutex<Option<mpsc::UnboundedSender<String>>>,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>,
    next: AtomicU64,
    agent_calls: AtomicU64,
    ended: watch::Receiver<Option<Exit>>,
    /// The process whose namespaces the guest is in.
    pid: u32,
}

impl ScriptedMachine {
    /// Boots a VM.
    pub(super) async fn start(
        base: &Path,
        spec: Spec,
        scenario: Scenario,
    ) -> Result<Arc<Self>, String> {
        let files = match &spec.cdrom {
            Some(iso) => seed_texts(iso).map_err(|why| format!("cloud-init seed: {why}"))?,
            None => HashMap::new(),
        };
        let hardware = json!({
            "disks": spec.disks.iter().map(disk_json).collect::<Vec<_>>(), "seed": files,
        });
        Self::boot(base, spec, scenario, hardware).await
    }

    /// Starts a container with what a seed would tell it.
    pub(super) async fn start_container(
        base: &Path,
        spec: Spec,
        scenario: Scenario,
        seed: HashMap<String, String>,
    ) -> Result<Arc<Self>, String> {
        let disks: Vec<_> = spec.disks.iter().map(disk_json).collect();
        let hardware = json!({"container": true, "disks": disks, "seed": seed});
        Self::boot(base, spec, scenario, hardware).await
    }

    async fn boot(
        base: &Path,
        spec: Spec,
        scenario: Scenario,
        hardware: Value,
    ) -> Result<Arc<Self>, String> {
        let dir = tree::guest(base, spec.vmid);
        tree::create(&dir, &spec).map_err(|error| format!("guest files: {error}"))?;

        let shifted = tree::shifted_ids();
        let mut child = Command::new("unshare")
            .args(["--user", "--mount", "--pid", "--net", "--ipc", "--uts"])
            .args(["--fork", "--kill-child", "--propagation", "private"])
            .args(if shifted {
                &["--keep-caps"][..]
            } else {
                &["--map-root-user"][..]
            })
            .args(["/bin/sh", "-c", tree::ENTER, "sh"])
            .arg(if shifted { "shifted" } else { "single" })
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start unshare: {error}"))?;
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        let mut out = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines();

        expect_line(&mut child, &mut out, "mapping").await?;
        let pid = child.id().ok_or("unshare has ended")?;
        if shifted {
            tree::write_id_maps(pid).map_err(|error| format!("cannot map ids: {error}"))?;
        }
        let boot = json!({
            "vmid": spec.vmid, "name": spec.name, "agent": spec.agent,
            "memory_mib": spec.memory_mib, "cores": spec.cores,
            "nics": spec.nics.iter().map(|nic| json!({"slot": nic.slot, "mac": nic.mac})).collect::<Vec<_>>(),
            "disks": hardware["disks"], "container": hardware["container"],
            "scenario": scenario, "seed": hardware["seed"],
            "boot_ms": scenario.boot_ms.unwrap_or(u64::try_from(BOOT.as_millis()).unwrap_or(0)),
        });
        let first = format!("mapped\n{boot}\n");
        let failed = |error| format!("the guest ended at once: {error}");
        stdin.write_all(first.as_bytes()).await.map_err(failed)?;
        expect_line(&mut child, &mut out, "booting").await?;

        let (lines, queue) = mpsc::unbounded_channel();
        let (ended_sender, ended) = watch::channel(None);
        let waiting = Arc::new(Mutex::new(HashMap::new()));
        tokio::spawn(write_lines(stdin, queue));
        tokio::spawn(read_lines(child, out, Arc::clone(&waiting), ended_sender));
        Ok(Arc::new(Self {
            spec,
            scenario: Mutex::new(scenario),
            lines: Mutex::new(Some(lines)),
            waiting,
            next: AtomicU64::new(1),
            agent_calls: AtomicU64::new(0),
            ended,
            pid,
        }))
    }

    /// The command that enters the guest's namespaces, to be followed by another.
    pub(super) fn enter(&self) -> Vec<String> {
        let pid = self.pid;
        let mut command = vec!["nsenter".to_owned(), format!("--target={pid}")];
        command.extend(["--user", "--mount", "--net", "--ipc", "--uts"].map(str::to_owned));
        command.push(format!("--pid=/proc/{pid}/ns/pid_for_children"));
        if !tree::shifted_ids() {
            // There is but one id, and no groups may be set.
            command.push("--preserve-credentials".to_owned());
        }
        command
    }

    pub(super) fn is_running(&self) -> bool {
        self.ended.borrow().is_none()
    }

    pub(super) fn vmid(&self) -> u32 {
        self.spec.vmid
    }

    pub(super) fn name(&self) -> String {
        self.spec.name.clone()
    }

    pub(super) fn set_scenario(&self, scenario: &Scenario) {
        *lock(&self.scenario) = scenario.clone();
        self.post(&json!({"id": 0, "scenario": scenario}));
    }

    pub(super) async fn sh(&self, command: &str) -> Result<Output, String> {
        let answer = self.ask(json!({"sh": command})).await;
        let answer = answer.ok_or("the guest has ended")?;
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        Ok(Output {
            code: answer["code"].as_i64().unwrap_or(-1),
            stdout: text("stdout"),
            stderr: text("stderr"),
        })
    }

    fn post(&self, line: &Value) {
        if let Some(lines) = &*lock(&self.lines) {
            // A guest that has ended reads nothing; whoever asked learns it from `ended`.
            let _ = lines.send(format!("{line}\n"));
        }
    }

    async fn ask(&self, mut request: Value) -> Option<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        request["id"] = id.into();
        let (answer, answered) = oneshot::channel();
        lock(&self.waiting).insert(id, answer);
        self.post(&request);
        let mut ended = self.ended.clone();
        tokio::select! {
            answer = answered => answer.ok(),
            _ = ended.wait_for(Option::is_some) => None,
        }
    }
}

impl Machine for ScriptedMachine {
    fn agent(&self, request: Value) -> BoxFuture<'_, Result<Value, AgentError>> {
        Box::pin(async move {
            let call = self.agent_calls.fetch_add(1, Ordering::Relaxed);
            match lock(&self.scenario).agent {
                AgentMood::Silent => return Err(AgentError::Silent),
                AgentMood::Flaps if call % 2 == 1 => return Err(AgentError::Silent),
                AgentMood::Answers | AgentMood::Flaps => {}
            }
            if !self.spec.agent {
                return Err(AgentError::Silent);
            }
            let mut answer = self
                .ask(json!({"agent": request}))
                .await
                .ok_or(AgentError::Silent)?;
            if let Some(error) = answer.get("error") {
                let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
                return Err(AgentError::Refused {
                    class: text("class"),
                    desc: text("desc"),
                });
            }
            match answer.get_mut("return") {
                Some(value) => Ok(value.take()),
                None => Err(AgentError::Silent),
            }
        })
    }

    fn kill(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            lock(&self.lines).take();
            let _ = self.ended().await;
        })
    }

    fn powerdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if !lock(&self.scenario).ignores_powerdown {
                self.post(&json!({"id": 0, "powerdown": true}));
            }
        })
    }

    fn ended(&self) -> BoxFuture<'_, Exit> {
        let mut ended = self.ended.clone();
        Box::pin(async move {
            match ended.wait_for(Option::is_some).await {
                Ok(exit) => exit.clone().expect("waited for it"),
                Err(_) => Exit::Crashed("the task that watches the guest is gone".to_owned()),
            }
        })
    }

    fn resized(&self, slot: &str, bytes: u64) -> BoxFuture<'_, ()> {
        self.post(&json!({"id": 0, "resized": {"slot": slot, "bytes": bytes}}));
        Box::pin(std::future::ready(()))
    }

    fn attached(&self, disk: Disk) -> BoxFuture<'_, ()> {
        self.post(&json!({"id": 0, "attached": disk_json(&disk)}));
        Box::pin(std::future::ready(()))
    }
}

/// The files of a seed, which are texts.
fn seed_texts(iso: &[u8]) -> Result<HashMap<String, String>, String> {
    let files = seed::files(iso)?.ok_or("the volume is not called cidata")?;
    files
        .into_iter()
        .map(|(name, bytes)| match String::from_utf8(bytes) {
            Ok(text) => Ok((name, text)),
            Err(_) => Err(format!("{name} is not UTF-8")),
        })
        .collect()
}

fn disk_json(disk: &Disk) -> Value {
    json!({
        "slot": disk.slot, "volume": disk.volume, "serial": disk.serial,
        "bytes": disk.bytes, "image": disk.image,
    })
}

async fn expect_line(
    child: &mut Child,
    out: &mut Lines<BufReader<ChildStdout>>,
    expected: &str,
) -> Result<(), String> {
    let line = out.next_line().await.ok().flatten();
    if line.as_deref() == Some(expected) {
        return Ok(());
    }
    let mut why = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let read = tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut why);
        let _ = tokio::time::timeout(Duration::from_secs(5), read).await;
    }
    Err(format!("the guest cannot enter its root: {}", why.trim()))
}

async fn write_lines(
    mut stdin: tokio::process::ChildStdin,
    mut queue: mpsc::UnboundedReceiver<String>,
) {
    while let Some(line) = queue.recv().await {
        if stdin.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_lines(
    mut child: Child,
    mut out: Lines<BufReader<ChildStdout>>,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>,
    ended: watch::Sender<Option<Exit>>,
) {
    // Nobody reads the guest's console; a full pipe must not stop it.
    if let Some(mut stderr) = child.stderr.take() {
        tokio::spawn(async move { tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await });
    }
    let mut exit = Exit::PowerOff;
    while let Ok(Some(line)) = out.next_line().await {
        let Ok(value) = serde_json::from_str::<Value>(&line) else {
            exit = Exit::Crashed(format!("init wrote {line:?}"));
            break;
        };
        if value["ended"] == "reboot" {
            exit = Exit::Reboot;
        } else if let Some(id) = value["id"].as_u64()
            && let Some(answer) = lock(&waiting).remove(&id)
        {
            let _ = answer.send(value);
        }
    }
    // Pid 1 is reaped only after everything in its namespace is gone.
    if tokio::time::timeout(Duration::from_secs(5), child.wait())
        .await
        .is_err()
    {
        let _ = child.kill().await;
    }
    lock(&waiting).clear();
    let _ = ended.send(Some(exit));
}
