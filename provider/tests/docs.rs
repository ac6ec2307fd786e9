//! The pages below `docs/` are what the schemas and the examples say.
//!
//! Does not check that an example works; the acceptance tests do.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use provider::{
    framework::docs::{self, Page},
    provider::Pmoves,
};

#[test]
fn every_page_equals_the_generated_one() {
    let update = std::env::var_os("UPDATE").is_some();
    let pages = pages();
    let mut stale = Vec::new();
    for Page { path, text } in &pages {
        let file = root().join(path);
        if fs::read_to_string(&file).is_ok_and(|there| there == *text) {
            continue;
        }
        if update {
            fs::create_dir_all(file.parent().expect("a page is in a directory")).unwrap();
            fs::write(file, text).unwrap();
        } else {
            stale.push(path.clone());
        }
    }
    let generated: BTreeSet<PathBuf> = pages.iter().map(|page| root().join(&page.path)).collect();
    for directory in [
        "docs/resources",
        "docs/data-sources",
        "docs/ephemeral-resources",
        "docs/functions",
    ] {
        for entry in fs::read_dir(root().join(directory)).into_iter().flatten() {
            let path = entry.unwrap().path();
            match (generated.contains(&path), update) {
                (true, _) => {}
                (false, true) => fs::remove_file(path).unwrap(),
                (false, false) => stale.push(path.display().to_string()),
            }
        }
    }
    assert!(
        stale.is_empty(),
        "run ./x docs, these pages differ from the schemas and examples: {}",
        stale.join(", ")
    );
}

fn pages() -> Vec<Page> {
    let examples = root().join("examples");
    docs::pages(&Pmoves, |path| fs::read_to_string(examples.join(path)).ok())
        .unwrap_or_else(|missing| panic!("write these below examples/: {}", missing.join(", ")))
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
