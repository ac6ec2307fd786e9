//! The task between a client and the terminal: waits for the client, has it log in, carries bytes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::sync::oneshot;
use tokio_websockets::Message;

use super::Socket;
use super::frames::{Input, Reader};
use super::session::{Session, Shown};
use crate::simulator::lxc::spec::console_mode;
use crate::simulator::tasks::Worker;

/// How long a client may take to connect, and again to log in.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a connection stays open after what ran on the terminal has ended.
const LINGERS: Duration = Duration::from_secs(3);

/// Clears the screen of who joins.
const CLEAR: &[u8] = b"\x1b[H\x1b[J";

/// Bytes that are typed reach the terminal in packets of so many.
const PACKET: usize = 8;

/// Who has to log in, and with what.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) ticket: String,
    /// Even the right ticket is refused.
    pub(super) refused: bool,
}

/// The work of the task. What went wrong is in its log.
pub(super) async fn serve(
    worker: &Worker,
    vmid: u32,
    client: oneshot::Receiver<Socket>,
    login: Login,
) -> Result<(), ()> {
    let failed = |why: &str| worker.log(why);
    let Ok(Ok(mut socket)) = tokio::time::timeout(PATIENCE, client).await else {
        return Err(failed("failed waiting for client: timed out"));
    };
    worker.log("client connection: 127.0.0.1:50000");
    match tokio::time::timeout(PATIENCE, first_line(&mut socket)).await {
        Err(_) => return Err(failed("failed reading ticket: timed out")),
        Ok(None) => return Err(failed("failed reading ticket: connection closed")),
        Ok(Some((user, ticket, rest))) => {
            if login.refused || user != login.user || ticket != login.ticket {
                return Err(failed("authentication request failed"));
            }
            say(&mut socket, b"OK").await?;
            carry(worker, vmid, socket, rest).await
        }
    }
}

/// Ends the connection without waiting for what the client says to that.
async fn end(mut socket: Socket) {
    let patience = Duration::from_millis(100);
    tokio::time::timeout(patience, socket.close()).await.ok();
}

async fn say(socket: &mut Socket, bytes: &[u8]) -> Result<(), ()> {
    socket
        .send(Message::binary(bytes.to_vec()))
        .await
        .map_err(drop)
}

/// `USER:TICKET`, and what came after the line.
async fn first_line(socket: &mut Socket) -> Option<(String, String, Vec<u8>)> {
    let mut line = Vec::new();
    loop {
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            let rest = line.split_off(end + 1);
            let text = String::from_utf8_lossy(&line).into_owned();
            let (user, ticket) = text.trim_end().split_once(':')?;
            return Some((user.to_owned(), ticket.to_owned(), rest));
        }
        line.extend(bytes_of(socket).await?);
    }
}

/// The bytes of the next message; nothing when the client has gone. After a message that does not get
/// through, the stream is dead but stays open.
async fn bytes_of(socket: &mut Socket) -> Option<Vec<u8>> {
    loop {
        match socket.next().await? {
            Ok(message) if message.is_close() => return None,
            Ok(message) if message.is_text() || message.is_binary() => {
                return Some(message.as_payload().to_vec());
            }
            Ok(_) => {}
            Err(tokio_websockets::Error::Io(_)) => return None,
            Err(_) => std::future::pending().await,
        }
    }
}

/// The terminal of the container, as others left it or new. The error is what it shows instead.
async fn terminal(worker: &Worker, vmid: u32) -> Result<Arc<Session>, String> {
    if let Some(session) = worker.world.consoles().sessions.get(&vmid) {
        return Ok(Arc::clone(session));
    }
    let (container, mode) = {
        let state = worker.world.state();
        let ct = state.cts.get(&vmid).ok_or("the container is gone")?;
        let running = ct.running.as_ref().map(|running| running.container.clone());
        (running, console_mode(ct))
    };
    let Some(container) = container else {
        let line = |function: &str, text: &str| {
            format!("lxc-attach: {vmid}: ../src/lxc/attach.c: {function} {text}\r\n")
        };
        return Err(line("get_attach_context: 400", "Failed to get init pid")
            + &line("lxc_attach: 1470", "Failed to get attach context"));
    };
    let console = container.console(mode).await?;
    let mut consoles = worker.world.consoles();
    let make = || Session::start(&worker.world, vmid, container, console);
    let session = consoles.sessions.entry(vmid).or_insert_with(make);
    Ok(Arc::clone(session))
}

async fn carry(worker: &Worker, vmid: u32, mut socket: Socket, rest: Vec<u8>) -> Result<(), ()> {
    let session = match terminal(worker, vmid).await {
        Ok(session) => session,
        Err(text) => {
            say(&mut socket, text.as_bytes()).await?;
            say(&mut socket, b"\x1b[999H\r\n[EOF - dtach terminating]\r\n").await?;
            end(socket).await;
            return Err(());
        }
    };
    let mut shown = session.join();
    say(&mut socket, CLEAR).await?;
    let mut reader = Reader::default();
    let mut waiting = Some(rest);
    loop {
        let typed = match waiting.take() {
            Some(rest) => Some(rest),
            None => tokio::select! {
                bytes = bytes_of(&mut socket) => bytes,
                next = shown.recv() => match next {
                    Some(Shown::Bytes(bytes)) => {
                        say(&mut socket, &bytes).await?;
                        continue;
                    }
                    Some(Shown::Gone) => {
                        end(socket).await;
                        return Err(());
                    }
                    Some(Shown::Ended) | None => {
                        say(&mut socket, b"\x1b[999H\r\n[EOF - dtach terminating]\r\n").await?;
                        // Clients cannot count on the end of the connection.
                        let closed = async { while bytes_of(&mut socket).await.is_some() {} };
                        tokio::time::timeout(LINGERS, closed).await.ok();
                        end(socket).await;
                        return Err(());
                    }
                },
            },
        };
        let Some(typed) = typed else { return Ok(()) };
        for input in reader.read(&typed) {
            match input {
                size @ Input::Size(..) => session.take(size).await,
                Input::Typed(bytes) => {
                    for packet in bytes.chunks(PACKET) {
                        if packet[0] == 0x1c {
                            say(&mut socket, b"\x1b[999H\r\n[detached]\r\n").await?;
                            end(socket).await;
                            return Err(());
                        }
                        session.take(Input::Typed(packet.to_vec())).await;
                    }
                }
            }
        }
    }
}
