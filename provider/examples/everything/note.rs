//! Notes: a resource with an identity, a past and secrets, which can be listed.

use std::{fs, io::ErrorKind};

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::{
    framework::{Context, Failure, ListResource, Listing, Model, Plan, Resource, Result, State},
    shelf::{Shelf, Shelves, failure},
};

/// A note on a shelf.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, Model)]
pub(crate) struct Note {
    /// Shelf and name.
    #[attr(computed)]
    id: Option<String>,
    /// The shelf.
    #[attr(replace)]
    pub(crate) shelf: String,
    /// Its name.
    #[attr(replace)]
    pub(crate) name: String,
    /// What it says.
    #[attr(default(""))]
    text: Option<String>,
    /// What only its reader may know.
    #[attr(write_only)]
    secret_wo: Option<String>,
    /// Any number that changes with the secret.
    secret_wo_version: Option<i64>,
    /// Whether it was sealed, with whose key.
    seal: Option<Seal>,
    /// Number of words.
    #[attr(computed)]
    words: Option<i64>,
    /// The module that wrote it.
    #[attr(computed)]
    module: Option<String>,
}

/// A seal.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, Model)]
pub(crate) struct Seal {
    /// Its colour.
    #[attr(one_of(&["red", "blue"]))]
    colour: String,
    /// The key.
    #[attr(write_only)]
    key_wo: Option<String>,
}

pub(crate) struct NoteResource;

impl Resource for NoteResource {
    const NAME: &'static str = "everything_note";
    type Client = Shelves;
    type Model = Note;
    const VERSION: i64 = 1;
    const IDENTITY: &'static [&'static str] = &["shelf", "name"];

    fn effects(plan: &mut Plan<'_>) {
        let (shelf, name) = (plan.value.get("shelf"), plan.value.get("name"));
        if let (Some(shelf), Some(name)) = (shelf.as_str(), name.as_str()) {
            let id = format!("{shelf}/{name}");
            plan.set("id", id);
        }
        if plan.changed("text") {
            plan.unknown("words");
        }
    }

    async fn create(
        &self,
        cx: &Context<'_, Shelves>,
        plan: Note,
        state: &mut State<Note>,
    ) -> Result<()> {
        if cx.client.note_opt(&plan.shelf, &plan.name)?.is_some() {
            return Err(Failure::new("there is such a note already").at("name"));
        }
        cx.client.journal(&format!("create {}", id(&plan)))?;
        let note = Note {
            module: cx.meta.get("module").as_str().map(str::to_owned),
            ..counted(plan)
        };
        cx.client.put(&note)?;
        state.save(note);
        Ok(())
    }

    async fn read(
        &self,
        cx: &Context<'_, Shelves>,
        prior: Note,
        state: &mut State<Note>,
    ) -> Result<()> {
        match cx.client.note_opt(&prior.shelf, &prior.name)? {
            Some(note) => state.save(counted(note)),
            None => state.remove(),
        }
        Ok(())
    }

    async fn update(
        &self,
        cx: &Context<'_, Shelves>,
        prior: Note,
        plan: Note,
        state: &mut State<Note>,
    ) -> Result<()> {
        cx.client.journal(&format!("update {}", id(&plan)))?;
        let note = counted(Note {
            module: prior.module,
            ..plan
        });
        cx.client.put(&note)?;
        state.save(note);
        Ok(())
    }

    async fn delete(
        &self,
        cx: &Context<'_, Shelves>,
        prior: Note,
        _state: &mut State<Note>,
    ) -> Result<()> {
        cx.client.journal(&format!("delete {}", id(&prior)))?;
        match fs::remove_file(cx.client.place(&prior.shelf, &prior.name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failure(error)),
            _ => Ok(()),
        }
    }

    fn import(id: &str) -> Result<Json> {
        match id.split_once('/') {
            Some((shelf, name)) => Ok(json!({ "id": id, "shelf": shelf, "name": name })),
            None => Err(Failure::new(format!(
                "{id:?} is no note; write it as SHELF/NAME"
            ))),
        }
    }

    /// The text was called content in version 0.
    fn upgrade(_version: i64, mut stored: Json) -> Result<Json> {
        stored["text"] = stored["content"].take();
        Ok(stored)
    }

    /// A memo was a note without a shelf.
    fn moved(from: &str, _version: i64, mut stored: Json) -> Option<Result<Json>> {
        if from != "everything_memo" {
            return None;
        }
        let name = stored["title"].take();
        stored["id"] = format!("memos/{}", name.as_str().unwrap_or_default()).into();
        stored["shelf"] = "memos".into();
        stored["name"] = name;
        Some(Ok(stored))
    }
}

impl ListResource for NoteResource {
    type Query = Shelf;

    async fn list(
        &self,
        cx: &Context<'_, Shelves>,
        query: Shelf,
        found: &mut Listing<Note>,
    ) -> Result<()> {
        for name in cx.client.names(&query.shelf)? {
            let note = cx.client.note_opt(&query.shelf, &name)?.map(counted);
            if let Some(note) = note
                && !found.add(name, &note).await
            {
                break;
            }
        }
        Ok(())
    }
}

fn id(note: &Note) -> String {
    format!("{}/{}", note.shelf, note.name)
}

/// The note with what is computed of it.
fn counted(note: Note) -> Note {
    let words = note.text.iter().flat_map(|text| text.split_whitespace());
    Note {
        id: Some(id(&note)),
        words: words.count().try_into().ok(),
        ..note
    }
}
