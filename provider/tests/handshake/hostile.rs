//! Bytes that no core sends: every one of them is answered, by a diagnostic wherever one fits.

#![expect(clippy::unwrap_used, reason = "only tests call this")]

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use proto::tfplugin6::{
    self as pb, DynamicValue, RawState, diagnostic::Severity, provider_client::ProviderClient,
};
use tokio::{io::AsyncWriteExt as _, time::timeout};
use tonic::{
    body::Body,
    codegen::{Service as _, http},
};

use crate::{
    peer::{Connection, Plugin},
    schema,
};

/// What the provider serves.
const METHODS: &[&str] = &[
    "GetMetadata",
    "GetProviderSchema",
    "GetResourceIdentitySchemas",
    "ValidateProviderConfig",
    "ConfigureProvider",
    "StopProvider",
    "GetFunctions",
    "CallFunction",
    "ValidateDataResourceConfig",
    "ReadDataSource",
    "ValidateResourceConfig",
    "UpgradeResourceState",
    "MoveResourceState",
    "ImportResourceState",
    "ReadResource",
    "PlanResourceChange",
    "ApplyResourceChange",
];

/// Sends the bytes of a body, and gives the status of gRPC and the bytes that came back.
async fn raw(connection: &Connection, method: &str, body: Vec<u8>) -> (String, String) {
    let request = http::Request::post(format!("/tfplugin6.Provider/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Full::from(body)))
        .unwrap();
    let answer = connection.clone().call(request).await.unwrap();
    let head = answer.headers().get("grpc-status").cloned();
    let body = answer.into_body().collect().await.unwrap();
    let trailer = body.trailers().and_then(|end| end.get("grpc-status"));
    let status = head.as_ref().or(trailer).unwrap();
    let status = status.to_str().unwrap().to_owned();
    (
        status,
        String::from_utf8_lossy(&body.to_bytes()).into_owned(),
    )
}

fn frame(length: u32, message: &[u8]) -> Vec<u8> {
    [&[0], &length.to_be_bytes()[..], message].concat()
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_answered_by_a_diagnostic() {
    let mut plugin = Plugin::start(None).await;
    let connection = plugin.connect_plain().await.unwrap();
    let whole = [0xff; 9];
    for body in [
        frame(9, &whole),
        // Says more than it sends.
        frame(10, &whole),
        frame(u32::MAX, &whole),
        // Compressed in a way that nobody agreed on.
        [&[1], &frame(9, &whole)[1..]].concat(),
        vec![0, 0],
        Vec::new(),
    ] {
        for method in METHODS {
            let (status, reply) = raw(&connection, method, body.clone()).await;
            assert_eq!(status, "0", "{method} {body:?}");
            // A method without diagnostics has an error text alone.
            let told = reply.contains("Request not understood")
                || (["StopProvider", "CallFunction"].contains(method) && reply.len() > 10);
            assert!(told, "{method} {body:?}: {reply:?}");
        }
    }
    // What is not there stays what gRPC calls it.
    assert_eq!(raw(&connection, "PlanAction", frame(0, &[])).await.0, "12");
    assert!(schema(&connection).await);
    plugin.signal("TERM").await;
    assert_eq!(plugin.end().await.0, Some(0));
}

/// Msgpack that is no value of any schema here.
fn malformed() -> Vec<Vec<u8>> {
    let name = b"\x81\xa4name".to_vec();
    vec![
        vec![0xc1],
        vec![0x81],
        // A list and a map longer than memory.
        vec![0xdd, 0xff, 0xff, 0xff, 0xff],
        vec![0xdf, 0xff, 0xff, 0xff, 0xff],
        // Deeper than any stack.
        vec![0x91; 1_000_000],
        [name.clone(), vec![0x91; 1_000_000]].concat(),
        [name.clone(), b"\xa2\xff\xfe".to_vec()].concat(),
        [name.clone(), vec![0xdb, 0xff, 0xff, 0xff, 0xff]].concat(),
        [name, b"\xa1x\xa1x".to_vec()].concat(),
        b"\x81\xa7unknown\xc0".to_vec(),
        b"\xa4text".to_vec(),
    ]
}

#[track_caller]
fn refused(diagnostics: &[pb::Diagnostic], bytes: &[u8]) {
    let error = diagnostics
        .iter()
        .any(|told| told.severity() == Severity::Error);
    let start = &bytes[..bytes.len().min(20)];
    assert!(error, "{start:x?}: {diagnostics:?}");
}

#[tokio::test]
async fn a_value_that_cannot_be_read_costs_neither_state_nor_process() {
    let mut plugin = Plugin::start(None).await;
    let connection = plugin.connect_plain().await.unwrap();
    let mut provider = ProviderClient::new(connection.clone());
    let type_name = "pmoves_image".to_owned();
    let kept = || {
        Some(DynamicValue {
            msgpack: b"\xc0".to_vec().into(),
            ..DynamicValue::default()
        })
    };
    for bytes in malformed() {
        let bad = Some(DynamicValue {
            msgpack: bytes.clone().into(),
            ..DynamicValue::default()
        });
        let request = pb::validate_provider_config::Request {
            config: bad.clone(),
        };
        let reply = provider.validate_provider_config(request).await.unwrap();
        refused(&reply.get_ref().diagnostics, &bytes);

        let request = pb::configure_provider::Request {
            config: bad.clone(),
            ..Default::default()
        };
        let reply = provider.configure_provider(request).await.unwrap();
        refused(&reply.get_ref().diagnostics, &bytes);

        let request = pb::validate_resource_config::Request {
            type_name: type_name.clone(),
            config: bad.clone(),
            ..Default::default()
        };
        let reply = provider.validate_resource_config(request).await.unwrap();
        refused(&reply.get_ref().diagnostics, &bytes);

        let request = pb::read_resource::Request {
            type_name: type_name.clone(),
            current_state: bad.clone(),
            private: b"kept".to_vec().into(),
            ..Default::default()
        };
        let reply = provider.read_resource(request).await.unwrap().into_inner();
        refused(&reply.diagnostics, &bytes);
        assert_eq!(reply.new_state, bad);
        assert_eq!(reply.private, &b"kept"[..]);

        let request = pb::plan_resource_change::Request {
            type_name: type_name.clone(),
            prior_state: kept(),
            proposed_new_state: bad.clone(),
            config: bad.clone(),
            ..Default::default()
        };
        let reply = provider.plan_resource_change(request).await.unwrap();
        refused(&reply.get_ref().diagnostics, &bytes);

        let request = pb::apply_resource_change::Request {
            type_name: type_name.clone(),
            prior_state: kept(),
            planned_state: bad.clone(),
            config: bad.clone(),
            ..Default::default()
        };
        let reply = provider.apply_resource_change(request).await.unwrap();
        refused(&reply.get_ref().diagnostics, &bytes);
        assert_eq!(reply.get_ref().new_state, kept());

        let request = pb::call_function::Request {
            name: "parse_host_id".to_owned(),
            arguments: bad.into_iter().collect(),
        };
        let reply = provider.call_function(request).await.unwrap().into_inner();
        assert!(reply.error.is_some(), "{reply:?}");

        // Stored states are JSON.
        for json in [bytes.clone(), b"[".repeat(1_000_000), b"7".to_vec()] {
            let request = pb::upgrade_resource_state::Request {
                type_name: type_name.clone(),
                raw_state: Some(RawState {
                    json: json.clone().into(),
                    ..RawState::default()
                }),
                ..Default::default()
            };
            let reply = provider.upgrade_resource_state(request).await.unwrap();
            refused(&reply.get_ref().diagnostics, &json);
        }
    }
    assert!(schema(&connection).await);
    plugin.signal("TERM").await;
    assert_eq!(plugin.end().await.0, Some(0));
}

#[tokio::test]
async fn a_connection_of_garbage_disturbs_no_other() {
    let mut plugin = Plugin::start(None).await;
    let connection = plugin.connect_plain().await.unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for bytes in [
        vec![0; 100_000],
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        preface.to_vec(),
        // Frames of an unknown kind, too long, and cut off.
        [preface, &[0xff; 5_000][..]].concat(),
        [preface, &[0, 0, 0, 4, 0, 0, 0, 0, 0][..], &[0, 0, 9, 1][..]].concat(),
    ] {
        let mut stream = plugin.stream().await;
        // The provider may hang up before it has read all.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        assert!(schema(&connection).await);
    }
    plugin.signal("TERM").await;
    // None of them holds up the end.
    let end = timeout(Duration::from_secs(30), plugin.end()).await;
    assert_eq!(end.unwrap().0, Some(0));
}

/// A state of an image whose URL is `bytes` long, as JSON; nothing else of it matters.
fn large(bytes: usize) -> Vec<u8> {
    let mut json = br#"{"url":""#.to_vec();
    json.resize(json.len() + bytes, b'x');
    json.extend(br#""}"#);
    json
}

#[tokio::test]
async fn large_values_travel_both_ways() {
    const SIZE: usize = 100 << 20;
    let mut plugin = Plugin::start(None).await;
    let connection = plugin.connect_plain().await.unwrap();
    let limit = usize::MAX;
    let mut provider = ProviderClient::new(connection.clone())
        .max_decoding_message_size(limit)
        .max_encoding_message_size(limit);
    let request = pb::upgrade_resource_state::Request {
        type_name: "pmoves_image".to_owned(),
        raw_state: Some(RawState {
            json: large(SIZE).into(),
            ..RawState::default()
        }),
        ..Default::default()
    };
    let reply = provider.upgrade_resource_state(request).await.unwrap();
    let reply = reply.into_inner();
    assert_eq!(reply.diagnostics, []);
    let state = reply.upgraded_state.unwrap();
    assert!(state.msgpack.len() > SIZE);
    // A plan carries the object three times.
    let value = Some(state);
    let request = pb::plan_resource_change::Request {
        type_name: "pmoves_image".to_owned(),
        prior_state: value.clone(),
        proposed_new_state: value.clone(),
        config: value,
        ..Default::default()
    };
    let reply = provider.plan_resource_change(request).await.unwrap();
    let planned = reply.into_inner().planned_state.unwrap();
    assert!(planned.msgpack.len() > SIZE);
    assert!(schema(&connection).await);
    plugin.signal("TERM").await;
    assert_eq!(plugin.end().await.0, Some(0));
}
