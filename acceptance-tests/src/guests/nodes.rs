//! The networks of Proxmox VE nodes: a namespace of the lab for each, where the genuine ifreload runs.
//!
//! Guests are not in them; all guests of a lab share one network.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::simulator::machine::{BadReload, Reload};

/// The nodes of a lab.
#[derive(Debug)]
pub(crate) struct Nodes {
    /// The lab's directory.
    pub(crate) run: PathBuf,
    /// The command that enters what the nodes have in common, to be followed by another.
    pub(crate) enter: Vec<String>,
    /// The command for each node that has reloaded its network.
    pub(crate) known: Mutex<HashMap<String, Vec<String>>>,
}

impl Nodes {
    /// Applies the settings as a node does: by `ifreload -a`.
    pub(crate) async fn reload(&self, reload: &Reload) -> Result<(), BadReload> {
        let text = |said: String| BadReload { status: 1, said };
        let enter = self.enter(reload).await.map_err(text)?;
        let interfaces = self.directory(&reload.node).join("interfaces");
        let written = std::fs::write(interfaces, &reload.interfaces);
        written.map_err(|error| text(error.to_string()))?;
        let output = run(&enter, &["ifreload", "-a"]).await.map_err(text)?;
        match output.status.success() {
            true => Ok(()),
            false => Err(BadReload {
                status: output.status.code().unwrap_or(1),
                said: String::from_utf8_lossy(&output.stderr).into_owned(),
            }),
        }
    }

    /// Runs a shell command in the network of a node that has reloaded it, and yields what it writes to stdout.
    pub(crate) async fn sh(&self, node: &str, command: &str) -> Result<String, String> {
        let enter = self.known.lock().await.get(node).cloned();
        let enter = enter.ok_or_else(|| format!("{node} has not reloaded its network"))?;
        let output = run(&enter, &["/bin/sh", "-c", command]).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }

    fn directory(&self, node: &str) -> PathBuf {
        self.run.join("networks").join(node)
    }

    /// The command that enters the network of a node, which is made when it is asked for first.
    async fn enter(&self, reload: &Reload) -> Result<Vec<String>, String> {
        let mut known = self.known.lock().await;
        if let Some(enter) = known.get(&reload.node) {
            return Ok(enter.clone());
        }
        let failed = |error: std::io::Error| format!("cannot make a node's network: {error}");
        let directory = self.directory(&reload.node);
        std::fs::create_dir_all(&directory).map_err(failed)?;
        let log = std::fs::File::create(directory.join("log")).map_err(failed)?;
        let mut holder = Command::new(&self.enter[0])
            .args(&self.enter[1..])
            .args(["unshare", "--mount", "--net", "bash"])
            .arg(self.run.join("network.sh"))
            .arg(&directory)
            .args(&reload.cards)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let mut pid = String::new();
        let stdout = holder.stdout.take().ok_or("stdout is a pipe")?;
        let read = BufReader::new(stdout).read_line(&mut pid).await;
        if read.map_err(failed)? == 0 {
            let said = super::rootfs::tail(&directory.join("log"));
            return Err(format!("cannot make a node's network:\n{said}"));
        }
        // It ends with the lab.
        tokio::spawn(async move { holder.wait().await });
        let target = format!("--target={}", pid.trim());
        let inner = ["nsenter", &target, "--mount", "--net"].map(ToOwned::to_owned);
        let enter: Vec<String> = self.enter.iter().cloned().chain(inner).collect();
        known.insert(reload.node.clone(), enter.clone());
        Ok(enter)
    }
}

async fn run(enter: &[String], command: &[&str]) -> Result<std::process::Output, String> {
    let run = Command::new(&enter[0])
        .args(&enter[1..])
        .args(command)
        .current_dir("/")
        .stdin(Stdio::null())
        .output();
    run.await.map_err(|error| error.to_string())
}
