//! What core demands of schemas, plans and states, so that properties can be held against it.
//!
//! Answers with what core would complain about; an empty answer is approval. Flags and nesting are
//! read from the schema that goes over the wire, since core knows no other. Tests only.

pub(in crate::framework) mod random;

use proto::tfplugin6::{self as pb, schema::object::NestingMode};

use super::{Schema, Type, Value, path::Step};

/// Why core would refuse the whole provider for this schema.
pub(in crate::framework) fn schema_faults(schema: &Schema) -> Vec<String> {
    let mut faults = Vec::new();
    rows_make_sense(&wire(schema), "", &mut faults);
    faults
}

/// Why core would say "Provider produced invalid plan".
pub(in crate::framework) fn plan_faults(
    schema: &Schema,
    prior: &Value,
    config: &Value,
    planned: &Value,
) -> Vec<String> {
    let mut faults = Vec::new();
    match (config.is_null(), planned.is_null()) {
        (false, false) => attributes(&wire(schema), prior, config, planned, "", &mut faults),
        (true, true) => {}
        _ => faults.push("exists in only one of configuration and plan".to_owned()),
    }
    faults
}

/// Why core would say "inconsistent result after apply", or "inconsistent final plan".
pub(in crate::framework) fn completion_faults(
    schema: &Schema,
    planned: &Value,
    actual: &Value,
) -> Vec<String> {
    let mut faults = Vec::new();
    match (planned.is_null(), actual.is_null()) {
        (false, false) => {
            let ty = Type::Object(Box::new(schema.clone()));
            completes(&ty, planned, actual, "", &mut faults);
        }
        (true, true) => {}
        _ => faults.push("came or went".to_owned()),
    }
    faults
}

/// Where a value that goes to core is not of the schema's type, or would store a secret.
pub(in crate::framework) fn type_faults(schema: &Schema, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    if !value.is_null() {
        object_conforms(schema, value, "", &mut faults);
    }
    faults
}

fn wire(schema: &Schema) -> Vec<pb::schema::Attribute> {
    let block = pb::Schema::from(schema).block;
    block.map(|block| block.attributes).unwrap_or_default()
}

fn rows_make_sense(rows: &[pb::schema::Attribute], at: &str, faults: &mut Vec<String>) {
    for row in rows {
        let at = format!("{at}.{}", row.name);
        let fine = [
            row.nested_type.is_some() == row.r#type.is_empty(),
            row.required || row.optional || row.computed,
            !(row.required && (row.optional || row.computed)),
            !row.write_only || !row.computed,
        ];
        if fine.contains(&false) {
            faults.push(format!("{at}: {fine:?}"));
        }
        let open = row.optional && row.computed || row.write_only;
        if open && row.r#type.as_ref() == br#""dynamic""# {
            // Even null is of a type: an unknown text that turns out to be null has promised a text.
            faults.push(format!(
                "{at}: what the provider fills cannot be of any type"
            ));
        }
        if let Some(object) = &row.nested_type {
            if !row.required && !row.optional {
                faults.push(format!("{at}: generating configuration crashes core"));
            }
            rows_make_sense(&object.attributes, &at, faults);
            let held = format!("{:?}", object.attributes);
            // Core makes lists of what it reads, and panics where two items are of different types.
            if object.nesting() != NestingMode::Single && held.contains("dynamic") {
                faults.push(format!("{at}: values of any type in a collection"));
            }
            if object.nesting() == NestingMode::Set && held.contains("write_only: true") {
                faults.push(format!("{at}: nothing finds a secret in a set again"));
            }
        }
    }
}

fn attributes(
    rows: &[pb::schema::Attribute],
    prior: &Value,
    config: &Value,
    planned: &Value,
    at: &str,
    faults: &mut Vec<String>,
) {
    for row in rows {
        let name = row.name.as_str();
        let at = format!("{at}.{name}");
        let (prior, config, planned) = (prior.get(name), config.get(name), planned.get(name));
        attribute(row, prior, config, planned, &at, faults);
    }
}

fn attribute(
    row: &pb::schema::Attribute,
    prior: &Value,
    config: &Value,
    planned: &Value,
    at: &str,
    faults: &mut Vec<String>,
) {
    let suppressed = planned == prior && !prior.is_null() && !config.is_null();
    let free = row.computed && (!row.optional || config.is_null());
    if planned == config || suppressed || free {
        return;
    }
    if config.is_null() {
        faults.push(format!(
            "{at}: planned {planned:?} for what is not computed"
        ));
    } else if let Some(object) = &row.nested_type {
        nested(object, prior, config, planned, at, faults);
    } else if !(row.write_only && planned.is_null()) {
        faults.push(format!(
            "{at}: planned {planned:?}, neither {config:?} as configured nor {prior:?} as before"
        ));
    }
}

fn nested(
    object: &pb::schema::Object,
    prior: &Value,
    config: &Value,
    planned: &Value,
    at: &str,
    faults: &mut Vec<String>,
) {
    let rows = &object.attributes;
    match (object.nesting(), config, planned) {
        (_, _, Value::Null) => faults.push(format!("{at}: planned for absence")),
        (_, _, Value::Unknown) => faults.push(format!("{at}: unknown though configured")),
        (NestingMode::Single, _, _) => attributes(rows, prior, config, planned, at, faults),
        (NestingMode::Map, Value::Map(wanted), Value::Map(planned)) => {
            if wanted.keys().ne(planned.keys()) {
                faults.push(format!("{at}: other keys than configured"));
            }
            for (key, planned) in planned {
                let (config, at) = (config.get(key), format!("{at}.{key}"));
                match config.is_null() || planned.is_null() {
                    true => faults.push(format!("{at}: null crashes core")),
                    false => attributes(rows, prior.get(key), config, planned, &at, faults),
                }
            }
        }
        (NestingMode::List, Value::List(wanted), Value::List(planned)) => {
            if wanted.len() != planned.len() {
                faults.push(format!("{at}: another count than configured"));
            }
            for (index, (config, planned)) in (0..).zip(wanted.iter().zip(planned)) {
                let (prior, at) = (prior.step(&Step::Index(index)), format!("{at}.{index}"));
                match config.is_null() || planned.is_null() {
                    true => faults.push(format!("{at}: null crashes core")),
                    false => attributes(rows, prior, config, planned, &at, faults),
                }
            }
        }
        (NestingMode::Set, Value::List(wanted), Value::List(planned)) => {
            // Sets that hold unknown values have no certain count.
            let certain = [wanted, planned]
                .iter()
                .all(|set| !set.iter().any(Value::has_unknown));
            if planned.len() > wanted.len() || (certain && planned.len() < wanted.len()) {
                faults.push(format!("{at}: another count than configured"));
            }
        }
        _ => faults.push(format!("{at}: no case for {config:?} and {planned:?}")),
    }
}

fn completes(ty: &Type, planned: &Value, actual: &Value, at: &str, faults: &mut Vec<String>) {
    match (ty, planned, actual) {
        // Null that has no type is no promise either.
        (Type::Dynamic, Value::Unknown | Value::Null, _) => {}
        (Type::Dynamic, Value::Dynamic(planned), Value::Dynamic(actual))
            if planned.ty == actual.ty =>
        {
            completes(&planned.ty, &planned.value, &actual.value, at, faults);
        }
        (_, Value::Unknown, _) if conforming(ty, actual) => {}
        (Type::Set(item), Value::List(planned), Value::List(actual)) => {
            let fits = |a: &Value, b: &Value| {
                let mut faults = Vec::new();
                completes(item, a, b, at, &mut faults);
                faults.is_empty()
            };
            let lost = planned.iter().any(|a| !actual.iter().any(|b| fits(a, b)));
            let new = actual.iter().any(|b| !planned.iter().any(|a| fits(a, b)));
            if lost || new || actual.len() > planned.len() {
                faults.push(format!(
                    "{at}: {planned:?} does not correlate with {actual:?}"
                ));
            }
        }
        (Type::List(_) | Type::Tuple(_), Value::List(planned), Value::List(actual))
            if planned.len() == actual.len() =>
        {
            for (index, (planned, actual)) in planned.iter().zip(actual).enumerate() {
                let key = index.to_string();
                if let Some(ty) = element(ty, &key) {
                    completes(&ty, planned, actual, &format!("{at}.{key}"), faults);
                }
            }
        }
        (
            Type::Map(_) | Type::Slots(_) | Type::Object(_) | Type::Record(_),
            Value::Map(wanted),
            Value::Map(found),
        ) if wanted.keys().eq(found.keys()) => {
            for key in wanted.keys() {
                let at = format!("{at}.{key}");
                match element(ty, key) {
                    Some(ty) => completes(&ty, planned.get(key), actual.get(key), &at, faults),
                    None => faults.push(format!("{at}: not in the schema")),
                }
            }
        }
        (_, planned, actual) if planned == actual => {}
        _ => faults.push(format!("{at}: was {planned:?}, now {actual:?}")),
    }
}

/// The type of what is inside an object or a collection.
fn element(ty: &Type, key: &str) -> Option<Type> {
    match ty {
        Type::Map(item) | Type::List(item) => Some((**item).clone()),
        Type::Tuple(items) => items.get(key.parse::<usize>().ok()?).cloned(),
        Type::Slots(schema) => Some(Type::Object(schema.clone())),
        Type::Object(schema) => schema.attributes.get(key).map(|row| row.ty.clone()),
        Type::Record(rows) => rows.get(key).cloned(),
        _ => None,
    }
}

fn conforming(ty: &Type, value: &Value) -> bool {
    let mut faults = Vec::new();
    conforms(ty, value, "", &mut faults);
    faults.is_empty()
}

fn object_conforms(schema: &Schema, value: &Value, at: &str, faults: &mut Vec<String>) {
    let names = schema.attributes.keys().copied();
    match value.as_map() {
        Some(entries) if entries.keys().map(String::as_str).eq(names) => {}
        _ => faults.push(format!(
            "{at}: {value:?} has other attributes than its schema"
        )),
    }
    for (name, row) in &schema.attributes {
        let (value, at) = (value.get(name), format!("{at}.{name}"));
        if row.write_only && !value.is_null() {
            faults.push(format!("{at}: a secret would be stored"));
        }
        conforms(&row.ty, value, &at, faults);
    }
}

fn conforms(ty: &Type, value: &Value, at: &str, faults: &mut Vec<String>) {
    match (ty, value) {
        (_, Value::Null | Value::Unknown)
        | (Type::String, Value::String(_))
        | (Type::Number, Value::Number(_))
        | (Type::Bool, Value::Bool(_)) => {}
        (Type::Dynamic, Value::Dynamic(dynamic)) => {
            conforms(&dynamic.ty, &dynamic.value, at, faults);
        }
        (Type::List(item) | Type::Set(item), Value::List(items)) => {
            if matches!(ty, Type::Set(_)) && *value != Value::set(items.clone()) {
                faults.push(format!("{at}: {value:?} is no set"));
            }
            for value in items {
                conforms(item, value, at, faults);
                if ty.nested().is_some() && value.is_null() {
                    faults.push(format!("{at}: null crashes core"));
                }
            }
        }
        (Type::Tuple(types), Value::List(items)) if types.len() == items.len() => {
            for (ty, value) in types.iter().zip(items) {
                conforms(ty, value, at, faults);
            }
        }
        (Type::Object(schema), Value::Map(_)) => object_conforms(schema, value, at, faults),
        (Type::Slots(schema), Value::Map(slots)) => {
            for (key, slot) in slots {
                let at = format!("{at}.{key}");
                match slot {
                    Value::Unknown => {}
                    Value::Null => faults.push(format!("{at}: null crashes core")),
                    slot => object_conforms(schema, slot, &at, faults),
                }
            }
        }
        (Type::Record(rows), Value::Map(entries)) if entries.keys().eq(rows.keys()) => {
            for (name, ty) in rows {
                conforms(ty, value.get(name), &format!("{at}.{name}"), faults);
            }
        }
        (Type::Map(item), Value::Map(entries)) => {
            for (key, value) in entries {
                conforms(item, value, &format!("{at}.{key}"), faults);
            }
        }
        _ => faults.push(format!("{at}: {value:?} is no {ty:?}")),
    }
}

#[cfg(test)]
mod tests;
