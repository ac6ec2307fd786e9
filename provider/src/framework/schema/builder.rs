//! The builder methods: the language that models are written in.
//!
//! `#[attr(replace, range(1, 9))]` on a field is `.replace().range(1, 9)` here.

use super::{Attribute, Check, Rule};
use crate::framework::{Typed, Value};

impl Attribute {
    /// A row for a Rust type: `Option` is optional, anything else required.
    ///
    /// # Panics
    /// In debug builds, where objects of a set have attributes that ask what they were before: an object of a set that
    /// differs is another one.
    pub fn of<T: Typed>(doc: &str) -> Self {
        let ty = T::ty();
        debug_assert!(
            !ty.compares_in_sets(),
            "keep or replace within a set: {doc}"
        );
        Self {
            ty,
            doc: doc.into(),
            required: T::REQUIRED,
            optional: !T::REQUIRED,
            ..Default::default()
        }
    }

    /// Set by the provider alone.
    pub fn computed(self) -> Self {
        Self {
            required: false,
            optional: false,
            computed: true,
            ..self
        }
    }

    /// May be left open: then it stays as it is. A required attribute cannot be.
    pub fn open(self) -> Self {
        Self {
            computed: !self.required,
            ..self
        }
    }

    /// Known after apply where the configuration is silent on create.
    pub fn decided(self) -> Self {
        Self {
            decided: true,
            ..self.open()
        }
    }

    /// What an absent value becomes on create.
    pub fn default(self, value: impl Into<Value>) -> Self {
        Self {
            default: Some(value.into()),
            ..self.open()
        }
    }

    /// A null configuration means the default at any time: drift from it is corrected.
    pub fn enforced(self) -> Self {
        Self {
            enforced: true,
            ..self
        }
    }

    /// An absent object is filled from the defaults of its attributes on create.
    pub fn filled(self) -> Self {
        Self {
            filled: true,
            ..self.open()
        }
    }

    /// A setting of the provider: stored, never sent anywhere.
    pub fn setting(self) -> Self {
        Self {
            setting: true,
            ..self
        }
    }

    /// A change replaces the resource. Removal from the configuration keeps what is there: to forget
    /// a line must not destroy anything.
    pub fn replace(self) -> Self {
        Self {
            replace: true,
            ..self.open()
        }
    }

    /// So does a value that becomes unknown, since what it names is itself being replaced.
    pub fn replace_unknown(self) -> Self {
        Self {
            replace_unknown: true,
            ..self.replace()
        }
    }

    /// A create-time input: what is there is kept, with a warning.
    pub fn keep(self) -> Self {
        Self {
            keep: true,
            ..self.open()
        }
    }

    /// Removal from the configuration leaves it as it is, since it says where something lives.
    pub fn sticky(self) -> Self {
        Self {
            sticky: true,
            ..self.open()
        }
    }

    /// Core masks it.
    pub fn sensitive(self) -> Self {
        Self {
            sensitive: true,
            ..self
        }
    }

    /// Core never stores it.
    pub fn write_only(self) -> Self {
        Self {
            write_only: true,
            ..self.sensitive()
        }
    }

    /// Should no longer be used: why, and what to use instead.
    pub fn deprecated(self, why: &'static str) -> Self {
        Self {
            deprecated: Some(why),
            ..self
        }
    }

    /// The API's name for it.
    pub fn param(self, name: &'static str) -> Self {
        Self {
            param: Some(name),
            ..self
        }
    }

    /// The names of slots: `net` and 32 stand for `net0` to `net31`.
    pub fn slots(self, prefix: &'static str, count: u32) -> Self {
        Self {
            slots: Some((prefix, count)),
            ..self.open()
        }
    }

    /// A map of objects without rules of their own, which computed attributes must be.
    pub fn plain(self) -> Self {
        Self {
            ty: self.ty.plain(),
            ..self
        }
    }

    /// Lowest and highest whole number.
    pub fn range(self, low: i64, high: i64) -> Self {
        self.rule(Rule::Range(low, high))
    }

    /// The texts that are allowed.
    pub fn one_of(self, words: &'static [&'static str]) -> Self {
        self.rule(Rule::OneOf(words))
    }

    /// A check of our own.
    pub fn check(self, check: Check) -> Self {
        self.rule(Rule::Check(check))
    }

    /// When two spellings mean the same.
    pub fn same(self, same: fn(&Value, &Value) -> bool) -> Self {
        Self {
            same: Some(same),
            ..self
        }
    }

    fn rule(mut self, rule: Rule) -> Self {
        self.checks.push(rule);
        self
    }
}
