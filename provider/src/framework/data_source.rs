//! Data sources: what a configuration reads and nobody manages.

use std::sync::Arc;

use super::{
    Context, Diagnostics, Model, Result, Schema, Value,
    model::untyped,
    operation::{BoxFuture, MINUTE, Scope, decode, explain, timeout},
    resource::Faults,
    validate,
};

/// One kind of thing that configurations look up.
pub trait DataSource: Send + Sync + 'static {
    /// The name of the type, with the provider's prefix.
    const NAME: &'static str;
    /// What the provider makes of its configuration.
    type Client: Send + Sync;
    /// Its attributes: the question, and computed ones for the answer.
    type Model: Model;

    /// Rules between attributes. Pure; an unknown value may turn out to be anything.
    fn validate(_config: &Value, _found: &mut Faults<'_>) {}

    /// The question with its answer. What cannot be found is a failure.
    fn read(
        &self,
        cx: &Context<'_, Self::Client>,
        question: Self::Model,
    ) -> impl Future<Output = Result<Self::Model>> + Send;
}

/// A data source whose model is erased: all values are [`Value`]s of its schema.
pub trait AnyDataSource<C>: Send + Sync {
    /// The name of the type, with the provider's prefix.
    fn name(&self) -> &'static str;
    /// Its schema.
    fn schema(&self) -> &Schema;
    /// Checks a configuration that may hold unknown values.
    fn validate(&self, config: &Value) -> Diagnostics;
    /// Answers a configuration that is wholly known.
    fn read<'a>(
        &'a self,
        scope: Scope<'a, C>,
        config: &'a Value,
    ) -> BoxFuture<'a, Result<Value, Diagnostics>>;
}

/// Erases the model of a data source.
pub fn erase<D: DataSource>(source: D) -> Arc<dyn AnyDataSource<D::Client>> {
    Arc::new(Erased {
        source,
        schema: D::Model::schema(),
    })
}

struct Erased<D> {
    source: D,
    schema: Schema,
}

impl<D: DataSource> AnyDataSource<D::Client> for Erased<D> {
    fn name(&self) -> &'static str {
        D::NAME
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        let mut found = Faults::new(&self.schema);
        validate::validate(&self.schema, config, true, &mut found.diagnostics);
        D::validate(config, &mut found);
        found.diagnostics
    }

    fn read<'a>(
        &'a self,
        scope: Scope<'a, D::Client>,
        config: &'a Value,
    ) -> BoxFuture<'a, Result<Value, Diagnostics>> {
        Box::pin(async move {
            let answer = async {
                let cx = scope.context(timeout(config, "read", 2 * MINUTE))?;
                self.source.read(&cx, decode(config)?).await
            };
            match answer.await {
                Ok(model) => Ok(untyped(&model)),
                Err(failure) => {
                    let summary = format!("Cannot read {}", D::NAME);
                    Err(explain(&self.schema, &summary, &failure))
                }
            }
        })
    }
}
