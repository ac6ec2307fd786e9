//! Calls every method the way core does, through protobuf, over a provider made for it.

mod identity;
mod resource;
mod stored;
mod surfaces;
mod whole;

use std::{collections::BTreeSet, sync::Arc};

use prost::bytes::Bytes;
use proto::tfplugin6::{
    self as pb, provider_client::ProviderClient, provider_server::ProviderServer,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::*;
use crate::framework::{
    Context, Function, FunctionError, Model, Number, Parameter, Resource, State, Type, Value,
    codec, data_source, ephemeral, list,
    resource::{Faults, erase},
};

/// The provider.
#[derive(Clone, Serialize, Deserialize, Model)]
struct Config {
    /// Where it is.
    endpoint: Option<String>,
    /// How many at once.
    #[attr(range(1, 9))]
    limit: Option<i64>,
}

/// A thing whose name says how it behaves.
#[derive(Clone, Serialize, Deserialize, Model)]
struct Thing {
    /// Its id.
    #[attr(computed)]
    id: Option<String>,
    /// Its name.
    #[attr(replace)]
    name: String,
    /// Its size.
    #[attr(range(1, 99), default = 1)]
    size: Option<i64>,
    /// Its labels.
    #[attr(param = "tags")]
    labels: Option<BTreeSet<String>>,
    /// What opens it.
    #[attr(write_only)]
    secret_wo: Option<String>,
}

struct Sample;
struct ThingResource;

impl Provider for Sample {
    const ADDRESS: &'static str = "registry.opentofu.org/acme/pmoves";
    const FORMERLY: &'static [&'static str] = &["old/pmoves"];
    type Config = Config;
    type Client = String;

    fn resources(&self) -> Vec<Arc<dyn AnyResource<String>>> {
        vec![erase(ThingResource)]
    }

    fn data_sources(&self) -> Vec<Arc<dyn AnyDataSource<String>>> {
        vec![data_source::erase(surfaces::Lookup)]
    }

    fn ephemeral_resources(&self) -> Vec<Arc<dyn AnyEphemeralResource<String>>> {
        vec![ephemeral::erase(surfaces::Token)]
    }

    fn lists(&self) -> Vec<Arc<dyn AnyListResource<String>>> {
        vec![list::erase(ThingResource)]
    }

    fn meta(&self) -> Option<Schema> {
        Some(surfaces::Meta::schema())
    }

    fn functions(&self) -> Vec<Function> {
        let text = |name, allow_null| Parameter {
            name,
            description: "A text.",
            ty: Type::String,
            allow_null,
        };
        vec![Function {
            name: "join",
            summary: "Joins texts.",
            description: "Joins texts.",
            parameters: vec![text("between", true)],
            variadic: Some(text("parts", false)),
            returns: Type::String,
            call: |arguments| {
                let mut texts = arguments
                    .iter()
                    .map(|text| text.as_str().unwrap_or_default());
                let between = texts.next().unwrap_or_default();
                match arguments.iter().rposition(|text| text.as_str() == Some("")) {
                    Some(0) | None => Ok(texts.collect::<Vec<_>>().join(between).into()),
                    Some(empty) => Err(FunctionError::at(empty, "empty")),
                }
            },
        }]
    }

    fn validate(&self, config: &Value, found: &mut Faults<'_>) {
        if config.get("endpoint").as_str() == Some("") {
            found.error("endpoint", "Invalid endpoint", "It is empty.");
        }
    }

    fn configure(&self, config: Config, unknown: &[String]) -> Result<String, Failure> {
        match config.endpoint {
            Some(endpoint) if endpoint.starts_with("https") => Ok(endpoint),
            Some(_) => Err(Failure::new("Not TLS.").at("endpoint").hint("Use https.")),
            None => Ok(unknown.join(",")),
        }
    }
}

impl Resource for ThingResource {
    const NAME: &'static str = "pmoves_thing";
    type Client = String;
    type Model = Thing;
    const VERSION: i64 = 2;
    const IDENTITY: &'static [&'static str] = &["id"];
    const IDENTITY_VERSION: i64 = 1;

    async fn create(
        &self,
        cx: &Context<'_, String>,
        plan: Thing,
        state: &mut State<Thing>,
    ) -> Result<(), Failure> {
        if plan.name == "refused" {
            let rejected = vec![("tags".to_owned(), "bad tag".to_owned())];
            return Err(Failure {
                rejected,
                ..Failure::default()
            });
        }
        let opened = plan.secret_wo.as_deref().unwrap_or("closed");
        let id = format!("{}/{}/{opened}", cx.client, plan.name);
        state.save(Thing {
            id: Some(id),
            ..plan.clone()
        });
        match plan.name.as_str() {
            "broken" => Err(Failure::new("it broke")),
            "panics" => panic!("it {}", "panicked"),
            "waits" => {
                cx.cancel.cancelled().await;
                Err(Failure::new("cancelled"))
            }
            _ => Ok(()),
        }
    }

    async fn read(
        &self,
        _: &Context<'_, String>,
        prior: Thing,
        state: &mut State<Thing>,
    ) -> Result<(), Failure> {
        match prior.name.as_str() {
            "gone" => state.remove(),
            "unreachable" => return Err(Failure::new("no answer")),
            "panics" => panic!("it panicked"),
            _ => state.save(Thing {
                size: Some(7),
                ..prior
            }),
        }
        Ok(())
    }

    async fn update(
        &self,
        _: &Context<'_, String>,
        _: Thing,
        plan: Thing,
        state: &mut State<Thing>,
    ) -> Result<(), Failure> {
        match plan.name.as_str() {
            "broken" => return Err(Failure::new("it broke")),
            "halfway" => state.save(Thing {
                size: Some(50),
                ..plan
            }),
            _ => {
                state.save(plan);
                return Ok(());
            }
        }
        Err(Failure::new("only half of it"))
    }

    async fn delete(
        &self,
        _: &Context<'_, String>,
        prior: Thing,
        _: &mut State<Thing>,
    ) -> Result<(), Failure> {
        match prior.name.as_str() {
            "held" => Err(Failure::new("somebody holds it")),
            _ => Ok(()),
        }
    }

    fn import(id: &str) -> Result<Json, Failure> {
        match id.split_once('/') {
            Some((_, name)) => Ok(json!({ "id": id, "name": name })),
            None => Err(Failure::new("write it as client/name")),
        }
    }

    /// A name was called a title once.
    fn upgrade(version: i64, mut stored: Json) -> Result<Json, Failure> {
        let title = stored["title"].take();
        if version == 0 && title.is_null() {
            return Err(Failure::new("there is no title"));
        }
        if version == 0 {
            stored["name"] = title;
        }
        Ok(stored)
    }

    fn upgrade_identity(_: i64, stored: Json) -> Result<Json, Failure> {
        Ok(json!({ "id": stored["key"] }))
    }

    fn moved(from: &str, version: i64, stored: Json) -> Option<Result<Json, Failure>> {
        (from == "pmoves_object").then(|| Self::upgrade(version, stored))
    }
}

const NAME: &str = "pmoves_thing";

fn type_name() -> String {
    NAME.to_owned()
}

type Core = ProviderClient<ProviderServer<Server<Sample>>>;

fn core() -> Core {
    ProviderClient::new(ProviderServer::new(Server::new(Sample)))
}

async fn configured() -> Core {
    let mut core = core();
    let config = wire::<Config>(json!({ "endpoint": "https://x" }));
    let request = pb::configure_provider::Request {
        config,
        ..Default::default()
    };
    let reply = core.configure_provider(request).await.unwrap().into_inner();
    assert_eq!(told(&reply.diagnostics), "");
    core
}

/// A value on the wire; `"?"` stands for unknown.
#[expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "reads better at the calls"
)]
fn wire<M: Model>(json: Json) -> Option<pb::DynamicValue> {
    let mut found = Diagnostics::default();
    let wire = codec::encode(&value(&json), &M::schema(), &mut found);
    assert_eq!(found, Diagnostics::default());
    Some(wire)
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => (*truth).into(),
        Json::Number(number) => Value::Number(number.to_string().parse::<Number>().unwrap()),
        Json::String(text) if text == "?" => Value::Unknown,
        Json::String(text) => text.clone().into(),
        Json::Array(items) => Value::List(items.iter().map(value).collect()),
        Json::Object(entries) => {
            let entries = entries.iter();
            Value::Map(
                entries
                    .map(|(name, json)| (name.clone(), value(json)))
                    .collect(),
            )
        }
    }
}

/// A thing from the wire, without its nulls; `?` stands for unknown.
fn seen(wire: Option<&pb::DynamicValue>) -> String {
    let value = codec::decode(wire, &Thing::schema()).unwrap();
    let Some(entries) = value.as_map() else {
        return "null".to_owned();
    };
    let shown: Vec<String> = entries
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| match value {
            Value::Unknown => format!("{name}=?"),
            value => format!("{name}={}", crate::framework::model::to_json(value)),
        })
        .collect();
    shown.join(" ")
}

/// Messages, one a line: severity, path, summary, detail.
fn told(found: &[pb::Diagnostic]) -> String {
    let line = |one: &pb::Diagnostic| {
        let steps = one.attribute.iter().flat_map(|path| &path.steps);
        let steps = steps.map(|step| step.selector.as_ref().unwrap());
        let path = steps.fold(String::new(), |path, step| format!("{path}/{step:?}"));
        let severity = one.severity().as_str_name();
        format!("{severity} {path} {}: {}\n", one.summary, one.detail)
    };
    found.iter().map(line).collect()
}

fn private(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
