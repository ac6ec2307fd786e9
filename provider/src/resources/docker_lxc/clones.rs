//! Clones that become hosts of their own, and hosts that become templates.

use super::{
    calls,
    model::{DockerLxc, Features},
};
use crate::{
    framework::{Failure, Result, State},
    guest::{reached::Reached, template},
    pve::Pve,
    resources::host::{
        Kind,
        make::without_tag,
        power::{self, Place, run},
        volumes::{bytes_of, gibibytes, storage_of},
    },
};

/// Brings a fresh clone to its node and makes its configuration the planned one.
pub(super) async fn settle(
    pve: &Pve,
    plan: &mut DockerLxc,
    vmid: u32,
    mut tag: Option<&str>,
    state: &mut State<DockerLxc>,
) -> Result<()> {
    let node = plan.current_node.clone().unwrap_or_default();
    if node != plan.node_name {
        // Proxmox VE clones to other nodes only what is on shared storage.
        let call = calls::migrate(&Place::new(Kind::Lxc, &node, vmid), &plan.node_name, false);
        let moved = run(pve, state, [call]).await;
        moved.map_err(|error| Failure::from(error).at("node_name"))?;
        plan.current_node = Some(plan.node_name.clone());
        state.save(plan.clone());
    }
    let place = Place::new(Kind::Lxc, &plan.node_name, vmid);
    let config = super::config(pve, &place).await?;
    if config.unprivileged != (plan.unprivileged != Some(false)) {
        let failure =
            Failure::new("a clone is privileged or not as its source is, and this plan differs");
        return Err(failure.at("unprivileged"));
    }
    if plan.data_volume.is_none() && config.mount_points.contains_key(calls::DATA_SLOT) {
        let failure = Failure::new("the source has a data volume, which is cloned too");
        return Err(failure.at("data_volume"));
    }
    loop {
        let calls = calls::adopt(plan, &place, &config, tag);
        match run(pve, state, calls).await {
            Err(error) if without_tag(&mut tag, &error, state) => {}
            other => {
                other?;
                break;
            }
        }
    }
    note_source(plan, &super::config(pve, &place).await?);
    state.save(plan.clone());
    Ok(())
}

/// Fills in what the plan left to the source.
fn note_source(plan: &mut DockerLxc, config: &crate::pve::LxcConfig) {
    let has_keyctl = config.features.as_deref().is_some_and(|raw| {
        let value = crate::pve::PropertyString::parse(raw, None);
        value.is_ok_and(|value| value.flag("keyctl") == Some(true))
    });
    let features: &mut Features = plan.features.get_or_insert_default();
    features.keyctl.get_or_insert(has_keyctl);
    let root = plan.root_disk.get_or_insert_default();
    if let Some(raw) = &config.rootfs {
        root.datastore_id = root.datastore_id.take().or_else(|| storage_of(raw));
        root.size_gb = root.size_gb.take().or_else(|| bytes_of(raw).map(gibibytes));
    }
    if let (Some(volume), Some(raw)) = (
        &mut plan.data_volume,
        config.mount_points.get(calls::DATA_SLOT),
    ) {
        volume.datastore_id = volume.datastore_id.take().or_else(|| storage_of(raw));
    }
}

/// Cleans a host that runs of what makes it one machine, and turns it into a template.
pub(super) async fn convert(
    pve: &Pve,
    guest: &Reached,
    place: &Place,
    mut host: DockerLxc,
    state: &mut State<DockerLxc>,
) -> Result<DockerLxc> {
    let cleaned = template::clean(guest).await;
    guest.close().await;
    cleaned.map_err(|error| Failure::from(error).at("template"))?;
    power::stop(pve, place, false, state).await?;
    for warning in pve
        .lxc_template(&place.node, place.id.vmid)
        .await
        .map_err(|error| Failure::from(error).at("template"))?
    {
        state.warn("Proxmox VE warns", warning);
    }
    host.template = Some(true);
    host.started = Some(false);
    host.status = Some("stopped".to_owned());
    (host.ipv4_address, host.ipv6_address, host.addresses) = (None, None, None);
    Ok(host)
}
