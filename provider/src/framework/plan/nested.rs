//! Planning of nested attributes: which prior object a configured one is compared with.
//!
//! Does not plan attributes: the walk over objects does.

use std::collections::BTreeMap;

use super::Plan;
use crate::framework::{Attribute, Path, Schema, Type, Value, path::Step};

static NOTHING: Value = Value::Null;

impl Plan<'_> {
    /// Objects are compared by position, as core compares them.
    pub(super) fn list(
        &mut self,
        schema: &Schema,
        at: &Path,
        config: &Value,
        prior: &Value,
        new: bool,
    ) -> Value {
        let wanted = (0..).zip(config.as_list().into_iter().flatten());
        let planned = wanted.map(|(index, wanted)| {
            let step = Step::Index(index);
            let prior = prior.step(&step);
            self.element(schema, &at.with(step), wanted, prior, new)
        });
        Value::List(planned.collect())
    }

    fn element(
        &mut self,
        schema: &Schema,
        at: &Path,
        config: &Value,
        prior: &Value,
        new: bool,
    ) -> Value {
        match config {
            Value::Unknown => {
                self.object_may_replace(schema, at, prior);
                Value::Unknown
            }
            config => self.object(schema, at, config, prior, new),
        }
    }

    /// An object of a set is the prior one that is equal but for what the configuration leaves open.
    pub(super) fn set_of(
        &mut self,
        schema: &Schema,
        at: &Path,
        config: &Value,
        prior: &Value,
    ) -> Value {
        let (Value::List(wanted), at) = (config, at.with(Step::Element)) else {
            return config.clone();
        };
        let mut left: Vec<&Value> = prior.as_list().into_iter().flatten().collect();
        let (same, other): (Vec<&Value>, Vec<&Value>) =
            wanted.iter().partition(|wanted| left.contains(wanted));
        left.retain(|prior| !same.contains(prior));
        let mut planned: Vec<Value> = same.into_iter().cloned().collect();
        if config.has_unknown() {
            // An unknown object may turn out to be the prior one of any other.
            planned.extend(other.into_iter().map(|wanted| opened(schema, wanted)));
        } else {
            for (wanted, prior) in paired(schema, &other, &left) {
                planned.push(self.object(schema, &at, wanted, prior, false));
            }
        }
        match Value::set(planned) {
            // Core wants as many objects as it configured: what would make two of them equal stays open.
            Value::List(planned) if planned.len() < wanted.len() => config.clone(),
            planned => planned,
        }
    }

    /// Objects are compared by name. Those of a slot map that no configuration ever listed are foreign.
    pub(super) fn slots(
        &mut self,
        attribute: &Attribute,
        schema: &Schema,
        at: &Path,
        config: &Value,
        prior: &Value,
        new: bool,
    ) -> Value {
        let Value::Map(wanted) = config else {
            return config.clone();
        };
        let planned = wanted.iter().map(|(key, slot)| {
            let value = self.element(schema, &at.key(key), slot, prior.get(key), new);
            (key.clone(), value)
        });
        let planned = Value::Map(planned.collect());
        let before = || prior.as_map().into_iter().flatten();
        // A map that the provider never fills is the configuration's as a whole.
        let ours = |key: &String| {
            wanted.contains_key(key) || !attribute.follows_slots() || self.claimed(&at.key(key))
        };
        let foreign: Vec<&str> = before()
            .map(|(key, _)| key)
            .filter(|key| !ours(key))
            .map(String::as_str)
            .collect();
        if foreign.is_empty() {
            return planned;
        }
        // Only the map as a whole may equal the prior one: core wants the keys of the configuration.
        let others_equal = wanted
            .keys()
            .all(|key| !prior.get(key).is_null() && planned.get(key).may_become(prior.get(key)));
        let none_removed =
            before().all(|(key, _)| wanted.contains_key(key) || foreign.contains(&key.as_str()));
        let whole = others_equal && none_removed;
        if whole && !planned.has_unknown() {
            return prior.clone();
        }
        let names = foreign.join(", ");
        if whole {
            self.diagnostics.error(
                Some(at.clone()),
                "Unknown values beside devices that are not in the configuration",
                format!("The guest has {names}, which the configuration does not list. List them, or make all values here known before the plan."),
            );
        } else {
            self.diagnostics.warn(
                Some(at.clone()),
                "Devices that are not in the configuration stay attached",
                format!("{names}: no longer followed by this resource, since the configuration does not list them. They are not detached."),
            );
        }
        planned
    }

    /// The slots that the configuration never listed.
    pub(super) fn unclaimed_slots(&self, at: &Path, prior: &Value) -> Value {
        let Value::Map(slots) = prior else {
            return prior.clone();
        };
        let left: BTreeMap<_, _> = slots
            .iter()
            .filter(|(key, _)| !self.claimed(&at.key(key)))
            .map(|(key, slot)| (key.clone(), slot.clone()))
            .collect();
        match left.is_empty() && !slots.is_empty() {
            true => Value::Null,
            false => Value::Map(left),
        }
    }
}

impl Attribute {
    /// Whether its map may hold objects that somebody else made.
    fn follows_slots(&self) -> bool {
        self.computed || self.slots.is_some()
    }

    /// Whether a configured value leaves the answer to the provider.
    fn is_open(&self, config: &Value) -> bool {
        self.computed && (!self.optional || config.is_null())
    }
}

/// A configured object with unknown for all that it leaves open.
fn opened(schema: &Schema, config: &Value) -> Value {
    let Value::Map(_) = config else {
        return config.clone();
    };
    let opened = |row: &Attribute, config: &Value| match row.ty.nested() {
        _ if row.is_open(config) => Value::Unknown,
        Some((nesting, schema)) => {
            nesting.each(config, &Value::Null, |_, object, _| opened(schema, object))
        }
        None => config.clone(),
    };
    let rows = schema.attributes.iter();
    Value::Map(
        rows.map(|(name, row)| ((*name).to_owned(), opened(row, config.get(name))))
            .collect(),
    )
}

/// Each configured object with the prior one that it is, or null: as many pairs as there can be.
fn paired<'v>(
    schema: &Schema,
    wanted: &[&'v Value],
    prior: &[&'v Value],
) -> Vec<(&'v Value, &'v Value)> {
    /// Gives one configured object a prior one, for which others may have to take another.
    fn find(
        wanted: usize,
        fits: &[Vec<usize>],
        tried: &mut [bool],
        owner: &mut [Option<usize>],
    ) -> bool {
        fits[wanted].iter().any(|&prior| {
            if std::mem::replace(&mut tried[prior], true) {
                return false;
            }
            let free = owner[prior].is_none_or(|other| find(other, fits, tried, owner));
            if free {
                owner[prior] = Some(wanted);
            }
            free
        })
    }
    let fits = |wanted: &&Value| {
        let fitting = |index: &usize| answers(schema, wanted, prior[*index]);
        (0..prior.len()).filter(fitting).collect()
    };
    let fits: Vec<Vec<usize>> = wanted.iter().map(fits).collect();
    let mut owner = vec![None; prior.len()];
    for index in 0..wanted.len() {
        find(index, &fits, &mut vec![false; prior.len()], &mut owner);
    }
    let of = |index| owner.iter().position(|owner| *owner == Some(index));
    let wanted = wanted.iter().enumerate();
    wanted
        .map(|(index, wanted)| (*wanted, of(index).map_or(&NOTHING, |found| prior[found])))
        .collect()
}

/// Whether a prior object is what a configured one asks for.
fn answers(schema: &Schema, config: &Value, prior: &Value) -> bool {
    schema.attributes.iter().all(|(name, row)| {
        let (config, prior) = (config.get(name), prior.get(name));
        match row.is_open(config) {
            true => !row.enforced || row.default.as_ref() == Some(prior),
            false => config == prior || nested_answers(&row.ty, config, prior),
        }
    })
}

fn nested_answers(ty: &Type, config: &Value, prior: &Value) -> bool {
    let Some((nesting, schema)) = ty.nested() else {
        return false;
    };
    if config.is_null() || prior.is_null() {
        return false;
    }
    let (wanted, found) = (nesting.objects(config), nesting.objects(prior));
    wanted.len() == found.len()
        && wanted.iter().all(|(step, wanted)| {
            found
                .iter()
                .any(|(at, found)| at == step && answers(schema, wanted, found))
        })
}
