//! Clones that become hosts of their own, and hosts that become templates.
//!
//! What a clone is told on its first boot is `host`'s affair, like that of any new VM.

use super::{calls, model::DockerVm, seed_file::SeedFile, values::boot_disk};
use crate::{
    framework::{Failure, Result, State},
    guest::template,
    pve::{GuestRow, Pve},
    resources::{
        cluster::Cluster,
        host::{
            Kind,
            make::without_tag,
            power::{self, Place, run},
        },
    },
};

/// Brings a fresh clone to its node and makes its configuration the planned one.
pub(super) async fn settle(
    pve: &Pve,
    plan: &mut DockerVm,
    vmid: u32,
    seed: &SeedFile,
    mut tag: Option<&str>,
    state: &mut State<DockerVm>,
) -> Result<()> {
    let node = plan.current_node.clone().unwrap_or_default();
    if node != plan.node_name {
        // Proxmox VE clones to other nodes only what is on shared storage.
        let call = calls::migrate(&node, vmid, &plan.node_name, false);
        let moved = run(pve, state, [call]).await;
        moved.map_err(|error| Failure::from(error).at("node_name"))?;
        plan.current_node = Some(plan.node_name.clone());
        state.save(plan.clone());
    }
    let Some(config) = pve.vm_config_opt(&plan.node_name, vmid).await? else {
        return Err(Failure::new(format!("the clone {vmid} is gone")));
    };
    let os = plan.os_disk.get_or_insert_default();
    match (boot_disk(&config), &os.interface) {
        (Some(slot), None) => os.interface = Some(slot.to_owned()),
        (Some(slot), Some(wanted)) if slot == wanted => {}
        (slot, _) => {
            let failure = Failure::new(format!(
                "the source boots from {}",
                slot.unwrap_or("no disk")
            ));
            return Err(failure.at("os_disk.interface"));
        }
    }
    loop {
        let calls = calls::adopt(plan, vmid, &config, &seed.volume(), tag);
        match run(pve, state, calls).await {
            Err(error) if without_tag(&mut tag, &error, state) => {}
            other => return Ok(other?),
        }
    }
}

/// Cleans a host that runs of what makes it one machine, and turns it into a template.
pub(super) async fn convert(
    cluster: &Cluster,
    pve: &Pve,
    row: &GuestRow,
    mut host: DockerVm,
    state: &mut State<DockerVm>,
) -> Result<DockerVm> {
    let guest = host.reach(cluster, pve, (&row.node, row.vmid))?;
    guest.wait().await?;
    let cleaned = template::clean(&guest).await;
    guest.close().await;
    cleaned.map_err(|error| Failure::from(error).at("template"))?;
    power::stop(pve, &Place::of(Kind::Qemu, row), false, state).await?;
    run(pve, state, [calls::template(&row.node, row.vmid)])
        .await
        .map_err(|error| Failure::from(error).at("template"))?;
    host.template = Some(true);
    host.started = Some(false);
    host.status = Some("stopped".to_owned());
    (host.ipv4_address, host.ipv6_address, host.addresses) = (None, None, None);
    Ok(host)
}
