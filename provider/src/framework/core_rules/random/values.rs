//! Random values of types that are no nested attributes.

use super::Tape;
use crate::framework::{Type, Value, value::Dynamic};

/// A value of a type, few enough that they often are equal.
pub(in crate::framework) fn known(ty: &Type, tape: &mut Tape, unknown: bool) -> Value {
    let inner = |ty: &Type, tape: &mut Tape| match tape.below(8) {
        7 if unknown => Value::Unknown,
        6 => Value::Null,
        _ => known(ty, tape, unknown),
    };
    match ty {
        Type::String => tape.of(&["a", "A", "b", ""]).into(),
        Type::Bool => tape.one_in(2).into(),
        Type::Number => Value::Number(
            tape.of(&[
                "1",
                "2",
                "-3",
                "0.5",
                "0.1",
                "18446744073709551615",
                "-123456789012345678901234567890.000000000000000000001",
                "1e300",
                "Infinity",
            ])
            .parse()
            .expect("a number"),
        ),
        Type::List(item) => Value::List((0..tape.below(4)).map(|_| inner(item, tape)).collect()),
        Type::Set(item) => Value::set((0..tape.below(4)).map(|_| inner(item, tape)).collect()),
        Type::Tuple(items) => Value::List(items.iter().map(|item| inner(item, tape)).collect()),
        Type::Dynamic => {
            let ty = tape.of(&[
                Type::String,
                Type::Number,
                Type::Set(Box::new(Type::String)),
                Type::Tuple(vec![Type::Bool, Type::Dynamic]),
                Type::Record([("x".to_owned(), Type::Dynamic)].into()),
            ]);
            let value = match inner(&ty, tape) {
                Value::Null => known(&ty, tape, unknown),
                value => value,
            };
            Value::Dynamic(Box::new(Dynamic { ty, value }))
        }
        Type::Map(item) => {
            let keys = ["k", "l.m", "/n"].into_iter();
            let taken: Vec<&str> = keys.filter(|_| tape.one_in(2)).collect();
            Value::Map(
                taken
                    .into_iter()
                    .map(|key| (key.to_owned(), inner(item, tape)))
                    .collect(),
            )
        }
        Type::Record(rows) => Value::Map(
            rows.iter()
                .map(|(name, ty)| (name.clone(), inner(ty, tape)))
                .collect(),
        ),
        Type::Object(_) | Type::Slots(_) => Value::Null,
    }
}

/// A value with what is unknown in it decided: all of it, or some.
pub(super) fn decided_plain(ty: &Type, value: &Value, tape: &mut Tape, all: bool) -> Value {
    match (ty, value) {
        (_, Value::Unknown) if !all && tape.one_in(3) => Value::Unknown,
        (_, Value::Unknown) if tape.one_in(4) => Value::Null,
        (_, Value::Unknown) => known(ty, tape, false),
        (Type::Dynamic, Value::Dynamic(dynamic)) => {
            let ty = dynamic.ty.clone();
            let value = decided_plain(&ty, &dynamic.value, tape, all);
            Value::Dynamic(Box::new(Dynamic { ty, value }))
        }
        (Type::List(item), Value::List(items)) => Value::List(
            items
                .iter()
                .map(|value| decided_plain(item, value, tape, all))
                .collect(),
        ),
        (Type::Set(item), Value::List(items)) => Value::set(
            items
                .iter()
                .map(|value| decided_plain(item, value, tape, all))
                .collect(),
        ),
        (Type::Tuple(types), Value::List(items)) => Value::List(
            types
                .iter()
                .zip(items)
                .map(|(ty, value)| decided_plain(ty, value, tape, all))
                .collect(),
        ),
        (Type::Map(item), Value::Map(entries)) => Value::Map(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), decided_plain(item, value, tape, all)))
                .collect(),
        ),
        (Type::Record(rows), Value::Map(_)) => Value::Map(
            rows.iter()
                .map(|(name, ty)| {
                    let value = decided_plain(ty, value.get(name), tape, all);
                    (name.clone(), value)
                })
                .collect(),
        ),
        _ => value.clone(),
    }
}
