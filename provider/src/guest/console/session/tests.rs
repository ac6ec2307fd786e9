use std::process::Stdio;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};

use super::*;

/// A shell on a terminal of this machine, as a container's is.
struct Local {
    child: Child,
    /// Bytes to drop before the next are typed, as a bad line might.
    swallow: usize,
}

impl Local {
    fn start(shell: &str) -> Self {
        let child = Command::new("script")
            .args(["-qfec", shell, "/dev/null"])
            .env("PS1", "root@con1:/# ")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("script(1) gives a terminal: apt-get install bsdutils");
        Self { child, swallow: 0 }
    }
}

impl Wire for Local {
    async fn send(&mut self, bytes: &[u8]) -> pve::Result<()> {
        let lost = self.swallow.min(bytes.len());
        self.swallow -= lost;
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(&bytes[lost..]).await.unwrap();
        input.flush().await.unwrap();
        Ok(())
    }

    async fn receive(&mut self) -> pve::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; 4096];
        let output = self.child.stdout.as_mut().unwrap();
        let length = output.read(&mut bytes).await.unwrap();
        bytes.truncate(length);
        Ok((length > 0).then_some(bytes))
    }
}

async fn open(shell: &str) -> Session<Local> {
    match Session::open(Local::start(shell)).await.unwrap() {
        Opened::Ready(session) => session,
        Opened::Busy => panic!("it is busy"),
        Opened::No(why) => panic!("the console {why}"),
    }
}

#[tokio::test]
async fn commands_run_one_after_the_other_with_exact_results() {
    for shell in ["bash --norc -i", "dash -i"] {
        let mut session = open(shell).await;
        for (script, code, stdout, stderr) in [
            ("echo hello; echo oops >&2; exit 7", 7, "hello\n", "oops\n"),
            ("", 0, "", ""),
            ("cat; tty; stat -c %a $0", 0, "not a tty\n600\n", ""),
            ("printf '\\036 x \\036'", 0, "\u{1e} x \u{1e}", ""),
        ] {
            let output = session.run(script).await.unwrap();
            let seen = (output.code, &*output.stdout, &*output.stderr);
            assert_eq!(seen, (code, stdout, stderr), "{script}");
        }
        assert_eq!(session.run("kill -9 $$").await.unwrap().code, 137);
        session.quit().await;
    }
}

#[tokio::test]
async fn a_megabyte_passes_in_both_directions() {
    let mut session = open("dash -i").await;
    let text = "0123456789abcdef\n".repeat(1 << 16);
    let script = format!("cat <<'END'\n{text}END\n");
    let output = session.run(&script).await.unwrap();
    assert_eq!((output.code, output.stdout == text), (0, true));
}

#[tokio::test]
async fn a_damaged_command_is_not_run() {
    let mut session = open("dash -i").await;
    let marker = tempfile::NamedTempFile::new().unwrap();
    let script = format!("echo ran > {}", marker.path().display());
    // The last bytes are another's, as if somebody had typed into it.
    let payload = BASE64_STANDARD.encode(&script);
    let header = format!("{} {} {}\n", session.nonce, payload.len(), sha256(&payload));
    let damaged = [header.as_bytes(), &payload.as_bytes()[4..], b"ls\n\n"].concat();
    session.wire.send(&damaged).await.unwrap();
    assert_eq!(session.message().await.unwrap(), Word::Bad);
    assert_eq!(std::fs::read_to_string(marker.path()).unwrap(), "");
}

#[tokio::test]
async fn a_header_that_was_cut_starts_nothing() {
    let mut session = open("dash -i").await;
    session.wire.swallow = 4;
    let trouble = session.run("echo ran").await.unwrap_err();
    assert!(matches!(trouble, Trouble::NotStarted(_)), "{trouble:?}");
}

#[tokio::test]
async fn who_comes_second_is_told_so_and_disturbs_nobody() {
    let mut session = open("dash -i").await;
    session
        .wire
        .send(line("fedcba9876543210").as_bytes())
        .await
        .unwrap();
    assert_eq!(session.message().await.unwrap(), Word::Busy);
    session
        .wire
        .send(line("fedcba9876543210").as_bytes())
        .await
        .unwrap();
    let output = session.run("echo on").await.unwrap();
    assert_eq!(output.stdout, "on\n");
}

#[tokio::test]
async fn a_shell_that_ends_is_lost_once_the_command_runs() {
    let mut session = open("dash -i").await;
    let trouble = session.run("kill -HUP $PPID").await.unwrap_err();
    assert!(matches!(trouble, Trouble::Lost(_)), "{trouble:?}");
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let wire = Local::start("echo Failed to get init pid");
    let Ok(Opened::No(said)) = Session::open(wire).await else {
        panic!("there is no shell");
    };
    assert_eq!(said, "ended: Failed to get init pid");
}

#[test]
fn the_line_is_shell_and_fits_into_a_terminal() {
    let typed = line("0123456789abcdef");
    crate::guest::sh::check(&typed);
    crate::guest::sh::check(LOOP);
    // The kernel cuts a longer line off.
    assert!(typed.len() < 4096 && typed.is_ascii(), "{typed}");
    assert_eq!(typed.matches('\n').count(), 1);
}
