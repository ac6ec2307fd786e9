//! Guests for tests: this machine's shell with commands of our own, and one that only answers.
//!
//! Needs neither Docker nor systemd nor root.

use std::collections::VecDeque;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;

use super::Pause;
use crate::guest::{self, Guest, Output};

/// Runs scripts for real; `docker` and what needs root or systemd are stubs that write down how
/// they were called.
pub(super) struct Shell {
    directory: TempDir,
}

impl Shell {
    /// `docker` is the text of a script that stands in for Docker.
    pub(super) fn new(docker: &str) -> Self {
        let shell = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(shell.path("bin")).unwrap();
        shell.stub("docker", docker);
        shell.stub("chown", "");
        shell.stub("systemctl", "[ \"$1\" != is-active ]");
        let skip = "while [ \"${1#--}\" != \"$1\" ]; do shift; done";
        shell.stub("systemd-run", &format!("{skip}\n\"$@\"\nexit 0"));
        shell
    }

    /// Puts a script in the place of a command.
    pub(super) fn stub(&self, name: &str, text: &str) {
        let (path, log) = (self.path("bin").join(name), self.path("calls"));
        let text = format!(
            "#!/bin/sh\necho \"{name} $*\" >>{}\n{text}\n",
            log.display()
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// Path of the project directory.
    pub(super) fn project(&self) -> String {
        self.path("project").to_str().unwrap().to_owned()
    }

    /// Calls of the stubs since the last look, with the temporary directory as `DIR`.
    pub(super) fn calls(&self, of: &str) -> String {
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.path("calls"));
        let directory = self.directory.path().to_str().unwrap();
        let own = text.lines().filter(|line| line.starts_with(of));
        own.map(|line| line.replace(directory, "DIR") + "\n")
            .collect()
    }

    /// Files below the project directory with their modes, sorted.
    pub(super) fn tree(&self) -> String {
        let root = self.path("project");
        let mut lines = Vec::new();
        walk(&root, &root, &mut lines);
        lines.sort();
        lines.concat()
    }
}

fn walk(root: &Path, directory: &Path, lines: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let mode = metadata.permissions().mode() & 0o7777;
        let name = path.strip_prefix(root).unwrap().display();
        let slash = if metadata.is_dir() { "/" } else { "" };
        lines.push(format!("{name}{slash} {mode:o}\n"));
        if metadata.is_dir() {
            walk(root, &path, lines);
        }
    }
}

impl Guest for Shell {
    async fn run(&self, script: &str) -> guest::Result<Output> {
        let register = self.path("register");
        let script = &script.replace(super::manifest::REGISTER, register.to_str().unwrap());
        check_syntax(script);
        let path = format!("{}:{}", self.path("bin").display(), env!("PATH"));
        let mut shell = Command::new("/bin/sh");
        shell
            .env("PATH", path)
            .env("COMPOSE_FILE", "none")
            .env("COMPOSE_PROFILES", "all");
        let (code, stdout, stderr) = feed(&mut shell, script);
        Ok(Output {
            code,
            stdout,
            stderr,
            truncated: false,
        })
    }
}

/// Fails unless the shell can parse the script.
#[track_caller]
pub(super) fn check_syntax(script: &str) {
    let (code, _, stderr) = feed(Command::new("/bin/sh").arg("-n"), script);
    assert_eq!((code, stderr.as_str()), (0, ""), "{script}");
}

fn feed(command: &mut Command, input: &str) -> (i64, String, String) {
    let pipes = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // A script that ends early does not read the rest.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).is_ok());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or(-1);
    (i64::from(code), text(output.stdout), text(output.stderr))
}

/// Gives prepared answers, one a script, and keeps the scripts.
#[derive(Default)]
pub(super) struct Answers {
    left: Mutex<VecDeque<String>>,
    pub(super) asked: Mutex<Vec<String>>,
}

impl Answers {
    pub(super) fn new<const N: usize>(answers: [&str; N]) -> Self {
        let left = Mutex::new(answers.map(str::to_owned).into());
        Self {
            left,
            ..Self::default()
        }
    }
}

impl Guest for Answers {
    async fn run(&self, script: &str) -> guest::Result<Output> {
        check_syntax(script);
        self.asked.lock().unwrap().push(script.to_owned());
        let stdout = self
            .left
            .lock()
            .unwrap()
            .pop_front()
            .expect("no more answers");
        Ok(Output {
            stdout,
            ..Output::default()
        })
    }
}

/// Lets the time of the runtime pass, which tests pause.
pub(super) struct Sleep;

impl Pause for Sleep {
    #[expect(
        clippy::disallowed_methods,
        reason = "the time of the runtime, which tests pause"
    )]
    async fn pause(&self, time: Duration) -> guest::Result<()> {
        tokio::time::sleep(time).await;
        Ok(())
    }
}
