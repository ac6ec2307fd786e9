//! Random schemas, of everything that the language of models can say.
//!
//! Nested attributes have no mode of their own beside how they are filled: their leaves have.

use std::fmt;

use super::{Tape, known};
use crate::framework::{Attribute, Schema, Type, Value};

/// A schema with objects in it up to a depth.
pub(super) fn schema(tape: &mut Tape, depth: u8) -> Schema {
    let count = 1 + usize::from(tape.below(5));
    ["a", "b", "c", "d", "e"]
        .into_iter()
        .take(count)
        .fold(Schema::new(""), |schema, name| {
            schema.attribute(name, row(tape, depth))
        })
}

fn row(tape: &mut Tape, depth: u8) -> Attribute {
    let of = |ty, required| Attribute {
        ty,
        required,
        optional: !required,
        ..<Attribute as Default>::default()
    };
    if depth > 0 && tape.below(5) > 2 {
        let inner = Box::new(schema(tape, depth - 1));
        return match tape.below(6) {
            0 => of(Type::Object(inner), false).open(),
            1 => of(Type::Object(inner), false).filled(),
            2 => of(Type::Object(inner), false),
            3 => of(Type::Object(inner), true),
            4 => of(Type::Slots(inner), false).slots("s", 3),
            _ => of(Type::Slots(inner), true).slots("s", 3),
        };
    }
    let text = || Box::new(Type::String);
    let ty = tape.of(&[
        Type::String,
        Type::Number,
        Type::Bool,
        Type::List(text()),
        Type::Set(text()),
        Type::Set(Box::new(Type::Number)),
        Type::Map(text()),
        Type::Record(vec![("x", Type::String), ("y", Type::List(text()))]),
    ]);
    let required = tape.one_in(4);
    let default = known(&ty, tape, false);
    let case = tape.one_in(3) && ty == Type::String;
    let row = of(ty, required);
    let row = match tape.below(18) {
        0 => row,
        1 | 2 => row.open(),
        3 => return row.computed(),
        4 => return row.write_only(),
        5 => row.decided(),
        6 => row.default(default),
        7 if !required => row.default(default).enforced(),
        8 => row.default(default).setting(),
        9 => row.keep(),
        10 => row.default(default).keep(),
        11 => row.sticky(),
        12 => row.decided().sticky(),
        13 => row.replace_unknown(),
        14 => row.open().replace(),
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
        match &row.ty {
            Type::Object(inner) => writeln!(f, ": object").and_then(|()| rows(inner, depth + 1, f)),
            Type::Slots(inner) => writeln!(f, ": slots").and_then(|()| rows(inner, depth + 1, f)),
            ty => writeln!(f, ": {ty:?}"),
        }?;
    }
    Ok(())
}
