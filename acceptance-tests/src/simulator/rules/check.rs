//! Checks the parameters of a call against its rules, with the messages of the API.
//!
//! All violations are collected; the order inside one parameter is type, format, pattern, lengths,
//! limits, enumeration, and the first that fails stops that parameter.

use std::collections::BTreeMap;

use super::property::{self, Properties};
use super::{Format, Kind, Rule, RuleSet, formats, set_in};
use crate::simulator::params::Value;

/// What is wrong, by parameter.
pub(crate) type Errors = BTreeMap<String, String>;

/// Checks `given` in place: lone values of array parameters are wrapped, lists that came as arrays
/// are joined, JSON booleans become `0` and `1`.
pub(crate) fn check(rules: &RuleSet, given: &mut BTreeMap<String, Value>) -> Result<(), Errors> {
    let mut errors = Errors::new();
    for (name, value) in given.iter_mut() {
        if let Some(rule) = rules.rule(name) {
            settle(rule, value);
            if let (Value::List(items), Kind::Array) = (&*value, rule.kind) {
                errors.extend(elements(rule, name, items));
            } else if let Err(text) = one(rule, name, value) {
                errors.insert(name.clone(), text);
            }
        }
    }
    let names: Vec<&str> = given.keys().map(String::as_str).collect();
    presence(rules, &names, "", &mut errors);
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

/// What is unknown, missing, or missing because another key needs it.
fn presence(rules: &RuleSet, names: &[&str], prefix: &str, errors: &mut Errors) {
    let mut add = |name: &str, text: String| {
        let found = errors.entry(format!("{prefix}{name}")).or_default();
        if !found.is_empty() {
            // Not a line break: the API joins with the two characters.
            found.push_str("\\n");
        }
        found.push_str(&text);
    };
    for rule in rules
        .iter()
        .filter(|rule| !rule.optional && rule.family.is_none())
    {
        if !names.contains(&rule.name.as_str()) {
            add(
                &rule.name,
                "property is missing and it is not optional".to_owned(),
            );
        }
    }
    for name in names {
        match rules.rule(name) {
            None => add(
                name,
                "property is not defined in schema and the schema does not allow additional \
                 properties"
                    .to_owned(),
            ),
            Some(Rule {
                requires: Some(needed),
                ..
            }) if !names.contains(&needed.as_str()) => {
                add(
                    needed,
                    format!("missing property required by '{prefix}{name}'"),
                );
            }
            Some(_) => {}
        }
    }
}

/// Brings a value into the shape that its type has.
fn settle(rule: &Rule, value: &mut Value) {
    let is_list = matches!(&rule.format, Some(Format::Named(name)) if name.ends_with("-list"));
    *value = match std::mem::replace(value, Value::Other("")) {
        Value::Text(text) if rule.kind == Kind::Array => Value::List(vec![text]),
        Value::List(list) if rule.kind == Kind::String && is_list => Value::Text(list.join(",")),
        Value::Bool(is) if rule.kind == Kind::Boolean => {
            Value::Text(if is { "1" } else { "0" }.to_owned())
        }
        other => other,
    };
}

/// What is wrong about the elements of an array.
fn elements(rule: &Rule, name: &str, items: &[String]) -> Errors {
    let element = Rule {
        kind: Kind::String,
        ..rule.clone()
    };
    let check = |(i, item): (usize, &String)| {
        let name = format!("{name}[{i}]");
        let result = one(&element, &name, &Value::Text(item.clone()));
        result.err().map(|text| (name, text))
    };
    items.iter().enumerate().filter_map(check).collect()
}

fn one(rule: &Rule, name: &str, value: &Value) -> Result<(), String> {
    let text = match (value, rule.kind) {
        (Value::Text(text), kind) if kind != Kind::Array => text,
        (Value::Text(text), kind) => return Err(wrong_type(kind, text)),
        (Value::List(_), kind) => return Err(wrong_kind(kind, "ARRAY")),
        (Value::Bool(_), kind) => return Err(wrong_kind(kind, "JSON::PP::Boolean")),
        (Value::Other(what), kind) => return Err(wrong_kind(kind, what)),
    };
    let good = match rule.kind {
        Kind::Integer => is_integer(text),
        Kind::Number => text.parse::<f64>().is_ok() && !text.contains(['n', 'N', 'i', 'I']),
        Kind::Boolean => matches!(text.as_str(), "0" | "1"),
        Kind::String | Kind::Array => true,
    };
    if !good {
        return Err(wrong_type(rule.kind, text));
    }
    match &rule.format {
        Some(Format::Named(format)) => {
            formats::check(format, text, rule.release)
                .map_err(|why| format!("invalid format - {why}\n"))?;
        }
        Some(Format::Properties(subset)) => properties(set_in(subset, rule.release), name, text)
            .and_then(|found| formats::whole(subset, &found))
            .map_err(|why| format!("invalid format - {why}\n"))?,
        None => {}
    }
    limits(rule, text)
}

fn wrong_type(kind: Kind, got: &str) -> String {
    wrong_kind(kind, &format!("'{got}'"))
}

/// As [`wrong_type`], where the value is no text and only its class is told.
fn wrong_kind(kind: Kind, got: &str) -> String {
    format!("type check ('{}') failed - got {got}", kind.name())
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn limits(rule: &Rule, text: &str) -> Result<(), String> {
    if rule
        .pattern
        .as_ref()
        .is_some_and(|pattern| !pattern.matches(text))
    {
        return Err("value does not match the regex pattern".to_owned());
    }
    let length = text.chars().count();
    if let Some(max) = rule.max_len.filter(|max| length > *max) {
        return Err(format!("value may only be {max} characters long"));
    }
    if let Some(min) = rule.min_len.filter(|min| length < *min) {
        return Err(format!("value must be at least {min} characters long"));
    }
    let number = text.parse::<f64>().unwrap_or_default();
    if let Some(max) = rule.max.filter(|max| number > *max) {
        return Err(format!("value must have a maximum value of {max}"));
    }
    if let Some(min) = rule.min.filter(|min| number < *min) {
        return Err(format!("value must have a minimum value of {min}"));
    }
    if !rule.choices.is_empty() && !rule.choices.iter().any(|choice| choice == text) {
        let all = rule.choices.join(", ");
        return Err(format!(
            "value '{text}' does not have a value in the enumeration '{all}'"
        ));
    }
    Ok(())
}

/// Checks a property string; the text of a violation names it `NAME.KEY`.
fn properties(rules: &RuleSet, name: &str, text: &str) -> Result<Properties, String> {
    let found = property::parse(rules, text)?;
    let mut errors = Errors::new();
    for (key, value) in &found {
        let path = format!("{name}.{key}");
        if let Some(rule) = rules.rule(key)
            && let Err(text) = one(rule, &path, &Value::Text(value.clone()))
        {
            errors.insert(path, text);
        }
    }
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    presence(rules, &names, &format!("{name}."), &mut errors);
    if errors.is_empty() {
        return Ok(found);
    }
    let lines: Vec<String> = errors
        .iter()
        .map(|(path, text)| format!("{path}: {text}"))
        .collect();
    Err(format!("format error\n{}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::release::Release;

    #[track_caller]
    fn refused(name: &str, value: &str, text: &str) {
        let rules = RuleSet::parse("+qemu-config", Release::default());
        let mut given = BTreeMap::from([(name.to_owned(), Value::Text(value.to_owned()))]);
        let errors = check(&rules, &mut given).expect_err("it is refused");
        assert_eq!(errors.get(name).map(String::as_str), Some(text));
    }

    #[test]
    fn violations_read_as_the_api_writes_them() {
        refused(
            "foo",
            "1",
            "property is not defined in schema and the schema does not allow additional properties",
        );
        refused(
            "onboot",
            "true",
            "type check ('boolean') failed - got 'true'",
        );
        refused("cores", "0", "value must have a minimum value of 1");
        refused(
            "memory",
            "lots",
            "invalid format - format error\nmemory.current: type check ('integer') failed - got 'lots'\n",
        );
        refused(
            "net0",
            "virtio,bridge=bad!br",
            "invalid format - format error\nnet0.bridge: invalid format - invalid bridge ID 'bad!br'\n\n",
        );
        refused(
            "scsi0",
            "ab:1,foo=bar",
            "invalid format - format error\nscsi0.foo: property is not defined in schema and the schema does not allow additional properties\n",
        );
        refused(
            "ipconfig0",
            "gw=192.0.2.1",
            "invalid format - format error\nipconfig0.ip: missing property required by 'ipconfig0.gw'\n",
        );
        refused(
            "ostype",
            "bsd",
            "value 'bsd' does not have a value in the enumeration 'other, wxp, w2k, w2k3, w2k8, wvista, win7, win8, win10, win11, l24, l26, solaris'",
        );
    }

    #[test]
    fn values_are_brought_into_the_shape_of_their_type() {
        let rules = RuleSet::parse(
            "command array\ntags? string pve-tag-list\non? boolean",
            Release::default(),
        );
        let mut given = BTreeMap::from([
            ("command".to_owned(), Value::Text("/bin/true".to_owned())),
            (
                "tags".to_owned(),
                Value::List(vec!["a".to_owned(), "b".to_owned()]),
            ),
            ("on".to_owned(), Value::Bool(true)),
        ]);
        check(&rules, &mut given).expect("they are good");
        assert_eq!(given["command"], Value::List(vec!["/bin/true".to_owned()]));
        assert_eq!(given["tags"], Value::Text("a,b".to_owned()));
        assert_eq!(given["on"], Value::Text("1".to_owned()));
    }
}
