//! No text makes the reader panic.

use proptest::prelude::*;

use super::*;

const SEED: &str = include_str!("monitoring.yaml");

fn read(text: &str) {
    let mut given = inputs(text);
    given.env = pairs(&[("A", "1"), ("DATA", "")]);
    given.files = files(&[
        ("a.env", "A=$B\n"),
        ("base.yaml", text),
        ("x/Dockerfile", ""),
    ]);
    if let Ok(project) = parse(&given) {
        assert!(changed(&project, &project).changed.is_empty());
    }
    let _ = service_names(given.sources[0]);
}

fn word() -> impl Strategy<Value = String> {
    let words = [
        "services",
        "a",
        "b",
        "image",
        "ports",
        "volumes",
        "networks",
        "environment",
        "depends_on",
        "extends",
        "file",
        "service",
        "base.yaml",
        "build",
        "context",
        "include",
        "secrets",
        "configs",
        "deploy",
        "replicas",
        "80:80",
        "./x:/y",
        "v:/d",
        "${A:-b}",
        "${B",
        "$$",
        "!reset",
        "!override",
        "&a x",
        "*a",
        "<<",
        "5",
        "null",
        "true",
        "~",
        "healthcheck",
        "test",
        "external",
        "name",
        "driver",
        "labels",
        "x-a",
        "profiles",
        "network_mode",
        "service:a",
    ];
    proptest::sample::select(words.map(String::from).to_vec())
}

/// YAML in flow style of Compose's own words, as deep as Compose goes.
fn tree() -> impl Strategy<Value = String> {
    word().prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            proptest::collection::btree_map(word(), inner, 0..5).prop_map(|map| {
                let entries: Vec<_> = map
                    .iter()
                    .map(|(key, value)| format!("{key}: {value}"))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}

#[test]
fn long_chains_of_services_end() {
    let service = |at: usize| format!("  s{at:05}: {{image: x, depends_on: [s{:05}]}}\n", at + 1);
    let text: String = (0..15_000).map(service).collect();
    let whole = format!("services:\n{text}  s15000: {{image: x}}\n");
    assert_eq!(project(&inputs(&whole)).services.len(), 15_001);
}

proptest! {
    #[test]
    fn arbitrary_text(text in r"\PC{0,80}") {
        read(&text);
    }

    #[test]
    fn arbitrary_trees(service in tree(), other in tree(), top in tree(), key in word()) {
        read(&format!("services:\n  a: {service}\n  b: {other}\n{key}: {top}\n"));
        read(&format!("services:\n  a: {{image: x, {key}: {service}}}\n  b: {other}\nvolumes: {top}\n"));
    }

    #[test]
    fn mutated_stacks(cut in 0..SEED.len(), length in 0_usize..40, insert in tree()) {
        let end = (cut + length).min(SEED.len());
        if SEED.is_char_boundary(cut) && SEED.is_char_boundary(end) {
            read(&format!("{}{}", &SEED[..cut], &SEED[end..]));
            read(&format!("{}{insert}{}", &SEED[..cut], &SEED[end..]));
        }
    }
}
