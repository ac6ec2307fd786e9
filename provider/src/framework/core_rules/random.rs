//! Random configurations, states and their histories, for random schemas.
//!
//! All are read from bytes, like from a tape that ends in zeros: fewer and smaller bytes are simpler
//! cases, which makes failures shrink well. Tests only.

mod schemas;
mod values;

use std::{collections::BTreeMap, fmt};

use proptest::{collection, prelude::*};
pub(in crate::framework) use schemas::ignoring_case;
use schemas::{rows, schema};
use values::decided_plain;
pub(in crate::framework) use values::known;

use crate::framework::{
    Attribute, Schema, Type, Value,
    plan::{Plan, plan},
    private::Private,
    schema::Nesting,
    value::Dynamic,
};

/// Bytes that decide what a case is.
#[derive(Clone, Debug)]
pub(in crate::framework) struct Tape(std::vec::IntoIter<u8>);

impl Tape {
    /// A number below `limit`; 0 when the tape has ended.
    pub(in crate::framework) fn below(&mut self, limit: u8) -> u8 {
        self.0.next().unwrap_or(0) % limit
    }

    fn one_in(&mut self, count: u8) -> bool {
        self.below(count) == count - 1
    }

    fn of<T>(&mut self, choices: &[T]) -> T
    where
        T: Clone,
    {
        let count = u8::try_from(choices.len()).expect("few choices");
        choices[usize::from(self.below(count))].clone()
    }
}

/// One resource, what is there of it, and what the practitioner wants now.
#[derive(Clone)]
pub(in crate::framework) struct Case {
    /// Its schema.
    pub(in crate::framework) schema: Schema,
    /// What the last apply remembered, or anything at all.
    pub(in crate::framework) private: Private,
    /// What is there: as an apply left it, as it drifted, as an import found it, or nothing.
    pub(in crate::framework) prior: Value,
    /// What is wanted, with unknown values.
    pub(in crate::framework) config: Value,
    /// Decides the rest, such as what unknown values become.
    pub(in crate::framework) tape: Tape,
}

/// Any case.
pub(in crate::framework) fn cases() -> impl Strategy<Value = Case> {
    let tape = || collection::vec(any::<u8>(), 0..160).prop_map(|bytes| Tape(bytes.into_iter()));
    (tape(), tape(), tape(), tape()).prop_map(|(mut rows, mut past, mut now, tape)| {
        let schema = schema(&mut rows, 2);
        let (prior, private) = history(&schema, &mut past);
        let config = config(&schema, &mut now, true);
        Case {
            schema,
            private,
            prior,
            config,
            tape,
        }
    })
}

/// What a case is made from means another case after any change here, so failures are not recorded.
pub(in crate::framework) fn unrecorded() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

impl Case {
    /// The plan of this case.
    pub(in crate::framework) fn plan(&self) -> Plan<'_> {
        settled(&self.schema, &self.config, &self.prior, &self.private)
    }

    /// The configuration with all unknown values, or some of them, decided.
    pub(in crate::framework) fn decided(&mut self, all: bool) -> Value {
        decided(&self.schema, &self.config, &mut self.tape, all)
    }
}

/// A plan with its warnings.
pub(in crate::framework) fn settled<'a>(
    schema: &'a Schema,
    config: &'a Value,
    prior: &'a Value,
    private: &'a Private,
) -> Plan<'a> {
    let mut plan = plan(schema, config, prior, private);
    plan.settle();
    plan
}

/// What an apply of a plan leaves: everything that was known, and anything for the rest.
pub(in crate::framework) fn applied(schema: &Schema, planned: &Value, tape: &mut Tape) -> Value {
    each(schema, planned, &mut |row, planned| {
        applied_attribute(row, planned, tape)
    })
}

fn applied_attribute(row: &Attribute, planned: &Value, tape: &mut Tape) -> Value {
    match row.ty.nested() {
        _ if planned.is_null() => planned.clone(),
        _ if *planned == Value::Unknown => state_attribute(row, tape),
        Some((nesting, schema)) => remade(nesting, planned, &mut |object| match object {
            Value::Map(_) => applied(schema, object, tape),
            _ => object_state(schema, tape),
        }),
        None => decided_plain(&row.ty, planned, tape, true),
    }
}

/// A nested value with each of its objects, even unknown ones, made anew.
fn remade(nesting: Nesting, value: &Value, made: &mut dyn FnMut(&Value) -> Value) -> Value {
    match (nesting, value) {
        (Nesting::Map, Value::Map(slots)) => Value::Map(
            slots
                .iter()
                .map(|(key, slot)| (key.clone(), made(slot)))
                .collect(),
        ),
        (Nesting::List, Value::List(items)) => Value::List(items.iter().map(made).collect()),
        (Nesting::Set, Value::List(items)) => Value::set(items.iter().map(made).collect()),
        (Nesting::Single, Value::Map(_)) => made(value),
        _ => value.clone(),
    }
}

/// A few applies, and what may have happened since.
fn history(schema: &Schema, tape: &mut Tape) -> (Value, Private) {
    let (mut state, mut private) = (Value::Null, Private::default());
    for _ in 0..tape.below(3) {
        let config = config(schema, tape, false);
        let mut plan = settled(schema, &config, &state, &private);
        if !plan.replace.is_empty() {
            plan = settled(schema, &config, &Value::Null, &private);
        }
        let planned = plan.value;
        state = applied(schema, &planned, tape);
        private = Private::claiming(schema, &config);
    }
    match tape.below(6) {
        0..3 => {}
        3 => state = drifted(schema, &state, tape),
        4 => (state, private) = (object_state(schema, tape), Private::default()),
        _ => private.claimed.retain(|_| tape.one_in(2)),
    }
    (state, private)
}

fn drifted(schema: &Schema, state: &Value, tape: &mut Tape) -> Value {
    each(
        schema,
        state,
        &mut |row, value| match (row.ty.nested(), tape.one_in(3)) {
            (_, true) => state_attribute(row, tape),
            (Some((nesting, schema)), _) => {
                remade(nesting, value, &mut |object| drifted(schema, object, tape))
            }
            _ => value.clone(),
        },
    )
}

/// An object whose attributes are made from those of another one.
pub(in crate::framework) fn each(
    schema: &Schema,
    object: &Value,
    made: &mut dyn FnMut(&Attribute, &Value) -> Value,
) -> Value {
    if object.is_null() {
        return Value::Null;
    }
    Value::Map(
        schema
            .attributes
            .iter()
            .map(|(name, row)| ((*name).to_owned(), made(row, object.get(name))))
            .collect(),
    )
}

/// An object as the provider could find it.
pub(in crate::framework) fn object_state(schema: &Schema, tape: &mut Tape) -> Value {
    each(schema, &Value::Unknown, &mut |row, _| {
        state_attribute(row, tape)
    })
}

fn state_attribute(row: &Attribute, tape: &mut Tape) -> Value {
    if row.write_only || tape.below(3) == 0 {
        return Value::Null;
    }
    match row.ty.nested() {
        Some((nesting, schema)) => held(nesting, tape, |tape| object_state(schema, tape)),
        None => known(&row.ty, tape, false),
    }
}

/// A configuration that passes validation.
pub(in crate::framework) fn config(schema: &Schema, tape: &mut Tape, unknown: bool) -> Value {
    each(schema, &Value::Unknown, &mut |row, _| {
        config_attribute(row, tape, unknown)
    })
}

fn config_attribute(row: &Attribute, tape: &mut Tape, unknown: bool) -> Value {
    if !row.required && (!row.optional || tape.below(5) < 2) {
        return Value::Null;
    }
    if unknown && tape.one_in(5) {
        return Value::Unknown;
    }
    match row.ty.nested() {
        Some((Nesting::Single, schema)) => config(schema, tape, unknown),
        Some((nesting, schema)) => held(nesting, tape, |tape| match unknown && tape.one_in(6) {
            true => Value::Unknown,
            false => config(schema, tape, unknown),
        }),
        // Nothing, but of a type.
        None if row.ty == Type::Dynamic && !row.required && tape.one_in(6) => {
            let (ty, value) = (Type::String, Value::Null);
            Value::Dynamic(Box::new(Dynamic { ty, value }))
        }
        None => known(&row.ty, tape, unknown),
    }
}

fn decided(schema: &Schema, config: &Value, tape: &mut Tape, all: bool) -> Value {
    each(schema, config, &mut |row, value| {
        decided_attribute(row, value, tape, all)
    })
}

fn decided_attribute(row: &Attribute, value: &Value, tape: &mut Tape, all: bool) -> Value {
    let Some((nesting, inner)) = row.ty.nested() else {
        // What must be set does not turn out to be null.
        return match decided_plain(&row.ty, value, tape, all) {
            null if null.is_null() && row.required => match value {
                Value::Dynamic(dynamic) => {
                    let ty = dynamic.ty.clone();
                    let value = known(&ty, tape, false);
                    Value::Dynamic(Box::new(Dynamic { ty, value }))
                }
                _ => known(&row.ty, tape, false),
            },
            value => value,
        };
    };
    let object = |value: &Value, tape: &mut Tape| match value {
        Value::Unknown if !all && tape.one_in(3) => Value::Unknown,
        Value::Unknown => config(inner, tape, false),
        value => decided(inner, value, tape, all),
    };
    match value {
        Value::Unknown if !all && tape.one_in(3) => Value::Unknown,
        Value::Unknown => config_attribute(row, tape, false),
        value => remade(nesting, value, &mut |value| object(value, tape)),
    }
}

/// A few objects, as a nested attribute holds them.
fn held(nesting: Nesting, tape: &mut Tape, mut object: impl FnMut(&mut Tape) -> Value) -> Value {
    match nesting {
        Nesting::Single => object(tape),
        Nesting::List => Value::List((0..tape.below(4)).map(|_| object(tape)).collect()),
        Nesting::Set => Value::set((0..tape.below(4)).map(|_| object(tape)).collect()),
        Nesting::Map => {
            let mut slots = BTreeMap::new();
            for key in ["s0", "s1", "s2"] {
                if tape.one_in(2) {
                    slots.insert(key.to_owned(), object(tape));
                }
            }
            Value::Map(slots)
        }
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "schema")?;
        rows(&self.schema, 1, f)?;
        writeln!(f, "claimed {:?}", self.private.claimed)?;
        writeln!(f, "prior   {:?}", self.prior)?;
        writeln!(f, "config  {:?}", self.config)
    }
}
