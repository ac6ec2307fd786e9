//! The provider binary.

use std::process::ExitCode;

use provider::{plugin, provider::Pmoves};

fn main() -> ExitCode {
    plugin::serve(Pmoves)
}
