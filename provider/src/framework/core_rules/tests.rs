//! That the rules refuse what core refuses; a rule that refuses nothing proves nothing.

use super::{random::ignoring_case, *};
use crate::framework::{Attribute, value::Dynamic};

fn row(ty: Type) -> Attribute {
    Attribute {
        ty,
        optional: true,
        ..<Attribute as Default>::default()
    }
}

fn list(items: &[Value]) -> Value {
    Value::List(items.to_vec())
}

fn map(entries: &[(&str, Value)]) -> Value {
    let entries = entries.iter();
    Value::Map(entries.map(|(k, v)| ((*k).to_owned(), v.clone())).collect())
}

fn one(row: Attribute) -> Schema {
    Schema::new("").attribute("x", row)
}

/// Prior, config and planned value of one attribute, and whether core accepts that plan.
#[track_caller]
fn check_plan(row: &Attribute, [prior, config, planned]: [Value; 3], fine: bool) {
    let x = |value| map(&[("x", value)]);
    let faults = plan_faults(&one(row.clone()), &x(prior), &x(config), &x(planned));
    assert_eq!(faults.is_empty(), fine, "{faults:?}");
}

#[test]
fn plans_follow_the_configuration_or_repeat_the_state() {
    let (a, b, c) = (|| "a".into(), || "b".into(), || "c".into());
    let optional = row(Type::String).same(ignoring_case);
    let open = row(Type::String).open();
    let secret = row(Type::String).write_only();
    check_plan(&optional, [a(), b(), b()], true);
    check_plan(&optional, [a(), b(), a()], true);
    check_plan(&optional, [a(), b(), c()], false);
    check_plan(&optional, [a(), b(), Value::Null], false);
    check_plan(&optional, [a(), Value::Unknown, b()], false);
    check_plan(&optional, [a(), Value::Null, a()], false);
    check_plan(&optional, [Value::Null, Value::Null, Value::Unknown], false);
    check_plan(&open, [a(), Value::Null, a()], true);
    check_plan(&open, [a(), Value::Null, Value::Unknown], true);
    check_plan(&open, [a(), b(), Value::Unknown], false);
    check_plan(&row(Type::String).computed(), [a(), Value::Null, c()], true);
    check_plan(&secret, [Value::Null, a(), Value::Null], true);
    check_plan(&secret, [Value::Null, a(), b()], false);
}

#[test]
fn plans_have_the_objects_and_keys_of_the_configuration() {
    let inner = || Box::new(one(row(Type::String).open()));
    let x = |text: &str| map(&[("x", text.into())]);
    let (object, slots) = (row(Type::Object(inner())), row(Type::Slots(inner())));
    check_plan(&object, [Value::Null, x("a"), x("a")], true);
    check_plan(&object, [Value::Null, x("a"), Value::Unknown], false);
    check_plan(&object, [x("b"), x("a"), Value::Null], false);
    check_plan(&object, [x("b"), x("a"), x("b")], true);
    let (one, two) = (
        map(&[("s0", x("a"))]),
        map(&[("s0", x("a")), ("s1", x("a"))]),
    );
    check_plan(&slots, [two.clone(), one.clone(), one.clone()], true);
    check_plan(&slots, [two.clone(), one.clone(), two.clone()], true);
    check_plan(&slots, [Value::Null, one.clone(), two.clone()], false);
    check_plan(&slots, [two.clone(), two, one], false);
}

#[test]
fn plans_have_as_many_objects_as_the_configuration() {
    let inner = || Box::new(Type::Object(Box::new(one(row(Type::String).open()))));
    let x = |text: &str| map(&[("x", text.into())]);
    let open = || map(&[("x", Value::Null)]);
    let unknown = || map(&[("x", Value::Unknown)]);
    let many = row(Type::List(inner()));
    check_plan(
        &many,
        [Value::Null, list(&[open()]), list(&[unknown()])],
        true,
    );
    check_plan(
        &many,
        [list(&[x("a")]), list(&[x("b")]), list(&[x("a")])],
        true,
    );
    check_plan(
        &many,
        [Value::Null, list(&[x("b")]), list(&[x("a")])],
        false,
    );
    check_plan(&many, [Value::Null, list(&[x("b")]), list(&[])], false);
    let some = row(Type::Set(inner()));
    check_plan(&some, [Value::Null, list(&[open()]), list(&[x("c")])], true);
    check_plan(
        &some,
        [Value::Null, list(&[open(), x("b")]), list(&[x("b")])],
        false,
    );
    check_plan(
        &some,
        [Value::Null, list(&[unknown(), x("b")]), list(&[x("b")])],
        true,
    );
}

/// Whether core accepts one value where another was planned.
#[track_caller]
fn check_completion(ty: Type, planned: Value, actual: Value, fine: bool) {
    let x = |value| map(&[("x", value)]);
    let faults = completion_faults(&one(row(ty)), &x(planned), &x(actual));
    assert_eq!(faults.is_empty(), fine, "{faults:?}");
}

#[test]
fn what_was_known_comes_back_and_the_rest_may_be_anything() {
    let (a, b) = (|| Value::from("a"), || Value::from("b"));
    let text = || Box::new(Type::String);
    check_completion(Type::String, a(), a(), true);
    check_completion(Type::String, a(), b(), false);
    check_completion(Type::String, a(), Value::Unknown, false);
    check_completion(Type::String, Value::Null, a(), false);
    check_completion(Type::String, Value::Unknown, Value::Null, true);
    let open = || list(&[a(), Value::Unknown]);
    check_completion(Type::List(text()), open(), list(&[a(), b()]), true);
    check_completion(Type::List(text()), open(), list(&[b(), a()]), false);
    check_completion(Type::List(text()), open(), list(&[a()]), false);
    check_completion(Type::Set(text()), open(), list(&[a()]), true);
    check_completion(Type::Set(text()), open(), list(&[b()]), false);
    check_completion(Type::Set(text()), list(&[a()]), list(&[a(), b()]), false);
    let any = |ty, value| Value::Dynamic(Box::new(Dynamic { ty, value }));
    check_completion(Type::Dynamic, Value::Unknown, any(Type::String, a()), true);
    let later = || any(Type::String, Value::Unknown);
    check_completion(Type::Dynamic, later(), any(Type::String, a()), true);
    check_completion(Type::Dynamic, later(), any(Type::Bool, true.into()), false);
    check_completion(Type::Dynamic, later(), Value::Null, false);
    let open = || map(&[("k", Value::Unknown)]);
    check_completion(Type::Map(text()), open(), map(&[("k", a())]), true);
    check_completion(Type::Map(text()), open(), map(&[]), false);
    check_completion(
        Type::Map(text()),
        open(),
        map(&[("k", a()), ("l", a())]),
        false,
    );
}

#[test]
fn values_have_the_type_of_their_schema() {
    let text = || Box::new(Type::String);
    for (row, value, fine) in [
        (row(Type::String), "a".into(), true),
        (row(Type::String), true.into(), false),
        (row(Type::String).write_only(), "a".into(), false),
        (
            row(Type::Set(text())),
            list(&["b".into(), "a".into()]),
            false,
        ),
        (
            row(Type::Set(text())),
            list(&["a".into(), "a".into()]),
            false,
        ),
        (
            row(Type::Record([("k".to_owned(), Type::Bool)].into())),
            map(&[]),
            false,
        ),
    ] {
        let faults = type_faults(&one(row), &map(&[("x", value)]));
        assert_eq!(faults.is_empty(), fine, "{faults:?}");
    }
    assert_eq!(type_faults(&one(row(Type::Bool)), &map(&[])).len(), 1);
}

#[test]
fn schemas_make_sense_to_core() {
    let nothing = Attribute {
        optional: false,
        ..row(Type::Bool)
    };
    let both = Attribute {
        required: true,
        ..row(Type::Bool)
    };
    let object = |row| Box::new(Type::Object(Box::new(one(row))));
    for (row, fine) in [
        (row(Type::Bool).open(), true),
        (row(Type::Bool).write_only().open(), true),
        (row(Type::Dynamic), true),
        (row(Type::Dynamic).computed(), true),
        (row(Type::Dynamic).open(), false),
        (row(Type::Dynamic).write_only(), false),
        (row(Type::List(object(row(Type::Bool)))), true),
        (row(Type::List(object(row(Type::Dynamic)))), false),
        (row(Type::Set(object(row(Type::Bool).write_only()))), false),
        (nothing, false),
        (both, false),
    ] {
        assert_eq!(schema_faults(&one(row)).is_empty(), fine);
    }
}
