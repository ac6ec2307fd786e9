//! Makes the VM on the cluster, so that it is in the state whatever happens on the way.
//!
//! Does not start it.

use std::time::Duration;

use super::{calls, clones, host, model::DockerVm, seed_file::SeedFile};
use crate::{
    framework::{Failure, Result, State},
    pve::{self, Pve},
    resources::{
        cluster::Cluster,
        host::{
            Kind,
            clones::source_node,
            inside::draw_mac,
            make::{self, Ended, Making, again, refused},
            network,
        },
    },
};

impl DockerVm {
    /// NICs without a MAC get one here: the seed names NICs by MAC before Proxmox VE could draw one.
    pub(super) fn with_macs(mut self) -> Self {
        for nic in self
            .network_device
            .iter_mut()
            .flat_map(|nics| nics.values_mut())
        {
            if nic.mac_address.is_none() {
                nic.mac_address = Some(draw_mac());
            }
        }
        self
    }
}

/// Uploads the seed and makes the VM, under a free VMID if none is asked for. Once this returns,
/// and if it fails after Proxmox VE accepted, the state knows the VM.
pub(super) async fn make(
    cluster: &Cluster,
    pve: &Pve,
    plan: &mut DockerVm,
    storage: &str,
    state: &mut State<DockerVm>,
) -> Result<u32> {
    let nics = plan.network_device.iter().flatten();
    let bridges = nics.map(|(slot, nic)| (slot, nic.bridge.as_str()));
    network::want_bridges(cluster, pve, &plan.node_name, "network_device", bridges).await?;
    let asked = plan.vm_id;
    let mut tag = cluster.tag();
    let source = match plan.clone.clone() {
        Some(source) => Some((source_node(pve, Kind::Qemu, &source).await?, source)),
        None => None,
    };
    loop {
        let vmid = make::vmid(pve, asked).await?;
        plan.identify(vmid);
        let seed = SeedFile::new(&plan.node_name, storage, vmid);
        if let Err(error) = seed.upload(pve, host::seed(plan, vmid)).await {
            seed.clean_up(pve, state).await;
            return Err(Failure::from(error).at("initialization"));
        }
        let call = match &source {
            Some((node, source)) => {
                plan.current_node = Some(node.clone());
                calls::clone(plan, source, node, vmid)
            }
            None => calls::create(plan, vmid, &seed.volume(), tag),
        };
        let nics = plan.network_device.iter().flatten();
        let making = Making {
            kind: Kind::Qemu,
            node: plan.current_node.as_deref().unwrap_or_default(),
            vmid,
            clone: source.is_some(),
            name: &plan.name,
            macs: nics.map(|(slot, nic)| (slot, &nic.mac_address)).collect(),
        };
        let error = match making.ask(pve, &call, plan, state).await? {
            Ended::Made => {
                if source.is_some() {
                    clones::settle(pve, plan, vmid, &seed, tag, state).await?;
                }
                return Ok(vmid);
            }
            Ended::Locked => {
                seed.clean_up(pve, state).await;
                let second = Duration::from_secs(1);
                pve.pause("the source of the clone", second).await?;
                continue;
            }
            Ended::Failed { error, left } => {
                // Unlike a VM that is made from an image, a clone does not have the seed yet.
                if !left || source.is_some() {
                    seed.clean_up(pve, state).await;
                }
                return Err(explain(error, plan));
            }
            Ended::Refused(error) => error,
        };
        seed.clean_up(pve, state).await;
        if again(asked, &mut tag, &error, state) {
            continue;
        }
        return Err(refused(error, Kind::Qemu, vmid));
    }
}

/// Points a failed create at the image if it is about that.
fn explain(error: pve::Error, plan: &DockerVm) -> Failure {
    let failure = Failure::from(error);
    let image = plan.image.as_ref().and_then(|image| image.id.as_deref());
    let file = image.and_then(|id| id.rsplit(['/', ':']).next());
    match file.is_some_and(|file| failure.detail.contains(file)) {
        true => failure.at("image.id"),
        false => failure,
    }
}
