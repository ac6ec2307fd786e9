//! One connection: to the guest itself or through a bastion, host key checked and logged in.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use russh::{
    Channel, Preferred, Sig,
    client::{self, AuthResult, Handle, Handler, Msg},
    keys::{
        Algorithm, EcdsaCurve, HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate,
        agent::{AgentIdentity, client::AgentClient},
    },
};
use tokio::net::TcpStream;

use super::{
    Settings, distrust,
    key::PrivateKey,
    known_hosts::{KnownHosts, Pinned, line},
};
use crate::pve;

/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a command did not run.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nobody answers, or not as an sshd does: it may yet come.
    Away(String),
    /// The guest does not let us in: it may yet.
    Refused(String),
    /// It will not get better by waiting.
    Never(String),
    /// The command was sent; of which host, and why there is no end of it.
    Lost(String, String),
    /// Proxmox VE could not be asked for the address.
    Api(pve::Error),
}

impl From<pve::Error> for Trouble {
    fn from(error: pve::Error) -> Self {
        Self::Api(error)
    }
}

/// A connection that is logged in.
#[derive(Clone)]
pub(super) struct Connection {
    handle: Arc<Handle<Gate>>,
    /// The one that it goes through, which must outlive it.
    _through: Option<Arc<Handle<Gate>>>,
    label: String,
    is_root: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

/// Where to log in, and as whom.
struct Door<'a> {
    host: &'a str,
    port: u16,
    username: &'a str,
    key: Option<&'a PrivateKey>,
    known_hosts: &'a Arc<KnownHosts>,
}

impl Connection {
    pub(super) async fn open(
        settings: &Settings,
        host: &str,
        port: u16,
        username: &str,
    ) -> Result<Self, Trouble> {
        let agent = settings.agent.as_deref();
        let (stream, through) = match &settings.bastion {
            None => (None, None),
            Some(bastion) => {
                let door = Door {
                    host: &bastion.host,
                    port: bastion.port,
                    username: &bastion.username,
                    key: bastion.key.as_ref(),
                    known_hosts: &bastion.known_hosts,
                };
                let handle = Arc::new(door.enter(None, agent).await?);
                let opened = handle.channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0);
                let channel = opened.await.map_err(|error| {
                    Trouble::Away(format!(
                        "{} does not lead to {host}:{port}: {error}",
                        bastion.host
                    ))
                })?;
                (Some(channel), Some(handle))
            }
        };
        let door = Door {
            host,
            port,
            username,
            key: settings.key.as_ref(),
            known_hosts: &settings.known_hosts,
        };
        let connection = Self {
            handle: Arc::new(door.enter(stream, agent).await?),
            _through: through,
            label: door.label(),
            is_root: username == "root",
        };
        if !connection.is_root {
            let checked = super::run(&connection, "exit 0\n").await?;
            if checked.code != 0 {
                return Err(Trouble::Never(format!(
                    "{username} cannot become root on {host}: {}. Give the account sudo without a password \
                     (`{username} ALL=(ALL) NOPASSWD: ALL` in /etc/sudoers.d), or log in as root",
                    checked.stderr.trim()
                )));
            }
        }
        Ok(connection)
    }

    pub(super) fn is_alive(&self) -> bool {
        !self.handle.is_closed()
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// The program that reads scripts, as root.
    pub(super) fn shell(&self) -> &'static str {
        match self.is_root {
            true => "/bin/sh",
            false => "sudo -n /bin/sh",
        }
    }

    pub(super) async fn channel(&self) -> Result<Channel<Msg>, Trouble> {
        let opened = self.handle.channel_open_session().await;
        opened.map_err(|error| Trouble::Away(format!("{} hung up: {error}", self.label)))
    }
}

impl Door<'_> {
    fn label(&self) -> String {
        match self.port {
            22 => self.host.to_owned(),
            port => format!("{}:{port}", self.host),
        }
    }

    async fn enter(
        &self,
        through: Option<Channel<Msg>>,
        agent: Option<&std::path::Path>,
    ) -> Result<Handle<Gate>, Trouble> {
        let opened = tokio::time::timeout(PATIENCE, self.connect(through)).await;
        let late = |_| {
            let seconds = PATIENCE.as_secs();
            Trouble::Away(format!(
                "{} does not answer within {seconds} s",
                self.label()
            ))
        };
        let mut handle = opened.map_err(late)??;
        let tried = tokio::time::timeout(PATIENCE, self.log_in(&mut handle, agent)).await;
        tried.map_err(late)??;
        Ok(handle)
    }

    async fn connect(&self, through: Option<Channel<Msg>>) -> Result<Handle<Gate>, Trouble> {
        let verdict = Arc::new(Mutex::new(None));
        let gate = Gate {
            host: self.host.to_owned(),
            port: self.port,
            label: self.label(),
            known_hosts: Arc::clone(self.known_hosts),
            verdict: Arc::clone(&verdict),
        };
        let config = Arc::new(client::Config {
            keepalive_interval: Some(Duration::from_secs(15)),
            nodelay: true,
            preferred: Preferred {
                key: self.kinds().into(),
                ..Preferred::DEFAULT
            },
            ..client::Config::default()
        });
        let connected = if let Some(channel) = through {
            client::connect_stream(config, channel.into_stream(), gate).await
        } else {
            let stream = TcpStream::connect((self.host, self.port)).await;
            let stream =
                stream.map_err(|error| Trouble::Away(format!("{}: {error}", self.label())))?;
            client::connect_stream(config, stream, gate).await
        };
        let refusal = verdict
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match (connected, refusal) {
            (_, Some(why)) => Err(Trouble::Never(why)),
            (Ok(handle), None) => Ok(handle),
            (Err(error), None) => Err(Trouble::Away(format!("{}: {error}", self.label()))),
        }
    }

    /// Kinds of host keys, those that are known first.
    fn kinds(&self) -> Vec<Algorithm> {
        let ours = [
            Algorithm::Ed25519,
            Algorithm::Ecdsa {
                curve: EcdsaCurve::NistP256,
            },
            Algorithm::Ecdsa {
                curve: EcdsaCurve::NistP384,
            },
            Algorithm::Ecdsa {
                curve: EcdsaCurve::NistP521,
            },
        ];
        let known = self.known_hosts.kinds(self.host, self.port);
        let (mut first, rest): (Vec<_>, Vec<_>) =
            ours.into_iter().partition(|kind| known.contains(kind));
        first.extend(rest);
        first
    }

    async fn log_in(
        &self,
        handle: &mut Handle<Gate>,
        agent: Option<&std::path::Path>,
    ) -> Result<(), Trouble> {
        let away = |error: &dyn fmt::Display| Trouble::Away(format!("{}: {error}", self.label()));
        if let Some(PrivateKey(key)) = self.key {
            let key = PrivateKeyWithHashAlg::new(Arc::clone(key), None);
            let tried = handle.authenticate_publickey(self.username, key).await;
            if tried.map_err(|error| away(&error))?.success() {
                return Ok(());
            }
        }
        if let Some(socket) = agent {
            let never = |error: &dyn fmt::Display| {
                Trouble::Never(format!("the SSH agent at {}: {error}", socket.display()))
            };
            let client = AgentClient::connect_uds(socket).await;
            let mut client = client.map_err(|error| never(&error))?;
            let identities = client.request_identities().await;
            for identity in identities.map_err(|error| never(&error))? {
                let AgentIdentity::PublicKey { key, .. } = identity else {
                    continue;
                };
                let hash = matches!(key.algorithm(), Algorithm::Rsa { .. });
                let hash = hash.then_some(HashAlg::Sha512);
                let tried =
                    handle.authenticate_publickey_with(self.username, key, hash, &mut client);
                if matches!(tried.await, Ok(AuthResult::Success)) {
                    return Ok(());
                }
            }
        }
        Err(Trouble::Refused(format!(
            "{} does not let {} in: is the public key in its ~/.ssh/authorized_keys?",
            self.label(),
            self.username
        )))
    }
}

/// Decides about the host key.
pub(super) struct Gate {
    host: String,
    port: u16,
    label: String,
    known_hosts: Arc<KnownHosts>,
    verdict: Arc<Mutex<Option<String>>>,
}

impl Gate {
    fn check(&self, key: &PublicKeyOrCertificate) -> Result<(), String> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else {
            return Err(format!(
                "{} shows a certificate, which nobody asked for",
                self.label
            ));
        };
        let unusable = |error: std::io::Error| format!("known_hosts cannot be used: {error}");
        let hosts = &self.known_hosts;
        let line = line(&self.host, self.port, key);
        let new = || hosts.accept_new && hosts.kinds(&self.host, self.port).is_empty();
        match hosts.pinned(&self.host, self.port, key).map_err(unusable)? {
            Pinned::Same => Ok(()),
            // Whoever is in between could show another kind of key than the one that is known.
            Pinned::Unknown if new() => hosts.learn(&line).map_err(unusable),
            pinned => {
                let seen = format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256));
                Err(distrust(&self.label, pinned, &seen, &line))
            }
        }
    }
}

impl Handler for Gate {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let checked = self.check(key);
        let trusted = checked.is_ok();
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = checked.err();
        Ok(trusted)
    }
}

/// The number of a signal.
pub(super) fn number(signal: &Sig) -> i64 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        Sig::Custom(_) => 127,
    }
}
