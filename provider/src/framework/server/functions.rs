//! The methods that are about functions. They work whether the provider is configured or not.

use std::collections::BTreeMap;

use proto::tfplugin6 as pb;

use super::{
    super::{Diagnostics, Value, codec, function::FunctionError, provider::Provider},
    Answer, Job, refusal,
};

pub(super) async fn all<P: Provider>(
    job: Job<P>,
    _: pb::get_functions::Request,
) -> Answer<pb::get_functions::Response> {
    Ok(pb::get_functions::Response {
        functions: described(&job),
        ..Default::default()
    })
}

pub(super) async fn call<P: Provider>(
    job: Job<P>,
    request: pb::call_function::Request,
) -> Answer<pb::call_function::Response> {
    let name = request.name.as_str();
    let Some(function) = job.server.offer().functions.get(name) else {
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

/// All functions as core reads them.
pub(super) fn described<P: Provider>(job: &Job<P>) -> BTreeMap<String, pb::Function> {
    let functions = job.server.offer().functions.iter();
    functions
        .map(|(name, function)| ((*name).to_owned(), function.into()))
        .collect()
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
