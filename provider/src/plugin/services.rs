//! The gRPC services on one connection: the provider, and what core's plugin library expects beside it.

use std::{convert::Infallible, pin::Pin};

use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use proto::{
    go_plugin::{
        ConnInfo, Empty, StdioData,
        grpc_broker_server::{self, GrpcBroker, GrpcBrokerServer},
        grpc_controller_server::{self, GrpcController, GrpcControllerServer},
        grpc_stdio_server::{self, GrpcStdio, GrpcStdioServer},
    },
    health::{
        HealthCheckRequest, HealthCheckResponse,
        health_check_response::ServingStatus,
        health_server::{self, Health, HealthServer},
    },
    tfplugin6::provider_server::{self, ProviderServer},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codegen::{BoxStream, Service as _, http},
};

use crate::framework::{Provider, Server, server::refused};

/// Core holds a plan's messages to no size: one carries the same object three times.
const LARGEST_MESSAGE: usize = i32::MAX as usize;

/// All services; clones share one provider.
pub(super) struct Services<P: Provider> {
    provider: ProviderServer<Server<P>>,
    library: Library,
}

/// What core's plugin library expects.
#[derive(Clone)]
struct Library {
    shutdown: CancellationToken,
}

impl<P: Provider> Services<P> {
    /// The services of a provider; `shutdown` is cancelled when core asks the process to end.
    pub(super) fn new(server: Server<P>, shutdown: CancellationToken) -> Self {
        Self {
            provider: ProviderServer::new(server)
                .max_decoding_message_size(LARGEST_MESSAGE)
                .max_encoding_message_size(LARGEST_MESSAGE),
            library: Library { shutdown },
        }
    }
}

impl<P: Provider> Clone for Services<P> {
    fn clone(&self) -> Self {
        Self {
            provider: self.provider.clone(),
            library: self.library.clone(),
        }
    }
}

impl<P: Provider> hyper::service::Service<http::Request<Incoming>> for Services<P> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let library = self.library.clone();
        let path = request.uri().path();
        match path.split('/').nth(1).unwrap_or_default() {
            provider_server::SERVICE_NAME => {
                let method = path.rsplit('/').next().unwrap_or_default().to_owned();
                let answer = self.provider.clone().call(request);
                Box::pin(async move { Ok(explained(&method, answer.await?)) })
            }
            health_server::SERVICE_NAME => HealthServer::new(library).call(request),
            grpc_controller_server::SERVICE_NAME => {
                GrpcControllerServer::new(library).call(request)
            }
            grpc_broker_server::SERVICE_NAME => GrpcBrokerServer::new(library).call(request),
            grpc_stdio_server::SERVICE_NAME => GrpcStdioServer::new(library).call(request),
            _ => Box::pin(async { Ok(Status::unimplemented("unknown service").into_http()) }),
        }
    }
}

/// A request that the layers below refused, as a diagnostic: core shows a status without the
/// resource that it is about.
fn explained(method: &str, answer: http::Response<Body>) -> http::Response<Body> {
    let status = answer.extensions().get::<Status>();
    let Some(reply) = status.and_then(|status| refused(method, status.message())) else {
        return answer;
    };
    let length = u32::try_from(reply.len()).expect("an error is short");
    let mut frame = vec![0];
    frame.extend(length.to_be_bytes());
    frame.extend(reply);
    let mut end = http::HeaderMap::new();
    end.insert(Status::GRPC_STATUS, 0.into());
    let body = Full::from(frame).with_trailers(async { Some(Ok(end)) });
    let mut answer = http::Response::new(Body::new(body));
    let plain = http::HeaderValue::from_static("application/grpc");
    answer
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, plain);
    answer
}

#[tonic::async_trait]
impl Health for Library {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match request.get_ref().service.as_str() {
            "" | "plugin" => Ok(Response::new(HealthCheckResponse {
                status: ServingStatus::Serving.into(),
            })),
            _ => Err(Status::not_found("unknown service")),
        }
    }
}

#[tonic::async_trait]
impl GrpcController for Library {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.shutdown.cancel();
        Ok(Response::new(Empty {}))
    }
}

#[tonic::async_trait]
impl GrpcBroker for Library {
    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<BoxStream<ConnInfo>>, Status> {
        let mut offers = request.into_inner();
        let ignored = async move { while let Ok(Some(_)) = offers.message().await {} };
        let shutdown = self.shutdown.clone();
        Ok(Response::new(silent(async move {
            shutdown.run_until_cancelled(ignored).await;
        })))
    }
}

#[tonic::async_trait]
impl GrpcStdio for Library {
    async fn stream_stdio(&self, _: Request<()>) -> Result<Response<BoxStream<StdioData>>, Status> {
        Ok(Response::new(silent(
            self.shutdown.clone().cancelled_owned(),
        )))
    }
}

/// A stream that says nothing and ends with a future.
fn silent<T: Send + 'static>(end: impl Future<Output = ()> + Send + 'static) -> BoxStream<T> {
    Box::pin(stream::once(end).flat_map(|()| stream::empty()))
}
