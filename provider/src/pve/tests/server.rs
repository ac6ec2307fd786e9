//! A server on loopback that speaks TLS and just enough HTTP/1.1 to misbehave in it.
//!
//! Knows nothing of PVE: every test brings its own answers.

use std::{
    net::SocketAddr,
    ops::RangeInclusive,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value as Json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::super::{Credential, Fingerprint, Limits, Pve, Secret, Settings, Trust};

/// The secret part of the token that [`Server::pve`] uses.
pub(super) const SECRET: &str = "0e3d4a52-hunter2";

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// `GET /api2/json/version`.
    pub(super) line: String,
    /// Header lines with lower-case names.
    pub(super) headers: Vec<String>,
    pub(super) body: String,
    /// Counts connections from 1.
    pub(super) connection: usize,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let values = self
            .headers
            .iter()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        values.into_iter().next()
    }

    pub(super) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(super) enum Answer {
    /// Status 200 with this `data`.
    Data(Json),
    /// Status and reason phrase, then the body.
    Status(&'static str, String),
    /// Close the connection instead of answering.
    Drop,
    /// Never answer.
    Hang,
}

type Respond = dyn Fn(&Request) -> Answer + Send + Sync;

pub(super) struct Server {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    authority: CertificateDer<'static>,
    requests: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(
        respond: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new([]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = ca.self_signed(&ca_key).unwrap().der().clone();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = leaf
            .signed_by(&key, &Issuer::new(ca, ca_key))
            .unwrap()
            .der()
            .clone();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let respond: Arc<Respond> = Arc::new(respond);
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            let mut connections = tokio::task::JoinSet::new();
            for connection in 1.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, respond, seen) =
                    (acceptor.clone(), Arc::clone(&respond), Arc::clone(&seen));
                connections.spawn(async move {
                    // A client that dislikes the certificate hangs up.
                    if let Ok(mut stream) = acceptor.accept(stream).await {
                        while let Some(request) = read(&mut stream, connection).await {
                            seen.lock().unwrap().push(request.clone());
                            let Some(answer) = render(respond(&request)).await else {
                                break;
                            };
                            stream.write_all(answer.as_bytes()).await.unwrap();
                        }
                    }
                });
            }
        });
        Self {
            address,
            certificate,
            authority,
            requests,
            task,
        }
    }

    /// A client that trusts this server and uses a token.
    pub(super) fn pve(&self) -> Pve {
        self.pve_as(
            Credential::Token(Secret::new(format!("tf@pve!ci={SECRET}"))),
            Trust::Ca(self.authority_pem()),
        )
    }

    pub(super) fn pve_as(&self, credential: Credential, trust: Trust) -> Pve {
        Pve::new(self.settings(credential, trust))
    }

    /// One that takes free VMIDs from a range.
    pub(super) fn pve_of_vmids(&self, vmids: RangeInclusive<u32>) -> Pve {
        let token = Credential::Token(Secret::new(format!("tf@pve!ci={SECRET}")));
        Pve::new(Settings {
            vmids: Some(vmids),
            ..self.settings(token, Trust::Ca(self.authority_pem()))
        })
    }

    fn settings(&self, credential: Credential, trust: Trust) -> Settings {
        Settings {
            endpoint: format!("https://{}/", self.address),
            credential,
            trust,
            request_timeout: Duration::from_secs(20),
            limits: Limits::default(),
            vmids: None,
        }
    }

    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.certificate);
        Fingerprint(digest.as_ref().try_into().unwrap())
    }

    pub(super) fn authority_pem(&self) -> String {
        let text = BASE64_STANDARD.encode(&self.authority);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }

    /// All requests so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The request lines so far, without `/api2/json`.
    pub(super) fn lines(&self) -> Vec<String> {
        let requests = self.requests();
        requests
            .iter()
            .map(|request| request.line.replacen("/api2/json", "", 1))
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(stream: &mut TlsStream<tokio::net::TcpStream>, connection: usize) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let line = lines
        .next()
        .unwrap()
        .trim_end_matches(" HTTP/1.1")
        .to_owned();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        format!("{}: {value}", name.to_lowercase())
    });
    let headers: Vec<_> = headers.collect();
    let length = headers
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request {
        line,
        headers,
        body: String::from_utf8(body).unwrap(),
        connection,
    })
}

async fn render(answer: Answer) -> Option<String> {
    let (status, body) = match answer {
        Answer::Data(data) => ("200 OK", serde_json::json!({ "data": data }).to_string()),
        Answer::Status(status, body) => (status, body),
        Answer::Drop => return None,
        Answer::Hang => std::future::pending().await,
    };
    Some(format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}
