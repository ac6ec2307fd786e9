//! Replays recorded exchanges with a real node against a fresh simulator, and tells where they differ.
//!
//! A recording is JSON lines, one exchange each, ordered by `seq`. Several recordings are merged: the
//! records of one fill the gaps of another. Nothing here knows what a particular record holds.

pub mod accepted;
pub mod compare;
mod files;
mod guest;
mod hands;
mod player;
mod sender;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value as Json};

pub use player::play;

/// One recorded exchange.
#[derive(Clone, Debug, Deserialize)]
pub struct Record {
    /// Its place in the order of all exchanges.
    pub seq: u32,
    /// What it belongs to, such as `qemu-clone`.
    pub group: String,
    /// What the recorder says about it.
    pub note: Option<String>,
    /// Whose credentials were sent, such as `root-ticket` or `alice-token`.
    pub auth: Option<String>,
    /// Whether a CSRF token went along.
    pub csrf_sent: Option<bool>,
    /// The method.
    pub method: String,
    /// The path as it was sent.
    pub path: String,
    /// The parameters in the order that they were sent in.
    #[serde(default, deserialize_with = "in_order")]
    pub params: Option<Vec<(String, Json)>>,
    /// The headers that were sent, without credentials.
    #[serde(default)]
    pub request_headers: BTreeMap<String, String>,
    /// What stands for a body that was not kept: `<358631 bytes>`.
    pub request_body: Option<String>,
    /// The status of the answer.
    pub status: u16,
    /// The reason phrase of the answer.
    pub reason: String,
    /// The body of the answer.
    pub body: Option<Map<String, Json>>,
    /// Why this answer says little about real nodes; such a record is played, but not compared.
    pub env_caveat: Option<String>,
}

impl Record {
    /// The `data` of the answer.
    pub fn data(&self) -> &Json {
        self.body
            .as_ref()
            .and_then(|body| body.get("data"))
            .unwrap_or(&Json::Null)
    }
}

/// The members of an object in the order of the text, which a map would lose.
fn in_order<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Vec<(String, Json)>>, D::Error> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Option<Vec<(String, Json)>>;

        fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str("an object or null")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(Some(members))
        }
    }
    input.deserialize_any(Members)
}

/// A record, and the number of the file that it comes from.
pub type Numbered = (usize, Record);

/// Reads and merges recordings. Where two have the same `seq`, the first file counts.
pub fn load(files: &[PathBuf]) -> Result<Vec<Numbered>, String> {
    let mut all: BTreeMap<u32, Numbered> = BTreeMap::new();
    for (number, file) in files.iter().enumerate() {
        for record in load_one(file)? {
            all.entry(record.seq).or_insert((number, record));
        }
    }
    Ok(all.into_values().collect())
}

fn load_one(file: &Path) -> Result<Vec<Record>, String> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(i, line)| {
            serde_json::from_str(line).map_err(|error| format!("{name}:{}: {error}", i + 1))
        })
        .collect()
}

/// How one record went.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The file of the record.
    pub file: usize,
    /// The record.
    pub record: Record,
    /// What the simulator answered.
    pub answer: compare::Answer,
    /// How it differs, in one line; nothing if it agrees.
    pub difference: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_one_file_fill_the_gaps_of_another() {
        let line = |seq: u32, group: &str| {
            format!(
                r#"{{"seq":{seq},"group":"{group}","method":"GET","path":"/","params":{{"z":1,"a":2}},"status":200,"reason":"OK","body":{{"data":null}}}}"#
            )
        };
        let folder = tempfile::tempdir().expect("there is a temporary directory");
        let write = |name: &str, lines: &[String]| {
            let path = folder.path().join(name);
            std::fs::write(&path, lines.join("\n")).expect("it can be written");
            path
        };
        let one = write("one", &[line(3, "a"), line(1, "a")]);
        let two = write("two", &[line(2, "b"), line(3, "b")]);
        let all = load(&[one, two]).expect("they are readable");
        let short: Vec<_> = all
            .iter()
            .map(|(file, record)| (record.seq, *file, record.group.as_str()))
            .collect();
        assert_eq!(short, [(1, 0, "a"), (2, 1, "b"), (3, 0, "a")]);
        let names: Vec<_> = all[0].1.params.iter().flatten().map(|(k, _)| k).collect();
        assert_eq!(names, ["z", "a"]);
    }
}
