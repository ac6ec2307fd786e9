//! What the texts of a stack declare, and the comparison of two such declarations.
//!
//! Does not read text.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::Fault;

/// A stack's texts after merging, interpolation and checks; services of unused profiles are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Project {
    /// Services by name.
    pub services: BTreeMap<String, Service>,
    /// Declared secrets.
    pub secrets: BTreeMap<String, Resource>,
    /// Declared configs.
    pub configs: BTreeMap<String, Resource>,
    /// Declared volumes.
    pub volumes: BTreeMap<String, Volume>,
    /// Declared networks; the implicit `default` only if the text names it.
    pub networks: BTreeMap<String, Network>,
    /// All profiles that services name.
    pub profiles: BTreeSet<String>,
    /// Names that the texts interpolate.
    pub variables: BTreeSet<String>,
    /// Findings that Compose tolerates.
    pub warnings: Vec<Fault>,
}

/// One service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Image reference; absent when only `build` is given.
    pub image: Option<String>,
    /// Whether the image is built on the host.
    pub build: bool,
    /// Ports as declared, normalised to `[IP:]8080:80/tcp` or `80/tcp`; ranges stay ranges.
    pub ports: Vec<String>,
    /// Containers wanted.
    pub replicas: u32,
    /// Whether the text gives a healthcheck that is not disabled.
    pub healthcheck: bool,
    /// Restart policy, `no` when absent.
    pub restart: String,
    /// What the service should come to.
    pub wanted: Wanted,
    /// Services that must come before it.
    pub depends_on: BTreeMap<String, Dependency>,
    /// Secrets it mounts.
    pub secrets: BTreeSet<String>,
    /// Configs it mounts.
    pub configs: BTreeSet<String>,
    /// Named volumes it mounts.
    pub volumes: BTreeSet<String>,
    /// Networks it joins.
    pub networks: BTreeSet<String>,
    /// Env files it reads, as relative shipped paths.
    pub env_files: BTreeSet<String>,
    /// Relative paths it binds, shipped or not.
    pub binds: BTreeSet<String>,
    /// Shipped files whose content it sees: binds (with what lies below them), secret and config files, env and
    /// label files, build context.
    pub inputs: BTreeSet<String>,
    /// Canonical JSON of what Compose hashes: no `build`, `pull_policy`, `scale` or `deploy.replicas`.
    pub definition: String,
    /// What else decides whether its containers stay: key of the change → what to compare.
    pub(crate) beside: BTreeMap<String, String>,
    /// Services whose containers it shares a namespace or volumes with.
    pub(crate) joined: BTreeSet<String>,
}

impl Service {
    /// Bytes that differ exactly when [`changed`] would name a file, secret or config of the service; none if it uses
    /// none.
    ///
    /// Compose sees no such change: a keyed hash of these bytes as a label makes it recreate the containers.
    pub fn content(&self) -> Option<Vec<u8>> {
        let seen = |key: &str| {
            ["files.", "secrets.", "configs."]
                .iter()
                .any(|kind| key.starts_with(kind))
        };
        let seen: BTreeMap<_, _> = self.beside.iter().filter(|(key, _)| seen(key)).collect();
        (!seen.is_empty()).then(|| serde_json::json!(seen).to_string().into_bytes())
    }
}

/// What a service should come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Containers run on.
    #[default]
    Running,
    /// Containers exit with 0, for another service waits for that.
    Completed,
}

/// How a service waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// What is waited for.
    pub condition: Condition,
    /// Whether the other must be there.
    pub required: bool,
}

/// What a dependency waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `service_started`.
    Started,
    /// `service_healthy`.
    Healthy,
    /// `service_completed_successfully`.
    Completed,
}

/// A secret or a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Where the content comes from.
    pub origin: Origin,
    /// Canonical JSON of the declaration.
    pub definition: String,
}

/// Where the content of a secret or config comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file, relative to the project directory if it lies in there.
    File(String),
    /// A variable of the environment.
    Environment(String),
    /// Text in the declaration.
    Content(String),
    /// It is there already (Swarm).
    External,
    /// The text names none.
    Absent,
}

/// A named volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Name on the host: `PROJECT_KEY` unless the text says otherwise.
    pub name: String,
    /// Whether it is made by someone else.
    pub external: bool,
    /// Canonical JSON of the declaration.
    pub definition: String,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Name on the host: `PROJECT_KEY` unless the text says otherwise.
    pub name: String,
    /// Whether it is made by someone else.
    pub external: bool,
    /// Driver, if the text names one.
    pub driver: Option<String>,
    /// Canonical JSON of the declaration.
    pub definition: String,
}

/// What an edit does to each service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Only in the next project.
    pub added: BTreeSet<String>,
    /// Only in the prior project.
    pub removed: BTreeSet<String>,
    /// In both, with the keys that differ: `image`, `environment.TZ`, `files.nginx.conf`.
    pub changed: BTreeMap<String, BTreeSet<String>>,
    /// In both and equal: Compose leaves their containers alone.
    pub same: BTreeSet<String>,
}

/// Names what an edit does to each service.
pub fn changed(prior: &Project, next: &Project) -> Changes {
    let mut changes = Changes::default();
    let names = |project: &Project| project.services.keys().cloned().collect::<BTreeSet<_>>();
    let (before, after) = (names(prior), names(next));
    changes.added = after.difference(&before).cloned().collect();
    changes.removed = before.difference(&after).cloned().collect();
    for name in before.intersection(&after) {
        let keys = differing(&prior.services[name], &next.services[name]);
        if keys.is_empty() {
            changes.same.insert(name.clone());
        } else {
            changes.changed.insert(name.clone(), keys);
        }
    }
    // A container that shares another's namespace names it by id, so it is made anew together with the other.
    loop {
        let moves =
            |name: &String| changes.changed.contains_key(name) || changes.added.contains(name);
        let follows = |name: &&String| {
            next.services[*name]
                .joined
                .iter()
                .find(|other| moves(other))
                .cloned()
        };
        let Some((name, other)) = changes
            .same
            .iter()
            .find_map(|name| Some((name.clone(), follows(&name)?)))
        else {
            return changes;
        };
        changes.same.remove(&name);
        changes
            .changed
            .insert(name, BTreeSet::from([format!("services.{other}")]));
    }
}

/// Volumes of both projects whose definition differs, which Compose would answer by deleting their data.
pub fn volumes_redefined(prior: &Project, next: &Project) -> Vec<String> {
    let redefined = prior.volumes.iter().filter(|(key, before)| {
        next.volumes.get(*key).is_some_and(|after| {
            let renamed = before.name != after.name || before.external || after.external;
            !renamed && before.definition != after.definition
        })
    });
    redefined.map(|(key, _)| key.clone()).collect()
}

/// Keys of a service that differ; below maps of the practitioner's own keys, those.
fn differing(before: &Service, after: &Service) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let (a, b) = (object(&before.definition), object(&after.definition));
    for key in differing_keys(&a, &b) {
        let parts = (
            a.get(&key).and_then(Json::as_object),
            b.get(&key).and_then(Json::as_object),
        );
        match parts {
            (Some(a), Some(b)) if matches!(key.as_str(), "environment" | "labels") => {
                keys.extend(differing_keys(a, b).map(|part| format!("{key}.{part}")));
            }
            _ => {
                keys.insert(key);
            }
        }
    }
    keys.extend(differing_keys(&before.beside, &after.beside));
    keys
}

fn object(definition: &str) -> serde_json::Map<String, Json> {
    serde_json::from_str(definition).unwrap_or_default()
}

fn differing_keys<'m, M, V>(a: &'m M, b: &'m M) -> impl Iterator<Item = String> + use<'m, M, V>
where
    &'m M: IntoIterator<Item = (&'m String, &'m V)>,
    V: PartialEq + 'm,
{
    let (a, b): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (a.into_iter().collect(), b.into_iter().collect());
    let keys: BTreeSet<_> = a.keys().chain(b.keys()).copied().cloned().collect();
    keys.into_iter().filter(move |key| a.get(key) != b.get(key))
}
