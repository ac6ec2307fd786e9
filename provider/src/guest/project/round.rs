//! All stacks of a guest, found by one script: what we wrote, what is there now, containers.
//!
//! Runs no Compose and changes nothing.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Result;
use super::containers::{Container, SHOW, Seen, TEMPLATE};
use super::manifest::{REGISTER, SUMS};
use super::shell::{START, decode_text, last_lines, object, objects, unexpected};
use crate::guest::quote;

const WHAT: &str = "looking at the stacks";

/// What a guest shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostRound {
    /// The Engine.
    pub docker: Docker,
    /// sha256 by absolute path of the files that we wrote, and of those that containers name as
    /// their Compose and env files; what is not there is left out.
    pub sums: BTreeMap<String, String>,
    /// All Compose projects that have containers or that we wrote.
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
    Running,
}

/// What a guest shows of one project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StackFacts {
    /// Where we wrote it; none if someone else did.
    pub directory: Option<String>,
    /// sha256 of what we wrote, by path relative to the directory; empty if the record is lost.
    pub written: BTreeMap<String, String>,
    /// All containers of the project.
    pub containers: Vec<Container>,
}

/// The script; [`parse`] reads what it prints.
pub(crate) fn script() -> String {
    let template = quote(TEMPLATE);
    format!("{START}{SHOW}register={REGISTER}\nsums={SUMS}\ntemplate={template}\n{SCRIPT}")
}

/// A container that goes away between `ps` and `inspect` makes the latter fail: one more try.
///
/// A call would start a daemon that was stopped while its socket listens; looking changes nothing.
///
/// Go escapes some characters in JSON: a path that has them is not found, and its file is then
/// read for itself.
const SCRIPT: &str = r#"docker() { timeout 20 docker "$@"; }
stopped() {
  state=$(systemctl show -p LoadState -p ActiveState --value docker.service 2>/dev/null | tr '\n' ' ')
  case $state in
  'loaded inactive '* | 'loaded failed '*) echo "docker.service is ${state#loaded }" >&2 ;;
  *) return 1 ;;
  esac
}
look() {
  containers=
  ids=$(docker ps -aq --no-trunc --filter label=com.docker.compose.project) || return
  [ -z "$ids" ] || containers=$(docker inspect -f "$template" $ids)
}
written() {
  for entry in "$register"/*; do
    name=${entry##*/}
    case $name in '*' | *[!a-z0-9_-]*) continue ;; esac
    IFS= read -r directory <"$entry" || continue
    "$1"
  done
}
stack() {
  list=$(base64 -w0 "$directory/$sums" 2>/dev/null)
  printf '{"is":"stack","name":"%s","directory":"%s","sums":"%s"}\n' "$name" "$(base64 -w0 "$entry")" "$list"
}
paths() {
  [ ! -f "$directory/$sums" ] || while IFS= read -r line; do
    printf '%s\n' "$directory/${line#*  }"
  done <"$directory/$sums"
}
labelled() {
  label='.*"com\.docker\.compose\.project\.'
  value='":"\([^"]*\)".*'
  printf '%s\n' "$containers" | sed -n "h
s/${label}working_dir$value/\\1\\/.env/p
g
s/${label}config_files$value/\\1/p
g
s/${label}environment_file$value/\\1/p" | tr , '\n'
}
cd /
containers=
if ! command -v docker >/dev/null; then
  echo '{"is":"absent"}'
elif stopped || ! { look 2>/dev/null || look; }; then
  echo '{"is":"down"}'
else
  echo '{"is":"running"}'
  show
fi
written stack
printf '{"is":"sums","sums":"%s"}\n' "$({ written paths; labelled; } | sort -u | while IFS= read -r path; do
  [ ! -f "$path" ] || printf '%s\0' "$path"
done | xargs -0r sha256sum 2>/dev/null | base64 -w0)"
echo '{"is":"end"}'
"#;

#[derive(Deserialize)]
struct StackLine {
    name: String,
    directory: String,
    sums: String,
}

#[derive(Deserialize)]
struct SumsLine {
    sums: String,
}

/// Reads what the script printed; `stderr` tells why the Engine does not answer.
pub(crate) fn parse(stdout: &str, stderr: &str) -> Result<HostRound> {
    let mut round = HostRound::default();
    let mut seen = Seen::default();
    let mut ended = false;
    for (is, value) in objects(WHAT, stdout)? {
        match is.as_str() {
            "stack" => {
                let line: StackLine = object(WHAT, &value)?;
                let directory = decode_text(WHAT, &line.directory)?;
                let facts = StackFacts {
                    directory: Some(directory.trim_end_matches('\n').to_owned()),
                    written: sums(&decode_text(WHAT, &line.sums)?),
                    containers: Vec::new(),
                };
                round.stacks.insert(line.name, facts);
            }
            "sums" => {
                let line: SumsLine = object(WHAT, &value)?;
                round.sums = sums(&decode_text(WHAT, &line.sums)?);
            }
            "absent" => round.docker = Docker::Absent,
            "running" => round.docker = Docker::Running,
            "down" => {
                let said = last_lines(stderr, 3);
                let silent = || "no answer within 20 s".to_owned();
                let message = Some(said)
                    .filter(|said| !said.is_empty())
                    .unwrap_or_else(silent);
                round.docker = Docker::Down { message };
            }
            "end" => ended = true,
            _ if seen.take(WHAT, &is, &value)? => {}
            _ => return Err(unexpected(WHAT, &is).into()),
        }
    }
    if !ended {
        return Err(unexpected(WHAT, "no end").into());
    }
    for container in seen.finish() {
        let facts = round.stacks.entry(container.project.clone()).or_default();
        facts.containers.push(container);
    }
    Ok(round)
}

/// Lines of `sha256sum`, which begins a line with `\` where it escapes the path.
fn sums(text: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let (line, escaped) = match line.strip_prefix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        let (sum, path) = line.split_once("  ")?;
        let path = match escaped {
            true => path.replace(r"\\", r"\"),
            false => path.to_owned(),
        };
        Some((path, sum.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests;
