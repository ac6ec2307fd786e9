//! Reads one YAML document into JSON values, with the errors that Compose prints.
//!
//! Knows the core schema only as far as Compose and cloud-init files need it; merge keys (`<<`)
//! are resolved, other tags ignored.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

type Events<'a> = std::iter::Peekable<std::vec::IntoIter<(Event<'a>, usize)>>;

/// The first document of `text`; null when it is empty.
///
/// # Errors
/// `yaml: line 4: ..`, with every duplicate key named by both of its lines.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut events = Vec::new();
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| {
            format!(
                "yaml: line {}: {}",
                error.marker().line(),
                reason(&error.info())
            )
        })?;
        match event {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::DocumentEnd | Event::StreamEnd => break,
            event => events.push((event, span.start.line())),
        }
    }
    if events.is_empty() {
        return Ok(Value::Null);
    }
    let mut reader = Reader {
        events: events.into_iter().peekable(),
        anchors: HashMap::new(),
    };
    reader.node()
}

/// Compose's word for the fault that is by far the most frequent.
fn reason(info: &str) -> String {
    if info.contains("mapping values") {
        return "mapping values are not allowed in this context".to_owned();
    }
    info.to_owned()
}

struct Reader<'a> {
    events: Events<'a>,
    anchors: HashMap<usize, Value>,
}

impl Reader<'_> {
    fn node(&mut self) -> Result<Value, String> {
        let Some((event, line)) = self.events.next() else {
            return Ok(Value::Null);
        };
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (scalar(&text, style), anchor),
            Event::Alias(id) => (self.anchors.get(&id).cloned().unwrap_or_default(), 0),
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                while !self.ends(&Event::SequenceEnd) {
                    items.push(self.node()?);
                }
                (Value::Array(items), anchor)
            }
            Event::MappingStart(_, anchor, _) => (self.mapping()?, anchor),
            other => return Err(format!("yaml: line {line}: unexpected {other:?}")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn mapping(&mut self) -> Result<Value, String> {
        let mut map = Map::new();
        let mut merged = Map::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        while !self.ends(&Event::MappingEnd) {
            let line = self.events.peek().map_or(0, |(_, line)| *line);
            let key = match self.node()? {
                Value::String(key) => key,
                Value::Null => "null".to_owned(),
                other => other.to_string(),
            };
            let value = self.node()?;
            if key == "<<" {
                let sources = match value {
                    Value::Array(sources) => sources,
                    source => vec![source],
                };
                for source in sources {
                    for (key, value) in source.as_object().into_iter().flatten() {
                        merged.entry(key).or_insert_with(|| value.clone());
                    }
                }
                continue;
            }
            if let Some(first) = lines.insert(key.clone(), line) {
                return Err(format!(
                    "yaml: unmarshal errors:\n  line {line}: mapping key \"{key}\" already defined at line {first}"
                ));
            }
            map.insert(key, value);
        }
        for (key, value) in merged {
            map.entry(key).or_insert(value);
        }
        Ok(Value::Object(map))
    }

    fn ends(&mut self, end: &Event<'_>) -> bool {
        let ends = self.events.peek().is_none_or(|(event, _)| event == end);
        if ends {
            self.events.next();
        }
        ends
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let octal = text.len() > 1 && text.trim_start_matches('-').starts_with('0');
    if let Some(digits) = text.strip_prefix("0o").or(text.strip_prefix('0'))
        && let Ok(number) = u64::from_str_radix(digits, 8)
        && !digits.is_empty()
    {
        return number.into();
    }
    if let Ok(number) = text.parse::<i64>()
        && !octal
    {
        return number.into();
    }
    let float = text.contains('.') && text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    match text.parse::<f64>() {
        Ok(number) if float => {
            serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number)
        }
        _ => Value::String(text.to_owned()),
    }
}

/// A value as YAML, as `docker compose config` prints it.
pub(super) fn print(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

fn block(value: &Value, indent: usize, out: &mut String) {
    let pad = "  ".repeat(indent);
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                out.push_str(&format!("{pad}{}:", plain(key)));
                nested(value, indent + 1, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                out.push_str(&format!("{pad}-"));
                match item {
                    Value::Object(map) if !map.is_empty() => {
                        let mut inner = String::new();
                        block(item, indent + 1, &mut inner);
                        out.push_str(&format!(" {}", inner.trim_start()));
                    }
                    _ => nested(item, indent + 1, out),
                }
            }
        }
        other => out.push_str(&format!("{pad}{other}\n")),
    }
}

fn nested(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            block(value, indent, out);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            block(value, indent, out);
        }
        Value::String(text) => out.push_str(&format!(" {}\n", plain(text))),
        other => out.push_str(&format!(" {other}\n")),
    }
}

/// A string without quotes where it reads back as itself.
fn plain(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_-./=".contains(c);
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || "_/.".contains(c));
    if starts && text.chars().all(safe) && scalar(text, ScalarStyle::Plain).is_string() {
        return text.to_owned();
    }
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(text: &str, expected: Result<Value, &str>) {
        assert_eq!(parse(text), expected.map_err(str::to_owned));
    }

    #[test]
    fn scalars_have_the_types_of_the_core_schema() {
        check(
            "{a: 1, b: '1', c: true, d: ~, e: 1.5, f: 0644, g: 8080:80, h: 1.2.3}",
            Ok(
                json!({"a": 1, "b": "1", "c": true, "d": null, "e": 1.5, "f": 420, "g": "8080:80", "h": "1.2.3"}),
            ),
        );
    }

    #[test]
    fn anchors_and_merge_keys_are_resolved() {
        check(
            "x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\n",
            Ok(json!({"x": {"a": 1, "b": 2}, "y": {"b": 3, "a": 1}})),
        );
    }

    #[test]
    fn faults_carry_their_line() {
        check(
            "a: 1\nb: 2\na: 3\n",
            Err("yaml: unmarshal errors:\n  line 3: mapping key \"a\" already defined at line 1"),
        );
        check(
            "a: b: c\n",
            Err("yaml: line 1: mapping values are not allowed in this context"),
        );
    }

    #[test]
    fn printed_text_reads_back() {
        let value =
            json!({"a": {"b": ["x", {"c": "1", "d": [1, true]}], "e": {}}, "f": "multi\nline: {}"});
        assert_eq!(parse(&print(&value)), Ok(value));
    }
}
