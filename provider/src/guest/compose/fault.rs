//! One thing wrong in a text that the practitioner wrote, with its place.
//!
//! Does not know what is wrong; it only says where and how to say it.

use std::fmt;

/// A finding in one of the texts, an error or a warning by the list it is in.
///
/// Printed as `compose.yaml:8:5: services.web: unknown key "imge"; did you mean "image"?`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Name of the text, as given in [`super::Source::name`] or as key of the shipped files.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// Where in the document, with dots: `services.web.ports[0]`; empty for the whole.
    pub path: String,
    /// What is wrong, lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}
