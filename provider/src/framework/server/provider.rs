//! The methods that are about the provider as a whole: schemas, its configuration, stop.

use std::sync::Arc;

use proto::tfplugin6 as pb;

use super::{
    super::{
        Schema, Value, codec, model, provider::Provider, resource::Faults,
        validate::validate as check,
    },
    Answer, Job,
    functions::described,
    locked, refusal,
};

pub(super) async fn metadata<P: Provider>(
    job: Job<P>,
    _: pb::get_metadata::Request,
) -> Answer<pb::get_metadata::Response> {
    use pb::get_metadata as its;
    let offer = job.server.offer();
    let owned = |name: &&'static str| (*name).to_owned();
    let types = offer.resources.keys().map(owned);
    let data_sources = offer.data_sources.keys().map(owned);
    let ephemeral = offer.ephemeral_resources.keys().map(owned);
    let lists = offer.lists.keys().map(owned);
    let functions = offer.functions.keys().map(owned);
    Ok(pb::get_metadata::Response {
        server_capabilities: Some(CAPABILITIES),
        resources: types
            .map(|type_name| its::ResourceMetadata { type_name })
            .collect(),
        data_sources: data_sources
            .map(|type_name| its::DataSourceMetadata { type_name })
            .collect(),
        ephemeral_resources: ephemeral
            .map(|type_name| its::EphemeralMetadata { type_name })
            .collect(),
        list_resources: lists
            .map(|type_name| its::ListResourceMetadata { type_name })
            .collect(),
        functions: functions
            .map(|name| its::FunctionMetadata { name })
            .collect(),
        ..Default::default()
    })
}

pub(super) async fn schema<P: Provider>(
    job: Job<P>,
    _: pb::get_provider_schema::Request,
) -> Answer<pb::get_provider_schema::Response> {
    let offer = job.server.offer();
    let of = |name: &str, schema: &Schema| (name.to_owned(), pb::Schema::from(schema));
    let resources = offer.resources.iter();
    let data_sources = offer.data_sources.iter();
    let ephemeral = offer.ephemeral_resources.iter();
    let lists = offer.lists.iter();
    Ok(pb::get_provider_schema::Response {
        provider: Some((&offer.config).into()),
        provider_meta: offer.meta.as_ref().map(Into::into),
        resource_schemas: resources
            .map(|(name, resource)| {
                let mut schema = pb::Schema::from(resource.schema());
                schema.version = resource.version();
                ((*name).to_owned(), schema)
            })
            .collect(),
        data_source_schemas: data_sources
            .map(|(name, source)| of(name, source.schema()))
            .collect(),
        ephemeral_resource_schemas: ephemeral
            .map(|(name, resource)| of(name, resource.schema()))
            .collect(),
        list_resource_schemas: lists.map(|(name, list)| of(name, list.schema())).collect(),
        functions: described(&job),
        server_capabilities: Some(CAPABILITIES),
        ..Default::default()
    })
}

pub(super) async fn validate<P: Provider>(
    job: Job<P>,
    request: pb::validate_provider_config::Request,
) -> Answer<pb::validate_provider_config::Response> {
    let schema = &job.server.offer().config;
    let config = codec::decode(request.config.as_ref(), schema)?;
    let mut found = Faults::new(schema);
    check(schema, &config, true, &mut found.diagnostics);
    job.server.provider.validate(&config, &mut found);
    Ok(pb::validate_provider_config::Response {
        diagnostics: found.diagnostics.into(),
    })
}

pub(super) async fn configure<P: Provider>(
    job: Job<P>,
    request: pb::configure_provider::Request,
) -> Answer<pb::configure_provider::Response> {
    const SUMMARY: &str = "Cannot configure the provider";
    let schema = &job.server.offer().config;
    let value = codec::decode(request.config.as_ref(), schema)?;
    let mut unknown = Vec::new();
    unknowns(&value, String::new(), &mut unknown);
    let config = model::typed(&value).map_err(|error| refusal(SUMMARY, error.to_string()))?;
    let client = job
        .server
        .provider
        .configure(config, &unknown)
        .map_err(|failure| {
            let mut found = Faults::new(schema);
            let detail = match failure.hint {
                Some(hint) => format!("{}\n\nHint: {hint}", failure.detail),
                None => failure.detail,
            };
            found.error(failure.at.as_deref().unwrap_or_default(), SUMMARY, detail);
            found.diagnostics
        })?;
    *locked(&job.server.client) = Some(Arc::new(client));
    Ok(pb::configure_provider::Response::default())
}

pub(super) async fn stop<P: Provider>(
    job: Job<P>,
    _: pb::stop_provider::Request,
) -> Answer<pb::stop_provider::Response> {
    job.server.stop();
    Ok(pb::stop_provider::Response::default())
}

const CAPABILITIES: pb::ServerCapabilities = pb::ServerCapabilities {
    plan_destroy: true,
    get_provider_schema_optional: true,
    move_resource_state: true,
    generate_resource_config: true,
};

/// The dotted paths of the values that are not known.
fn unknowns(value: &Value, at: String, found: &mut Vec<String>) {
    let inside = |step: &str| match at.as_str() {
        "" => step.to_owned(),
        at => format!("{at}.{step}"),
    };
    match value {
        Value::Unknown => found.push(at),
        Value::Map(entries) => {
            for (name, value) in entries {
                unknowns(value, inside(name), found);
            }
        }
        Value::List(items) => {
            for (index, value) in items.iter().enumerate() {
                unknowns(value, inside(&index.to_string()), found);
            }
        }
        _ => {}
    }
}
