//! Removes a project and the files that we wrote.
//!
//! Keeps volumes unless asked, and every file that the manifest does not list.

use std::fmt::Write as _;

use super::Result;
use super::manifest::{self, Manifest, REGISTER};
use super::shell::{START, run, unexpected};
use super::ship::{ENV, ENV_SECRET, FUNCTIONS, OVERRIDE};
use super::up::{compose, line, stop, within};
use crate::guest::{Guest, quote};

/// What to remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// Name of the project.
    pub project: String,
    /// Project directory.
    pub directory: String,
    /// Compose files in order, relative to the directory. If one is missing, or Compose refuses
    /// them, what carries the project's label is removed.
    pub compose_files: Vec<String>,
    /// Whether volumes and their data go as well.
    pub delete_volumes: bool,
}

/// Removes containers and networks of a project, and the files that the manifest in its directory
/// lists. A project that nobody knows is no error; a Docker that does not answer is.
pub async fn down(guest: &impl Guest, removal: &Removal) -> Result<()> {
    run(guest, "removing the project", &docker_script(removal)).await?;
    remove_files(guest, &removal.project, &removal.directory).await
}

/// Stops containers and removes them.
pub async fn remove_containers(guest: &impl Guest, ids: &[&str]) -> Result<()> {
    let ids = ids.join(" ");
    let script = format!("{START}docker stop {ids} >/dev/null && docker rm -f {ids} >/dev/null\n");
    run(guest, "removing containers", &script).await?;
    Ok(())
}

/// Removes the files that the manifest in a directory lists, and directories that are then empty;
/// nothing if the directory belongs to another project.
pub async fn remove_files(guest: &impl Guest, project: &str, directory: &str) -> Result<()> {
    let manifest = quote(&within(directory, manifest::PATH));
    let text = run(
        guest,
        FILES,
        &format!("cat {manifest} 2>/dev/null || true\n"),
    )
    .await?;
    let manifest = match manifest::parse(&text) {
        Some(manifest) if manifest.project != project => return Ok(()),
        None if !text.trim().is_empty() => return Err(unexpected(FILES, &text).into()),
        known => known.unwrap_or_default(),
    };
    run(guest, FILES, &files_script(project, directory, &manifest)).await?;
    Ok(())
}

const FILES: &str = "removing the files of the stack";

/// Compose is asked first, for it stops services in their order; what it leaves, or all if it
/// cannot read the files any more, goes by label.
fn docker_script(removal: &Removal) -> String {
    let Removal {
        project,
        directory,
        compose_files,
        delete_volumes,
    } = removal;
    let files = compose_files.iter().map(|path| within(directory, path));
    let needed: Vec<_> = files
        .clone()
        .map(|path| format!("[ -f {} ]", quote(&path)))
        .collect();
    let needed = if needed.is_empty() {
        "false".to_owned()
    } else {
        needed.join(" && ")
    };
    let mut words = compose(project, directory);
    words.extend(files.flat_map(|path| ["-f".to_owned(), path]));
    let optional = |flag, path: &str| {
        let path = quote(&within(directory, path));
        format!("[ ! -f {path} ] || set -- \"$@\" {flag} {path}\n")
    };
    let optional = [
        optional("-f", OVERRIDE),
        optional("--env-file", ENV),
        optional("--env-file", ENV_SECRET),
    ]
    .concat();
    let volumes = if *delete_volumes { "--volumes" } else { "" };
    let command = line(&words, &format!("\"$@\" down --remove-orphans {volumes}"));
    let label = quote(&format!("label=com.docker.compose.project={project}"));
    let remove_volumes = if *delete_volumes { REMOVE_VOLUMES } else { "" };
    let rm = if *delete_volumes { "rm -fv" } else { "rm -f" };
    let stop = stop(directory);
    format!(
        r#"{START}set -e
if command -v docker >/dev/null; then
  label={label}
  docker ps -q >/dev/null
  {stop}  set --
{optional}  {{ {needed} && {command} >/dev/null; }} || true
  ids=$(docker ps -aq --no-trunc --filter "$label")
  [ -z "$ids" ] || docker stop $ids >/dev/null
  [ -z "$ids" ] || docker {rm} $ids >/dev/null
  ids=$(docker network ls -q --filter "$label")
  [ -z "$ids" ] || docker network rm $ids >/dev/null
{remove_volumes}fi
"#
    )
}

const REMOVE_VOLUMES: &str = r#"  ids=$(docker volume ls -q --filter "$label")
  [ -z "$ids" ] || docker volume rm $ids >/dev/null
"#;

/// The manifest and the register go last: a cut script can be run again.
fn files_script(project: &str, directory: &str, manifest: &Manifest) -> String {
    let (directory, register) = (quote(directory), format!("{REGISTER}/{}", quote(project)));
    let mut script = format!("{START}{FUNCTIONS}if [ -d {directory} ]; then\nenter {directory}\n");
    for path in manifest.files.keys() {
        let _ = writeln!(script, "discard {}", quote(path));
    }
    let _ = write!(
        script,
        "rm -rf .pmoves
cd ..
rmdir -- \"$root\" 2>/dev/null || true
fi
[ \"$(cat {register} 2>/dev/null)\" != {directory} ] || rm -f {register}
"
    );
    script
}

#[cfg(test)]
mod tests;
