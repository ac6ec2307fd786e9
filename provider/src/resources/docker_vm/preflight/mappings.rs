//! Devices by mapping: what they take, and whether the node has them.

use crate::{
    framework::{Plan, Result, resource::Faults},
    pve::Pve,
    resources::{cluster::Cluster, privileges::Wanted},
};

/// The attributes, each with its kind of mapping and the privilege on the VM.
const KINDS: [(&str, &str, &str); 3] = [
    ("hostpci", "pci", "VM.Config.HWType"),
    ("usb", "usb", "VM.Config.HWType"),
    ("virtiofs", "dir", "VM.Config.Disk"),
];

/// What they take; those of a VM that are not changed were there before.
pub(super) fn privileges(wanted: Wanted, plan: &Plan<'_>, vms: &str) -> Wanted {
    let changed = KINDS.into_iter().filter(|(at, ..)| plan.changed(at));
    changed.fold(wanted, |wanted, (at, kind, privilege)| {
        let names = slots(plan, at).map(|(_, name)| name);
        let wanted = names.fold(wanted, |wanted, name| {
            wanted.privilege(path(kind, name), "Mapping.Use", at)
        });
        match plan.value.get(at).is_null() && plan.prior.get(at).is_null() {
            true => wanted,
            false => wanted.privilege(vms, privilege, at),
        }
    })
}

/// Refuses mappings that are not for the node, and warns of those that are not there, which this very apply may make:
/// Proxmox VE would notice only when the VM starts. Those that were there before are looked at only if the VM `moves`.
pub(super) async fn expect(
    cluster: &Cluster,
    pve: &Pve,
    (node, moves): (&str, bool),
    plan: &Plan<'_>,
    found: &mut Faults<'_>,
) -> Result<()> {
    for (attribute, kind, _) in KINDS {
        for (slot, name) in slots(plan, attribute) {
            let at = format!("{attribute}.{slot}.mapping");
            // Who may not use it may not see it either, and is told so.
            if !(moves || plan.changed(&at)) || !may_use(pve, &path(kind, name)).await? {
                continue;
            }
            let all = cluster.mappings(pve, kind).await?;
            let Some(mapping) = all.iter().find(|mapping| mapping.id == name) else {
                let names: Vec<&str> = all.iter().map(|mapping| mapping.id.as_str()).collect();
                let has = match names.is_empty() {
                    true => "none".to_owned(),
                    false => names.join(", "),
                };
                let detail = format!(
                    "The cluster has no mapping {name}; it has {has}. The VM does not start if it is not made until then."
                );
                found.warn(&at, "No such mapping", detail);
                continue;
            };
            let nodes: Vec<String> = mapping.nodes().collect();
            if !nodes.iter().any(|there| there == node) {
                let detail = format!("{name} is on {}, and not on {node}.", nodes.join(", "));
                found.error(&at, "The node has no such device", detail);
            }
        }
    }
    Ok(())
}

fn slots<'a>(plan: &'a Plan<'_>, at: &str) -> impl Iterator<Item = (&'a String, &'a str)> {
    let slots = plan.value.get(at).as_map().into_iter().flatten();
    slots.filter_map(|(slot, device)| Some((slot, device.get("mapping").as_str()?)))
}

fn path(kind: &str, name: &str) -> String {
    format!("/mapping/{kind}/{name}")
}

async fn may_use(pve: &Pve, path: &str) -> Result<bool> {
    Ok(pve.is_root() || pve.permissions().await?.has(path, "Mapping.Use"))
}
