//! The provider as a whole.

use expect_test::expect;

use super::*;

#[tokio::test]
async fn the_schema_and_what_we_can_do_are_told() {
    let reply = core()
        .get_provider_schema(pb::get_provider_schema::Request {})
        .await
        .unwrap()
        .into_inner();
    let capabilities = reply.server_capabilities.unwrap();
    assert!(capabilities.plan_destroy && capabilities.get_provider_schema_optional);
    assert!(capabilities.move_resource_state && capabilities.generate_resource_config);
    assert_eq!(reply.provider.unwrap().block.unwrap().attributes.len(), 2);
    assert_eq!(
        reply.resource_schemas.keys().collect::<Vec<_>>(),
        ["pmoves_thing"]
    );
    assert_eq!(reply.resource_schemas["pmoves_thing"].version, 2);
    let meta = reply.provider_meta.unwrap().block.unwrap();
    assert_eq!(meta.attributes[0].name, "module");
    for schemas in [
        &reply.data_source_schemas,
        &reply.ephemeral_resource_schemas,
        &reply.list_resource_schemas,
    ] {
        assert_eq!(schemas.len(), 1);
    }
    let join = &reply.functions["join"];
    assert!(join.parameters[0].allow_null_value);
    assert_eq!(join.r#return.as_ref().unwrap().r#type, r#""string""#);
}

#[tokio::test]
async fn the_names_are_told_without_schemas() {
    let mut core = core();
    let reply = core
        .get_metadata(pb::get_metadata::Request {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(reply.resources[0].type_name, "pmoves_thing");
    assert_eq!(reply.data_sources[0].type_name, "pmoves_lookup");
    assert_eq!(reply.ephemeral_resources[0].type_name, "pmoves_token");
    assert_eq!(reply.list_resources[0].type_name, "pmoves_thing");
    assert_eq!(reply.functions[0].name, "join");
    let reply = core
        .get_functions(pb::get_functions::Request {})
        .await
        .unwrap();
    assert_eq!(reply.get_ref().functions.len(), 1);
}

#[tokio::test]
async fn the_provider_block_is_checked() {
    let config = wire::<Config>(json!({ "endpoint": "", "limit": 10 }));
    let request = pb::validate_provider_config::Request { config };
    let reply = core()
        .validate_provider_config(request)
        .await
        .unwrap()
        .into_inner();
    expect![[r#"
        ERROR /AttributeName("limit") Invalid limit: Must be a whole number from 1 to 9.
        ERROR /AttributeName("endpoint") Invalid endpoint: It is empty.
    "#]]
    .assert_eq(&told(&reply.diagnostics));
}

#[tokio::test]
async fn a_configuration_that_does_not_work_is_explained_at_its_attribute() {
    let config = wire::<Config>(json!({ "endpoint": "http://x" }));
    let request = pb::configure_provider::Request {
        config,
        ..Default::default()
    };
    let reply = core()
        .configure_provider(request)
        .await
        .unwrap()
        .into_inner();
    expect![[r#"
        ERROR /AttributeName("endpoint") Cannot configure the provider: Not TLS.

        Hint: Use https.
    "#]]
    .assert_eq(&told(&reply.diagnostics));
}

#[tokio::test]
async fn unknown_configuration_is_named_and_a_later_one_replaces_it() {
    let mut core = core();
    for (config, id) in [
        (
            json!({ "endpoint": "?", "limit": "?" }),
            "endpoint,limit/a/closed",
        ),
        (json!({ "endpoint": "https://y" }), "https://y/a/closed"),
    ] {
        let config = wire::<Config>(config);
        let request = pb::configure_provider::Request {
            config,
            ..Default::default()
        };
        core.configure_provider(request).await.unwrap();
        let reply = resource::create(&mut core, json!({ "name": "a" })).await;
        assert!(seen(reply.new_state.as_ref()).contains(&format!("id=\"{id}\"")));
    }
}

#[tokio::test]
async fn functions_work_without_configuration() {
    #[track_caller]
    fn text(text: &str) -> pb::DynamicValue {
        let mut found = Diagnostics::default();
        codec::encode(&text.into(), &Type::String, &mut found)
    }
    for (arguments, wanted) in [
        (vec![text(","), text("a"), text("b")], Ok("a,b")),
        // Core sends a null argument as an empty value.
        (
            vec![pb::DynamicValue::default(), text("a"), text("b")],
            Ok("ab"),
        ),
        (
            vec![text(","), text("a"), text("")],
            Err((Some(2), "empty")),
        ),
        (vec![], Err((None, "join takes more arguments."))),
    ] {
        let request = pb::call_function::Request {
            name: "join".into(),
            arguments,
        };
        let reply = core().call_function(request).await.unwrap().into_inner();
        let error = reply.error.as_ref();
        let got = match error {
            Some(error) => Err((error.function_argument, error.text.as_str())),
            None => Ok(()),
        };
        assert_eq!(got, wanted.map(drop));
        if let Ok(wanted) = wanted {
            let result = codec::decode_argument(&reply.result.unwrap(), &Type::String);
            assert_eq!(result, Ok(wanted.into()));
        }
    }
    let request = pb::call_function::Request {
        name: "no".into(),
        ..Default::default()
    };
    let reply = core().call_function(request).await.unwrap().into_inner();
    assert_eq!(
        reply.error.unwrap().text,
        "The provider has no function \"no\"."
    );
}

#[tokio::test]
async fn what_is_not_there_is_unimplemented() {
    let mut core = core();
    let action = core.plan_action(pb::plan_action::Request::default()).await;
    let invoked = core
        .invoke_action(pb::invoke_action::Request::default())
        .await;
    let store = core.get_states(pb::get_states::Request::default()).await;
    let codes = [
        action.unwrap_err().code(),
        invoked.unwrap_err().code(),
        store.unwrap_err().code(),
    ];
    assert_eq!(codes, [tonic::Code::Unimplemented; 3]);
}

#[tokio::test]
async fn stop_cancels_what_runs_and_nothing_later() {
    let mut core = configured().await;
    let mut other = core.clone();
    let running =
        tokio::spawn(async move { resource::create(&mut other, json!({ "name": "waits" })).await });
    // The request is at work once it has been polled.
    tokio::task::yield_now().await;
    while !running.is_finished() {
        let reply = core
            .stop_provider(pb::stop_provider::Request {})
            .await
            .unwrap();
        assert_eq!(reply.get_ref().error, "");
    }
    let reply = running.await.unwrap();
    assert_eq!(
        seen(reply.new_state.as_ref()),
        r#"id="https://x/waits/closed" name="waits" size=1"#
    );
    assert!(told(&reply.diagnostics).contains("Cancelled"));
    let mut other = core.clone();
    let mut later =
        tokio::spawn(async move { resource::create(&mut other, json!({ "name": "waits" })).await });
    tokio::task::yield_now().await;
    let wait = std::time::Duration::from_millis(20);
    assert!(tokio::time::timeout(wait, &mut later).await.is_err());
    later.abort();
}

#[tokio::test]
async fn a_server_is_idle_when_nothing_runs_even_if_nobody_listens() {
    let server = Server::new(Sample);
    let mut core = ProviderClient::new(ProviderServer::new(server.clone()));
    let config = wire::<Config>(json!({ "endpoint": "https://x" }));
    let request = pb::configure_provider::Request {
        config,
        ..Default::default()
    };
    core.configure_provider(request).await.unwrap();
    server.idle().await;
    let running =
        tokio::spawn(async move { resource::create(&mut core, json!({ "name": "waits" })).await });
    while *server.inner.running.borrow() == 0 {
        tokio::task::yield_now().await;
    }
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(*server.inner.running.borrow(), 1);
    server.stop();
    server.idle().await;
}
