use serde_json::{Value as Json, json};

use super::*;
use crate::framework::{Attribute, model};

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
        );
    let nic = Schema::new("A NIC.")
        .attribute("bridge", Attribute::of::<String>("Bridge."))
        .attribute("mac", Attribute::of::<Option<String>>("MAC.").decided());
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
            (other, _) => other,
        }
    }
    mark(model::object(json, &schema()), json)
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

/// What the test schema looks like after a create from `{name}`.
fn host(more: Json) -> Json {
    let mut host = json!({ "id": "qemu/100", "name": "a", "vm_id": 100, "started": true, "cpu": { "cores": 2 } });
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

#[test]
fn defaults_are_for_creation() {
    check(
        json!({ "name": "a" }),
        Json::Null,
        &[],
        json!({
            "id": "?", "name": "a", "vm_id": "?", "started": true, "cpu": { "cores": 2 }
        }),
    );
    let imported = json!({ "id": "qemu/1", "name": "a", "vm_id": 1, "started": true });
    check(json!({ "name": "a" }), imported.clone(), &[], imported);
}

#[test]
fn a_device_that_is_configured_for_the_first_time_gets_its_defaults() {
    check(
        json!({ "name": "a", "disk": { "size": 8 } }),
        host(json!({})),
        &[],
        host(json!({
            "disk": { "size": 8, "path": "/opt" }
        })),
    );
}

#[test]
fn unmanaged_stays_and_removed_returns_to_the_default() {
    let prior = host(json!({ "cpu": { "cores": 4, "limit": 3 } }));
    check(json!({ "name": "a" }), prior.clone(), &[], prior.clone());
    check(
        json!({ "name": "a" }),
        prior,
        &["cpu.cores", "cpu.limit"],
        host(json!({ "cpu": { "cores": 2 } })),
    );
}

#[test]
fn removal_does_not_move_a_disk_or_draw_a_new_mac() {
    let prior = host(json!({
        "disk": { "size": 8, "storage": "fast", "path": "/srv" },
        "nic": { "net0": { "bridge": "vmbr0", "mac": "BC:24:11:00:00:01" } }
    }));
    check(
        json!({ "name": "a", "disk": { "size": 8 }, "nic": { "net0": { "bridge": "vmbr0" } } }),
        prior.clone(),
        &["disk.storage", "disk.path", "nic.net0", "nic.net0.mac"],
        prior,
    );
}

#[test]
fn an_optional_attribute_that_is_owned_whole_is_removed_by_absence() {
    check(
        json!({ "name": "a" }),
        host(json!({ "note": "x" })),
        &[],
        host(json!({})),
    );
}

#[test]
fn an_enforced_default_corrects_drift() {
    check(
        json!({ "name": "a" }),
        host(json!({ "started": false })),
        &[],
        host(json!({})),
    );
}

#[test]
fn a_create_time_input_is_kept_with_a_warning() {
    let (replace, found) = check(
        json!({ "name": "a", "image": "new" }),
        host(json!({ "image": "old" })),
        &[],
        host(json!({ "image": "old" })),
    );
    assert_eq!(
        (replace.len(), found),
        (0, vec!["Kept as it was made".to_owned()])
    );
    let (_, quiet) = check(
        json!({ "name": "a", "image": "new" }),
        host(json!({})),
        &[],
        host(json!({ "image": "new" })),
    );
    assert!(
        quiet.is_empty(),
        "an imported guest takes the image as a note"
    );
}

#[test]
fn a_create_time_input_keeps_its_value_while_the_configuration_is_unknown() {
    check(
        json!({ "name": "a", "image": "?" }),
        host(json!({ "image": "old" })),
        &[],
        host(json!({ "image": "old" })),
    );
}

#[test]
fn a_replacing_change_names_its_path_and_silences_kept_inputs() {
    let (replace, found) = check(
        json!({ "name": "a", "vm_id": 7, "image": "new" }),
        host(json!({ "image": "old" })),
        &[],
        host(json!({ "vm_id": 7, "image": "old" })),
    );
    assert_eq!((replace, found), (vec!["vm_id".to_owned()], vec![]));
}

#[test]
fn an_unknown_value_that_would_replace_is_an_error() {
    let (_, found) = check(
        json!({ "name": "a", "vm_id": "?" }),
        host(json!({})),
        &[],
        {
            let mut planned = host(json!({}));
            planned["vm_id"] = "?".into();
            planned
        },
    );
    assert_eq!(found, ["This value must be known"]);
}

#[test]
fn another_spelling_returns_the_prior_one() {
    check(
        json!({ "name": "a", "tag": "WEB" }),
        host(json!({ "tag": "web" })),
        &[],
        host(json!({ "tag": "web" })),
    );
}

#[test]
fn write_only_values_are_never_planned() {
    check(
        json!({ "name": "a", "secret_wo": "s" }),
        host(json!({})),
        &[],
        host(json!({})),
    );
}

#[test]
fn a_claimed_slot_goes_and_a_foreign_one_stays() {
    let nic = |n: u8| json!({ "bridge": "vmbr0", "mac": format!("BC:24:11:00:00:0{n}") });
    let two = host(json!({ "nic": { "net0": nic(0), "net1": nic(1) } }));
    let one = host(json!({ "nic": { "net0": nic(0) } }));
    let config = json!({ "name": "a", "nic": { "net0": { "bridge": "vmbr0" } } });
    check(config.clone(), two.clone(), &["nic.net0", "nic.net1"], one);
    let (_, found) = check(config, two.clone(), &["nic.net0"], two.clone());
    assert!(found.is_empty(), "a foreign NIC is no difference");
    let changed = json!({ "name": "a", "nic": { "net0": { "bridge": "vmbr9" } } });
    let (_, found) = check(
        changed,
        two,
        &["nic.net0"],
        host(json!({
            "nic": { "net0": { "bridge": "vmbr9", "mac": "BC:24:11:00:00:00" } }
        })),
    );
    assert_eq!(
        found,
        ["Devices that are not in the configuration stay attached"]
    );
}

#[test]
fn a_replacement_does_not_follow_the_claims_of_what_it_replaces() {
    check(
        json!({ "name": "a" }),
        Json::Null,
        &["cpu.cores", "nic.net0"],
        json!({
            "id": "?", "name": "a", "vm_id": "?", "started": true, "cpu": { "cores": 2 }
        }),
    );
}
