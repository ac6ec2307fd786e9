//! Ephemeral resources: what is opened for one command, never stored, and closed again.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    Context, Diagnostics, Failure, Model, Result, Schema, Value,
    model::untyped,
    operation::{BoxFuture, MINUTE, Scope, decode, explain},
    resource::Faults,
    validate,
};

/// One kind of thing that lasts as long as a command.
pub trait EphemeralResource: Send + Sync + 'static {
    /// The name of the type, with the provider's prefix.
    const NAME: &'static str;
    /// What the provider makes of its configuration.
    type Client: Send + Sync;
    /// Its attributes: the question, and computed ones for the answer.
    type Model: Model;

    /// Rules between attributes. Pure; an unknown value may turn out to be anything.
    fn validate(_config: &Value, _found: &mut Faults<'_>) {}

    /// Opens it, once for a plan and once more for an apply.
    fn open(
        &self,
        cx: &Context<'_, Self::Client>,
        config: Self::Model,
    ) -> impl Future<Output = Result<(Self::Model, Lease)>> + Send;

    /// Makes it last longer; needed if a lease names a time.
    fn renew(
        &self,
        _cx: &Context<'_, Self::Client>,
        _private: &[u8],
    ) -> impl Future<Output = Result<Lease>> + Send {
        async { Err(Failure::new("it cannot be renewed")) }
    }

    /// Ends it. Core waits for 10 s, also after an interrupt.
    fn close(
        &self,
        _cx: &Context<'_, Self::Client>,
        _private: &[u8],
    ) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}

/// What is remembered between opening, renewing and closing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lease {
    /// Bytes of the resource's own; never stored.
    pub private: Vec<u8>,
    /// When it must be renewed, if it lasts no longer.
    pub renew_at: Option<SystemTime>,
}

/// An ephemeral resource whose model is erased: all values are [`Value`]s of its schema.
pub trait AnyEphemeralResource<C>: Send + Sync {
    /// The name of the type, with the provider's prefix.
    fn name(&self) -> &'static str;
    /// Its schema.
    fn schema(&self) -> &Schema;
    /// Checks a configuration that may hold unknown values.
    fn validate(&self, config: &Value) -> Diagnostics;
    /// Opens it with a configuration that is wholly known.
    fn open<'a>(
        &'a self,
        scope: Scope<'a, C>,
        config: &'a Value,
    ) -> BoxFuture<'a, Result<(Value, Lease), Diagnostics>>;
    /// Makes it last longer.
    fn renew<'a>(
        &'a self,
        scope: Scope<'a, C>,
        private: &'a [u8],
    ) -> BoxFuture<'a, Result<Lease, Diagnostics>>;
    /// Ends it.
    fn close<'a>(
        &'a self,
        scope: Scope<'a, C>,
        private: &'a [u8],
    ) -> BoxFuture<'a, Result<(), Diagnostics>>;
}

/// Erases the model of an ephemeral resource.
pub fn erase<E: EphemeralResource>(resource: E) -> Arc<dyn AnyEphemeralResource<E::Client>> {
    Arc::new(Erased {
        resource,
        schema: E::Model::schema(),
    })
}

struct Erased<E> {
    resource: E,
    schema: Schema,
}

impl<E: EphemeralResource> Erased<E> {
    fn explain(&self, verb: &str, failure: &Failure) -> Diagnostics {
        explain(&self.schema, &format!("Cannot {verb} {}", E::NAME), failure)
    }
}

/// Less than core waits for, so that it hears why.
const GOODBYE: Duration = Duration::from_secs(8);

impl<E: EphemeralResource> AnyEphemeralResource<E::Client> for Erased<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        let mut found = Faults::new(&self.schema);
        validate::validate(&self.schema, config, true, &mut found.diagnostics);
        E::validate(config, &mut found);
        found.diagnostics
    }

    fn open<'a>(
        &'a self,
        scope: Scope<'a, E::Client>,
        config: &'a Value,
    ) -> BoxFuture<'a, Result<(Value, Lease), Diagnostics>> {
        Box::pin(async move {
            let opened = async {
                let cx = scope.context(2 * MINUTE)?;
                self.resource.open(&cx, decode(config)?).await
            };
            match opened.await {
                Ok((model, lease)) => Ok((untyped(&model), lease)),
                Err(failure) => Err(self.explain("open", &failure)),
            }
        })
    }

    fn renew<'a>(
        &'a self,
        scope: Scope<'a, E::Client>,
        private: &'a [u8],
    ) -> BoxFuture<'a, Result<Lease, Diagnostics>> {
        Box::pin(async move {
            let renewed = async {
                let cx = scope.context(MINUTE)?;
                self.resource.renew(&cx, private).await
            };
            let lease = renewed.await;
            lease.map_err(|failure| self.explain("renew", &failure))
        })
    }

    fn close<'a>(
        &'a self,
        scope: Scope<'a, E::Client>,
        private: &'a [u8],
    ) -> BoxFuture<'a, Result<(), Diagnostics>> {
        Box::pin(async move {
            let closed = async {
                let cx = scope.context(GOODBYE)?;
                self.resource.close(&cx, private).await
            };
            let closed = closed.await;
            closed.map_err(|failure| self.explain("close", &failure))
        })
    }
}
