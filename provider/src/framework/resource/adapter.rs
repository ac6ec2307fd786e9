//! The adapter between core's calls, which carry values, and resources, which work on models.
//!
//! Does not know any protocol: what core sends is decoded by the server.

use serde_json::Value as Json;

use super::{
    AnyResource, Faults, Outcome, Planned, Resource, State,
    values::{echo, keep_spelling, with_write_only, without_foreign},
};
use crate::framework::{
    Diagnostics, Failure, Result, Schema, Value,
    identity::Identity,
    model::{self, untyped},
    operation::{BoxFuture, MINUTE, Scope, decode, explain, timeout},
    panic::guarded,
    plan,
    private::Private,
    validate,
};

pub(super) struct Erased<R> {
    pub(super) resource: R,
    pub(super) schema: Schema,
    pub(super) identity: Option<Identity>,
}

impl<R: Resource> Erased<R> {
    /// The diagnostics of a failure, which name what it happened to.
    fn explain(&self, verb: &str, subject: &Value, failure: &Failure) -> Diagnostics {
        let name = ["id", "name", "file_name"]
            .iter()
            .find_map(|key| subject.get(key).as_str())
            .map(|name| format!(" {name:?}"))
            .unwrap_or_default();
        explain(
            &self.schema,
            &format!("Cannot {verb} {}{name}", R::NAME),
            failure,
        )
    }

    /// JSON of this version as a state.
    fn stored(&self, json: Result<Json>) -> Result<Value, Diagnostics> {
        let json = json.map_err(|failure| self.explain("upgrade", &Value::Null, &failure))?;
        let mut value = model::object(&json, &self.schema);
        self.schema.fill_settings(&mut value);
        match value.is_null() {
            true => Err(self.explain("upgrade", &Value::Null, &not_an_object("state"))),
            false => Ok(value),
        }
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
            let cx = scope.context(timeout(subject, verb, default))?;
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
            let mut cx = scope.context(timeout(stored, "read", 2 * MINUTE))?;
            cx.importing = importing;
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
                if let Ok(before) = decode::<R::Model>(prior) {
                    R::check_destroy(&before, &mut found);
                    let checked = async {
                        let cx = scope.context(2 * MINUTE)?;
                        self.resource.check_delete(&cx, &before, &mut found).await
                    }
                    .await;
                    if let Err(failure) = checked {
                        found
                            .diagnostics
                            .extend(self.explain("plan", prior, &failure));
                    }
                }
                return Planned {
                    private,
                    diagnostics: found.diagnostics,
                    ..Planned::default()
                };
            }
            let mut plan = plan::plan(&self.schema, config, prior, &private);
            R::observe(&mut plan).await;
            R::effects(&mut plan);
            plan.settle();
            found
                .diagnostics
                .extend(std::mem::take(&mut plan.diagnostics));
            if !found.diagnostics.has_error() && plan.value != *prior {
                let checked = async {
                    let cx = scope.context(2 * MINUTE)?;
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

    fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    fn version(&self) -> i64 {
        R::VERSION
    }

    fn upgrade(&self, version: i64, stored: Json) -> Result<Value, Diagnostics> {
        self.stored(upgraded("state", version, R::VERSION, stored, R::upgrade))
    }

    fn upgrade_identity(&self, version: i64, stored: Json) -> Result<Value, Diagnostics> {
        let step = R::upgrade_identity;
        upgraded("identity", version, R::IDENTITY_VERSION, stored, step)
            .and_then(|json| {
                let identity = self.identity.as_ref();
                let value = identity.map(|identity| model::object(&json, &identity.schema));
                value
                    .filter(|value| !value.is_null())
                    .ok_or_else(|| not_an_object("identity"))
            })
            .map_err(|failure| self.explain("upgrade the identity of", &Value::Null, &failure))
    }

    fn moved(&self, from: &str, version: i64, stored: Json) -> Option<Result<Value, Diagnostics>> {
        R::moved(from, version, stored).map(|json| self.stored(json))
    }
}

fn not_an_object(what: &str) -> Failure {
    Failure::new(format!("the stored {what} is not an object"))
}

/// What was stored in the current version; core sends what is in it already too.
fn upgraded(
    what: &str,
    version: i64,
    current: i64,
    stored: Json,
    step: fn(i64, Json) -> Result<Json>,
) -> Result<Json> {
    match version {
        _ if version == current => Ok(stored),
        0.. if version < current => step(version, stored),
        _ => Err(Failure::new(format!(
            "the stored {what} is of version {version}, and this version of the provider knows versions up to {current}"
        ))),
    }
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
