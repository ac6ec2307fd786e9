//! What is no resource: data sources, ephemeral resources, lists, and what modules say of themselves.

use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;

use super::*;
use crate::framework::{DataSource, EphemeralResource, Lease, ListResource, Listing};

/// What modules say.
#[derive(Clone, Serialize, Deserialize, Model)]
pub(super) struct Meta {
    /// Name of the module.
    module: Option<String>,
}

/// A question whose name says how it is answered.
#[derive(Clone, Serialize, Deserialize, Model)]
pub(super) struct Question {
    /// Its name.
    #[attr(one_of(&["a", "broken", "panics"]))]
    name: String,
    /// The answer.
    #[attr(computed)]
    answer: Option<String>,
}

pub(super) struct Lookup;
pub(super) struct Token;

impl DataSource for Lookup {
    const NAME: &'static str = "pmoves_lookup";
    type Client = String;
    type Model = Question;

    async fn read(
        &self,
        cx: &Context<'_, String>,
        question: Question,
    ) -> Result<Question, Failure> {
        let module = cx.meta.get("module").display();
        match question.name.as_str() {
            "broken" => Err(Failure::new("it broke").at("name").hint("Mend it.")),
            "panics" => panic!("it panicked"),
            _ => Ok(Question {
                answer: Some(format!("{} of {module}", cx.client)),
                ..question
            }),
        }
    }
}

impl EphemeralResource for Token {
    const NAME: &'static str = "pmoves_token";
    type Client = String;
    type Model = Question;

    async fn open(
        &self,
        cx: &Context<'_, String>,
        config: Question,
    ) -> Result<(Question, Lease), Failure> {
        let lease = Lease {
            private: b"opened".to_vec(),
            renew_at: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(7)),
        };
        match config.name.as_str() {
            "broken" => Err(Failure::new("it broke").at("name")),
            _ => Ok((
                Question {
                    answer: Some(cx.client.clone()),
                    ..config
                },
                lease,
            )),
        }
    }

    async fn renew(&self, _: &Context<'_, String>, private: &[u8]) -> Result<Lease, Failure> {
        match private {
            b"opened" => Ok(Lease {
                private: b"renewed".to_vec(),
                renew_at: None,
            }),
            _ => Err(Failure::new("it ran out")),
        }
    }

    async fn close(&self, _: &Context<'_, String>, private: &[u8]) -> Result<(), Failure> {
        match private {
            b"renewed" => Ok(()),
            _ => Err(Failure::new("somebody holds it")),
        }
    }
}

impl ListResource for ThingResource {
    type Query = Question;

    async fn list(
        &self,
        cx: &Context<'_, String>,
        query: Question,
        found: &mut Listing<Thing>,
    ) -> Result<(), Failure> {
        for number in 0.. {
            let thing = Thing {
                id: Some(format!("{}/{number}", cx.client)),
                name: query.name.clone(),
                size: None,
                labels: None,
                secret_wo: Some("secret".to_owned()),
            };
            let more = found.add(format!("Thing {number}"), &thing).await;
            match (query.name.as_str(), number) {
                ("broken", 1) => return Err(Failure::new("it broke").at("name")),
                ("panics", 1) => panic!("it panicked"),
                _ if more => {}
                _ => break,
            }
        }
        Ok(())
    }
}

fn named(name: &str) -> Option<pb::DynamicValue> {
    wire::<Question>(json!({ "name": name }))
}

/// The answer of a question from the wire.
fn answer(wire: Option<&pb::DynamicValue>) -> String {
    let value = codec::decode(wire, &Question::schema()).unwrap();
    value.get("answer").display()
}

#[tokio::test]
async fn a_data_source_answers_its_question() {
    let mut core = configured().await;
    let request = |name: &str, module: Json| pb::read_data_source::Request {
        type_name: "pmoves_lookup".to_owned(),
        config: named(name),
        provider_meta: wire::<Meta>(module),
        client_capabilities: Some(pb::ClientCapabilities {
            deferral_allowed: true,
            ..Default::default()
        }),
    };
    for (meta, wanted) in [
        (json!({ "module": "web" }), "https://x of web"),
        (Json::Null, "https://x of nothing"),
    ] {
        let reply = core.read_data_source(request("a", meta)).await.unwrap();
        let reply = reply.into_inner();
        assert_eq!(answer(reply.state.as_ref()), wanted);
        assert!(reply.deferred.is_none());
    }
    for (name, why) in [
        (
            "broken",
            "ERROR /AttributeName(\"name\") Cannot read pmoves_lookup: It broke\n\nHint: Mend it.\n",
        ),
        ("panics", "The provider panicked: it panicked"),
    ] {
        let reply = core.read_data_source(request(name, Json::Null)).await;
        let reply = reply.unwrap().into_inner();
        assert!(reply.state.is_none());
        let told = told(&reply.diagnostics);
        assert!(told.to_lowercase().contains(&why.to_lowercase()), "{told}");
    }
}

#[tokio::test]
async fn questions_are_checked_and_unknown_names_refused() {
    let mut core = core();
    let bad = "ERROR /AttributeName(\"name\") Invalid name: Must be one of: a, broken, panics.\n";
    let request = pb::validate_data_resource_config::Request {
        type_name: "pmoves_lookup".to_owned(),
        config: named("b"),
    };
    let reply = core.validate_data_resource_config(request.clone()).await;
    assert_eq!(told(&reply.unwrap().get_ref().diagnostics), bad);
    let other = pb::validate_data_resource_config::Request {
        type_name: "d".to_owned(),
        ..request.clone()
    };
    let reply = core.validate_data_resource_config(other).await;
    assert_eq!(
        told(&reply.unwrap().get_ref().diagnostics),
        "ERROR  Unknown data source: This version of the provider has no data source \"d\".\n"
    );
    let ephemeral = pb::validate_ephemeral_resource_config::Request {
        type_name: "pmoves_token".to_owned(),
        config: request.config.clone(),
    };
    let reply = core.validate_ephemeral_resource_config(ephemeral).await;
    assert_eq!(told(&reply.unwrap().get_ref().diagnostics), bad);
    let list = pb::validate_list_resource_config::Request {
        type_name: type_name(),
        config: request.config,
        ..Default::default()
    };
    let reply = core.validate_list_resource_config(list).await;
    assert_eq!(told(&reply.unwrap().get_ref().diagnostics), bad);
}

#[tokio::test]
async fn an_unconfigured_provider_reads_and_opens_nothing() {
    let mut core = core();
    let request = pb::read_data_source::Request {
        type_name: "pmoves_lookup".to_owned(),
        config: named("a"),
        ..Default::default()
    };
    let reply = core.read_data_source(request).await.unwrap().into_inner();
    assert!(told(&reply.diagnostics).contains("The provider is not configured"));
    let request = pb::open_ephemeral_resource::Request {
        type_name: "pmoves_token".to_owned(),
        config: named("a"),
        ..Default::default()
    };
    let reply = core.open_ephemeral_resource(request).await.unwrap();
    assert!(told(&reply.get_ref().diagnostics).contains("The provider is not configured"));
}

#[tokio::test]
async fn an_ephemeral_resource_is_opened_renewed_and_closed() {
    let mut core = configured().await;
    let type_name = || "pmoves_token".to_owned();
    let request = |name: &str| pb::open_ephemeral_resource::Request {
        type_name: type_name(),
        config: named(name),
        ..Default::default()
    };
    let opened = core.open_ephemeral_resource(request("a")).await.unwrap();
    let opened = opened.into_inner();
    assert_eq!(answer(opened.result.as_ref()), "https://x");
    assert_eq!(opened.renew_at.unwrap().seconds, 7);

    let request = pb::renew_ephemeral_resource::Request {
        type_name: type_name(),
        private: opened.private,
    };
    let renewed = core.renew_ephemeral_resource(request).await.unwrap();
    let renewed = renewed.into_inner();
    assert_eq!(renewed.renew_at, None);
    // A lease that cannot be renewed is still to be closed.
    let request = pb::renew_ephemeral_resource::Request {
        type_name: type_name(),
        private: renewed.private.clone(),
    };
    let refused = core.renew_ephemeral_resource(request).await.unwrap();
    let refused = refused.into_inner();
    assert_eq!(refused.private, renewed.private);
    assert_eq!(
        told(&refused.diagnostics),
        "ERROR  Cannot renew pmoves_token: It ran out\n"
    );

    for (private, wanted) in [
        (renewed.private, ""),
        (
            None,
            "ERROR  Cannot close pmoves_token: Somebody holds it\n",
        ),
    ] {
        let request = pb::close_ephemeral_resource::Request {
            type_name: type_name(),
            private,
        };
        let closed = core.close_ephemeral_resource(request).await.unwrap();
        assert_eq!(told(&closed.get_ref().diagnostics), wanted);
    }
    let request = pb::open_ephemeral_resource::Request {
        type_name: type_name(),
        config: named("broken"),
        ..Default::default()
    };
    let reply = core.open_ephemeral_resource(request).await.unwrap();
    assert!(reply.get_ref().result.is_none());
    assert_eq!(
        told(&reply.get_ref().diagnostics),
        "ERROR /AttributeName(\"name\") Cannot open pmoves_token: It broke\n"
    );
}

/// What a search tells, an event a line.
async fn listed(request: pb::list_resource::Request) -> Vec<String> {
    let mut core = configured().await;
    let events = core.list_resource(request).await.unwrap().into_inner();
    let line = |event: Result<pb::list_resource::Event, Status>| {
        let event = event.unwrap();
        format!(
            "{}|{}|{}|{}",
            event.display_name,
            identity::seen(event.identity.as_ref()),
            event
                .resource_object
                .as_ref()
                .map_or_else(String::new, |object| seen(Some(object))),
            told(&event.diagnostic)
        )
    };
    events.map(line).collect().await
}

fn search(name: &str, limit: i64, include_resource_object: bool) -> pb::list_resource::Request {
    pb::list_resource::Request {
        type_name: type_name(),
        config: named(name),
        include_resource_object,
        limit,
    }
}

#[tokio::test]
async fn a_list_streams_what_it_finds_up_to_the_limit() {
    assert_eq!(
        listed(search("a", 2, false)).await,
        ["Thing 0|https://x/0||", "Thing 1|https://x/1||"]
    );
    assert_eq!(
        listed(search("a", 1, true)).await,
        [r#"Thing 0|https://x/0|id="https://x/0" name="a"|"#]
    );
}

#[tokio::test]
async fn a_list_that_fails_says_so_after_what_it_found() {
    for (name, why) in [("broken", "It broke"), ("panics", "it panicked")] {
        let events = listed(search(name, 0, false)).await;
        let [_, _, last] = &events[..] else {
            panic!("{events:?}")
        };
        assert!(last.contains(why), "{last}");
    }
    let unknown = pb::list_resource::Request {
        type_name: "pmoves_no".to_owned(),
        ..Default::default()
    };
    assert!(listed(unknown).await[0].contains("has no list \"pmoves_no\""));
}

#[tokio::test]
async fn a_list_without_end_ends_when_core_hangs_up() {
    let server = Server::new(Sample);
    let mut core = ProviderClient::new(ProviderServer::new(server.clone()));
    let config = wire::<Config>(json!({ "endpoint": "https://x" }));
    let request = pb::configure_provider::Request {
        config,
        ..Default::default()
    };
    core.configure_provider(request).await.unwrap();
    let events = core.list_resource(search("a", 0, false)).await.unwrap();
    let mut events = events.into_inner();
    assert!(events.next().await.unwrap().is_ok());
    drop(events);
    server.idle().await;
}
