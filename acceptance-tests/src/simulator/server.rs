//! The HTTP side: connections, the order of the checks, and the way from a request to its answer.
//!
//! It knows nothing of what calls do.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use axum::body::{Body, Bytes, to_bytes};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::access::login::{Who, identify};
use super::admin;
use super::call::{Allow, Call, Parsed, find};
use super::console::Upgrade;
use super::faults::Effect;
use super::journal::Entry;
use super::params::{Params, Raw, Value, masked, read_form, read_json};
use super::reply::{Fail, OtherBody, Outcome, respond};
use super::rules::check;
use super::storage::upload;
use super::tasks::TaskOrder;
use super::world::World;

/// After so many requests a connection ends.
const REQUESTS_PER_CONNECTION: u32 = 100;

/// How long a call is waited for that goes on to another daemon.
const PROXY_PATIENCE: Duration = Duration::from_secs(30);

/// The largest body that is no upload.
const MAX_BODY: usize = 512 << 10;

/// Serves until it is dropped, and all connections with it.
pub(crate) async fn serve(listener: TcpListener, tls: TlsAcceptor, world: Arc<World>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (tls, world) = (tls.clone(), Arc::clone(&world));
        let idle = world.settings.idle;
        connections.spawn(async move {
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            let answered = AtomicU32::new(0);
            let service = service_fn(move |request| {
                let last = answered.fetch_add(1, Ordering::Relaxed) + 1 >= REQUESTS_PER_CONNECTION;
                answer(Arc::clone(&world), request, last)
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(idle);
            // A connection that ends early is the client's choice or an ordered fault.
            http.serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await
                .ok();
        });
    }
}

async fn answer(
    world: Arc<World>,
    mut request: Request<Incoming>,
    last: bool,
) -> Result<Response<Body>, io::Error> {
    if world.settings.admin && request.uri().path().starts_with("/sim/") {
        return Ok(admin::answer(&world, request.map(Body::new)).await);
    }
    // The work goes on when the client hangs up.
    let exchange = Exchange::new(world, &mut request);
    let work = tokio::spawn(exchange.run(request.map(Body::new)));
    let mut response = work.await.map_err(io::Error::other)?;
    if let Some(response) = response.as_mut().filter(|_| last) {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.ok_or_else(|| io::Error::new(io::ErrorKind::ConnectionAborted, "dropped on order"))
}

/// One request on its way, with what the journal wants to know.
struct Exchange {
    world: Arc<World>,
    at: SystemTime,
    begun: Instant,
    method: String,
    path: String,
    raw: Raw,
    who: Option<Who>,
    faults: Vec<Effect>,
    task_order: Option<TaskOrder>,
    delay: Duration,
    agent_silent: bool,
    agent_restarts: bool,
    upgrade: Option<Upgrade>,
}

impl Exchange {
    fn new(world: Arc<World>, request: &mut Request<Incoming>) -> Self {
        let path = percent_decode_str(request.uri().path())
            .decode_utf8_lossy()
            .into_owned();
        Self {
            world,
            at: SystemTime::now(),
            begun: Instant::now(),
            method: request.method().as_str().to_owned(),
            path,
            raw: Raw::new(),
            who: None,
            faults: Vec::new(),
            task_order: None,
            delay: Duration::ZERO,
            agent_silent: false,
            agent_restarts: false,
            upgrade: Upgrade::of(request),
        }
    }

    async fn run(mut self, request: Request<Body>) -> Option<Response<Body>> {
        let (parts, body) = request.into_parts();
        // A refusal that left the body unread would reach the client as a broken connection.
        let outcome = match to_bytes(body, usize::MAX).await {
            Ok(body) => self.with_faults(parts, body).await,
            Err(_) => Err(Fail::Dropped),
        };
        if matches!(&outcome, Err(Fail::Other { status: 401, .. })) {
            tokio::time::sleep(self.world.settings.login_delay).await;
        }
        let (status, reason) = match &outcome {
            Ok(reply) if reply.switch.is_some() => (101, "Switching Protocols".to_owned()),
            Ok(_) => (200, "OK".to_owned()),
            Err(fail) => (fail.status(), fail.text()),
        };
        let entry = Entry {
            at: self.at,
            took: self.begun.elapsed(),
            method: self.method,
            path: self.path,
            params: masked(&self.raw),
            status,
            reason,
            user: self.who.map(|who| who.id),
            faults: self.faults,
        };
        self.world
            .journal
            .lock()
            .expect("no holder of the journal panics")
            .push(entry);
        if matches!(outcome, Err(Fail::Unanswered)) {
            return std::future::pending().await;
        }
        respond(&outcome, self.world.settings.with_message)
    }

    /// Does what faults order around the work.
    async fn with_faults(&mut self, parts: Parts, body: Bytes) -> Outcome {
        let mut path = self.path.clone();
        let rest = path
            .strip_prefix("/api2/")
            .and_then(|rest| rest.split_once('/'));
        if let Some((_, rest)) = rest {
            path = format!("/{rest}");
        }
        self.path = path;
        let effects: Vec<Effect> = {
            let mut faults = self
                .world
                .faults
                .lock()
                .expect("no holder of the faults panics");
            let hits = faults.iter_mut().filter_map(|fault| {
                fault
                    .hits(&self.method, &self.path)
                    .then(|| fault.effect.clone())
            });
            hits.collect()
        };
        self.faults.clone_from(&effects);
        let mut instead = None;
        for effect in effects {
            match effect {
                Effect::Answer { status, text } => {
                    return Err(Fail::Other {
                        status,
                        reason: text,
                        body: OtherBody::Json,
                    });
                }
                Effect::Drop => return Err(Fail::Dropped),
                Effect::DoThenAnswer { status, text } => instead = Some(Fail::bare(status, &text)),
                Effect::DoThenDrop => instead = Some(Fail::Dropped),
                Effect::Delay(time) => self.delay += time,
                Effect::TaskFails(text) => self.task_order = Some(TaskOrder::Fail(text)),
                Effect::TaskWarns(text) => self.task_order = Some(TaskOrder::Warn(text)),
                Effect::TaskVanishes => self.task_order = Some(TaskOrder::Vanish),
                Effect::AgentSilent => self.agent_silent = true,
                Effect::AgentRestarts => self.agent_restarts = true,
            }
        }
        let outcome = self.work(parts, body).await;
        instead.map_or(outcome, Err)
    }

    async fn work(&mut self, parts: Parts, body: Bytes) -> Outcome {
        if !matches!(self.method.as_str(), "GET" | "POST" | "PUT" | "DELETE") {
            return Err(Fail::plain(
                501,
                &format!("method '{}' not available", self.method),
            ));
        }
        if parts.headers.contains_key(TRANSFER_ENCODING) {
            return Err(Fail::plain(501, "chunked transfer encoding not supported"));
        }
        let target = parts.uri.path();
        match target
            .strip_prefix("/api2/")
            .and_then(|rest| rest.split('/').next())
        {
            Some("json") => {}
            Some(_) => return Err(Fail::plain(501, &format!("no formatter for uri {target}"))),
            None => return Err(Fail::plain(501, &format!("no such uri '{target}'"))),
        }
        let path = self.path.clone();
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let segments = if segments.first() == Some(&"api2") {
            &[]
        } else {
            segments.as_slice()
        };
        let found = find(self.world.settings.release, &self.method, segments);
        let is_upload = segments.last() == Some(&"upload") && self.method == "POST";
        let open =
            matches!(&found, Some((parsed, _)) if matches!(parsed.route.allow, Allow::World));
        let who = if open {
            Who { id: String::new() }
        } else {
            let access = &self.world.state().access;
            identify(
                access,
                &parts.headers,
                &self.method,
                is_upload,
                World::now(),
            )?
        };
        self.who = (!open).then(|| who.clone());
        if !body.is_empty() && !matches!(self.method.as_str(), "PUT" | "POST") {
            return Err(Fail::plain(
                501,
                &format!("Unexpected content for method '{}'", self.method),
            ));
        }
        let Some((parsed, variables)) = found else {
            let path = format!("/{}", segments.join("/"));
            let reason = format!("Method '{} {path}' not implemented", self.method);
            self.world.note_violation(reason.clone());
            return Err(Fail::Other {
                status: 501,
                reason,
                body: OtherBody::Json,
            });
        };
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let mut call = Call {
            world: Arc::clone(&self.world),
            who,
            params: Params(
                variables
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), Value::Text(v)))
                    .collect(),
            ),
            upload: None,
            task_order: self.task_order.take(),
            delay: self.delay,
            upgrade: self.upgrade.take(),
            agent_silent: self.agent_silent,
            agent_restarts: self.agent_restarts,
        };
        if is_upload {
            // The right to upload is asked before the file is read, and refused without a body.
            call.passes(&parsed.route.allow)
                .map_err(|fail| Fail::bare(403, &fail.text()))?;
            let (fields, file) = upload::read(Request::from_parts(parts, Body::from(body))).await?;
            self.raw = fields;
            call.upload = Some(file);
        } else {
            self.raw = read_body(&parts.headers, &body)?;
        }
        self.raw.extend(read_form(&query));
        self.raw.remove("_dc");
        dispatch(call, parsed, self.raw.clone()).await
    }
}

fn read_body(headers: &HeaderMap, body: &Bytes) -> Result<Raw, Fail> {
    if body.len() > MAX_BODY {
        return Err(Fail::plain(501, "for data too large"));
    }
    if body.is_empty() {
        return Ok(Raw::new());
    }
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim() {
        "" | "application/x-www-form-urlencoded" => Ok(read_form(&String::from_utf8_lossy(body))),
        "application/json" => read_json(body),
        other => {
            let text = format!("upload 'Content-Type '{other}' not implemented");
            Err(Fail::plain(506, &text))
        }
    }
}

/// Permission, node, parameters, and then the work.
async fn dispatch(mut call: Call, parsed: &'static Parsed, given: Raw) -> Outcome {
    let of_path = call.params.0.clone();
    let mut all = given;
    let mut errors = check::Errors::new();
    for (name, value) in &of_path {
        if all
            .insert(name.clone(), value.clone())
            .is_some_and(|other| other != *value)
        {
            let text = "duplicate parameter (already defined in URI) with conflicting values!";
            errors.insert(name.clone(), text.to_owned());
        }
    }
    if !errors.is_empty() {
        return Err(Fail::Params(errors));
    }
    call.params.0 = all;
    if call.upload.is_none() {
        call.passes(&parsed.route.allow)?;
    }
    if let Some(Value::Text(node)) = of_path.get("node") {
        call.world.state().node(node)?;
    }
    if let Err(errors) = check::check(&parsed.rules, &mut call.params.0) {
        let line = format!("{}: {errors:?}", parsed.route.call);
        call.world.note_violation(line);
        return Err(Fail::Params(errors));
    }
    proxied(call, parsed).await
}

/// The work, by a worker of the daemon that it belongs to. Whoever passes a call on to another daemon or
/// node waits for it only so long, and then it goes on unheard.
async fn proxied(call: Call, parsed: &'static Parsed) -> Outcome {
    let (world, protected) = (Arc::clone(&call.world), parsed.is_protected());
    let here = world.state().nodes[0].name.clone();
    let node = call.params.text_opt("node").unwrap_or(&here).to_owned();
    let direct = !protected && node == here;
    let work = tokio::spawn({
        let world = Arc::clone(&world);
        async move {
            let _worker = world.worker(&node, protected).await;
            world.clock.sleep(call.delay).await;
            (parsed.route.handler)(call).await
        }
    });
    let done = if direct {
        Some(work.await)
    } else {
        world.clock.timeout(PROXY_PATIENCE, work).await
    };
    match done {
        Some(Ok(outcome)) => outcome,
        Some(Err(panic)) => {
            world.note_violation(format!("{}: {panic}", parsed.route.call));
            Err(Fail::bare(596, "Broken pipe"))
        }
        None => Err(Fail::bare(596, "Connection timed out")),
    }
}
