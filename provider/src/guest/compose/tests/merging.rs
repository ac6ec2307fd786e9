//! Several texts, `extends` and `include` come to what one text says.

use super::*;

/// Checks that a service `a` of two texts, each given below its image, is the same as that of one.
#[track_caller]
fn check(base: &str, over: &str, want: &str) {
    let text = |below: &str| {
        let below = below.replace('\n', "\n    ");
        format!(
            "services:\n  a:\n    image: i\n    {below}\n  b: {{image: i}}\n  c: {{image: i}}\n  d: {{image: i}}\nnetworks: {{n: , m: }}\nvolumes: {{data: , more: }}\n"
        )
    };
    let (base, over, want) = (text(base), text(over), text(want));
    let mut given = inputs(&base);
    given.files = files(&[("x.env", ""), ("y.env", ""), ("Dockerfile", "")]);
    given.sources.push(Source {
        name: "over.yaml",
        text: &over,
    });
    let got = project(&given);
    given.sources = vec![Source {
        name: "want.yaml",
        text: &want,
    }];
    let want = project(&given);
    assert_eq!(got.services["a"], want.services["a"], "{base}\n{over}");
}

/// Base, override, and the one text that says the same.
const MERGES: &[(&str, &str, &str)] = &[
    ("restart: always", "restart: \"no\"", "restart: \"no\""),
    (
        "restart: always",
        "hostname: h",
        "restart: always\nhostname: h",
    ),
    ("command: [x, y]", "command: z", "command: z"),
    ("command: [x, y]", "command: [z]", "command: [z]"),
    ("entrypoint: x", "entrypoint: [y]", "entrypoint: [y]"),
    (
        "environment: {A: 1, B: 2}",
        "environment: [B=3, C=4]",
        "environment: {A: 1, B: 3, C: 4}",
    ),
    (
        "environment: [A=1, B]",
        "environment: {B: x}",
        "environment: [A=1, B=x]",
    ),
    (
        "labels: [a=1]",
        "labels: {b: 2, a: 3}",
        "labels: {a: 3, b: 2}",
    ),
    (
        "ports: [\"80:80\"]",
        "ports: [\"80:80\", \"81:81\"]",
        "ports: [\"80:80\", \"81:81\"]",
    ),
    (
        "ports: [\"80:80\"]",
        "ports: !override [\"81:81\"]",
        "ports: [\"81:81\"]",
    ),
    (
        "ports: [\"80:80\"]\nhostname: h",
        "ports: !reset []",
        "hostname: h",
    ),
    (
        "environment: {A: 1, B: 2}",
        "environment: {A: !reset , C: 3}",
        "environment: {B: 2, C: 3}",
    ),
    (
        "volumes: [\"data:/d\", \"./x:/x\"]",
        "volumes: [\"more:/d:ro\"]",
        "volumes: [\"more:/d:ro\", \"./x:/x\"]",
    ),
    (
        "expose: [\"80\"]",
        "expose: [\"80\", \"81\"]",
        "expose: [\"80\", \"81\"]",
    ),
    ("cap_add: [A]", "cap_add: [A, B]", "cap_add: [A, B]"),
    (
        "dns: 1.1.1.1",
        "dns: [8.8.8.8, 1.1.1.1]",
        "dns: [1.1.1.1, 8.8.8.8]",
    ),
    (
        "env_file: x.env",
        "env_file: [y.env]",
        "env_file: [x.env, y.env]",
    ),
    (
        "extra_hosts: {h: 1.1.1.1}",
        "extra_hosts: [\"g=2.2.2.2\"]",
        "extra_hosts: [\"h=1.1.1.1\", \"g=2.2.2.2\"]",
    ),
    (
        "depends_on: [b]",
        "depends_on: {c: {condition: service_healthy}}",
        "depends_on: {b: {condition: service_started, required: true}, c: {condition: service_healthy}}",
    ),
    ("depends_on: [b]", "depends_on: [c]", "depends_on: [b, c]"),
    (
        "networks: [n]",
        "networks: {m: {aliases: [x]}}",
        "networks: {n: , m: {aliases: [x]}}",
    ),
    (
        "healthcheck: {test: [CMD, x], interval: 5s}",
        "healthcheck: {test: y}",
        "healthcheck: {test: y, interval: 5s}",
    ),
    (
        "logging: {driver: a, options: {x: 1}}",
        "logging: {driver: a, options: {y: 2}}",
        "logging: {driver: a, options: {x: 1, y: 2}}",
    ),
    (
        "logging: {driver: a, options: {x: 1}}",
        "logging: {driver: b}",
        "logging: {driver: b}",
    ),
    (
        "logging: {driver: a, options: {x: 1}}",
        "logging: {options: {x: 2}}",
        "logging: {driver: a, options: {x: 2}}",
    ),
    (
        "ulimits: {nofile: 5}",
        "ulimits: {nofile: {soft: 1, hard: 2}, nproc: 3}",
        "ulimits: {nofile: {soft: 1, hard: 2}, nproc: 3}",
    ),
    (
        "build: .",
        "build: {target: t}",
        "build: {context: ., target: t}",
    ),
    (
        "build: {context: ., args: [A=1]}",
        "build: {args: {A: 2}}",
        "build: {context: ., args: {A: 2}}",
    ),
    (
        "deploy: {resources: {limits: {memory: 1g}}}",
        "deploy: {resources: {limits: {cpus: 1}}}",
        "deploy: {resources: {limits: {memory: 1g, cpus: 1}}}",
    ),
    ("tmpfs: /a", "tmpfs: [/b]", "tmpfs: [/a, /b]"),
    ("sysctls: [a=1]", "sysctls: {a: 2}", "sysctls: {a: 2}"),
    ("scale: 1", "scale: 3", "scale: 3"),
];

#[test]
fn a_later_text_is_laid_over_as_compose_does() {
    for (base, over, want) in MERGES {
        check(base, over, want);
    }
}

#[test]
fn sections_merge_too_and_subnets_by_address() {
    let base = "services: {a: {image: i}}\nnetworks:\n  n:\n    labels: [x=1]\n    ipam: {config: [{subnet: 10.0.0.0/24}, {subnet: 10.0.1.0/24}]}\nvolumes: {v: {driver: local}}\n";
    let over = "services: {b: {image: i}}\nnetworks:\n  n:\n    labels: {y: 2}\n    ipam: {config: [{subnet: 10.0.0.0/24, gateway: 10.0.0.9}]}\nvolumes: {w: }\n";
    let mut given = inputs(base);
    given.sources.push(Source {
        name: "over.yaml",
        text: over,
    });
    let got = project(&given);
    assert_eq!(got.services.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(got.volumes.keys().collect::<Vec<_>>(), ["v", "w"]);
    assert_eq!(
        got.networks["n"].definition,
        r#"{"ipam":{"config":[{"gateway":"10.0.0.9","subnet":"10.0.0.0/24"},{"subnet":"10.0.1.0/24"}]},"labels":{"x":"1","y":"2"}}"#
    );
}

#[test]
fn forms_that_cannot_be_merged_are_faults() {
    let mut given = inputs("services:\n  a:\n    image: i\n    gpus: [{driver: x}]\n");
    let over = Source {
        name: "over.yaml",
        text: "services:\n  a:\n    gpus: all\n",
    };
    given.sources.push(over);
    let faults = parse(&given).expect_err("a list cannot be merged with a text");
    assert_eq!(
        lines(&faults),
        "over.yaml:3:11: services.a.gpus: is set in another form in compose.yaml:4\n"
    );
}

#[test]
fn extended_services_are_the_base_of_those_that_extend() {
    let base = "services:\n  base:\n    extends: {service: root}\n    environment: {A: 1, B: 1}\n    volumes: [\"./conf:/conf\"]\n    env_file: base.env\n  root: {image: \"i:${TAG}\", restart: always}\n";
    let text = "services:\n  a:\n    extends: {file: shared/base.yaml, service: base}\n    environment: {B: 2}\n  b:\n    extends: a\n    hostname: b\n";
    let mut given = inputs(text);
    given.files = files(&[
        ("shared/base.yaml", base),
        ("shared/base.env", "X=1\n"),
        ("shared/conf/a", "1"),
        ("conf/b", "2"),
    ]);
    given.env = pairs(&[("TAG", "7")]);
    let got = project(&given);
    let a = &got.services["a"];
    assert_eq!(a.image.as_deref(), Some("i:7"));
    assert_eq!(a.restart, "always");
    assert_eq!(
        a.inputs,
        ["shared/base.env", "shared/conf/a"]
            .map(String::from)
            .into()
    );
    assert_eq!(a.binds, ["shared/conf"].map(String::from).into());
    assert!(
        a.definition.contains(r#""environment":{"A":"1","B":"2"}"#),
        "{}",
        a.definition
    );
    assert!(got.services["b"].definition.contains(r#""hostname":"b""#));
    assert_eq!(got.services["b"].image.as_deref(), Some("i:7"));
}

#[test]
fn included_texts_bring_their_services_paths_and_variables() {
    let part = "services:\n  db:\n    image: db:${VERSION}\n    volumes: [\"./init:/init\"]\nvolumes: {data: }\n";
    let mut given = inputs(
        "include: [parts/db.yaml, {path: [parts/db.yaml]}]\nservices:\n  a: {image: i, depends_on: [db]}\n",
    );
    given.files = files(&[
        ("parts/db.yaml", part),
        ("parts/.env", "VERSION=5\n"),
        ("parts/init/a.sql", ""),
    ]);
    let got = project(&given);
    assert_eq!(got.services["db"].image.as_deref(), Some("db:5"));
    assert_eq!(
        got.services["db"].inputs,
        ["parts/init/a.sql"].map(String::from).into()
    );
    assert!(got.volumes.contains_key("data"));
    given.env = pairs(&[("VERSION", "6")]);
    assert_eq!(
        project(&given).services["db"].image.as_deref(),
        Some("db:6")
    );
    given.sources[0].text = "include: [parts/db.yaml]\nservices:\n  db: {image: mine}\n";
    let faults = parse(&given).expect_err("db is declared twice");
    assert_eq!(
        lines(&faults),
        "compose.yaml:3:3: services.db: is also declared in parts/db.yaml:2\n"
    );
}

#[test]
fn texts_that_include_themselves_end() {
    let mut given = inputs("include: [a.yaml]\nservices: {a: {image: i}}\n");
    given.files = files(&[
        ("a.yaml", "include: [b.yaml, b.yaml]\n"),
        ("b.yaml", "include: [a.yaml, a.yaml]\n"),
    ]);
    let faults = parse(&given).expect_err("the texts include each other");
    assert_eq!(
        lines(&faults),
        "b.yaml:1:11: include[0]: \"a.yaml\" includes itself\nb.yaml:1:19: include[1]: \"a.yaml\" includes itself\n"
    );
}
