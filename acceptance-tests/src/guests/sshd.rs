//! A genuine sshd in a scripted guest, on a port of this machine's loopback.
//!
//! [`ScriptedHypervisor::sshd`](super::scripted::ScriptedHypervisor::sshd) makes one, before or after its guest is
//! started. Each connection gets a process `sshd -i` in the namespaces of the guest as it is then: users, shells and
//! `~/.ssh/authorized_keys` are the guest's own, so that a login shows that a key got there. Give
//! [`Sshd::public_key`] to the guest, connect to [`Sshd::address`], expect [`Sshd::host_key`] and log in with
//! [`Sshd::private_key`]. Connections to a guest that is off are closed, and end with the guest.
//!
//! A guest of the lab runs an sshd of its own: [`Lab::forward`](super::Lab::forward) leads to its port 22.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::{JoinHandle, JoinSet};

/// Runs in the guest with a connection as its standard input and output. The first argument is the private host key.
const SERVE: &str = r#"
mkdir -p /run/sshd /etc/ssh
key=/etc/ssh/ssh_host_ed25519_key
# Renamed, so that of two connections at once none reads half a key.
(umask 077 && printf '%s\n' "$1" >$key.$$) && ssh-keygen -y -f $key.$$ >$key.pub.$$ || exit
mv $key.pub.$$ $key.pub
mv $key.$$ $key
exec /usr/sbin/sshd -i -e -f /dev/null -h $key -o UsePAM=no -o PermitRootLogin=prohibit-password \
  -o PasswordAuthentication=no -o KbdInteractiveAuthentication=no \
  -o 'Subsystem=sftp /usr/lib/openssh/sftp-server'
"#;

/// An sshd; it ends when this is dropped.
#[derive(Debug)]
pub struct Sshd {
    address: SocketAddr,
    files: TempDir,
    task: JoinHandle<()>,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sshd {
    /// Says in one sentence what this machine lacks for it.
    ///
    /// # Errors
    /// That sentence.
    pub fn available() -> Result<(), String> {
        if !super::is_root() {
            return Err("an sshd in a guest needs root, to give the guest more than one id".into());
        }
        match Path::new("/usr/sbin/sshd").exists() {
            true => Ok(()),
            false => Err("an sshd in a guest needs the program sshd: \
                apt-get install --no-install-recommends openssh-server"
                .to_owned()),
        }
    }

    /// Starts it with new keys. `enter` is asked at each connection for the command that enters the guest, to be
    /// followed by another; it has none while the guest is off.
    pub(super) async fn start(
        enter: impl Fn() -> Option<Vec<String>> + Send + 'static,
    ) -> Result<Self, String> {
        Self::available()?;
        let failed = |error: io::Error| format!("cannot start an sshd: {error}");
        let files = tempfile::Builder::new().prefix("sshd-").tempdir();
        let files = files.map_err(failed)?;
        for name in ["host_key", "client_key"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", name])
                .current_dir(&files)
                .status();
            if !made.await.map_err(failed)?.success() {
                return Err("cannot start an sshd: ssh-keygen makes no key".to_owned());
            }
        }
        let host_key = std::fs::read_to_string(files.path().join("host_key")).map_err(failed)?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let log = files.path().join("log");
        let task = tokio::spawn(async move {
            // Dropping the set ends the connections too.
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                let Some(enter) = enter() else { continue };
                match serve(&enter, connection, host_key.trim_end(), &log) {
                    Ok(mut command) => {
                        connections.spawn(async move { command.status().await });
                    }
                    Err(error) => eprintln!("sshd: {error}"),
                }
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            address,
            files,
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its host key as in the file `known_hosts`, without a name: `ssh-ed25519 AAAA…`.
    ///
    /// # Panics
    /// When its files are gone.
    pub fn host_key(&self) -> String {
        self.read("host_key.pub")
    }

    /// The host key's fingerprint as ssh shows it: `SHA256:…`.
    ///
    /// # Panics
    /// When its files are gone.
    pub fn fingerprint(&self) -> String {
        use aws_lc_rs::digest::{SHA256, digest};
        use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, Engine as _};
        let key = self.host_key();
        let blob = key.split(' ').nth(1).unwrap_or_default();
        let blob = BASE64_STANDARD.decode(blob).expect("ssh-keygen made it");
        let hash = digest(&SHA256, &blob);
        format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(hash))
    }

    /// The file of a private key that nobody else uses, in OpenSSH's format and without a passphrase.
    pub fn private_key(&self) -> PathBuf {
        self.files.path().join("client_key")
    }

    /// Its public half, as a line of `authorized_keys`.
    ///
    /// # Panics
    /// When its files are gone.
    pub fn public_key(&self) -> String {
        self.read("client_key.pub")
    }

    /// What sshd said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.files.path().join("log")).unwrap_or_default()
    }

    fn read(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.files.path().join(name));
        text.expect("the key was written").trim_end().to_owned()
    }
}

/// The command that serves one connection.
fn serve(
    enter: &[String],
    connection: TcpStream,
    host_key: &str,
    log: &Path,
) -> io::Result<Command> {
    let connection = connection.into_std()?;
    connection.set_nonblocking(false)?;
    let input = OwnedFd::from(connection);
    let output = input.try_clone()?;
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(log)?;
    let (program, arguments) = enter.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args(["/usr/bin/env", "-i", "-C", "/"])
        .arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .args(["/bin/sh", "-c", SERVE, "sshd", host_key])
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(output))
        .stderr(log)
        .kill_on_drop(true);
    Ok(command)
}
