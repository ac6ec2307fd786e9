//! Lists: the objects of a resource's kind that exist, managed or not, for a search.

use std::{marker::PhantomData, sync::Arc};

use tokio::sync::mpsc;

use super::{
    Context, Diagnostics, Model, Resource, Result, Schema, Value,
    model::untyped,
    operation::{BoxFuture, MINUTE, Scope, decode, explain},
    resource::Faults,
    validate,
};

/// A resource whose objects can be listed.
pub trait ListResource: Resource {
    /// The attributes of a search.
    type Query: Model;

    /// Adds what it finds, until no more is wanted.
    fn list(
        &self,
        cx: &Context<'_, Self::Client>,
        query: Self::Query,
        found: &mut Listing<Self::Model>,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// Where a search puts what it finds.
pub struct Listing<M> {
    to: mpsc::Sender<Listed>,
    left: usize,
    model: PhantomData<fn(M)>,
}

/// One object that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// What practitioners know it by.
    pub name: String,
    /// Its state.
    pub state: Value,
}

impl<M: Model> Listing<M> {
    /// Adds an object; tells whether more are wanted.
    pub async fn add(&mut self, name: impl Into<String>, model: &M) -> bool {
        let listed = Listed {
            name: name.into(),
            state: untyped(model),
        };
        self.left = match self.to.send(listed).await {
            Ok(()) => self.left.saturating_sub(1),
            // Core hung up.
            Err(_) => 0,
        };
        self.left > 0
    }
}

/// A list whose models are erased: all values are [`Value`]s of their schemas.
pub trait AnyListResource<C>: Send + Sync {
    /// The type of the resource.
    fn name(&self) -> &'static str;
    /// The schema of a search.
    fn schema(&self) -> &Schema;
    /// Checks a configuration that may hold unknown values.
    fn validate(&self, config: &Value) -> Diagnostics;
    /// Searches, and sends no more than `limit` objects.
    fn list<'a>(
        &'a self,
        scope: Scope<'a, C>,
        config: &'a Value,
        limit: usize,
        to: mpsc::Sender<Listed>,
    ) -> BoxFuture<'a, Result<(), Diagnostics>>;
}

/// Erases the models of a list.
pub fn erase<R: ListResource>(resource: R) -> Arc<dyn AnyListResource<R::Client>> {
    Arc::new(Erased {
        resource,
        schema: R::Query::schema(),
    })
}

struct Erased<R> {
    resource: R,
    schema: Schema,
}

impl<R: ListResource> AnyListResource<R::Client> for Erased<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        let mut found = Faults::new(&self.schema);
        validate::validate(&self.schema, config, true, &mut found.diagnostics);
        found.diagnostics
    }

    fn list<'a>(
        &'a self,
        scope: Scope<'a, R::Client>,
        config: &'a Value,
        limit: usize,
        to: mpsc::Sender<Listed>,
    ) -> BoxFuture<'a, Result<(), Diagnostics>> {
        Box::pin(async move {
            let mut found = Listing {
                to,
                left: limit,
                model: PhantomData,
            };
            let listed = async {
                let cx = scope.context(10 * MINUTE)?;
                self.resource.list(&cx, decode(config)?, &mut found).await
            };
            let listed = listed.await;
            listed.map_err(|failure| {
                explain(&self.schema, &format!("Cannot list {}", R::NAME), &failure)
            })
        })
    }
}
