use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use serde_json::{Value as Json, json};

use super::{Stack, effects};
use crate::framework::{
    Model as _, Value,
    model::object,
    plan::{Plan, plan},
    private::Private,
};

const TEXT: &str = "
services:
  web: {image: 'nginx:1', ports: ['80:80'], environment: {TOKEN: '${TOKEN:-}'}, volumes: ['./a:/a']}
  db: {image: 'pg:1', restart: always, secrets: [password]}
  job: {image: 'job:1'}
secrets: {password: {}}
";

/// A configuration with changes to it; null removes.
fn config(changes: &Json) -> Value {
    let mut all = json!({
        "host_id": "qemu/101", "name": "demo", "compose": TEXT,
        "files": {"a": "1"}, "env_wo_version": "1", "secrets_wo_version": "1",
    });
    for (name, value) in changes.as_object().expect("changes are an object") {
        all[name] = value.clone();
    }
    let mut config = object(&all, &Stack::schema());
    for (attribute, name) in [("env_wo", "TOKEN"), ("secrets_wo", "password")] {
        config.put(
            attribute,
            Value::Map([(name.to_owned(), "x".into())].into()),
        );
    }
    config
}

/// What an apply of the configuration leaves, with changes to its services by dotted path.
fn applied(drift: &[(&str, Json)]) -> Value {
    let config = config(&json!({}));
    let mut state = planned(&config, &Value::Null).value;
    let service = |image: &str, state: &str| {
        let text = |text: &str| Value::from(text);
        let entries = [
            ("image", text(image)),
            ("image_digest", text("sha256:1")),
            ("state", text(state)),
            ("replicas", 1.into()),
            ("ports", Value::List(Vec::new())),
            ("config_hash", text("h")),
        ];
        Value::Map(entries.map(|(name, value)| (name.to_owned(), value)).into())
    };
    let services = [
        ("web", service("nginx:1", "running")),
        ("db", service("pg:1", "running")),
        ("job", service("job:1", "completed")),
    ];
    state.put(
        "services",
        Value::Map(
            services
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
        ),
    );
    for (path, value) in drift {
        let value = match value {
            Json::String(text) => text.as_str().into(),
            Json::Number(number) => number.as_i64().expect("a small number").into(),
            _ => Value::Null,
        };
        state.put(path, value);
    }
    state
}

fn planned<'a>(config: &'a Value, prior: &'a Value) -> Plan<'a> {
    static SCHEMA: std::sync::LazyLock<crate::framework::Schema> =
        std::sync::LazyLock::new(Stack::schema);
    static PRIVATE: std::sync::LazyLock<Private> = std::sync::LazyLock::new(Private::default);
    let mut plan = plan(&SCHEMA, config, prior, &PRIVATE);
    effects::effects(&mut plan);
    plan
}

/// Shows what a plan changes, one line a path.
#[track_caller]
fn check(drift: &[(&str, Json)], changes: &Json, expected: &Expect) {
    let (config, prior) = (config(changes), applied(drift));
    let plan = planned(&config, &prior);
    let mut lines = String::new();
    compare("", &prior, &plan.value, &mut lines);
    for fault in &plan.diagnostics.0 {
        lines += &format!("{}: {}\n", fault.summary, fault.detail);
    }
    expected.assert_eq(&lines);
}

fn compare(path: &str, before: &Value, after: &Value, lines: &mut String) {
    if before == after {
        return;
    }
    let empty = BTreeMap::new();
    let entries = |value: &Value| value.as_map().cloned();
    match (entries(before), entries(after)) {
        (None, None) => {
            let show = |value: &Value| match value.as_str() {
                Some(text) if text.contains('\n') => "…".to_owned(),
                _ => value.display(),
            };
            *lines += &format!("{path}: {} -> {}\n", show(before), show(after));
        }
        (_, None) => *lines += &format!("{path}: -> {}\n", after.display()),
        (a, Some(b)) => {
            let a = a.unwrap_or(empty);
            let mut names: Vec<_> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let inner = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                compare(&inner, before.get(name), after.get(name), lines);
            }
        }
    }
}

#[test]
fn nothing_to_do_is_nothing() {
    check(&[], &json!({}), &expect![""]);
}

#[test]
fn a_new_stack_shows_what_is_certain() {
    let config = config(&json!({}));
    let plan = planned(&config, &Value::Null);
    let mut lines = String::new();
    for name in ["id", "project_directory", "services", "status"] {
        compare(name, &Value::Null, plan.value.get(name), &mut lines);
    }
    expect![[r"
        id: nothing -> qemu/101/demo
        project_directory: nothing -> /opt/pmoves/stacks/demo
        services.db.config_hash: nothing -> (known after apply)
        services.db.image: nothing -> pg:1
        services.db.image_digest: nothing -> (known after apply)
        services.db.ports: nothing -> (known after apply)
        services.db.replicas: nothing -> 1
        services.db.state: nothing -> running
        services.job.config_hash: nothing -> (known after apply)
        services.job.image: nothing -> job:1
        services.job.image_digest: nothing -> (known after apply)
        services.job.ports: nothing -> (known after apply)
        services.job.replicas: nothing -> 1
        services.job.state: nothing -> (known after apply)
        services.web.config_hash: nothing -> (known after apply)
        services.web.image: nothing -> nginx:1
        services.web.image_digest: nothing -> (known after apply)
        services.web.ports: nothing -> (known after apply)
        services.web.replicas: nothing -> 1
        services.web.state: nothing -> running
        status: nothing -> running
    "]]
    .assert_eq(&lines);
}

#[test]
fn drift_shows_in_the_state_of_its_service() {
    check(
        &[
            ("services.web.state", json!("exited")),
            ("status", json!("degraded")),
        ],
        &json!({}),
        &expect![[r"
        services.web.state: exited -> running
        status: degraded -> running
    "]],
    );
    check(
        &[("services.web.state", json!("unhealthy"))],
        &json!({"wait": false}),
        &expect![[r"
        services.web.state: unhealthy -> (known after apply)
        status: running -> (known after apply)
        wait: true -> false
    "]],
    );
    check(
        &[
            ("services.web.state", json!("outdated")),
            ("services.web.image", json!("nginx:9")),
        ],
        &json!({}),
        &expect![[r"
        services.web.config_hash: h -> (known after apply)
        services.web.image: nginx:9 -> nginx:1
        services.web.image_digest: sha256:1 -> (known after apply)
        services.web.ports: (a collection) -> (known after apply)
        services.web.state: outdated -> running
    "]],
    );
    check(
        &[
            ("services.db.state", json!("missing")),
            ("services.db.replicas", json!(0)),
        ],
        &json!({}),
        &expect![[r"
        services.db.config_hash: h -> (known after apply)
        services.db.image_digest: sha256:1 -> (known after apply)
        services.db.ports: (a collection) -> (known after apply)
        services.db.replicas: 0 -> 1
        services.db.state: missing -> running
    "]],
    );
    // It may as well end, as it did.
    check(
        &[("services.job.state", json!("exited"))],
        &json!({}),
        &expect![[r"
        services.job.state: exited -> (known after apply)
    "]],
    );
    check(
        &[("services.web.replicas", json!(3))],
        &json!({}),
        &expect![[r"
        services.web.replicas: 3 -> 1
    "]],
    );
    check(
        &[("services.web.state", json!("exited"))],
        &json!({"recreate": "always", "wait": false}),
        &expect![[r"
        recreate: auto -> always
        services.db.config_hash: h -> (known after apply)
        services.db.image_digest: sha256:1 -> (known after apply)
        services.db.ports: (a collection) -> (known after apply)
        services.db.state: running -> (known after apply)
        services.job.config_hash: h -> (known after apply)
        services.job.image_digest: sha256:1 -> (known after apply)
        services.job.ports: (a collection) -> (known after apply)
        services.job.state: completed -> (known after apply)
        services.web.config_hash: h -> (known after apply)
        services.web.image_digest: sha256:1 -> (known after apply)
        services.web.ports: (a collection) -> (known after apply)
        services.web.state: exited -> (known after apply)
        status: running -> (known after apply)
        wait: true -> false
    "]],
    );
}

#[test]
fn only_who_uses_a_secret_changes_with_its_version() {
    check(
        &[],
        &json!({"env_wo_version": "2"}),
        &expect![[r"
        env_wo_version: 1 -> 2
        services.web.config_hash: h -> (known after apply)
        services.web.image_digest: sha256:1 -> (known after apply)
        services.web.ports: (a collection) -> (known after apply)
    "]],
    );
    check(
        &[],
        &json!({"secrets_wo_version": "2"}),
        &expect![[r"
        secrets_wo_version: 1 -> 2
        services.db.config_hash: h -> (known after apply)
        services.db.image_digest: sha256:1 -> (known after apply)
        services.db.ports: (a collection) -> (known after apply)
    "]],
    );
    check(
        &[("env_wo_version", Json::Null)],
        &json!({}),
        &expect![[r"
        env_wo_version: nothing -> 1
        services.web.config_hash: h -> (known after apply)
        services.web.image_digest: sha256:1 -> (known after apply)
        services.web.ports: (a collection) -> (known after apply)
    "]],
    );
}

#[test]
fn services_come_and_go_with_the_text() {
    let text = TEXT.replace(
        "job: {image: 'job:1'}",
        "new: {image: 'new:1', restart: always}",
    );
    check(
        &[],
        &json!({"compose": text}),
        &expect![[r"
        compose: … -> …
        services.job: -> nothing
        services.new.config_hash: nothing -> (known after apply)
        services.new.image: nothing -> new:1
        services.new.image_digest: nothing -> (known after apply)
        services.new.ports: nothing -> (known after apply)
        services.new.replicas: nothing -> 1
        services.new.state: nothing -> running
    "]],
    );
    let orphan = ("services.old", json!("x"));
    check(
        std::slice::from_ref(&orphan),
        &json!({}),
        &expect![[r"
        services.old: x -> nothing
    "]],
    );
    check(
        &[orphan],
        &json!({"remove_orphans": false}),
        &expect![[r"
        remove_orphans: true -> false
    "]],
    );
    check(
        &[],
        &json!({"compose": TEXT.replace("'job:1'", "'job:1', scale: 0")}),
        &expect![[r"
        compose: … -> …
        services.job: -> nothing
    "]],
    );
}

#[test]
fn a_host_that_is_not_known_replaces_the_stack() {
    let mut config = config(&json!({}));
    config.put("host_id", Value::Unknown);
    let prior = applied(&[]);
    let plan = planned(&config, &prior);
    let replaced: Vec<String> = plan.replace.iter().map(ToString::to_string).collect();
    assert_eq!(replaced, ["host_id"]);
    let mut config = self::config(&json!({}));
    config.put("compose", Value::Unknown);
    let plan = planned(&config, &prior);
    assert!(plan.value.get("services").is_unknown() && plan.value.get("status").is_unknown());
}
