//! Resources: the trait that each one implements, and its erased twin that the server calls.
//!
//! An operation never returns a state. It writes to [`State`] what core shall remember if the next
//! step fails, so that nothing that was made can be lost.

mod adapter;
mod values;

use std::sync::Arc;

use serde_json::Value as Json;

use super::{
    Context, Diagnostics, Model, Path, Plan, Result, Schema, Value,
    identity::Identity,
    operation::{BoxFuture, Scope},
    private::Private,
};

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
    /// The version of its stored states. Core locks providers out that are older than a state, so it
    /// rises only where the JSON itself does not tell what an older version meant.
    const VERSION: i64 = 0;
    /// The attributes that together say which object of the cluster it is: each replaces the resource
    /// or is computed once. Joined with slashes they are an import id.
    const IDENTITY: &'static [&'static str] = &[];
    /// The version of stored identities.
    const IDENTITY_VERSION: i64 = 0;

    /// Rules between attributes. Pure; an unknown value may turn out to be anything.
    fn validate(_config: &Value, _found: &mut Faults<'_>) {}

    /// Notes in a plan what lies beside configuration, state and cluster: files of this machine. Only reads.
    fn observe(_plan: &mut Plan<'_>) -> impl Future<Output = ()> + Send {
        async {}
    }

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

    /// Checks the plan to destroy against the world. Only reads.
    fn check_delete(
        &self,
        _cx: &Context<'_, Self::Client>,
        _prior: &Self::Model,
        _found: &mut Faults<'_>,
    ) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

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

    /// A state of an older version as one of this version. Pure.
    fn upgrade(_version: i64, stored: Json) -> Result<Json> {
        Ok(stored)
    }

    /// An identity of an older version as one of this version. Pure.
    fn upgrade_identity(_version: i64, stored: Json) -> Result<Json> {
        Ok(stored)
    }

    /// The state of another type of this provider, in some version of it, as one of this type; `None`
    /// of a type that cannot become this one. Pure.
    fn moved(_from: &str, _version: i64, _stored: Json) -> Option<Result<Json>> {
        None
    }
}

/// Collects diagnostics at dotted paths of one schema.
pub struct Faults<'a> {
    schema: &'a Schema,
    /// What was found.
    pub diagnostics: Diagnostics,
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
    /// How it is identified, if it is.
    fn identity(&self) -> Option<&Identity>;
    /// The version of its stored states.
    fn version(&self) -> i64;
    /// A stored state, of this or an older version, in the current schema.
    fn upgrade(&self, version: i64, stored: Json) -> Result<Value, Diagnostics>;
    /// A stored identity, of this or an older version, in the current schema.
    fn upgrade_identity(&self, version: i64, stored: Json) -> Result<Value, Diagnostics>;
    /// The stored state of another type in the current schema of this one; `None` if it cannot be.
    fn moved(&self, from: &str, version: i64, stored: Json) -> Option<Result<Value, Diagnostics>>;
}

/// Erases the model of a resource.
pub fn erase<R: Resource>(resource: R) -> Arc<dyn AnyResource<R::Client>> {
    let schema = R::Model::schema();
    Arc::new(adapter::Erased {
        resource,
        identity: Identity::of(R::IDENTITY, R::IDENTITY_VERSION, &schema),
        schema,
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
