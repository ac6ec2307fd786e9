//! Writes the files of a stack: all of them or none, and nobody else's.
//!
//! Does not start anything.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::manifest::{self, Entry, Manifest};
use super::shell::{START, encode, quote, run};
use super::{Error, PRIVATE, Result, Stack, inputs};
use crate::guest::Guest;

const ENV: &str = ".env";
const ENV_SECRET: &str = ".pmoves/env";
pub(super) const OVERRIDE: &str = ".pmoves/override.yaml";
pub(super) const SECRETS: &str = ".pmoves/secrets/";

/// Writes the files of the stack and removes those that the last apply wrote and that are not
/// wanted any more. `prior` is that of [`manifest::prepare`], which must have run before.
pub async fn ship(guest: &impl Guest, stack: &Stack, prior: Option<&Manifest>) -> Result<Manifest> {
    let files = files(stack)?;
    let manifest = manifest_of(stack, &files);
    run(
        guest,
        "writing the files of the stack",
        &script(stack, &files, &manifest, prior),
    )
    .await?;
    Ok(manifest)
}

/// Manifest that [`ship`] leaves behind.
pub fn manifest(stack: &Stack) -> Result<Manifest> {
    Ok(manifest_of(stack, &files(stack)?))
}

/// Paths for `-f`, in order, relative to the project directory.
pub(super) fn compose_files(stack: &Stack) -> Vec<&str> {
    let generated = override_text(stack).map(|_| OVERRIDE);
    stack
        .compose_files
        .iter()
        .map(|(path, _)| path.as_str())
        .chain(generated)
        .collect()
}

/// Paths for `--env-file`, in order, relative to the project directory.
pub(super) fn env_files(stack: &Stack) -> Vec<&'static str> {
    let public = stack.env.is_some().then_some(ENV);
    public
        .into_iter()
        .chain(stack.env_secret.is_some().then_some(ENV_SECRET))
        .collect()
}

struct File<'a> {
    path: String,
    content: Cow<'a, [u8]>,
    mode: u32,
    owner: (u32, u32),
}

fn files(stack: &Stack) -> Result<Vec<File<'_>>> {
    let root = (0, 0);
    let mut files = Vec::new();
    for (path, text) in &stack.compose_files {
        let content = Cow::Borrowed(text.as_bytes());
        files.push(File {
            path: path.clone(),
            content,
            mode: 0o644,
            owner: root,
        });
    }
    for (path, content) in &stack.files {
        let mode = if content.starts_with(b"#!") {
            0o755
        } else {
            0o644
        };
        files.push(File {
            path: path.clone(),
            content: content.into(),
            mode,
            owner: root,
        });
    }
    if let Some(text) = &stack.env {
        let content = Cow::Borrowed(text.as_bytes());
        files.push(File {
            path: ENV.to_owned(),
            content,
            mode: 0o600,
            owner: root,
        });
    }
    if let Some(refused) = files.iter().find_map(|file| refusal(&file.path)) {
        return Err(Error::Refused(refused));
    }
    if let Some(text) = &stack.env_secret {
        let content = Cow::Borrowed(text.0.as_slice());
        files.push(File {
            path: ENV_SECRET.to_owned(),
            content,
            mode: 0o600,
            owner: root,
        });
    }
    for (name, secret) in &stack.secrets {
        if !is_name(name) {
            return Err(Error::Refused(format!(
                "secret name {name:?} cannot be a file name"
            )));
        }
        files.push(File {
            path: format!("{SECRETS}{name}"),
            content: secret.content.0.as_slice().into(),
            mode: secret.mode & 0o7777,
            owner: (secret.uid, secret.gid),
        });
    }
    if let Some(text) = override_text(stack) {
        let content = Cow::Owned(text.into_bytes());
        files.push(File {
            path: OVERRIDE.to_owned(),
            content,
            mode: 0o600,
            owner: root,
        });
    }
    let mut seen = BTreeSet::new();
    match files.iter().find(|file| !seen.insert(&file.path)) {
        Some(twice) => Err(Error::Refused(format!(
            "two files are named {:?}",
            twice.path
        ))),
        None => Ok(files),
    }
}

fn refusal(path: &str) -> Option<String> {
    let outside = path.split('/').any(|part| matches!(part, "" | "." | ".."));
    if outside || path.chars().any(char::is_control) {
        Some(format!(
            "path {path:?} is not a plain path inside the project directory"
        ))
    } else if path == PRIVATE || path.starts_with(".pmoves/") {
        Some(format!(
            "path {path:?} is in the directory that the provider keeps for itself"
        ))
    } else {
        None
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}

fn manifest_of(stack: &Stack, files: &[File<'_>]) -> Manifest {
    let entry = |file: &File<'_>| Entry {
        sha256: manifest::sha256(&file.content),
        mode: format!("{:04o}", file.mode),
    };
    let files = files
        .iter()
        .map(|file| (file.path.clone(), entry(file)))
        .collect();
    Manifest {
        project: stack.project.clone(),
        files,
    }
}

/// The generated Compose file: labels and the place of each secret. JSON is YAML.
fn override_text(stack: &Stack) -> Option<String> {
    let mut document = BTreeMap::<_, BTreeMap<_, _>>::new();
    for (service, value) in &stack.input_labels {
        let labels: Value = json!({ "labels": { inputs::LABEL: value } });
        document
            .entry("services")
            .or_default()
            .insert(service.as_str(), labels);
    }
    for name in stack.secrets.keys() {
        let path = format!("{}/{SECRETS}{name}", stack.directory.trim_end_matches('/'));
        let file = json!({ "file": path.replace('$', "$$") });
        document.entry("secrets").or_default().insert(name, file);
    }
    let text = || serde_json::to_string_pretty(&document).expect("maps of text serialise");
    (!document.is_empty()).then(text)
}

/// First writes all contents beside, then moves them into place: a full disk or a cut script
/// leaves the old files as they are. While files are moved the manifest lists the old and the new.
fn script(
    stack: &Stack,
    files: &[File<'_>],
    manifest: &Manifest,
    prior: Option<&Manifest>,
) -> String {
    let old = prior.map(|prior| prior.files.clone()).unwrap_or_default();
    let mut both = manifest.clone();
    both.files.extend(
        old.iter()
            .filter(|(path, _)| !manifest.files.contains_key(*path))
            .map(|(path, entry)| (path.clone(), entry.clone())),
    );
    let mut script = format!("{START}{FUNCTIONS}enter {}\n", quote(&stack.directory));
    script.push_str("rm -rf .pmoves/new\nmkdir .pmoves/new\n");
    for (index, content) in files.iter().map(|file| &file.content).enumerate() {
        stage(&mut script, &index.to_string(), content);
    }
    stage(&mut script, "both", &both.to_json());
    stage(&mut script, "manifest", &manifest.to_json());
    let _ = writeln!(script, "mv -fT .pmoves/new/both {}", manifest::PATH);
    for path in old
        .keys()
        .filter(|path| !manifest.files.contains_key(*path))
    {
        let _ = writeln!(script, "discard {}", quote(path));
    }
    for (
        index,
        File {
            path,
            mode,
            owner: (uid, gid),
            ..
        },
    ) in files.iter().enumerate()
    {
        let same = old
            .get(path)
            .is_some_and(|old| old.sha256 == manifest.files[path].sha256);
        let how = if same { "heal" } else { "move" };
        let _ = writeln!(
            script,
            "place {index} {mode:04o} {uid}:{gid} {how} {}",
            quote(path)
        );
    }
    let _ = writeln!(script, "mv -fT .pmoves/new/manifest {}", manifest::PATH);
    script.push_str("rm -rf .pmoves/new\n");
    script
}

fn stage(script: &mut String, name: &str, content: &[u8]) {
    let _ = writeln!(
        script,
        "base64 -d >.pmoves/new/{name} <<'.'\n{}\n.",
        encode(content)
    );
}

/// `beside` refuses a directory that is a link to elsewhere: a container that may write into the
/// project directory could otherwise choose where root writes.
///
/// `place` leaves alone what is the same. `heal` is for content that was shipped before and was
/// edited on the guest since: it goes into the same file, for a container that has just that file
/// mounted sees nothing else, and would keep the edit.
pub(super) const FUNCTIONS: &str = r#"set -e
enter() {
  cd -- "$1"
  root=$(pwd -P)
}
beside() {
  case $1 in
  */*) dir=$root/${1%/*} ;;
  *) dir=$root ;;
  esac
  if [ "$(realpath -m -- "$dir")" != "$dir" ]; then
    echo "$1: a directory on the way is a link" >&2
    exit 1
  fi
}
place() {
  new=$root/.pmoves/new/$1
  file=$root/$5
  beside "$5"
  (umask 022; mkdir -p -- "$dir")
  if [ -f "$file" ] && [ ! -L "$file" ] && { [ "$4" = heal ] || cmp -s "$new" "$file"; }; then
    chown "$3" "$file"
    chmod "$2" "$file"
    cmp -s "$new" "$file" || cat "$new" >"$file"
  else
    chown "$3" "$new"
    chmod "$2" "$new"
    mv -fT "$new" "$file"
  fi
}
discard() {
  beside "$1"
  rm -f -- "$root/$1"
  while [ "$dir" != "$root" ] && rmdir -- "$dir" 2>/dev/null; do dir=${dir%/*}; done
}
"#;
