//! `.env` text: read as Compose reads it, written so that Compose reads the same values back.
//!
//! Does not touch files, and knows no other dialect of env files.

mod scanner;

use std::collections::BTreeMap;

use super::Fault;
use super::interpolate::{self, Names};
use scanner::{Given, Scanner};

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
    let mut values = BTreeMap::new();
    let mut known = outer.clone();
    let mut scanner = Scanner::new(text);
    while let Some(statement) = scanner
        .next_statement()
        .map_err(|fault| fault.at(file, text))?
    {
        let key = statement.key.to_owned();
        let value = match statement.value {
            Given::Bare if scanner.rest().is_empty() => {
                // Compose takes such a line for the value of a nameless variable.
                let words = "a name alone needs a line end after it";
                return Err(statement.fault(words).at(file, text));
            }
            Given::Bare => match outer.get(&key) {
                Some(value) => Ok(value.clone()),
                None => continue,
            },
            Given::Plain(value) => substitute(&value_of(value), &known),
            Given::Quoted { quote: '"', inner } => {
                substitute(&escapes(&unquote(inner, '"')), &known)
            }
            Given::Quoted { quote, inner } => Ok(unquote(inner, quote)),
        }
        .map_err(|error| statement.fault(&error.to_string()).at(file, text))?;
        if !outer.contains_key(&key) {
            known.insert(key.clone(), value.clone());
        }
        values.insert(key, value);
    }
    Ok(values)
}

/// Writes variables so that Compose reads back exactly these values, sorted by name.
///
/// Names must be ones that [`is_name`] accepts.
pub fn write(values: &BTreeMap<String, String>) -> String {
    let lines = values
        .iter()
        .map(|(key, value)| [key, "=", &quote(value), "\n"].concat());
    lines.collect()
}

/// Whether an env file can hold a variable of this name.
pub fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c == '_' || c.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// Fills an env template: each key gets its value, comments and order stay.
///
/// A key without a value keeps what the template gives it; values that the template does not name follow at its end.
///
/// # Errors
/// All keys that have no value, neither given nor in the template.
pub fn render_env(
    template: &str,
    values: &BTreeMap<String, String>,
) -> Result<String, Vec<String>> {
    let mut out = String::new();
    let mut missing = Vec::new();
    let mut left = values.clone();
    let mut done = 0;
    let mut scanner = Scanner::new(template);
    // What cannot be read is kept as it is: `parse` says what is wrong with it.
    while let Ok(Some(statement)) = scanner.next_statement() {
        let key_end = statement.key_at + statement.key.len();
        let (start, end, own) = match statement.value {
            Given::Bare => (key_end, key_end, ""),
            Given::Plain(value) => {
                let start = statement.value_at;
                let text = without_comment(value, &template[..start]);
                (start, start + text.len(), text)
            }
            Given::Quoted { inner, .. } => (
                statement.value_at,
                statement.value_at + inner.len() + 2,
                inner,
            ),
        };
        let Some(value) = values.get(statement.key) else {
            if own.is_empty() {
                missing.push(statement.key.to_owned());
            }
            continue;
        };
        left.remove(statement.key);
        out.push_str(&template[done..start]);
        if matches!(statement.value, Given::Bare) {
            out.push('=');
        }
        // Only a quote ends a value before the line does, and only a quoted nothing goes before a comment.
        let line = template[end..].split('\n').next().unwrap_or_default();
        let between = line.split_once(" #").map_or(line, |(between, _)| between);
        let ends = between.trim().is_empty() || line.starts_with('#');
        out.push_str(&match ends && !(value.is_empty() && line.contains('#')) {
            true => quote(value),
            false => quoted(value),
        });
        if template[end..].starts_with('#') {
            // A comment needs a blank before it once a value stands there.
            out.push(' ');
        }
        done = end;
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    out.push_str(&template[done..]);
    if !left.is_empty() {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(&write(&left));
    }
    Ok(out)
}

fn substitute(text: &str, known: &BTreeMap<String, String>) -> Result<String, interpolate::Error> {
    interpolate::text(text, known, &mut Names::default())
}

/// An unquoted value: up to a comment, which needs a blank before it.
fn value_of(value: &str) -> String {
    let value = value.split_once(" #").map_or(value, |(value, _)| value);
    value.trim_end().to_owned()
}

/// In a template a `#` that follows the `=` and blanks is a comment too, though Compose takes it for the value.
fn without_comment<'a>(value: &'a str, before: &str) -> &'a str {
    if value.starts_with('#') && before.ends_with([' ', '\t']) {
        return "";
    }
    let value = value.split_once(" #").map_or(value, |(value, _)| value);
    value.trim_end()
}

/// The characters between quotes: a backslash goes only before the quote itself.
fn unquote(inner: &str, quote: char) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(next) if next == quote => out.push(quote),
                Some(next) => out.extend(['\\', next]),
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    out
}

/// Escapes of double quotes; `\$` becomes `$$` for the interpolation that follows.
fn escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (put, taken) = match after.bytes().next() {
            Some(b'$') => ("$$".to_owned(), 1),
            Some(b'0') => octal(after),
            Some(c @ (b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'\\' | b'"')) => {
                let c = match c {
                    b'a' => '\x07',
                    b'b' => '\x08',
                    b'f' => '\x0c',
                    b'n' => '\n',
                    b'r' => '\r',
                    b't' => '\t',
                    b'v' => '\x0b',
                    c => char::from(c),
                };
                (c.to_string(), 1)
            }
            _ => ("\\".to_owned(), 0),
        };
        out.push_str(&put);
        rest = &after[taken..];
    }
    out.push_str(rest);
    out
}

/// `0` and three octal digits are a character; anything shorter or larger only loses its `0`.
fn octal(after: &str) -> (String, usize) {
    let digits = after[1..]
        .bytes()
        .take(3)
        .take_while(u8::is_ascii_digit)
        .count();
    let text = &after[1..=digits];
    let value = u8::from_str_radix(text, 8).ok().filter(|_| digits == 3);
    let put = value.map_or_else(
        || format!("\\{text}"),
        |value| char::from(value).to_string(),
    );
    (put, digits + 1)
}

fn quote(value: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    match value.chars().all(safe) {
        true => value.to_owned(),
        false => quoted(value),
    }
}

fn quoted(value: &str) -> String {
    if !value.contains('\'') && !value.ends_with('\\') {
        format!("'{value}'")
    } else {
        let escaped = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('$', "$$");
        format!("\"{escaped}\"")
    }
}

#[cfg(test)]
mod tests;
