//! The methods that validate, plan, change and refresh one resource.

use prost::bytes::Bytes;
use proto::tfplugin6 as pb;

use super::{
    super::{AnyResource, Diagnostics, Value, codec, private::Private, provider::Provider},
    Answer, Job,
};

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

pub(super) async fn read<P: Provider>(
    job: Job<P>,
    request: pb::read_resource::Request,
) -> Answer<pb::read_resource::Response> {
    let resource = job.resource(&request.type_name)?;
    let state = codec::decode(request.current_state.as_ref(), resource.schema())?;
    let private = Private::decode(&request.private);
    let scope = job.scope(request.provider_meta.as_ref())?;
    let outcome = resource.read(scope, &state, private).await;
    let mut found = outcome.diagnostics;
    Ok(pb::read_resource::Response {
        new_state: Some(codec::encode(&outcome.value, resource.schema(), &mut found)),
        private: remembered(&outcome.value, &outcome.private),
        new_identity: identity(resource, &outcome.value, &mut found),
        diagnostics: found.into(),
        deferred: None,
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
    let scope = job.scope(request.provider_meta.as_ref())?;
    let planned = resource.plan(scope, &config, &prior, private).await;
    let mut found = planned.diagnostics;
    Ok(pb::plan_resource_change::Response {
        planned_state: Some(codec::encode(&planned.value, resource.schema(), &mut found)),
        requires_replace: planned.replace.iter().map(Into::into).collect(),
        planned_private: planned.private.encode().into(),
        planned_identity: identity(resource, &planned.value, &mut found),
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
    let scope = job.scope(request.provider_meta.as_ref())?;
    let outcome = resource
        .apply(scope, &config, &prior, &planned, private)
        .await;
    let mut found = outcome.diagnostics;
    Ok(pb::apply_resource_change::Response {
        new_state: Some(codec::encode(&outcome.value, resource.schema(), &mut found)),
        private: remembered(&outcome.value, &outcome.private),
        new_identity: identity(resource, &outcome.value, &mut found),
        diagnostics: found.into(),
        legacy_type_system: false,
    })
}

/// The identity that a state or a plan tells. Core forgets the one it has where an answer has none.
pub(super) fn identity<C>(
    resource: &dyn AnyResource<C>,
    state: &Value,
    found: &mut Diagnostics,
) -> Option<pb::ResourceIdentityData> {
    let identity = resource.identity()?;
    let value = identity.read(state);
    (!value.is_null()).then(|| pb::ResourceIdentityData {
        identity_data: Some(codec::encode(&value, &identity.schema, found)),
    })
}

/// Core stores what an answer holds, even an error's, so only a state that is gone has none.
fn remembered(state: &Value, private: &Private) -> Bytes {
    if state.is_null() {
        return Bytes::new();
    }
    private.encode().into()
}
