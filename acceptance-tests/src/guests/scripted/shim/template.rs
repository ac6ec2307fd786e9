//! As much of Go's templates as `docker --format` is asked for.
//!
//! Fields, `json`, `index`, `join`, `len`, `eq`, `ne`, `not`, `and`, `or`, `println`, `upper`,
//! `lower`, `.Label`, `range`, `if`, variables and pipes; no `with`, `define` or methods.

mod parse;

use std::collections::HashMap;

use serde_json::Value;

use parse::{Expr, Node, parse};

/// Expands `template` over `data`. `strict` is how inspect treats a key that is not there.
///
/// # Errors
/// Docker's `template parsing error: ..`.
pub(super) fn expand(template: &str, data: &Value, strict: bool) -> Result<String, String> {
    let failed = |why: String| format!("template parsing error: template: :1: {why}");
    let nodes = parse(template).map_err(failed)?;
    let mut scope = Scope {
        root: data,
        strict,
        vars: HashMap::new(),
    };
    let mut out = String::new();
    scope.run(&nodes, data, &mut out).map_err(failed)?;
    Ok(out)
}

/// Pointers in the Engine's types, which its JSON leaves out when they are nil.
const OMITTED: [&str; 2] = ["Health", "Healthcheck"];

struct Scope<'a> {
    root: &'a Value,
    strict: bool,
    vars: HashMap<String, Value>,
}

impl Scope<'_> {
    fn run(&mut self, nodes: &[Node], dot: &Value, out: &mut String) -> Result<(), String> {
        for node in nodes {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Print(expr) => out.push_str(&print(&self.eval(expr, dot)?)),
                Node::Set(name, expr) => {
                    let value = self.eval(expr, dot)?;
                    self.vars.insert(name.clone(), value);
                }
                Node::If(arms, otherwise) => {
                    let mut chosen = otherwise;
                    for (condition, body) in arms {
                        if truth(&self.eval(condition, dot)?) {
                            chosen = body;
                            break;
                        }
                    }
                    self.run(chosen, dot, out)?;
                }
                Node::Range {
                    names,
                    over,
                    body,
                    otherwise,
                } => {
                    let items: Vec<(Value, Value)> = match self.eval(over, dot)? {
                        Value::Array(items) => items
                            .into_iter()
                            .enumerate()
                            .map(|(index, item)| (index.into(), item))
                            .collect(),
                        Value::Object(map) => map
                            .into_iter()
                            .map(|(key, item)| (key.into(), item))
                            .collect(),
                        _ => Vec::new(),
                    };
                    if items.is_empty() {
                        self.run(otherwise, dot, out)?;
                    }
                    for (key, item) in items {
                        match names.as_slice() {
                            [value] => drop(self.vars.insert(value.clone(), item.clone())),
                            [index, value] => {
                                self.vars.insert(index.clone(), key);
                                self.vars.insert(value.clone(), item.clone());
                            }
                            _ => {}
                        }
                        self.run(body, &item, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn eval(&self, expr: &Expr, dot: &Value) -> Result<Value, String> {
        match expr {
            Expr::Literal(value) => Ok(value.clone()),
            Expr::Path(None, path) => self.field(dot, path),
            Expr::Path(Some(name), path) if name.is_empty() => self.field(self.root, path),
            Expr::Path(Some(name), path) => {
                let value = self
                    .vars
                    .get(name)
                    .ok_or_else(|| format!("undefined variable \"${name}\""))?;
                self.field(value, path)
            }
            Expr::Of(inner, path) => {
                let value = self.eval(inner, dot)?;
                self.field(&value, path)
            }
            Expr::Call(name, args) => {
                let args: Vec<Value> = args
                    .iter()
                    .map(|arg| self.eval(arg, dot))
                    .collect::<Result<_, _>>()?;
                call(name, &args, dot)
            }
        }
    }

    fn field(&self, value: &Value, path: &[String]) -> Result<Value, String> {
        let mut value = value;
        for key in path {
            match value.get(key) {
                Some(inner) => value = inner,
                None if OMITTED.contains(&key.as_str())
                    && path.ends_with(std::slice::from_ref(key)) =>
                {
                    return Ok(Value::Null);
                }
                None if self.strict => {
                    return Err(format!(
                        "executing \"\" at <.{}>: map has no entry for key \"{key}\"",
                        path.join(".")
                    ));
                }
                None => return Ok(Value::Null),
            }
        }
        Ok(value.clone())
    }
}

fn call(name: &str, args: &[Value], dot: &Value) -> Result<Value, String> {
    let first = args.first().unwrap_or(&Value::Null);
    let text = |value: &Value| print(value);
    Ok(match (name, args) {
        ("json", _) => first.to_string().into(),
        ("index", [container, keys @ ..]) => {
            let mut value = container.clone();
            for key in keys {
                value = match key {
                    Value::Number(index) => {
                        let index = index
                            .as_u64()
                            .and_then(|index| usize::try_from(index).ok())
                            .unwrap_or(usize::MAX);
                        value.get(index).cloned().ok_or_else(|| {
                            format!("error calling index: index out of range: {index}")
                        })?
                    }
                    key => value.get(text(key)).cloned().unwrap_or_else(|| "".into()),
                };
            }
            value
        }
        (".Label", [name]) => dot["Label"]
            .get(text(name))
            .cloned()
            .unwrap_or_else(|| "".into()),
        ("join", [Value::Array(items), separator]) => items
            .iter()
            .map(print)
            .collect::<Vec<_>>()
            .join(&text(separator))
            .into(),
        ("join", _) => "".into(),
        ("len", _) => match first {
            Value::Array(items) => items.len(),
            Value::Object(map) => map.len(),
            other => print(other).len(),
        }
        .into(),
        ("eq", [left, others @ ..]) => others.iter().any(|other| other == left).into(),
        ("ne", [left, right]) => (left != right).into(),
        ("not", _) => (!truth(first)).into(),
        ("and", _) => args
            .iter()
            .find(|arg| !truth(arg))
            .or(args.last())
            .cloned()
            .unwrap_or_default(),
        ("or", _) => args
            .iter()
            .find(|arg| truth(arg))
            .or(args.last())
            .cloned()
            .unwrap_or_default(),
        ("println", _) => {
            format!("{}\n", args.iter().map(print).collect::<Vec<_>>().join(" ")).into()
        }
        ("print", _) => args.iter().map(print).collect::<String>().into(),
        ("upper", _) => text(first).to_uppercase().into(),
        ("lower", _) => text(first).to_lowercase().into(),
        (other, _) => return Err(format!("function \"{other}\" not defined")),
    })
}

fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// A value as Go prints it.
fn print(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(print).collect::<Vec<_>>().join(" ")
        ),
        Value::Object(map) => {
            let pairs = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", print(value)));
            format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(template: &str, expected: Result<&str, &str>) {
        let data = json!({
            "Id": "abc", "N": 3, "State": {"Status": "running", "Health": null},
            "Config": {"Labels": {"a.b": "c,d"}}, "Ports": [{"P": 1}, {"P": 2}], "Label": {"x": "y"},
        });
        let expanded = expand(template, &data, true);
        assert_eq!(expanded, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn templates_of_docker_callers_expand() {
        check(
            "{{.Id}} {{ .N }}|{{json .State}}",
            Ok(r#"abc 3|{"Health":null,"Status":"running"}"#),
        );
        check(
            r#"{{index .Config.Labels "a.b"}}{{index .Config.Labels "no"}}"#,
            Ok("c,d"),
        );
        check(r#"{{json (index .Config.Labels "a.b")}}"#, Ok(r#""c,d""#));
        check(r#"{{.Label "x"}}{{.Label "no"}}"#, Ok("y"));
        check(
            "{{range .Ports}}{{.P}},{{end}}{{range $i, $p := .Ports}}{{$i}}={{$p.P}} {{end}}",
            Ok("1,2,0=1 1=2 "),
        );
        check(
            "{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}",
            Ok("none"),
        );
        check(
            r#"{{if eq .State.Status "exited"}}a{{else if .Id}}b{{end}}"#,
            Ok("b"),
        );
        check(
            "{{with_index}}",
            Err("template parsing error: template: :1: function \"with_index\" not defined"),
        );
        check(
            "{{println .Id}}{{.Id | json}}{{- .N -}} x",
            Ok("abc\n\"abc\"3x"),
        );
        check(
            r#"{"a":{{json .Id}},"b":{{json .Config.Labels}}}"#,
            Ok(r#"{"a":"abc","b":{"a.b":"c,d"}}"#),
        );
    }

    #[test]
    fn inspect_is_strict_about_keys() {
        check(
            "{{.State.Nope}}",
            Err(
                "template parsing error: template: :1: executing \"\" at <.State.Nope>: map has no entry for key \"Nope\"",
            ),
        );
    }
}
