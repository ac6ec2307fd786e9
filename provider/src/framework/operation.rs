//! What one operation of a resource or data source is given, and how its failure is told.

use std::{pin::Pin, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Diagnostics, Failure, Model, Result, Schema, Value, duration, model::typed};

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
    /// What the module says in its `provider_meta` block; null where it has none.
    pub meta: Value,
}

/// What a request of core brings beside values.
pub struct Scope<'a, C> {
    /// `None` while the provider is not configured.
    pub client: Option<&'a C>,
    /// Cancelled when core asks to stop.
    pub cancel: CancellationToken,
    /// What the module says in its `provider_meta` block.
    pub meta: Value,
}

/// A future that a trait object returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A minute.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

impl<'a, C> Scope<'a, C> {
    /// What an operation works with that may take so long.
    pub(super) fn context(&self, allowed: Duration) -> Result<Context<'a, C>> {
        let Some(client) = self.client else {
            return Err(Failure::new("the provider is not configured"));
        };
        Ok(Context {
            client,
            deadline: Instant::now() + allowed,
            cancel: self.cancel.clone(),
            importing: false,
            meta: self.meta.clone(),
        })
    }
}

/// The practitioner's timeout for an operation.
pub(super) fn timeout(subject: &Value, operation: &str, default: Duration) -> Duration {
    subject
        .at(&format!("timeouts.{operation}"))
        .as_str()
        .and_then(|text| duration::parse(text).ok())
        .unwrap_or(default)
}

/// A model from what core sent.
pub(super) fn decode<M: Model>(value: &Value) -> Result<M> {
    typed(value).map_err(|error| {
        Failure::new(format!(
            "the state does not fit this version of the provider: {error}"
        ))
    })
}

/// The diagnostics of a failure: one at each attribute that the API refused, else one.
pub(super) fn explain(schema: &Schema, summary: &str, failure: &Failure) -> Diagnostics {
    let mut found = Diagnostics::default();
    let with_hint = |detail: String| match &failure.hint {
        Some(hint) => format!("{detail}\n\nHint: {hint}"),
        None => detail,
    };
    for (param, why) in &failure.rejected {
        let path = schema.path_of_param(param);
        let detail = match &path {
            Some(_) => why.clone(),
            None => format!("{param}: {why}"),
        };
        found.error(path, summary, with_hint(detail));
    }
    if found.0.is_empty() {
        let path = failure.at.as_deref().map(|at| schema.path(at));
        found.error(path, summary, with_hint(capitalised(&failure.detail)));
    }
    found
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
