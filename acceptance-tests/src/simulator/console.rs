//! The consoles of containers: a port for one client, a ticket for it, and a terminal that all share.
//!
//! What runs on the terminal is the container's affair.

mod frames;
mod proxy;
mod session;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::header::{HeaderName, HeaderValue};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{HeaderMap, header};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::sync::oneshot;
use tokio_websockets::{Limits, ServerBuilder, WebSocketStream};

use super::call::{Allow, Call, Route, later, now};
use super::random::random_hex;
use super::release::Release;
use super::reply::{Fail, Outcome, Reply};
use super::storage::checksum::sha1_bytes;
use session::Session;

const CONSOLE: Allow = Allow::All("/vms/{vmid}", &["VM.Console"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "POST /nodes/{node}/lxc/{vmid}/termproxy",
        allow: CONSOLE,
        rules: "+ct",
        handler: now!(termproxy),
    },
    Route {
        call: "GET /nodes/{node}/lxc/{vmid}/vncwebsocket",
        allow: CONSOLE,
        rules: "+ct; port integer min=5900 max=5999; vncticket string len=..512",
        handler: later!(websocket),
    },
];

/// How long a ticket opens a websocket.
const VALID: Duration = Duration::from_secs(40);

/// The largest message that gets through.
const LARGEST: usize = 128 << 10;

/// Appended to the key of a handshake (RFC 6455, section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A client's connection.
type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A request that wants to become a websocket.
pub(crate) struct Upgrade {
    on: OnUpgrade,
    key: String,
    protocol: Option<HeaderValue>,
}

impl Upgrade {
    /// What a request asks for, if it does.
    pub(crate) fn of<B>(request: &mut hyper::Request<B>) -> Option<Self> {
        let headers = request.headers();
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let wants = text(header::UPGRADE).is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
        let key = text(header::SEC_WEBSOCKET_KEY).map(str::to_owned);
        let protocol = headers.get(header::SEC_WEBSOCKET_PROTOCOL).cloned();
        Some(Self {
            key: key.filter(|_| wants)?,
            protocol,
            on: hyper::upgrade::on(request),
        })
    }

    /// The headers of the answer.
    fn answer(&self) -> HeaderMap {
        let accept = BASE64_STANDARD.encode(sha1_bytes(&format!("{}{GUID}", self.key)));
        let accept = HeaderValue::from_str(&accept).expect("base64 is visible");
        let mut headers = HeaderMap::from_iter([
            (header::UPGRADE, HeaderValue::from_static("websocket")),
            (header::CONNECTION, HeaderValue::from_static("Upgrade")),
            (header::SEC_WEBSOCKET_ACCEPT, accept),
        ]);
        if let Some(protocol) = &self.protocol {
            // Whatever was asked for.
            let name: HeaderName = header::SEC_WEBSOCKET_PROTOCOL;
            headers.insert(name, protocol.clone());
        }
        headers
    }
}

/// All consoles of the cluster.
#[derive(Default)]
pub(crate) struct Consoles {
    tickets: Vec<Ticket>,
    /// The ports where somebody waits for a client.
    ports: BTreeMap<u16, oneshot::Sender<Socket>>,
    /// The ports that are taken.
    taken: Vec<u16>,
    sessions: HashMap<u32, Arc<Session>>,
}

struct Ticket {
    text: String,
    user: String,
    vmid: u32,
    port: u16,
    issued: Instant,
}

fn termproxy(call: &Call) -> Outcome {
    let (node, vmid) = (call.node(), call.params.vmid());
    call.world.state().ct(node, vmid)?;
    let user = call.who.id.clone();
    let text = format!(
        "PVEVNC:{}::{}",
        random_hex(4).to_uppercase(),
        random_hex(128)
    );
    let (client, waits) = oneshot::channel();
    let port = {
        let mut consoles = call.world.consoles();
        let free = (5900..=5999).find(|port| !consoles.taken.contains(port));
        let port = free.ok_or_else(|| Fail::died("unable to find free port (5900-6000)"))?;
        consoles.taken.push(port);
        consoles.ports.insert(port, client);
        consoles.tickets.push(Ticket {
            text: text.clone(),
            user: user.clone(),
            vmid,
            port,
            issued: Instant::now(),
        });
        port
    };
    let login = proxy::Login {
        user: user.clone(),
        ticket: text.clone(),
        // The endpoint that older ones ask about the ticket refuses those of tokens.
        refused: call.who.is_token() && call.world.settings.release < Release::V9_2,
    };
    let upid = call.start_task("vncproxy", &vmid.to_string(), |worker| async move {
        let served = proxy::serve(&worker, vmid, waits, login).await;
        let mut consoles = worker.world.consoles();
        consoles.ports.remove(&port);
        consoles.taken.retain(|taken| *taken != port);
        served.map_err(|()| {
            format!(
                "command '/usr/bin/termproxy {port} --path /vms/{vmid} --perm VM.Console -- \
                 /usr/bin/dtach -A /var/run/dtach/vzctlconsole{vmid} -r winch -z lxc-console -n \
                 {vmid} -e -1' failed: exit code 1"
            )
        })
    });
    Ok(json!({"user": user, "ticket": text, "port": port, "upid": upid.data}).into())
}

async fn websocket(mut call: Call) -> Outcome {
    let vmid = call.params.vmid();
    let port: u16 = call.params.text("port").parse().unwrap_or_default();
    let known = |ticket: &Ticket| {
        ticket.text == call.params.text("vncticket")
            && (ticket.vmid, ticket.port) == (vmid, port)
            && ticket.user == call.who.id
            && ticket.issued.elapsed() < VALID
    };
    if !call.world.consoles().tickets.iter().any(known) {
        return Err(Fail::bare(401, "permission denied - invalid PVEVNC ticket"));
    }
    let waiting = call.world.consoles().ports.remove(&port);
    let Some(upgrade) = call.upgrade.take() else {
        return Ok(json!({"port": port.to_string()}).into());
    };
    let Some(waiting) = waiting else {
        // Nothing listens there: the request is never answered, nor is the connection closed.
        return Err(Fail::Unanswered);
    };
    let headers = upgrade.answer();
    tokio::spawn(async move {
        // A client that goes before it is connected is missed by the other side, which waits for it.
        if let Ok(upgraded) = upgrade.on.await {
            let limits = Limits::default().max_payload_len(Some(LARGEST));
            let builder = ServerBuilder::new().limits(limits);
            waiting.send(builder.serve(TokioIo::new(upgraded))).ok();
        }
    });
    Ok(Reply {
        switch: Some(headers),
        ..Reply::null()
    })
}
