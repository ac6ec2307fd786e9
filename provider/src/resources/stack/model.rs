//! The attributes of `pmoves_stack`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::checks;
use crate::{
    framework::{Model, duration},
    resources::host::ssh::Ssh,
    resources::timeouts::Timeouts,
    secret::Secret,
};

/// A Compose project on a Docker host.
///
/// The text is shipped as it is and run by the Compose on the host. A plan names the services that
/// an edit changes, and the next plan shows a container that somebody stopped by hand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Stack {
    /// Host and project, such as `qemu/101/jellyfin` or `lxc/102/n8n`.
    #[attr(computed)]
    pub id: Option<String>,
    /// The Docker host, by the `id` of a `pmoves_docker_vm` or `pmoves_docker_lxc`: `qemu/101`, `lxc/102`. On a change the volumes stay on the old host.
    #[attr(replace_unknown, check(checks::host_id))]
    pub host_id: String,
    /// Name of the project: lower-case letters, digits, `_` and `-`.
    #[attr(replace, check(checks::project_name))]
    pub name: String,
    /// Text of the Compose file. Exactly one of `compose` and `compose_files` is set.
    pub compose: Option<String>,
    /// Texts of several Compose files, merged in this order.
    pub compose_files: Option<Vec<String>>,
    /// Files that the Compose text refers to: path below the project directory → content. A script that begins with `#!` becomes executable.
    #[attr(check(checks::files))]
    pub files: Option<BTreeMap<String, String>>,
    /// Variables for `${...}` in the text, written to `.env`. They are in the state and in `docker inspect`: secrets belong into `secrets_wo` or `env_wo`.
    #[attr(check(checks::variables))]
    pub env: Option<BTreeMap<String, String>>,
    /// Variables that are secret. They never enter the state, but `docker inspect` shows them where a container uses them.
    #[attr(write_only)]
    pub env_wo: Option<BTreeMap<String, Secret<String>>>,
    /// Any text that changes with `env_wo`.
    pub env_wo_version: Option<String>,
    /// Secrets by their name under `secrets:` in the text. They become files that only root may read, mounted at `/run/secrets/NAME`, and never enter the state, the environment or `docker inspect`.
    #[attr(write_only)]
    pub secrets_wo: Option<BTreeMap<String, Secret<String>>>,
    /// Any text that changes with `secrets_wo`. The services that use a secret are then made anew.
    pub secrets_wo_version: Option<String>,
    /// Profiles to start.
    pub profiles: Option<BTreeSet<String>>,
    /// Directory of the project on the host. Left open, `/opt/pmoves/stacks/NAME`.
    #[attr(decided, replace, check(checks::directory))]
    pub project_directory: Option<String>,
    /// When images are pulled: `missing`, `always` or `never`.
    #[attr(default("missing"), setting, one_of(&["missing", "always", "never"]))]
    pub pull: Option<String>,
    /// Whether to wait until all services are healthy, or run without a check, or have ended well where another service waits for that. A service that fails fails the apply, with its last lines.
    #[attr(default(true), setting)]
    pub wait: Option<bool>,
    /// How long to wait for that.
    #[attr(default("5m"), setting, check(duration::check))]
    pub wait_timeout: Option<String>,
    /// Whether containers of services that are no longer in the text are removed.
    #[attr(default(true), setting)]
    pub remove_orphans: Option<bool>,
    /// When containers are made anew: `auto` when something they depend on changed, `always` or `never`.
    #[attr(default("auto"), setting, one_of(&["auto", "always", "never"]))]
    pub recreate: Option<String>,
    /// Whether a destroy deletes the volumes of the project with their data.
    #[attr(default(false), setting)]
    pub delete_volumes: Option<bool>,
    /// What a destroy does: `down` removes containers and networks, `keep` leaves everything running.
    #[attr(default("down"), setting, one_of(&["down", "keep"]))]
    pub on_destroy: Option<String>,
    /// How SSH gets to the host. Set, commands run by SSH; else by the guest agent or the console where they lead in.
    pub ssh: Option<Ssh>,
    /// How long operations may take. `update` covers `wait_timeout`.
    pub timeouts: Option<Timeouts>,
    /// `running`, `degraded`, `stopped` or `unreachable`.
    #[attr(computed)]
    pub status: Option<String>,
    /// The services: image, what runs of it, and how.
    #[attr(computed, plain)]
    pub services: Option<BTreeMap<String, Service>>,
}

/// A service as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Service {
    /// Image as the text names it.
    pub image: Option<String>,
    /// Digest of the image in its registry.
    pub image_digest: Option<String>,
    /// `running`, `completed`, `exited`, `unhealthy`, `missing` or `outdated`.
    pub state: Option<String>,
    /// Number of containers.
    pub replicas: Option<i64>,
    /// Declared ports.
    pub ports: Option<Vec<String>>,
    /// Hash of the service's configuration, as Compose recorded it.
    pub config_hash: Option<String>,
}
