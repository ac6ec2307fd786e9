//! The provider as a whole: its configuration, its client, and what it offers.

use std::sync::Arc;

use super::{
    AnyDataSource, AnyEphemeralResource, AnyListResource, AnyResource, Model, Result, Schema,
    Value, function::Function, resource::Faults,
};

/// What the service that core calls is built from.
pub trait Provider: Send + Sync + 'static {
    /// Where it is published: `host/namespace/type`.
    const ADDRESS: &'static str;
    /// `namespace/type` of addresses that it was published at before.
    const FORMERLY: &'static [&'static str] = &[];
    /// The attributes of the provider block.
    type Config: Model;
    /// What resources work with.
    type Client: Send + Sync + 'static;

    /// The kinds of things it manages.
    fn resources(&self) -> Vec<Arc<dyn AnyResource<Self::Client>>>;

    /// The kinds of things that configurations look up.
    fn data_sources(&self) -> Vec<Arc<dyn AnyDataSource<Self::Client>>> {
        Vec::new()
    }

    /// The kinds of things that last as long as a command.
    fn ephemeral_resources(&self) -> Vec<Arc<dyn AnyEphemeralResource<Self::Client>>> {
        Vec::new()
    }

    /// The resources whose objects can be listed.
    fn lists(&self) -> Vec<Arc<dyn AnyListResource<Self::Client>>> {
        Vec::new()
    }

    /// The functions it offers.
    fn functions(&self) -> Vec<Function> {
        Vec::new()
    }

    /// What modules may say in a `provider_meta` block.
    fn meta(&self) -> Option<Schema> {
        None
    }

    /// Rules between attributes. Pure; an unknown value may turn out to be anything.
    fn validate(&self, _config: &Value, _found: &mut Faults<'_>) {}

    /// Makes the client; does no I/O and may be called again. `unknown` names the attributes that
    /// are not known yet, which happens only while planning.
    fn configure(&self, config: Self::Config, unknown: &[String]) -> Result<Self::Client>;
}
