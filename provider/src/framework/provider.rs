//! The provider as a whole: its configuration, its client, its resources and functions.

use std::sync::Arc;

use super::{AnyResource, Model, Result, Value, function::Function, resource::Faults};

/// What the service that core calls is built from.
pub trait Provider: Send + Sync + 'static {
    /// Where it is published: `host/namespace/type`.
    const ADDRESS: &'static str;
    /// The attributes of the provider block.
    type Config: Model;
    /// What resources work with.
    type Client: Send + Sync + 'static;

    /// The kinds of things it manages.
    fn resources(&self) -> Vec<Arc<dyn AnyResource<Self::Client>>>;

    /// The functions it offers.
    fn functions(&self) -> Vec<Function>;

    /// Rules between attributes. Pure; an unknown value may turn out to be anything.
    fn validate(&self, config: &Value, found: &mut Faults<'_>);

    /// Makes the client; does no I/O and may be called again. `unknown` names the attributes that
    /// are not known yet, which happens only while planning.
    fn configure(&self, config: Self::Config, unknown: &[String]) -> Result<Self::Client>;
}
