//! The methods that are about one data source.

use proto::tfplugin6 as pb;

use super::{
    super::{AnyDataSource, Diagnostics, codec, provider::Provider},
    Answer, Job, of_kind,
};

pub(super) async fn validate<P: Provider>(
    job: Job<P>,
    request: pb::validate_data_resource_config::Request,
) -> Answer<pb::validate_data_resource_config::Response> {
    let source = find(&job, &request.type_name)?;
    let config = codec::decode(request.config.as_ref(), source.schema())?;
    Ok(pb::validate_data_resource_config::Response {
        diagnostics: source.validate(&config).into(),
    })
}

pub(super) async fn read<P: Provider>(
    job: Job<P>,
    request: pb::read_data_source::Request,
) -> Answer<pb::read_data_source::Response> {
    let source = find(&job, &request.type_name)?;
    let config = codec::decode(request.config.as_ref(), source.schema())?;
    let scope = job.scope(request.provider_meta.as_ref())?;
    let answer = source.read(scope, &config).await?;
    let mut found = Diagnostics::default();
    let state = codec::encode(&answer, source.schema(), &mut found);
    Ok(pb::read_data_source::Response {
        state: Some(state),
        diagnostics: found.into(),
        deferred: None,
    })
}

fn find<'a, P: Provider>(job: &'a Job<P>, name: &str) -> Answer<&'a dyn AnyDataSource<P::Client>> {
    of_kind("data source", &job.server.offer().data_sources, name)
}
