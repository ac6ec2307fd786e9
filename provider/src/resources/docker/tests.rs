//! Settings of Docker on their way to a guest and back.

use std::collections::BTreeMap;

use super::*;
use crate::{
    framework::{
        Value,
        model::{check_model, typed, untyped},
        plan::plan,
        private::Private,
    },
    guest::facts,
};

#[test]
fn the_model_matches_its_schema() {
    check_model::<Docker>();
    check_model::<Log>();
    check_model::<AddressPool>();
    check_model::<Prune>();
    check_model::<Proxy>();
}

#[test]
fn a_daemon_setting_with_an_attribute_is_refused_in_the_free_text() {
    assert!(daemon_json(&r#"{"debug":true}"#.into()).is_ok());
    assert!(
        daemon_json(&r#"{"mtu":1400}"#.into())
            .unwrap_err()
            .contains("docker.mtu")
    );
    assert!(daemon_json(&"[]".into()).is_err());
}

/// A guest with this `daemon.json`, whose group has one member.
fn guest(daemon_json: &str) -> Facts {
    Facts {
        docker: Some(facts::Docker {
            root: "/opt/docker/data".into(),
            ..facts::Docker::default()
        }),
        packages: BTreeMap::from([("docker.io".into(), "29.1".into())]),
        daemon_json: Some(daemon_json.into()),
        docker_group: vec!["ann".into()],
        ..Facts::default()
    }
}

fn docker() -> Docker {
    Docker {
        source: Some("distro".into()),
        live_restore: Some(true),
        log: Some(Log {
            driver: Some("local".into()),
            max_size: Some("10m".into()),
            max_file: Some(3),
        }),
        registry_mirrors: Some(vec!["https://a".into()]),
        insecure_registries: Some(BTreeSet::new()),
        address_pools: Some(vec![AddressPool {
            base: "10.64.0.0/16".into(),
            size: 24,
        }]),
        daemon_json: Some(r#"{ "debug": true }"#.into()),
        users: Some(["ann".to_owned()].into()),
        ..Docker::default()
    }
}

#[test]
fn settings_that_hold_are_read_back_as_they_are_spelled() {
    let text = r#"{"data-root":"/opt/docker/data","live-restore":true,"log-driver":"local",
        "log-opts":{"max-size":"10m","max-file":"3"},"registry-mirrors":["https://a"],
        "default-address-pools":[{"base":"10.64.0.0/16","size":24}],"debug":true,"mtu":1400}"#;
    assert_eq!(observed(&docker(), &guest(text)), docker());
}

#[test]
fn settings_that_others_changed_are_read_back_as_they_are() {
    let text =
        r#"{"registry-mirrors":["https://b"],"insecure-registries":["r:5000"],"debug":false}"#;
    let now = observed(&docker(), &guest(text));
    let expected = Docker {
        live_restore: Some(false),
        log: default_log(),
        registry_mirrors: Some(vec!["https://b".into()]),
        insecure_registries: Some(["r:5000".to_owned()].into()),
        address_pools: Some(Vec::new()),
        daemon_json: Some(r#"{"debug":false}"#.into()),
        ..docker()
    };
    assert_eq!(now, expected);
    // What the state does not follow stays unknown to it, but for where Docker comes from.
    let expected = Docker {
        source: Some("distro".into()),
        ..Docker::default()
    };
    assert_eq!(observed(&Docker::default(), &guest(text)), expected);
}

#[test]
fn an_import_adopts_what_is_there() {
    let adopted = adopted(&guest(r#"{"live-restore":true,"mtu":1400,"debug":true}"#)).unwrap();
    let expected = Docker {
        source: Some("distro".into()),
        data_root: Some("/opt/docker/data".into()),
        live_restore: Some(true),
        mtu: Some(1400),
        daemon_json: Some(r#"{"debug":true}"#.into()),
        ..Docker::default()
    };
    assert_eq!(adopted, expected);
    assert_eq!(super::adopted(&Facts::default()), None);
}

#[test]
fn a_host_that_is_there_keeps_its_source() {
    let schema = Docker::schema();
    let silent = untyped(&Docker::default());
    let planned = |prior: &Value, private: &Private| {
        let plan = plan(&schema, &silent, prior, private);
        typed::<Docker>(&plan.value).unwrap().source
    };
    let nothing = Private::default();
    assert_eq!(planned(&Value::Null, &nothing).as_deref(), Some("docker"));
    // That of an older version, whose default it was; and one whose line was taken out.
    let prior = untyped(&docker());
    for private in [nothing, Private::claiming(&schema, &prior)] {
        assert_eq!(planned(&prior, &private).as_deref(), Some("distro"));
    }
}

#[test]
fn both_roots_go_to_the_data_disk_or_none() {
    let on_disk = wish(&Docker::default(), Some("/opt/docker".into()));
    assert_eq!(on_disk.data_root.as_deref(), Some("/opt/docker/data"));
    assert_eq!(
        on_disk.containerd_root.as_deref(),
        Some("/opt/docker/containerd")
    );
    let elsewhere = Docker {
        data_root: Some("/var/lib/docker".into()),
        ..Docker::default()
    };
    let wish = wish(&elsewhere, Some("/opt/docker".into()));
    assert_eq!(
        (wish.containerd_root, wish.mount_path.as_deref()),
        (None, Some("/opt/docker"))
    );
}
