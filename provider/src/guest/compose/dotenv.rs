//! `.env` text: read and written by Compose's rules.
//!
//! Does not read files.

use std::collections::BTreeMap;

use super::Fault;

/// Reads the text of an env file.
///
/// `outer` are variables that win over the file's own in `${...}` and give bare keys their value.
///
/// # Errors
/// The first fault; nothing after it can be trusted.
pub fn parse(
    file: &str,
    text: &str,
    outer: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Fault> {
    let _ = (file, text, outer);
    Ok(BTreeMap::new())
}

/// Writes variables so that Compose reads back exactly these values, sorted by name.
pub fn write(values: &BTreeMap<String, String>) -> String {
    let _ = values;
    String::new()
}

/// Fills an env template: every key gets its value, comments and order stay.
///
/// # Errors
/// All keys that have neither a value nor a default in the template.
pub fn render_env(
    template: &str,
    values: &BTreeMap<String, String>,
) -> Result<String, Vec<String>> {
    let _ = (template, values);
    Ok(String::new())
}
