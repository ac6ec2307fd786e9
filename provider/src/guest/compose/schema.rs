//! Whether a Compose text has only keys that Compose knows, each with a value of the right type.
//!
//! Does not follow references between parts of the text; `check` does.

mod build;
mod deploy;
mod near;
mod service;
mod top;

pub(super) use near::nearest;

use super::Fault;
use super::interpolate::join;
use super::short;
use super::yaml::{Look, Node, Place, Scalar, Value};

/// A map with known keys; keys that begin with `x-` are always allowed.
pub(super) struct Object {
    keys: &'static [(&'static str, Kind)],
    required: &'static [&'static str],
}

/// What a value may be.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Any,
    /// Nothing after the colon.
    Null,
    /// Text: what looks like a number or a bool must be quoted.
    Text,
    /// Text, number or bool, as labels and variables are.
    Scalar,
    /// Text or number.
    TextOrNumber,
    Number,
    Int,
    Bool,
    /// Text such as `1m30s`.
    Duration,
    /// A number or text such as `512m`.
    Bytes,
    /// Text such as `512m`.
    BytesText,
    Choice(&'static [&'static str]),
    /// Text that a rule accepts, with the words that say which.
    Rule(fn(&str) -> bool, &'static str),
    List(&'static Kind),
    /// A map with keys of the practitioner's choice.
    Map(&'static Kind),
    /// The same, its keys being names as services have.
    Named(&'static Kind),
    Object(&'static Object),
    /// The first that fits the value's shape.
    Either(&'static [Kind]),
}

pub(super) const STRINGS: Kind = Kind::List(&Kind::Text);
pub(super) const STRING_OR_LIST: Kind = Kind::Either(&[Kind::Text, STRINGS]);
pub(super) const LIST_OR_MAP: Kind = Kind::Either(&[
    Kind::Map(&Kind::Either(&[Kind::Scalar, Kind::Null])),
    STRINGS,
]);
pub(super) const COMMAND: Kind = Kind::Either(&[Kind::Text, STRINGS, Kind::Null]);
pub(super) const OPTIONS: Kind = Kind::Map(&Kind::TextOrNumber);

/// Checks one whole text.
pub(super) fn check(root: &Node, faults: &mut Vec<Fault>) {
    value(root, &root.place, &Kind::Object(&top::TOP), "", faults);
}

/// `key` is where the value's key stands, for values that are not there.
fn value(node: &Node, key: &Place, kind: &Kind, path: &str, faults: &mut Vec<Fault>) {
    // A reset key has no value that counts.
    if node.tag.as_deref() == Some("!reset") || matches!(kind, Kind::Any) {
        return;
    }
    if let Kind::Either(kinds) = kind
        && let Some(kind) = kinds.iter().find(|kind| shape_fits(node, kind))
    {
        return value(node, key, kind, path, faults);
    }
    if !shape_fits(node, kind) {
        let (place, found) = match &node.value {
            _ if node.is_null() => (key, "nothing"),
            Value::Scalar(_) => (&node.place, "a single value"),
            Value::List(_) => (&node.place, "a list"),
            Value::Map(_) => (&node.place, "a map"),
        };
        let message = format!("must be {}, but {found} is given", words(kind));
        faults.push(place.fault(path, message));
        return;
    }
    match (&node.value, kind) {
        (Value::Scalar(found), kind) => {
            if let Some((message, hint)) = scalar(found, kind) {
                faults.push(Fault {
                    hint,
                    ..node.place.fault(path, message)
                });
            }
        }
        (Value::List(items), Kind::List(kind)) => {
            for (at, item) in items.iter().enumerate() {
                value(item, &item.place, kind, &format!("{path}[{at}]"), faults);
            }
        }
        (Value::Map(entries), Kind::Map(kind)) => {
            for entry in entries {
                value(
                    &entry.node,
                    &entry.place,
                    kind,
                    &join(path, &entry.key),
                    faults,
                );
            }
        }
        (Value::Map(entries), Kind::Named(kind)) => {
            for entry in entries.iter().filter(|entry| !entry.key.starts_with("x-")) {
                if !short::is_name(&entry.key) {
                    let message = format!(
                        "a name may hold letters, digits and `._-`; \"{}\" does not",
                        entry.key
                    );
                    faults.push(entry.place.fault(path, message));
                }
                value(
                    &entry.node,
                    &entry.place,
                    kind,
                    &join(path, &entry.key),
                    faults,
                );
            }
        }
        (Value::Map(_), Kind::Object(object)) => keys(node, key, object, path, faults),
        _ => {}
    }
}

fn keys(node: &Node, at: &Place, object: &Object, path: &str, faults: &mut Vec<Fault>) {
    for entry in node
        .entries()
        .iter()
        .filter(|entry| !entry.key.starts_with("x-"))
    {
        if let Some((_, kind)) = object.keys.iter().find(|(key, _)| *key == entry.key) {
            value(
                &entry.node,
                &entry.place,
                kind,
                &join(path, &entry.key),
                faults,
            );
            continue;
        }
        let near = nearest(&entry.key, object.keys.iter().map(|(key, _)| *key));
        let hint = match near {
            Some(near) => Some(format!("did you mean \"{near}\"?")),
            None if path.is_empty() => top::misplaced(entry),
            None => None,
        };
        faults.push(Fault {
            hint,
            ..entry
                .place
                .fault(path, format!("unknown key \"{}\"", entry.key))
        });
    }
    for key in object.required {
        if node.get(key).is_none() {
            faults.push(at.fault(path, format!("needs a key \"{key}\"")));
        }
    }
}

fn shape_fits(node: &Node, kind: &Kind) -> bool {
    match kind {
        Kind::Any => true,
        Kind::Either(kinds) => kinds.iter().any(|kind| shape_fits(node, kind)),
        Kind::Null => node.is_null(),
        Kind::List(_) => matches!(node.value, Value::List(_)),
        Kind::Map(_) | Kind::Named(_) | Kind::Object(_) => matches!(node.value, Value::Map(_)),
        _ => node.text().is_some(),
    }
}

/// What a value of this kind is, without an article where it has none.
fn words(kind: &Kind) -> String {
    match kind {
        Kind::Any => "anything".into(),
        Kind::Null => "nothing".into(),
        Kind::Text | Kind::Rule(..) | Kind::BytesText => "text".into(),
        Kind::Scalar => "a single value".into(),
        Kind::TextOrNumber => "text or a number".into(),
        Kind::Number => "a number".into(),
        Kind::Int => "a whole number".into(),
        Kind::Bool => "true or false".into(),
        Kind::Duration => "a duration".into(),
        Kind::Bytes => "a size".into(),
        Kind::Choice(choices) => format!("one of {}", choices.join(", ")),
        Kind::List(_) => "a list".into(),
        Kind::Map(_) | Kind::Named(_) | Kind::Object(_) => "a map".into(),
        Kind::Either(kinds) => {
            let kinds: Vec<_> = kinds.iter().map(words).collect();
            kinds.join(" or ")
        }
    }
}

/// What is wrong with a scalar, and what to do.
fn scalar(found: &Scalar, kind: &Kind) -> Option<(String, Option<String>)> {
    let text = found.text.as_str();
    let look = found.look();
    let is_number = matches!(look, Look::Int | Look::Float);
    let wrong = |hint: &str| Some((format!("must be {}, not `{text}`", words(kind)), some(hint)));
    match kind {
        Kind::Rule(rule, which) if !rule(text) => {
            Some((format!("must be {which}, not `{text}`"), None))
        }
        Kind::Text | Kind::Duration | Kind::BytesText | Kind::Choice(_) | Kind::Rule(..)
            if look != Look::Text =>
        {
            let unit = match kind {
                Kind::Duration if is_number => format!("write {text}s for seconds"),
                Kind::BytesText if is_number => format!("write {text}b for bytes"),
                _ => format!("write it in quotes: \"{text}\""),
            };
            wrong(&unit)
        }
        Kind::TextOrNumber if look == Look::Bool => {
            wrong(&format!("write it in quotes: \"{text}\""))
        }
        Kind::Number if !(is_number || look == Look::Text && text.parse::<f64>().is_ok()) => {
            wrong("")
        }
        Kind::Int if !(look == Look::Int || look == Look::Text && text.parse::<i64>().is_ok()) => {
            wrong("")
        }
        Kind::Bool
            if !(look == Look::Bool || look == Look::Text && short::boolean(text).is_some()) =>
        {
            wrong("")
        }
        Kind::Duration if !short::is_duration(text) => wrong("write it like 90s, 1m30s or 2h"),
        Kind::Bytes if !(is_number || look == Look::Text && short::is_bytes(text)) => {
            wrong("write it like 512m or 2g")
        }
        Kind::BytesText if !short::is_bytes(text) => wrong("write it like 512m or 2g"),
        Kind::Choice(choices) if !choices.contains(&text) => {
            let near = nearest(text, choices.iter().copied());
            wrong(&near.map_or_else(String::new, |near| format!("did you mean \"{near}\"?")))
        }
        _ => None,
    }
}

fn some(hint: &str) -> Option<String> {
    (!hint.is_empty()).then(|| hint.to_owned())
}
