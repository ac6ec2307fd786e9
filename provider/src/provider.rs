//! The provider block: its attributes, the environment variables behind them, and what it offers.
//!
//! Makes no call: the first one is made by the first resource that needs the cluster.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    framework::{
        AnyDataSource, AnyResource, Failure, Model, Result, Value, data_source, duration,
        function::Function,
        resource::{Faults, erase},
    },
    functions,
    pve::{Credential, Limits, Pve, Settings, Trust},
    resources::{
        bridge::BridgeResource,
        bridges::BridgesData,
        cluster::{
            Cluster,
            logins::{self, SshConfig},
        },
        datastores::DatastoresData,
        docker_lxc::DockerLxcResource,
        docker_vm::DockerVmResource,
        image::ImageResource,
        nodes::NodesData,
        stack::StackResource,
    },
    secret::Secret,
};

/// Turns Proxmox VE clusters into Docker hosts and runs Compose stacks on them, with nothing but an API token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Config {
    /// URL of the API, such as `https://pve1.example.com:8006`. Else from `PROXMOX_VE_ENDPOINT`.
    #[attr(check(endpoint))]
    pub endpoint: Option<String>,
    /// API token, `user@realm!name=uuid`. Wins over a username. Else from `PROXMOX_VE_API_TOKEN` or `PROXMOX_API_TOKEN`.
    #[attr(sensitive, check(api_token))]
    pub api_token: Option<Secret<String>>,
    /// User for a login, `user@realm`. Else from `PROXMOX_VE_USERNAME`.
    #[attr(check(username))]
    pub username: Option<String>,
    /// Password of that user. Else from `PROXMOX_VE_PASSWORD`.
    #[attr(sensitive)]
    pub password: Option<Secret<String>>,
    /// One-time password for the login. It lasts for one login, and core starts the provider several times: prefer a token. Else from `PROXMOX_VE_OTP`.
    #[attr(sensitive)]
    pub otp: Option<Secret<String>>,
    /// Whether to accept any certificate. Else from `PROXMOX_VE_INSECURE`; default `false`. Prefer `tls_fingerprint`.
    pub insecure: Option<bool>,
    /// Certificate authority of the API, as PEM.
    #[attr(check(pem))]
    pub ca_pem: Option<String>,
    /// SHA-256 fingerprint of the API's certificate, as the web interface shows it.
    #[attr(check(fingerprint))]
    pub tls_fingerprint: Option<String>,
    /// Longest time for one API request. Default `60s`.
    #[attr(check(request_timeout))]
    pub request_timeout: Option<String>,
    /// How many requests may run at once on each node, whatever the parallelism of core.
    pub limits: Option<LimitsConfig>,
    /// How to log in to guests where neither guest agent nor console leads in, such as VMs without agent and containers by token before Proxmox VE 9.2. Takes the program `ssh` of OpenSSH 8.4 or later, where the provider runs. Never used for nodes.
    pub ssh: Option<SshConfig>,
    /// Tag for every guest that is created; empty for none. Default `pmoves`.
    #[attr(check(tag))]
    pub tag: Option<String>,
    /// Whether a refresh looks into guests, for what Docker and the stacks do. Set to `false` for a credential that may only read: what was last known stays. Default `true`.
    pub refresh_guests: Option<bool>,
    /// Where VMIDs are taken from that are left open: the lowest that is free. Default: what Proxmox VE offers next.
    pub vm_id_range: Option<VmIdRange>,
}

/// A range of VMIDs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct VmIdRange {
    /// The first.
    #[attr(range(100, 999_999_999))]
    pub start: u32,
    /// The last.
    #[attr(range(100, 999_999_999))]
    pub end: u32,
}

/// Bounds on the load of each node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct LimitsConfig {
    /// Clones and imports of disks. Default 2.
    #[attr(range(1, 64))]
    pub clone: Option<i64>,
    /// Other writes. Default 2.
    #[attr(range(1, 64))]
    pub write: Option<i64>,
    /// Guest agent calls. Default 2.
    #[attr(range(1, 64))]
    pub agent: Option<i64>,
    /// Reads. Default 4.
    #[attr(range(1, 64))]
    pub read: Option<i64>,
}

/// The provider.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pmoves;

impl crate::framework::provider::Provider for Pmoves {
    const ADDRESS: &'static str = "registry.opentofu.org/cataclysm-studios/pmoves";
    type Config = Config;
    type Client = Cluster;

    fn resources(&self) -> Vec<Arc<dyn AnyResource<Cluster>>> {
        vec![
            erase(ImageResource),
            erase(BridgeResource),
            erase(DockerVmResource),
            erase(DockerLxcResource),
            erase(StackResource),
        ]
    }

    fn data_sources(&self) -> Vec<Arc<dyn AnyDataSource<Cluster>>> {
        vec![
            data_source::erase(BridgesData),
            data_source::erase(DatastoresData),
            data_source::erase(NodesData),
        ]
    }

    fn functions(&self) -> Vec<Function> {
        functions::all()
    }

    fn validate(&self, config: &Value, found: &mut Faults<'_>) {
        let trust: Vec<&str> = ["ca_pem", "tls_fingerprint"]
            .into_iter()
            .filter(|name| !config.get(name).is_null())
            .chain((config.get("insecure").as_bool() == Some(true)).then_some("insecure"))
            .collect();
        if let [_, second, ..] = trust[..] {
            found.error(
                second,
                "More than one way to trust the API",
                format!("Set one of {}.", trust.join(", ")),
            );
        }
        let of = |end: &str| config.at(&format!("vm_id_range.{end}")).as_i64();
        if let (Some(start), Some(end)) = (of("start"), of("end"))
            && start > end
        {
            found.error(
                "vm_id_range",
                "An empty range",
                format!("{start} is behind {end}."),
            );
        }
        if !config.get("otp").is_null() {
            found.warn("otp", "A one-time password lasts for one login", "Core starts the provider several times for one command, and each start logs in. Use an API token.");
        }
    }

    fn configure(&self, mut config: Config, unknown: &[String]) -> Result<Cluster> {
        let tag = config.tag.clone().unwrap_or_else(|| "pmoves".to_owned());
        if unknown.iter().any(|path| path != "tag") {
            return Ok(Cluster::unconfigured(unknown.join(", ")));
        }
        // The one place that reads the environment; everything below takes settings.
        #[expect(
            clippy::disallowed_methods,
            reason = "variables are read here and nowhere else"
        )]
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let ssh = config.ssh.take();
        let ssh = ssh.map(|ssh| logins::settings(ssh, variable)).transpose()?;
        let looks = config.refresh_guests != Some(false);
        let pve = Pve::new(settings(config, variable)?);
        Ok(Cluster::new(pve, tag, ssh).looking(looks))
    }
}

/// The client's settings: attributes first, then variables.
fn settings(config: Config, variable: impl Fn(&str) -> Option<String>) -> Result<Settings> {
    let missing = |attribute: &str, variable: &str| {
        Failure::new(format!(
            "the provider needs {attribute}, or the variable {variable}"
        ))
        .at(attribute)
    };
    let from = |name: &str, check: fn(&Value) -> Result<(), String>| -> Result<Option<String>> {
        let Some(text) = variable(name) else {
            return Ok(None);
        };
        check(&text.as_str().into()).map_err(|why| Failure::new(format!("{name}: {why}")))?;
        Ok(Some(text))
    };
    let endpoint = match config.endpoint {
        Some(endpoint) => endpoint,
        None => from("PROXMOX_VE_ENDPOINT", endpoint)?
            .ok_or_else(|| missing("endpoint", "PROXMOX_VE_ENDPOINT"))?,
    };
    let secret = |attribute: Option<Secret<String>>, name: &str| {
        attribute.or_else(|| variable(name).map(Secret::new))
    };
    // What the configuration says wins over any variable: a machine may carry a token of its own.
    let token = match (config.api_token, &config.username) {
        (None, None) => match from("PROXMOX_VE_API_TOKEN", api_token)? {
            Some(token) => Some(token),
            None => from("PROXMOX_API_TOKEN", api_token)?,
        }
        .map(Secret::new),
        (token, _) => token,
    };
    let credential = match (
        token,
        config.username.or_else(|| variable("PROXMOX_VE_USERNAME")),
    ) {
        (Some(token), _) => Credential::Token(token),
        (None, Some(username)) => Credential::Password {
            username,
            password: secret(config.password, "PROXMOX_VE_PASSWORD")
                .ok_or_else(|| missing("password", "PROXMOX_VE_PASSWORD"))?,
            otp: secret(config.otp, "PROXMOX_VE_OTP"),
        },
        (None, None) => return Err(missing("api_token", "PROXMOX_VE_API_TOKEN")),
    };
    let insecure = config.insecure.unwrap_or_else(|| {
        matches!(
            variable("PROXMOX_VE_INSECURE").as_deref(),
            Some("1" | "true" | "yes" | "on")
        )
    });
    let trust = match (config.tls_fingerprint, config.ca_pem, insecure) {
        (Some(text), _, _) => Trust::Fingerprint(
            digest(&text)
                .ok_or_else(|| Failure::new("tls_fingerprint is no SHA-256 fingerprint"))?,
        ),
        (_, Some(pem), _) => Trust::Ca(pem),
        (_, _, true) => Trust::Insecure,
        _ => Trust::System,
    };
    let limits = config.limits.unwrap_or_default();
    let limit = |set: Option<i64>, default: usize| {
        set.and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
    };
    let defaults = Limits::default();
    Ok(Settings {
        endpoint,
        credential,
        trust,
        request_timeout: config
            .request_timeout
            .and_then(|text| duration::parse(&text).ok())
            .unwrap_or(Duration::from_secs(60)),
        limits: Limits {
            clone: limit(limits.clone, defaults.clone),
            write: limit(limits.write, defaults.write),
            agent: limit(limits.agent, defaults.agent),
            read: limit(limits.read, defaults.read),
        },
        vmids: config.vm_id_range.map(|range| range.start..=range.end),
    })
}

fn endpoint(value: &Value) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let host = text
        .strip_prefix("https://")
        .map(|rest| rest.trim_end_matches('/'));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']) => Ok(()),
        Some(_) => Err(format!(
            "{text:?} must be scheme, name and port only, such as https://pve1.example.com:8006."
        )),
        None => Err(format!(
            "{text:?} must begin with https://, such as https://pve1.example.com:8006."
        )),
    }
}

fn api_token(value: &Value) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let fine = text
        .split_once('=')
        .and_then(|(id, secret)| Some((id.split_once('!')?, secret)))
        .is_some_and(|((user, name), secret)| {
            user.contains('@') && !name.is_empty() && !secret.is_empty()
        });
    match fine {
        true => Ok(()),
        // The value itself stays out of the message.
        false => Err(
            "Must look like user@realm!name=uuid, the id of the token and its secret.".to_owned(),
        ),
    }
}

fn username(value: &Value) -> Result<(), String> {
    match value.as_str().is_some_and(|text| text.contains('@')) {
        true => Ok(()),
        false => Err("Must name the realm too, such as root@pam.".to_owned()),
    }
}

fn pem(value: &Value) -> Result<(), String> {
    match value
        .as_str()
        .is_some_and(|text| text.contains("-----BEGIN CERTIFICATE-----"))
    {
        true => Ok(()),
        false => Err("Must hold a certificate as PEM, with its BEGIN and END lines.".to_owned()),
    }
}

fn fingerprint(value: &Value) -> Result<(), String> {
    match digest(value.as_str().unwrap_or_default()) {
        Some(_) => Ok(()),
        None => Err("Must be 32 pairs of hex digits with colons between them, as Node > System > Certificates shows the SHA-256 fingerprint.".to_owned()),
    }
}

/// The bytes of `AB:CD:…`, in any case.
fn digest(text: &str) -> Option<[u8; 32]> {
    let bytes: Vec<u8> = text
        .trim()
        .split(':')
        .map(|pair| {
            (pair.len() == 2)
                .then(|| u8::from_str_radix(pair, 16).ok())
                .flatten()
        })
        .collect::<Option<_>>()?;
    bytes.try_into().ok()
}

fn request_timeout(value: &Value) -> Result<(), String> {
    match duration::parse(value.as_str().unwrap_or_default())? {
        time if time < Duration::from_secs(5) => Err("Must be at least 5s.".to_owned()),
        _ => Ok(()),
    }
}

fn tag(value: &Value) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let fine = text
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-+.".contains(c))
        && !text.starts_with(['-', '+', '.']);
    match fine {
        true => Ok(()),
        false => Err(format!(
            "{text:?} is no tag of Proxmox VE: use lower-case letters, digits, `_`, and inside also `-`, `+` and `.`."
        )),
    }
}

#[cfg(test)]
mod tests;
