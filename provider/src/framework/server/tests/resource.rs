//! One resource, well and not so well.

use expect_test::{Expect, expect};

use super::*;

pub(super) async fn plan(
    core: &mut Core,
    config: Json,
    prior: Json,
    prior_private: &str,
) -> pb::plan_resource_change::Response {
    let request = pb::plan_resource_change::Request {
        type_name: type_name(),
        config: wire::<Thing>(config),
        prior_state: wire::<Thing>(prior),
        prior_private: prior_private.to_owned().into(),
        ..Default::default()
    };
    core.plan_resource_change(request)
        .await
        .unwrap()
        .into_inner()
}

/// Plans and applies.
async fn change(core: &mut Core, config: Json, prior: Json) -> pb::apply_resource_change::Response {
    let planned = plan(core, config.clone(), prior.clone(), "").await;
    let request = pb::apply_resource_change::Request {
        type_name: type_name(),
        config: wire::<Thing>(config),
        prior_state: wire::<Thing>(prior),
        planned_state: planned.planned_state,
        planned_private: planned.planned_private,
        ..Default::default()
    };
    core.apply_resource_change(request)
        .await
        .unwrap()
        .into_inner()
}

pub(super) async fn create(core: &mut Core, config: Json) -> pb::apply_resource_change::Response {
    change(core, config, Json::Null).await
}

pub(super) async fn read(
    core: &mut Core,
    state: Json,
    private: &str,
) -> pb::read_resource::Response {
    let request = pb::read_resource::Request {
        type_name: type_name(),
        current_state: wire::<Thing>(state),
        private: private.to_owned().into(),
        ..Default::default()
    };
    core.read_resource(request).await.unwrap().into_inner()
}

/// State, private data and messages of an apply.
async fn check_apply(config: Json, prior: Json, wanted: Expect) {
    let mut core = configured().await;
    let reply = change(&mut core, config.clone(), prior.clone()).await;
    wanted.assert_eq(&format!(
        "{}\n{}\n{}",
        seen(reply.new_state.as_ref()),
        private(&reply.private),
        told(&reply.diagnostics)
    ));
}

async fn validate(config: Json, write_only_attributes_allowed: bool) -> String {
    let capabilities = pb::ClientCapabilities {
        write_only_attributes_allowed,
        ..Default::default()
    };
    let request = pb::validate_resource_config::Request {
        type_name: type_name(),
        config: wire::<Thing>(config),
        client_capabilities: Some(capabilities),
    };
    let reply = core().validate_resource_config(request).await.unwrap();
    told(&reply.get_ref().diagnostics)
}

#[tokio::test]
async fn configurations_are_checked_where_they_are_known() {
    let size = |size: Json| json!({ "name": "a", "size": size, "secret_wo": "x" });
    assert_eq!(validate(size("?".into()), true).await, "");
    assert_eq!(
        validate(size(100.into()), true).await,
        "ERROR /AttributeName(\"size\") Invalid size: Must be a whole number from 1 to 99.\n"
    );
    let refused = validate(size(1.into()), false).await;
    assert!(
        refused.starts_with("ERROR /AttributeName(\"secret_wo\")"),
        "{refused}"
    );
}

#[tokio::test]
async fn plans_leave_open_what_apply_decides() {
    let config = json!({ "name": "a", "labels": "?", "secret_wo": "x" });
    let reply = plan(&mut configured().await, config, Json::Null, "").await;
    assert_eq!(
        seen(reply.planned_state.as_ref()),
        "id=? labels=? name=\"a\" size=1"
    );
    assert_eq!(private(&reply.planned_private), r#"{"v":1}"#);
    assert!(!reply.legacy_type_system);
}

#[tokio::test]
async fn plans_name_what_replaces_and_carry_private_data() {
    let prior = json!({ "id": "i", "name": "a", "size": 1 });
    let claimed = r#"{"v":1,"claimed":["name"]}"#;
    let mut core = configured().await;
    let reply = plan(&mut core, json!({ "name": "b" }), prior.clone(), claimed).await;
    assert_eq!(
        reply.requires_replace,
        [(&crate::framework::Path::root("name")).into()]
    );
    assert_eq!(private(&reply.planned_private), claimed);
    let reply = plan(&mut core, Json::Null, prior, claimed).await;
    assert_eq!(seen(reply.planned_state.as_ref()), "null");
}

#[tokio::test]
async fn create_echoes_the_plan_and_takes_secrets_from_the_configuration() {
    let config = json!({ "name": "a", "labels": ["y", "x"], "secret_wo": "open" });
    check_apply(
        config,
        Json::Null,
        expect![[r#"
        id="https://x/a/open" labels=["x","y"] name="a" size=1
        {"v":1,"claimed":["labels","name"]}
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_create_that_made_nothing_leaves_nothing() {
    let config = json!({ "name": "refused", "labels": ["x"] });
    check_apply(
        config,
        Json::Null,
        expect![[r#"
        null

        ERROR /AttributeName("labels") Cannot create pmoves_thing "refused": bad tag
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_create_that_fails_later_leaves_what_it_made() {
    check_apply(
        json!({ "name": "broken" }),
        Json::Null,
        expect![[r#"
        id="https://x/broken/closed" name="broken" size=1
        {"v":1,"claimed":["name"]}
        ERROR  Cannot create pmoves_thing "broken": It broke
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_create_that_panics_leaves_what_it_made() {
    let reply = create(&mut configured().await, json!({ "name": "panics" })).await;
    let wanted = r#"id="https://x/panics/closed" name="panics" size=1"#;
    assert_eq!(seen(reply.new_state.as_ref()), wanted);
    assert_eq!(private(&reply.private), r#"{"v":1,"claimed":["name"]}"#);
    let told = told(&reply.diagnostics);
    assert!(
        told.contains("The provider panicked: it panicked"),
        "{told}"
    );
}

#[tokio::test]
async fn an_update_that_fails_keeps_the_prior_state() {
    let prior = json!({ "id": "i", "name": "broken", "size": 1 });
    check_apply(
        json!({ "name": "broken", "size": 2 }),
        prior,
        expect![[r#"
        id="i" name="broken" size=1
        {"v":1,"claimed":["name","size"]}
        ERROR  Cannot update pmoves_thing "i": It broke
    "#]],
    )
    .await;
}

#[tokio::test]
async fn an_update_that_fails_halfway_tells_how_far_it_came() {
    let prior = json!({ "id": "i", "name": "halfway", "size": 1 });
    check_apply(
        json!({ "name": "halfway", "size": 99 }),
        prior,
        expect![[r#"
            id="i" name="halfway" size=50
            {"v":1,"claimed":["name","size"]}
            ERROR  Cannot update pmoves_thing "i": Only half of it
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_delete_leaves_nothing() {
    let prior = json!({ "id": "i", "name": "a", "size": 1 });
    check_apply(Json::Null, prior, expect!["null\n\n"]).await;
}

#[tokio::test]
async fn a_delete_that_fails_keeps_the_prior_state() {
    let prior = json!({ "id": "i", "name": "held", "size": 1 });
    check_apply(
        Json::Null,
        prior,
        expect![[r#"
        id="i" name="held" size=1
        {"v":1}
        ERROR  Cannot delete pmoves_thing "i": Somebody holds it
    "#]],
    )
    .await;
}

#[tokio::test]
async fn an_apply_that_cannot_be_read_keeps_what_core_holds() {
    let request = pb::apply_resource_change::Request {
        type_name: type_name(),
        prior_state: wire::<Thing>(json!({ "id": "i", "name": "a" })),
        planned_state: Some(pb::DynamicValue {
            msgpack: Bytes::from_static(b"\x81\xa4size\xa1x"),
            ..Default::default()
        }),
        planned_private: Bytes::from_static(b"remembered"),
        ..Default::default()
    };
    let reply = configured()
        .await
        .apply_resource_change(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(seen(reply.new_state.as_ref()), r#"id="i" name="a""#);
    assert_eq!(private(&reply.private), "remembered");
    expect![[r#"
        ERROR /AttributeName("size") Value that cannot be read: A value that arrived does not fit the provider's schema: not a decimal number. Please report this.
    "#]].assert_eq(&told(&reply.diagnostics));
}

#[tokio::test]
async fn an_unconfigured_provider_cannot_apply() {
    let reply = create(&mut core(), json!({ "name": "a" })).await;
    assert_eq!(seen(reply.new_state.as_ref()), "null");
    expect![[r#"
        ERROR  Cannot create pmoves_thing "a": The provider is not configured
    "#]]
    .assert_eq(&told(&reply.diagnostics));
}

#[tokio::test]
async fn read_tells_drift_and_echoes_private_data() {
    let claimed = r#"{"v":1,"claimed":["name"]}"#;
    let state = json!({ "id": "i", "name": "a", "size": 1 });
    let reply = read(&mut configured().await, state, claimed).await;
    assert_eq!(seen(reply.new_state.as_ref()), r#"id="i" name="a" size=7"#);
    assert_eq!(private(&reply.private), claimed);
}

#[tokio::test]
async fn only_what_is_gone_for_certain_is_forgotten() {
    let mut core = configured().await;
    let state = |name: &str| json!({ "id": "i", "name": name });
    let reply = read(&mut core, state("gone"), "").await;
    assert_eq!(seen(reply.new_state.as_ref()), "null");
    assert_eq!(told(&reply.diagnostics), "");
    for name in ["unreachable", "panics"] {
        let reply = read(&mut core, state(name), "{\"v\":1}").await;
        assert_eq!(
            seen(reply.new_state.as_ref()),
            format!("id=\"i\" name=\"{name}\"")
        );
        assert_eq!(private(&reply.private), "{\"v\":1}");
        assert_ne!(told(&reply.diagnostics), "");
    }
}

#[tokio::test]
async fn an_unknown_type_is_an_error_in_words() {
    let request = pb::plan_resource_change::Request {
        type_name: "pmoves_no".to_owned(),
        ..Default::default()
    };
    let reply = core()
        .plan_resource_change(request)
        .await
        .unwrap()
        .into_inner();
    expect![[r#"
        ERROR  Unknown resource type: This version of the provider has no resource type "pmoves_no".
    "#]]
    .assert_eq(&told(&reply.diagnostics));
}
