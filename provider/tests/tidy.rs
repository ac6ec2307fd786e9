//! Rules about the tree that no compiler checks.
//!
//! Says nothing about behaviour, and nothing that rustfmt or clippy say.

use std::{
    fs,
    path::{Path, PathBuf},
};

use provider::{framework::provider::Provider, provider::Pmoves};

/// Each module of the provider, and what it may name beside itself and `secret`.
const MAY_USE: &[(&str, &[&str])] = &[
    ("framework", &["proto"]),
    ("functions", &["framework", "guest"]),
    ("guest", &["pve"]),
    ("main", &["plugin", "provider"]),
    ("plugin", &["framework", "proto"]),
    ("provider", &["framework", "functions", "pve", "resources"]),
    ("pve", &[]),
    ("resources", &["framework", "guest", "pve"]),
    ("secret", &[]),
];

/// Most lines that a source file may have.
const LONGEST: usize = 400;

struct File {
    /// Below the root of the repository.
    path: String,
    text: String,
}

#[test]
fn modules_depend_downwards_only() {
    let mut wrong = Vec::new();
    for File { path, text } in sources() {
        let Some(inner) = path.strip_prefix("provider/src/") else {
            continue;
        };
        let module = inner.split(['/', '.']).next().unwrap();
        if module == "lib" {
            continue;
        }
        let (_, allowed) = MAY_USE
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("give {module} a row in MAY_USE"));
        for (other, _) in MAY_USE.iter().chain(&[("proto", &[] as &[&str])]) {
            let fine = *other == module || *other == "secret" || allowed.contains(other);
            if !fine && names(&text, other) {
                wrong.push(format!("{path}: {module} must not use {other}"));
            }
        }
    }
    check(&wrong);
}

#[test]
fn the_simulator_shares_no_code_with_the_provider() {
    let manifest = read("acceptance-tests/Cargo.toml");
    let ours = ["provider", "proto", "derive"];
    let lines = manifest.lines().filter(|line| {
        let name = line.split(['.', '=', ' ']).next().unwrap();
        ours.contains(&name)
    });
    check(&lines.map(str::to_owned).collect::<Vec<_>>());
}

#[test]
fn every_resource_has_page_example_import_and_acceptance_test() {
    let mut missing = Vec::new();
    for resource in Pmoves.resources() {
        let full = resource.name();
        let name = full.trim_start_matches("pmoves_");
        let mut paths = vec![
            format!("docs/resources/{name}.md"),
            format!("examples/resources/{full}/resource.tf"),
            format!("examples/resources/{full}/import.sh"),
        ];
        if root().join("acceptance-tests/tests/it").is_dir() {
            paths.push(format!("acceptance-tests/tests/it/{name}.rs"));
        }
        paths.retain(|path| !root().join(path).is_file());
        missing.extend(paths);
    }
    check(&missing);
}

#[test]
fn every_data_source_has_page_example_and_acceptance_test() {
    let mut missing = Vec::new();
    for source in Pmoves.data_sources() {
        let full = source.name();
        let name = full.trim_start_matches("pmoves_");
        missing.extend([
            format!("docs/data-sources/{name}.md"),
            format!("examples/data-sources/{full}/data-source.tf"),
            format!("acceptance-tests/tests/it/{name}.rs"),
        ]);
    }
    missing.retain(|path| !root().join(path).is_file());
    check(&missing);
}

#[test]
fn an_identity_lasts_as_long_as_its_resource() {
    let mut wrong = Vec::new();
    for resource in Pmoves.resources() {
        let identity = resource.identity().map(|identity| &identity.schema);
        for (name, row) in identity.iter().flat_map(|schema| &schema.attributes) {
            let computed = !row.required && !row.optional;
            if !row.replace && !computed {
                wrong.push(format!("{}: {name} may change", resource.name()));
            }
        }
        if identity.is_none() {
            wrong.push(format!("{} has no identity", resource.name()));
        }
    }
    check(&wrong);
}

#[test]
fn no_source_file_is_longer_than_400_lines() {
    let long = sources().into_iter().filter_map(|File { path, text }| {
        let lines = text.lines().count();
        (lines > LONGEST).then(|| format!("{path}: {lines} lines"))
    });
    check(&long.collect::<Vec<_>>());
}

#[test]
fn no_file_is_a_drawer() {
    let drawers = [
        "utils", "util", "common", "shared", "helpers", "misc", "mod",
    ];
    let named = sources()
        .into_iter()
        .map(|file| file.path)
        .filter(|path| drawers.contains(&Path::new(path).file_stem().unwrap().to_str().unwrap()));
    check(&named.collect::<Vec<_>>());
}

#[test]
fn every_source_file_says_first_what_it_is() {
    let silent = sources()
        .into_iter()
        // A module of tests is said by its name.
        .filter(|file| !file.text.starts_with("//! ") && !file.path.ends_with("/tests.rs"))
        .map(|file| file.path);
    check(&silent.collect::<Vec<_>>());
}

#[test]
fn a_todo_names_its_issue() {
    let word = ["TO", "DO"].concat();
    let wanted = format!("{word}(#");
    let mut nameless = Vec::new();
    for File { path, text } in files() {
        for (number, line) in text.lines().enumerate() {
            if line.contains(&word) && !line.contains(&wanted) {
                nameless.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    check(&nameless);
}

#[test]
fn no_file_names_a_directory_of_the_machine_it_was_written_on() {
    let checkout = root().canonicalize().unwrap();
    let parts: Vec<&str> = checkout.iter().filter_map(|part| part.to_str()).collect();
    // What is below /home or /srv is somebody's own from the second part on only.
    let depth = match parts.get(1) {
        Some(&("home" | "Users" | "mnt" | "opt" | "root" | "srv" | "tmp" | "usr" | "var")) => 3,
        _ => 2,
    };
    let own = format!("/{}/", parts[1..parts.len().min(depth)].join("/"));
    let mut wrong = Vec::new();
    for File { path, text } in files() {
        for (number, line) in text.lines().enumerate() {
            if line.contains(&own) {
                wrong.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    check(&wrong);
}

#[test]
fn the_readme_fits_on_two_pages() {
    assert!(read("README.md").lines().count() <= 120);
}

#[test]
fn every_decision_has_context_options_decision_and_consequences() {
    let mut wrong = Vec::new();
    for File { path, text } in files() {
        if !path.starts_with("docs/adr/") {
            continue;
        }
        for heading in ["Context", "Options", "Decision", "Consequences"] {
            if !text.contains(&format!("\n## {heading}\n")) {
                wrong.push(format!("{path}: no {heading}"));
            }
        }
    }
    check(&wrong);
}

#[test]
fn every_test_that_the_architecture_names_exists() {
    let text = read("docs/architecture.md");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let sources = sources();
    let missing = text
        .split("held by `")
        .skip(1)
        // All names of the sentence: `one`, `two` and `three`.
        .flat_map(|rest| rest.split(['.', ';']).take(1))
        .flat_map(|names| names.split('`').step_by(2))
        .filter(|test| !test.is_empty())
        .filter(|test| {
            let (_, function) = test.rsplit_once("::").unwrap_or(("", test));
            let wanted = format!("fn {function}(");
            !sources.iter().any(|file| file.text.contains(&wanted))
        });
    check(&missing.collect::<Vec<_>>());
}

#[track_caller]
fn check(wrong: &[impl AsRef<str>]) {
    let wrong: Vec<&str> = wrong.iter().map(AsRef::as_ref).collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Whether a source names a module or crate, as `crate::module`, in `crate::{..}` or as `module::`
/// at the beginning of a path from the root.
fn names(text: &str, module: &str) -> bool {
    let starts = |rest: &str| {
        rest.strip_prefix(module).is_some_and(|rest| {
            !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
        })
    };
    text.split("crate::")
        .skip(1)
        .any(|rest| match rest.strip_prefix('{') {
            Some(list) => items(list).any(starts),
            None => starts(rest),
        })
        || text.lines().any(|line| {
            line.trim_start()
                .trim_start_matches("pub ")
                .strip_prefix("use ")
                .is_some_and(|path| module != "provider" && starts(path) && path.contains("::"))
        })
}

/// The items of a list in braces, whose opening brace is gone.
fn items(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let mut ended = false;
    list.split(move |next: char| {
        match next {
            '{' => depth += 1,
            '}' if depth == 0 => ended = true,
            '}' => depth -= 1,
            ',' => return depth == 0,
            _ => {}
        }
        ended
    })
    .map(str::trim)
    .take_while(|item| !item.starts_with(';'))
}

fn sources() -> Vec<File> {
    let rust = |path: &str| Path::new(path).extension().is_some_and(|end| end == "rs");
    files()
        .into_iter()
        .filter(|file| rust(&file.path))
        .collect()
}

/// All texts of the repository, but for what tools write.
fn files() -> Vec<File> {
    let mut files = Vec::new();
    let mut left = vec![root()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).expect("the directory was listed") {
            let path = entry.expect("a listed file").path();
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.expect("names are UTF-8");
            if path.is_dir() {
                let foreign = [".git", ".terraform"].contains(&name);
                if !foreign && !path.join("CACHEDIR.TAG").exists() {
                    left.push(path);
                }
            } else if ![".git", "Cargo.lock"].contains(&name)
                && let Ok(text) = fs::read_to_string(&path)
            {
                let below = path.strip_prefix(root()).expect("the walk began there");
                let path = below.display().to_string();
                files.push(File { path, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
