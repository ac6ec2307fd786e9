//! The provider binary.

use std::{process::ExitCode, sync::Arc};

use provider::{
    framework::{AnyResource, Function, Model, Provider, Result, Value, resource::Faults},
    plugin,
};
use serde::{Deserialize, Serialize};

fn main() -> ExitCode {
    plugin::serve(Pmoves)
}

struct Pmoves;

#[derive(Clone, Serialize, Deserialize)]
struct Config {}

impl Model for Config {
    fn schema() -> provider::framework::Schema {
        provider::framework::Schema::new("Docker hosts on Proxmox VE, and Compose stacks on them.")
    }
}

impl Provider for Pmoves {
    const ADDRESS: &'static str = "registry.opentofu.org/cataclysm-studios/pmoves";
    type Config = Config;
    type Client = ();

    fn resources(&self) -> Vec<Arc<dyn AnyResource<()>>> {
        Vec::new()
    }

    fn functions(&self) -> Vec<Function> {
        Vec::new()
    }

    fn validate(&self, _: &Value, _: &mut Faults<'_>) {}

    fn configure(&self, _: Config, _: &[String]) -> Result<()> {
        Ok(())
    }
}
