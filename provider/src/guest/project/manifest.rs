//! What the last apply wrote into a project directory.
//!
//! Holds no contents. It has checksums of secrets, so it belongs into no state and no log.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::shell::{START, decode, run, unexpected};
use super::{PRIVATE, Result, inputs};
use crate::guest::{Guest, quote};

/// Path of the manifest, relative to the project directory.
pub(crate) const PATH: &str = ".pmoves/manifest.json";
/// Path of its checksums as `sha256sum --check` takes them, for scripts.
pub(super) const SUMS: &str = ".pmoves/sums";
/// Directory that has a file for each project that we wrote, which holds the project directory.
pub(super) const REGISTER: &str = "/etc/pmoves/stacks";

/// Files that we wrote into a project directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Project they belong to.
    pub project: String,
    /// Its Compose files in order, without the one that we generate.
    pub compose_files: Vec<String>,
    /// Files by path relative to the project directory.
    pub files: BTreeMap<String, Entry>,
}

/// One file as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Lower-case hex.
    pub sha256: String,
    /// Permission bits, octal.
    pub mode: String,
}

impl Manifest {
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("maps of text serialise")
    }

    pub(super) fn sums(&self) -> String {
        let line = |(path, entry): (&String, &Entry)| format!("{}  {path}\n", entry.sha256);
        self.files.iter().map(line).collect()
    }
}

/// What is known of a project directory before anything is written.
#[derive(Debug, Clone)]
pub struct Prior {
    /// Key of the input labels, made when there was none.
    pub key: inputs::Key,
    /// What the last apply wrote, if there was one.
    pub manifest: Option<Manifest>,
}

/// sha256 in lower-case hex, as `sha256sum` prints it.
pub fn sha256(content: &[u8]) -> String {
    inputs::hex(digest(&SHA256, content).as_ref())
}

/// Makes the project directory and the key of its labels where they are missing, and reads the
/// manifest.
pub async fn prepare(guest: &impl Guest, directory: &str) -> Result<Prior> {
    let text = run(guest, WHAT, &prepare_script(directory)).await?;
    parse_prior(&text)
}

const WHAT: &str = "preparing the project directory";

/// The key is linked, which fails where there is one: two applies at the same time agree.
fn prepare_script(directory: &str) -> String {
    let directory = quote(directory);
    format!(
        "{START}set -e
(umask 022; mkdir -p -- {directory})
cd -- {directory}
mkdir -p {PRIVATE}
chmod 0700 {PRIVATE}
cd {PRIVATE}
if [ ! -s inputs.key ]; then
  head -c 32 /dev/urandom | base64 -w0 >inputs.key.$$
  ln inputs.key.$$ inputs.key 2>/dev/null || true
  rm -f inputs.key.$$
fi
cat inputs.key
echo
if [ -e manifest.json ]; then cat manifest.json; fi
"
    )
}

fn parse_prior(text: &str) -> Result<Prior> {
    let (key, manifest) = text
        .split_once('\n')
        .ok_or_else(|| unexpected(WHAT, "no key"))?;
    let key = decode(WHAT, key)?
        .try_into()
        .map_err(|_| unexpected(WHAT, "a key of another length"))?;
    Ok(Prior {
        key: inputs::Key(key),
        manifest: parse(manifest),
    })
}

/// A manifest that cannot be read counts as none: nothing is then removed.
pub(super) fn parse(text: &str) -> Option<Manifest> {
    serde_json::from_str(text).ok()
}
