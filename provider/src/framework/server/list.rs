//! The methods that are about lists. The answer to a list is a stream of what was found so far.

use std::pin::Pin;

use futures_util::{Stream, stream};
use proto::tfplugin6 as pb;
use tokio::sync::mpsc;
use tonic::Status;
use tracing::Instrument as _;

use super::{
    super::{
        AnyListResource, AnyResource, Diagnostics, Failure, codec, list::Listed, panic::guarded,
        provider::Provider,
    },
    Answer, Job, of_kind, refusal,
    resource::identity,
};

/// What was found, one event each, and what went wrong.
pub(super) type Events =
    Pin<Box<dyn Stream<Item = Result<pb::list_resource::Event, Status>> + Send>>;

/// What may be found before core took what was found earlier.
const AHEAD: usize = 16;

pub(super) async fn validate<P: Provider>(
    job: Job<P>,
    request: pb::validate_list_resource_config::Request,
) -> Answer<pb::validate_list_resource_config::Response> {
    let list = find(&job, &request.type_name)?;
    let config = codec::decode(request.config.as_ref(), list.schema())?;
    Ok(pb::validate_list_resource_config::Response {
        diagnostics: list.validate(&config).into(),
    })
}

/// Searches in a task of its own, which ends when core wants no more.
pub(super) fn list<P: Provider>(job: Job<P>, request: pb::list_resource::Request) -> Events {
    let span = tracing::info_span!("request", rpc = "ListResource", r#type = request.type_name);
    let (events, receiver) = mpsc::channel(1);
    tokio::spawn(
        async move {
            if let Err(found) = search(&job, &request, &events).await {
                // Nobody is left to tell if this fails.
                let _ = events.send(failed(found)).await;
            }
        }
        .instrument(span),
    );
    Box::pin(stream::unfold(receiver, |mut receiver| async {
        let event = receiver.recv().await?;
        Some((Ok(event), receiver))
    }))
}

async fn search<P: Provider>(
    job: &Job<P>,
    request: &pb::list_resource::Request,
    events: &mpsc::Sender<pb::list_resource::Event>,
) -> Answer<()> {
    let list = find(job, &request.type_name)?;
    let resource = job.resource(&request.type_name)?;
    let config = codec::decode(request.config.as_ref(), list.schema())?;
    // Core means no limit by none.
    let limit = usize::try_from(request.limit).unwrap_or(0);
    let limit = if limit == 0 { usize::MAX } else { limit };
    let (to, mut found) = mpsc::channel(AHEAD);
    let passed_on = async move {
        while let Some(listed) = found.recv().await {
            let event = event(resource, &listed, request.include_resource_object);
            if events.send(event).await.is_err() {
                break;
            }
        }
    };
    let scope = job.scope(None)?;
    let (ended, ()) = tokio::join!(guarded(list.list(scope, &config, limit, to)), passed_on);
    ended.unwrap_or_else(|panic| Err(refusal("Bug in the provider", Failure::from(panic).detail)))
}

fn event<C>(
    resource: &dyn AnyResource<C>,
    listed: &Listed,
    with_object: bool,
) -> pb::list_resource::Event {
    let mut found = Diagnostics::default();
    pb::list_resource::Event {
        identity: identity(resource, &listed.state, &mut found),
        display_name: listed.name.clone(),
        resource_object: with_object
            .then(|| codec::encode(&listed.state, resource.schema(), &mut found)),
        diagnostic: found.into(),
    }
}

fn failed(found: Diagnostics) -> pb::list_resource::Event {
    pb::list_resource::Event {
        diagnostic: found.into(),
        ..Default::default()
    }
}

fn find<'a, P: Provider>(
    job: &'a Job<P>,
    name: &str,
) -> Answer<&'a dyn AnyListResource<P::Client>> {
    of_kind("list", &job.server.offer().lists, name)
}
