//! Scripts that outlive the call that starts them.
//!
//! A transport may vanish under a long script (apt restarts the guest agent), so the script becomes a transient
//! systemd unit and its end is asked for. Does not interpret what the script says.

use super::{Error, Guest, Output, Result, quote, sha256, write_file};

const START: &str = include_str!("detached/start.sh");
const POLL: &str = include_str!("detached/poll.sh");

/// Runs `script` as the unit `name` (a unit name without suffix, such as `pmoves-install`) and waits for its end.
///
/// A unit of that name that still runs is waited for instead of started twice, so the name carries a hash of whatever
/// makes two runs different. Standard output and error come back together, the last 64 KiB of them, in `stdout`.
/// The script itself is kept from other users and removed when it has run.
pub async fn run(guest: &impl Guest, name: &str, script: &str) -> Result<Output> {
    let name = name_checked(name)?;
    guest
        .run(&start(name, script))
        .await?
        .ok(&format!("starting {name}"))?;
    let output = guest.poll(name, &format!("name={name}\n{POLL}")).await?;
    // The script's own status is the first line, since the status of the poll is that of the poll.
    let log = output.ok(&format!("waiting for {name}"))?;
    let (code, log) = log.split_once('\n').unwrap_or((&log, ""));
    match code.parse() {
        Ok(code) => Ok(Output {
            code,
            stdout: log.to_owned(),
            ..Output::default()
        }),
        Err(_) => Err(Error::Failed {
            what: name.to_owned(),
            code: -1,
            stderr: format!("it ended without a result; did the guest restart?\n{log}"),
        }),
    }
}

/// `prefix` with a hash of `text`, as a unit name.
pub fn name(prefix: &str, text: &str) -> String {
    format!("{prefix}-{}", &sha256(text)[..12])
}

fn start(name: &str, script: &str) -> String {
    let file = write_file(&format!("/run/pmoves/{name}.sh"), "0600", script.as_bytes());
    format!("name={name}\n{START}\n").replace("WRITE\n", &file)
}

fn name_checked(name: &str) -> Result<&str> {
    if quote(name) == name && !name.contains(['/', '%', '@']) {
        return Ok(name);
    }
    Err(Error::Refused(format!(
        "{name:?} cannot be the name of a unit"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_are_shell() {
        let start = start("pmoves-x", "echo 'a secret'\n");
        crate::guest::sh::check(&start);
        crate::guest::sh::check(POLL);
        assert!(!start.contains("secret"), "it is encoded");
        assert!(
            start.contains("base64 -d > /run/pmoves/pmoves-x.sh.pmoves-new"),
            "{start}"
        );
    }

    #[test]
    fn names_tell_scripts_apart() {
        assert_eq!(name("pmoves-x", "a"), "pmoves-x-ca978112ca1b");
        assert!(name_checked("a b").is_err());
    }
}
