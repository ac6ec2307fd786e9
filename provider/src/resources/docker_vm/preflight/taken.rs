//! Slots that belong to somebody else.

use super::super::disks;
use crate::{
    framework::{Plan, Result, resource::Faults},
    pve::{self, Pve},
};

/// A disk that others attached must not be pushed out of its slot by a new one.
pub(super) async fn slots(pve: &Pve, plan: &Plan<'_>, found: &mut Faults<'_>) -> Result<()> {
    let known: Vec<&String> = disks::slots(plan.prior).collect();
    let new: Vec<&String> = disks::slots(&plan.value)
        .filter(|slot| !known.contains(slot))
        .collect();
    let at = (
        plan.prior.get("vm_id").as_i64(),
        plan.prior.get("current_node").as_str(),
    );
    let (Some(vmid), Some(node), false) = (
        at.0.and_then(|vmid| u32::try_from(vmid).ok()),
        at.1,
        new.is_empty(),
    ) else {
        return Ok(());
    };
    let config = match pve.vm_config_opt(node, vmid).await {
        Ok(Some(config)) => config,
        Ok(None) | Err(pve::Error::Forbidden { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for slot in new
        .into_iter()
        .filter(|slot| config.disks.contains_key(*slot))
    {
        let detail = format!(
            "The VM has a disk at {slot} that this resource does not follow. Take another slot; an import of the VM follows all its disks."
        );
        found.error(&format!("disk.{slot}"), "The slot is taken", detail);
    }
    Ok(())
}
