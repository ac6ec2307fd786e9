//! The terminal of a container: PVE's `termproxy` behind a websocket.
//!
//! Carries bytes; what is typed and what the answer means is the caller's affair.

use std::time::Duration;

use aws_lc_rs::{digest, rand};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::{SinkExt, StreamExt};
use reqwest::{
    Upgraded,
    header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, UPGRADE},
};
use serde::Deserialize;
use tokio_websockets::{ClientBuilder, Message, WebSocketStream};

use super::{Call, Error, Params, Pve, Result, error::Cause, lenient};

/// How long PVE may take to connect or to accept the ticket. It never answers for a port that is dead.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// Bytes of one message. termproxy reads 4096 at a time and loses a header that is cut in two; pveproxy
/// drops messages beyond 128 KiB.
const PIECE: usize = 4000;
/// Appended to the key of a handshake (RFC 6455, section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A terminal that is connected and logged in.
#[derive(Debug)]
pub struct Terminal {
    socket: WebSocketStream<Upgraded>,
    what: String,
}

#[derive(Deserialize)]
struct Granted {
    user: String,
    ticket: String,
    #[serde(deserialize_with = "lenient::must")]
    port: u16,
}

impl Pve {
    /// Connects to the terminal of a running container. One client at a time: it is the same terminal for all.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for a token on PVE before 9.2; [`Error::Broken`] if the terminal does not answer.
    pub async fn terminal(&self, node: &str, vmid: u32) -> Result<Terminal> {
        let base = format!("/nodes/{node}/lxc/{vmid}");
        let open = Call::post(format!("{base}/termproxy"), Params::new()).agent_slot();
        let Granted { user, ticket, port } = self.get(&open).await?;
        let params = Params::new()
            .with("port", Some(port))
            .secret("vncticket", Some(&ticket));
        let call = Call::get(format!("{base}/vncwebsocket"), params);
        let what = call.name();
        let socket = self
            .scope
            .race(&what, Box::pin(self.websocket(&call)))
            .await??;
        let mut terminal = Terminal {
            socket,
            what: what.clone(),
        };
        let log_in = tokio::time::timeout(HANDSHAKE, terminal.log_in(&user, &ticket));
        match self.scope.race(&what, log_in).await? {
            Ok(done) => done?,
            Err(late) => return Err(terminal.broken(late)),
        }
        Ok(terminal)
    }

    async fn websocket(&self, call: &Call) -> Result<WebSocketStream<Upgraded>> {
        let (mut headers, _) = self.inner.auth.headers(self, call).await?;
        let key = key();
        let key_value = HeaderValue::from_str(&key).expect("base64 is visible");
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(
            HeaderName::from_static("sec-websocket-version"),
            HeaderValue::from_static("13"),
        );
        headers.insert(HeaderName::from_static("sec-websocket-key"), key_value);
        let transport = &self.inner.transport;
        let (stream, answer) = transport.upgrade(call, headers, HANDSHAKE).await?;
        if !accepts(&answer, &key) {
            return Err(Error::unexpected(call.name(), "it is not a websocket"));
        }
        Ok(ClientBuilder::new().take_over(stream))
    }
}

impl Terminal {
    /// Types bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(PIECE) {
            let frame = [format!("0:{}:", piece.len()).as_bytes(), piece].concat();
            let sent = self.socket.feed(Message::binary(frame)).await;
            sent.map_err(|error| self.broken(error))?;
        }
        let flushed = self.socket.flush().await;
        flushed.map_err(|error| self.broken(error))
    }

    /// What appears next; `None` when the terminal has ended. May be given up at any time.
    pub async fn receive(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            match self.socket.next().await {
                Some(Ok(message)) if message.is_text() || message.is_binary() => {
                    return Ok(Some(message.as_payload().to_vec()));
                }
                Some(Ok(message)) if message.is_close() => return Ok(None),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(self.broken(error)),
                None => return Ok(None),
            }
        }
    }

    async fn log_in(&mut self, user: &str, ticket: &str) -> Result<()> {
        let line = format!("{user}:{ticket}\n");
        let sent = self.socket.send(Message::binary(line)).await;
        sent.map_err(|error| self.broken(error))?;
        let mut answer = Vec::new();
        while answer.len() < 2 {
            match self.receive().await? {
                Some(more) => answer.extend(more),
                None => return Err(self.broken("it closed instead of accepting the ticket")),
            }
        }
        match answer.starts_with(b"OK") {
            true => Ok(()),
            false => Err(self.broken("it does not accept the ticket")),
        }
    }

    fn broken(&self, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Broken {
            call: self.what.clone(),
            source: Cause::from(why.into()),
        }
    }
}

fn key() -> String {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).expect("the system has random numbers");
    BASE64_STANDARD.encode(bytes)
}

/// Whether the server speaks websocket and has read the key.
fn accepts(answer: &HeaderMap, key: &str) -> bool {
    let sum = digest::digest(
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{GUID}").as_bytes(),
    );
    let accept = answer.get("sec-websocket-accept");
    accept.is_some_and(|value| value.as_bytes() == BASE64_STANDARD.encode(sum).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_key_is_checked() {
        // The example of RFC 6455, section 1.3.
        let mut answer = HeaderMap::new();
        assert!(!accepts(&answer, "dGhlIHNhbXBsZSBub25jZQ=="));
        let value = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        answer.insert("sec-websocket-accept", value);
        assert!(accepts(&answer, "dGhlIHNhbXBsZSBub25jZQ=="));
    }
}
