//! Reads a project back that is on a guest, for import.
//!
//! Does not look inside the texts, and reads no secret.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::manifest::{self, Manifest};
use super::shell::{START, decode, run, unexpected};
use super::ship::{ENV, SECRETS};
use super::up::within;
use super::{PRIVATE, Result};
use crate::guest::{Guest, quote};

const WHAT: &str = "reading the project back";

/// A project as it is on a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Project directory.
    pub directory: String,
    /// Compose files in order: path, relative to the directory if inside, else absolute; text.
    pub compose_files: Vec<(String, String)>,
    /// Those of its Compose files that are not there.
    pub lost: Vec<String>,
    /// Text of the env file that Compose read, or would read.
    pub env: Option<String>,
    /// Files that we shipped beside them.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Names of secrets that we shipped; their contents are not read.
    pub secrets: Vec<String>,
}

/// Reads a project back; none if the guest does not know it. A project without containers is
/// looked for in `directory`, and known only if we wrote it.
pub async fn read_back_opt(
    guest: &impl Guest,
    project: &str,
    directory: &str,
) -> Result<Option<Found>> {
    let labels = parse_labels(&run(guest, WHAT, &labels_script(project)).await?)?;
    let directory = match &labels {
        Some(labels) => labels.directory.as_str(),
        None => directory,
    };
    let manifest = format!(
        "cat {} 2>/dev/null || true\n",
        quote(&within(directory, manifest::PATH))
    );
    let manifest = manifest::parse(&run(guest, WHAT, &manifest).await?);
    let manifest = manifest.filter(|manifest| manifest.project == project);
    let Some(wanted) = paths(directory, labels.as_ref(), manifest.as_ref()) else {
        return Ok(None);
    };
    let paths: Vec<_> = wanted
        .iter()
        .map(|wanted| within(directory, wanted.path()))
        .collect();
    let contents = contents(guest, &paths).await?;
    Ok(Some(found(directory, wanted, manifest.as_ref(), contents)?))
}

/// Reads files, of each a little more than the 1 MiB that an attribute may hold; none for one that
/// is not there.
pub async fn contents(guest: &impl Guest, paths: &[String]) -> Result<Vec<Option<Vec<u8>>>> {
    let text = run(guest, WHAT, &contents_script(paths)).await?;
    let mut contents = vec![None; paths.len()];
    for line in text.lines() {
        let slot = line.split_once(' ').and_then(|(index, content)| {
            Some((contents.get_mut(index.parse::<usize>().ok()?)?, content))
        });
        let (slot, content) = slot.ok_or_else(|| unexpected(WHAT, line))?;
        *slot = Some(decode(WHAT, content)?);
    }
    Ok(contents)
}

/// What a container tells of its project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Labels {
    directory: String,
    config_files: Vec<String>,
    env_files: Option<Vec<String>>,
}

/// The youngest container counts: after a project moved, those that were kept say the old place.
fn labels_script(project: &str) -> String {
    let label = quote(&format!("label=com.docker.compose.project={project}"));
    format!(
        r#"{START}set -e
command -v docker >/dev/null || exit 0
id=$(docker ps -aq --no-trunc --filter {label} | head -n 1)
[ -z "$id" ] || docker inspect -f '{{{{json .Config.Labels}}}}' "$id"
"#
    )
}

fn parse_labels(text: &str) -> Result<Option<Labels>> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let labels: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|_| unexpected(WHAT, text))?;
    let label = |name| labels.get(&format!("com.docker.compose.project.{name}"));
    let list = |text: &String| text.split(',').map(str::to_owned).collect();
    Ok(Some(Labels {
        directory: label("working_dir").cloned().unwrap_or_default(),
        config_files: label("config_files").map(list).unwrap_or_default(),
        env_files: label("environment_file").map(list),
    }))
}

/// What is to be read.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Compose(String),
    Env(String),
    File(String),
}

impl Wanted {
    fn path(&self) -> &str {
        let (Self::Compose(path) | Self::Env(path) | Self::File(path)) = self;
        path
    }
}

fn paths(
    directory: &str,
    labels: Option<&Labels>,
    manifest: Option<&Manifest>,
) -> Option<Vec<Wanted>> {
    let inside = |path: &String| {
        let relative = path
            .strip_prefix(directory)
            .and_then(|path| path.strip_prefix('/'));
        relative.unwrap_or(path).to_owned()
    };
    let compose: Vec<_> = match (labels, manifest) {
        (Some(labels), _) => labels.config_files.iter().map(inside).collect(),
        (None, Some(manifest)) => manifest.compose_files.clone(),
        (None, None) => return None,
    };
    let env = match labels.and_then(|labels| labels.env_files.as_ref()) {
        None => vec![ENV.to_owned()],
        Some(files) => files
            .iter()
            .filter(|path| *path != "/dev/null")
            .map(inside)
            .collect(),
    };
    let known = |path: &String| compose.contains(path) || env.contains(path);
    let shipped = manifest
        .into_iter()
        .flat_map(|manifest| manifest.files.keys());
    let files: Vec<_> = shipped.filter(|path| !known(path)).cloned().collect();
    let all = compose.into_iter().map(Wanted::Compose);
    let all = all.chain(env.into_iter().map(Wanted::Env));
    let all = all.chain(files.into_iter().map(Wanted::File));
    Some(
        all.filter(|wanted| !wanted.path().starts_with(PRIVATE))
            .collect(),
    )
}

/// Prints index and content of each file that is there.
fn contents_script(paths: &[String]) -> String {
    let mut script = START.to_owned();
    for (index, path) in paths.iter().enumerate() {
        let path = quote(path);
        let _ = writeln!(
            script,
            "[ ! -f {path} ] || echo {index} \"$(head -c 1048577 {path} | base64 -w0)\""
        );
    }
    script.push_str("exit 0\n");
    script
}

fn found(
    directory: &str,
    wanted: Vec<Wanted>,
    manifest: Option<&Manifest>,
    contents: Vec<Option<Vec<u8>>>,
) -> Result<Found> {
    let mut found = Found {
        directory: directory.to_owned(),
        ..Found::default()
    };
    for (wanted, content) in wanted.into_iter().zip(contents) {
        let text = |content| {
            String::from_utf8(content)
                .map_err(|_| unexpected(WHAT, "a Compose text that is no UTF-8"))
        };
        match (wanted, content) {
            (Wanted::Compose(path), Some(content)) => {
                found.compose_files.push((path, text(content)?));
            }
            (Wanted::Compose(path), None) => found.lost.push(path),
            (Wanted::Env(_), Some(content)) => {
                let env = found.env.get_or_insert_default();
                if !env.is_empty() && !env.ends_with('\n') {
                    env.push('\n');
                }
                env.push_str(&text(content)?);
            }
            (Wanted::File(path), Some(content)) => {
                found.files.insert(path, content);
            }
            (Wanted::Env(_) | Wanted::File(_), None) => {}
        }
    }
    let paths = manifest
        .into_iter()
        .flat_map(|manifest| manifest.files.keys());
    found.secrets = paths
        .filter_map(|path| path.strip_prefix(SECRETS))
        .map(str::to_owned)
        .collect();
    Ok(found)
}

#[cfg(test)]
mod tests;
