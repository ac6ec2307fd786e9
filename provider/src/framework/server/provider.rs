//! The methods that are about the provider as a whole: schemas, its configuration, functions, stop.

use std::sync::Arc;

use proto::tfplugin6 as pb;

use super::{
    super::{
        Diagnostics, Value, codec, function::FunctionError, model, provider::Provider,
        resource::Faults, validate::validate as check,
    },
    Job, locked, refusal,
};

type Answer<T> = Result<T, Diagnostics>;

pub(super) async fn metadata<P: Provider>(
    job: Job<P>,
    _: pb::get_metadata::Request,
) -> Answer<pb::get_metadata::Response> {
    use pb::get_metadata::{FunctionMetadata, ResourceMetadata};
    let types = job.server.resources.keys().cloned();
    let names = job.server.functions.keys();
    Ok(pb::get_metadata::Response {
        server_capabilities: Some(CAPABILITIES),
        resources: types
            .map(|type_name| ResourceMetadata { type_name })
            .collect(),
        functions: names
            .map(|name| FunctionMetadata {
                name: (*name).to_owned(),
            })
            .collect(),
        ..Default::default()
    })
}

pub(super) async fn schema<P: Provider>(
    job: Job<P>,
    _: pb::get_provider_schema::Request,
) -> Answer<pb::get_provider_schema::Response> {
    let resources = job.server.resources.iter();
    Ok(pb::get_provider_schema::Response {
        provider: Some((&job.server.config).into()),
        resource_schemas: resources
            .map(|(name, resource)| (name.clone(), resource.schema().into()))
            .collect(),
        functions: described(&job),
        server_capabilities: Some(CAPABILITIES),
        ..Default::default()
    })
}

pub(super) async fn identities<P: Provider>(
    _: Job<P>,
    _: pb::get_resource_identity_schemas::Request,
) -> Answer<pb::get_resource_identity_schemas::Response> {
    Ok(pb::get_resource_identity_schemas::Response::default())
}

pub(super) async fn validate<P: Provider>(
    job: Job<P>,
    request: pb::validate_provider_config::Request,
) -> Answer<pb::validate_provider_config::Response> {
    let schema = &job.server.config;
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
    let schema = &job.server.config;
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

pub(super) async fn functions<P: Provider>(
    job: Job<P>,
    _: pb::get_functions::Request,
) -> Answer<pb::get_functions::Response> {
    Ok(pb::get_functions::Response {
        functions: described(&job),
        ..Default::default()
    })
}

pub(super) async fn call_function<P: Provider>(
    job: Job<P>,
    request: pb::call_function::Request,
) -> Answer<pb::call_function::Response> {
    let name = request.name.as_str();
    let Some(function) = job.server.functions.get(name) else {
        return Err(refusal(
            "",
            format!("The provider has no function {name:?}."),
        ));
    };
    let arguments = request.arguments.iter().enumerate();
    let arguments: Vec<Value> = arguments
        .map(|(position, wire)| match function.parameter(position) {
            Some(parameter) => codec::decode_argument(wire, &parameter.ty),
            None => Err(refusal("", format!("{name} takes fewer arguments."))),
        })
        .collect::<Result<_, _>>()?;
    if arguments.len() < function.parameters.len() {
        return Err(refusal("", format!("{name} takes more arguments.")));
    }
    let value = match (function.call)(&arguments) {
        Ok(value) => value,
        Err(error) => return Ok(function_error(error)),
    };
    let mut found = Diagnostics::default();
    let result = codec::encode(&value, &function.returns, &mut found);
    if found.has_error() {
        return Err(found);
    }
    Ok(pb::call_function::Response {
        result: Some(result),
        error: None,
    })
}

pub(super) async fn validate_data_source<P: Provider>(
    _: Job<P>,
    request: pb::validate_data_resource_config::Request,
) -> Answer<pb::validate_data_resource_config::Response> {
    Err(no_data_source(&request.type_name))
}

pub(super) async fn read_data_source<P: Provider>(
    _: Job<P>,
    request: pb::read_data_source::Request,
) -> Answer<pb::read_data_source::Response> {
    Err(no_data_source(&request.type_name))
}

const CAPABILITIES: pb::ServerCapabilities = pb::ServerCapabilities {
    plan_destroy: true,
    get_provider_schema_optional: true,
    move_resource_state: true,
    generate_resource_config: false,
};

fn described<P: Provider>(job: &Job<P>) -> std::collections::BTreeMap<String, pb::Function> {
    let functions = job.server.functions.iter();
    functions
        .map(|(name, function)| ((*name).to_owned(), function.into()))
        .collect()
}

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

fn function_error(error: FunctionError) -> pb::call_function::Response {
    let argument = error.argument.and_then(|position| position.try_into().ok());
    pb::call_function::Response {
        result: None,
        error: Some(pb::FunctionError {
            text: error.text,
            function_argument: argument,
        }),
    }
}

fn no_data_source(name: &str) -> Diagnostics {
    refusal(
        "Unknown data source",
        format!("This version of the provider has no data source {name:?}."),
    )
}
