//! What practitioners are told: errors and warnings, at the attribute where that is known.

use super::Path;

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// Whether it stops the operation.
    pub error: bool,
    /// One line.
    pub summary: String,
    /// The whole story; may be empty.
    pub detail: String,
    /// The attribute it is about.
    pub path: Option<Path>,
}

/// Messages in the order they arose.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

/// What stopped an operation, before anybody knows which resource it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failure {
    /// The story, without the name of the resource.
    pub detail: String,
    /// Parameters that the API refused, with its reasons.
    pub rejected: Vec<(String, String)>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The attribute at fault, dotted, where the code knows it.
    pub at: Option<String>,
}

/// The result of a resource's operation.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure that is only a sentence.
    pub fn new(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..Self::default()
        }
    }

    /// Names the attribute at fault, dotted.
    pub fn at(self, path: impl Into<String>) -> Self {
        Self {
            at: Some(path.into()),
            ..self
        }
    }

    /// Points at the attribute unless the failure knows better.
    #[must_use]
    pub fn or_at(self, path: &str) -> Self {
        match self.at {
            None => self.at(path),
            Some(_) => self,
        }
    }

    /// Adds what to do about it.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

impl Diagnostics {
    /// Adds an error.
    pub fn error(
        &mut self,
        path: Option<Path>,
        summary: impl Into<String>,
        detail: impl Into<String>,
    ) {
        self.push(true, path, summary.into(), detail.into());
    }

    /// Adds a warning.
    pub fn warn(
        &mut self,
        path: Option<Path>,
        summary: impl Into<String>,
        detail: impl Into<String>,
    ) {
        self.push(false, path, summary.into(), detail.into());
    }

    /// Whether anything here stops the operation.
    pub fn has_error(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.error)
    }

    /// Appends another batch.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    fn push(&mut self, error: bool, path: Option<Path>, summary: String, detail: String) {
        self.0.push(Diagnostic {
            error,
            summary,
            detail,
            path,
        });
    }
}
