//! Compose text as the provider understands it: what it declares, and which services an edit changes.
//!
//! Does not write Compose text, run Compose or touch files; everything here is pure.

mod check;
mod definition;
pub mod dotenv;
mod fault;
mod interpolate;
mod load;
mod merge;
mod model;
mod read;
mod schema;
mod shipped;
mod short;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

pub use fault::Fault;
pub use model::{
    Changes, Condition, Dependency, Network, Origin, Project, Resource, Service, Volume, Wanted,
    changed, volumes_redefined,
};
use shipped::Shipped;

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
    ///
    /// A value that is not known here stands as any text that changes whenever the value does.
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
    let mut env = inputs.env.clone();
    env.insert("COMPOSE_PROJECT_NAME".into(), inputs.project.into());
    let mut loader = load::Loader::new(inputs);
    let root = loader.sources(inputs, &env);
    let mut faults = std::mem::take(&mut loader.found.faults);
    let mut warnings = std::mem::take(&mut loader.found.warnings);
    if let Some(root) = root
        && faults.is_empty()
    {
        let context = read::Context {
            inputs,
            loader: &loader,
            env: &env,
            shipped: Shipped(&inputs.files),
        };
        let (mut project, trees) = read::project(&root, &context, &mut faults);
        check::check(
            &root,
            &trees,
            &project,
            &context,
            &mut faults,
            &mut warnings,
        );
        if faults.is_empty() {
            project.variables = std::mem::take(&mut loader.found.used);
            project.warnings = sorted(warnings);
            return Ok(project);
        }
    }
    Err(sorted(faults))
}

/// Names of the services in a text, sorted, whatever their profiles; nothing is interpolated or looked up.
///
/// # Errors
/// The faults that keep the services from being listed.
pub fn service_names(source: Source<'_>) -> Result<Vec<String>, Vec<Fault>> {
    let root = yaml::parse(source.name, source.text).map_err(|fault| vec![fault])?;
    let services = root
        .get("services")
        .filter(|services| matches!(services.value, yaml::Value::Map(_)));
    let Some(services) = services else {
        return Err(vec![
            root.place.fault("", "the text has no map \"services\""),
        ]);
    };
    let names = services.entries().iter().map(|entry| entry.key.clone());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with("x-")).collect();
    names.sort();
    Ok(names)
}

/// In order of file and place, each once: one shipped text may have been read several times.
fn sorted(mut faults: Vec<Fault>) -> Vec<Fault> {
    faults.sort();
    faults.dedup();
    faults
}

#[cfg(test)]
mod tests;
