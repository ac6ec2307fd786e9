//! What the tests of scripts have in common: a shell that reads them without running them.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// Panics unless `sh` accepts the script.
#[track_caller]
pub(super) fn check(script: &str) {
    let mut child = Command::new("sh")
        .arg("-n")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("there is a shell");
    child
        .stdin
        .take()
        .expect("it is piped")
        .write_all(script.as_bytes())
        .expect("the shell reads");
    let output = child.wait_with_output().expect("the shell ends");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
