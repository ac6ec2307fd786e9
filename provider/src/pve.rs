//! The Proxmox VE API: calls as values, and the client that sends them.
//!
//! Knows no Terraform. Repeats a call only if PVE has not acted on it.

mod agent;
mod auth;
mod call;
mod cluster;
mod error;
mod keys;
mod lenient;
mod lxc;
mod network;
mod node;
mod params;
mod property_string;
mod qemu;
mod reply;
mod scope;
mod settings;
mod slots;
mod task;
mod terminal;
mod tls;
mod transport;
mod upload;
mod wait;

use std::{fmt, sync::Arc, time::Duration};

use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tokio_util::sync::CancellationToken;

pub use self::{
    agent::{ExecOutput, Interface},
    call::Call,
    cluster::{GuestRow, Permissions, Version},
    error::{Cause, Error, Fingerprint, Permission, Result},
    lxc::LxcConfig,
    network::{Edit, Network, NetworkRow, Wish},
    node::{Bridge, MappingRow, NodeRow, Remote, StorageRow, Volume},
    params::Params,
    property_string::{Malformed, PropertyString, format_size, parse_size},
    qemu::{PendingRow, QemuConfig, VmStatus},
    settings::{Credential, Limits, Settings, Trust},
    task::Upid,
    terminal::Terminal,
    upload::File,
};
use self::{
    auth::Auth,
    cluster::Cluster,
    network::Networks,
    reply::Reply,
    scope::Scope,
    slots::{Held, Slots},
    transport::Transport,
};
pub use crate::secret::Secret;

/// A cluster's API. Clones share connections, session, limits and caches; each has its own deadline.
#[derive(Clone)]
pub struct Pve {
    inner: Arc<Inner>,
    scope: Scope,
}

struct Inner {
    transport: Transport,
    auth: Auth,
    slots: Slots,
    cluster: Cluster,
    networks: Networks,
}

/// What PVE answers to a call that changes something.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A task does the work; see [`Pve::wait`].
    Task(Upid),
    /// The work is done.
    Done(Json),
}

impl Pve {
    /// A client that does nothing until its first call, and then without deadline.
    pub fn new(settings: Settings) -> Self {
        Self {
            inner: Arc::new(Inner {
                transport: Transport::new(&settings),
                auth: Auth::new(settings.credential),
                slots: Slots::new(settings.limits),
                cluster: Cluster::new(settings.vmids),
                networks: Networks::default(),
            }),
            scope: Scope::new(None, CancellationToken::new()),
        }
    }

    /// The same client for one operation: after `deadline`, or once cancelled, it starts no call, and reads and
    /// waits end at once. A write that is under way gets its answer, so that no task is left unknown.
    pub fn within(&self, deadline: Instant, cancel: CancellationToken) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            scope: Scope::new(Some(deadline), cancel),
        }
    }

    /// Whether this is `root@pam` with a ticket. A token of root is not: PVE compares the whole user id.
    pub fn is_root(&self) -> bool {
        self.inner.auth.is_root()
    }

    /// Whether this is an API token.
    pub fn is_token(&self) -> bool {
        self.inner.auth.is_token()
    }

    /// The user, or the full id of the token, as PVE logs it.
    pub fn user(&self) -> &str {
        self.inner.auth.user()
    }

    /// Name or address of the endpoint, without its port.
    pub fn host(&self) -> &str {
        self.inner.transport.name()
    }

    /// The data that answers `call`.
    pub async fn get<T: DeserializeOwned>(&self, call: &Call) -> Result<T> {
        let (data, _) = self.answered(call, None).await?;
        serde_json::from_value(data).map_err(|error| Error::unexpected(call.name(), error))
    }

    /// Reads something that may not exist.
    pub async fn get_opt<T: DeserializeOwned>(&self, call: &Call) -> Result<Option<T>> {
        match self.get(call).await {
            Err(Error::Gone(_)) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Sends `call`. A call marked as [`Call::task`] gives the task if PVE started one.
    pub async fn send(&self, call: &Call) -> Result<Answer> {
        self.upload_with(call, None).await
    }

    /// Sends `call`, which always starts a task, and gives that.
    pub async fn start(&self, call: &Call) -> Result<Upid> {
        self.started(call, None).await
    }

    async fn started(&self, call: &Call, file: Option<&File>) -> Result<Upid> {
        match self.upload_with(call, file).await? {
            Answer::Task(upid) => Ok(upid),
            Answer::Done(data) => Err(Error::unexpected(
                call.name(),
                format!("no task but {data}"),
            )),
        }
    }

    async fn upload_with(&self, call: &Call, file: Option<&File>) -> Result<Answer> {
        let (data, permit) = self.answered(call, file).await?;
        match data.as_str() {
            Some(text) if call.task && text.starts_with("UPID:") => {
                let mut upid: Upid = text.parse()?;
                if call.slot == call::Slot::Clone {
                    upid.held = Held::new(permit);
                }
                Ok(Answer::Task(upid))
            }
            _ => Ok(Answer::Done(data)),
        }
    }

    /// The data that answers `call`, and the place among the node's calls that it took.
    async fn answered(
        &self,
        call: &Call,
        file: Option<&File>,
    ) -> Result<(Json, OwnedSemaphorePermit)> {
        let mut patience = Patience::default();
        loop {
            let what = call.name();
            let permit = self
                .scope
                .race(&what, self.inner.slots.take(call.node(), call.slot))
                .await?;
            // The one place that is boxed, for all calls' futures hold it.
            let result = Box::pin(self.once(call, file)).await;
            if call.changes_guests() {
                self.invalidate();
            }
            match result {
                Ok(data) => return Ok((data, permit)),
                Err(error) => {
                    drop(permit);
                    self.again(call, error, &mut patience).await?;
                }
            }
        }
    }

    /// Waits before the same call is sent again, or gives `error` back.
    async fn again(&self, call: &Call, error: Error, patience: &mut Patience) -> Result<()> {
        let Some(pause) = patience.pause(&error) else {
            return Err(error);
        };
        match self.scope.pause(&call.name(), pause).await {
            // What went wrong says more than that there is no time to try again.
            Err(Error::TimedOut { .. }) => Err(error),
            other => other,
        }
    }

    async fn once(&self, call: &Call, file: Option<&File>) -> Result<Json> {
        let auth = &self.inner.auth;
        let (headers, ticket) = self.scoped(call, auth.headers(self, call)).await?;
        let reply = self.exchange(call, headers, file).await?;
        let reply = match ticket {
            // Refused before anything was done: the ticket is too old, or the cluster has new keys.
            Some(ticket) if reply.status == 401 => {
                auth.expire(&ticket).await;
                let (headers, _) = self.scoped(call, auth.headers(self, call)).await?;
                self.exchange(call, headers, file).await?
            }
            _ => reply,
        };
        reply.data(call)
    }

    async fn scoped<T>(&self, call: &Call, future: impl Future<Output = Result<T>>) -> Result<T> {
        self.scope.race(&call.name(), future).await?
    }

    async fn exchange(
        &self,
        call: &Call,
        headers: HeaderMap,
        file: Option<&File>,
    ) -> Result<Reply> {
        let exchange = self.inner.transport.exchange(call, headers, file);
        if call.reads() || file.is_some_and(File::is_streamed) {
            // PVE throws half a file away, so that a long transfer may end at any moment.
            self.scoped(call, exchange).await
        } else {
            self.scope.check(&call.name())?;
            exchange.await
        }
    }
}

impl fmt::Debug for Pve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pve")
            .field("user", &self.user())
            .finish_non_exhaustive()
    }
}

/// How often a call is repeated, and how long.
#[derive(Default)]
struct Patience {
    tries: usize,
    locked: Option<Instant>,
}

impl Patience {
    fn pause(&mut self, error: &Error) -> Option<Duration> {
        const TRANSIENT: [u64; 3] = [250, 1000, 2000];
        const LOCKED: [u64; 4] = [500, 1000, 2000, 5000];
        let pause = if error.is_transient() {
            TRANSIENT.get(self.tries)
        } else if error.is_locked() {
            let since = self.locked.get_or_insert_with(Instant::now);
            let patient = since.elapsed() < Duration::from_mins(2);
            LOCKED.get(self.tries).or(LOCKED.last()).filter(|_| patient)
        } else {
            None
        };
        self.tries += 1;
        pause.copied().map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests;
