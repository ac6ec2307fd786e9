//! What plans contain, rule by rule, for one schema that has them all.

mod kept;
mod nested;
mod nothing;
mod slots;

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::*;
use crate::framework::{Attribute, Type, model};

fn schema() -> Schema {
    let cpu = Schema::new("CPU.")
        .attribute("cores", Attribute::of::<Option<i64>>("Cores.").default(2))
        .attribute("limit", Attribute::of::<Option<i64>>("Limit.").open());
    let disk = Schema::new("A disk.")
        .attribute("size", Attribute::of::<i64>("Size."))
        .attribute(
            "storage",
            Attribute::of::<Option<String>>("Where.").sticky(),
        )
        .attribute(
            "path",
            Attribute::of::<Option<String>>("Mounted.")
                .keep()
                .default("/opt"),
        )
        .attribute(
            "key_wo",
            Attribute::of::<Option<String>>("Key.").write_only(),
        );
    let source = Schema::new("What it is made from.")
        .attribute("id", Attribute::of::<Option<String>>("Id.").keep())
        .attribute("user", Attribute::of::<Option<String>>("User.").keep())
        .attribute(
            "key_wo",
            Attribute::of::<Option<String>>("Key.").write_only(),
        );
    let limits =
        Schema::new("Times.").attribute("create", Attribute::of::<Option<String>>("Create."));
    let nic = Schema::new("A NIC.")
        .attribute("bridge", Attribute::of::<String>("Bridge."))
        .attribute("mac", Attribute::of::<Option<String>>("MAC.").decided())
        .attribute(
            "key_wo",
            Attribute::of::<Option<String>>("Key.").write_only(),
        );
    let object = |schema: Schema| Attribute {
        ty: Type::Object(Box::new(schema)),
        optional: true,
        ..Default::default()
    };
    Schema::new("A guest.")
        .attribute("id", Attribute::of::<Option<String>>("Id.").computed())
        .attribute("name", Attribute::of::<String>("Name."))
        .attribute(
            "vm_id",
            Attribute::of::<Option<i64>>("VMID.").decided().replace(),
        )
        .attribute("image", Attribute::of::<Option<String>>("Image.").keep())
        .attribute(
            "servers",
            Attribute::of::<Option<Vec<String>>>("Servers.").keep(),
        )
        .attribute(
            "labels",
            Attribute::of::<Option<BTreeSet<String>>>("Labels.").open(),
        )
        .attribute(
            "node",
            Attribute::of::<Option<String>>("Node.").replace_unknown(),
        )
        .attribute(
            "policy",
            Attribute::of::<Option<String>>("Policy.")
                .default("auto")
                .setting(),
        )
        .attribute("note", Attribute::of::<Option<String>>("Note."))
        .attribute(
            "tag",
            Attribute::of::<Option<String>>("Tag.")
                .open()
                .same(ignore_case),
        )
        .attribute(
            "started",
            Attribute::of::<Option<bool>>("Runs.")
                .default(true)
                .enforced(),
        )
        .attribute(
            "secret_wo",
            Attribute::of::<Option<String>>("Secret.").write_only(),
        )
        .attribute("cpu", object(cpu).filled())
        .attribute("disk", object(disk).open())
        .attribute("source", object(source).open())
        .attribute("limits", object(limits))
        .attribute(
            "nic",
            Attribute {
                ty: Type::Slots(Box::new(nic)),
                optional: true,
                ..Default::default()
            }
            .slots("net", 32),
        )
}

fn ignore_case(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.eq_ignore_ascii_case(b),
        _ => false,
    }
}

/// A value of the test schema; the text `"?"` stands for an unknown one.
fn value(json: &Json) -> Value {
    marked(&schema(), json)
}

/// Sets have to be in order.
fn marked(schema: &Schema, json: &Json) -> Value {
    fn mark(value: Value, json: &Json) -> Value {
        match (value, json) {
            (_, Json::String(text)) if text == "?" => Value::Unknown,
            (Value::Map(entries), json) => Value::Map(
                entries
                    .into_iter()
                    .map(|(name, value)| {
                        let marked = mark(value, &json[&name]);
                        (name, marked)
                    })
                    .collect(),
            ),
            (Value::List(items), json) => Value::List(
                items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| mark(item, &json[index]))
                    .collect(),
            ),
            (other, _) => other,
        }
    }
    mark(model::object(json, schema), json)
}

/// Everything that is not null, with `"?"` for unknown.
fn shown(value: &Value) -> Json {
    match value {
        Value::Unknown => "?".into(),
        Value::Map(entries) => entries
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), shown(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::List(items) => items.iter().map(shown).collect(),
        other => model::to_json(other),
    }
}

#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "cases are written with json!"
)]
fn check(config: Json, prior: Json, claimed: &[&str], planned: Json) -> (Vec<String>, Vec<String>) {
    let (schema, config, prior) = (schema(), value(&config), value(&prior));
    let private = Private {
        claimed: claimed.iter().map(|path| (*path).to_owned()).collect(),
        ..Private::default()
    };
    let mut plan = plan(&schema, &config, &prior, &private);
    plan.settle();
    assert_eq!(shown(&plan.value), planned);
    (
        plan.replace.iter().map(ToString::to_string).collect(),
        plan.diagnostics
            .0
            .into_iter()
            .map(|found| found.summary)
            .collect(),
    )
}

/// What a create from `{name}` plans.
fn made() -> Json {
    host(json!({ "id": "?", "vm_id": "?" }))
}

/// What the test schema looks like after a create from `{name}`.
fn host(more: Json) -> Json {
    let mut host = json!({
        "id": "qemu/100", "name": "a", "vm_id": 100, "started": true, "policy": "auto",
        "cpu": { "cores": 2 }
    });
    merge(&mut host, more);
    host
}

fn merge(into: &mut Json, from: Json) {
    match (into, from) {
        (Json::Object(into), Json::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Json::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
