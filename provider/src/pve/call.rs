//! One API request as a value: built by pure code, compared and printed by tests, sent by the client.
//!
//! Does not know which paths exist.

use std::fmt;

use reqwest::Method;

use super::Params;

/// One API request that has not been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) params: Params,
    pub(super) task: bool,
    pub(super) whole: bool,
    pub(super) slot: Slot,
}

/// Which of a node's limits a call counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    Clone,
    Write,
    Agent,
    Read,
}

impl Call {
    /// Reads `path`, which is absolute below `/api2/json` and not percent-encoded.
    pub fn get(path: impl Into<String>, params: Params) -> Self {
        Self::new(Method::GET, path, params, Slot::Read)
    }

    /// Creates something, or starts an action.
    pub fn post(path: impl Into<String>, params: Params) -> Self {
        Self::new(Method::POST, path, params, Slot::Write)
    }

    /// Changes something.
    pub fn put(path: impl Into<String>, params: Params) -> Self {
        Self::new(Method::PUT, path, params, Slot::Write)
    }

    /// Deletes something.
    pub fn delete(path: impl Into<String>, params: Params) -> Self {
        Self::new(Method::DELETE, path, params, Slot::Write)
    }

    /// The answer is a UPID, and the work is done when that task has ended.
    pub fn task(self) -> Self {
        Self { task: true, ..self }
    }

    /// What stands beside `data` in the answer is wanted too.
    pub(super) fn whole(self) -> Self {
        Self {
            whole: true,
            ..self
        }
    }

    /// Copies a disk: counts against the node's clones until its task has ended.
    pub fn clone_slot(self) -> Self {
        Self {
            slot: Slot::Clone,
            ..self
        }
    }

    /// Goes through a guest agent.
    pub(super) fn agent_slot(self) -> Self {
        Self {
            slot: Slot::Agent,
            ..self
        }
    }

    /// Path below `/api2/json`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is sent along.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The node the call works on; `None` for cluster-wide calls.
    pub fn node(&self) -> Option<&str> {
        self.path.strip_prefix("/nodes/")?.split('/').next()
    }

    /// `PUT /nodes/pve1/qemu/101/config`, for messages.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(super) fn reads(&self) -> bool {
        self.method == Method::GET
    }

    /// Whether PVE wants the parameters in the query, and no body.
    pub(super) fn in_query(&self) -> bool {
        self.method == Method::GET || self.method == Method::DELETE
    }

    /// Whether the list of guests may differ afterwards.
    pub(super) fn changes_guests(&self) -> bool {
        !self.reads() && matches!(self.slot, Slot::Clone | Slot::Write)
    }

    fn new(method: Method, path: impl Into<String>, params: Params, slot: Slot) -> Self {
        Self {
            method,
            path: path.into(),
            params,
            task: false,
            whole: false,
            slot,
        }
    }
}

/// `PUT /nodes/pve1/qemu/101/config cores=4 delete=tags`: one line, secrets masked.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        if !self.params.is_empty() {
            write!(f, " {}", self.params)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_one_line() {
        let call = Call::put(
            "/nodes/pve1/qemu/101/config",
            Params::new()
                .with("cores", Some(4))
                .list("delete", ["tags"]),
        );
        assert_eq!(
            call.to_string(),
            "PUT /nodes/pve1/qemu/101/config cores=4 delete=tags"
        );
        assert_eq!(call.node(), Some("pve1"));
        assert_eq!(
            Call::get("/version", Params::new()).to_string(),
            "GET /version"
        );
    }
}
