//! The configuration that `ssh` is run with: nobody else's counts.

use std::fmt::Write as _;
use std::path::Path;

/// The name of the guest in the configuration.
pub(super) const GUEST: &str = "guest";
/// The name of the machine that connections go through.
pub(super) const BASTION: &str = "bastion";

/// Where to log in, and as whom.
pub(super) struct Door<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) username: &'a str,
    /// The variable that names the file with the private key, so that it is only there while it is used.
    pub(super) key: Option<&'a str>,
    /// Socket of an agent.
    pub(super) agent: Option<&'a Path>,
    pub(super) known_hosts: &'a Path,
    /// Whether the key is learnt if the host has none.
    pub(super) learns: bool,
}

/// The text of the configuration; `directory` takes sockets and logs.
///
/// # Errors
/// A sentence about a name that `ssh` would not take for one.
pub(super) fn text(
    directory: &Path,
    guest: &Door<'_>,
    bastion: Option<&Door<'_>>,
) -> Result<String, String> {
    // The log of a connection has the fingerprint of the key that was shown.
    let mut text = "Host *\n  BatchMode yes\n  ClearAllForwardings yes\n  ConnectTimeout 10\n  ForwardAgent no\n  \
                    GlobalKnownHostsFile none\n  HashKnownHosts no\n  LogLevel DEBUG1\n  \
                    PreferredAuthentications publickey\n  ServerAliveInterval 15\n  UpdateHostKeys no\n"
        .to_owned();
    door(&mut text, GUEST, guest)?;
    // Commands share a connection, which ends by itself soon after the last one.
    let socket = path(&directory.join("socket"))?;
    writeln!(
        text,
        "  ControlMaster auto\n  ControlPath {socket}\n  ControlPersist 10"
    )
    .ok();
    if let Some(bastion) = bastion {
        let (config, log) = (directory.join("config"), directory.join("bastion.log"));
        let (config, log) = (path(&config)?, path(&log)?);
        writeln!(
            text,
            "  ProxyCommand ssh -F {config} -E {log} -W [%h]:%p {BASTION}"
        )
        .ok();
        door(&mut text, BASTION, bastion)?;
    }
    Ok(text)
}

fn door(text: &mut String, name: &str, door: &Door<'_>) -> Result<(), String> {
    let key = door
        .key
        .map_or_else(|| "none".to_owned(), |name| format!("\"${{{name}}}\""));
    let agent = door.agent.map_or(Ok("none".to_owned()), path)?;
    // With an agent, its keys are tried after the one that was given.
    let only = if door.agent.is_some() { "no" } else { "yes" };
    let strict = if door.learns { "accept-new" } else { "yes" };
    writeln!(
        text,
        "Host {name}\n  HostName {}\n  Port {}\n  User {}\n  IdentityFile {key}\n  IdentityAgent {agent}\n  \
         IdentitiesOnly {only}\n  UserKnownHostsFile {}\n  StrictHostKeyChecking {strict}",
        plain(door.host)?,
        door.port,
        plain(door.username)?,
        path(door.known_hosts)?,
    )
    .ok();
    Ok(())
}

/// A name that means nothing else to `ssh` or to a shell.
fn plain(name: &str) -> Result<&str, String> {
    let fits = |letter: char| letter.is_alphanumeric() || "._-:".contains(letter);
    match name.starts_with(fits) && !name.starts_with('-') && name.chars().all(fits) {
        true => Ok(name),
        false => Err(format!("{name:?} is no name or address")),
    }
}

fn path(path: &Path) -> Result<String, String> {
    let text = path.to_string_lossy().replace('%', "%%");
    match text.contains(['"', '\n', '$', '`', '\\']) {
        true => Err(format!("ssh does not take the path {}", path.display())),
        false => Ok(format!("\"{text}\"")),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn guest() -> Door<'static> {
        Door {
            host: "192.0.2.10",
            port: 22,
            username: "root",
            key: Some("PMOVES_KEY"),
            agent: None,
            known_hosts: Path::new("/home/me/.ssh/known_hosts"),
            learns: true,
        }
    }

    #[test]
    fn a_guest_behind_a_bastion() {
        let bastion = Door {
            host: "gate.example.com",
            port: 2222,
            username: "me",
            key: None,
            agent: Some(Path::new("/run/100%/agent")),
            learns: false,
            ..guest()
        };
        let text = text(Path::new("/tmp/x"), &guest(), Some(&bastion)).unwrap();
        let (_, own) = text.split_once("UpdateHostKeys no\n").unwrap();
        expect![[r#"
            Host guest
              HostName 192.0.2.10
              Port 22
              User root
              IdentityFile "${PMOVES_KEY}"
              IdentityAgent none
              IdentitiesOnly yes
              UserKnownHostsFile "/home/me/.ssh/known_hosts"
              StrictHostKeyChecking accept-new
              ControlMaster auto
              ControlPath "/tmp/x/socket"
              ControlPersist 10
              ProxyCommand ssh -F "/tmp/x/config" -E "/tmp/x/bastion.log" -W [%h]:%p bastion
            Host bastion
              HostName gate.example.com
              Port 2222
              User me
              IdentityFile none
              IdentityAgent "/run/100%%/agent"
              IdentitiesOnly no
              UserKnownHostsFile "/home/me/.ssh/known_hosts"
              StrictHostKeyChecking yes
        "#]]
        .assert_eq(own);
    }

    #[test]
    fn a_name_cannot_say_more() {
        for host in [
            "",
            "-oProxyCommand=x",
            "a\nProxyCommand x",
            "a b",
            "%h",
            "\"a",
            "a;b",
        ] {
            let door = Door { host, ..guest() };
            assert!(text(Path::new("/tmp/x"), &door, None).is_err(), "{host:?}");
        }
        for host in ["web.lan", "fd00::10", "münchen.example"] {
            let door = Door { host, ..guest() };
            assert!(text(Path::new("/tmp/x"), &door, None).is_ok(), "{host:?}");
        }
    }
}
