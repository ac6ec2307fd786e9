//! The keys of a guest's configuration, taken out one by one.
//!
//! Does not know which keys a kind of guest has.

use std::{collections::BTreeMap, fmt::Display, str::FromStr};

use serde_json::Value as Json;

use super::{Result, lenient};

/// What PVE answers for `config`, as text.
pub(super) struct Keys(BTreeMap<String, String>);

impl Keys {
    pub(super) fn new(members: BTreeMap<String, Json>) -> Self {
        let members = members.into_iter().filter(|(_, value)| !value.is_null());
        Self(
            members
                .map(|(key, value)| (key, lenient::text(value)))
                .collect(),
        )
    }

    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    pub(super) fn number<T: FromStr<Err: Display>>(
        &mut self,
        key: &str,
    ) -> Result<Option<T>, String> {
        let text = self.take(key);
        text.map(|text| {
            text.parse()
                .map_err(|error| format!("{key}: {error}: `{text}`"))
        })
        .transpose()
    }

    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        self.take(key).map(|text| text == "1")
    }

    /// The tags, in PVE's order.
    pub(super) fn tags(&mut self) -> Vec<String> {
        let tags = self.take("tags").unwrap_or_default();
        let tags = tags.split([';', ',', ' ']).filter(|tag| !tag.is_empty());
        tags.map(str::to_owned).collect()
    }

    /// All keys that are one of these families and a number.
    pub(super) fn slots(&mut self, families: &[&str]) -> BTreeMap<String, String> {
        let is_slot = |key: &String, _: &mut String| {
            let family = key.trim_end_matches(|c: char| c.is_ascii_digit());
            family.len() < key.len() && families.contains(&family)
        };
        self.0.extract_if(.., is_slot).collect()
    }

    /// What nobody took.
    pub(super) fn rest(self) -> BTreeMap<String, String> {
        self.0
    }
}
