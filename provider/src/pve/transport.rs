//! One HTTP exchange: from a call to an answer that was read to its end.
//!
//! Does not log in, repeat, or look into the answer.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use hyper::ext::ReasonPhrase;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{StatusCode, Upgraded, Url, header::HeaderMap};
use tokio::time::Instant;

use super::{
    Call, Error, Fingerprint, Result, Settings, Trust,
    error::Cause,
    reply::Reply,
    tls::{self, Complaint},
    upload::File,
};

/// All that PVE's form parser would take for itself, `;` and `=` above all.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
const PATH: &AsciiSet = &VALUE.remove(b'/').remove(b':');

#[derive(Debug)]
pub(super) struct Transport {
    base: String,
    host: String,
    loopback: bool,
    trust: Trust,
    request_timeout: Duration,
    client: OnceLock<Result<reqwest::Client, Cause>>,
}

impl Transport {
    pub(super) fn new(settings: &Settings) -> Self {
        let base = settings
            .endpoint
            .trim_end_matches('/')
            .trim_end_matches("/api2/json");
        let url = Url::parse(base).ok();
        let name = url.as_ref().and_then(Url::host_str);
        let port = url.as_ref().and_then(Url::port_or_known_default);
        let host = name.zip(port).map(|(name, port)| format!("{name}:{port}"));
        Self {
            base: format!("{}/api2/json", base.trim_end_matches('/')),
            host: host.unwrap_or_else(|| base.to_owned()),
            // As in other clients: a proxy from the environment is for other machines.
            loopback: name.is_some_and(|name| {
                name == "localhost" || name.starts_with("127.") || name == "[::1]"
            }),
            trust: settings.trust.clone(),
            request_timeout: settings.request_timeout,
            client: OnceLock::new(),
        }
    }

    /// Name or address of the server, for URLs such as `https://[fd00::1]:8006` without the brackets.
    pub(super) fn name(&self) -> &str {
        let name = self
            .host
            .rsplit_once(':')
            .map_or(&*self.host, |(name, _)| name);
        name.trim_start_matches('[').trim_end_matches(']')
    }

    /// Sends `call` and reads the answer, with one line in the log.
    pub(super) async fn exchange(
        &self,
        call: &Call,
        headers: HeaderMap,
        file: Option<&File>,
    ) -> Result<Reply> {
        let since = Instant::now();
        let result = self.send(call, headers, file).await;
        let ms = since.elapsed().as_millis();
        let (method, path, params) = (&call.method, &*call.path, &call.params);
        match &result {
            Ok(Reply { status, .. }) if call.reads() => {
                tracing::trace!(target: "pmoves::api", %method, path, %params, status, %ms);
            }
            Ok(Reply { status, .. }) => {
                tracing::debug!(target: "pmoves::api", %method, path, %params, status, %ms);
            }
            Err(error) => {
                tracing::debug!(target: "pmoves::api", %method, path, %params, %error, %ms);
            }
        }
        result
    }

    async fn send(&self, call: &Call, headers: HeaderMap, file: Option<&File>) -> Result<Reply> {
        let url = self.url(call)?;
        let request = self
            .client()?
            .request(call.method.clone(), url)
            .headers(headers);
        let request = match file {
            Some(file) => {
                let form = file.form(&call.params).await;
                let form = form.map_err(|error| Error::unexpected(call.name(), error))?;
                match file.is_streamed() {
                    // However long it is, the operation's own deadline holds.
                    true => request.multipart(form).timeout(Duration::from_hours(24)),
                    false => request.multipart(form),
                }
            }
            None if !call.in_query() => request.json(&call.params.to_json()),
            None => request,
        };
        match request.send().await {
            Ok(response) => self.read(call, response).await,
            Err(error) => Err(self.lost(call, error).await),
        }
    }

    async fn read(&self, call: &Call, mut response: reqwest::Response) -> Result<Reply> {
        let reason = response.extensions_mut().remove::<ReasonPhrase>();
        let status = response.status().as_u16();
        match response.bytes().await {
            Ok(body) => Ok(Reply {
                status,
                reason: reason
                    .map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned()),
                body: body.into(),
            }),
            Err(error) => Err(self.lost(call, error).await),
        }
    }

    /// Turns the connection of `call` into a stream of bytes, and gives the headers that came first.
    pub(super) async fn upgrade(
        &self,
        call: &Call,
        headers: HeaderMap,
        timeout: Duration,
    ) -> Result<(Upgraded, HeaderMap)> {
        let request = self
            .client()?
            .get(self.url(call)?)
            .headers(headers)
            .timeout(timeout);
        let sent = match request.send().await {
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let answer = response.headers().clone();
                response.upgrade().await.map(|stream| (stream, answer))
            }
            Ok(response) => return Err(self.refusal(call, response).await),
            Err(error) => Err(error),
        };
        tracing::debug!(target: "pmoves::api", call = %call, done = sent.is_ok());
        match sent {
            Ok(upgraded) => Ok(upgraded),
            Err(error) => Err(self.lost(call, error).await),
        }
    }

    async fn refusal(&self, call: &Call, response: reqwest::Response) -> Error {
        let status = response.status();
        match self.read(call, response).await {
            Err(error) => error,
            Ok(reply) => reply.data(call).err().unwrap_or_else(|| {
                Error::unexpected(call.name(), format!("status {status} where 101 is due"))
            }),
        }
    }

    fn url(&self, call: &Call) -> Result<Url> {
        // The URL parser would resolve them, and call something else.
        if call
            .path
            .split('/')
            .any(|segment| matches!(segment, "." | ".."))
        {
            return Err(Error::unexpected(
                call.name(),
                "the path has a relative segment",
            ));
        }
        let mut url = format!("{}{}", self.base, utf8_percent_encode(&call.path, PATH));
        if call.in_query() && !call.params.is_empty() {
            let encode = |text| utf8_percent_encode(text, VALUE);
            let pairs = call
                .params
                .pairs()
                .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
            url = format!("{url}?{}", pairs.collect::<Vec<_>>().join("&"));
        }
        Url::parse(&url).map_err(|error| Error::unexpected(call.name(), error))
    }

    fn client(&self) -> Result<&reqwest::Client> {
        let client = self.client.get_or_init(|| {
            tls::client(&self.trust, self.loopback, self.request_timeout).map_err(Cause::from)
        });
        client.as_ref().map_err(|source| Error::Untrusted {
            host: self.host.clone(),
            seen: None,
            source: Arc::clone(source),
        })
    }

    /// What a failed exchange means: nothing was sent, or something was and no one knows.
    async fn lost(&self, call: &Call, error: reqwest::Error) -> Error {
        let error = error.without_url();
        match tls::complaint(&error) {
            Some(Complaint::Other(seen)) => Error::Certificate {
                host: self.host.clone(),
                expected: Fingerprint(match self.trust {
                    Trust::Fingerprint(pin) => pin,
                    _ => [0; 32],
                }),
                seen,
            },
            Some(Complaint::Untrusted(why)) => Error::Untrusted {
                host: self.host.clone(),
                seen: self.seen().await,
                source: Arc::new(rustls::Error::InvalidCertificate(why)),
            },
            None if error.is_connect() || error.is_builder() => self.unreachable(error),
            None if call.reads() => Error::Broken {
                call: call.name(),
                source: Arc::new(error),
            },
            None => Error::OutcomeUnknown {
                call: call.name(),
                source: Arc::new(error),
            },
        }
    }

    /// The fingerprint of the server, by a handshake that never gets as far as a request.
    async fn seen(&self) -> Option<Fingerprint> {
        let client = tls::client(
            &Trust::Fingerprint([0; 32]),
            self.loopback,
            self.request_timeout,
        )
        .ok()?;
        match tls::complaint(&client.get(&self.base).send().await.err()?)? {
            Complaint::Other(seen) => Some(seen),
            Complaint::Untrusted(_) => None,
        }
    }

    pub(super) fn unreachable(
        &self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Error {
        Error::Unreachable {
            host: self.host.clone(),
            source: Arc::new(source),
        }
    }
}
