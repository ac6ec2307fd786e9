//! What stories of SSH share.

use acceptance_tests::{guests::sshd::Sshd, tofu::Workspace};

use crate::scene::configure;

/// The provider, with its `ssh`.
pub(crate) fn provider(ws: &Workspace, ssh: &str) {
    configure(ws, &format!("ssh = {{ {ssh} }}"));
}

/// How the sshd's key is given.
pub(crate) fn key(sshd: &Sshd) -> String {
    format!("private_key = file(\"{}\")", sshd.private_key().display())
}

/// The line that makes the sshd known.
pub(crate) fn known(sshd: &Sshd) -> String {
    format!("[127.0.0.1]:{} {}", sshd.address().port(), sshd.host_key())
}

/// How SSH gets to the sshd.
pub(crate) fn way(sshd: &Sshd) -> String {
    format!(
        r#"{{ host = "127.0.0.1", port = {} }}"#,
        sshd.address().port()
    )
}
