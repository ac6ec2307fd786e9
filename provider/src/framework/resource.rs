//! Resources: the trait that each one implements, and the adapter that core's calls go through.
//!
//! An operation never returns a state. It writes to [`State`] what core shall remember if the next
//! step fails, so that nothing that was made can be lost.

use std::{pin::Pin, sync::Arc, time::Duration};

use serde_json::Value as Json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Diagnostics, Failure, Model, Path, Plan, Result, Schema, Type, Value, duration,
    model::{self, typed, untyped},
    panic::guarded,
    plan,
    private::Private,
    validate,
};

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
    Arc::new(Erased {
        resource,
        schema: R::Model::schema(),
    })
}

struct Erased<R> {
    resource: R,
    schema: Schema,
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

impl<R: Resource> Erased<R> {
    fn context<'a>(
        &self,
        scope: &Scope<'a, R::Client>,
        allowed: Duration,
        importing: bool,
    ) -> Result<Context<'a, R::Client>> {
        let Some(client) = scope.client else {
            return Err(Failure::new("the provider is not configured"));
        };
        Ok(Context {
            client,
            deadline: Instant::now() + allowed,
            cancel: scope.cancel.clone(),
            importing,
        })
    }

    /// The diagnostics of a failure: one at each attribute that the API refused, else one.
    fn explain(&self, verb: &str, subject: &Value, failure: Failure) -> Diagnostics {
        let mut found = Diagnostics::default();
        let name = ["id", "name", "file_name"]
            .iter()
            .find_map(|key| subject.get(key).as_str())
            .map(|name| format!(" {name:?}"))
            .unwrap_or_default();
        let summary = format!("Cannot {verb} {}{name}", R::NAME);
        let with_hint = |detail: String| match &failure.hint {
            Some(hint) => format!("{detail}\n\nHint: {hint}"),
            None => detail,
        };
        for (param, why) in &failure.rejected {
            let path = self.schema.path_of_param(param);
            let detail = match &path {
                Some(_) => why.clone(),
                None => format!("{param}: {why}"),
            };
            found.error(path, summary.clone(), with_hint(detail));
        }
        if found.0.is_empty() {
            let path = failure.at.as_deref().map(|at| self.schema.path(at));
            found.error(path, summary, with_hint(capitalised(&failure.detail)));
        }
        found
    }

    fn outcome(
        &self,
        state: State<R::Model>,
        private: Private,
        verb: &str,
        subject: &Value,
        result: Result<()>,
    ) -> Outcome {
        let mut diagnostics = state.warnings;
        if let Err(failure) = result {
            diagnostics.extend(self.explain(verb, subject, failure));
        }
        Outcome {
            value: state.saved.as_ref().map_or(Value::Null, untyped),
            private,
            diagnostics,
        }
    }

    async fn carry_out(
        &self,
        scope: Scope<'_, R::Client>,
        config: &Value,
        prior: &Value,
        planned: &Value,
        private: Private,
    ) -> Outcome {
        let (verb, subject, default) = match (prior.is_null(), planned.is_null()) {
            (true, _) => ("create", planned, 30 * MINUTE),
            (_, true) => ("delete", prior, 10 * MINUTE),
            _ => ("update", planned, 30 * MINUTE),
        };
        let mut state = State::of(None);
        let work = async {
            let cx = self.context(&scope, timeout(subject, verb, default), false)?;
            if prior.is_null() {
                let plan = decode(&with_write_only(&self.schema, planned, config))?;
                return self.resource.create(&cx, plan, &mut state).await;
            }
            let before: R::Model = decode(prior)?;
            state.save(before.clone());
            if planned.is_null() {
                return self.resource.delete(&cx, before, &mut state).await;
            }
            let plan = decode(&with_write_only(&self.schema, planned, config))?;
            self.resource.update(&cx, before, plan, &mut state).await
        };
        let result = guarded(work)
            .await
            .unwrap_or_else(|panic| Err(panic.into()));
        if result.is_ok() && planned.is_null() {
            state.remove();
        }
        let mut claims = Private::claiming(&self.schema, config);
        let done = result.is_ok();
        if !done {
            claims.claimed.extend(private.claimed);
        }
        let mut outcome = self.outcome(state, claims, verb, subject, result);
        if done {
            outcome.value = echo(planned, outcome.value);
        }
        outcome
    }

    async fn refresh(
        &self,
        scope: Scope<'_, R::Client>,
        stored: &Value,
        mut private: Private,
    ) -> Outcome {
        let importing = std::mem::take(&mut private.importing);
        let mut state = State::of(None);
        let result = async {
            let cx = self.context(&scope, timeout(stored, "read", 2 * MINUTE), importing)?;
            let prior: R::Model = decode(stored)?;
            state.save(prior.clone());
            self.resource.read(&cx, prior, &mut state).await
        }
        .await;
        let mut outcome = self.outcome(state, private, "read", stored, result);
        outcome.value = keep_spelling(&self.schema, stored, outcome.value);
        self.schema.fill_settings(&mut outcome.value);
        outcome
    }
}

impl<R: Resource> AnyResource<R::Client> for Erased<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: &Value, write_only_allowed: bool) -> Diagnostics {
        let mut found = Faults::new(&self.schema);
        validate::validate(
            &self.schema,
            config,
            write_only_allowed,
            &mut found.diagnostics,
        );
        R::validate(config, &mut found);
        found.diagnostics
    }

    fn plan<'a>(
        &'a self,
        scope: Scope<'a, R::Client>,
        config: &'a Value,
        prior: &'a Value,
        private: Private,
    ) -> BoxFuture<'a, Planned> {
        Box::pin(async move {
            let mut found = Faults::new(&self.schema);
            if config.is_null() {
                if let Ok(prior) = decode::<R::Model>(prior) {
                    R::check_destroy(&prior, &mut found);
                }
                return Planned {
                    private,
                    diagnostics: found.diagnostics,
                    ..Planned::default()
                };
            }
            let mut plan = plan::plan(&self.schema, config, prior, &private);
            R::effects(&mut plan);
            plan.settle();
            found
                .diagnostics
                .extend(std::mem::take(&mut plan.diagnostics));
            if !found.diagnostics.has_error() && plan.value != *prior {
                let checked = async {
                    let cx = self.context(&scope, 2 * MINUTE, false)?;
                    self.resource.check(&cx, &plan, &mut found).await
                }
                .await;
                if let Err(failure) = checked {
                    found
                        .diagnostics
                        .extend(self.explain("plan", config, failure));
                }
            }
            Planned {
                value: plan.value,
                replace: plan.replace,
                private,
                diagnostics: found.diagnostics,
            }
        })
    }

    fn apply<'a>(
        &'a self,
        scope: Scope<'a, R::Client>,
        config: &'a Value,
        prior: &'a Value,
        planned: &'a Value,
        private: Private,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(self.carry_out(scope, config, prior, planned, private))
    }

    fn read<'a>(
        &'a self,
        scope: Scope<'a, R::Client>,
        state: &'a Value,
        private: Private,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(self.refresh(scope, state, private))
    }

    fn import(&self, id: &str) -> Outcome {
        let mut diagnostics = Diagnostics::default();
        let value = match R::import(id) {
            Ok(json) => {
                let mut value = model::object(&json, &self.schema);
                self.schema.fill_settings(&mut value);
                value
            }
            Err(failure) => {
                diagnostics.extend(self.explain("import", &Value::Null, failure));
                Value::Null
            }
        };
        Outcome {
            value,
            private: Private {
                importing: true,
                ..Private::default()
            },
            diagnostics,
        }
    }

    fn upgrade(&self, stored: &Json) -> Value {
        let mut value = model::object(stored, &self.schema);
        self.schema.fill_settings(&mut value);
        value
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// The practitioner's timeout for an operation.
fn timeout(subject: &Value, operation: &str, default: Duration) -> Duration {
    subject
        .at(&format!("timeouts.{operation}"))
        .as_str()
        .and_then(|text| duration::parse(text).ok())
        .unwrap_or(default)
}

fn decode<M: Model>(value: &Value) -> Result<M> {
    typed(value).map_err(|error| {
        Failure::new(format!(
            "the state does not fit this version of the provider: {error}"
        ))
    })
}

/// The planned values with the write-only ones of the configuration, which plans do not carry.
fn with_write_only(schema: &Schema, planned: &Value, config: &Value) -> Value {
    let Value::Map(entries) = planned else {
        return planned.clone();
    };
    let value = |name: &String, value: &Value| match schema.attributes.get(name.as_str()) {
        Some(attribute) if attribute.write_only => config.get(name).clone(),
        Some(attribute) => match &attribute.ty {
            Type::Object(inner) => with_write_only(inner, value, config.get(name)),
            Type::Slots(inner) => match value {
                Value::Map(slots) => Value::Map(
                    slots
                        .iter()
                        .map(|(key, slot)| {
                            (
                                key.clone(),
                                with_write_only(inner, slot, config.get(name).get(key)),
                            )
                        })
                        .collect(),
                ),
                other => other.clone(),
            },
            _ => value.clone(),
        },
        None => value.clone(),
    };
    Value::Map(
        entries
            .iter()
            .map(|(name, planned)| (name.clone(), value(name, planned)))
            .collect(),
    )
}

/// Core demands that every value it was promised comes back, even where reality moved on.
fn echo(planned: &Value, actual: Value) -> Value {
    match (planned, actual) {
        (Value::Unknown, actual) => actual,
        (Value::Map(planned), Value::Map(mut actual)) => Value::Map(
            planned
                .iter()
                .map(|(name, value)| {
                    (
                        name.clone(),
                        echo(value, actual.remove(name).unwrap_or_default()),
                    )
                })
                .collect(),
        ),
        (Value::Map(planned), _) => Value::Map(
            planned
                .iter()
                .map(|(name, value)| (name.clone(), echo(value, Value::Null)))
                .collect(),
        ),
        (Value::List(planned), Value::List(actual)) if planned.len() == actual.len() => {
            Value::List(
                planned
                    .iter()
                    .zip(actual)
                    .map(|(planned, actual)| echo(planned, actual))
                    .collect(),
            )
        }
        (planned, _) => planned.clone(),
    }
}

/// Keeps the spelling of the state where what was read means the same.
fn keep_spelling(schema: &Schema, prior: &Value, read: Value) -> Value {
    let Value::Map(entries) = read else {
        return read;
    };
    let value = |name: &str, value: Value| {
        let before = prior.get(name);
        match schema.attributes.get(name) {
            Some(attribute) => match (&attribute.ty, attribute.same) {
                (_, Some(same))
                    if !before.is_null() && !value.is_null() && same(before, &value) =>
                {
                    before.clone()
                }
                (Type::Object(inner), _) => keep_spelling(inner, before, value),
                (Type::Slots(inner), _) => match value {
                    Value::Map(slots) => Value::Map(
                        slots
                            .into_iter()
                            .map(|(key, slot)| {
                                let kept = keep_spelling(inner, before.get(&key), slot);
                                (key, kept)
                            })
                            .collect(),
                    ),
                    other => other,
                },
                _ => value,
            },
            None => value,
        }
    };
    Value::Map(
        entries
            .into_iter()
            .map(|(name, read)| {
                let kept = value(&name, read);
                (name, kept)
            })
            .collect(),
    )
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
