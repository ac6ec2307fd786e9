//! A guest reached by SSH: the fallback where neither agent nor console leads in.
//!
//! Never goes to a node of the cluster. Who the guest is, `known_hosts` says; an unknown key is an error with its
//! fingerprint.

mod connection;
pub mod key;
pub mod known_hosts;

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use russh::ChannelMsg;
use tokio::sync::Mutex;

use self::{
    connection::{Connection, Trouble},
    key::PrivateKey,
    known_hosts::{KnownHosts, Pinned},
};
use super::{ENVIRONMENT, Error, Guest, NOT_YET, Output, Result};
use crate::pve::{self, PropertyString, Pve};

/// Bytes of either output that are kept.
const LONGEST: usize = 32 << 20;
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
    pub key: Option<PrivateKey>,
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
    pub key: Option<PrivateKey>,
    /// Its host key.
    pub known_hosts: Arc<KnownHosts>,
}

/// What one guest has of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Name or address; left open, that which Proxmox VE knows of a container's `net0`.
    pub host: Option<String>,
    /// Where sshd listens, if not where the settings say.
    pub port: Option<u16>,
    /// The account, if not that of the settings.
    pub username: Option<String>,
}

/// The connection to a guest, for all who run commands there.
#[derive(Clone, Debug, Default)]
pub struct Line(Arc<Mutex<Option<Connection>>>);

/// A running guest with an sshd.
#[derive(Clone)]
pub struct SshGuest {
    pve: Pve,
    settings: Arc<Settings>,
    target: Target,
    place: (String, u32),
    line: Line,
}

impl SshGuest {
    /// The guest `vmid` on `node`. Deadline and cancellation are those of `pve`.
    pub fn new(
        pve: Pve,
        settings: Arc<Settings>,
        target: Target,
        (node, vmid): (&str, u32),
        line: Line,
    ) -> Self {
        Self {
            pve,
            settings,
            target,
            place: (node.to_owned(), vmid),
            line,
        }
    }

    /// Ends the connection once nobody is at work on it.
    pub fn close(&self) {
        if let Ok(mut line) = self.line.0.try_lock() {
            line.take();
        }
    }

    async fn exec(&self, script: &str) -> Result<Output, Trouble> {
        let script = format!("{ENVIRONMENT}{script}");
        let (connection, used) = self.connection().await?;
        let mut output = run(&connection, &script).await;
        // One that was opened before may have died since, and nothing was sent.
        if used && matches!(output, Err(Trouble::Away(_))) {
            self.line.0.lock().await.take();
            let (connection, _) = self.connection().await?;
            output = run(&connection, &script).await;
        }
        match &output {
            Ok(output) => {
                tracing::debug!(target: "pmoves::guest", vmid = self.place.1, bytes = script.len(), code = output.code);
            }
            Err(_) => drop(self.line.0.lock().await.take()),
        }
        output
    }

    /// The connection, and whether it was there before.
    async fn connection(&self) -> Result<(Connection, bool), Trouble> {
        let mut line = self.line.0.lock().await;
        if let Some(connection) = line.as_ref().filter(|connection| connection.is_alive()) {
            return Ok((connection.clone(), true));
        }
        let host = match &self.target.host {
            Some(host) => host.clone(),
            None => self.address().await?,
        };
        let port = self.target.port.unwrap_or(self.settings.port);
        let username = self.target.username.as_ref();
        let username = username.unwrap_or(&self.settings.username);
        let connection = Connection::open(&self.settings, &host, port, username).await?;
        *line = Some(connection.clone());
        Ok((connection, false))
    }

    /// The address of a container's `net0`, as its node sees it.
    async fn address(&self) -> Result<String, Trouble> {
        let (node, vmid) = (&self.place.0, self.place.1);
        let config = self.pve.lxc_config_now(node, vmid).await?;
        let first = config.nets.get("net0");
        let first = first.and_then(|raw| PropertyString::parse(raw, None).ok());
        let mac = first.as_ref().and_then(|nic| nic.get("hwaddr"));
        let nics = self.pve.lxc_interfaces(node, vmid).await?;
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
            .ok_or_else(|| Trouble::Away(format!("container {vmid} has no address yet")))
    }
}

/// Runs a script on a connection. Its output is read while its input is sent, since either may fill up.
async fn run(connection: &Connection, script: &str) -> Result<Output, Trouble> {
    let channel = connection.channel().await?;
    let (mut answers, input) = channel.split();
    let send = async {
        input.exec(true, connection.shell()).await?;
        input.data(script.as_bytes()).await?;
        input.eof().await
    };
    let receive = async {
        let (mut code, mut truncated) = (None, false);
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(answer) = answers.wait().await {
            let (to, data) = match answer {
                ChannelMsg::Data { data } => (&mut stdout, data),
                ChannelMsg::ExtendedData { data, ext: 1 } => (&mut stderr, data),
                ChannelMsg::ExitStatus { exit_status } => {
                    code = Some(i64::from(exit_status));
                    continue;
                }
                ChannelMsg::ExitSignal { signal_name, .. } => {
                    code = Some(128 + connection::number(&signal_name));
                    continue;
                }
                ChannelMsg::Failure => return None,
                _ => continue,
            };
            let room = LONGEST.saturating_sub(to.len());
            truncated |= data.len() > room;
            to.extend_from_slice(&data[..data.len().min(room)]);
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Some(Output {
            code: code?,
            stdout: text(stdout),
            stderr: text(stderr),
            truncated,
        })
    };
    let (_, output) = tokio::join!(send, receive);
    output.ok_or_else(|| {
        let why = "the connection ended before the command did";
        Trouble::Lost(connection.label().to_owned(), why.to_owned())
    })
}

impl Guest for SshGuest {
    async fn run(&self, script: &str) -> Result<Output> {
        let what = format!("a command in guest {}", self.place.1);
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

/// Why a host key is not taken, as a sentence.
pub(super) fn distrust(label: &str, pinned: Pinned, seen: &str, line: &str) -> String {
    match pinned {
        Pinned::Unknown => format!(
            "the host key of {label} is not known; it is {seen}. Compare that with what the guest says of itself \
             (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` in its console), and add this line to known_hosts:\n\n\
             {line}\n\nFor guests that are made anew, whose keys nobody can know, set accept_new_host_keys = true in \
             the provider's ssh"
        ),
        Pinned::Other(at) => format!(
            "the host key of {label} is not the one of line {at} of known_hosts; it is {seen} now. If the guest was \
             made anew, remove the line (`ssh-keygen -R`); if not, somebody is in between"
        ),
        Pinned::Revoked | Pinned::Same => {
            format!("the host key of {label}, {seen}, is revoked in known_hosts")
        }
    }
}
