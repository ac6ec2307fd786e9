//! `${VARIABLE}` in Compose files, and the files that variables come from.

use std::collections::BTreeMap;

use serde_json::Value;

pub(super) type Variables = BTreeMap<String, String>;

/// Replaces variables in every string of a file. Names of unset ones are added to `unset`.
///
/// # Errors
/// Compose's words, with the path of the value.
pub(super) fn file(
    value: &mut Value,
    path: &str,
    variables: &Variables,
    unset: &mut Vec<String>,
) -> Result<(), String> {
    match value {
        Value::String(text) if text.contains('$') => {
            let replaced = expand(text, variables, unset).map_err(|fault| match fault {
                Fault::Format => format!("invalid interpolation format for {path}: \"{text}\". You may need to escape any $ with another $"),
                Fault::Required(why) => format!("error while interpolating {path}: {why}"),
            })?;
            *text = replaced;
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                file(item, &format!("{path}[{index}]"), variables, unset)?;
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                file(item, &path, variables, unset)?;
            }
        }
        _ => {}
    }
    Ok(())
}

#[derive(Debug, PartialEq)]
pub(super) enum Fault {
    Format,
    Required(String),
}

pub(super) fn expand(
    text: &str,
    variables: &Variables,
    unset: &mut Vec<String>,
) -> Result<String, Fault> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(tail) = rest.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix('{') {
            let end = closing(tail).ok_or(Fault::Format)?;
            out.push_str(&braced(&tail[..end], variables, unset)?);
            rest = &tail[end + 1..];
        } else {
            let length = name_length(rest);
            if length == 0 {
                return Err(Fault::Format);
            }
            out.push_str(&plain(&rest[..length], variables, unset));
            rest = &rest[length..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

/// The place of the brace that closes one opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
        before = c;
    }
    None
}

fn plain(name: &str, variables: &Variables, unset: &mut Vec<String>) -> String {
    variables.get(name).cloned().unwrap_or_else(|| {
        unset.push(name.to_owned());
        String::new()
    })
}

fn braced(inner: &str, variables: &Variables, unset: &mut Vec<String>) -> Result<String, Fault> {
    let (name, operator) = inner.split_at(name_length(inner));
    if name.is_empty() {
        return Err(Fault::Format);
    }
    let value = variables.get(name);
    let filled = value.filter(|value| !value.is_empty());
    let two = operator.get(..2).unwrap_or(operator);
    let (found, word, kind) = match two.as_bytes() {
        [] => return Ok(plain(name, variables, unset)),
        [b':', kind] => (filled, &operator[2..], *kind),
        [kind, ..] => (value, &operator[1..], *kind),
    };
    match (kind, found) {
        (b'-' | b'?', Some(value)) => Ok(value.clone()),
        (b'-', None) | (b'+', Some(_)) => expand(word, variables, unset),
        (b'+', None) => Ok(String::new()),
        (b'?', None) => Err(Fault::Required(format!(
            "required variable {name} is missing a value: {}",
            expand(word, variables, unset)?
        ))),
        _ => Err(Fault::Format),
    }
}

/// The variables of an env file; values may use those before them and `known`.
pub(super) fn env_file(text: &str, known: &Variables) -> Result<Variables, String> {
    let mut variables = Variables::new();
    let mut rest = text;
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let (line, tail) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = tail;
        let line = line.trim_end_matches('\r').trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once(['=', ':']) else {
            // A bare key is taken from the environment.
            let key = line.trim();
            if key.contains(char::is_whitespace) {
                return Err(format!(
                    "line {number}: unexpected character in variable name near {line:?}"
                ));
            }
            if let Some(value) = known.get(key) {
                variables.insert(key.to_owned(), value.clone());
            }
            continue;
        };
        let (key, value) = (key.trim(), value.trim_start());
        if key.contains(char::is_whitespace) {
            return Err(format!("line {number}: key cannot contain a space"));
        }
        let quote = value.chars().next().filter(|c| "\"'".contains(*c));
        let value = if let Some(quote) = quote {
            let mut body = value[1..].to_owned();
            while unescaped(&body, quote).is_none() {
                let Some((next, tail)) = rest
                    .split_once('\n')
                    .or((!rest.is_empty()).then_some((rest, "")))
                else {
                    return Err(format!("line {number}: unterminated quoted value {value}"));
                };
                number += 1;
                body.push('\n');
                body.push_str(next);
                rest = tail;
            }
            let end = unescaped(&body, quote).expect("the loop found it");
            body.truncate(end);
            if quote == '"' {
                let body = body
                    .replace("\\n", "\n")
                    .replace("\\\"", "\"")
                    .replace("\\\\", "\\");
                substitute(&body, &variables, known)
            } else {
                body
            }
        } else {
            let value = value.find(" #").map_or(value, |at| &value[..at]);
            substitute(value.trim_end(), &variables, known)
        };
        variables.insert(key.to_owned(), value);
    }
    Ok(variables)
}

fn unescaped(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.find(|c| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped && quote == '"';
        ends
    })
}

fn substitute(text: &str, before: &Variables, known: &Variables) -> String {
    let mut all = before.clone();
    all.extend(known.clone());
    expand(text, &all, &mut Vec::new()).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        [("A", "1"), ("E", "")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, Fault>) {
        assert_eq!(
            expand(text, &variables(), &mut Vec::new()),
            expected.map(str::to_owned)
        );
    }

    #[test]
    fn variables_expand_as_in_compose() {
        check("$A ${A}x $$A", Ok("1 1x $A"));
        check("${E-d}|${E:-d}|${N:-${A}0}|${N}", Ok("|d|10|"));
        check("${A:+y}${E:+n}${E+y}", Ok("yy"));
        check(
            "${N:?msg}",
            Err(Fault::Required(
                "required variable N is missing a value: msg".to_owned(),
            )),
        );
        check("${A", Err(Fault::Format));
        check("$-", Err(Fault::Format));
    }

    #[test]
    fn env_files_read_as_in_compose() {
        let text = "A=1\nexport F=2\n K = v\nE=a # c\nQ=\"x$F\\n\"\nS='$F'\nD=p$$w\nG=p$w\nM='a\nb'\nB\n# c\n";
        let read = env_file(text, &variables()).expect("it is well formed");
        let pairs: Vec<String> = read
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(
            pairs,
            [
                "A=1", "D=p$w", "E=a", "F=2", "G=p", "K=v", "M=a\nb", "Q=x2\n", "S=$F"
            ]
        );
    }
}
