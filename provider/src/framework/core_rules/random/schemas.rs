//! Random schemas, of everything that the language of models can say.
//!
//! Nested attributes have no mode of their own beside how they are filled: their leaves have.

use std::fmt;

use super::{Tape, known};
use crate::framework::{Attribute, Schema, Type, Value};

/// A schema with objects in it up to a depth.
pub(super) fn schema(tape: &mut Tape, depth: u8) -> Schema {
    within(tape, depth, Within::default())
}

/// What a schema is inside of, since core and planning allow less there.
#[derive(Clone, Copy, Default)]
struct Within {
    /// Objects of one collection have one type, so none of any type.
    collection: bool,
    /// Objects of a set have no name: nothing can be found, kept or replaced in them.
    set: bool,
}

fn within(tape: &mut Tape, depth: u8, within: Within) -> Schema {
    let count = 1 + usize::from(tape.below(5));
    ["a", "b", "c", "d", "e"]
        .into_iter()
        .take(count)
        .fold(Schema::new(""), |schema, name| {
            schema.attribute(name, row(tape, depth, within))
        })
}

fn row(tape: &mut Tape, depth: u8, outer: Within) -> Attribute {
    let of = |ty, required| Attribute {
        ty,
        required,
        optional: !required,
        ..<Attribute as Default>::default()
    };
    if depth > 0 && tape.below(5) > 2 {
        let kind = tape.below(13);
        let inner = Box::new(within(
            tape,
            depth - 1,
            Within {
                collection: outer.collection || kind > 3,
                set: outer.set || kind > 9,
            },
        ));
        let object = || Box::new(Type::Object(inner.clone()));
        return match kind {
            0 => of(*object(), false).open(),
            1 => of(*object(), false).filled(),
            2 => of(*object(), false),
            3 => of(*object(), true),
            4 => of(Type::Slots(inner), false).slots("s", 3),
            5 => of(Type::Slots(inner), true).slots("s", 3),
            6 => of(Type::Slots(inner), false),
            7 => of(Type::List(object()), false),
            8 => of(Type::List(object()), false).open(),
            9 => of(Type::List(object()), true),
            10 => of(Type::Set(object()), false),
            11 => of(Type::Set(object()), false).open(),
            _ => of(Type::Set(object()), true),
        };
    }
    let text = || Box::new(Type::String);
    let record = |x| {
        let rows = [("x", x), ("y", Type::List(text()))];
        Type::Record(rows.map(|(name, ty)| (name.to_owned(), ty)).into())
    };
    let ty = tape.of(&[
        Type::String,
        Type::Number,
        Type::Bool,
        Type::List(text()),
        Type::Set(text()),
        Type::Set(Box::new(Type::Number)),
        Type::Map(text()),
        record(Type::String),
        match outer.collection {
            true => Type::Map(Box::new(record(Type::Number))),
            false => Type::Dynamic,
        },
    ]);
    let required = tape.one_in(4);
    let default = known(&ty, tape, false);
    let case = tape.one_in(3) && ty == Type::String;
    let dynamic = ty == Type::Dynamic;
    let row = of(ty, required);
    let row = match tape.below(if outer.set { 10 } else { 19 }) {
        _ if dynamic && !required => {
            return match tape.one_in(2) {
                true => row,
                false => row.computed(),
            };
        }
        0 | 1 => row,
        2 | 3 => row.open(),
        4 => return row.computed(),
        5 => row.decided(),
        6 => row.default(default),
        7 if !required => row.default(default).enforced(),
        8 => row.default(default).setting(),
        9 => row.sticky(),
        10 if !dynamic => return row.write_only(),
        11 => row.keep(),
        12 => row.default(default).keep(),
        13 => row.decided().sticky(),
        14 => row.replace_unknown(),
        15 => row.decided().replace(),
        16 => row.default(default).replace(),
        _ => row.replace(),
    };
    match case {
        true => row.same(ignoring_case),
        false => row,
    }
}

/// Whether two texts differ in case at most.
pub(in crate::framework) fn ignoring_case(a: &Value, b: &Value) -> bool {
    matches!((a, b), (Value::String(a), Value::String(b)) if a.eq_ignore_ascii_case(b))
}

/// Prints one row a line.
pub(super) fn rows(schema: &Schema, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (name, row) in &schema.attributes {
        let words = [
            (row.required, "required"),
            (row.optional, "optional"),
            (row.computed, "computed"),
            (row.write_only, "write-only"),
            (row.replace, "replace"),
            (row.replace_unknown, "replace_unknown"),
            (row.keep, "keep"),
            (row.sticky, "sticky"),
            (row.decided, "decided"),
            (row.enforced, "enforced"),
            (row.filled, "filled"),
            (row.setting, "setting"),
            (row.slots.is_some(), "slots"),
            (row.same.is_some(), "same"),
        ];
        let words: Vec<&str> = words.iter().filter(|w| w.0).map(|w| w.1).collect();
        write!(
            f,
            "{:1$}{name} {words}",
            "",
            depth * 2,
            words = words.join(" ")
        )?;
        if let Some(default) = &row.default {
            write!(f, " = {default:?}")?;
        }
        match row.ty.nested() {
            Some((nesting, inner)) => {
                writeln!(f, ": {nesting:?}").and_then(|()| rows(inner, depth + 1, f))
            }
            None => writeln!(f, ": {:?}", row.ty),
        }?;
    }
    Ok(())
}
