//! `${...}` in Compose text, equal to what Compose's own template engine makes of it.
//!
//! Does not know YAML beyond walking a tree's values; keys are never interpolated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Fault;
use super::yaml::{Node, Scalar, Value};

/// Deepest nesting of `${A:-${B:-...}}`.
const DEEPEST: usize = 50;

/// Names met while interpolating.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) used: BTreeSet<String>,
    /// Without value and default: Compose warns and takes an empty text.
    pub(super) missing: BTreeSet<String>,
}

/// What interpolating trees brought to light.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Names that the texts interpolate.
    pub(super) used: BTreeSet<String>,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
}

/// Why a text cannot be interpolated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("`{0}` is no valid variable")]
    Syntax(String),
    #[error("variable {name} needs a value{}", with_colon(.reason))]
    Required { name: String, reason: String },
    #[error("variables are nested deeper than {DEEPEST} levels")]
    Deep,
}

impl Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Syntax(_) => Some("a `$` that is meant as such is written `$$`".into()),
            Self::Required { name, .. } => Some(format!("set `{name}` in `env`")),
            Self::Deep => None,
        }
    }
}

fn with_colon(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    }
}

/// Interpolates every value of a tree; a value at fault stays as written.
pub(super) fn tree(
    node: &Arc<Node>,
    path: &str,
    env: &BTreeMap<String, String>,
    found: &mut Findings,
) -> Arc<Node> {
    match &node.value {
        Value::Scalar(scalar) if !scalar.text.contains('$') => node.clone(),
        Value::Scalar(scalar) => {
            let mut names = Names::default();
            let result = text(&scalar.text, env, &mut names);
            found.used.extend(names.used);
            for name in names.missing {
                let words = format!("variable \"{name}\" is not set and taken as empty");
                found.warnings.push(node.place.fault(path, words));
            }
            match result {
                Ok(text) => node.with(Value::Scalar(Scalar::text(text))),
                Err(error) => {
                    found.faults.push(Fault {
                        hint: error.hint(),
                        ..node.place.fault(path, error.to_string())
                    });
                    node.clone()
                }
            }
        }
        Value::List(items) => {
            let items = items.iter().enumerate();
            let items = items.map(|(at, item)| tree(item, &format!("{path}[{at}]"), env, found));
            node.with(Value::List(items.collect()))
        }
        Value::Map(entries) => {
            let mut entries = entries.clone();
            for entry in &mut entries {
                entry.node = tree(&entry.node, &join(path, &entry.key), env, found);
            }
            node.with(Value::Map(entries))
        }
    }
}

/// Path of a key below another path.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Interpolates one text.
pub(super) fn text(
    template: &str,
    env: &BTreeMap<String, String>,
    names: &mut Names,
) -> Result<String, Error> {
    nested(template, env, names, 0)
}

fn nested(
    template: &str,
    env: &BTreeMap<String, String>,
    names: &mut Names,
    depth: usize,
) -> Result<String, Error> {
    if depth > DEEPEST {
        return Err(Error::Deep);
    }
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('{') {
            let end = end_of(rest).ok_or_else(|| Error::Syntax(template.to_owned()))?;
            // `end` counts from the brace.
            let variable = &inside[..end - 1];
            out.push_str(&braced(variable, template, env, names, depth)?);
            rest = &rest[end + 1..];
        } else {
            let name = name_of(rest);
            if name.is_empty() {
                // A `$` before anything else stands for itself.
                out.push('$');
            } else {
                out.push_str(&plain(name, env, names));
                rest = &rest[name.len()..];
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Position of the brace that closes the one at the start; only looked for in the same line.
///
/// Compose counts braces and, after each opening one, skips a byte; where that finds nothing, the last closing brace of
/// the line counts. A variable without operator ends at the first closing brace.
fn end_of(text: &str) -> Option<usize> {
    let name = name_of(&text[1..]);
    let after = &text[1 + name.len()..];
    if after.starts_with('}') {
        return Some(1 + name.len());
    }
    let line = text.split('\n').next().unwrap_or(text);
    let last = line.rfind('}')?;
    let bytes = line.as_bytes();
    let (mut open, mut at) = (0_usize, 0);
    while at <= last {
        match bytes[at] {
            b'}' if open <= 1 => return Some(at),
            b'}' => open -= 1,
            b'{' => {
                open += 1;
                at += 1;
            }
            _ => {}
        }
        at += 1;
    }
    Some(last)
}

fn braced(
    variable: &str,
    template: &str,
    env: &BTreeMap<String, String>,
    names: &mut Names,
    depth: usize,
) -> Result<String, Error> {
    let name = name_of(variable);
    let operation = &variable[name.len()..];
    let (empty_is_unset, operation) = match operation.strip_prefix(':') {
        Some(operation) => (true, operation),
        None => (false, operation),
    };
    let syntax = || Error::Syntax(template.to_owned());
    if name.is_empty() {
        return Err(syntax());
    }
    let Some(operator) = operation.chars().next() else {
        return if empty_is_unset {
            Err(syntax())
        } else {
            Ok(plain(name, env, names))
        };
    };
    names.used.insert(name.to_owned());
    let value = env.get(name).map(String::as_str);
    let given = value.filter(|value| !(empty_is_unset && value.is_empty()));
    let argument = &operation[operator.len_utf8()..];
    match (operator, given) {
        ('-' | '?', Some(given)) => Ok(given.to_owned()),
        ('-', None) | ('+', Some(_)) => nested(argument, env, names, depth + 1),
        ('+', None) => Ok(value.unwrap_or_default().to_owned()),
        ('?', None) => Err(Error::Required {
            name: name.to_owned(),
            reason: nested(argument, env, names, depth + 1)?,
        }),
        _ => Err(syntax()),
    }
}

fn plain(name: &str, env: &BTreeMap<String, String>, names: &mut Names) -> String {
    names.used.insert(name.to_owned());
    env.get(name).cloned().unwrap_or_else(|| {
        names.missing.insert(name.to_owned());
        String::new()
    })
}

/// The variable name at the start of a text; empty if there is none.
fn name_of(text: &str) -> &str {
    let end = text.find(|c: char| !(c == '_' || c.is_ascii_alphanumeric()));
    let name = &text[..end.unwrap_or(text.len())];
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        ""
    } else {
        name
    }
}

#[cfg(test)]
mod tests;
