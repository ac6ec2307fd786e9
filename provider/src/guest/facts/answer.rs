//! The JSON of the script, and what becomes of it.
//!
//! Exists because a shell writes lists, base64 and numbers in strings where [`Facts`] has maps, texts and numbers.

use std::{collections::BTreeMap, net::IpAddr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::{Docker, Facts, Mount, Nic};

#[derive(Deserialize)]
pub(super) struct Answer {
    os_id: Option<String>,
    os_version: Option<String>,
    os_codename: Option<String>,
    kernel: String,
    arch: String,
    hostname: String,
    boot_id: String,
    virtualization: Option<String>,
    proxmox: Vec<String>,
    #[serde(default)]
    packages: BTreeMap<String, String>,
    #[serde(default)]
    held: Vec<String>,
    docker: Option<Docker>,
    compose: Option<String>,
    #[serde(deserialize_with = "base64_text")]
    daemon_json: Option<String>,
    #[serde(deserialize_with = "base64_text")]
    containerd_toml: Option<String>,
    #[serde(deserialize_with = "base64_text")]
    manifest: Option<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    units: BTreeMap<String, String>,
    nics: Vec<NicRow>,
    mounts: Option<Mounts>,
    docker_group: Option<String>,
}

#[derive(Deserialize)]
struct NicRow {
    mac: String,
    name: String,
    mtu: u32,
    stacked: bool,
    addresses: Vec<String>,
}

#[derive(Deserialize)]
struct Mounts {
    filesystems: Vec<MountRow>,
}

#[derive(Deserialize)]
struct MountRow {
    target: String,
    source: String,
    fstype: String,
    #[serde(default)]
    size: Value,
    #[serde(default)]
    used: Value,
}

impl Answer {
    pub(super) fn facts(self) -> Result<Facts, serde_json::Error> {
        Ok(Facts {
            os_id: self.os_id,
            os_version: self.os_version,
            os_codename: self.os_codename,
            kernel: self.kernel,
            arch: self.arch,
            hostname: self.hostname,
            boot_id: self.boot_id,
            virtualization: self.virtualization,
            proxmox: self.proxmox,
            packages: self.packages,
            held: self.held,
            docker: self.docker,
            compose: self
                .compose
                .map(|version| version.trim_start_matches('v').to_owned()),
            daemon_json: self.daemon_json,
            containerd_toml: self.containerd_toml,
            manifest: self.manifest,
            files: self.files,
            units: self.units,
            nics: nics(self.nics)?,
            mounts: self
                .mounts
                .into_iter()
                .flat_map(|mounts| mounts.filesystems)
                .map(mount)
                .collect(),
            docker_group: (self
                .docker_group
                .iter()
                .flat_map(|members| members.split(','))
                .map(str::to_owned))
            .collect(),
        })
    }
}

/// The interface at the bottom gives the name; addresses may be on any of those with its MAC address.
fn nics(mut rows: Vec<NicRow>) -> Result<BTreeMap<String, Nic>, serde_json::Error> {
    rows.sort_by_key(|row| row.stacked);
    let mut nics = BTreeMap::<_, Nic>::new();
    for NicRow {
        mac,
        name,
        mtu,
        addresses,
        ..
    } in rows
    {
        let nic = nics.entry(mac.to_ascii_lowercase()).or_insert(Nic {
            name,
            mtu,
            addresses: Vec::new(),
        });
        for address in addresses {
            // A point-to-point address comes without a prefix length.
            let parsed = address
                .parse()
                .or_else(|_| address.parse::<IpAddr>().map(IpNet::from));
            nic.addresses
                .push(parsed.map_err(|_| de::Error::custom(format!("address {address}")))?);
        }
    }
    Ok(nics)
}

fn mount(row: MountRow) -> (String, Mount) {
    // Old versions of findmnt put numbers into strings, and have none for some filesystems.
    let number = |value: Value| {
        value
            .as_u64()
            .or_else(|| value.as_str()?.parse().ok())
            .unwrap_or(0)
    };
    let (size, used) = (number(row.size), number(row.used));
    (
        row.target,
        Mount {
            source: row.source,
            filesystem: row.fstype,
            size,
            used,
        },
    )
}

fn base64_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let bytes = BASE64_STANDARD.decode(text).map_err(de::Error::custom)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}
