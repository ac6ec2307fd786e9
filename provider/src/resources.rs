//! One module a resource or data source, and the seam between the errors of the API and of guests and Terraform's.

pub mod bridge;
pub mod bridges;
pub mod cluster;
pub mod datastores;
pub mod docker;
pub mod docker_lxc;
pub mod docker_vm;
pub mod host;
pub mod image;
pub mod nodes;
pub mod privileges;
pub mod stack;
pub mod timeouts;

use std::error::Error;

use crate::{
    framework::Failure,
    guest::{self, project},
    pve,
};

impl From<pve::Error> for Failure {
    fn from(error: pve::Error) -> Self {
        let detail = chain(&error);
        let hint = hint(&error);
        let (detail, rejected) = match error {
            pve::Error::Rejected { params, .. } => {
                let sentence =
                    |why: String| format!("Proxmox VE refuses this value: {}", why.trim());
                (
                    detail,
                    params
                        .into_iter()
                        .map(|(name, why)| (name, sentence(why)))
                        .collect(),
                )
            }
            pve::Error::Task { upid, log, .. } => {
                let log = match log.is_empty() {
                    true => String::new(),
                    false => format!("\n\nLast lines of the task:\n{}", log.join("\n")),
                };
                (format!("{detail}{log}\n\nTask: {upid}"), Vec::new())
            }
            _ => (detail, Vec::new()),
        };
        Self {
            detail,
            rejected,
            hint,
            at: None,
        }
    }
}

/// What to do about an error of the API.
fn hint(error: &pve::Error) -> Option<String> {
    Some(match error {
        pve::Error::Unreachable { .. } => "is `endpoint` right, and can this machine reach it?".to_owned(),
        pve::Error::Certificate { seen, .. } => format!(
            "if the certificate was renewed, set tls_fingerprint = \"{seen}\" after comparing it with the one that the node shows; if not, somebody is in between"
        ),
        pve::Error::Untrusted { seen, .. } => match seen {
            Some(seen) => format!("compare the fingerprint with the one that Node > System > Certificates shows, and set tls_fingerprint = \"{seen}\"; or set ca_pem"),
            None => "set tls_fingerprint, or ca_pem".to_owned(),
        },
        pve::Error::Unauthenticated { .. } => "check `api_token` (user@realm!name=secret), or username and password, and that neither has expired".to_owned(),
        pve::Error::Forbidden { permission: Some(permission), .. } => {
            format!(
                "the credential lacks {} on {}; `pveum acl modify` grants it",
                permission.privileges.join(" or "),
                permission.path
            )
        }
        pve::Error::AgentSilent => "is qemu-guest-agent installed and running in the guest?".to_owned(),
        pve::Error::AgentNotConfigured => "enable the guest agent (`qm set VMID --agent 1`) and stop and start the VM, or reach it by SSH with the attribute ssh".to_owned(),
        pve::Error::OutcomeUnknown { .. } => "look at the task log of the node before you apply again".to_owned(),
        pve::Error::Unexpected { .. } => "this is a bug of the provider or a new Proxmox VE: please report it with TF_LOG=debug".to_owned(),
        _ => return None,
    })
}

impl From<guest::Error> for Failure {
    fn from(error: guest::Error) -> Self {
        match error {
            guest::Error::Api(error) => error.into(),
            guest::Error::Ssh(_) => Self::new(chain(&error)).at("ssh"),
            other => Self::new(chain(&other)),
        }
    }
}

impl From<project::Error> for Failure {
    fn from(error: project::Error) -> Self {
        match error {
            project::Error::Guest(error) => error.into(),
            other => Self::new(chain(&other)),
        }
    }
}

/// An error with its causes, each said once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}
