//! Containers of the lab: unprivileged ones of LXC itself, made as Proxmox VE makes them.
//!
//! Root and mount points are file systems of their own on volumes. The commands of LXC run on the lab's node, a small
//! Debian in the lab's network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{Mutex, watch};

use super::disks::Volumes;
use super::lab::lower;
use super::lxc_files;
use super::rootfs::{self, Rootfs};
use super::terminal;
use crate::simulator::container::{Console, ConsoleMode, Container, ContainerSpec, Interface};
use crate::simulator::machine::{BoxFuture, Disk, Exit};

/// The containers of a lab.
#[derive(Debug)]
pub(crate) struct Containers {
    /// The lab's directory.
    pub(crate) run: PathBuf,
    pub(crate) rootfs: Rootfs,
    /// The command that enters the node, to be followed by another.
    pub(crate) node: Vec<String>,
    pub(crate) volumes: Arc<Mutex<Volumes>>,
    pub(crate) running: std::sync::Mutex<HashMap<u32, Arc<Lxc>>>,
}

impl Containers {
    /// Starts a container; its root is unpacked first if its volume is new.
    ///
    /// # Errors
    /// A sentence with the end of LXC's log.
    pub(crate) async fn start(&self, spec: &ContainerSpec) -> Result<Arc<Lxc>, String> {
        let vmid = spec.vmid;
        let failed = |error: std::io::Error| format!("cannot start CT {vmid}: {error}");
        if !spec.unprivileged {
            return Err(format!(
                "CT {vmid}: the lab runs unprivileged containers only"
            ));
        }
        if self.get(vmid).is_some() {
            return Err(format!("CT {vmid} already running"));
        }
        let directory = self.run.join("guests").join(vmid.to_string());
        lxc_files::write(&self.run, &directory, &self.rootfs, spec).map_err(failed)?;
        let with_docker = spec
            .template
            .as_ref()
            .is_some_and(|template| template.contains("docker"));
        let log = std::fs::File::create(directory.join("start.log")).map_err(failed)?;
        let mut command = self.on_node(&["unshare", "--mount", "bash"]);
        command
            .arg(self.run.join("container.sh"))
            .args([&self.run, &directory])
            .args([vmid.to_string(), spec.memory_mib.to_string()])
            .arg(lower(&self.rootfs.layers(with_docker)))
            .arg(self.device(vmid, &spec.root).await?);
        for (path, disk) in &spec.mounts {
            let device = self.device(vmid, disk).await?;
            command.args([&disk.slot, &device, path]);
        }
        command.stdout(Stdio::piped()).stderr(log).process_group(0);
        let mut process = command.spawn().map_err(failed)?;
        let stdout = process.stdout.take().ok_or("stdout is a pipe")?;
        let mut news = BufReader::new(stdout).lines();
        if news.next_line().await.map_err(failed)?.as_deref() != Some("up") {
            let logs = ["start.log", "lxc.log"].map(|log| rootfs::tail(&directory.join(log)));
            return Err(format!("cannot start CT {vmid}:\n{}", logs.join("\n")));
        }
        let container = Arc::new(Lxc::new(vmid, self.on_lxc(), process, news));
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(vmid, Arc::clone(&container));
        Ok(container)
    }

    /// A container that runs.
    pub(crate) fn get(&self, vmid: u32) -> Option<Arc<Lxc>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running
            .get(&vmid)
            .filter(|container| container.exit.borrow().is_none())
            .cloned()
    }

    fn on_node(&self, command: &[&str]) -> Command {
        let mut on_node = Command::new(&self.node[0]);
        on_node
            .args(&self.node[1..])
            .args(command)
            .current_dir("/")
            .stdin(Stdio::null());
        on_node
    }

    fn on_lxc(&self) -> OnLxc {
        OnLxc {
            node: self.node.clone(),
            path: self.run.join("guests"),
        }
    }

    /// The device of a volume.
    async fn device(&self, vmid: u32, disk: &Disk) -> Result<String, String> {
        let attached = self.volumes.lock().await.attach(vmid, disk).await?;
        Ok(format!("/dev/loop{}", attached.minor))
    }
}

/// Where the commands of LXC run, and where they find their containers.
#[derive(Debug)]
struct OnLxc {
    node: Vec<String>,
    path: PathBuf,
}

impl OnLxc {
    /// A command such as `lxc-attach` for one container.
    fn command(&self, vmid: u32, program: &str, arguments: &[&str]) -> Vec<String> {
        let vmid = vmid.to_string();
        let path = self.path.to_string_lossy();
        let own = [program, "-P", &path, "-n", &vmid];
        let words = own.iter().chain(arguments).map(|&word| word.to_owned());
        self.node.iter().cloned().chain(words).collect()
    }
}

/// A running container.
#[derive(Debug)]
pub(crate) struct Lxc {
    vmid: u32,
    on: OnLxc,
    killed: Arc<AtomicBool>,
    exit: watch::Receiver<Option<Exit>>,
}

impl Lxc {
    fn new(
        vmid: u32,
        on: OnLxc,
        mut process: Child,
        mut news: Lines<BufReader<ChildStdout>>,
    ) -> Self {
        let (ended, exit) = watch::channel(None);
        let killed = Arc::new(AtomicBool::new(false));
        let was_killed = Arc::clone(&killed);
        tokio::spawn(async move {
            let last = news.next_line().await.ok().flatten();
            let status = process.wait().await;
            let exit = match last.as_deref() {
                _ if was_killed.load(Ordering::SeqCst) => Exit::PowerOff,
                Some("stop") => Exit::PowerOff,
                Some("reboot") => Exit::Reboot,
                _ => Exit::Crashed(format!("the container ended with {status:?}")),
            };
            ended.send_replace(Some(exit));
        });
        Self {
            vmid,
            on,
            killed,
            exit,
        }
    }

    /// Runs a script as the container's root and yields what it writes to stdout.
    pub(crate) async fn sh(&self, script: &str) -> Result<String, String> {
        let inside = ["--clear-env", "--", "/bin/sh", "-c", script];
        let command = self.on.command(self.vmid, "lxc-attach", &inside);
        self.node(&command).await
    }

    async fn node(&self, command: &[String]) -> Result<String, String> {
        let run = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::null())
            .output();
        let output = run.await.map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stdout) + &text(&output.stderr)),
        }
    }

    /// Stops it, at once or as its init wants to.
    async fn stop(&self, arguments: &[&str]) {
        let command = self.on.command(self.vmid, "lxc-stop", arguments);
        let stopped = self.node(&command).await;
        if let (Err(why), None) = (stopped, &*self.exit.borrow()) {
            eprintln!("lab: cannot stop CT {}: {why}", self.vmid);
        }
    }
}

impl Container for Lxc {
    fn console(&self, mode: ConsoleMode) -> BoxFuture<'_, Result<Console, String>> {
        // As a node does it (PVE::LXC::get_console_command), but for the escape byte, which is dtach's there.
        let command = match mode {
            ConsoleMode::Shell => ("lxc-attach", &["--clear-env"][..]),
            ConsoleMode::Console => ("lxc-console", &["-t", "0", "-e", "-1"][..]),
            ConsoleMode::Tty => ("lxc-console", &["-e", "-1"][..]),
        };
        let command = self.on.command(self.vmid, command.0, command.1);
        Box::pin(async move {
            let (screen, keyboard) = terminal::open(&command)?;
            Ok(Console {
                screen: Box::new(screen),
                keyboard: Box::new(keyboard),
            })
        })
    }

    fn interfaces(&self) -> BoxFuture<'_, Option<Vec<Interface>>> {
        Box::pin(async move { interfaces(&self.sh("ip -j address").await.ok()?) })
    }

    fn kill(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.killed.store(true, Ordering::SeqCst);
            self.stop(&["--kill"]).await;
            self.ended().await;
        })
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.stop(&["--nokill", "--nowait"]))
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
}

/// The interfaces that `ip -j address` tells.
pub(super) fn interfaces(text: &str) -> Option<Vec<Interface>> {
    let all: Vec<Value> = serde_json::from_str(text).ok()?;
    all.iter().map(interface).collect()
}

fn interface(card: &Value) -> Option<Interface> {
    let text = |key: &str| card[key].as_str().map(str::to_owned);
    let address = |found: &Value| -> Option<(IpAddr, u8)> {
        let prefix = u8::try_from(found["prefixlen"].as_u64()?).ok()?;
        Some((found["local"].as_str()?.parse().ok()?, prefix))
    };
    Some(Interface {
        name: text("ifname")?,
        mac: text("address")?,
        addresses: card["addr_info"]
            .as_array()?
            .iter()
            .filter_map(address)
            .collect(),
    })
}
