//! The contract with core's plugin library: who starts us, where we listen, how we end.
//!
//! Knows nothing of the provider beyond its address, and nothing of requests beyond their number.

mod log;
mod services;
mod socket;
mod tls;

use std::{
    io::{self, Write as _},
    os::unix::process::parent_id,
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{UnixListener, UnixStream},
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use self::{services::Services, socket::Socket, tls::Identity};
use crate::framework::{Provider, Server, panic};

/// Shows that core started the process; not a secret.
const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);

/// How long a peer may take to prove who it is.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How often we look whether core is still there while nothing is connected.
const ORPHAN_CHECK: Duration = Duration::from_millis(100);

/// Serves a provider to the core that started this process, until it asks us to end.
pub fn serve<P: Provider>(provider: P) -> ExitCode {
    std::panic::set_hook(Box::new(panic::report));
    match Mode::of_arguments().and_then(|mode| mode.run(provider)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if this fails too.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

enum Mode {
    Plugin,
    Debug,
    Version,
    Help,
}

impl Mode {
    fn of_arguments() -> io::Result<Self> {
        use lexopt::Arg::Long;
        let mut arguments = lexopt::Parser::from_env();
        match arguments.next().map_err(io::Error::other)? {
            None => Ok(Self::Plugin),
            Some(Long("debug")) => Ok(Self::Debug),
            Some(Long("version")) => Ok(Self::Version),
            Some(Long("help")) => Ok(Self::Help),
            Some(other) => Err(io::Error::other(other.unexpected())),
        }
    }

    fn run<P: Provider>(self, provider: P) -> io::Result<()> {
        let (name, version) = (file_name::<P>(), env!("CARGO_PKG_VERSION"));
        match self {
            Self::Version => writeln!(io::stdout(), "{name} {version} (protocol 6)"),
            Self::Help => writeln!(
                io::stdout(),
                "{name} {version}\n\n\
                 A plugin of OpenTofu and Terraform, which start it themselves: name\n\
                 {address} in `required_providers`.\n\n\
                 --version  print name, version and protocol\n\
                 --debug    serve without being started by core, until Ctrl-C\n\
                 --help     print this",
                address = P::ADDRESS,
            ),
            Self::Plugin if setting(COOKIE.0).as_deref() != Some(COOKIE.1) => {
                Err(io::Error::other(format!(
                    "{name} is a plugin of OpenTofu and Terraform and does nothing on its own. They \
                     start it when a configuration names {} in `required_providers`.",
                    P::ADDRESS,
                )))
            }
            Self::Plugin => started(provider, false),
            Self::Debug => started(provider, true),
        }
    }
}

fn started<P: Provider>(provider: P, debug: bool) -> io::Result<()> {
    log::install(type_name::<P>(), setting);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let end = runtime.block_on(async {
        // A signal from here on leaves no directory behind; and the parent is core only for as long
        // as core lives.
        let host = Host {
            parent: parent_id(),
            interrupts: signal(SignalKind::interrupt())?,
            terminations: signal(SignalKind::terminate())?,
            debug,
        };
        let (socket, listener) = Socket::bind(setting("PLUGIN_UNIX_SOCKET_DIR"))?;
        let identity = match setting("PLUGIN_CLIENT_CERT") {
            Some(core) if !debug => Some(Identity::trusting(&core)?),
            _ => None,
        };
        let line = if debug {
            reattachment(P::ADDRESS, socket.path())
        } else {
            handshake(socket.path(), identity.as_ref())
        };
        writeln!(io::stdout(), "{line}").and_then(|()| io::stdout().flush())?;
        let acceptor = identity.map(|identity| identity.acceptor);
        host.serve(Server::new(provider), listener, acceptor).await;
        Ok(())
    });
    // A name lookup may still block a thread of the runtime, and core waits two seconds at most.
    runtime.shutdown_background();
    end
}

/// The process among its signals, its parent and its connections.
struct Host {
    parent: u32,
    interrupts: Signal,
    terminations: Signal,
    debug: bool,
}

/// Why the process ends.
enum End {
    /// Core asked.
    Asked,
    /// A signal asked.
    Signalled,
    /// Core is gone.
    Orphaned,
}

impl Host {
    #[expect(
        clippy::disallowed_methods,
        reason = "nothing tells a plugin that core is gone: it has to look"
    )]
    async fn serve<P: Provider>(
        mut self,
        server: Server<P>,
        listener: UnixListener,
        tls: Option<TlsAcceptor>,
    ) {
        let shutdown = CancellationToken::new();
        let services = Services::new(server.clone(), shutdown.clone());
        let mut connections = JoinSet::new();
        let mut met = false;
        let end = loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        met = true;
                        connections.spawn(connection(stream, tls.clone(), services.clone(), shutdown.clone()));
                    }
                    Err(error) => {
                        tracing::warn!("cannot accept a connection: {error}");
                        sleep(ORPHAN_CHECK).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                () = shutdown.cancelled() => break End::Asked,
                _ = self.terminations.recv() => break End::Signalled,
                // Ctrl-C goes to the whole process group; core then asks what runs to stop.
                _ = self.interrupts.recv() => if self.debug { break End::Signalled },
                // Core's socket closes before we get another parent, so one look is not enough.
                () = sleep(ORPHAN_CHECK), if met && connections.is_empty() && !self.debug => {
                    if parent_id() != self.parent {
                        break End::Orphaned;
                    }
                }
            }
        };
        server.stop();
        shutdown.cancel();
        let finished = async {
            while connections.join_next().await.is_some() {}
            server.idle().await;
        };
        // Work that core may still hear of is worth any wait.
        let patience = match end {
            End::Asked => Duration::from_secs(1),
            End::Orphaned => Duration::from_secs(10),
            End::Signalled => return finished.await,
        };
        if timeout(patience, finished).await.is_err() {
            tracing::warn!("ended while requests were running");
        }
    }
}

async fn connection<P: Provider>(
    stream: UnixStream,
    tls: Option<TlsAcceptor>,
    services: Services<P>,
    shutdown: CancellationToken,
) {
    let Some(tls) = tls else {
        return http(stream, services, shutdown).await;
    };
    let accepted = timeout(HANDSHAKE, tls.accept(stream));
    match shutdown.run_until_cancelled(accepted).await {
        Some(Ok(Ok(stream))) => http(stream, services, shutdown).await,
        Some(Ok(Err(error))) => tracing::warn!("refused a connection: {error}"),
        Some(Err(_)) => tracing::warn!("refused a connection: no handshake in time"),
        None => {}
    }
}

async fn http<P: Provider>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    services: Services<P>,
    shutdown: CancellationToken,
) {
    let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let mut serving = pin!(http.serve_connection(TokioIo::new(stream), services));
    let end = tokio::select! {
        end = serving.as_mut() => end,
        () = shutdown.cancelled() => {
            serving.as_mut().graceful_shutdown();
            // Core closes its side without a farewell once it has its answer.
            return drop(serving.await);
        }
    };
    if let Err(error) = end {
        tracing::debug!("a connection ended: {error}");
    }
}

/// The line that core reads: protocol of the library, ours, where, how, and who answers there.
fn handshake(path: &str, identity: Option<&Identity>) -> String {
    let certificate = identity.map_or("", |identity| identity.certificate.as_str());
    let multiplexed = match setting("PLUGIN_MULTIPLEX_GRPC") {
        Some(_) => "|false",
        None => "",
    };
    format!("1|6|unix|{path}|grpc|{certificate}{multiplexed}")
}

/// The variable that makes core use a process it did not start.
fn reattachment(address: &str, path: &str) -> String {
    let place = serde_json::json!({
        "Protocol": "grpc",
        "ProtocolVersion": 6,
        "Pid": std::process::id(),
        "Test": true,
        "Addr": { "Network": "unix", "String": path },
    });
    // A short `source` means another registry to each core.
    let (_, name) = address.split_once('/').unwrap_or_default();
    let addresses = ["registry.opentofu.org", "registry.terraform.io"]
        .map(|registry| (format!("{registry}/{name}"), place.clone()));
    let json = serde_json::Value::from_iter(addresses);
    format!("TF_REATTACH_PROVIDERS='{json}'")
}

fn type_name<P: Provider>() -> &'static str {
    P::ADDRESS.rsplit('/').next().unwrap_or_default()
}

fn file_name<P: Provider>() -> String {
    format!("terraform-provider-{}", type_name::<P>())
}

/// A setting of core's; an empty one is none.
#[expect(
    clippy::disallowed_methods,
    reason = "the plugin's contract with core is in variables"
)]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
