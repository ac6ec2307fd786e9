//! What hosts are cloned from.

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::{
    framework::{Failure, Model, Result},
    pve::Pve,
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
