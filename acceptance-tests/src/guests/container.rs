//! A guest as a container: its volumes are mounted for it, and it has no agent, but a console. How it is entered is all
//! that it knows of it.

use std::net::IpAddr;
use std::process::Stdio;
use std::sync::Arc;

use axum::body::Bytes;
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio_util::io::{ReaderStream, StreamReader};

use super::terminal;
use crate::simulator::container::{
    Console, ConsoleMode, Container, ContainerNic, ContainerSpec, Interface,
};
use crate::simulator::machine::{BoxFuture, Disk, Exit, Machine, Spec};

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

/// The addresses of a container in the words of cloud-init.
pub(super) fn network_config(container: &ContainerSpec) -> String {
    let subnet = |(ip, gateway): (&String, &Option<String>)| match ip.as_str() {
        "dhcp" => Some(json!({"type": "dhcp"})),
        _ if !ip.contains('/') => None,
        _ => {
            let mut subnet = json!({"type": "static", "address": ip});
            if let Some(gateway) = gateway {
                subnet["gateway"] = json!(gateway);
            }
            Some(subnet)
        }
    };
    let card = |nic: &ContainerNic| {
        let four = nic.ip.as_ref().map(|ip| (ip, &nic.gateway));
        let six = nic.ip6.as_ref().map(|ip| (ip, &nic.gateway6));
        let subnets: Vec<Value> = four.into_iter().chain(six).filter_map(subnet).collect();
        json!({
            "type": "physical", "name": nic.name, "mac_address": nic.nic.mac.to_lowercase(),
            "subnets": subnets,
        })
    };
    let cards: Vec<Value> = container.nics.iter().map(card).collect();
    // JSON is YAML.
    json!({"version": 1, "config": cards}).to_string()
}

/// What makes a fresh root that of this container: keys, and mounted volumes.
pub(super) fn setup(container: &ContainerSpec) -> String {
    let mut script = String::new();
    if let Some(keys) = &container.ssh_keys {
        let keys = keys.trim_end();
        script.push_str(&format!(
            "mkdir -p -m 700 /root/.ssh\ncat >/root/.ssh/authorized_keys <<'KEYS'\n{keys}\nKEYS\n"
        ));
    }
    let mut mounts: Vec<_> = container.mounts.iter().collect();
    mounts.sort_by_key(|(_, disk)| disk.slot.trim_start_matches("mp").parse().unwrap_or(0_u32));
    // Disks have their letters in the order of slots, and `mp` comes before `rootfs`.
    for ((path, _), letter) in mounts.into_iter().zip('a'..='z') {
        script.push_str(&format!(
            "mkdir -p '{path}'\n\
             mount /dev/sd{letter} '{path}' 2>/dev/null || {{ mkfs.ext4 /dev/sd{letter} && mount /dev/sd{letter} '{path}'; }}\n"
        ));
    }
    script
}

/// A running container.
pub(super) struct Entered {
    machine: Arc<dyn Machine>,
    /// The command that enters it, to be followed by another.
    enter: Vec<String>,
}

impl Entered {
    pub(super) fn new(machine: Arc<dyn Machine>, enter: Vec<String>) -> Self {
        Self { machine, enter }
    }

    fn command(&self, inside: &[&str]) -> Vec<String> {
        let inside = inside.iter().map(|&word| word.to_owned());
        self.enter.iter().cloned().chain(inside).collect()
    }

    /// Runs a script inside and yields what it writes.
    pub(super) async fn run(&self, script: &str) -> Result<String, String> {
        let command = self.command(&["/bin/sh", "-ec", script]);
        let output = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|error| format!("cannot enter the container: {error}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}

/// The shell that root has.
const SHELL: &str = r#"exec "$(getent passwd 0 | cut -d: -f7)""#;

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

impl Container for Entered {
    fn console(&self, mode: ConsoleMode) -> BoxFuture<'_, Result<Console, String>> {
        let script = match mode {
            ConsoleMode::Shell => SHELL,
            ConsoleMode::Console | ConsoleMode::Tty => LOGIN,
        };
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let env = [
            "/usr/bin/env",
            "-i",
            "-C",
            "/",
            "container=lxc",
            "TERM=linux",
            path,
        ];
        let command = self.command(&[&env[..], &["/bin/sh", "-c", script]].concat());
        Box::pin(async move {
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
            let text = self.run("ip -j address").await.ok()?;
            let all: Vec<Value> = serde_json::from_str(&text).ok()?;
            // The other ends of cards, of this guest or of containers inside, are no cards of it.
            let own = all.iter().filter(|card| {
                let name = card["ifname"].as_str().unwrap_or_default();
                !name.starts_with("veth")
            });
            own.map(interface).collect()
        })
    }

    fn kill(&self) -> BoxFuture<'_, ()> {
        self.machine.kill()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.machine.powerdown()
    }

    fn ended(&self) -> BoxFuture<'_, Exit> {
        self.machine.ended()
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

/// An interface as `ip -j address` tells it.
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
