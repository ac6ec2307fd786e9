//! What hosts are cloned from, and what all that are made have in common.

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::{
    framework::{Failure, Model, Result, State},
    pve::{self, Pve},
};

/// What a guest is cloned from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct CloneOf {
    /// VMID of the source, on any node. All its disks are cloned, that with Docker's data too.
    #[attr(keep, range(100, 999_999_999))]
    pub vm_id: Option<u32>,
    /// Whether the disks are copied; a linked clone shares them with its template, which must stay.
    #[attr(default(true), keep)]
    pub full: Option<bool>,
    /// Storage that the disks are copied to. Left open, that of each disk in the source.
    #[attr(keep)]
    pub datastore_id: Option<String>,
}

/// Where the source of a clone is now.
pub(in crate::resources) async fn source_node(
    pve: &Pve,
    kind: Kind,
    source: &CloneOf,
) -> Result<String> {
    let vmid = source.vm_id.unwrap_or_default();
    match pve.guest_opt(vmid).await? {
        Some(row) if row.kind == kind.word() => Ok(row.node),
        _ => Err(Failure::new(format!(
            "there is no {} {vmid} that the credential may see",
            kind.noun()
        ))
        .at("clone.vm_id")),
    }
}

/// Points a refused create at what it is about.
pub(in crate::resources) fn refused(error: pve::Error, kind: Kind, vmid: u32) -> Failure {
    let text = error.to_string();
    let failure = Failure::from(error);
    match () {
        () if text.contains("pool '") => failure.at("pool_id"),
        () if text.contains("inked clone") => failure
            .at("clone.full")
            .hint("a linked clone needs a template on a storage that can make one; full = true copies the disks"),
        () if text.contains("already exists") => failure.at("vm_id").hint(format!(
            "take another vm_id, or leave it open; if it is this very {}, import it with the id {}/{vmid}",
            kind.noun(),
            kind.word()
        )),
        () => failure,
    }
}

/// Whether the cluster refused a tag.
pub(in crate::resources) fn concerns_tags(error: &pve::Error) -> bool {
    matches!(error, pve::Error::Forbidden { .. }) && error.to_string().contains("tag")
}

pub(in crate::resources) fn warn_of_tag<M>(tag: &str, text: &str, state: &mut State<M>) {
    state.warn(
        "The guest is created without the provider's tag",
        format!("The cluster does not let this credential set the tag {tag}: {text}"),
    );
}
