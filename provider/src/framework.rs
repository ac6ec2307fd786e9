//! Terraform semantics: values, schemas, planning, state, and the service that core calls.
//!
//! Knows no Proxmox: a resource hands in its model and its calls, and everything that core demands
//! of a plan or a state is decided here.

pub mod codec;
#[cfg(test)]
mod core_rules;
pub mod data_source;
pub mod diagnostics;
pub mod docs;
pub mod duration;
pub mod ephemeral;
pub mod function;
pub mod generate;
pub mod identity;
pub mod list;
pub mod model;
pub mod operation;
pub mod panic;
pub mod path;
pub mod plan;
pub mod private;
pub mod provider;
pub mod resource;
pub mod schema;
pub mod server;
pub mod validate;
pub mod value;

pub use data_source::{AnyDataSource, DataSource};
pub use derive::Model;
pub use diagnostics::{Diagnostic, Diagnostics, Failure, Result};
pub use ephemeral::{AnyEphemeralResource, EphemeralResource, Lease};
pub use function::{Function, FunctionError, Parameter};
pub use list::{AnyListResource, ListResource, Listing};
pub use model::{Model, Typed};
pub use operation::Context;
pub use path::Path;
pub use plan::Plan;
pub use provider::Provider;
pub use resource::{AnyResource, Resource, State};
pub use schema::{Attribute, Schema, Type};
pub use server::Server;
pub use value::{Number, Value};
