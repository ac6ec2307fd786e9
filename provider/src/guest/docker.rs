//! Docker on a guest: guard, configuration, packages, verification.
//!
//! Does not move data between roots, never purges a package.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ipnet::IpNet;

use super::{
    Error, Guest, Result, containerd, daemon, detached,
    facts::{self, Facts},
    packages::{self, Repository},
    quote, sha256,
};

mod key;
mod plan;
mod script;
mod units;

/// Docker as it should be. `None` leaves a setting alone; one that we made before goes back to Docker's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DockerWish {
    /// Who provides the packages.
    pub source: Source,
    /// Engine version or the beginning of one (`28.5`): installed and held.
    pub version: Option<String>,
    /// Instead of `https://download.docker.com/linux/<os>`.
    pub repository_url: Option<String>,
    /// Fingerprint of the repository's signing key, instead of Docker's.
    pub repository_key: Option<String>,
    /// Mount point that Docker must never start without.
    pub mount_path: Option<String>,
    /// Docker's data root.
    pub data_root: Option<String>,
    /// containerd's root.
    pub containerd_root: Option<String>,
    /// Whether containers outlive the daemon.
    pub live_restore: Option<bool>,
    /// Default logging of containers.
    pub log: Option<Log>,
    /// Mirrors of Docker Hub.
    pub registry_mirrors: Option<Vec<String>>,
    /// Registries without TLS or with an unknown certificate.
    pub insecure_registries: Option<Vec<String>>,
    /// Where networks take their subnets from.
    pub address_pools: Option<Vec<AddressPool>>,
    /// Largest frame of container networks.
    pub mtu: Option<u16>,
    /// Authorities of registries by `host` or `host:port`, as PEM.
    pub registry_ca: BTreeMap<String, String>,
    /// The way to the outside.
    pub proxy: Option<Proxy>,
    /// Settings of the practitioner, merged last.
    pub daemon_json: serde_json::Map<String, serde_json::Value>,
    /// Weekly tidying.
    pub prune: Option<Prune>,
    /// Accounts that may use the daemon.
    pub users: BTreeSet<String>,
}

/// Who provides Docker's packages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Docker's own apt repository.
    #[default]
    Docker,
    /// The distribution.
    Distro,
    /// Someone else: nothing is installed.
    Preinstalled,
    /// Whoever provided what is there, else Docker's own apt repository.
    Installed,
}

/// Logging driver and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `local`, `json-file`, `journald`, …
    pub driver: String,
    /// Size at which a file is rotated, such as `10m`.
    pub max_size: Option<String>,
    /// Number of files.
    pub max_file: Option<u32>,
}

/// How images and packages are reached from a network without a way out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// For `http://` URLs.
    pub http: Option<String>,
    /// For `https://` URLs.
    pub https: Option<String>,
    /// What is reached without it, separated by commas.
    pub no_proxy: Option<String>,
}

/// A range that networks of one size are cut from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPool {
    /// The range.
    pub base: IpNet,
    /// Prefix length of each network.
    pub size: u8,
}

/// Removal of unused images and build cache by a systemd timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prune {
    /// systemd calendar expression.
    pub schedule: String,
    /// Least age of what goes, counted from its build: a Go duration such as `168h`.
    pub until: String,
    /// Whether anonymous volumes that no container uses go too.
    pub volumes: bool,
}

/// Makes Docker on the guest as `wish` says, and returns what is there then. Safe to repeat.
///
/// # Errors
/// [`Error::Guard`] before anything is touched on a machine that Docker must not run on; [`Error::Refused`] for what
/// would lose data; [`Error::Failed`] with the last lines of the log.
pub async fn apply(guest: &impl Guest, wish: &DockerWish) -> Result<Facts> {
    let facts = facts::read(guest).await?;
    facts::guard(&facts)?;
    let plan = plan::plan(wish, &facts)?;
    if plan.is_empty(&facts) {
        plan::verify(wish, &facts)?;
        return Ok(facts);
    }
    let install = match wish.source {
        _ if !plan.install => None,
        Source::Docker | Source::Installed => Some(packages::docker(
            wish.version.as_deref(),
            &repository(guest, wish, &facts).await?,
        )),
        Source::Distro => Some(packages::distro(wish.version.as_deref())),
        Source::Preinstalled => None,
    };
    let script = script::script(&plan, install.as_deref());
    detached::run(guest, &detached::name("pmoves-docker", &script), &script)
        .await?
        .ok("setting up Docker")?;
    let facts = facts::read(guest).await?;
    plan::verify(wish, &facts)?;
    Ok(facts)
}

/// Docker as it is, in the words of a wish: what import and refresh compare with. `users` and `prune` are ours alone,
/// so they are left empty.
pub fn observed(facts: &Facts) -> DockerWish {
    let text = facts.daemon_json.as_deref().unwrap_or("{}");
    let keys: serde_json::Map<_, _> = serde_json::from_str(text).unwrap_or_default();
    daemon::observed(
        &keys,
        DockerWish {
            source: match () {
                () if facts.packages.contains_key("docker-ce") => Source::Docker,
                () if facts.packages.contains_key("docker.io") => Source::Distro,
                () => Source::Preinstalled,
            },
            data_root: facts.docker.as_ref().map(|docker| docker.root.clone()),
            containerd_root: facts.containerd_toml.as_deref().and_then(containerd::root),
            ..DockerWish::default()
        },
    )
}

/// The installed Engine where it is not the `wanted` version, nor begins with it.
pub fn strays(facts: &Facts, wanted: &str) -> Option<String> {
    let mut engine = ["docker-ce", "docker.io"].into_iter();
    let installed = engine.find_map(|name| facts.packages.get(name))?;
    (!packages::is_version(installed, wanted)).then(|| installed.clone())
}

/// Where Docker looks for the authority of a registry.
fn ca_path(registry: &str) -> String {
    format!("/etc/docker/certs.d/{registry}/ca.crt")
}

fn ca_text(pem: &str) -> String {
    format!("{}\n", pem.trim_end())
}

/// Whether the guest trusts this authority for a registry.
pub fn trusts(facts: &Facts, registry: &str, pem: &str) -> bool {
    facts.files.get(&ca_path(registry)) == Some(&sha256(&ca_text(pem)))
}

async fn repository(guest: &impl Guest, wish: &DockerWish, facts: &Facts) -> Result<Repository> {
    let refused = || {
        Error::Refused(
            "Docker's repository is for Debian and Ubuntu, and the guest is neither".to_owned(),
        )
    };
    let suite = facts.os_codename.clone().ok_or_else(refused)?;
    let url = match (&wish.repository_url, facts.os_id.as_deref()) {
        (Some(url), _) => url.clone(),
        (None, Some(os @ ("debian" | "ubuntu"))) => {
            format!("https://download.docker.com/linux/{os}")
        }
        _ => return Err(refused()),
    };
    let url = url.trim_end_matches('/').to_owned();
    let what = format!("fetching {url}/gpg");
    let answer = guest
        .run(&format!(
            "{}url={}\n{FETCH}",
            environment(wish.proxy.as_ref()),
            quote(&url)
        ))
        .await?
        .ok(&what)?;
    let file = BASE64_STANDARD
        .decode(answer.trim())
        .map_err(|error| Error::Unexpected {
            what,
            answer: error.to_string(),
        })?;
    let key = key::verified(&file, wish.repository_key.as_deref().unwrap_or(key::DOCKER))?;
    Ok(Repository { url, suite, key })
}

/// The file that tells apt of the proxy: also the first boot installs packages.
pub fn apt_proxy(proxy: &Proxy) -> Option<(String, String)> {
    let path = "/etc/apt/apt.conf.d/90pmoves-proxy".to_owned();
    Some((path, units::apt_proxy(proxy)?))
}

/// What a downloader reads in its environment.
fn environment(proxy: Option<&Proxy>) -> String {
    let Some(proxy) = proxy else {
        return String::new();
    };
    let pairs = [
        ("http_proxy", &proxy.http),
        ("https_proxy", &proxy.https),
        ("no_proxy", &proxy.no_proxy),
    ];
    let set = |(name, value): (&str, &Option<String>)| {
        Some(format!("export {name}={}\n", quote(value.as_deref()?)))
    };
    pairs.into_iter().filter_map(set).collect()
}

/// apt's own downloader is there wherever apt is.
const FETCH: &str = r#"file=$(mktemp /run/pmoves-key.XXXXXX) || exit 1
PATH=$PATH:/usr/lib/apt apt-helper download-file "$url/gpg" "$file" >&2 && base64 -w0 < "$file"
status=$?
rm -f "$file"
exit $status
"#;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::guest::Output;

    /// Answers every script with the same text and remembers them.
    struct Fixed(&'static str, Mutex<Vec<String>>);

    impl Guest for Fixed {
        async fn run(&self, script: &str) -> Result<Output> {
            self.1
                .lock()
                .expect("nobody panics")
                .push(script.to_owned());
            Ok(Output {
                stdout: self.0.to_owned(),
                ..Output::default()
            })
        }
    }

    #[tokio::test]
    async fn a_proxmox_host_is_only_looked_at() {
        let answer = r#"{"os_id":"debian","kernel":"6.14.8-2-pve","arch":"x86_64","hostname":"pve1","boot_id":"b","proxmox":["proxmox-ve"],
            "daemon_json":null,"containerd_toml":null,"manifest":null,"units":{},"nics":[]}"#;
        let guest = Fixed(answer, Mutex::default());
        let wish = DockerWish::default();
        // The futures are spawned by the gRPC server, so they must be Send.
        let applied: std::pin::Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(apply(&guest, &wish));
        assert!(matches!(applied.await, Err(Error::Guard(_))));
        assert_eq!(guest.1.lock().unwrap().len(), 1);
    }
}
