//! The service that core calls, over any provider: decode, call, encode.
//!
//! Decides nothing about resources, and knows nothing of how core started or reached the process.

mod call;
mod data_source;
mod ephemeral;
mod functions;
mod list;
mod provider;
mod resource;
mod stored;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use proto::tfplugin6 as pb;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

pub(crate) use self::call::refused;
use self::call::{Call, Reply};
use super::{
    AnyDataSource, AnyEphemeralResource, AnyListResource, AnyResource, Diagnostics, Failure, Model,
    Schema, Value, codec, function::Function, operation::Scope, panic::guarded, provider::Provider,
};

/// What a method makes of a request.
type Answer<T> = Result<T, Diagnostics>;

/// The service. Clones share one provider.
pub struct Server<P: Provider> {
    inner: Arc<Inner<P>>,
}

struct Inner<P: Provider> {
    provider: P,
    offer: OnceLock<Offer<P>>,
    client: Mutex<Option<Arc<P::Client>>>,
    stop: Mutex<CancellationToken>,
    running: watch::Sender<usize>,
}

/// What the provider has, with all schemas.
struct Offer<P: Provider> {
    config: Schema,
    meta: Option<Schema>,
    resources: Kinds<dyn AnyResource<P::Client>>,
    data_sources: Kinds<dyn AnyDataSource<P::Client>>,
    ephemeral_resources: Kinds<dyn AnyEphemeralResource<P::Client>>,
    lists: Kinds<dyn AnyListResource<P::Client>>,
    functions: BTreeMap<&'static str, Function>,
}

/// Things of one sort by the name of their type.
type Kinds<T> = BTreeMap<&'static str, Arc<T>>;

/// One request at work.
struct Job<P: Provider> {
    server: Arc<Inner<P>>,
    client: Option<Arc<P::Client>>,
    cancel: CancellationToken,
    _running: Running,
}

/// Counts a request for as long as it runs.
struct Running(watch::Sender<usize>);

impl<P: Provider> Server<P> {
    /// A service that is not configured yet.
    pub fn new(provider: P) -> Self {
        Self {
            inner: Arc::new(Inner {
                provider,
                offer: OnceLock::new(),
                client: Mutex::default(),
                stop: Mutex::default(),
                running: watch::Sender::new(0),
            }),
        }
    }

    /// Cancels the requests that run now; later ones are not affected.
    pub fn stop(&self) {
        self.inner.stop();
    }

    /// Waits until no request runs.
    pub async fn idle(&self) {
        let mut running = self.inner.running.subscribe();
        running
            .wait_for(|count| *count == 0)
            .await
            .expect("the server holds the sender");
    }

    /// Runs one request in a task of its own, so that a dropped connection cannot end it between
    /// making something and recording it. Whatever goes wrong is a diagnostic of the reply.
    async fn run<Q: Call, W>(
        &self,
        request: Q,
        work: impl FnOnce(Job<P>, Q) -> W,
    ) -> Result<Response<Q::Reply>, Status>
    where
        W: Future<Output = Result<Q::Reply, Diagnostics>> + Send + 'static,
    {
        let span = tracing::info_span!("request", rpc = Q::NAME, r#type = request.subject());
        let mut fallback = request.fallback();
        let work = guarded(work(self.inner.job(), request));
        let task = async move {
            let start = Instant::now();
            let reply = match work.await {
                Ok(Ok(reply)) => reply,
                Ok(Err(found)) => {
                    fallback.fail(found);
                    fallback
                }
                Err(panic) => {
                    let mut found = Diagnostics::default();
                    found.error(None, "Bug in the provider", Failure::from(panic).detail);
                    fallback.fail(found);
                    fallback
                }
            };
            tracing::debug!(duration = ?start.elapsed(), "answered");
            reply
        };
        tokio::spawn(task.instrument(span))
            .await
            .map(Response::new)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

impl<P: Provider> Offer<P> {
    fn of(provider: &P) -> Self {
        let (resources, data_sources) = (provider.resources(), provider.data_sources());
        let (ephemeral, lists) = (provider.ephemeral_resources(), provider.lists());
        let functions = provider.functions().into_iter();
        Self {
            config: P::Config::schema(),
            meta: provider.meta(),
            resources: resources.into_iter().map(|one| (one.name(), one)).collect(),
            data_sources: data_sources
                .into_iter()
                .map(|one| (one.name(), one))
                .collect(),
            ephemeral_resources: ephemeral.into_iter().map(|one| (one.name(), one)).collect(),
            lists: lists.into_iter().map(|one| (one.name(), one)).collect(),
            functions: functions
                .map(|function| (function.name, function))
                .collect(),
        }
    }
}

impl<P: Provider> Inner<P> {
    fn job(self: &Arc<Self>) -> Job<P> {
        self.running.send_modify(|count| *count += 1);
        Job {
            server: Arc::clone(self),
            client: locked(&self.client).clone(),
            cancel: locked(&self.stop).clone(),
            _running: Running(self.running.clone()),
        }
    }

    /// Made when it is first asked for, so that nothing of it delays the line that core waits for.
    fn offer(&self) -> &Offer<P> {
        self.offer.get_or_init(|| Offer::of(&self.provider))
    }

    fn stop(&self) {
        std::mem::take(&mut *locked(&self.stop)).cancel();
    }
}

impl<P: Provider> Job<P> {
    fn resource(&self, name: &str) -> Answer<&dyn AnyResource<P::Client>> {
        of_kind("resource type", &self.server.offer().resources, name)
    }

    /// What an operation brings beside values.
    fn scope(&self, meta: Option<&pb::DynamicValue>) -> Answer<Scope<'_, P::Client>> {
        Ok(Scope {
            client: self.client.as_deref(),
            cancel: self.cancel.clone(),
            meta: match &self.server.offer().meta {
                Some(schema) => codec::decode(meta, schema)?,
                None => Value::Null,
            },
        })
    }
}

impl<P: Provider> Clone for Server<P> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// The protocol's methods. Those that are not listed, actions and state stores, answer `UNIMPLEMENTED`.
macro_rules! methods {
    ($($method:ident => $work:path),* $(,)?) => {
        #[tonic::async_trait]
        impl<P: Provider> pb::provider_server::Provider for Server<P> {
            $(async fn $method(
                &self,
                request: Request<pb::$method::Request>,
            ) -> Result<Response<pb::$method::Response>, Status> {
                self.run(request.into_inner(), $work).await
            })*

            async fn list_resource(
                &self,
                request: Request<pb::list_resource::Request>,
            ) -> Result<Response<list::Events>, Status> {
                Ok(Response::new(list::list(self.inner.job(), request.into_inner())))
            }
        }
    };
}

methods! {
    get_metadata => provider::metadata,
    get_provider_schema => provider::schema,
    get_resource_identity_schemas => stored::identities,
    validate_provider_config => provider::validate,
    configure_provider => provider::configure,
    stop_provider => provider::stop,
    get_functions => functions::all,
    call_function => functions::call,
    validate_data_resource_config => data_source::validate,
    read_data_source => data_source::read,
    validate_ephemeral_resource_config => ephemeral::validate,
    open_ephemeral_resource => ephemeral::open,
    renew_ephemeral_resource => ephemeral::renew,
    close_ephemeral_resource => ephemeral::close,
    validate_list_resource_config => list::validate,
    upgrade_resource_state => stored::upgrade,
    upgrade_resource_identity => stored::upgrade_identity,
    move_resource_state => stored::moved,
    import_resource_state => stored::import,
    generate_resource_config => stored::generate,
    validate_resource_config => resource::validate,
    read_resource => resource::read,
    plan_resource_change => resource::plan,
    apply_resource_change => resource::apply,
}

/// The thing of that name.
fn of_kind<'a, T: ?Sized>(sort: &str, kinds: &'a Kinds<T>, name: &str) -> Answer<&'a T> {
    kinds.get(name).map(Arc::as_ref).ok_or_else(|| {
        refusal(
            &format!("Unknown {sort}"),
            format!("This version of the provider has no {sort} {name:?}."),
        )
    })
}

/// One error that is about no attribute.
fn refusal(summary: &str, detail: impl Into<String>) -> Diagnostics {
    let mut found = Diagnostics::default();
    found.error(None, summary, detail);
    found
}

/// Locks what no panic can leave half changed.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
