//! Compose text as the provider understands it: what it declares, and which services an edit changes.
//!
//! Does not write Compose text, run Compose or touch files; everything here is pure.

pub mod dotenv;
mod fault;
mod interpolate;
mod model;
mod schema;
mod short;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

pub use fault::Fault;
pub use model::{
    Changes, Condition, Dependency, Network, Origin, Project, Resource, Service, Volume, Wanted,
};

/// One Compose text; several are merged in order, as Compose merges its `-f` files.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Name for messages, such as `compose.yaml`.
    pub name: &'a str,
    /// The text.
    pub text: &'a str,
}

/// All that decides what a stack's text means.
#[derive(Clone, Debug, Default)]
pub struct Inputs<'a> {
    /// Name of the stack, which is the Compose project's name.
    pub project: &'a str,
    /// Compose texts in merge order.
    pub sources: Vec<Source<'a>>,
    /// Variables for `${...}`, as the stack's `.env` holds them.
    pub env: BTreeMap<String, String>,
    /// Files shipped into the project directory: relative path → content.
    pub files: BTreeMap<String, &'a [u8]>,
    /// Secrets whose value comes beside the text; `None` leaves unchecked whether a secret has a source.
    pub secrets: Option<BTreeSet<String>>,
    /// Profiles in use; `*` is all of them.
    pub profiles: BTreeSet<String>,
}

/// Reads, merges, interpolates and checks the texts.
///
/// # Errors
/// All faults found, in order of file and place.
pub fn parse(inputs: &Inputs<'_>) -> Result<Project, Vec<Fault>> {
    let _ = inputs;
    Err(Vec::new())
}

/// Names of the services in a text, sorted, whatever their profiles; nothing is interpolated or looked up.
///
/// # Errors
/// The faults that keep the services from being listed.
pub fn service_names(source: Source<'_>) -> Result<Vec<String>, Vec<Fault>> {
    let _ = source;
    Err(Vec::new())
}

/// Names what an edit does to each service.
pub fn changed(prior: &Project, next: &Project) -> Changes {
    model::changed(prior, next)
}

/// Volumes of both projects whose definition differs, which Compose would answer by deleting their data.
pub fn volumes_redefined(prior: &Project, next: &Project) -> Vec<String> {
    model::volumes_redefined(prior, next)
}
