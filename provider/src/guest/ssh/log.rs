//! Reads why a connection did not come about, out of what `ssh` says at `LogLevel DEBUG1`.

use super::session::Trouble;

/// What is wrong with a host key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostKey {
    /// Nothing is known of the host, or nothing of this kind of key.
    Unknown,
    /// In this file and line there is another one.
    Other(String),
    /// It must not be used.
    Revoked,
}

/// Why a connection failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// The host key, by its kind and fingerprint.
    HostKey(HostKey, String),
    /// No key that was tried opens the account.
    Refused,
    /// The private key cannot be read.
    Key,
    /// The command was on its way when the connection ended.
    Lost(String),
    /// Anything else, which may pass.
    Away(String),
}

/// What a log says of the end of a connection.
pub(super) fn read(log: &str) -> Failed {
    let said = |line: &&str| !line.starts_with("debug1:") && !line.trim().is_empty();
    let last = log.lines().rfind(said).unwrap_or("it said nothing");
    let last = last.trim_start_matches("ssh: ").trim().to_owned();
    if log.contains("Host key verification failed") {
        let key = log
            .lines()
            .find_map(|line| line.strip_prefix("debug1: Server host key: "));
        let offending = log.lines().find_map(|line| {
            let (_, at) = line.strip_prefix("Offending ")?.split_once(" in ")?;
            Some(at.trim().to_owned())
        });
        let why = match offending {
            _ if log.contains("REVOKED HOST KEY") => HostKey::Revoked,
            Some(at) => HostKey::Other(at),
            None => HostKey::Unknown,
        };
        return Failed::HostKey(why, key.unwrap_or("not shown").to_owned());
    }
    match () {
        () if log.contains("debug1: Sending command") || log.contains("master session id") => {
            Failed::Lost(last)
        }
        () if log.contains("Load key ") && log.contains("Permission denied (") => Failed::Key,
        () if log.contains("Permission denied (") => Failed::Refused,
        () => Failed::Away(last),
    }
}

/// That as a trouble of the host `label`, where `line` would make its key known.
pub(super) fn trouble(failed: Failed, label: &str, username: &str, line: Option<&str>) -> Trouble {
    match failed {
        Failed::HostKey(why, seen) => Trouble::Never(distrust(label, &why, &seen, line)),
        Failed::Refused => Trouble::Refused(format!(
            "{label} does not let {username} in: is the public key in its ~/.ssh/authorized_keys?"
        )),
        Failed::Key => Trouble::Never(format!(
            "ssh cannot read the private key for {label}; `ssh-keygen -y -f FILE` shows whether a file is one"
        )),
        Failed::Lost(why) => Trouble::Lost(label.to_owned(), why),
        Failed::Away(why) => Trouble::Away(format!("{label}: {why}")),
    }
}

/// Why a host key is not taken, as a sentence.
fn distrust(label: &str, why: &HostKey, seen: &str, line: Option<&str>) -> String {
    match why {
        HostKey::Unknown => {
            let line = line.map_or(String::new(), |line| {
                format!(", and add this line to known_hosts:\n\n{line}\n\n")
            });
            let stop = if line.is_empty() { ". " } else { "" };
            format!(
                "the host key of {label} is not known; it is {seen}. Compare that with what the guest says of itself \
                 (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` in its console){line}{stop}For guests that are \
                 made anew, whose keys nobody can know, set accept_new_host_keys = true in the provider's ssh"
            )
        }
        HostKey::Other(at) => format!(
            "the host key of {label} is not the one at {at}; it is {seen} now. If the guest was made anew, remove the \
             line (`ssh-keygen -R`); if not, somebody is in between"
        ),
        HostKey::Revoked => format!("the host key of {label}, {seen}, is revoked in known_hosts"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 SHA256:TmL6e5W4HtGub7T85PkHOLO6jUQba50DOqdiqvCpPAw";

    #[track_caller]
    fn check(log: &str, expected: &Failed) {
        let shown = format!("debug1: Connection established.\ndebug1: Server host key: {KEY}\n");
        assert_eq!(&read(&format!("{shown}{log}\n")), expected);
    }

    #[test]
    fn the_end_of_a_connection_has_a_reason() {
        let key = |why| Failed::HostKey(why, KEY.to_owned());
        check(
            "No ED25519 host key is known for [127.0.0.1]:2299 and you have requested strict checking.\n\
             Host key verification failed.",
            &key(HostKey::Unknown),
        );
        check(
            "Offending ED25519 key in /tmp/s/kh:1\n  remove with:\nHost key verification failed.",
            &key(HostKey::Other("/tmp/s/kh:1".into())),
        );
        check(
            "@       WARNING: REVOKED HOST KEY DETECTED!               @\nHost key verification failed.",
            &key(HostKey::Revoked),
        );
        check(
            "debug1: No more authentication methods to try.\nroot@127.0.0.1: Permission denied (publickey).",
            &Failed::Refused,
        );
        check(
            "Load key \"/tmp/k\": error in libcrypto\nroot@127.0.0.1: Permission denied (publickey).",
            &Failed::Key,
        );
        check(
            "debug1: connect to address 127.0.0.1 port 1: Connection refused\n\
             ssh: connect to host 127.0.0.1 port 1: Connection refused",
            &Failed::Away("connect to host 127.0.0.1 port 1: Connection refused".into()),
        );
        check(
            "debug1: Sending command: exec /bin/sh\nclient_loop: send disconnect: Broken pipe",
            &Failed::Lost("client_loop: send disconnect: Broken pipe".into()),
        );
        check("", &Failed::Away("it said nothing".into()));
    }
}
