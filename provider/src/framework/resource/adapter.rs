//! The adapter between core's calls, which carry values, and resources, which work on models.
//!
//! Does not know any protocol: what core sends is decoded by the server.

use std::time::Duration;

use serde_json::Value as Json;
use tokio::time::Instant;

use super::{
    AnyResource, BoxFuture, Context, Faults, Outcome, Planned, Resource, Scope, State,
    values::{echo, keep_spelling, with_write_only, without_foreign},
};
use crate::framework::{
    Diagnostics, Failure, Model, Result, Schema, Value, duration,
    model::{self, typed, untyped},
    panic::guarded,
    plan,
    private::Private,
    validate,
};

pub(super) struct Erased<R> {
    pub(super) resource: R,
    pub(super) schema: Schema,
}

impl<R: Resource> Erased<R> {
    fn context<'a>(
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
    fn explain(&self, verb: &str, subject: &Value, failure: &Failure) -> Diagnostics {
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
            diagnostics.extend(self.explain(verb, subject, &failure));
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
            let cx = Self::context(&scope, timeout(subject, verb, default), false)?;
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
            let before = decode(&without_foreign(&self.schema, prior, planned, &private))?;
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
            outcome.value = echo(planned, &outcome.value);
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
            let cx = Self::context(&scope, timeout(stored, "read", 2 * MINUTE), importing)?;
            let prior: R::Model = decode(stored)?;
            state.save(prior.clone());
            self.resource.read(&cx, prior, &mut state).await
        }
        .await;
        let mut outcome = self.outcome(state, private, "read", stored, result);
        outcome.value = keep_spelling(&self.schema, stored, &outcome.value);
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
                    let cx = Self::context(&scope, 2 * MINUTE, false)?;
                    self.resource.check(&cx, &plan, &mut found).await
                }
                .await;
                if let Err(failure) = checked {
                    found
                        .diagnostics
                        .extend(self.explain("plan", config, &failure));
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
                diagnostics.extend(self.explain("import", &Value::Null, &failure));
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

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_those_of_the_state_since_a_destroy_has_no_configuration() {
        let entry = |name: &str, value| Value::Map([(name.to_owned(), value)].into());
        let state = entry("timeouts", entry("delete", "1h".into()));
        assert_eq!(timeout(&state, "delete", MINUTE), 60 * MINUTE);
        assert_eq!(timeout(&state, "read", MINUTE), MINUTE);
        assert_eq!(timeout(&Value::Null, "delete", MINUTE), MINUTE);
    }
}
