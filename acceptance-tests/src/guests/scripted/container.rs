//! A scripted guest as a container: its volumes are mounted for it, and it has no agent, but a console.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use tokio_util::io::{ReaderStream, StreamReader};

use super::machine::ScriptedMachine;
use crate::guests::lxc::interfaces;
use crate::guests::terminal;
use crate::simulator::container::{
    Console, ConsoleMode, Container, ContainerNic, ContainerSpec, Interface,
};
use crate::simulator::machine::{BoxFuture, Disk, Exit, Machine, Spec};

pub(super) struct ScriptedContainer(Arc<ScriptedMachine>);

/// A login on a terminal: nobody has a password here.
const LOGIN: &str = r#"
host=$(hostname)
printf '\r\nDebian GNU/Linux 13 %s tty1\r\n\r\n' "$host"
while printf '%s login: ' "$host" && IFS= read -r name; do
  printf 'Password: '
  stty -echo
  IFS= read -r password
  stty echo
  printf '\nLogin incorrect\n'
done
"#;

/// The guest that a container is.
pub(super) fn spec(container: &ContainerSpec) -> Spec {
    let root = Disk {
        image: container.template.clone(),
        ..container.root.clone()
    };
    Spec {
        vmid: container.vmid,
        node: container.node.clone(),
        name: container.hostname.clone(),
        memory_mib: container.memory_mib,
        cores: container.cores.unwrap_or(2),
        nics: container.nics.iter().map(|nic| nic.nic.clone()).collect(),
        disks: [root]
            .into_iter()
            .chain(container.mounts.iter().map(|(_, disk)| disk.clone()))
            .collect(),
        cdrom: None,
        agent: false,
    }
}

/// What tells a guest its addresses.
pub(super) fn seed(container: &ContainerSpec) -> HashMap<String, String> {
    let subnet = |ip: &str| match ip {
        "dhcp" => json!({"type": "dhcp"}),
        _ => json!({"type": "static", "address": ip}),
    };
    let card = |nic: &ContainerNic| {
        let given = [&nic.ip, &nic.ip6].into_iter().flatten();
        let given = given.filter(|ip| ip.as_str() == "dhcp" || ip.contains('/'));
        let subnets: Vec<Value> = given.map(|ip| subnet(ip)).collect();
        json!({
            "type": "physical", "name": nic.name, "mac_address": nic.nic.mac.to_lowercase(),
            "subnets": subnets,
        })
    };
    let cards: Vec<Value> = container.nics.iter().map(card).collect();
    // JSON is YAML.
    let config = json!({"version": 1, "config": cards}).to_string();
    HashMap::from([("network-config".to_owned(), config)])
}

impl ScriptedContainer {
    pub(super) async fn new(
        machine: Arc<ScriptedMachine>,
        container: &ContainerSpec,
    ) -> Result<Self, String> {
        let mut made = "true".to_owned();
        if let Some(keys) = &container.ssh_keys {
            made.push_str(&format!(
                " && mkdir -p -m 700 /root/.ssh && cat >/root/.ssh/authorized_keys <<'KEYS'\n{}\nKEYS\n",
                keys.trim_end()
            ));
        }
        let mut mounts: Vec<_> = container.mounts.iter().collect();
        mounts.sort_by_key(|(_, disk)| disk.slot.trim_start_matches("mp").parse().unwrap_or(0_u32));
        // Disks have their letters in the order of slots, and `mp` comes before `rootfs`.
        for ((path, _), letter) in mounts.into_iter().zip('a'..='z') {
            made.push_str(&format!(
                "\nmkdir -p '{path}'\n\
                 mount /dev/sd{letter} '{path}' 2>/dev/null || {{ mkfs.ext4 /dev/sd{letter} && mount /dev/sd{letter} '{path}'; }}"
            ));
        }
        let output = machine.sh(&made).await?;
        if output.code != 0 {
            return Err(format!("cannot set up the container: {}", output.stderr));
        }
        Ok(Self(machine))
    }

    /// The shell that root has.
    async fn shell(&self) -> Result<String, String> {
        let command = "getent passwd 0 | cut -d: -f7";
        let output = self.0.sh(command).await?;
        let shell = output.stdout.trim();
        Ok(if shell.is_empty() { "/bin/sh" } else { shell }.to_owned())
    }
}

impl Container for ScriptedContainer {
    fn console(&self, mode: ConsoleMode) -> BoxFuture<'_, Result<Console, String>> {
        Box::pin(async move {
            let program = match mode {
                ConsoleMode::Shell => vec![self.shell().await?],
                ConsoleMode::Console | ConsoleMode::Tty => {
                    ["/bin/sh", "-c", LOGIN].map(str::to_owned).to_vec()
                }
            };
            let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
            let mut command = self.0.enter();
            command.extend(["/usr/bin/env", "-i", "-C", "/"].map(str::to_owned));
            command.extend(["container=lxc", "TERM=linux", path].map(str::to_owned));
            command.extend(program);
            let (screen, keyboard) = terminal::open(&command)?;
            let screen = ReaderStream::new(screen).map_ok(|bytes| with_returns(&bytes));
            Ok(Console {
                screen: Box::new(StreamReader::new(screen)),
                keyboard: Box::new(keyboard),
            })
        })
    }

    fn interfaces(&self) -> BoxFuture<'_, Option<Vec<Interface>>> {
        Box::pin(async move {
            let output = self.0.sh("ip -j address").await.ok()?;
            let mut all = interfaces(&output.stdout)?;
            // The other ends of the cards are the node's.
            all.retain(|card| !card.name.starts_with("veth"));
            Some(all)
        })
    }

    fn kill(&self) -> BoxFuture<'_, ()> {
        self.0.kill()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.0.powerdown()
    }

    fn ended(&self) -> BoxFuture<'_, Exit> {
        self.0.ended()
    }
}

/// What the terminal of the node, outside of that of the container, makes of the bytes.
fn with_returns(bytes: &[u8]) -> Bytes {
    let returned = bytes.iter().flat_map(|byte| {
        let before: &[u8] = if *byte == b'\n' { b"\r" } else { b"" };
        before.iter().chain([byte]).copied()
    });
    returned.collect()
}
