//! A program on a terminal of its own, as the console of a container.

use pty_process::{Command, OwnedReadPty, OwnedWritePty, Size};

use crate::simulator::container::Keyboard;

/// The rows and columns of a terminal until somebody sets others.
const SIZE: (u16, u16) = (20, 80);

impl Keyboard for OwnedWritePty {
    fn resize(&self, columns: u16, rows: u16) {
        // A terminal that is gone has no size.
        OwnedWritePty::resize(self, Size::new(rows, columns)).ok();
    }
}

/// Starts `command` on a new terminal. It is hung up when both ends are dropped.
pub(super) fn open(command: &[String]) -> Result<(OwnedReadPty, OwnedWritePty), String> {
    let failed = |error: pty_process::Error| format!("cannot open a terminal: {error}");
    let (pty, pts) = pty_process::open().map_err(failed)?;
    pty.resize(Size::new(SIZE.0, SIZE.1)).map_err(failed)?;
    let (program, args) = command.split_first().ok_or("no command")?;
    let command = Command::new(program).args(args).env_clear();
    let path = "/usr/sbin:/usr/bin:/sbin:/bin";
    let mut child = command.env("PATH", path).spawn(pts).map_err(failed)?;
    // Its end shows on the terminal.
    tokio::spawn(async move { child.wait().await });
    Ok(pty.into_split())
}
