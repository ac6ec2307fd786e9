//! What `pmoves_image` asks of the API, and what its refusals mean.

use super::{checks::compression, model::Image};
use crate::{
    framework::Failure,
    pve::{self, Call, Params},
};

/// Downloads from a URL. With a checksum it may be asked for twice: a file that is there and matches is taken as it is.
pub(super) fn download(plan: &Image) -> Call {
    let (node, storage) = (&plan.node_name, &plan.datastore_id);
    let algorithm = plan.checksum.as_ref().and(plan.checksum_algorithm.as_ref());
    let packed = plan.url.as_deref().and_then(compression);
    let params = Params::new()
        .with("url", plan.url.as_ref())
        .with("content", plan.content_type.as_ref())
        .with("filename", plan.file_name.as_ref())
        .with("checksum", plan.checksum.as_ref())
        .with("checksum-algorithm", algorithm)
        .with("compression", packed.filter(|_| plan.content() == "iso"))
        .flag("verify-certificates", plan.verify.filter(|verify| !verify));
    Call::post(
        format!("/nodes/{node}/storage/{storage}/download-url"),
        params,
    )
    .task()
}

/// Downloads a template of the node's list, which Proxmox VE verifies; one that is there and matches is taken as it is.
pub(super) fn appliance(plan: &Image) -> Call {
    let params = Params::new()
        .with("storage", Some(&plan.datastore_id))
        .with("template", plan.template.as_ref());
    Call::post(format!("/nodes/{}/aplinfo", plan.node_name), params).task()
}

/// Points a failure at the attribute that it is about.
pub(super) fn explain(error: pve::Error, plan: &Image) -> Failure {
    let failure = Failure::from(error);
    let (text, name) = (
        failure.detail.clone(),
        plan.file_name.clone().unwrap_or_default(),
    );
    if text.contains("checksum mismatch") && plan.file.is_some() {
        return failure
            .at("file")
            .hint("did the file change after the plan? Plan again");
    }
    if text.contains("checksum mismatch") {
        return failure.at("checksum").hint(format!(
            "compare the checksum with the one its publisher shows; if {name} is an older file on the storage, delete it or set overwrite_unmanaged"
        ));
    }
    if text.contains("refusing to override") {
        return failure.at("file_name").hint("a file of that name is already there: set checksum, so that it can be recognised, or overwrite_unmanaged");
    }
    match text.contains("failed to verify file") {
        true => failure
            .at("url")
            .hint("the file is no disk image of the kind that its name says"),
        false => failure,
    }
}
