//! The ways into guests: agent, console, and SSH where it is set up.

use std::sync::{Arc, PoisonError};

use super::Cluster;
use crate::{
    framework::{Failure, Result, resource::Faults},
    guest::{
        agent::AgentGuest,
        console::ConsoleGuest,
        reached::Reached,
        ssh::{Place, SshGuest, Target},
    },
    pve::{self, GuestRow, Pve},
    resources::host::ssh::Ssh,
};

impl Cluster {
    /// The way into a guest about which no more is known than how SSH gets there, if it is to be SSH.
    pub async fn guest(&self, pve: &Pve, row: &GuestRow, ssh: Option<&Ssh>) -> Result<Reached> {
        let container = row.kind == "lxc";
        if ssh.is_some() {
            let place = place((&row.node, row.vmid), container);
            return self.by_ssh(pve, place, Ssh::target(ssh));
        }
        if !container {
            let guest = AgentGuest::new(pve.clone(), &row.node, row.vmid);
            return Ok(Reached::Agent(guest));
        }
        // Where SSH is set up, a console that is no root shell was left so on purpose.
        let shut = self.ssh.is_some()
            && pve
                .lxc_config_now(&row.node, row.vmid)
                .await?
                .cmode
                .as_deref()
                != Some("shell");
        let connection = shut.then_some("ssh");
        self.container(pve, (&row.node, row.vmid), connection, None)
            .await
    }

    /// The way into a container: what its `connection` says.
    pub async fn container(
        &self,
        pve: &Pve,
        place: (&str, u32),
        connection: Option<&str>,
        ssh: Option<&Ssh>,
    ) -> Result<Reached> {
        match self.is_by_ssh(pve, connection).await? {
            true => self.by_ssh(pve, self::place(place, true), Ssh::target(ssh)),
            false => Ok(Reached::Console(self.console(pve, place.0, place.1))),
        }
    }

    /// The way into a VM.
    pub fn vm(&self, pve: &Pve, at: (&str, u32), way: VmWay, target: Target) -> Result<Reached> {
        match way {
            VmWay::Agent => Ok(Reached::Agent(AgentGuest::new(pve.clone(), at.0, at.1))),
            VmWay::Ssh => self.by_ssh(pve, place(at, false), target),
        }
    }

    /// How commands get into a VM, by its `connection` and by whether it has an `agent`. `None`: not at all.
    pub fn vm_way(&self, connection: Option<&str>, agent: bool) -> Option<VmWay> {
        match connection {
            Some("ssh") => Some(VmWay::Ssh),
            _ if agent => Some(VmWay::Agent),
            Some("agent") => None,
            _ => self.ssh.as_ref().map(|_| VmWay::Ssh),
        }
    }

    /// The account that SSH logs in to, where a guest says nothing else.
    pub fn login(&self) -> Option<&str> {
        self.ssh.as_ref().map(|ssh| ssh.username.as_str())
    }

    /// Whether commands get into a container by SSH rather than by its console.
    pub async fn is_by_ssh(&self, pve: &Pve, connection: Option<&str>) -> pve::Result<bool> {
        Ok(match connection {
            Some("ssh") => true,
            Some("console") => false,
            _ => self.ssh.is_some() && has_no_console(pve).await?,
        })
    }

    /// A guest by SSH, whose connection all who are at work there share.
    fn by_ssh(&self, pve: &Pve, place: Place, target: Target) -> Result<Reached> {
        let settings = self.ssh.as_ref().ok_or_else(|| {
            Failure::new("the provider's ssh is not set, so nobody can log in").at("connection")
        })?;
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines
            .entry((place.vmid, target.clone()))
            .or_default()
            .clone();
        let settings = Arc::clone(settings);
        Ok(Reached::Ssh(SshGuest::new(
            pve.clone(),
            settings,
            target,
            place,
            line,
        )))
    }

    /// The way into a container by its console, which all who are at work there share.
    pub fn console(&self, pve: &Pve, node: &str, vmid: u32) -> ConsoleGuest {
        let mut consoles = self.consoles.lock().unwrap_or_else(PoisonError::into_inner);
        let console = consoles.entry(vmid).or_default().clone();
        ConsoleGuest::new(pve.clone(), node, vmid, console)
    }

    /// Whether there is a way into a container; if not, says so at the attribute.
    pub async fn check_way(
        &self,
        pve: &Pve,
        (at, connection): (&str, Option<&str>),
        found: &mut Faults<'_>,
    ) -> Result<()> {
        let by_ssh = self.is_by_ssh(pve, connection).await?;
        if by_ssh {
            self.check_login(at, found);
        } else if has_no_console(pve).await? {
            let version = pve.version().await?;
            found.error(
                at,
                "A token cannot reach a container here",
                format!("Commands run in a container through its console, which takes Proxmox VE 9.2 (pve-container 6.1.3) for an API token; this is {version}. Upgrade the nodes, or give the provider username and password instead of api_token, or use SSH, for which the provider has the attribute ssh. Or use a VM."),
            );
        }
        Ok(())
    }

    /// Whether SSH is set up; if not, says so at the attribute.
    pub fn check_login(&self, at: &str, found: &mut Faults<'_>) {
        if self.ssh.is_none() {
            found.error(
                at,
                "Nobody can log in",
                "Give the provider ssh = { private_key = … }, or ssh = { agent = true }.",
            );
        }
    }
}

/// How commands get into a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmWay {
    /// By its guest agent.
    Agent,
    /// By SSH.
    Ssh,
}

fn place((node, vmid): (&str, u32), container: bool) -> Place {
    let node = node.to_owned();
    Place {
        node,
        vmid,
        container,
    }
}

/// Whether the credential does not get as far as a container's console.
async fn has_no_console(pve: &Pve) -> pve::Result<bool> {
    Ok(pve.is_token() && !pve.version().await?.at_least(9, 2))
}
