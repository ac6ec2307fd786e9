//! Shelves: directories of notes, and the data source that looks at one.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, ErrorKind, Write as _},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use crate::{
    framework::{Context, DataSource, Failure, Model, Result, Value, resource::Faults},
    note::Note,
};

/// A directory of notes, `SHELF/NAME.json`.
pub(crate) struct Shelves(pub(crate) PathBuf);

impl Shelves {
    pub(crate) fn journal(&self, line: &str) -> Result<()> {
        let path = self.0.join("journal.txt");
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| writeln!(file, "{line}"))
            .map_err(failure)
    }

    pub(crate) fn place(&self, shelf: &str, name: &str) -> PathBuf {
        self.0.join(shelf).join(format!("{name}.json"))
    }

    pub(crate) fn put(&self, note: &Note) -> Result<()> {
        fs::create_dir_all(self.0.join(&note.shelf)).map_err(failure)?;
        let text = serde_json::to_string(note).map_err(|error| Failure::new(error.to_string()))?;
        fs::write(self.place(&note.shelf, &note.name), text).map_err(failure)
    }

    pub(crate) fn note_opt(&self, shelf: &str, name: &str) -> Result<Option<Note>> {
        let text = match fs::read_to_string(self.place(shelf, name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(failure)?,
        };
        let note = serde_json::from_str(&text);
        note.map(Some)
            .map_err(|error| Failure::new(error.to_string()))
    }

    pub(crate) fn names(&self, shelf: &str) -> Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(self.0.join(shelf)).map_err(failure)? {
            let name = entry.map_err(failure)?.file_name();
            let name = name.to_string_lossy();
            names.extend(name.strip_suffix(".json").map(str::to_owned));
        }
        Ok(names)
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "this is what `map_err` calls"
)]
pub(crate) fn failure(error: io::Error) -> Failure {
    Failure::new(error.to_string())
}

/// What is on a shelf.
#[derive(Clone, Serialize, Deserialize, Model)]
pub(crate) struct Shelf {
    /// The shelf.
    pub(crate) shelf: String,
    /// Names of its notes.
    #[attr(computed)]
    names: Option<BTreeSet<String>>,
}

pub(crate) struct ShelfData;

impl DataSource for ShelfData {
    const NAME: &'static str = "everything_shelf";
    type Client = Shelves;
    type Model = Shelf;

    fn validate(config: &Value, found: &mut Faults<'_>) {
        if config.get("shelf").as_str() == Some("") {
            found.error("shelf", "Invalid shelf", "It has no name.");
        }
    }

    async fn read(&self, cx: &Context<'_, Shelves>, question: Shelf) -> Result<Shelf> {
        let names = cx.client.names(&question.shelf);
        Ok(Shelf {
            names: Some(names.map_err(|failure| failure.at("shelf"))?),
            ..question
        })
    }
}
