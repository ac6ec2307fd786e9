//! Terraform semantics: values, schemas, planning, state, and the service that core calls.
//!
//! Knows no Proxmox: a resource hands in its model and its calls, and everything that core demands
//! of a plan or a state is decided here.

pub mod codec;
#[cfg(test)]
mod core_rules;
pub mod diagnostics;
pub mod docs;
pub mod duration;
pub mod function;
pub mod model;
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

pub use derive::Model;
pub use diagnostics::{Diagnostic, Diagnostics, Failure, Result};
pub use function::{Function, FunctionError, Parameter};
pub use model::{Model, Typed};
pub use path::Path;
pub use plan::Plan;
pub use provider::Provider;
pub use resource::{AnyResource, Context, Resource, State};
pub use schema::{Attribute, Schema, Type};
pub use server::Server;
pub use value::{Number, Value};
