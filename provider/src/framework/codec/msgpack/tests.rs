use std::collections::BTreeMap;

use proptest::{collection, prelude::*};

use super::*;
use crate::framework::{Schema, Type, core_rules::random, schema::Attribute};

fn text(item: &str) -> Value {
    Value::from(item)
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.map(|(name, value)| (name.to_owned(), value)).into())
}

fn record<const N: usize>(rows: [(&str, Type); N]) -> Type {
    Type::Record(rows.map(|(name, ty)| (name.to_owned(), ty)).into())
}

/// Every kind of type there is.
fn every_type() -> Type {
    let row = |ty| Attribute {
        ty,
        ..<Attribute as Default>::default()
    };
    let slot = Schema::new("")
        .attribute("on", row(Type::Bool))
        .attribute("size", row(Type::Number));
    let schema = Schema::new("")
        .attribute("name", row(Type::String))
        .attribute("slots", row(Type::Slots(Box::new(slot.clone()))))
        .attribute("one", row(Type::Object(Box::new(slot))));
    record([
        ("any", Type::Dynamic),
        ("inner", Type::Object(Box::new(schema))),
        ("list", Type::List(Box::new(Type::Number))),
        ("map", Type::Map(Box::new(Type::String))),
        ("set", Type::Set(Box::new(Type::String))),
        ("tuple", Type::Tuple(vec![Type::Bool, Type::Dynamic])),
    ])
}

#[track_caller]
fn check(ty: &Type, value: &Value, bytes: &[u8]) {
    assert_eq!(encode(value, ty.into()), (bytes.to_vec(), vec![]));
    assert_eq!(decode(bytes, ty.into()), Ok(value.clone()));
}

#[track_caller]
fn check_number(number: &str, bytes: &[u8]) {
    check(
        &Type::Number,
        &Value::Number(number.parse().unwrap()),
        bytes,
    );
}

#[test]
fn values_have_the_bytes_that_core_reads() {
    let list = Type::List(Box::new(Type::Bool));
    let pair = record([("a", Type::String), ("b", Type::Bool)]);
    check(&Type::String, &Value::Null, b"\xc0");
    check(&Type::String, &Value::Unknown, b"\xd4\0\0");
    check(&Type::String, &text("ab"), b"\xa2ab");
    check(
        &list,
        &Value::List(vec![true.into(), Value::Null]),
        b"\x92\xc3\xc0",
    );
    check(
        &pair,
        &map([("a", Value::Unknown), ("b", false.into())]),
        b"\x82\xa1a\xd4\0\0\xa1b\xc2",
    );
}

fn dynamic(ty: Type, value: Value) -> Value {
    Value::Dynamic(Box::new(Dynamic { ty, value }))
}

#[test]
fn a_value_of_any_type_brings_its_type() {
    let any = Type::Dynamic;
    check(&any, &Value::Null, b"\xc0");
    check(&any, &Value::Unknown, b"\xd4\0\0");
    let texts = || Type::List(Box::new(Type::String));
    let value = Value::List(vec![text("a"), Value::Unknown]);
    check(
        &any,
        &dynamic(texts(), value),
        b"\x92\xc4\x11[\"list\",\"string\"]\x92\xa1a\xd4\0\0",
    );
    check(
        &any,
        &dynamic(Type::String, Value::Null),
        b"\x92\xc4\x08\"string\"\xc0",
    );
    let pair = Type::Tuple(vec![Type::Bool, Type::Dynamic]);
    let value = Value::List(vec![true.into(), dynamic(Type::Number, 1.into())]);
    check(
        &any,
        &dynamic(pair, value),
        b"\x92\xc4\x1c[\"tuple\",[\"bool\",\"dynamic\"]]\x92\xc3\x92\xc4\x08\"number\"\x01",
    );
}

#[test]
fn numbers_are_whole_or_exact_or_text() {
    check_number("0", b"\0");
    check_number("-1", b"\xff");
    check_number("200", b"\xcc\xc8");
    check_number(
        "18446744073709551615",
        b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    );
    check_number("0.5", b"\xcb\x3f\xe0\0\0\0\0\0\0");
    check_number("0.1", b"\xa30.1");
    check_number("Infinity", b"\xcb\x7f\xf0\0\0\0\0\0\0");
    check_number("-Infinity", b"\xcb\xff\xf0\0\0\0\0\0\0");
    check_number("12345678901234567891234", b"\xb712345678901234567891234");
    // 2 to the power of 100 is a float.
    check_number(
        "1267650600228229401496703205376",
        b"\xcb\x46\x30\0\0\0\0\0\0",
    );
}

#[test]
fn numbers_of_any_width_are_read() {
    for (bytes, number) in [
        (&b"\xd0\xff"[..], "-1"),
        (b"\xd1\xff\xfe", "-2"),
        (b"\xd2\xff\xff\xff\xfd", "-3"),
        (b"\xd3\xff\xff\xff\xff\xff\xff\xff\xfc", "-4"),
        (b"\xcd\x01\0", "256"),
        (b"\xce\0\x01\0\0", "65536"),
        (b"\xca\xbf\xc0\0\0", "-1.5"),
        (b"\xa31e3", "1000"),
        // The float next to a tenth is not a tenth.
        (
            b"\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a",
            "0.1000000000000000055511151231257827021181583404541015625",
        ),
    ] {
        let read = decode(bytes, (&Type::Number).into());
        assert_eq!(
            read,
            Ok(Value::Number(number.parse().unwrap())),
            "{bytes:?}"
        );
    }
}

#[test]
fn every_extension_is_unknown() {
    for bytes in [
        // Refined: not null, with a prefix.
        &b"\xc7\x07\x0c\x82\x01\xc2\x02\xa2ab"[..],
        b"\xd5\x05\0\0",
        b"\xd6\x05\0\0\0\0",
        b"\xc8\0\x01\x0c\x80",
        b"\xc9\0\0\0\x01\x0c\x80",
    ] {
        let read = decode(bytes, (&every_type()).into());
        assert_eq!(read, Ok(Value::Unknown), "{bytes:?}");
    }
}

#[test]
fn sets_are_sorted_and_hold_nothing_twice_that_is_known() {
    let set = Type::Set(Box::new(Type::String));
    let read = decode(b"\x95\xa1b\xa1a\xd4\0\0\xa1b\xd4\0\0", (&set).into());
    let wanted = [Value::Unknown, Value::Unknown, text("a"), text("b")];
    assert_eq!(read, Ok(Value::List(wanted.into())));
}

#[test]
fn attributes_that_were_not_sent_are_null() {
    let ty = record([("a", Type::String), ("b", Type::Bool)]);
    let read = decode(b"\x81\xa1b\xc3", (&ty).into());
    assert_eq!(read, Ok(map([("a", Value::Null), ("b", true.into())])));
}

#[track_caller]
fn check_refused(bytes: &[u8], path: &str, why: &str) {
    let error = decode(bytes, (&every_type()).into()).unwrap_err();
    assert_eq!(
        (error.path.to_string().as_str(), error.why.as_str()),
        (path, why)
    );
}

#[test]
fn what_does_not_fit_is_refused_where_it_is() {
    check_refused(b"", "", "it ends too early");
    check_refused(b"\xc0\xc0", "", "1 bytes too many");
    check_refused(b"\xc3", "", "expected a map, found True");
    check_refused(b"\x81\xa1x\xc0", "x", "the schema does not have it");
    check_refused(b"\x81\xc0", "", "expected a string, found Null");
    check_refused(
        b"\x81\xa3map\x81\xa1k\x01",
        r#"map["k"]"#,
        "expected a string, found FixPos(1)",
    );
    check_refused(b"\x81\xa3map\x81\xa1k\xa1\xff", r#"map["k"]"#, "not UTF-8");
    check_refused(
        b"\x81\xa4list\x92\x01\xa1x",
        "list[1]",
        "not a decimal number",
    );
    check_refused(
        b"\x81\xa4list\x91\xcb\x7f\xf8\0\0\0\0\0\0",
        "list[0]",
        "not a number",
    );
    check_refused(b"\x81\xa5tuple\x91\xc3", "tuple", "it has too few items");
    check_refused(
        b"\x81\xa5tuple\x93\xc3\xc0\xc0",
        "tuple[2]",
        "it has too many items",
    );
    check_refused(b"\x81\xa3any\x91\xc0", "any", "not a type and a value");
    check_refused(
        b"\x81\xa3any\x92\xa6string\xa1a",
        "any",
        "expected a type, found FixStr(6)",
    );
    check_refused(b"\x81\xa3any\x92\xc4\x04\"set\xa1a", "any", "not a type");
    // A length of 4 billion allocates nothing.
    check_refused(b"\xdf\xff\xff\xff\xff", "", "it ends too early");
    check_refused(
        b"\x81\xa4list\xdd\xff\xff\xff\xff",
        "list[0]",
        "it ends too early",
    );
    // A million lists in lists end at the second.
    let nested = [b"\x81\xa4list".to_vec(), vec![0x91; 1_000_000]].concat();
    check_refused(&nested, "list[0]", "expected a number, found FixArray(1)");
    // Values that bring their type have no depth of their own.
    let any = b"\x92\xc4\x09\"dynamic\"".repeat(1_000_000);
    check_refused(
        &[b"\x81\xa3any".to_vec(), any].concat(),
        "any",
        "nested too deep",
    );
}

#[test]
fn a_value_of_another_type_is_written_as_null_and_named() {
    let ty = record([("a", Type::String), ("b", Type::List(Box::new(Type::Bool)))]);
    let value = map([("a", 1_i64.into()), ("b", Value::List(vec![text("x")]))]);
    let (bytes, wrong) = encode(&value, (&ty).into());
    assert_eq!(bytes, b"\x82\xa1a\xc0\xa1b\x91\xc0");
    let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    assert_eq!(wrong, ["a", "b[0]"]);
}

fn values(shape: Shape<'_>) -> BoxedStrategy<Value> {
    let known = match shape {
        Shape::String => any::<String>().prop_map(Value::String).boxed(),
        Shape::Number => "-?[0-9]{1,40}(\\.[0-9]{1,30})?"
            .prop_map(|text| Value::Number(text.parse().unwrap()))
            .boxed(),
        Shape::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Shape::List(item) => collection::vec(values(item.into()), 0..4)
            .prop_map(Value::List)
            .boxed(),
        Shape::Set(item) => collection::vec(values(item.into()), 0..4)
            .prop_map(Value::set)
            .boxed(),
        Shape::Tuple(types) => types
            .iter()
            .map(|ty| values(ty.into()))
            .collect::<Vec<_>>()
            .prop_map(Value::List)
            .boxed(),
        Shape::Dynamic => prop_oneof![
            Just(Type::String),
            Just(Type::Set(Box::new(Type::Number))),
            Just(Type::Tuple(vec![Type::Bool, Type::String])),
            Just(record([("x", Type::Bool)])),
        ]
        .prop_flat_map(|ty| values((&ty).into()).prop_map(move |value| dynamic(ty.clone(), value)))
        .boxed(),
        Shape::Map(item) => entries(item.into()),
        Shape::Slots(schema) => entries(schema.into()),
        Shape::Object(_) | Shape::Record(_) => shape
            .attributes()
            .into_iter()
            .fold(Just(BTreeMap::new()).boxed(), |rest, (name, shape)| {
                let name = name.to_owned();
                (rest, values(shape))
                    .prop_map(move |(mut rest, value)| {
                        rest.insert(name.clone(), value);
                        rest
                    })
                    .boxed()
            })
            .prop_map(Value::Map)
            .boxed(),
    };
    prop_oneof![1 => Just(Value::Null), 1 => Just(Value::Unknown), 6 => known].boxed()
}

fn entries(item: Shape<'_>) -> BoxedStrategy<Value> {
    collection::btree_map(any::<String>(), values(item), 0..4)
        .prop_map(Value::Map)
        .boxed()
}

proptest! {
    #[test]
    fn any_value_survives_the_wire(value in values((&every_type()).into())) {
        let (bytes, wrong) = encode(&value, (&every_type()).into());
        prop_assert_eq!(wrong, vec![]);
        prop_assert_eq!(decode(&bytes, (&every_type()).into()), Ok(value));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = decode(&bytes, (&every_type()).into());
    }

    #[test]
    fn no_damage_panics(
        value in values((&every_type()).into()), at: prop::sample::Index, byte: u8,
    ) {
        let (mut bytes, _) = encode(&value, (&every_type()).into());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode(&bytes, (&every_type()).into());
        let _ = decode(&bytes[..at], (&every_type()).into());
    }
}

proptest! {
    #![proptest_config(random::unrecorded())]

    #[test]
    fn what_core_sends_and_gets_survives_the_wire(case in random::cases()) {
        let planned = case.plan().value;
        for value in [&case.config, &case.prior, &planned] {
            let (bytes, wrong) = encode(value, (&case.schema).into());
            prop_assert_eq!(wrong, vec![]);
            prop_assert_eq!(decode(&bytes, (&case.schema).into()), Ok(value.clone()));
        }
    }
}
