//! Planning: what a configuration makes of what is there. Pure and deterministic.
//!
//! Plans from the configuration, the prior state and the claims in private data, never from the
//! state that core proposes: core cannot tell an attribute that was removed from the configuration
//! from one that was never in it.

mod nested;

use super::{Attribute, Diagnostics, Path, Schema, Value, private::Private, schema::Nesting};

/// A plan in the making.
pub struct Plan<'a> {
    /// The attributes.
    pub schema: &'a Schema,
    /// What the practitioner wrote.
    pub config: &'a Value,
    /// What is there; null on create.
    pub prior: &'a Value,
    /// What shall be there.
    pub value: Value,
    /// Attributes whose change replaces the resource.
    pub replace: Vec<Path>,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
    kept: Vec<Path>,
    claims: &'a Private,
}

/// Plans one resource.
pub fn plan<'a>(
    schema: &'a Schema,
    config: &'a Value,
    prior: &'a Value,
    private: &'a Private,
) -> Plan<'a> {
    let mut plan = Plan {
        schema,
        config,
        prior,
        value: Value::Null,
        replace: Vec::new(),
        diagnostics: Diagnostics::default(),
        kept: Vec::new(),
        claims: private,
    };
    plan.value = plan.object(schema, &Path::default(), config, prior, prior.is_null());
    plan
}

impl Plan<'_> {
    /// Whether nothing is there yet.
    pub fn creating(&self) -> bool {
        self.prior.is_null()
    }

    /// Whether a planned value differs from what is there, or may.
    pub fn changed(&self, dotted: &str) -> bool {
        let planned = self.value.at(dotted);
        planned.has_unknown() || planned != self.prior.at(dotted)
    }

    /// Plans a value for a computed attribute.
    pub fn set(&mut self, dotted: &str, value: impl Into<Value>) {
        self.value.put(dotted, value.into());
    }

    /// Leaves a computed attribute to the apply.
    pub fn unknown(&mut self, dotted: &str) {
        self.value.put(dotted, Value::Unknown);
    }

    /// An error at an attribute.
    pub fn error(&mut self, dotted: &str, summary: impl Into<String>, detail: impl Into<String>) {
        let path = self.schema.path(dotted);
        self.diagnostics.error(Some(path), summary, detail);
    }

    /// A warning at an attribute.
    pub fn warn(&mut self, dotted: &str, summary: impl Into<String>, detail: impl Into<String>) {
        let path = self.schema.path(dotted);
        self.diagnostics.warn(Some(path), summary, detail);
    }

    /// Adds the warnings that depend on the plan as a whole.
    pub fn settle(&mut self) {
        if !self.replace.is_empty() {
            return;
        }
        for path in std::mem::take(&mut self.kept) {
            self.diagnostics.warn(
                Some(path),
                "Kept as it was made",
                "This attribute is used only when the resource is made. It keeps the value it was \
                 made from; `-replace=ADDRESS` makes it anew.",
            );
        }
    }

    fn object(
        &mut self,
        schema: &Schema,
        at: &Path,
        config: &Value,
        prior: &Value,
        new: bool,
    ) -> Value {
        let new = new || prior.is_null();
        Value::Map(
            schema
                .attributes
                .iter()
                .map(|(name, attribute)| {
                    let path = at.attribute(name);
                    let value = self.walk(attribute, &path, config.get(name), prior.get(name), new);
                    ((*name).to_owned(), value)
                })
                .collect(),
        )
    }

    fn walk(
        &mut self,
        attribute: &Attribute,
        at: &Path,
        config: &Value,
        prior: &Value,
        new: bool,
    ) -> Value {
        if attribute.write_only {
            return Value::Null;
        }
        if attribute.computed && !attribute.optional {
            return match prior {
                Value::Null if new => Value::Unknown,
                prior => prior.clone(),
            };
        }
        if config.is_null() {
            self.absent(attribute, at, config, prior, new)
        } else if config.is_unknown() {
            self.unsettled(attribute, at, config, prior)
        } else {
            self.present(attribute, at, config, prior, new)
        }
    }

    /// The configuration is silent.
    fn absent(
        &mut self,
        attribute: &Attribute,
        at: &Path,
        config: &Value,
        prior: &Value,
        new: bool,
    ) -> Value {
        if attribute.required {
            // Its object is absent, which removes nothing.
            return prior.clone();
        }
        if !attribute.computed {
            return config.clone();
        }
        match attribute.ty.nested() {
            Some((Nesting::Single, schema)) if !prior.is_null() || (new && attribute.filled) => {
                let value = self.object(schema, at, &Value::Null, prior, new);
                // An object of nulls says no more than an absent one, but is no change of itself.
                match &value {
                    Value::Map(entries)
                        if value != *prior && entries.values().all(Value::is_null) =>
                    {
                        Value::Null
                    }
                    _ => value,
                }
            }
            Some((Nesting::Map, _)) if !new => self.unclaimed_slots(at, prior),
            _ => {
                let default = || attribute.default.clone().unwrap_or_default();
                let stays =
                    attribute.keep || attribute.replace || attribute.sticky || attribute.decided;
                if attribute.enforced {
                    default()
                } else if new {
                    match attribute.decided {
                        true => Value::Unknown,
                        false => default(),
                    }
                } else if self.claimed(at) && !stays {
                    default()
                } else {
                    prior.clone()
                }
            }
        }
    }

    /// The configuration, or a part of what is compared as a whole, is decided during apply.
    fn unsettled(
        &mut self,
        attribute: &Attribute,
        at: &Path,
        config: &Value,
        prior: &Value,
    ) -> Value {
        if stays(attribute, prior) {
            return prior.clone();
        }
        self.may_replace(attribute, at, prior);
        config.clone()
    }

    /// What is there may turn out to have changed, and the final plan must not replace more than
    /// this one.
    fn may_replace(&mut self, attribute: &Attribute, at: &Path, prior: &Value) {
        if prior.is_null() {
        } else if let Some((nesting, schema)) = attribute.ty.nested() {
            for (step, object) in nesting.objects(prior) {
                self.object_may_replace(schema, &at.with(step), object);
            }
        } else if attribute.replace_unknown {
            self.replace.push(at.clone());
        } else if attribute.replace {
            self.diagnostics.error(
                Some(at.clone()),
                "This value must be known",
                "A change of it would replace the resource, and nobody can tell from this plan \
                 whether it changes. Apply what it depends on first (`-target`).",
            );
        }
    }

    fn object_may_replace(&mut self, schema: &Schema, at: &Path, prior: &Value) {
        for (name, attribute) in &schema.attributes {
            self.may_replace(attribute, &at.attribute(name), prior.get(name));
        }
    }

    fn present(
        &mut self,
        attribute: &Attribute,
        at: &Path,
        config: &Value,
        prior: &Value,
        new: bool,
    ) -> Value {
        if let Some((nesting, schema)) = attribute.ty.nested() {
            return match nesting {
                Nesting::Single => self.object(schema, at, config, prior, new),
                Nesting::List => self.list(schema, at, config, prior, new),
                Nesting::Set => self.set_of(schema, at, config, prior),
                Nesting::Map => self.slots(attribute, schema, at, config, prior, new),
            };
        }
        match attribute {
            _ if config.has_unknown() => self.unsettled(attribute, at, config, prior),
            _ if config == prior => prior.clone(),
            _ if !prior.is_null() && attribute.same.is_some_and(|same| same(config, prior)) => {
                prior.clone()
            }
            _ if attribute.keep && !prior.is_null() => {
                self.kept.push(at.clone());
                prior.clone()
            }
            _ => {
                if attribute.replace && !prior.is_null() {
                    self.replace.push(at.clone());
                }
                config.clone()
            }
        }
    }

    /// Whether the configuration of the last apply set it. A replacement still carries the claims
    /// of the object it replaces, which say nothing about the new one.
    fn claimed(&self, at: &Path) -> bool {
        !self.creating() && self.claims.claimed.contains(&at.dotted())
    }
}

/// Whether the prior value is the answer to any configuration.
///
/// Core lets an unknown object be answered by the prior one only if that has no null left that could
/// become a value in the final plan, and no collection that could get another key.
fn stays(attribute: &Attribute, prior: &Value) -> bool {
    match attribute.ty.nested() {
        _ if attribute.write_only => true,
        _ if prior.is_null() => false,
        Some((Nesting::Single, schema)) => {
            let mut rows = schema.attributes.iter();
            (attribute.computed || attribute.required)
                && rows.all(|(name, row)| stays(row, prior.get(name)))
        }
        Some(_) => false,
        None => attribute.keep || (attribute.computed && !attribute.optional),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
