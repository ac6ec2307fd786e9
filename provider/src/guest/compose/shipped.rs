//! Paths in Compose text against the files shipped beside it.
//!
//! Does not read the disk: an absolute path is the host's and unknown here.

use std::collections::BTreeMap;

/// The files shipped into the project directory.
#[derive(Clone, Copy)]
pub(super) struct Shipped<'a>(pub(super) &'a BTreeMap<String, &'a [u8]>);

impl<'a> Shipped<'a> {
    pub(super) fn content(self, path: &str) -> Option<&'a [u8]> {
        self.0.get(path).copied()
    }

    /// Paths at or below a path; all for the project directory itself.
    pub(super) fn below(self, path: &str) -> impl Iterator<Item = &'a str> {
        let path = path.to_owned();
        self.0.keys().map(String::as_str).filter(move |file| {
            path.is_empty()
                || file
                    .strip_prefix(path.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// A path of the text relative to the project directory, `""` for the directory itself; `None` for one outside it.
pub(super) fn relative(base: &str, path: &str) -> Option<String> {
    if path.starts_with(['/', '~', '\\']) {
        return None;
    }
    let mut parts = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Directory of a relative path, `""` for the project directory.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Whether a build context is fetched from elsewhere.
pub(super) fn is_remote(context: &str) -> bool {
    context.contains("://") || context.starts_with("git@") || context.starts_with("github.com/")
}
