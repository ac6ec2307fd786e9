use std::fmt::Write as _;

use super::*;

mod changes;
mod faults;
mod merging;
mod panics;
mod stacks;
mod types;

/// Inputs of a stack `demo` with one text.
fn inputs(text: &str) -> Inputs<'_> {
    Inputs {
        project: "demo",
        sources: vec![Source {
            name: "compose.yaml",
            text,
        }],
        secrets: Some(BTreeSet::new()),
        ..Inputs::default()
    }
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn files<'a>(files: &[(&str, &'a str)]) -> BTreeMap<String, &'a [u8]> {
    files
        .iter()
        .map(|(path, content)| ((*path).to_owned(), content.as_bytes()))
        .collect()
}

#[track_caller]
fn project(inputs: &Inputs<'_>) -> Project {
    parse(inputs).unwrap_or_else(|faults| panic!("{}", lines(&faults)))
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().fold(String::new(), |mut out, fault| {
        writeln!(out, "{fault}").expect("a String takes all");
        out
    })
}
