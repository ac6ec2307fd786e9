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
    for id in ["a", ""] {
        let reply = core
            .import_resource_state(request(id))
            .await
            .unwrap()
            .into_inner();
        assert!(reply.imported_resources.is_empty());
        let told = told(&reply.diagnostics);
        assert!(told.contains("Write it as client/name"), "{id:?}: {told}");
    }
}

pub(super) fn stored(json: &str) -> pb::RawState {
    pb::RawState {
        json: json.to_owned().into(),
        ..Default::default()
    }
}

async fn upgrade(version: i64, json: &str) -> pb::upgrade_resource_state::Response {
    let request = pb::upgrade_resource_state::Request {
        type_name: type_name(),
        version,
        raw_state: Some(stored(json)),
    };
    let reply = core().upgrade_resource_state(request).await.unwrap();
    reply.into_inner()
}

#[tokio::test]
async fn states_of_other_versions_are_read() {
    for (version, json, wanted) in [
        (
            2,
            r#"{"name":"a","size":3,"old":1,"secret_wo":"x"}"#,
            r#"name="a" size=3"#,
        ),
        (
            1,
            r#"{"name":1,"labels":["b","a","b"],"size":[]}"#,
            r#"labels=["a","b"] name="1""#,
        ),
        (0, r#"{"title":"a","size":3}"#, r#"name="a" size=3"#),
    ] {
        let reply = upgrade(version, json).await;
        assert_eq!(seen(reply.upgraded_state.as_ref()), wanted);
        assert_eq!(told(&reply.diagnostics), "");
    }
    for (version, json, why) in [
        (2, "", "Value that cannot be read"),
        (2, "{", "Value that cannot be read"),
        (2, "[]", "The stored state is not an object"),
        (2, "null", "The stored state is not an object"),
        (0, "{}", "There is no title"),
        (3, "{}", "knows versions up to 2"),
        (-1, "{}", "The stored state is of version -1"),
    ] {
        let reply = upgrade(version, json).await;
        assert!(reply.upgraded_state.is_none(), "{json}");
        let told = told(&reply.diagnostics);
        assert!(told.contains(why), "{json}: {told}");
    }
}

#[tokio::test]
async fn a_state_moves_between_addresses_and_types_of_this_provider_alone() {
    let ours = "registry.terraform.io/acme/pmoves";
    for (address, source, fine) in [
        (ours, NAME, true),
        ("registry.opentofu.org/old/pmoves", NAME, true),
        (ours, "pmoves_object", true),
        ("pmoves", "pmoves_object", true),
        ("example.com/old/pmoves", "pmoves_object", true),
        (ours, "pmoves_other", false),
        ("other", NAME, false),
        ("registry.opentofu.org/other/pmoves", NAME, false),
        ("registry.opentofu.org/other/pmoves", "pmoves_object", false),
    ] {
        let request = pb::move_resource_state::Request {
            source_provider_address: address.to_owned(),
            source_type_name: source.to_owned(),
            source_state: Some(stored(r#"{"id":"x/a","title":"a"}"#)),
            source_private: Bytes::from_static(b"remembered"),
            target_type_name: type_name(),
            ..Default::default()
        };
        let reply = core()
            .move_resource_state(request)
            .await
            .unwrap()
            .into_inner();
        if fine {
            assert_eq!(told(&reply.diagnostics), "", "{address} {source}");
            assert_eq!(seen(reply.target_state.as_ref()), r#"id="x/a" name="a""#);
            assert_eq!(private(&reply.target_private), "remembered");
            assert_eq!(identity::seen(reply.target_identity.as_ref()), "x/a");
        } else {
            let told = told(&reply.diagnostics);
            assert!(told.contains("cannot become pmoves_thing"), "{told}");
            assert!(reply.target_state.is_none());
        }
    }
}

#[tokio::test]
async fn generated_configuration_has_no_computed_attributes() {
    let request = pb::generate_resource_config::Request {
        type_name: type_name(),
        state: wire::<Thing>(json!({ "id": "x/a", "name": "a", "size": 2 })),
    };
    let reply = core().generate_resource_config(request).await.unwrap();
    let config = reply.get_ref().config.as_ref();
    assert_eq!(seen(config), r#"name="a" size=2"#);
}
