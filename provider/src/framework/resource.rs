//! Resources: the trait that each one implements, and its erased twin that the server calls.
//!
//! An operation never returns a state. It writes to [`State`] what core shall remember if the next
//! step fails, so that nothing that was made can be lost.

mod adapter;
mod values;

use std::{pin::Pin, sync::Arc};

use serde_json::Value as Json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Diagnostics, Model, Path, Plan, Result, Schema, Value, private::Private};

/// What an operation works with.
pub struct Context<'a, C> {
    /// What the provider made of its configuration.
    pub client: &'a C,
    /// When the operation shall give up, from `timeouts`.
    pub deadline: Instant,
    /// Cancelled when core asks to stop.
    pub cancel: CancellationToken,
    /// Whether this is the first read after an import, which fills whatever it can.
    pub importing: bool,
}

/// What core will remember when the operation ends, well or not.
pub struct State<M> {
    saved: Option<M>,
    warnings: Diagnostics,
}

/// One kind of thing that practitioners manage.
pub trait Resource: Send + Sync + 'static {
    /// The name of the type, with the provider's prefix.
    const NAME: &'static str;
    /// What the provider makes of its configuration.
    type Client: Send + Sync;
    /// Its attributes.
    type Model: Model;

    /// Rules between attributes. Pure; an unknown value may turn out to be anything.
    fn validate(_config: &Value, _found: &mut Faults<'_>) {}

    /// What a change of one attribute makes of others. Pure.
    fn effects(_plan: &mut Plan<'_>) {}

    /// Checks a plan that changes something against the world. Only reads.
    fn check(
        &self,
        _cx: &Context<'_, Self::Client>,
        _plan: &Plan<'_>,
        _found: &mut Faults<'_>,
    ) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Checks the plan to destroy. Pure.
    fn check_destroy(_prior: &Self::Model, _found: &mut Faults<'_>) {}

    /// Makes it. Saves a state as soon as something exists.
    fn create(
        &self,
        cx: &Context<'_, Self::Client>,
        plan: Self::Model,
        state: &mut State<Self::Model>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Looks at it: saves what is there, or removes the state if it is gone for certain.
    fn read(
        &self,
        cx: &Context<'_, Self::Client>,
        prior: Self::Model,
        state: &mut State<Self::Model>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Changes it from `prior` to `plan`.
    fn update(
        &self,
        cx: &Context<'_, Self::Client>,
        prior: Self::Model,
        plan: Self::Model,
        state: &mut State<Self::Model>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Destroys it. Success, also of something that was gone, means that the state is forgotten.
    fn delete(
        &self,
        cx: &Context<'_, Self::Client>,
        prior: Self::Model,
        state: &mut State<Self::Model>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The attributes that an import id tells, as JSON; read fills the rest.
    fn import(id: &str) -> Result<Json>;
}

/// Collects diagnostics at dotted paths of one schema.
pub struct Faults<'a> {
    schema: &'a Schema,
    /// What was found.
    pub diagnostics: Diagnostics,
}

/// A future that a trait object returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a request of core brings beside values.
pub struct Scope<'a, C> {
    /// `None` while the provider is not configured.
    pub client: Option<&'a C>,
    /// Cancelled when core asks to stop.
    pub cancel: CancellationToken,
}

/// The answer to a plan request.
#[derive(Debug, Default)]
pub struct Planned {
    /// The planned state.
    pub value: Value,
    /// Attributes whose change replaces the resource.
    pub replace: Vec<Path>,
    /// Private data for the apply.
    pub private: Private,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
}

/// The answer to an apply, read or import request.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The new state; null if there is none.
    pub value: Value,
    /// Private data for the next request.
    pub private: Private,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
}

/// A resource whose model is erased: all values are [`Value`]s of its schema.
pub trait AnyResource<C>: Send + Sync {
    /// The name of the type, with the provider's prefix.
    fn name(&self) -> &'static str;
    /// Its schema.
    fn schema(&self) -> &Schema;
    /// Checks a configuration that may hold unknown values.
    fn validate(&self, config: &Value, write_only_allowed: bool) -> Diagnostics;
    /// Plans: null config means destroy, null prior means create.
    fn plan<'a>(
        &'a self,
        scope: Scope<'a, C>,
        config: &'a Value,
        prior: &'a Value,
        private: Private,
    ) -> BoxFuture<'a, Planned>;
    /// Carries a plan out.
    fn apply<'a>(
        &'a self,
        scope: Scope<'a, C>,
        config: &'a Value,
        prior: &'a Value,
        planned: &'a Value,
        private: Private,
    ) -> BoxFuture<'a, Outcome>;
    /// Refreshes a state.
    fn read<'a>(
        &'a self,
        scope: Scope<'a, C>,
        state: &'a Value,
        private: Private,
    ) -> BoxFuture<'a, Outcome>;
    /// The state that an import starts from.
    fn import(&self, id: &str) -> Outcome;
    /// A stored state, of this or an older version, in the current schema.
    fn upgrade(&self, stored: &Json) -> Value;
}

/// Erases the model of a resource.
pub fn erase<R: Resource>(resource: R) -> Arc<dyn AnyResource<R::Client>> {
    Arc::new(adapter::Erased {
        resource,
        schema: R::Model::schema(),
    })
}

impl<M> State<M> {
    fn of(saved: Option<M>) -> Self {
        Self {
            saved,
            warnings: Diagnostics::default(),
        }
    }

    /// Remembers what exists.
    pub fn save(&mut self, model: M) {
        self.saved = Some(model);
    }

    /// Remembers that nothing exists.
    pub fn remove(&mut self) {
        self.saved = None;
    }

    /// Tells the practitioner something that stops nothing.
    pub fn warn(&mut self, summary: impl Into<String>, detail: impl Into<String>) {
        self.warnings.warn(None, summary, detail);
    }
}

impl<'a> Faults<'a> {
    /// Nothing found.
    pub fn new(schema: &'a Schema) -> Self {
        Self {
            schema,
            diagnostics: Diagnostics::default(),
        }
    }

    /// An error at a dotted path; an empty one stands for the resource.
    pub fn error(&mut self, at: &str, summary: impl Into<String>, detail: impl Into<String>) {
        let path = self.path(at);
        self.diagnostics.error(path, summary, detail);
    }

    /// A warning at a dotted path; an empty one stands for the resource.
    pub fn warn(&mut self, at: &str, summary: impl Into<String>, detail: impl Into<String>) {
        let path = self.path(at);
        self.diagnostics.warn(path, summary, detail);
    }

    fn path(&self, at: &str) -> Option<Path> {
        (!at.is_empty()).then(|| self.schema.path(at))
    }
}
