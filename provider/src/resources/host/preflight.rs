//! Checks of a plan that VMs and containers have in common. Only reads.

use crate::{
    framework::{Plan, Result, resource::Faults},
    pve::Pve,
    resources::privileges::Wanted,
};

/// What a place in the order of starts takes.
pub(in crate::resources) fn startup(wanted: Wanted, plan: &Plan<'_>) -> Wanted {
    match plan.changed("startup") && !(plan.creating() && plan.value.get("startup").is_null()) {
        true => wanted.privilege("/", "Sys.Modify", "startup"),
        false => wanted,
    }
}

/// What the bridges of new and changed NICs, at `nics`, take.
pub(in crate::resources) fn bridges(wanted: Wanted, plan: &Plan<'_>, nics: &'static str) -> Wanted {
    let at = nics;
    let nics = plan.value.get(at);
    let nics = nics.as_map().into_iter().flatten();
    nics.filter(|(slot, _)| plan.changed(&format!("{at}.{slot}")))
        .filter_map(|(_, nic)| Some((nic.get("bridge").as_str()?, nic.get("vlan_id").as_i64())))
        .fold(wanted, |wanted, (bridge, vlan)| {
            let tag = vlan.map(|tag| format!("/{tag}")).unwrap_or_default();
            let path = format!("/sdn/zones/localnetwork/{bridge}{tag}");
            wanted.privilege(path, "SDN.Use", at)
        })
}

/// Whether the VMID that is asked for belongs to another guest.
pub(in crate::resources) async fn vm_id(
    pve: &Pve,
    plan: &Plan<'_>,
    found: &mut Faults<'_>,
) -> Result<()> {
    let Some(vmid) = plan.value.get("vm_id").as_i64() else {
        return Ok(());
    };
    let name = plan.value.get("name").as_str();
    let rows = pve.guests().await?;
    // A guest of the same name may be the tainted one that this plan replaces.
    let other = rows.iter().find(|row| {
        i64::from(row.vmid) == vmid && row.name.is_some() && row.name.as_deref() != name
    });
    if let Some(row) = other {
        found.error(
            "vm_id",
            "The VMID is taken",
            format!(
                "{} is {} on node {}. Take another number, or leave vm_id open for the next free one.",
                row.vmid,
                row.name.as_deref().unwrap_or("a guest"),
                row.node
            ),
        );
    }
    Ok(())
}
