//! Messages for the practitioner, and paths, as protobuf.

use proto::tfplugin6 as pb;

use super::super::{Diagnostic, Diagnostics, Path, path::Step};

impl From<Diagnostics> for Vec<pb::Diagnostic> {
    fn from(found: Diagnostics) -> Self {
        found.0.into_iter().map(Into::into).collect()
    }
}

impl From<Diagnostic> for pb::Diagnostic {
    fn from(diagnostic: Diagnostic) -> Self {
        let severity = if diagnostic.error {
            pb::diagnostic::Severity::Error
        } else {
            pb::diagnostic::Severity::Warning
        };
        let path = diagnostic.path.unwrap_or_default();
        // Core finds attributes at the root only: for one inside an object it would point at the
        // whole resource. So the snippet shows the object, and the text says where in it.
        let root = Path(path.0.iter().take(1).cloned().collect());
        let detail = match path.0.len() {
            0 | 1 => diagnostic.detail,
            _ => format!("{path}: {}", diagnostic.detail),
        };
        Self {
            severity: severity.into(),
            summary: diagnostic.summary,
            detail,
            // Core takes an empty path for an attribute too.
            attribute: (!root.0.is_empty()).then(|| (&root).into()),
        }
    }
}

impl From<&Path> for pb::AttributePath {
    fn from(path: &Path) -> Self {
        use pb::attribute_path::step::Selector;
        // Core has no steps into sets: a path ends at the set.
        let steps = path.0.iter().map_while(|step| {
            let selector = match step {
                Step::Attribute(name) => Selector::AttributeName(name.clone()),
                Step::Key(key) => Selector::ElementKeyString(key.clone()),
                Step::Index(index) => Selector::ElementKeyInt(*index),
                Step::Element => return None,
            };
            Some(pb::attribute_path::Step {
                selector: Some(selector),
            })
        });
        Self {
            steps: steps.collect(),
        }
    }
}
