//! What happens inside the guest of `pmoves_docker_lxc`, and what the state takes from it.

use std::collections::BTreeMap;

use super::model::DockerLxc;
use crate::{
    framework::{Failure, Result, State},
    guest::{
        boot,
        facts::{self, Facts, Nic},
        reached::Reached,
        template,
    },
    resources::host::inside,
};

/// Whether a change of the plan concerns the inside of the guest.
pub(super) fn concerned(prior: &DockerLxc, plan: &DockerLxc) -> bool {
    prior.docker != plan.docker
        || prior.data_volume.is_none() != plan.data_volume.is_none()
        || (prior.docker_version.is_none() && plan.docker.is_some())
        || prior.started != plan.started
}

/// Waits for the boot and sets Docker up. Safe to repeat.
pub(super) async fn set_up(
    guest: &Reached,
    mut plan: DockerLxc,
    state: &mut State<DockerLxc>,
) -> Result<DockerLxc> {
    tracing::info!(name = plan.name, "waiting for the container to boot");
    let kernel = boot::wait(guest, plan.gets_address())
        .await
        .map_err(|error| Failure::from(error).or_at("timeouts"))?;
    let mut seen = facts::read(guest).await?;
    facts::guard(&seen)?;
    // Nobody has looked into it yet.
    if plan.clone.is_some() && plan.interface_name.is_none() {
        template::own_identity(guest).await?;
    }
    if let Some(docker) = &mut plan.docker {
        let missing = |module: &str| kernel.missing.iter().any(|name| name == module);
        if missing("overlay") {
            return Err(Failure::new("the kernel of the node has no overlay filesystem, of which containers are made")
                .at("docker")
                .hint("as root on the node: modprobe overlay && echo overlay > /etc/modules-load.d/overlay.conf"));
        }
        if missing("br_netfilter") {
            state.warn(
                "Filtering between containers is off",
                "The node has not loaded br_netfilter, without which Docker cannot keep containers of one network apart (`icc = false`). As root on the node: modprobe br_netfilter && echo br_netfilter > /etc/modules-load.d/br_netfilter.conf",
            );
        }
        tracing::info!(name = plan.name, "setting up Docker");
        let volume = plan.data_volume.as_ref();
        let mount = volume.and_then(|volume| volume.mount_path.clone());
        seen = inside::docker(guest, docker, mount).await?;
    }
    note_facts(&mut plan, &seen);
    Ok(plan)
}

/// Takes over what the guest says of itself.
pub(super) fn note_facts(ct: &mut DockerLxc, facts: &Facts) {
    note_nics(ct, &facts.nics);
    if let Some(docker) = &facts.docker {
        ct.docker_version = Some(docker.server.clone());
        ct.storage_driver = Some(docker.driver.clone());
    }
    if facts.compose.is_some() {
        ct.compose_version.clone_from(&facts.compose);
    }
}

/// Takes over its addresses, whoever tells them.
pub(super) fn note_nics(ct: &mut DockerLxc, nics: &BTreeMap<String, Nic>) {
    let own = ct.network_interface.iter().flatten();
    let seen = inside::addresses(own.map(|(slot, nic)| (slot, &nic.mac_address)), nics);
    ct.interface_name = seen.interface.or_else(|| ct.interface_name.take());
    ct.ipv4_address = seen.ipv4;
    ct.ipv6_address = seen.ipv6;
    ct.addresses = Some(seen.all);
}
