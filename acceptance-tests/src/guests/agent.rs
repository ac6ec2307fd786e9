//! The guest agent's channel: one JSON command a line over a unix socket, one client at a time.
//!
//! Does not know what the commands mean.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::simulator::machine::AgentError;

/// How long a connection may take to be in step with the agent.
const SYNC: Duration = Duration::from_secs(3);
/// How long a command may take; PVE's own limit for most of them.
const REPLY: Duration = Duration::from_secs(10);

/// A guest's agent. Commands wait for each other: the agent serves one client and answers in order.
#[derive(Debug)]
pub(crate) struct Agent {
    socket: PathBuf,
    connection: Mutex<Option<BufReader<UnixStream>>>,
}

impl Agent {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            connection: Mutex::new(None),
        }
    }

    /// Sends one command and waits for its `return` value.
    pub(crate) async fn call(&self, request: &Value) -> Result<Value, AgentError> {
        let mut held = self.connection.lock().await;
        // Taken out, so that a call which is given up halfway leaves no connection with a late answer in it.
        let mut connection = match held.take() {
            Some(connection) if is_open(connection.get_ref()) => connection,
            _ => timeout(SYNC, self.connect())
                .await
                .ok()
                .flatten()
                .ok_or(AgentError::Silent)?,
        };
        let answer = timeout(REPLY, exchange(&mut connection, request))
            .await
            .ok()
            .flatten()
            .ok_or(AgentError::Silent)?;
        *held = Some(connection);
        match answer.get("error") {
            None => Ok(answer.get("return").cloned().unwrap_or(Value::Null)),
            Some(error) => Err(AgentError::Refused {
                class: error["class"].as_str().unwrap_or("GenericError").to_owned(),
                desc: error["desc"].as_str().unwrap_or_default().to_owned(),
            }),
        }
    }

    /// Sends a command that has no answer, such as `guest-shutdown`.
    pub(crate) async fn send(&self, request: &Value) -> Result<(), AgentError> {
        let mut held = self.connection.lock().await;
        let mut connection = match held.take() {
            Some(connection) if is_open(connection.get_ref()) => connection,
            _ => timeout(SYNC, self.connect())
                .await
                .ok()
                .flatten()
                .ok_or(AgentError::Silent)?,
        };
        write(&mut connection, request)
            .await
            .ok_or(AgentError::Silent)?;
        *held = Some(connection);
        Ok(())
    }

    /// Connects, and skips what the agent may still have to say to an earlier client.
    async fn connect(&self) -> Option<BufReader<UnixStream>> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut connection = BufReader::new(UnixStream::connect(&self.socket).await.ok()?);
        // The first byte resets the agent's parser (QEMU guest agent protocol, guest-sync-delimited).
        connection.get_mut().write_all(b"\xff").await.ok()?;
        write(
            &mut connection,
            &json!({"execute": "guest-sync-delimited", "arguments": {"id": id}}),
        )
        .await?;
        loop {
            let mut skipped = Vec::new();
            connection
                .read_until(0xff, &mut skipped)
                .await
                .ok()
                .filter(|&read| read > 0)?;
            if read(&mut connection).await?["return"] == id {
                return Some(connection);
            }
        }
    }
}

/// Whether the other end is still there; it goes when the agent restarts.
fn is_open(stream: &UnixStream) -> bool {
    matches!(stream.try_read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

async fn exchange(connection: &mut BufReader<UnixStream>, request: &Value) -> Option<Value> {
    write(connection, request).await?;
    read(connection).await
}

async fn write(connection: &mut BufReader<UnixStream>, request: &Value) -> Option<()> {
    connection
        .get_mut()
        .write_all(format!("{request}\n").as_bytes())
        .await
        .ok()
}

async fn read(connection: &mut BufReader<UnixStream>) -> Option<Value> {
    let mut line = Vec::new();
    connection
        .read_until(b'\n', &mut line)
        .await
        .ok()
        .filter(|&read| read > 0)?;
    serde_json::from_slice(&line).ok()
}
