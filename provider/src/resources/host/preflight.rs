//! Checks of a plan that VMs and containers have in common. Only reads.

use crate::{
    framework::{Plan, Result, Value, resource::Faults},
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

/// What a change of pools takes, of that which the guest leaves too.
pub(in crate::resources) fn pools(mut wanted: Wanted, plan: &Plan<'_>) -> Wanted {
    for pool in [&plan.value, plan.prior] {
        let pool = pool
            .get("pool_id")
            .as_str()
            .filter(|_| plan.changed("pool_id"));
        if let Some(pool) = pool {
            wanted = wanted.privilege(format!("/pool/{pool}"), "Pool.Allocate", "pool_id");
        }
    }
    wanted
}

/// What the bridges of new and changed NICs, at `nics`, take.
pub(in crate::resources) fn bridges(wanted: Wanted, plan: &Plan<'_>, nics: &'static str) -> Wanted {
    let at = nics;
    let nics = plan.value.get(at);
    let nics = nics.as_map().into_iter().flatten();
    nics.filter(|(slot, _)| plan.changed(&format!("{at}.{slot}")))
        .filter_map(|(_, nic)| {
            let path = format!("/sdn/zones/localnetwork/{}", nic.get("bridge").as_str()?);
            let trunks = nic.get("trunks").as_list().into_iter().flatten();
            let tags = [nic.get("vlan_id")].into_iter().chain(trunks);
            let tags: Vec<i64> = tags.filter_map(Value::as_i64).collect();
            Some(match tags.is_empty() {
                true => vec![path],
                false => tags.iter().map(|tag| format!("{path}/{tag}")).collect(),
            })
        })
        .flatten()
        .fold(wanted, |wanted, path| wanted.privilege(path, "SDN.Use", at))
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
