//! Core's side of the contract: starts the binary, and connects as core does.
//!
//! Checks nothing; the tests do.

#![expect(clippy::unwrap_used, reason = "only tests call this")]

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    process::Stdio,
    sync::Arc,
    task::{Context, Poll},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, PKCS_ECDSA_P521_SHA512};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, BufReader},
    net::UnixStream,
    process::{Child, ChildStdout, Command},
};
use tokio_rustls::TlsConnector;
use tonic::{body::Body, codegen::Service, codegen::http};

/// A certificate as core makes one: P-521, self-signed, an authority.
pub(super) struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

/// A running provider with a temporary directory of its own.
pub(super) struct Plugin {
    process: Child,
    temporary: tempfile::TempDir,
    stdout: BufReader<ChildStdout>,
    /// What it printed first.
    pub(super) line: String,
}

/// A connection that gRPC clients can use.
#[derive(Clone)]
pub(super) struct Connection(http2::SendRequest<Body>);

impl Identity {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, key }
    }

    /// This certificate with a key that it is not for.
    pub(super) fn with_key_of(&self, other: &Self) -> Self {
        let key = KeyPair::from_der_and_sign_algo(&other.der(), &PKCS_ECDSA_P521_SHA512).unwrap();
        Self {
            certificate: self.certificate.clone(),
            key,
        }
    }

    pub(super) fn pem(&self) -> String {
        let lines = STANDARD.encode(self.certificate.der());
        format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
    }

    fn der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    /// Unlike rustls' own configuration, does not look whether the key fits.
    fn certified(&self) -> Arc<SingleCertAndKey> {
        let key = aws_lc_rs::sign::any_supported_type(&self.der()).unwrap();
        let chain = vec![self.certificate.der().clone()];
        Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)))
    }
}

impl Plugin {
    /// The binary with core's environment and nothing of ours.
    pub(super) fn command() -> Command {
        let mut command = Command::new(program());
        Self::environment(&mut command);
        command
    }

    pub(super) async fn start(core: Option<&Identity>) -> Self {
        let mut command = Self::command();
        if let Some(core) = core {
            command.env("PLUGIN_CLIENT_CERT", core.pem());
        }
        Self::of(command).await
    }

    pub(super) async fn start_with(variables: &[(&str, &str)]) -> Self {
        let mut command = Self::command();
        command.envs(variables.iter().copied());
        Self::of(command).await
    }

    pub(super) async fn start_debugged() -> Self {
        let mut command = Self::command();
        command.env_remove("TF_PLUGIN_MAGIC_COOKIE").arg("--debug");
        Self::of(command).await
    }

    /// Below a shell that stands for core.
    pub(super) async fn start_as_grandchild(core: &Identity) -> Self {
        let mut command = Command::new("sh");
        Self::environment(&mut command);
        command
            .args(["-c", r#""$0" & wait"#])
            .arg(program())
            .env("PLUGIN_CLIENT_CERT", core.pem());
        Self::of(command).await
    }

    fn environment(command: &mut Command) {
        let cookie = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";
        for name in [
            "TF_LOG",
            "TF_LOG_PROVIDER",
            "PLUGIN_CLIENT_CERT",
            "PLUGIN_MULTIPLEX_GRPC",
        ] {
            command.env_remove(name);
        }
        command
            .env("TF_PLUGIN_MAGIC_COOKIE", cookie)
            .env("PLUGIN_PROTOCOL_VERSIONS", "5,6");
    }

    /// Starts a command, and reads its line.
    pub(super) async fn of(mut command: Command) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        if !command
            .as_std()
            .get_envs()
            .any(|(name, _)| name == "TMPDIR")
        {
            command.env("TMPDIR", temporary.path());
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).await.unwrap();
        assert_eq!(line.pop(), Some('\n'));
        Self {
            process,
            temporary,
            stdout,
            line,
        }
    }

    /// Whether the process has left nothing in its temporary directory.
    pub(super) fn is_clean(&self) -> bool {
        self.temporary.path().read_dir().unwrap().next().is_none()
    }

    /// The fields of the handshake line.
    fn field(&self, index: usize) -> &str {
        self.line.split('|').nth(index).unwrap()
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.field(3).into()
    }

    pub(super) async fn stream(&self) -> UnixStream {
        UnixStream::connect(self.socket()).await.unwrap()
    }

    /// Connects as core does, trusting only the certificate of the handshake line.
    pub(super) async fn connect(&self, core: Option<&Identity>) -> io::Result<Connection> {
        let certificate = STANDARD_NO_PAD.decode(self.field(5)).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(certificate)).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match core {
            Some(core) => config.with_client_cert_resolver(core.certified()),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        Connection::over(connector.connect(name, self.stream().await).await?).await
    }

    pub(super) async fn connect_plain(&self) -> io::Result<Connection> {
        Self::connect_plain_to(&self.socket()).await
    }

    pub(super) async fn connect_plain_to(path: &Path) -> io::Result<Connection> {
        Connection::over(UnixStream::connect(path).await?).await
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id().unwrap()
    }

    pub(super) async fn signal(&self, name: &str) {
        signal(name, self.id()).await;
    }

    /// Kills the shell of a grandchild.
    pub(super) async fn kill_parent(&mut self) {
        self.process.kill().await.unwrap();
    }

    pub(super) async fn rest_of_stdout(&mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).await.unwrap();
        rest
    }

    /// Waits for the end: exit code and the rest of stdout.
    pub(super) async fn end(&mut self) -> (Option<i32>, String) {
        let status = self.process.wait().await.unwrap();
        (status.code(), self.rest_of_stdout().await)
    }
}

/// The binary of this build, or the one that is named.
fn program() -> PathBuf {
    let built = env!("CARGO_BIN_EXE_terraform-provider-pmoves");
    std::env::var_os("PMOVES_PROVIDER").map_or_else(|| built.into(), PathBuf::from)
}

async fn signal(name: &str, process: u32) {
    let script = format!("kill -{name} {process}");
    let status = Command::new("sh").args(["-c", &script]).status().await;
    assert!(status.unwrap().success());
}

impl Connection {
    async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }
}

impl Service<http::Request<Body>> for Connection {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut request = request;
        let path = request.uri().path();
        *request.uri_mut() = format!("http://localhost{path}").parse().unwrap();
        Box::pin(self.0.send_request(request))
    }
}
