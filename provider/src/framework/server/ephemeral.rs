//! The methods that are about one ephemeral resource.

use proto::tfplugin6 as pb;

use super::{
    super::{AnyEphemeralResource, Diagnostics, codec, provider::Provider},
    Answer, Job, of_kind,
};

pub(super) async fn validate<P: Provider>(
    job: Job<P>,
    request: pb::validate_ephemeral_resource_config::Request,
) -> Answer<pb::validate_ephemeral_resource_config::Response> {
    let resource = find(&job, &request.type_name)?;
    let config = codec::decode(request.config.as_ref(), resource.schema())?;
    Ok(pb::validate_ephemeral_resource_config::Response {
        diagnostics: resource.validate(&config).into(),
    })
}

pub(super) async fn open<P: Provider>(
    job: Job<P>,
    request: pb::open_ephemeral_resource::Request,
) -> Answer<pb::open_ephemeral_resource::Response> {
    let resource = find(&job, &request.type_name)?;
    let config = codec::decode(request.config.as_ref(), resource.schema())?;
    let (result, lease) = resource.open(job.scope(None)?, &config).await?;
    let mut found = Diagnostics::default();
    let result = codec::encode(&result, resource.schema(), &mut found);
    Ok(pb::open_ephemeral_resource::Response {
        diagnostics: found.into(),
        renew_at: lease.renew_at.map(Into::into),
        result: Some(result),
        private: Some(lease.private.into()),
        deferred: None,
    })
}

pub(super) async fn renew<P: Provider>(
    job: Job<P>,
    request: pb::renew_ephemeral_resource::Request,
) -> Answer<pb::renew_ephemeral_resource::Response> {
    let resource = find(&job, &request.type_name)?;
    let private = request.private.unwrap_or_default();
    let lease = resource.renew(job.scope(None)?, &private).await?;
    Ok(pb::renew_ephemeral_resource::Response {
        diagnostics: Vec::new(),
        renew_at: lease.renew_at.map(Into::into),
        private: Some(lease.private.into()),
    })
}

pub(super) async fn close<P: Provider>(
    job: Job<P>,
    request: pb::close_ephemeral_resource::Request,
) -> Answer<pb::close_ephemeral_resource::Response> {
    let resource = find(&job, &request.type_name)?;
    let private = request.private.unwrap_or_default();
    resource.close(job.scope(None)?, &private).await?;
    Ok(pb::close_ephemeral_resource::Response::default())
}

fn find<'a, P: Provider>(
    job: &'a Job<P>,
    name: &str,
) -> Answer<&'a dyn AnyEphemeralResource<P::Client>> {
    of_kind(
        "ephemeral resource",
        &job.server.offer().ephemeral_resources,
        name,
    )
}
