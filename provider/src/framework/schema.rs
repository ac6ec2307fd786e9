//! Schemas: what an attribute is, and what core, planning and the documentation need to know of it.
//!
//! Decides nothing: validation and planning read it.

mod builder;
mod constraint;
mod nesting;

use std::{cmp::Ordering, collections::BTreeMap};

pub use nesting::Nesting;

use super::{Path, Value, path::Step};

/// The type of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    /// A text.
    String,
    /// A number of any size.
    Number,
    /// A truth value.
    Bool,
    /// An ordered list.
    List(Box<Type>),
    /// An unordered list without repetition.
    Set(Box<Type>),
    /// A map from text.
    Map(Box<Type>),
    /// A list in which each place has a type of its own.
    Tuple(Vec<Type>),
    /// An object whose attributes have no rules of their own, as computed attributes use.
    Record(BTreeMap<String, Type>),
    /// Any type: the value says which.
    Dynamic,
    /// A nested attribute: one object. A list or a set of these is a nested attribute too.
    Object(Box<Schema>),
    /// A nested attribute: a map of objects by name, often by slot, such as `net0`.
    Slots(Box<Schema>),
}

/// A check of one known, non-null value; `Err` says what is wrong with it.
pub type Check = fn(&Value) -> Result<(), String>;

/// One row of a schema.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one word of the language that models are written in"
)]
#[derive(Clone, Debug, Default)]
pub struct Attribute {
    /// Its type.
    pub ty: Type,
    /// Markdown for practitioners.
    pub doc: String,
    /// The configuration must set it.
    pub required: bool,
    /// The configuration may set it.
    pub optional: bool,
    /// The provider may set it.
    pub computed: bool,
    /// Core masks it.
    pub sensitive: bool,
    /// Core never stores it.
    pub write_only: bool,
    /// A change replaces the resource.
    pub replace: bool,
    /// An unknown value on an existing object replaces it too, instead of being an error.
    pub replace_unknown: bool,
    /// A create-time input: a change keeps what is there and warns.
    pub keep: bool,
    /// Removal keeps what is there, since it says where something lives.
    pub sticky: bool,
    /// Known after apply where the configuration is silent.
    pub decided: bool,
    /// A null configuration means the default at any time, not only on create.
    pub enforced: bool,
    /// An absent object is filled from the defaults of its attributes on create.
    pub filled: bool,
    /// A setting of the provider: stored, never sent, filled in when an older state lacks it.
    pub setting: bool,
    /// What an absent value becomes on create.
    pub default: Option<Value>,
    /// Why it should no longer be used, and what to use instead: a warning.
    pub deprecated: Option<&'static str>,
    /// The API's name for it, where it differs.
    pub param: Option<&'static str>,
    /// For slots: the prefix of their names and how many there are.
    pub slots: Option<(&'static str, u32)>,
    /// The check of a known value.
    pub checks: Vec<Rule>,
    /// Whether two spellings mean the same.
    pub same: Option<fn(&Value, &Value) -> bool>,
}

/// A check and the words for the documentation.
#[derive(Clone, Debug)]
pub enum Rule {
    /// Lowest and highest whole number.
    Range(i64, i64),
    /// The texts that are allowed.
    OneOf(&'static [&'static str]),
    /// Anything else.
    Check(Check),
}

/// The attributes of a resource or of a nested object.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Markdown for practitioners.
    pub doc: String,
    /// Its attributes by name.
    pub attributes: BTreeMap<&'static str, Attribute>,
}

impl Default for Type {
    fn default() -> Self {
        Self::Record(BTreeMap::new())
    }
}

impl Schema {
    /// A schema without attributes.
    pub fn new(doc: &str) -> Self {
        Self {
            doc: doc.into(),
            attributes: BTreeMap::new(),
        }
    }

    /// Adds a row.
    pub fn attribute(mut self, name: &'static str, attribute: Attribute) -> Self {
        self.attributes.insert(name, attribute);
        self
    }

    /// Adds all rows of another schema: `#[serde(flatten)]`.
    pub fn extend(mut self, other: Self) -> Self {
        self.attributes.extend(other.attributes);
        self
    }

    /// The path that a dotted one names, with map keys where the schema has maps.
    pub fn path(&self, dotted: &str) -> Path {
        let mut steps = Vec::new();
        let mut place = Place::Object(self);
        for step in dotted.split('.') {
            let (made, next) = place.enter(step);
            steps.push(made);
            place = next;
        }
        Path(steps)
    }

    /// The attribute that stands for an API parameter, such as `bridge_ports` or `net0`.
    pub fn path_of_param(&self, param: &str) -> Option<Path> {
        // A refusal inside a property string is named `net0.tag`.
        let (param, inner) = param
            .split_once('.')
            .map_or((param, None), |(a, b)| (a, Some(b)));
        for (name, attribute) in &self.attributes {
            let path = Path::root(name);
            if let (Some((prefix, _)), Type::Slots(schema)) = (attribute.slots, &attribute.ty)
                && param
                    .strip_prefix(prefix)
                    .is_some_and(|rest| rest.parse::<u32>().is_ok())
            {
                let slot = path.key(param);
                return Some(match inner.and_then(|inner| schema.path_of_param(inner)) {
                    Some(inner) => Path(slot.0.into_iter().chain(inner.0).collect()),
                    None => slot,
                });
            }
            if attribute.param.unwrap_or(name) == param {
                return Some(path);
            }
            if let Type::Object(schema) = &attribute.ty
                && let Some(inner) = schema.path_of_param(param)
            {
                return Some(Path(path.0.into_iter().chain(inner.0).collect()));
            }
        }
        None
    }

    /// Puts the defaults of settings where a state has none, as an older version left it.
    pub fn fill_settings(&self, state: &mut Value) {
        let Value::Map(entries) = state else { return };
        for (name, attribute) in &self.attributes {
            let value = entries.entry((*name).to_owned()).or_default();
            match (attribute.ty.nested(), &attribute.default) {
                (Some((nesting, inner)), _) => {
                    *value = nesting.each(value, &Value::Null, |_, object, _| {
                        let mut object = object.clone();
                        inner.fill_settings(&mut object);
                        object
                    });
                }
                (_, Some(default)) if attribute.setting && value.is_null() => {
                    *value = default.clone();
                }
                _ => {}
            }
        }
    }
}

/// Where a walk along a dotted path stands.
#[derive(Clone, Copy)]
enum Place<'a> {
    Object(&'a Schema),
    Slots(&'a Schema),
    Plain(Option<&'a Type>),
}

impl<'a> Place<'a> {
    fn enter(self, step: &str) -> (Step, Self) {
        let of = |ty: &'a Type| match ty {
            Type::Object(schema) => Place::Object(schema),
            Type::Slots(schema) => Place::Slots(schema),
            plain => Place::Plain(Some(plain)),
        };
        let attribute = || Step::Attribute(step.to_owned());
        match self {
            Place::Object(schema) => (
                attribute(),
                schema
                    .attributes
                    .get(step)
                    .map_or(Place::Plain(None), |row| of(&row.ty)),
            ),
            Place::Slots(schema) => (Step::Key(step.to_owned()), Place::Object(schema)),
            Place::Plain(Some(Type::Map(inner))) => (Step::Key(step.to_owned()), of(inner)),
            Place::Plain(Some(Type::List(inner))) => (
                step.parse().map_or_else(|_| attribute(), Step::Index),
                of(inner),
            ),
            Place::Plain(Some(Type::Set(inner))) => (Step::Element, of(inner)),
            Place::Plain(Some(Type::Record(rows))) => {
                (attribute(), rows.get(step).map_or(Place::Plain(None), of))
            }
            Place::Plain(_) => (attribute(), Place::Plain(None)),
        }
    }
}

impl Type {
    fn plain(self) -> Self {
        match self {
            Self::Object(schema) => Self::Record(
                schema
                    .attributes
                    .into_iter()
                    .map(|(name, attribute)| (name.to_owned(), attribute.ty.plain()))
                    .collect(),
            ),
            Self::Slots(schema) => Self::Map(Box::new(Self::Object(schema).plain())),
            Self::List(inner) => Self::List(Box::new(inner.plain())),
            Self::Set(inner) => Self::Set(Box::new(inner.plain())),
            other => other,
        }
    }
}

/// Schemas are compared by what practitioners see of them: functions have no equality.
impl Ord for Schema {
    fn cmp(&self, other: &Self) -> Ordering {
        format!("{self:?}").cmp(&format!("{other:?}"))
    }
}
impl PartialOrd for Schema {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Eq for Schema {}
impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::framework::{core_rules::random, model};

    #[test]
    fn only_settings_are_filled_by_upgrade() {
        let setting = || {
            Attribute::of::<Option<String>>("How.")
                .default("a")
                .setting()
        };
        let inner = Schema::new("Inner.").attribute("setting", setting());
        let schema = Schema::new("Outer.")
            .attribute("setting", setting())
            .attribute(
                "default",
                Attribute::of::<Option<String>>("D.").default("a"),
            )
            .attribute(
                "inner",
                Attribute {
                    ty: Type::Object(Box::new(inner)),
                    ..Attribute::of::<Option<String>>("I.")
                },
            );
        for (state, filled) in [
            (
                json!({}),
                json!({ "setting": "a", "default": null, "inner": null }),
            ),
            (
                json!({ "setting": "b", "inner": {} }),
                json!({ "setting": "b", "default": null, "inner": { "setting": "a" } }),
            ),
        ] {
            let mut value = model::object(&state, &schema);
            schema.fill_settings(&mut value);
            assert_eq!(model::to_json(&value), filled);
        }
        let mut gone = Value::Null;
        schema.fill_settings(&mut gone);
        assert!(gone.is_null());
    }

    proptest! {
        #![proptest_config(random::unrecorded())]

        #[test]
        fn a_stored_state_of_this_version_is_read_as_it_was(case in random::cases()) {
            let stored = model::to_json(&case.prior);
            prop_assert_eq!(model::object(&stored, &case.schema), case.prior);
        }

        #[test]
        fn upgrading_twice_is_upgrading_once(case in random::cases()) {
            let upgraded = |state: &Value| {
                let mut state = model::object(&model::to_json(state), &case.schema);
                case.schema.fill_settings(&mut state);
                state
            };
            let once = upgraded(&case.prior);
            prop_assert_eq!(upgraded(&once), once);
        }
    }
}
