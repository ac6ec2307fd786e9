//! How to log in to guests: the `ssh` attribute of the provider block.

use std::{path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    framework::{Failure, Model, Result, Value},
    guest::ssh::{self, key, known_hosts::KnownHosts},
    secret::Secret,
};

/// How to log in to guests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct SshConfig {
    /// Account on the guests; any but root needs sudo without a password. Default `root`.
    #[attr(check(username))]
    pub username: Option<String>,
    /// Port of sshd on the guests. Default 22.
    #[attr(range(1, 65535))]
    pub port: Option<i64>,
    /// Text of a private key that `ssh` takes, without a passphrase.
    #[attr(sensitive, check(private_key))]
    pub private_key: Option<Secret<String>>,
    /// Whether to try the keys of the SSH agent that `SSH_AUTH_SOCK` names. Default `false`.
    pub agent: Option<bool>,
    /// Host keys of the guests, as lines of the file `known_hosts`. Left open, those of `~/.ssh/known_hosts`. An unknown key is an error that shows its fingerprint.
    pub known_hosts: Option<String>,
    /// Whether to take the key of a guest that is not known yet as it comes; it is added to `~/.ssh/known_hosts` unless `known_hosts` is set. A key that changed stays an error. Default `false`.
    pub accept_new_host_keys: Option<bool>,
    /// A machine that all connections go through.
    pub bastion: Option<BastionConfig>,
}

/// A machine that all connections go through.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct BastionConfig {
    /// Name or address.
    pub host: String,
    /// Port of its sshd. Default 22.
    #[attr(range(1, 65535))]
    pub port: Option<i64>,
    /// Account on it. Default `root`.
    #[attr(check(username))]
    pub username: Option<String>,
    /// Text of a private key. Left open, that for the guests.
    #[attr(sensitive, check(private_key))]
    pub private_key: Option<Secret<String>>,
    /// Its host keys, as lines of the file `known_hosts`. Left open, looked up where those of the guests are.
    pub known_hosts: Option<String>,
}

/// Settings for SSH: attributes first, then variables.
pub fn settings(
    config: SshConfig,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<ssh::Settings> {
    let key = |key: Option<Secret<String>>, at: &str| {
        if let Some(key) = &key {
            key::check(key.expose()).map_err(|why| Failure::new(why).at(at.to_owned()))?;
        }
        Ok::<_, Failure>(key)
    };
    let agent = match config.agent {
        Some(true) => Some(PathBuf::from(variable("SSH_AUTH_SOCK").ok_or_else(
            || {
                Failure::new("there is no SSH agent: the variable SSH_AUTH_SOCK is not set")
                    .at("ssh.agent")
            },
        )?)),
        _ => None,
    };
    let private_key = key(config.private_key, "ssh.private_key")?;
    if private_key.is_none() && agent.is_none() {
        let failure = Failure::new("to log in to guests takes private_key, or agent = true");
        return Err(failure.at("ssh"));
    }
    let file = variable("HOME").map(|home| PathBuf::from(home).join(".ssh/known_hosts"));
    let accept_new = config.accept_new_host_keys == Some(true);
    let hosts = |text| Arc::new(KnownHosts::new(text, file.clone(), accept_new));
    let known_hosts = hosts(config.known_hosts);
    let port = |port: Option<i64>| port.and_then(|port| u16::try_from(port).ok()).unwrap_or(22);
    let name = |name: Option<String>| name.unwrap_or_else(|| "root".to_owned());
    let bastion = match config.bastion {
        Some(bastion) => Some(ssh::Bastion {
            host: bastion.host,
            port: port(bastion.port),
            username: name(bastion.username),
            key: key(bastion.private_key, "ssh.bastion.private_key")?
                .or_else(|| private_key.clone()),
            known_hosts: match bastion.known_hosts {
                Some(text) => hosts(Some(text)),
                None => Arc::clone(&known_hosts),
            },
        }),
        None => None,
    };
    Ok(ssh::Settings {
        username: name(config.username),
        port: port(config.port),
        key: private_key,
        agent,
        known_hosts,
        bastion,
    })
}

fn private_key(value: &Value) -> Result<(), String> {
    key::check(value.as_str().unwrap_or_default())
}

fn username(value: &Value) -> Result<(), String> {
    let name = value.as_str().unwrap_or_default();
    match name.is_empty() || name.starts_with('-') || name.contains(['@', ' ', '\n']) {
        true => Err(format!("{name:?} is no account name of a Linux guest.")),
        false => Ok(()),
    }
}
