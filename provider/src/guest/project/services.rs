//! Services of a stack as its state shows them.
//!
//! Compares with what was recorded right after our own up, so the quirks of a Compose version cancel out.

use std::collections::BTreeMap;

use super::containers::Container;

/// A service as the state shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Image as the Compose text names it.
    pub image: String,
    /// `sha256:…` of the image in its registry.
    pub image_digest: Option<String>,
    /// What it does.
    pub state: ServiceState,
    /// How many containers it has.
    pub replicas: u32,
    /// Declared ports.
    pub ports: Vec<String>,
    /// Hash of its configuration as Compose recorded it.
    pub config_hash: String,
}

/// What a service does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServiceState {
    /// Runs, and its check does not say otherwise.
    #[default]
    Running,
    /// Ran to its end with status 0, as wanted.
    Completed,
    /// A container does not run.
    Exited,
    /// A check fails, or a container is started again and again.
    Unhealthy,
    /// Has no container.
    Missing,
    /// Runs, but not what was recorded.
    Outdated,
}

/// A service right after our own up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// What was seen.
    pub facts: ServiceFacts,
    /// Label `com.docker.compose.image`; empty if not recorded.
    pub image_label: String,
}

/// What to record right after an up that succeeded.
pub fn record(containers: &[Container]) -> BTreeMap<String, Recorded> {
    let _ = containers;
    BTreeMap::new()
}

/// The services of one project. Those recorded that have no container are missing; `recorded` is empty on import.
pub fn services(
    containers: &[Container],
    recorded: &BTreeMap<String, Recorded>,
) -> BTreeMap<String, ServiceFacts> {
    let _ = (containers, recorded);
    BTreeMap::new()
}
