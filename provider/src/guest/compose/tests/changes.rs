//! Which services an edit changes.

use expect_test::{Expect, expect};

use super::*;

fn words(changes: &Changes) -> String {
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
    let mut out = String::new();
    for (kind, names) in [
        ("added", &changes.added),
        ("removed", &changes.removed),
        ("same", &changes.same),
    ] {
        if !names.is_empty() {
            writeln!(out, "{kind}: {}", list(names)).expect("a String takes all");
        }
    }
    for (name, keys) in &changes.changed {
        writeln!(out, "changed: {name} ({})", list(keys)).expect("a String takes all");
    }
    out
}

#[track_caller]
fn check_inputs(before: &Inputs<'_>, after: &Inputs<'_>, want: &Expect) {
    want.assert_eq(&words(&changed(&project(before), &project(after))));
}

#[track_caller]
fn check(before: &str, after: &str, want: &Expect) {
    check_inputs(&inputs(before), &inputs(after), want);
}

#[test]
fn edits_name_the_services_and_their_keys() {
    check(
        "services:\n  web:\n    image: nginx:1\n    environment: {A: 1, B: 2}\n  db: {image: postgres}\n  old: {image: x}\n",
        "services:\n  web:\n    image: nginx:2\n    environment: {A: 1, B: 3, C: 4}\n    hostname: h\n  db: {image: postgres}\n  new: {image: x}\n",
        &expect![[r#"
            added: new
            removed: old
            same: db
            changed: web (environment.B environment.C hostname image)
        "#]],
    );
}

#[test]
fn spelling_alone_changes_nothing() {
    check(
        "services:\n  web:\n    image: nginx\n    environment: [B=2, A=1, C]\n    labels: {x: 1}\n    depends_on: [db]\n    networks: [n]\n    x-note: a\n  db: {image: db}\nnetworks: {n: }\n",
        "x-top: b\nservices:\n  db:\n    image: \"db\" # comment\n  web:\n    labels: [\"x=1\"]\n    networks: {n: }\n    depends_on: {db: {condition: service_started}}\n    environment:\n      A: \"1\"\n      B: 2\n      C:\n    image: 'nginx'\nnetworks: {n: }\n",
        &expect![[r#"
            same: db web
        "#]],
    );
}

#[test]
fn what_compose_does_not_hash_is_told_all_the_same_if_it_moves_containers() {
    let base = "services:\n  web: {image: x}\n";
    for (after, want) in [
        (
            "services:\n  web: {image: x, pull_policy: always}\n",
            expect![[r#"
            same: web
        "#]],
        ),
        (
            "services:\n  web: {image: x, deploy: {replicas: 1}}\n",
            expect![[r#"
            same: web
        "#]],
        ),
        (
            "services:\n  web: {image: x, scale: 2}\n",
            expect![[r#"
            changed: web (replicas)
        "#]],
        ),
        (
            "services:\n  web: {image: x, profiles: [\"\"]}\n",
            expect![[r#"
            changed: web (profiles)
        "#]],
        ),
        (
            "services:\n  web: {image: x, networks: {default: {aliases: [a]}}}\n",
            expect![[r#"
            changed: web (networks)
        "#]],
        ),
        (
            "services:\n  web: {image: x}\nnetworks: {default: {driver_opts: {a: b}}}\n",
            expect![[r#"
            changed: web (networks.default)
        "#]],
        ),
        (
            "services:\n  web: {image: x}\nvolumes: {unused: }\nnetworks: {unused: }\n",
            expect![[r#"
            same: web
        "#]],
        ),
    ] {
        let mut given = inputs(after);
        given.profiles = [String::from("*")].into();
        check_inputs(&inputs(base), &given, &want);
    }
}

#[test]
fn files_secrets_and_variables_change_the_services_that_read_them() {
    let text = "services:\n  a: {image: \"i:${TAG}\", env_file: a.env}\n  b: {image: i, volumes: [\"./conf:/conf:ro\"]}\n  c: {image: i, secrets: [s], configs: [k]}\n  d: {image: i, secrets: [e]}\n  f: {image: i, environment: [TAG], env_file: .env}\n  g: {build: ./g}\n  z: {image: i}\nsecrets: {s: {file: s.txt}, e: {environment: PW}}\nconfigs: {k: {content: \"hello ${WHO}\"}}\n";
    let shipped = [
        ("a.env", "X=1\n"),
        ("conf/a", "1"),
        ("s.txt", "1"),
        ("g/Dockerfile", "FROM x"),
        ("other", "1"),
    ];
    let env = pairs(&[("TAG", "1"), ("PW", "1"), ("WHO", "you")]);
    let before = Inputs {
        files: files(&shipped),
        env,
        ..inputs(text)
    };
    let with_file = |path: &str, content: &'static str| {
        let mut after = before.clone();
        after.files.extend(files(&[(path, content)]));
        after
    };
    let with_env = |name: &str, value: &str| {
        let mut after = before.clone();
        after.env.extend(pairs(&[(name, value)]));
        after
    };
    check_inputs(
        &before,
        &with_file("a.env", "# only a comment\nX=1\n"),
        &expect![[r#"
        same: a b c d f g z
    "#]],
    );
    check_inputs(
        &before,
        &with_file("a.env", "X=2\n"),
        &expect![[r#"
        same: b c d f g z
        changed: a (files.a.env)
    "#]],
    );
    check_inputs(
        &before,
        &with_file("conf/b", "2"),
        &expect![[r#"
        same: a c d f g z
        changed: b (files.conf/b)
    "#]],
    );
    check_inputs(
        &before,
        &with_file("s.txt", "2"),
        &expect![[r#"
        same: a b d f g z
        changed: c (files.s.txt)
    "#]],
    );
    check_inputs(
        &before,
        &with_file("g/Dockerfile", "FROM y"),
        &expect![[r#"
        same: a b c d f z
        changed: g (files.g/Dockerfile)
    "#]],
    );
    check_inputs(
        &before,
        &with_file("other", "2"),
        &expect![[r#"
        same: a b c d f g z
    "#]],
    );
    check_inputs(
        &before,
        &with_env("TAG", "2"),
        &expect![[r#"
        same: b c d g z
        changed: a (image)
        changed: f (environment.TAG files..env)
    "#]],
    );
    check_inputs(
        &before,
        &with_env("PW", "2"),
        &expect![[r#"
        same: a b c g z
        changed: d (secrets.e)
        changed: f (files..env)
    "#]],
    );
    check_inputs(
        &before,
        &with_env("WHO", "me"),
        &expect![[r#"
        same: a b d g z
        changed: c (configs.k)
        changed: f (files..env)
    "#]],
    );
}

#[test]
fn services_that_share_a_namespace_follow() {
    check(
        "services:\n  vpn: {image: vpn:1}\n  app: {image: a, network_mode: \"service:vpn\"}\n  side: {image: s, pid: \"service:app\"}\n  far: {image: f, depends_on: [vpn]}\n",
        "services:\n  vpn: {image: vpn:2}\n  app: {image: a, network_mode: \"service:vpn\"}\n  side: {image: s, pid: \"service:app\"}\n  far: {image: f, depends_on: [vpn]}\n",
        &expect![[r#"
            same: far
            changed: app (services.vpn)
            changed: side (services.app)
            changed: vpn (image)
        "#]],
    );
}

#[test]
fn volumes_whose_definition_changes_are_named() {
    let before = "services: {a: {image: i}}\nvolumes: {same: {driver: local, labels: [b=1], x-a: 1}, opts: , gone: , renamed: , labels: {labels: [a=1]}, ext: {external: true}}\n";
    let after = "services: {a: {image: i}}\nvolumes: {same: {labels: {b: 1}}, opts: {driver_opts: {a: b}}, new: , renamed: {name: x}, labels: {labels: [a=2]}, ext: {external: true, name: y}}\n";
    let redefined = volumes_redefined(&project(&inputs(before)), &project(&inputs(after)));
    assert_eq!(redefined, ["labels", "opts"]);
}
