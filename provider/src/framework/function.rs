//! Provider functions: pure calculations that configurations call by name.

use super::{Type, Value};

/// One function.
pub struct Function {
    /// What configurations call it.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Markdown for practitioners.
    pub description: &'static str,
    /// What it takes, in order.
    pub parameters: Vec<Parameter>,
    /// What it takes any number of after those.
    pub variadic: Option<Parameter>,
    /// What it returns.
    pub returns: Type,
    /// The calculation. All arguments are known, and null only where a parameter allows it.
    pub call: fn(&[Value]) -> std::result::Result<Value, FunctionError>,
}

/// One parameter of a function.
pub struct Parameter {
    /// Its name in messages and in the documentation.
    pub name: &'static str,
    /// Markdown for practitioners.
    pub description: &'static str,
    /// Its type.
    pub ty: Type,
    /// Whether null is an argument; otherwise core refuses it.
    pub allow_null: bool,
}

/// Why a function has no result.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionError {
    /// The argument at fault, from 0.
    pub argument: Option<usize>,
    /// The whole story.
    pub text: String,
}

impl Function {
    /// The parameter that an argument at a position is for.
    pub fn parameter(&self, position: usize) -> Option<&Parameter> {
        self.parameters.get(position).or(self.variadic.as_ref())
    }
}

impl FunctionError {
    /// An error that is about one argument.
    pub fn at(argument: usize, text: impl Into<String>) -> Self {
        Self {
            argument: Some(argument),
            text: text.into(),
        }
    }
}
