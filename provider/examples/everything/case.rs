//! Cases: a resource with a value of each type, kept in the state alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value as Json, json};

use crate::{
    framework::{Context, Model, Resource, Result, State},
    shelf::Shelves,
};

/// A case of things.
#[derive(Clone, Serialize, Deserialize, Model)]
pub(crate) struct Case {
    /// Its name again.
    #[attr(computed)]
    id: Option<String>,
    /// Its name.
    #[attr(replace)]
    name: String,
    /// Anything.
    any: Option<Json>,
    /// A number of any size.
    amount: Option<Number>,
    /// Things in their order.
    row: Option<Vec<Thing>>,
    /// Things in a heap.
    heap: Option<BTreeSet<Thing>>,
    /// Things by the name of their drawer.
    drawers: Option<BTreeMap<String, Thing>>,
    /// What is written on it.
    #[attr(deprecated("Use `name`."))]
    label: Option<String>,
}

/// A thing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Model)]
pub(crate) struct Thing {
    /// What it is.
    kind: String,
    /// How many there are.
    #[attr(default(1), range(1, 99))]
    count: Option<i64>,
    /// Its number in the books.
    #[attr(decided)]
    serial: Option<String>,
}

pub(crate) struct CaseResource;

impl Resource for CaseResource {
    const NAME: &'static str = "everything_case";
    type Client = Shelves;
    type Model = Case;

    async fn create(
        &self,
        _cx: &Context<'_, Shelves>,
        plan: Case,
        state: &mut State<Case>,
    ) -> Result<()> {
        state.save(booked(plan));
        Ok(())
    }

    async fn read(
        &self,
        _cx: &Context<'_, Shelves>,
        prior: Case,
        state: &mut State<Case>,
    ) -> Result<()> {
        state.save(prior);
        Ok(())
    }

    async fn update(
        &self,
        _cx: &Context<'_, Shelves>,
        _prior: Case,
        plan: Case,
        state: &mut State<Case>,
    ) -> Result<()> {
        state.save(booked(plan));
        Ok(())
    }

    async fn delete(
        &self,
        _cx: &Context<'_, Shelves>,
        _prior: Case,
        _state: &mut State<Case>,
    ) -> Result<()> {
        Ok(())
    }

    fn import(id: &str) -> Result<Json> {
        Ok(json!({ "id": id, "name": id }))
    }
}

/// The case with a number for each thing that has none.
fn booked(case: Case) -> Case {
    let book = |thing: Thing| Thing {
        serial: Some(
            thing
                .serial
                .unwrap_or_else(|| format!("{}-{}", thing.kind, thing.count.unwrap_or_default())),
        ),
        ..thing
    };
    let drawers = |drawers: BTreeMap<String, Thing>| {
        let drawers = drawers.into_iter();
        drawers.map(|(name, thing)| (name, book(thing))).collect()
    };
    Case {
        id: Some(case.name.clone()),
        row: case.row.map(|row| row.into_iter().map(book).collect()),
        heap: case.heap.map(|heap| heap.into_iter().map(book).collect()),
        drawers: case.drawers.map(drawers),
        ..case
    }
}
