//! What holds of every plan, whatever the schema, the past and the configuration.
//!
//! Says nothing about what a plan should contain; `tests` does.

use proptest::prelude::*;

use super::*;
use crate::framework::{
    Type,
    core_rules::{
        completion_faults, plan_faults, random,
        random::{Case, applied, cases, settled},
        schema_faults, type_faults,
    },
};

type Checked = Result<(), TestCaseError>;

fn none(what: &str, faults: &[String]) -> Checked {
    prop_assert!(faults.is_empty(), "{what}: {}", faults.join("\n"));
    Ok(())
}

/// Core would accept it as an answer to the plan request.
fn acceptable(plan: &Plan<'_>) -> Checked {
    none("schema", &schema_faults(plan.schema))?;
    none("type", &type_faults(plan.schema, &plan.value))?;
    none(
        "plan",
        &plan_faults(plan.schema, plan.prior, plan.config, &plan.value),
    )?;
    for path in &plan.replace {
        let (planned, prior) = (plan.value.at(&path.dotted()), plan.prior.at(&path.dotted()));
        prop_assert!(!prior.is_null(), "{path} replaces, but was not there");
        prop_assert!(planned != prior, "{path} replaces, but is as it was");
    }
    Ok(())
}

/// What core does with a plan when all values are known: it plans again, and compares.
fn completed(case: &Case, first: &Plan<'_>, config: &Value) -> Checked {
    let (schema, private) = (&case.schema, &case.private);
    if first.replace.is_empty() {
        let second = settled(schema, config, &case.prior, private);
        acceptable(&second)?;
        prop_assert_eq!(&second.replace, &[]);
        return none(
            "update",
            &completion_faults(schema, &first.value, &second.value),
        );
    }
    let first = settled(schema, first.config, &Value::Null, private);
    let second = settled(schema, config, &Value::Null, private);
    none(
        "replacement",
        &completion_faults(schema, &first.value, &second.value),
    )
}

/// Whether no two objects of a set turned out equal, which makes them one: no answer fits a
/// configuration of two.
fn as_many(planned: &Value, state: &Value) -> bool {
    match (planned, state) {
        (Value::Map(a), Value::Map(b)) => a
            .iter()
            .all(|(key, a)| b.get(key).is_some_and(|b| as_many(a, b))),
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| as_many(a, b))
        }
        _ => true,
    }
}

proptest! {
    #![proptest_config(random::unrecorded())]

    #[test]
    fn core_accepts_every_plan(case in cases()) {
        let plan = case.plan();
        acceptable(&plan)?;
        // Nothing but an unknown value is a reason to refuse.
        prop_assert!(!plan.diagnostics.has_error() || case.config.has_unknown());
    }

    #[test]
    fn equal_inputs_make_equal_plans(case in cases()) {
        let (one, two) = (case.plan(), case.plan());
        prop_assert_eq!(one.value, two.value);
        prop_assert_eq!(one.replace, two.replace);
        prop_assert_eq!(one.diagnostics, two.diagnostics);
    }

    #[test]
    fn the_plan_after_an_apply_is_empty(mut case in cases()) {
        let config = case.decided(true);
        let plan = settled(&case.schema, &config, &case.prior, &case.private);
        let planned = match plan.replace.is_empty() {
            true => plan.value,
            false => settled(&case.schema, &config, &Value::Null, &case.private).value,
        };
        let state = applied(&case.schema, &planned, &mut case.tape);
        prop_assume!(as_many(&planned, &state));
        let private = Private::decode(&Private::claiming(&case.schema, &config).encode());
        let next = settled(&case.schema, &config, &state, &private);
        prop_assert_eq!(&next.value, &state);
        prop_assert_eq!(&next.replace, &[]);
    }

    #[test]
    fn what_was_planned_is_kept_when_unknown_values_are_known(mut case in cases()) {
        let config = case.decided(true);
        let first = case.plan();
        if !first.diagnostics.has_error() {
            completed(&case, &first, &config)?;
        }
    }

    #[test]
    fn what_was_planned_is_kept_when_some_unknown_values_are_known(mut case in cases()) {
        let config = case.decided(false);
        let first = case.plan();
        let errors = settled(&case.schema, &config, &case.prior, &case.private).diagnostics;
        if !first.diagnostics.has_error() && !errors.has_error() {
            completed(&case, &first, &config)?;
        }
    }

    #[test]
    fn a_replacement_knows_no_claims(case in cases()) {
        let none = Private::default();
        let with = settled(&case.schema, &case.config, &Value::Null, &case.private);
        let without = settled(&case.schema, &case.config, &Value::Null, &none);
        prop_assert_eq!(with.value, without.value);
        prop_assert_eq!(with.diagnostics, without.diagnostics);
        prop_assert_eq!(with.replace, vec![]);
    }

    #[test]
    fn claimed_slots_go_and_foreign_ones_are_not_dropped_silently(case in cases()) {
        let plan = case.plan();
        for (name, row) in &case.schema.attributes {
            if row.slots.is_none() || case.config.get(name).is_unknown() {
                continue;
            }
            let path = Path::root(name);
            let told = plan.diagnostics.0.iter().any(|found| found.path.as_ref() == Some(&path));
            for key in case.prior.get(name).as_map().into_iter().flatten().map(|(key, _)| key) {
                let claimed = case.private.claimed.contains(&path.key(key).dotted());
                let wanted = !case.config.get(name).get(key).is_null();
                let planned = !plan.value.get(name).get(key).is_null();
                prop_assert!(planned || claimed || told, "{name}.{key} is dropped silently");
                prop_assert!(wanted || !planned || !claimed, "{name}.{key} should go");
            }
        }
    }

    #[test]
    fn what_nobody_configures_stays(mut case in cases()) {
        case.schema = managed_by_hand(case.schema);
        let state = random::object_state(&case.schema, &mut case.tape);
        let silent = random::each(&case.schema, &state, &mut |_, _| Value::Null);
        let none = Private::default();
        let plan = settled(&case.schema, &silent, &state, &none);
        prop_assert_eq!(&plan.value, &state);
        prop_assert_eq!(&plan.diagnostics, &Diagnostics::default());
    }
}

/// The schema without attributes that configuration owns even where it is silent.
fn managed_by_hand(mut schema: Schema) -> Schema {
    for row in schema.attributes.values_mut() {
        if row.required || row.optional {
            (row.required, row.optional) = (false, true);
            (row.computed, row.enforced) = (!row.write_only, false);
        }
        each_inner(&mut row.ty);
    }
    schema
}

fn each_inner(ty: &mut Type) {
    match ty {
        Type::Object(inner) | Type::Slots(inner) => {
            **inner = managed_by_hand(std::mem::take(inner));
        }
        Type::List(item) | Type::Set(item) => each_inner(item),
        _ => {}
    }
}
