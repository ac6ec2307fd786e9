//! The bridges that NICs hang on: whether the node has them.

use crate::{
    framework::{Failure, Plan, Result, resource::Faults},
    pve::Pve,
    resources::cluster::Cluster,
};

/// Warns of bridges of new and changed NICs, at `nics`, that the node does not have. An error would be too much: this
/// very apply may make them first.
pub(in crate::resources) async fn expect_bridges(
    cluster: &Cluster,
    pve: &Pve,
    node: &str,
    plan: &Plan<'_>,
    nics: &str,
    found: &mut Faults<'_>,
) -> Result<()> {
    let slots = plan.value.get(nics).as_map().into_iter().flatten();
    let wanted: Vec<(&String, &str)> = slots
        .filter(|(slot, _)| plan.changed(&format!("{nics}.{slot}.bridge")))
        .filter_map(|(slot, nic)| Some((slot, nic.get("bridge").as_str()?)))
        .collect();
    for (slot, why) in missing(cluster, pve, node, &wanted).await? {
        let at = format!("{nics}.{slot}.bridge");
        let detail = format!("{why} The apply fails if it is not made until then.");
        found.warn(&at, "The node has no such bridge", detail);
    }
    Ok(())
}

/// Refuses bridges that the node does not have: Proxmox VE would notice only when the guest starts.
pub(in crate::resources) async fn want_bridges(
    cluster: &Cluster,
    pve: &Pve,
    node: &str,
    nics: &str,
    wanted: impl Iterator<Item = (&String, &str)>,
) -> Result<()> {
    let wanted: Vec<(&String, &str)> = wanted.collect();
    match missing(cluster, pve, node, &wanted).await?.pop() {
        Some((slot, why)) => {
            Err(Failure::new(why.trim_end_matches('.')).at(format!("{nics}.{slot}.bridge")))
        }
        None => Ok(()),
    }
}

/// The slots whose bridge the node does not have, and what it has instead. Who may use a bridge sees it.
async fn missing<'a>(
    cluster: &Cluster,
    pve: &Pve,
    node: &str,
    wanted: &[(&'a String, &str)],
) -> Result<Vec<(&'a String, String)>> {
    let asked: Vec<&str> = wanted.iter().map(|(_, name)| *name).collect();
    let names = cluster.bridges(pve, node, &asked).await?;
    let gone = wanted
        .iter()
        .filter(|(_, name)| !names.iter().any(|there| there == name));
    Ok(gone
        .map(|(slot, name)| {
            let has = match names.is_empty() {
                true => "none that the credential may use".to_owned(),
                false => names.join(", "),
            };
            (*slot, format!("{node} has no bridge {name}; it has {has}."))
        })
        .collect())
}
