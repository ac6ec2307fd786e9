//! A guest reached by SSH: the fallback where neither agent nor console leads in.
//!
//! Never goes to a node of the cluster. Who the guest is, `known_hosts` says; an unknown key is an error with its
//! fingerprint.

mod config;
pub mod key;
pub mod known_hosts;
mod log;
mod session;

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::Mutex;

use self::{
    known_hosts::KnownHosts,
    session::{Session, Trouble},
};
use super::{ENVIRONMENT, Error, Guest, NOT_YET, Output, Result};
use crate::{
    pve::{self, PropertyString, Pve},
    secret::Secret,
};

/// How often a login is refused while a guest boots: until its boot is over, only root may log in.
const REFUSALS: usize = 10;

/// How to log in, for all guests.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The account; any but root needs `sudo` without a password.
    pub username: String,
    /// Where sshd listens.
    pub port: u16,
    /// The key to log in with.
    pub key: Option<Secret<String>>,
    /// Socket of an agent whose keys are tried.
    pub agent: Option<PathBuf>,
    /// The host keys of the guests.
    pub known_hosts: Arc<KnownHosts>,
    /// A machine to go through.
    pub bastion: Option<Bastion>,
}

/// A machine that connections go through.
#[derive(Clone, Debug)]
pub struct Bastion {
    /// Name or address.
    pub host: String,
    /// Where sshd listens.
    pub port: u16,
    /// The account.
    pub username: String,
    /// The key to log in with.
    pub key: Option<Secret<String>>,
    /// Its host key.
    pub known_hosts: Arc<KnownHosts>,
}

/// What one guest has of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Name or address; left open, that which Proxmox VE knows of its `net0`.
    pub host: Option<String>,
    /// Where sshd listens, if not where the settings say.
    pub port: Option<u16>,
    /// The account, if not that of the settings.
    pub username: Option<String>,
}

/// The way into a guest, for all who run commands there.
#[derive(Clone, Debug, Default)]
pub struct Line(Arc<Mutex<Option<Arc<Session>>>>);

/// Which guest it is, to the cluster.
#[derive(Clone, Debug)]
pub struct Place {
    /// Node that it is on.
    pub node: String,
    /// Its VMID.
    pub vmid: u32,
    /// Whether it is a container rather than a VM.
    pub container: bool,
}

/// A running guest with an sshd.
#[derive(Clone)]
pub struct SshGuest {
    pve: Pve,
    settings: Arc<Settings>,
    target: Target,
    place: Place,
    line: Line,
}

impl SshGuest {
    /// The guest at `place`. Deadline and cancellation are those of `pve`.
    pub fn new(
        pve: Pve,
        settings: Arc<Settings>,
        target: Target,
        place: Place,
        line: Line,
    ) -> Self {
        Self {
            pve,
            settings,
            target,
            place,
            line,
        }
    }

    /// Waits until it lets us in.
    pub async fn wait(&self) -> Result<()> {
        self.poll("SSH", "exit 0")
            .await?
            .ok("logging in by SSH")
            .map(drop)
    }

    /// Ends the session once nobody is at work on it.
    pub fn close(&self) {
        if let Ok(mut line) = self.line.0.try_lock() {
            line.take();
        }
    }

    async fn exec(&self, script: &str) -> Result<Output, Trouble> {
        let script = format!("{ENVIRONMENT}{script}");
        let output = self.session().await?.run(&script).await;
        match &output {
            Ok(output) => {
                tracing::debug!(target: "pmoves::guest", vmid = self.place.vmid, bytes = script.len(), code = output.code);
            }
            Err(_) => drop(self.line.0.lock().await.take()),
        }
        output
    }

    async fn session(&self) -> Result<Arc<Session>, Trouble> {
        let mut line = self.line.0.lock().await;
        if let Some(session) = &*line {
            return Ok(Arc::clone(session));
        }
        let host = match &self.target.host {
            Some(host) => host.clone(),
            None => self.address().await?,
        };
        let port = self.target.port.unwrap_or(self.settings.port);
        let username = self.target.username.as_ref();
        let username = username.unwrap_or(&self.settings.username);
        let session = Session::open(&self.settings, &host, port, username).await?;
        Ok(Arc::clone(line.insert(Arc::new(session))))
    }

    /// The address of `net0`: of a container as its node sees it, of a VM as its agent tells.
    async fn address(&self) -> Result<String, Trouble> {
        let (pve, node, vmid) = (&self.pve, &self.place.node, self.place.vmid);
        let (nets, nics) = if self.place.container {
            let config = pve.lxc_config_now(node, vmid).await?;
            (config.nets, pve.lxc_interfaces(node, vmid).await?)
        } else {
            let config = pve.vm_config_opt(node, vmid).await?.unwrap_or_default();
            let nics = pve.agent_interfaces(node, vmid).await;
            (config.nets, nics.map_err(no_agent)?)
        };
        let first = nets.get("net0");
        let first = first.and_then(|raw| PropertyString::parse(raw, None).ok());
        // A VM's NIC begins with its model, which has the MAC.
        let mac = first.as_ref().and_then(|nic| {
            nic.get("hwaddr")
                .or_else(|| nic.first().map(|(_, mac)| mac))
        });
        let is_first = |nic: &&pve::Interface| {
            let own = nic.mac.as_deref().unwrap_or_default();
            mac.is_some_and(|mac| mac.eq_ignore_ascii_case(own))
        };
        let nic = nics.iter().find(is_first);
        let usable = |address: &IpAddr| match address {
            IpAddr::V4(address) => !address.is_link_local(),
            IpAddr::V6(address) => !address.is_unicast_link_local(),
        };
        let addresses = nic.into_iter().flat_map(|nic| &nic.addresses);
        let address = addresses.map(ipnet::IpNet::addr).filter(usable).min();
        address
            .map(|address| address.to_string())
            .ok_or_else(|| Trouble::Away(format!("guest {vmid} has no address yet")))
    }
}

impl Guest for SshGuest {
    async fn run(&self, script: &str) -> Result<Output> {
        let what = format!("a command in guest {}", self.place.vmid);
        let running = Box::pin(self.exec(script));
        Ok(self.pve.bound(&what, running).await??)
    }

    async fn poll(&self, what: &str, script: &str) -> Result<Output> {
        let mut refusals = 0;
        let mut last = None;
        loop {
            match self.pve.bound(what, Box::pin(self.exec(script))).await {
                Ok(Ok(output)) if output.code != NOT_YET => return Ok(output),
                Ok(Ok(_)) => {}
                // A guest that boots is not there yet, and goes again.
                Ok(Err(Trouble::Away(why) | Trouble::Lost(_, why))) => last = Some(why),
                Ok(Err(Trouble::Refused(why))) if refusals < REFUSALS => {
                    refusals += 1;
                    last = Some(why);
                }
                Ok(Err(trouble)) => return Err(trouble.into()),
                Err(error) => return Err(with_last(error, last).into()),
            }
            let pause = self.pve.pause(what, Duration::from_secs(1)).await;
            pause.map_err(|error| with_last(error, last.clone()))?;
        }
    }
}

/// Without its agent, nobody knows the address of a VM.
fn no_agent(error: pve::Error) -> Trouble {
    match error {
        pve::Error::AgentNotConfigured => Trouble::Never(
            "Proxmox VE does not know the address of a VM without agent: set ssh = { host = … }"
                .to_owned(),
        ),
        pve::Error::AgentSilent => {
            Trouble::Away("the guest agent, which knows the address, does not answer".to_owned())
        }
        error => error.into(),
    }
}

/// Why nothing came before the time was up.
fn with_last(error: pve::Error, why: Option<String>) -> pve::Error {
    match error {
        pve::Error::TimedOut {
            waiting_for,
            after,
            last,
        } => pve::Error::TimedOut {
            waiting_for,
            after,
            last: last.or(why),
        },
        other => other,
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Api(error) => error.into(),
            Trouble::Lost(host, why) => Self::Api(pve::Error::OutcomeUnknown {
                call: format!("a command on {host}"),
                source: Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(why)),
            }),
            Trouble::Away(why) | Trouble::Refused(why) | Trouble::Never(why) => Self::Ssh(why),
        }
    }
}
