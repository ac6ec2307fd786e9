//! States that come from elsewhere: imports, other versions, other registries.

use super::{resource::read, *};

#[tokio::test]
async fn an_import_is_filled_by_the_read_that_follows() {
    let mut core = configured().await;
    let request = |id: &str| pb::import_resource_state::Request {
        type_name: type_name(),
        id: id.to_owned(),
        ..Default::default()
    };
    let reply = core
        .import_resource_state(request("x/a"))
        .await
        .unwrap()
        .into_inner();
    let imported = &reply.imported_resources[0];
    assert_eq!(imported.type_name, NAME);
    assert_eq!(seen(imported.state.as_ref()), r#"id="x/a" name="a""#);
    let state = json!({ "id": "x/a", "name": "a" });
    let reply = read(&mut core, state, private(&imported.private)).await;
    assert_eq!(
        seen(reply.new_state.as_ref()),
        r#"id="x/a" name="a" size=7"#
    );
    for (id, why) in [("a", "Write it as client/name"), ("", "imported by its id")] {
        let reply = core
            .import_resource_state(request(id))
            .await
            .unwrap()
            .into_inner();
        assert!(reply.imported_resources.is_empty());
        assert!(told(&reply.diagnostics).contains(why), "{id:?}");
    }
}

fn stored(json: &str) -> pb::RawState {
    pb::RawState {
        json: json.to_owned().into(),
        ..Default::default()
    }
}

async fn upgrade(json: &str) -> pb::upgrade_resource_state::Response {
    let request = pb::upgrade_resource_state::Request {
        type_name: type_name(),
        raw_state: Some(stored(json)),
        ..Default::default()
    };
    let reply = core().upgrade_resource_state(request).await.unwrap();
    reply.into_inner()
}

#[tokio::test]
async fn states_of_other_versions_are_read() {
    for (json, wanted) in [
        (
            r#"{"name":"a","size":3,"old":1,"secret_wo":"x"}"#,
            r#"name="a" size=3"#,
        ),
        (
            r#"{"name":1,"labels":["b","a","b"],"size":[]}"#,
            r#"labels=["a","b"] name="1""#,
        ),
    ] {
        let reply = upgrade(json).await;
        assert_eq!(seen(reply.upgraded_state.as_ref()), wanted);
        assert_eq!(told(&reply.diagnostics), "");
    }
    for json in ["", "{", "[]", "null"] {
        let reply = upgrade(json).await;
        assert!(reply.upgraded_state.is_none(), "{json}");
        assert!(!reply.diagnostics.is_empty(), "{json}");
    }
}

#[tokio::test]
async fn a_state_moves_between_registries_and_nowhere_else() {
    for (address, source, fine) in [
        ("registry.terraform.io/acme/pmoves", NAME, true),
        ("registry.opentofu.org/acme/pmoves", "pmoves_other", false),
        ("registry.opentofu.org/other/pmoves", NAME, false),
    ] {
        let request = pb::move_resource_state::Request {
            source_provider_address: address.to_owned(),
            source_type_name: source.to_owned(),
            source_state: Some(stored(r#"{"name":"a"}"#)),
            source_private: Bytes::from_static(b"remembered"),
            target_type_name: type_name(),
            ..Default::default()
        };
        let reply = core()
            .move_resource_state(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(reply.diagnostics.is_empty(), fine, "{address} {source}");
        if fine {
            assert_eq!(seen(reply.target_state.as_ref()), r#"name="a""#);
            assert_eq!(private(&reply.target_private), "remembered");
        }
    }
}
