//! The methods that are about one resource.

use prost::bytes::Bytes;
use proto::tfplugin6 as pb;

use super::{
    super::{AnyResource, Diagnostics, Value, codec, private::Private, provider::Provider},
    Job, refusal,
};

type Answer<T> = Result<T, Diagnostics>;

pub(super) async fn validate<P: Provider>(
    job: Job<P>,
    request: pb::validate_resource_config::Request,
) -> Answer<pb::validate_resource_config::Response> {
    let resource = job.resource(&request.type_name)?;
    let config = codec::decode(request.config.as_ref(), resource.schema())?;
    let allowed = request
        .client_capabilities
        .is_some_and(|core| core.write_only_attributes_allowed);
    Ok(pb::validate_resource_config::Response {
        diagnostics: resource.validate(&config, allowed).into(),
    })
}

pub(super) async fn upgrade<P: Provider>(
    job: Job<P>,
    request: pb::upgrade_resource_state::Request,
) -> Answer<pb::upgrade_resource_state::Response> {
    let resource = job.resource(&request.type_name)?;
    let (state, found) = upgraded(resource, request.raw_state)?;
    Ok(pb::upgrade_resource_state::Response {
        upgraded_state: Some(state),
        diagnostics: found.into(),
    })
}

/// Core moves a state between equal types whenever the provider's address changed, even if only the
/// registry is another one.
pub(super) async fn moved<P: Provider>(
    job: Job<P>,
    request: pb::move_resource_state::Request,
) -> Answer<pb::move_resource_state::Response> {
    let (source, target) = (&request.source_type_name, &request.target_type_name);
    let address = &request.source_provider_address;
    if source != target || published_name(address) != published_name(P::ADDRESS) {
        return Err(refusal(
            "Cannot move this resource",
            format!(
                "A {source} of {address} cannot become a {target}. Only a {target} can, also one \
                 of another registry. Import the object instead."
            ),
        ));
    }
    let (state, found) = upgraded(job.resource(target)?, request.source_state)?;
    Ok(pb::move_resource_state::Response {
        target_state: Some(state),
        diagnostics: found.into(),
        target_private: request.source_private,
        target_identity: None,
    })
}

pub(super) async fn import<P: Provider>(
    job: Job<P>,
    request: pb::import_resource_state::Request,
) -> Answer<pb::import_resource_state::Response> {
    let resource = job.resource(&request.type_name)?;
    if request.id.is_empty() {
        return Err(refusal(
            "Cannot import without an id",
            "This resource is imported by its id; the provider knows no identities.",
        ));
    }
    let outcome = resource.import(&request.id);
    let mut found = outcome.diagnostics;
    let state = codec::encode(&outcome.value, resource.schema(), &mut found);
    let imported = pb::import_resource_state::ImportedResource {
        type_name: request.type_name,
        state: Some(state),
        private: outcome.private.encode().into(),
        identity: None,
    };
    Ok(pb::import_resource_state::Response {
        imported_resources: (!found.has_error())
            .then_some(imported)
            .into_iter()
            .collect(),
        diagnostics: found.into(),
        deferred: None,
    })
}

pub(super) async fn read<P: Provider>(
    job: Job<P>,
    request: pb::read_resource::Request,
) -> Answer<pb::read_resource::Response> {
    let resource = job.resource(&request.type_name)?;
    let state = codec::decode(request.current_state.as_ref(), resource.schema())?;
    let private = Private::decode(&request.private);
    let outcome = resource.read(job.scope(), &state, private).await;
    let mut found = outcome.diagnostics;
    Ok(pb::read_resource::Response {
        new_state: Some(codec::encode(&outcome.value, resource.schema(), &mut found)),
        private: remembered(&outcome.value, &outcome.private),
        diagnostics: found.into(),
        ..Default::default()
    })
}

pub(super) async fn plan<P: Provider>(
    job: Job<P>,
    request: pb::plan_resource_change::Request,
) -> Answer<pb::plan_resource_change::Response> {
    let resource = job.resource(&request.type_name)?;
    let config = codec::decode(request.config.as_ref(), resource.schema())?;
    let prior = codec::decode(request.prior_state.as_ref(), resource.schema())?;
    let private = Private::decode(&request.prior_private);
    let planned = resource.plan(job.scope(), &config, &prior, private).await;
    let mut found = planned.diagnostics;
    Ok(pb::plan_resource_change::Response {
        planned_state: Some(codec::encode(&planned.value, resource.schema(), &mut found)),
        requires_replace: planned.replace.iter().map(Into::into).collect(),
        planned_private: planned.private.encode().into(),
        diagnostics: found.into(),
        ..Default::default()
    })
}

pub(super) async fn apply<P: Provider>(
    job: Job<P>,
    request: pb::apply_resource_change::Request,
) -> Answer<pb::apply_resource_change::Response> {
    let resource = job.resource(&request.type_name)?;
    let config = codec::decode(request.config.as_ref(), resource.schema())?;
    let prior = codec::decode(request.prior_state.as_ref(), resource.schema())?;
    let planned = codec::decode(request.planned_state.as_ref(), resource.schema())?;
    let private = Private::decode(&request.planned_private);
    let outcome = resource
        .apply(job.scope(), &config, &prior, &planned, private)
        .await;
    let mut found = outcome.diagnostics;
    Ok(pb::apply_resource_change::Response {
        new_state: Some(codec::encode(&outcome.value, resource.schema(), &mut found)),
        private: remembered(&outcome.value, &outcome.private),
        diagnostics: found.into(),
        ..Default::default()
    })
}

fn upgraded<C>(
    resource: &dyn AnyResource<C>,
    stored: Option<pb::RawState>,
) -> Answer<(pb::DynamicValue, Diagnostics)> {
    let stored = codec::decode_json(&stored.unwrap_or_default().json)?;
    let state = resource.upgrade(&stored);
    if state.is_null() {
        return Err(refusal(
            "State that cannot be read",
            "The stored state of this resource is not an object.",
        ));
    }
    let mut found = Diagnostics::default();
    let state = codec::encode(&state, resource.schema(), &mut found);
    Ok((state, found))
}

/// Core stores what an answer holds, even an error's, so only a state that is gone has none.
fn remembered(state: &Value, private: &Private) -> Bytes {
    if state.is_null() {
        return Bytes::new();
    }
    private.encode().into()
}

/// Namespace and type of a provider's address, which are the same in every registry.
fn published_name(address: &str) -> &str {
    address.split_once('/').map_or(address, |(_, name)| name)
}
