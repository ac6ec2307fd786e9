//! A shell on a terminal that runs commands one after the other and says exactly how they ended.
//!
//! Knows no API: bytes go in and out of a [`Wire`].

use std::time::Duration;

use aws_lc_rs::rand;
use base64::{Engine, prelude::BASE64_STANDARD};
use tokio::time::{Instant, timeout};

use super::screen::{NONCE, Screen, Word};
use crate::{
    guest::{Output, hex, sha256},
    pve,
};

/// What the terminal's shell is turned into. It ends by itself after 5 s without a byte, so that nothing stays
/// behind when a connection is cut.
const LOOP: &str = include_str!("loop.sh");
/// How long the loop is sure to wait for the next command.
const ALIVE: Duration = Duration::from_secs(4);
/// A shell that has printed nothing for so long has printed its prompt.
const QUIET: Duration = Duration::from_millis(250);
/// How long anything that is no command may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A terminal.
pub(super) trait Wire: Send {
    /// Types bytes.
    fn send(&mut self, bytes: &[u8]) -> impl Future<Output = pve::Result<()>> + Send;
    /// What appears next; `None` at its end. May be given up at any time.
    fn receive(&mut self) -> impl Future<Output = pve::Result<Option<Vec<u8>>>> + Send;
}

/// A terminal whose shell runs the loop.
#[derive(Debug)]
pub(super) struct Session<W> {
    wire: W,
    screen: Screen,
    nonce: String,
    used: Instant,
}

/// What came of the attempt to open a session.
pub(super) enum Opened<W> {
    Ready(Session<W>),
    /// Somebody else's loop runs there.
    Busy,
    /// It showed nothing that was expected; the reason follows "the console".
    No(String),
}

/// Why a command has no result.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It was not started.
    NotStarted(String),
    /// It was started, and its end is not known.
    Lost(String),
    Wire(pve::Error),
}

impl<W: Wire> Session<W> {
    /// Makes the shell that `wire` shows run the loop. No secret is typed, for others may be watching.
    pub(super) async fn open(mut wire: W) -> pve::Result<Opened<W>> {
        let mut screen = Screen::default();
        let mut patience = PATIENCE;
        while let Ok(shown) = timeout(patience, wire.receive()).await {
            match shown? {
                Some(bytes) => screen.show(&bytes),
                None => return Ok(Opened::No(ended(&screen))),
            }
            patience = QUIET;
        }
        let nonce = nonce();
        wire.send(line(&nonce).as_bytes()).await?;
        let mut session = Self {
            wire,
            screen,
            nonce,
            used: Instant::now(),
        };
        Ok(match timeout(PATIENCE, session.message()).await {
            Ok(Ok(Word::Ready)) => Opened::Ready(session),
            Ok(Ok(Word::Busy)) => Opened::Busy,
            Ok(Ok(_)) => Opened::No("does not keep to the order of messages".to_owned()),
            Ok(Err(Trouble::Wire(error))) => return Err(error),
            Ok(Err(_)) => Opened::No(ended(&session.screen)),
            Err(_) => Opened::No(
                "shows no root shell that listens; is it open elsewhere, such as in the web interface?"
                    .to_owned(),
            ),
        })
    }

    /// Whether the loop is sure to be there.
    pub(super) fn is_alive(&self) -> bool {
        self.used.elapsed() < ALIVE
    }

    /// Runs a script and waits for its end.
    pub(super) async fn run(&mut self, script: &str) -> Result<Output, Trouble> {
        let payload = BASE64_STANDARD.encode(script);
        let header = format!("{} {} {}\n", self.nonce, payload.len(), sha256(&payload));
        let command = [header.as_bytes(), payload.as_bytes()].concat();
        self.wire.send(&command).await.map_err(Trouble::Wire)?;
        loop {
            match timeout(PATIENCE, self.message()).await {
                Ok(Ok(Word::Got)) => break,
                // Somebody else typed; that was refused.
                Ok(Ok(Word::Busy)) => {}
                Ok(Ok(word)) => return Err(Trouble::NotStarted(format!("answers {word:?}"))),
                Ok(Err(Trouble::Wire(error))) => {
                    return Err(Trouble::NotStarted(error.to_string()));
                }
                Ok(Err(_)) => return Err(Trouble::NotStarted(ended(&self.screen))),
                Err(_) => return Err(Trouble::NotStarted("takes no command".to_owned())),
            }
        }
        loop {
            if let Word::Done(output) = self.message().await? {
                self.used = Instant::now();
                let damaged = || Trouble::Lost("damaged the answer on the way".to_owned());
                return output.ok_or_else(damaged);
            }
        }
    }

    /// Ends the shell, so that nobody else finds it.
    pub(super) async fn quit(mut self) {
        let farewell = async {
            self.wire.send(b"q\n").await?;
            while let Some(bytes) = self.wire.receive().await? {
                if bytes.windows(4).any(|four| four == b"[EOF") {
                    break;
                }
            }
            Ok::<_, pve::Error>(())
        };
        // Whatever happens, it ends by itself a few seconds later.
        let _ = timeout(Duration::from_secs(1), farewell).await;
    }

    /// The next message to us, or that the terminal is somebody else's.
    async fn message(&mut self) -> Result<Word, Trouble> {
        loop {
            while let Some(message) = self.screen.next() {
                if message.nonce == self.nonce || message.word == Word::Busy {
                    return Ok(message.word);
                }
            }
            match self.wire.receive().await.map_err(Trouble::Wire)? {
                Some(bytes) => self.screen.show(&bytes),
                None => return Err(Trouble::Lost(ended(&self.screen))),
            }
        }
    }
}

/// What is typed: the loop as one line, which leaves no trace in the history of the shell.
fn line(nonce: &str) -> String {
    let mut text = String::new();
    for line in LOOP.lines() {
        let joint = match line {
            _ if text.is_empty() => "",
            _ if text.ends_with([';', '{']) || text.ends_with(" in") || text.ends_with(" do") => {
                " "
            }
            _ => "; ",
        };
        text += joint;
        text += line;
    }
    format!(" unset HISTFILE; exec /bin/sh -c '{text}' {nonce}\n")
}

fn nonce() -> String {
    let mut bytes = [0; NONCE / 2];
    rand::fill(&mut bytes).expect("the system has random numbers");
    hex(&bytes)
}

fn ended(screen: &Screen) -> String {
    match screen.last_line() {
        Some(said) => format!("ended: {said}"),
        None => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests;
