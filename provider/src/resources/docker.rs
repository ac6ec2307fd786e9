//! The `docker` attribute: Docker Engine and Compose on a guest.
//!
//! Only the attributes and what a change of them causes in a plan; `guest::docker` does the work.

mod checks;
mod effects;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use checks::{
    absolute, authorities, daemon_json, fingerprint, https, pools, proxy_url, same_json, urls,
    version,
};
pub(super) use effects::effects;

use crate::{
    framework::Model,
    guest::{
        docker::{self as engine, DockerWish, Source},
        facts::Facts,
    },
};

/// Docker Engine and Compose on the guest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Docker {
    /// Where Docker comes from: `docker` installs the packages of Docker's own repository, which the guest must reach, `distro` those of the guest's distribution, and `preinstalled` only checks what the image brings. It cannot be swapped on a host in use. Left open, a clone has that of its source.
    #[attr(default("docker"), sticky, one_of(&["docker", "distro", "preinstalled"]))]
    pub source: Option<String>,
    /// Version of the Engine, or the beginning of one such as `28.5`: installed, and held. Left open, the newest on the day of the install, which upgrades of the guest go on from. A change restarts the Engine.
    #[attr(open, check(version))]
    pub version: Option<String>,
    /// A mirror of Docker's repository, such as `https://mirror.lan/linux/debian`, for `source = "docker"`.
    #[attr(open, check(https))]
    pub repository_url: Option<String>,
    /// Fingerprint of the key that signs the repository, if that is not Docker's.
    #[attr(open, check(fingerprint))]
    pub repository_key: Option<String>,
    /// Directory of images, containers and volumes. Left open, `data` on the data disk.
    #[attr(keep, check(absolute))]
    pub data_root: Option<String>,
    /// Whether containers keep running while the Engine restarts.
    #[attr(default(true))]
    pub live_restore: Option<bool>,
    /// Container logs, which are bounded by default. A change reaches new containers only.
    #[attr(filled)]
    pub log: Option<Log>,
    /// Mirrors of Docker Hub, as URLs.
    #[attr(open, check(urls))]
    pub registry_mirrors: Option<Vec<String>>,
    /// Registries that may be reached without TLS, as `name:port`.
    #[attr(open)]
    pub insecure_registries: Option<BTreeSet<String>>,
    /// Certificates of the authorities that have signed for registries, as PEM by `name` or `name:port`. A change needs no restart.
    #[attr(open, check(authorities))]
    pub registry_ca: Option<BTreeMap<String, String>>,
    /// Proxy by which the Engine and apt reach the outside. A change restarts the Engine.
    #[attr(open)]
    pub proxy: Option<Proxy>,
    /// Address ranges that networks of Docker are cut from. A change restarts the Engine and reaches new networks only.
    #[attr(open, plain, check(pools))]
    pub address_pools: Option<Vec<AddressPool>>,
    /// Largest frame of container networks, in bytes. A change restarts the Engine and reaches new networks only.
    #[attr(open, range(1280, 65520))]
    pub mtu: Option<i64>,
    /// More settings of `daemon.json`, as a JSON object. Only its keys are owned; they win over nothing that has an attribute here.
    #[attr(open, check(daemon_json), same(same_json))]
    pub daemon_json: Option<String>,
    /// Removal of unused images and build cache by a timer. Volumes and stopped containers are never touched.
    #[attr(filled)]
    pub prune: Option<Prune>,
    /// Accounts that may use Docker without sudo, which makes them as mighty as root.
    #[attr(open)]
    pub users: Option<BTreeSet<String>>,
}

/// Container logs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Log {
    /// Logging driver.
    #[attr(default("local"))]
    pub driver: Option<String>,
    /// Largest size of one file, such as `10m`.
    #[attr(default("10m"))]
    pub max_size: Option<String>,
    /// Number of files kept.
    #[attr(default(3), range(1, 1000))]
    pub max_file: Option<i64>,
}

/// A proxy to the outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Proxy {
    /// For `http://` URLs, such as `http://proxy.lan:3128`. Without user and password: everybody in the guest could read them.
    #[attr(open, check(proxy_url))]
    pub http: Option<String>,
    /// For `https://` URLs.
    #[attr(open, check(proxy_url))]
    pub https: Option<String>,
    /// What is reached without it, separated by commas, such as `localhost,.lan,192.0.2.0/24`.
    #[attr(open)]
    pub no_proxy: Option<String>,
}

/// An address range for networks of Docker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Model)]
pub struct AddressPool {
    /// The range, such as `10.64.0.0/16`.
    pub base: String,
    /// Prefix of each network cut from it, such as 24.
    pub size: i64,
}

/// Removal of unused images and build cache.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Prune {
    /// When, as a calendar event of systemd; empty switches it off.
    #[attr(default("weekly"))]
    pub schedule: Option<String>,
    /// Age of the build (not of the pull) from which an unused image goes.
    #[attr(default("168h"))]
    pub until: Option<String>,
    /// Whether anonymous volumes that no container uses go too, whatever their age. Named ones stay.
    #[attr(default(false))]
    pub volumes: Option<bool>,
}

/// Where the Docker that a guest has comes from.
pub(super) fn source(facts: &Facts) -> String {
    let source = match engine::observed(facts).source {
        Source::Distro => "distro",
        Source::Docker => "docker",
        Source::Preinstalled | Source::Installed => "preinstalled",
    };
    source.to_owned()
}

/// What the guest is asked to be. `mount` is where the data disk is, if there is one.
pub(super) fn wish(docker: &Docker, mount: Option<String>) -> DockerWish {
    let data_root = docker
        .data_root
        .clone()
        .or_else(|| mount.as_ref().map(|path| format!("{path}/data")));
    DockerWish {
        source: match docker.source.as_deref() {
            Some("preinstalled") => Source::Preinstalled,
            Some("docker") => Source::Docker,
            Some("distro") => Source::Distro,
            _ => Source::Installed,
        },
        version: docker.version.clone(),
        repository_url: docker.repository_url.clone(),
        repository_key: docker.repository_key.clone(),
        registry_ca: docker.registry_ca.clone().unwrap_or_default(),
        proxy: docker.proxy.as_ref().map(Proxy::wish),
        // Both roots go together: containerd holds the images that Docker uses.
        containerd_root: mount
            .as_ref()
            .filter(|path| {
                data_root
                    .as_ref()
                    .is_some_and(|root| root.starts_with(*path))
            })
            .map(|path| format!("{path}/containerd")),
        mount_path: mount,
        data_root,
        live_restore: docker.live_restore,
        log: docker.log.as_ref().and_then(|log| {
            Some(engine::Log {
                driver: log.driver.clone()?,
                max_size: log.max_size.clone(),
                max_file: log.max_file.and_then(|count| u32::try_from(count).ok()),
            })
        }),
        registry_mirrors: docker.registry_mirrors.clone(),
        insecure_registries: docker
            .insecure_registries
            .clone()
            .map(|names| names.into_iter().collect()),
        address_pools: docker.address_pools.as_ref().map(|pools| {
            pools
                .iter()
                .filter_map(|pool| {
                    Some(engine::AddressPool {
                        base: pool.base.parse().ok()?,
                        size: u8::try_from(pool.size).ok()?,
                    })
                })
                .collect()
        }),
        mtu: docker.mtu.and_then(|mtu| u16::try_from(mtu).ok()),
        daemon_json: docker
            .daemon_json
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default(),
        prune: docker.prune.as_ref().and_then(|prune| {
            Some(engine::Prune {
                schedule: prune
                    .schedule
                    .clone()
                    .filter(|schedule| !schedule.is_empty())?,
                until: prune.until.clone()?,
                volumes: prune.volumes == Some(true),
            })
        }),
        users: docker.users.clone().unwrap_or_default(),
    }
}

impl Proxy {
    fn wish(&self) -> engine::Proxy {
        engine::Proxy {
            http: self.http.clone(),
            https: self.https.clone(),
            no_proxy: self.no_proxy.clone(),
        }
    }
}

/// What a guest must be told before its first package is installed.
pub(super) fn first_file(docker: &Docker) -> Option<(String, String)> {
    engine::apt_proxy(&docker.proxy.as_ref()?.wish())
}

/// The settings that `known` has, as they are on the guest now; the spelling of what is equal stays.
///
/// Where Docker comes from, its roots and the timer are not looked at: a swap or a move is nothing
/// that an apply could take back.
pub(super) fn observed(known: &Docker, facts: &Facts) -> Docker {
    let (wanted, seen) = (wish(known, None), engine::observed(facts));
    let mut now = known.clone();
    if now.source.is_none() && facts.docker.is_some() {
        now.source = Some(source(facts));
    }
    if known.live_restore.is_some() {
        now.live_restore = Some(seen.live_restore.unwrap_or(false));
    }
    if known.log.is_some() && wanted.log != seen.log {
        now.log = seen
            .log
            .as_ref()
            .map_or_else(default_log, |log| Some(log_of(log)));
    }
    // An empty list and none at all are the same to Docker.
    let some = |list: &Option<Vec<String>>| list.clone().filter(|list| !list.is_empty());
    if some(&wanted.registry_mirrors) != some(&seen.registry_mirrors)
        && known.registry_mirrors.is_some()
    {
        now.registry_mirrors = Some(seen.registry_mirrors.clone().unwrap_or_default());
    }
    if let Some(names) = &known.insecure_registries {
        let seen: BTreeSet<String> = seen
            .insecure_registries
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect();
        if *names != seen {
            now.insecure_registries = Some(seen);
        }
    }
    if let Some(pools) = &known.address_pools {
        let none = pools.is_empty() && seen.address_pools.is_none();
        if wanted.address_pools != seen.address_pools && !none {
            now.address_pools = Some(pools_of(&seen));
        }
    }
    if let Some(strays) = known
        .version
        .as_deref()
        .and_then(|version| engine::strays(facts, version))
    {
        now.version = Some(strays);
    }
    if let Some(authorities) = &mut now.registry_ca {
        authorities.retain(|registry, pem| engine::trusts(facts, registry, pem));
    }
    if known.proxy.is_some() && wanted.proxy != seen.proxy {
        now.proxy = seen.proxy.clone().map(proxy_of);
    }
    if known.mtu.is_some() {
        now.mtu = seen.mtu.map(i64::from);
    }
    if known.daemon_json.is_some() {
        let mut own = seen.daemon_json.clone();
        own.retain(|key, _| wanted.daemon_json.contains_key(key));
        if own != wanted.daemon_json {
            now.daemon_json = Some(serde_json::Value::from(own).to_string());
        }
    }
    if let Some(users) = &known.users {
        let members = facts.docker_group.iter();
        now.users = Some(
            members
                .filter(|name| users.contains(*name))
                .cloned()
                .collect(),
        );
    }
    now
}

/// Docker as an import finds it; `None` where there is none.
pub(super) fn adopted(facts: &Facts) -> Option<Docker> {
    facts.docker.as_ref()?;
    let seen = engine::observed(facts);
    Some(Docker {
        source: Some(source(facts)),
        version: None,
        repository_url: None,
        repository_key: None,
        registry_ca: None,
        proxy: seen.proxy.clone().map(proxy_of),
        data_root: seen.data_root.clone(),
        live_restore: seen.live_restore,
        log: seen.log.as_ref().map(log_of),
        registry_mirrors: seen.registry_mirrors.clone(),
        insecure_registries: seen
            .insecure_registries
            .clone()
            .map(|names| names.into_iter().collect()),
        address_pools: seen.address_pools.is_some().then(|| pools_of(&seen)),
        mtu: seen.mtu.map(i64::from),
        daemon_json: (!seen.daemon_json.is_empty())
            .then(|| serde_json::Value::from(seen.daemon_json).to_string()),
        prune: None,
        users: None,
    })
}

/// Docker's own choice.
fn default_log() -> Option<Log> {
    Some(Log {
        driver: Some("json-file".to_owned()),
        ..Log::default()
    })
}

fn log_of(log: &engine::Log) -> Log {
    Log {
        driver: Some(log.driver.clone()),
        max_size: log.max_size.clone(),
        max_file: log.max_file.map(i64::from),
    }
}

fn proxy_of(proxy: engine::Proxy) -> Proxy {
    Proxy {
        http: proxy.http,
        https: proxy.https,
        no_proxy: proxy.no_proxy,
    }
}

fn pools_of(seen: &DockerWish) -> Vec<AddressPool> {
    let pools = seen.address_pools.iter().flatten();
    pools
        .map(|pool| AddressPool {
            base: pool.base.to_string(),
            size: i64::from(pool.size),
        })
        .collect()
}

#[cfg(test)]
mod tests;
