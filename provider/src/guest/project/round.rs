//! All stacks of a guest in one script: files on disk, containers, versions.
//!
//! Runs no Compose but for its version, and changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Deserialize;

use super::containers::{Container, SHOW, Seen, TEMPLATE};
use super::manifest::{self, Manifest};
use super::shell::{START, decode, decode_text, last_lines, object, objects, unexpected};
use super::{PRIVATE, Result};
use crate::guest::{Guest, quote};

const WHAT: &str = "looking at the stacks";

/// A stack to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Name of the project.
    pub project: String,
    /// Project directory.
    pub directory: String,
    /// sha256 by path, relative to the directory, of the files whose content is known; the
    /// content of those that differ is sent back.
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
    /// Shipped files of which only the guest knows the content (secrets, second env file,
    /// override) that are missing or differ from what was written; the manifest where there is none,
    /// as in a project that we never wrote.
    pub private_changed: BTreeSet<String>,
    /// All containers of the project.
    pub containers: Vec<Container>,
}

/// Looks at all stacks of a guest.
pub async fn round(guest: &impl Guest, stacks: &[Known]) -> Result<HostRound> {
    let output = guest.run(&script(stacks)).await?;
    let stderr = output.stderr.clone();
    parse(stacks, &output.ok(WHAT)?, &stderr)
}

/// Prints objects only, and names stacks and files by their index: nothing needs escaping.
fn script(stacks: &[Known]) -> String {
    let mut script = format!("{START}{SHOW}{FUNCTIONS}");
    for (index, stack) in stacks.iter().enumerate() {
        let _ = writeln!(script, "stack {index} {} && {{", quote(&stack.directory));
        for (index, (path, sha256)) in stack.files.iter().enumerate() {
            let _ = writeln!(script, "file {index} {} {}", quote(sha256), quote(path));
        }
        script.push_str("private\n}\n");
    }
    let template = quote(TEMPLATE);
    let _ = write!(script, "template={template}\n{DOCKER}");
    script
}

const FUNCTIONS: &str = r#"sum() { sha256sum <"$1" | cut -c1-64; }
stack() { stack=$1; cd -- "$2" 2>/dev/null; }
file() {
  [ -f "./$3" ] || return 0
  sum=$(sum "./$3")
  printf '{"is":"file","stack":%s,"file":%s,"sha256":"%s"' $stack $1 "$sum"
  # 1 MiB is what an attribute may hold.
  if [ "$sum" != "$2" ] && [ "$(stat -Lc %s "./$3")" -le 1048576 ]; then
    printf ',"content":"%s"' "$(base64 -w0 "./$3")"
  fi
  echo '}'
}
private() {
  [ -f .pmoves/manifest.json ] || return 0
  printf '{"is":"manifest","stack":%s,"content":"%s"}\n' $stack "$(base64 -w0 .pmoves/manifest.json)"
  for path in .pmoves/env .pmoves/override.yaml .pmoves/secrets/*; do
    [ -f "$path" ] || continue
    name=$(printf %s "$path" | base64 -w0)
    printf '{"is":"private","stack":%s,"name":"%s","sha256":"%s"}\n' $stack "$name" "$(sum "$path")"
  done
}
"#;

/// A container that goes away between `ps` and `inspect` makes the latter fail: one more try.
///
/// A call would start a daemon that was stopped while its socket listens; looking changes nothing.
const DOCKER: &str = r#"docker() { timeout 20 docker "$@"; }
stopped() {
  state=$(systemctl show -p LoadState -p ActiveState --value docker.service 2>/dev/null | tr '\n' ' ')
  case $state in
  'loaded inactive '* | 'loaded failed '*) echo "docker.service: $state" >&2 ;;
  *) return 1 ;;
  esac
}
look() {
  containers=
  ids=$(docker ps -aq --no-trunc --filter label=com.docker.compose.project) || return
  [ -z "$ids" ] || containers=$(docker inspect -f "$template" $ids)
}
cd /
if ! command -v docker >/dev/null; then
  echo '{"is":"absent"}'
elif stopped || ! { look 2>/dev/null || look; }; then
  echo '{"is":"down"}'
else
  docker version -f '{"is":"version","version":{{json .Server.Version}}}'
  compose=$(docker compose version --short 2>/dev/null | tr -cd '0-9A-Za-z.+~_-')
  printf '{"is":"compose","version":"%s"}\n' "$compose"
  show
fi
echo '{"is":"end"}'
"#;

#[derive(Deserialize)]
struct FileLine {
    stack: usize,
    file: usize,
    sha256: String,
    content: Option<String>,
}

#[derive(Deserialize)]
struct ManifestLine {
    stack: usize,
    content: String,
}

#[derive(Deserialize)]
struct PrivateLine {
    stack: usize,
    name: String,
    sha256: String,
}

#[derive(Deserialize)]
struct VersionLine {
    version: String,
}

/// What the lines about one stack say of files that only the guest knows.
#[derive(Clone, Default)]
struct Private {
    manifest: Option<Manifest>,
    sums: BTreeMap<String, String>,
}

fn parse(stacks: &[Known], stdout: &str, stderr: &str) -> Result<HostRound> {
    let mut round = HostRound::default();
    let mut facts: Vec<_> = stacks.iter().map(untouched).collect();
    let mut private = vec![Private::default(); stacks.len()];
    let mut seen = Seen::default();
    let (mut engine, mut compose, mut ended) = (None, None, false);
    for (is, value) in objects(WHAT, stdout)? {
        let outside = || unexpected(WHAT, &is);
        match is.as_str() {
            "file" => {
                let line: FileLine = object(WHAT, &value)?;
                let known = stacks.get(line.stack).ok_or_else(outside)?;
                let (path, _) = known.files.iter().nth(line.file).ok_or_else(outside)?;
                let facts = &mut facts[line.stack];
                if let Some(content) = line.content {
                    facts.texts.insert(path.clone(), decode(WHAT, &content)?);
                }
                facts.files.insert(path.clone(), Some(line.sha256));
            }
            "manifest" => {
                let line: ManifestLine = object(WHAT, &value)?;
                let private = private.get_mut(line.stack).ok_or_else(outside)?;
                private.manifest = manifest::parse(&decode_text(WHAT, &line.content)?);
            }
            "private" => {
                let line: PrivateLine = object(WHAT, &value)?;
                let private = private.get_mut(line.stack).ok_or_else(outside)?;
                private
                    .sums
                    .insert(decode_text(WHAT, &line.name)?, line.sha256);
            }
            "absent" => round.docker = Docker::Absent,
            "down" => {
                let said = last_lines(stderr, 3);
                let silent = || "no answer within 20 s".to_owned();
                let message = Some(said)
                    .filter(|said| !said.is_empty())
                    .unwrap_or_else(silent);
                round.docker = Docker::Down { message };
            }
            "version" => engine = Some(object::<VersionLine>(WHAT, &value)?.version),
            "compose" => compose = Some(object::<VersionLine>(WHAT, &value)?.version),
            "end" => ended = true,
            _ if seen.take(WHAT, &is, &value)? => {}
            _ => return Err(outside().into()),
        }
    }
    if !ended {
        return Err(unexpected(WHAT, "no end").into());
    }
    if let Some(version) = engine {
        let compose = compose.filter(|version| !version.is_empty());
        round.docker = Docker::Running { version, compose };
    }
    for ((known, mut facts), private) in stacks.iter().zip(facts).zip(private) {
        facts.private_changed = private.changed();
        round.stacks.insert(known.project.clone(), facts);
    }
    for container in seen.finish() {
        let facts = round.stacks.entry(container.project.clone()).or_default();
        facts.containers.push(container);
    }
    Ok(round)
}

fn untouched(known: &Known) -> StackFacts {
    let files = known
        .files
        .keys()
        .map(|path| (path.clone(), None))
        .collect();
    StackFacts {
        files,
        ..StackFacts::default()
    }
}

impl Private {
    fn changed(&self) -> BTreeSet<String> {
        let Some(manifest) = &self.manifest else {
            return [manifest::PATH.to_owned()].into();
        };
        let own = manifest
            .files
            .iter()
            .filter(|(path, _)| path.starts_with(PRIVATE));
        own.filter(|(path, entry)| self.sums.get(*path) != Some(&entry.sha256))
            .map(|(path, _)| path.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests;
