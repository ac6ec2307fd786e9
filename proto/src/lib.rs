//! The plugin protocol, generated from the `.proto` files beside this crate. Nothing is written here.

/// The provider service, major version 6.
#[expect(
    missing_docs,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod tfplugin6 {
    tonic::include_proto!("tfplugin6");
}

/// The services that core's plugin library uses.
#[expect(
    missing_docs,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod go_plugin {
    tonic::include_proto!("plugin");
}

/// The health service of gRPC.
#[expect(
    missing_docs,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}
