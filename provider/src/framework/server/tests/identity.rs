//! Identities: told with every state, upgraded, and imported by.

use super::{
    resource::{create, plan, read},
    stored::stored,
    *,
};

/// The id that an identity holds.
pub(super) fn seen(identity: Option<&pb::ResourceIdentityData>) -> String {
    let Some(identity) = identity else {
        return "none".to_owned();
    };
    let schema = identity_schema();
    let value = codec::decode(identity.identity_data.as_ref(), &schema).unwrap();
    value.get("id").display()
}

fn identity_schema() -> Schema {
    let thing = erase(ThingResource);
    thing.identity().unwrap().schema.clone()
}

fn identity(json: &Json) -> Option<pb::ResourceIdentityData> {
    let mut found = Diagnostics::default();
    let identity_data = codec::encode(&value(json), &identity_schema(), &mut found);
    Some(pb::ResourceIdentityData {
        identity_data: Some(identity_data),
    })
}

#[tokio::test]
async fn a_type_with_an_identity_has_one_schema_of_it() {
    let request = pb::get_resource_identity_schemas::Request {};
    let reply = core().get_resource_identity_schemas(request).await.unwrap();
    let schemas = &reply.get_ref().identity_schemas;
    assert_eq!(schemas.keys().collect::<Vec<_>>(), [NAME]);
    let schema = &schemas[NAME];
    assert_eq!(schema.version, 1);
    let [id] = &schema.identity_attributes[..] else {
        panic!("{schema:?}")
    };
    assert_eq!(
        (id.name.as_str(), &*id.r#type),
        ("id", br#""string""#.as_slice())
    );
    assert!(id.required_for_import && !id.optional_for_import);
}

#[tokio::test]
async fn every_answer_about_a_state_tells_its_identity() {
    let mut core = configured().await;
    let state = json!({ "id": "x/a", "name": "a" });
    let planned = plan(&mut core, json!({ "name": "a" }), Json::Null, "").await;
    assert_eq!(seen(planned.planned_identity.as_ref()), "none");
    let planned = plan(&mut core, json!({ "name": "a" }), state.clone(), "").await;
    assert_eq!(seen(planned.planned_identity.as_ref()), "x/a");
    let planned = plan(&mut core, Json::Null, state.clone(), "").await;
    assert_eq!(seen(planned.planned_identity.as_ref()), "none");
    for name in ["a", "broken"] {
        let reply = create(&mut core, json!({ "name": name })).await;
        let wanted = format!("https://x/{name}/closed");
        assert_eq!(seen(reply.new_identity.as_ref()), wanted);
    }
    for name in ["a", "unreachable"] {
        let state = json!({ "id": "x/a", "name": name });
        let reply = read(&mut core, state, "").await;
        assert_eq!(seen(reply.new_identity.as_ref()), "x/a", "{name}");
    }
    let request = pb::read_resource::Request {
        type_name: type_name(),
        current_state: wire::<Thing>(json!({ "id": "x/a", "name": "panics" })),
        current_identity: identity(&json!({ "id": "x/a" })),
        ..Default::default()
    };
    let reply = core.read_resource(request).await.unwrap();
    assert_eq!(seen(reply.get_ref().new_identity.as_ref()), "x/a");
    let gone = json!({ "id": "x/a", "name": "gone" });
    let reply = read(&mut core, gone, "").await;
    assert_eq!(seen(reply.new_identity.as_ref()), "none");
}

#[tokio::test]
async fn an_import_by_identity_is_the_import_by_its_id() {
    for (given, wanted) in [
        (json!({ "id": "x/a" }), Ok(r#"id="x/a" name="a""#)),
        (json!({ "id": "a" }), Err("Write it as client/name")),
        (json!({ "id": null }), Err("the identity lacks id")),
        (Json::Null, Err("the identity lacks id")),
    ] {
        let request = pb::import_resource_state::Request {
            type_name: type_name(),
            identity: identity(&given),
            ..Default::default()
        };
        let reply = core().import_resource_state(request).await.unwrap();
        let reply = reply.into_inner();
        match wanted {
            Ok(wanted) => {
                let imported = &reply.imported_resources[0];
                assert_eq!(super::seen(imported.state.as_ref()), wanted);
                assert_eq!(seen(imported.identity.as_ref()), "x/a");
            }
            Err(why) => {
                assert!(reply.imported_resources.is_empty());
                let told = told(&reply.diagnostics);
                assert!(told.contains(why), "{given}: {told}");
            }
        }
    }
}

#[tokio::test]
async fn identities_of_older_versions_are_read() {
    for (version, json, wanted) in [
        (1, r#"{"id":"x/a"}"#, Ok("x/a")),
        (0, r#"{"key":"x/a"}"#, Ok("x/a")),
        (2, r#"{"id":"x/a"}"#, Err("knows versions up to 1")),
        (1, "[]", Err("The stored identity is not an object")),
    ] {
        let request = pb::upgrade_resource_identity::Request {
            type_name: type_name(),
            version,
            raw_identity: Some(stored(json)),
        };
        let reply = core().upgrade_resource_identity(request).await.unwrap();
        let reply = reply.into_inner();
        match wanted {
            Ok(wanted) => assert_eq!(seen(reply.upgraded_identity.as_ref()), wanted),
            Err(why) => {
                let told = told(&reply.diagnostics);
                assert!(told.contains(why), "{json}: {told}");
            }
        }
    }
}
