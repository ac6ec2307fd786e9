//! The texts of a `NoCloud` seed, and the wait for cloud-init to be done with them.
//!
//! Does not pack them; [`super::seed`] does. JSON is what they are written in: all of it is YAML too.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Error, Guest, Result, base64_lines,
    seed::{Address, Seed, SeedNic},
};

const AGENT: &str = include_str!("cloud_init/agent.sh");
const WAIT: &str = include_str!("cloud_init/wait.sh");

/// The files of a seed: name and content.
pub fn files(seed: &Seed) -> [(&'static str, Vec<u8>); 3] {
    [
        (
            "meta-data",
            text(&json!({ "instance-id": seed.instance_id, "local-hostname": seed.hostname }))
                .into_bytes(),
        ),
        ("network-config", text(&network_config(seed)).into_bytes()),
        ("user-data", user_data(seed).into_bytes()),
    ]
}

/// What cloud-init said when it was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Done {
    /// Where it had its configuration from, such as `DataSourceNoCloud [seed=/dev/sr0]`.
    pub datasource: Option<String>,
    /// Errors of its modules; the guest may be usable all the same.
    pub errors: Vec<String>,
}

/// Waits until cloud-init has run to its end, or until the boot is over without it.
///
/// Its own exit status is not asked: it is 2 for a mere deprecation.
pub async fn wait(guest: &impl Guest) -> Result<Done> {
    const WHAT: &str = "waiting for cloud-init";
    let answer = guest.poll(WHAT, WAIT).await?.ok(WHAT)?;
    done(&answer).map_err(|error| Error::Unexpected {
        what: WHAT.to_owned(),
        answer: format!("{error}: {answer}"),
    })
}

fn done(answer: &str) -> Result<Done, serde_json::Error> {
    #[derive(Deserialize)]
    struct ResultFile {
        v1: Done,
    }
    if answer.trim().is_empty() {
        return Ok(Done::default());
    }
    serde_json::from_str(answer).map(|ResultFile { v1 }| v1)
}

fn network_config(seed: &Seed) -> Value {
    let nics = seed.nics.iter().enumerate();
    let ethernets: Map<_, _> = nics
        .map(|(n, nic)| (format!("net{n}"), ethernet(nic, seed)))
        .collect();
    json!({ "version": 2, "ethernets": ethernets })
}

/// A NIC keeps the name that the guest gave it: no `set-name`, since renaming fails on an interface that is up.
fn ethernet(nic: &SeedNic, seed: &Seed) -> Value {
    let (mut addresses, mut routes) = (Vec::new(), Vec::new());
    for (family, anywhere) in [(&nic.ipv4, "0.0.0.0/0"), (&nic.ipv6, "::/0")] {
        if let Address::Static { address, gateway } = family {
            addresses.push(address.to_string());
            routes.extend(gateway.map(|via| {
                let mut route = json!({ "to": anywhere, "via": via.to_string() });
                if !address.contains(&via) {
                    route["on-link"] = true.into();
                }
                route
            }));
        }
    }
    let mut ethernet = json!({
        "match": { "macaddress": nic.mac.to_ascii_lowercase() },
        "dhcp4": nic.ipv4 == Address::Dhcp,
        "dhcp6": nic.ipv6 == Address::Dhcp,
    });
    let mut set = |key: &str, value: Value, wanted: bool| {
        if wanted {
            ethernet[key] = value;
        }
    };
    set("accept-ra", true.into(), nic.ipv6 == Address::Auto);
    set("mtu", nic.mtu.into(), nic.mtu.is_some());
    set("routes", routes.into(), !addresses.is_empty());
    set("addresses", addresses.into(), true);
    let mut names = Map::new();
    if !seed.dns_servers.is_empty() {
        names.insert("addresses".to_owned(), json!(seed.dns_servers));
    }
    if let Some(domain) = &seed.dns_domain {
        names.insert("search".to_owned(), json!([domain]));
    }
    set("nameservers", names.clone().into(), !names.is_empty());
    ethernet
}

/// The practitioner's part comes first, so that what it says wins: ours only adds to its lists and fills its gaps.
fn user_data(seed: &Seed) -> String {
    let mut parts = Vec::new();
    if let Some(own) = &seed.user_data {
        parts.push(part("90-user-data", "text/plain", "", own));
    }
    let merge = "X-Merge-Type: list(append)+dict(no_replace,recurse_list)+str()\n";
    let config = format!("#cloud-config\n{}", text(&cloud_config(seed)));
    parts.push(part("10-pmoves", "text/cloud-config", merge, &config));
    let agent = seed.agent.then_some(AGENT);
    let scripts = agent
        .into_iter()
        .chain(seed.scripts.iter().map(String::as_str));
    parts.extend(
        scripts
            .enumerate()
            .map(|(n, script)| part(&format!("2{n}-pmoves"), "text/x-shellscript", "", script)),
    );
    let parts = parts.concat();
    format!(
        "Content-Type: multipart/mixed; boundary=\"==pmoves==\"\nMIME-Version: 1.0\n\n{parts}--==pmoves==--\n"
    )
}

/// Scripts run in the order of their file names.
fn part(name: &str, kind: &str, header: &str, content: &str) -> String {
    let lines = base64_lines(content.as_bytes());
    format!(
        "--==pmoves==\nContent-Type: {kind}; charset=\"utf-8\"\nContent-Transfer-Encoding: base64\n\
         Content-Disposition: attachment; filename=\"{name}\"\n{header}\n{lines}"
    )
}

fn cloud_config(seed: &Seed) -> Value {
    let user = &seed.user;
    let mut account = json!({
        "name": user.username,
        "lock_passwd": user.password_hash.is_none(),
        "shell": "/bin/bash",
        "ssh_authorized_keys": user.keys,
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
    });
    if let Some(hash) = &user.password_hash {
        account["hashed_passwd"] = hash.expose().as_str().into();
    }
    let mut config = json!({
        "hostname": seed.hostname,
        "manage_etc_hosts": "localhost",
        "growpart": { "mode": "auto", "devices": ["/"] },
        "resize_rootfs": true,
        "users": [account],
    });
    if let Some(domain) = &seed.dns_domain {
        config["fqdn"] = format!("{}.{domain}", seed.hostname).into();
    }
    if user.username == "root" {
        config["disable_root"] = false.into();
    }
    let file = |(path, text): &(String, String)| json!({ "path": path, "content": text });
    if !seed.files.is_empty() {
        config["write_files"] = seed.files.iter().map(file).collect();
    }
    if seed.upgrade {
        config["package_update"] = true.into();
        config["package_upgrade"] = true.into();
    }
    config
}

fn text(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests;
