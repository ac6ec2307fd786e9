//! The program `ssh`: the files that it is run with, and its runs.

use std::{
    fmt, io,
    io::Write as _,
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
};

use tempfile::{NamedTempFile, TempDir};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};

use super::{
    Settings,
    config::{self, BASTION, Door, GUEST},
    key,
    log::{self, Failed, HostKey},
};
use crate::{guest::Output, pve, secret::Secret};

/// Bytes of either output that are kept.
const LONGEST: u64 = 32 << 20;
/// Variables that name the files with the private keys.
const KEYS: [&str; 2] = ["PMOVES_SSH_KEY", "PMOVES_SSH_BASTION_KEY"];
/// Exit status of `ssh` itself when it fails. A command that ends so is told as 254.
const OWN: i64 = 255;

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

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Never(format!(
            "the files that ssh needs cannot be written: {error}"
        ))
    }
}

/// A way into a guest that has been tried. Runs share a connection, which `ssh` keeps for a moment and makes again.
pub(super) struct Session {
    directory: TempDir,
    keys: [Option<Secret<String>>; 2],
    /// How the guest and the bastion are called, and the account on each.
    names: [(String, String); 2],
    runs: AtomicUsize,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names[0].0)
    }
}

impl Session {
    pub(super) async fn open(
        settings: &Settings,
        host: &str,
        port: u16,
        username: &str,
    ) -> Result<Self, Trouble> {
        let directory = TempDir::with_prefix("pmoves-ssh-")?;
        let bastion = settings.bastion.as_ref();
        let keys = [
            settings.key.clone(),
            bastion.and_then(|bastion| bastion.key.clone()),
        ];
        let known_hosts = settings.known_hosts.path()?;
        let agent = settings.agent.as_deref();
        let guest = Door {
            host,
            port,
            username,
            key: keys[0].as_ref().map(|_| KEYS[0]),
            agent,
            known_hosts: &known_hosts,
            learns: settings.known_hosts.accept_new,
        };
        let mut names = [
            (label(host, port), username.to_owned()),
            <(String, String)>::default(),
        ];
        let text = match bastion {
            None => config::text(directory.path(), &guest, None),
            Some(bastion) => {
                names[1] = (label(&bastion.host, bastion.port), bastion.username.clone());
                let known_hosts = bastion.known_hosts.path()?;
                let door = Door {
                    host: &bastion.host,
                    port: bastion.port,
                    username: &bastion.username,
                    key: keys[1].as_ref().map(|_| KEYS[1]),
                    agent,
                    known_hosts: &known_hosts,
                    learns: bastion.known_hosts.accept_new,
                };
                config::text(directory.path(), &guest, Some(&door))
            }
        };
        std::fs::write(
            directory.path().join("config"),
            text.map_err(Trouble::Never)?,
        )?;
        let session = Self {
            directory,
            keys,
            names,
            runs: AtomicUsize::default(),
        };
        let tried = session.run("exit 0\n").await?;
        if tried.code != 0 {
            return Err(Trouble::Never(format!(
                "{username} cannot become root on {host}: {}. Give the account sudo without a password \
                 (`{username} ALL=(ALL) NOPASSWD: ALL` in /etc/sudoers.d), or log in as root",
                tried.stderr.trim()
            )));
        }
        Ok(session)
    }

    /// Runs a script as root.
    pub(super) async fn run(&self, script: &str) -> Result<Output, Trouble> {
        let shell = "/bin/sh -c '/bin/sh; c=$?; [ $c = 255 ] && c=254; exit $c'";
        let command = match self.names[0].1.as_str() {
            "root" => format!("exec {shell}"),
            _ => format!("exec sudo -n {shell}"),
        };
        let (output, log) = self.ssh(&[], GUEST, &command, script).await?;
        if output.code != OWN {
            return Ok(output);
        }
        let bastion = std::fs::read_to_string(self.file("bastion.log")).unwrap_or_default();
        // It is one log for all connections; the last counts.
        let bastion = bastion
            .rsplit("debug1: Connecting to ")
            .next()
            .unwrap_or_default();
        let ([guest, through], failed) = (&self.names, log::read(&log));
        // What a bastion says counts until it has let us in, and then where it does not lead on.
        let ((name, username), alias, failed) = match log::read(bastion) {
            _ if bastion.is_empty() => (guest, GUEST, failed),
            Failed::Away(why) if bastion.contains("Authenticated to ") => match failed {
                Failed::Away(_) => (guest, GUEST, Failed::Away(why)),
                failed => (guest, GUEST, failed),
            },
            Failed::Lost(_) => (guest, GUEST, failed),
            failed => (through, BASTION, failed),
        };
        let line = match &failed {
            Failed::HostKey(HostKey::Unknown, _) => self.host_key(alias).await,
            _ => None,
        };
        Err(log::trouble(failed, name, username, line.as_deref()))
    }

    /// The line that would make the key of a host known: what `ssh` learns when it goes there without a key of ours.
    async fn host_key(&self, alias: &str) -> Option<String> {
        let seen = self.file("seen");
        let path = format!("UserKnownHostsFile={}", seen.display());
        let options = [
            path.as_str(),
            "StrictHostKeyChecking=accept-new",
            "PreferredAuthentications=none",
            "ControlPath=none",
        ];
        self.ssh(&options, alias, "exit", "").await.ok()?;
        let lines = std::fs::read_to_string(&seen).ok()?;
        Some(lines.lines().next()?.to_owned())
    }

    /// One run of `ssh`, and its log.
    async fn ssh(
        &self,
        options: &[&str],
        alias: &str,
        command: &str,
        input: &str,
    ) -> Result<(Output, String), Trouble> {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let log = self.file(&format!("log.{number}"));
        let mut program = Command::new("ssh");
        program
            .arg("-F")
            .arg(self.file("config"))
            .arg("-E")
            .arg(&log);
        for option in options {
            program.args(["-o", option]);
        }
        // Kept as long as the run, so that whatever ends the provider leaves no key behind but in that moment.
        let mut files = Vec::new();
        for (name, key) in KEYS.iter().zip(&self.keys) {
            if let Some(key) = key {
                let mut file = NamedTempFile::new_in(self.directory.path())?;
                file.write_all(key::file(key.expose()).as_bytes())?;
                program.env(name, file.path());
                files.push(file);
            }
        }
        // In a group of its own: an interrupt at the terminal is the provider's to hear.
        program
            .args(["-T", alias, command])
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = program.spawn().map_err(|error| missing(&error))?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let send = async {
            // A command that ends early reads no more.
            if let Some(mut stdin) = stdin {
                stdin.write_all(input.as_bytes()).await.ok();
            }
        };
        // Both are read while the input is sent, since either may fill up.
        let ((), stdout, stderr) = tokio::join!(send, read(stdout), read(stderr));
        let status = child.wait().await?;
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        std::fs::remove_file(&log).ok();
        let ((stdout, long), (stderr, longer)) = (stdout?, stderr?);
        let output = Output {
            code: status.code().map_or(OWN, i64::from),
            stdout,
            stderr,
            truncated: long || longer,
        };
        let log = format!(
            "{said}{}",
            if output.code == OWN {
                &output.stderr
            } else {
                ""
            }
        );
        Ok((output, log))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn missing(error: &io::Error) -> Trouble {
    Trouble::Never(match error.kind() {
        io::ErrorKind::NotFound => {
            "the program ssh is missing where the provider runs: install OpenSSH's client, 8.4 or later (on Debian, openssh-client)".to_owned()
        }
        _ => format!("ssh cannot be started: {error}"),
    })
}

fn label(host: &str, port: u16) -> String {
    match port {
        22 => host.to_owned(),
        port => format!("{host}:{port}"),
    }
}

/// What comes, up to a limit, and whether there was more.
async fn read(stream: Option<impl AsyncRead + Unpin>) -> io::Result<(String, bool)> {
    let mut bytes = Vec::new();
    let mut rest = 0;
    if let Some(mut stream) = stream {
        (&mut stream).take(LONGEST).read_to_end(&mut bytes).await?;
        rest = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    }
    Ok((String::from_utf8_lossy(&bytes).into_owned(), rest > 0))
}
