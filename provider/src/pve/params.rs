//! Parameters of a call, by PVE's names and in PVE's notation.
//!
//! Does not know which parameters exist, and does not percent-encode: the transport does.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde_json::Value as Json;

/// Parameters by name. Numbers and flags are text, as PVE accepts them everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(BTreeMap<Cow<'static, str>, Value>);

#[derive(Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    Secret(String),
    Array(Vec<String>),
}

impl Params {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the parameter if there is a value.
    pub fn with(self, name: impl Into<Cow<'static, str>>, value: Option<impl ToString>) -> Self {
        self.insert(name, value.map(|value| Value::Text(value.to_string())))
    }

    /// Adds the flag as `0` or `1`; PVE refuses `true`.
    pub fn flag(self, name: impl Into<Cow<'static, str>>, value: Option<bool>) -> Self {
        self.with(name, value.map(u8::from))
    }

    /// Adds a comma-separated list (PVE's `-list` formats), unless it is empty.
    pub fn list<T: ToString>(
        self,
        name: impl Into<Cow<'static, str>>,
        items: impl IntoIterator<Item = T>,
    ) -> Self {
        let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
        self.with(name, (!items.is_empty()).then(|| items.join(",")))
    }

    /// Adds a value that is masked wherever the call is printed.
    pub fn secret(
        self,
        name: impl Into<Cow<'static, str>>,
        value: Option<impl Into<String>>,
    ) -> Self {
        self.insert(name, value.map(|value| Value::Secret(value.into())))
    }

    /// Adds a true array, such as the command of the guest agent.
    pub fn array<T: ToString>(
        self,
        name: impl Into<Cow<'static, str>>,
        items: impl IntoIterator<Item = T>,
    ) -> Self {
        let items = items.into_iter().map(|item| item.to_string()).collect();
        self.insert(name, Some(Value::Array(items)))
    }

    /// These parameters and `other`, which wins.
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether nothing would be sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value as it would be sent; `None` for arrays too.
    pub fn value(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Value::Text(text) | Value::Secret(text) => Some(text),
            Value::Array(_) => None,
        }
    }

    /// For guests, where PVE keeps what is not sent: what changed, and `delete` for what is gone.
    pub fn patch(&self, next: &Self) -> Self {
        let changed = next
            .0
            .iter()
            .filter(|(name, value)| self.0.get(*name) != Some(value));
        Self(
            changed
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
        .list("delete", self.gone(next))
    }

    /// For interfaces, whose method PVE derives from the request alone: everything, and `delete` for what is gone.
    pub fn put(&self, next: &Self) -> Self {
        next.clone().list("delete", self.gone(next))
    }

    fn gone<'a>(&'a self, next: &'a Self) -> impl Iterator<Item = &'a Cow<'static, str>> {
        self.0.keys().filter(|name| !next.0.contains_key(*name))
    }

    fn insert(mut self, name: impl Into<Cow<'static, str>>, value: Option<Value>) -> Self {
        self.0.extend(value.map(|value| (name.into(), value)));
        self
    }

    /// The body of a request.
    pub(super) fn to_json(&self) -> Json {
        let json = |value: &Value| match value {
            Value::Text(text) | Value::Secret(text) => Json::from(text.as_str()),
            Value::Array(items) => Json::from(items.clone()),
        };
        let members = self.0.iter();
        Json::Object(
            members
                .map(|(name, value)| (name.to_string(), json(value)))
                .collect(),
        )
    }

    /// Name and value of each query parameter; arrays repeat their name.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(name, value)| {
            let values = match value {
                Value::Text(text) | Value::Secret(text) => std::slice::from_ref(text),
                Value::Array(items) => items.as_slice(),
            };
            values
                .iter()
                .map(move |value| (name.as_ref(), value.as_str()))
        })
    }
}

/// `name=value` separated by blanks, on one line; secrets masked.
impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .enumerate()
            .try_for_each(|(index, (name, value))| {
                let blank = if index == 0 { "" } else { " " };
                write!(f, "{blank}{name}={value:?}")
            })
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("***"),
            Self::Array(items) => write!(f, "{items:?}"),
            Self::Text(text)
                if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"') =>
            {
                write!(f, "{text:?}")
            }
            Self::Text(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(params: &Params, expected: &Expect) {
        expected.assert_eq(&params.to_string());
    }

    fn prior() -> Params {
        Params::new()
            .with("cores", Some(2))
            .with("tags", Some("a;b"))
            .with("net0", Some("virtio"))
    }

    #[test]
    fn prints_on_one_line_without_secrets() {
        let params = Params::new()
            .with("description", Some("two\nlines"))
            .with("name", None::<&str>)
            .with(format!("net{}", 0), Some("virtio,bridge=vmbr0"))
            .flag("onboot", Some(true))
            .list("delete", ["b", "a"])
            .list("revert", [""; 0])
            .secret("cipassword", Some("hunter2"))
            .array("command", ["sh", "-c", "id"]);
        check(
            &params,
            &expect![[
                r#"cipassword=*** command=["sh", "-c", "id"] delete=b,a description="two\nlines" net0=virtio,bridge=vmbr0 onboot=1"#
            ]],
        );
        assert!(!format!("{params:?}").contains("hunter2"));
    }

    #[test]
    fn patch_sends_changes_and_deletes() {
        let next = Params::new()
            .with("cores", Some(4))
            .with("net0", Some("virtio"));
        check(&prior().patch(&next), &expect!["cores=4 delete=tags"]);
    }

    #[test]
    fn patch_without_changes_is_empty() {
        assert!(prior().patch(&prior()).is_empty());
    }

    #[test]
    fn put_sends_everything_and_deletes() {
        let next = Params::new().with("cores", Some(2)).with("name", Some("x"));
        check(
            &prior().put(&next),
            &expect!["cores=2 delete=net0,tags name=x"],
        );
    }
}
