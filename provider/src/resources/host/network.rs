//! NICs: their VLANs in the notation of Proxmox VE, and whether the node has the bridges that they hang on.

use std::collections::BTreeSet;

use crate::{
    framework::{Failure, Plan, Result, resource::Faults},
    pve::{PropertyString, Pve},
    resources::cluster::Cluster,
};

/// The VLANs that pass a NIC with their tags; none at all are an empty set where they were `known` as one.
pub(in crate::resources) fn trunks(
    nic: &PropertyString,
    known: Option<&BTreeSet<i64>>,
) -> Option<BTreeSet<i64>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse::<i64>().ok()?.min(4094))
    };
    let Some(text) = nic.get("trunks") else {
        return known.filter(|known| known.is_empty()).cloned();
    };
    Some(text.split(';').filter_map(range).flatten().collect())
}

/// Likewise, as text.
pub(in crate::resources) fn trunks_text(tags: Option<&BTreeSet<i64>>) -> Option<String> {
    let tags: Vec<String> = tags?.iter().map(i64::to_string).collect();
    (!tags.is_empty()).then(|| tags.join(";"))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trunks_are_tags_and_ranges() {
        for (text, tags) in [
            ("trunks=20;10", Some(&[10, 20][..])),
            ("trunks=5;10-12", Some(&[5, 10, 11, 12])),
            ("trunks=4093-9999999999", Some(&[4093, 4094])),
            ("tag=5", None),
        ] {
            let nic = PropertyString::parse(text, None).unwrap();
            let tags = tags.map(|tags| tags.iter().copied().collect());
            assert_eq!(trunks(&nic, Some(&[7].into())), tags, "{text}");
        }
        let bare = PropertyString::parse("tag=5", None).unwrap();
        assert_eq!(trunks(&bare, Some(&[].into())), Some([].into()));
        assert_eq!(
            trunks_text(Some(&[20, 10].into())).as_deref(),
            Some("10;20")
        );
        assert_eq!(trunks_text(Some(&[].into())), None);
    }
}
