//! What an HTTP answer of PVE means: its data, or the error it states.
//!
//! Does no I/O and decides nothing about retries.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::Value as Json;

use super::{
    Call, Error, Result,
    error::{Permission, guest_is_gone},
    lenient,
};

/// An HTTP answer that was read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// The reason phrase, unless it is the usual one.
    pub(super) reason: Option<String>,
    pub(super) body: Vec<u8>,
}

#[derive(Default, Deserialize)]
struct Envelope {
    #[serde(default)]
    data: Json,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    errors: Option<BTreeMap<String, Json>>,
}

impl Reply {
    /// The `data` of a success, or for a call marked so the whole answer.
    pub(super) fn data(self, call: &Call) -> Result<Json> {
        if (200..300).contains(&self.status) {
            if call.whole {
                return serde_json::from_slice(&self.body)
                    .map_err(|error| Error::unexpected(call.name(), error));
            }
            let envelope = serde_json::from_slice::<Envelope>(&self.body);
            envelope
                .map(|envelope| envelope.data)
                .map_err(|error| Error::unexpected(call.name(), error))
        } else {
            Err(self.error(call))
        }
    }

    fn error(&self, call: &Call) -> Error {
        let envelope: Envelope = serde_json::from_slice(&self.body).unwrap_or_default();
        let errors = envelope.errors.unwrap_or_default().into_iter();
        let params: BTreeMap<_, _> = errors
            .map(|(name, why)| (name, lenient::text(why).trim().to_owned()))
            .collect();
        let message = self.message(envelope.message.as_deref());
        let cause = || Arc::from(Box::from(message.as_str()));
        match self.status {
            401 => Error::Unauthenticated { reason: message },
            403 => Error::Forbidden {
                permission: Permission::parse(&message),
                message,
            },
            // The proxy could not connect, so the call went nowhere (PVE/APIServer/AnyEvent.pm, proxy_request).
            595 => Error::Unreachable {
                host: call
                    .node()
                    .map_or_else(|| "pvedaemon".to_owned(), |node| format!("node {node}")),
                source: cause(),
            },
            // The proxy sent the call and lost the answer.
            596..=599 if call.reads() => Error::Broken {
                call: call.name(),
                source: cause(),
            },
            596..=599 => Error::OutcomeUnknown {
                call: call.name(),
                source: cause(),
            },
            500 if guest_is_gone(&message) || volume_is_gone(&message) => Error::Gone(message),
            // PVE/API2/Network.pm, network_config.
            400 if params
                .get("iface")
                .is_some_and(|why| why == "interface does not exist") =>
            {
                Error::Gone("interface does not exist".to_owned())
            }
            500 => agent(call, &message).unwrap_or(Error::Rejected {
                status: 500,
                message,
                params,
            }),
            status => Error::Rejected {
                status,
                message,
                params,
            },
        }
    }

    /// PVE 8.4 and later repeat the reason phrase as `message`; errors of the HTTP layer have no JSON body.
    fn message(&self, message: Option<&str>) -> String {
        let body = str::from_utf8(&self.body)
            .ok()
            .filter(|body| !body.starts_with('{'));
        let texts = [message, self.reason.as_deref(), body]
            .into_iter()
            .flatten()
            .map(str::trim);
        let found = texts.into_iter().find(|text| !text.is_empty());
        found.map_or_else(|| format!("status {}", self.status), str::to_owned)
    }
}

/// `PVE/Storage/Plugin.pm` `volume_size_info` of a file that is not there.
fn volume_is_gone(message: &str) -> bool {
    message.starts_with("volume_size_info on '") && message.ends_with("' failed - no format")
}

/// What `PVE/QemuServer/Agent.pm` `assert_agent_available` and `PVE/QMPClient.pm` say about the agent.
fn agent(call: &Call, message: &str) -> Option<Error> {
    if message == "No QEMU guest agent configured" {
        Some(Error::AgentNotConfigured)
    } else if message == "QEMU guest agent is not running" {
        Some(Error::AgentSilent)
    } else if !message.contains(" qga command '") {
        None
    } else if message.contains("'guest-exec' failed - got timeout") {
        // The command is in the agent's channel and may yet run.
        Some(Error::OutcomeUnknown {
            call: call.name(),
            source: Arc::from(Box::from(message)),
        })
    } else {
        let silent =
            message.ends_with("got timeout") || message.contains("unable to connect to VM ");
        silent.then_some(Error::AgentSilent)
    }
}

#[cfg(test)]
mod tests;
