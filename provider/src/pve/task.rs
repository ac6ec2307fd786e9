//! A task's identifier, and what its log says.
//!
//! Does not wait: the client does.

use std::{fmt, str::FromStr};

use serde::Deserialize;

use super::{Error, lenient, slots::Held};

/// `UPID:node:pid:pstart:starttime:type:id:user:`.
#[derive(Clone, Debug, PartialEq)]
pub struct Upid {
    text: String,
    /// Node that runs the task.
    pub node: String,
    /// What it does, such as `qmcreate`.
    pub kind: String,
    /// What it works on, often a VMID; may be empty.
    pub id: String,
    /// Who started it; of a token the full id.
    pub user: String,
    /// The clone limit that the task occupies, until someone has waited for it.
    pub(super) held: Held,
}

impl FromStr for Upid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts: Vec<_> = text.split(':').collect();
        match parts[..] {
            ["UPID", node, pid, pstart, start, kind, id, user, ""]
                if [pid, pstart, start]
                    .iter()
                    .all(|hex| u64::from_str_radix(hex, 16).is_ok())
                    && [node, kind, user].iter().all(|part| !part.is_empty()) =>
            {
                Ok(Self {
                    text: text.to_owned(),
                    node: node.to_owned(),
                    kind: kind.to_owned(),
                    id: id.to_owned(),
                    user: user.to_owned(),
                    held: Held::default(),
                })
            }
            _ => Err(Error::unexpected(text, "is no task id")),
        }
    }
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Upid {
    /// `task qmcreate 101 on pve1`.
    pub(super) fn what(&self) -> String {
        let id = if self.id.is_empty() { "" } else { " " };
        format!("task {}{id}{} on {}", self.kind, self.id, self.node)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) status: String,
    pub(super) exitstatus: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LogLine {
    #[serde(deserialize_with = "lenient::must")]
    pub(super) t: String,
}

/// Whether the exit status is `OK` or counts warnings (`PVE/UPID.pm`, `status_is_error`).
pub(super) fn succeeded(exit: &str) -> bool {
    exit == "OK" || warned(exit)
}

pub(super) fn warned(exit: &str) -> bool {
    exit.strip_prefix("WARNINGS: ")
        .is_some_and(|count| !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit()))
}

/// The warnings of a log (`PVE/RESTEnvironment.pm`, `log_warn`), or one line if it names none.
pub(super) fn warnings(what: &str, exit: &str, log: &[String]) -> Vec<String> {
    let lines = log.iter().filter_map(|line| line.strip_prefix("WARN: "));
    let mut found: Vec<_> = lines.map(|line| line.trim().to_owned()).collect();
    if found.is_empty() {
        found.push(format!("{what} ended with {exit}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_upid_survives_the_round_trip() {
        for text in [
            "UPID:pve1:00001A2B:0009C3D4:68C0FFEE:qmcreate:101:terraform@pve!ci:",
            "UPID:pve1:00001A2B:0109C3D4E:68C0FFEE:srvreload::root@pam:",
        ] {
            assert_eq!(text.parse::<Upid>().unwrap().to_string(), text);
        }
        let upid: Upid = "UPID:pve1:00001A2B:0009C3D4:68C0FFEE:qmcreate:101:a@pve!ci:"
            .parse()
            .unwrap();
        assert_eq!(
            (&*upid.node, &*upid.kind, &*upid.id, &*upid.user),
            ("pve1", "qmcreate", "101", "a@pve!ci")
        );
        assert_eq!(upid.what(), "task qmcreate 101 on pve1");
    }

    #[test]
    fn other_text_is_no_upid() {
        for text in [
            "",
            "OK",
            "UPID:pve1:x:0:0:qmcreate:1:a@pve:",
            "UPID:pve1:0:0:0:qmcreate:1:a@pve",
        ] {
            assert!(text.parse::<Upid>().is_err(), "{text}");
        }
    }

    #[test]
    fn warnings_are_success() {
        assert!(succeeded("OK") && succeeded("WARNINGS: 3"));
        assert!(
            !succeeded("WARNINGS: ") && !succeeded("OK then") && !succeeded("unexpected status")
        );
    }
}
