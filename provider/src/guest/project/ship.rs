//! Writes the files of a stack: all of them or none, and nobody else's.
//!
//! Does not start anything.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::manifest::{self, Entry, Manifest, PATH, REGISTER, SUMS};
use super::shell::{START, encode, run};
use super::{PRIVATE, Result, Stack, inputs};
use crate::guest::{self, Guest, quote};

pub(super) const ENV: &str = ".env";
pub(crate) const ENV_SECRET: &str = ".pmoves/env";
pub(super) const OVERRIDE: &str = ".pmoves/override.yaml";
pub(crate) const SECRETS: &str = ".pmoves/secrets/";

/// Writes the files of the stack and removes those that the last apply wrote and that are not
/// wanted any more. `prior` is that of [`manifest::prepare`], which must have run before.
pub async fn ship(guest: &impl Guest, stack: &Stack, prior: Option<&Manifest>) -> Result<Manifest> {
    if let Some(other) = prior.filter(|prior| prior.project != stack.project) {
        let (directory, other) = (&stack.directory, &other.project);
        return Err(refused(format!(
            "{directory} is the directory of project {other:?}"
        )));
    }
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

/// Everything that is written but the manifest.
fn files(stack: &Stack) -> Result<Vec<File<'_>>> {
    let Stack {
        project, directory, ..
    } = stack;
    if !is_project(project) {
        return Err(refused(format!(
            "{project:?} cannot be the name of a project"
        )));
    }
    if !directory.strip_prefix('/').is_some_and(is_plain) {
        return Err(refused(format!(
            "{directory:?} is not a plain absolute path"
        )));
    }
    if let Some(name) = stack.secrets.keys().find(|name| !is_file_name(name)) {
        return Err(refused(format!(
            "secret name {name:?} cannot be a file name"
        )));
    }
    let texts = stack
        .compose_files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_bytes()));
    let shipped = stack
        .files
        .iter()
        .map(|(path, content)| (path.as_str(), content.as_slice()));
    let public = texts.chain(shipped).map(|(path, content)| {
        let mode = if content.starts_with(b"#!") {
            0o755
        } else {
            0o644
        };
        File::new(path, content, mode)
    });
    let env = stack
        .env
        .iter()
        .map(|text| File::new(ENV, text.as_bytes(), 0o600));
    let mut files: Vec<_> = public.chain(env).collect();
    let outside = |file: &&File<'_>| !is_plain(&file.path) || file.path.starts_with(PRIVATE);
    if let Some(file) = files.iter().find(outside) {
        let path = &file.path;
        return Err(refused(format!(
            "{path:?} is not a path that files of a stack can have"
        )));
    }
    files.extend(
        stack
            .env_secret
            .iter()
            .map(|text| File::new(ENV_SECRET, text.expose(), 0o600)),
    );
    files.extend(stack.secrets.iter().map(|(name, secret)| File {
        owner: (secret.uid, secret.gid),
        ..File::new(
            &format!("{SECRETS}{name}"),
            secret.content.expose(),
            secret.mode & 0o7777,
        )
    }));
    if let Some(text) = override_text(stack) {
        files.push(File {
            content: text.into_bytes().into(),
            ..File::new(OVERRIDE, b"", 0o600)
        });
    }
    let mut paths = BTreeSet::new();
    if let Some(twice) = files.iter().find(|file| !paths.insert(file.path.as_str())) {
        return Err(refused(format!("two files are named {:?}", twice.path)));
    }
    let is_directory = |path: &&&str| {
        let inside = format!("{path}/");
        let next = paths.range(inside.as_str()..).next();
        next.is_some_and(|next| next.starts_with(&inside))
    };
    if let Some(path) = paths.iter().find(is_directory) {
        return Err(refused(format!("{path:?} is both a file and a directory")));
    }
    Ok(files)
}

impl<'a> File<'a> {
    fn new(path: &str, content: &'a [u8], mode: u32) -> Self {
        Self {
            path: path.to_owned(),
            content: content.into(),
            mode,
            owner: (0, 0),
        }
    }
}

fn refused(why: String) -> super::Error {
    guest::Error::Refused(why).into()
}

/// Whether a path stays below where it starts, and is written one way only.
fn is_plain(path: &str) -> bool {
    !path.split('/').any(|part| matches!(part, "" | "." | ".."))
        && !path.chars().any(char::is_control)
}

fn is_project(name: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    !name.is_empty() && !name.starts_with(['_', '-']) && name.chars().all(word)
}

fn is_file_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(word)
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
        compose_files: stack
            .compose_files
            .iter()
            .map(|(path, _)| path.clone())
            .collect(),
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
    both.files = old.clone();
    both.files.extend(manifest.files.clone());
    let mut script = format!("{START}{FUNCTIONS}enter {}\n", quote(&stack.directory));
    script.push_str("rm -rf .pmoves/new\nmkdir .pmoves/new\n");
    for (index, content) in files.iter().map(|file| &file.content).enumerate() {
        stage(&mut script, &index.to_string(), content);
    }
    stage(&mut script, "both", &both.to_json());
    stage(&mut script, "manifest", &manifest.to_json());
    stage(&mut script, "sums", manifest.sums().as_bytes());
    let _ = writeln!(script, "mv -fT .pmoves/new/both {PATH}");
    let wanted = |path: &&String| manifest.files.contains_key(*path);
    for path in old.keys().filter(|path| !wanted(path)) {
        let _ = writeln!(script, "discard {}", quote(path));
    }
    for (index, file) in files.iter().enumerate() {
        let (path, mode, (uid, gid)) = (&file.path, file.mode, file.owner);
        let sha256 = &manifest.files[path].sha256;
        let same = old.get(path).is_some_and(|old| old.sha256 == *sha256);
        let how = if same { "heal" } else { "move" };
        let path = quote(path);
        let _ = writeln!(script, "place {index} {mode:04o} {uid}:{gid} {how} {path}");
    }
    let register = format!("{REGISTER}/{}", stack.project);
    let directory = quote(&stack.directory);
    let _ = write!(
        script,
        "mv -fT .pmoves/new/sums {SUMS}\n\
         mv -fT .pmoves/new/manifest {PATH}\n\
         rm -rf .pmoves/new\n\
         mkdir -p {REGISTER}\n\
         printf '%s\\n' {directory} >{register}.new\n\
         mv -fT {register}.new {register}\n"
    );
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
  case $5 in
  .pmoves/*) mkdir -p -- "$dir" ;;
  *) (umask 022; mkdir -p -- "$dir") ;;
  esac
  if [ -f "$file" ] && [ ! -L "$file" ] && { [ "$4" = heal ] || cmp -s "$new" "$file"; }; then
    chown "$3" "$file"
    chmod "$2" "$file"
    cmp -s "$new" "$file" || cat "$new" >"$file"
  else
    # Docker makes a directory where a mounted file is missing.
    if [ -d "$file" ] && [ ! -L "$file" ]; then rmdir -- "$file"; fi
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

#[cfg(test)]
mod tests;
