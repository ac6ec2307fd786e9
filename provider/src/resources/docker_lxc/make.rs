//! Makes the container on the cluster, so that it is in the state whatever happens on the way.
//!
//! Does not start it.

use std::time::Duration;

use super::{calls, clones, model::DockerLxc};
use crate::{
    framework::{Failure, Result, State},
    pve::Pve,
    resources::{
        cluster::Cluster,
        host::{
            Kind,
            clones::source_node,
            make::{self, Ended, Making, again, refused},
            network,
        },
    },
};

/// Makes the container, under a free VMID if none is asked for. Once this returns, and if it fails after Proxmox VE
/// accepted, the state knows the container.
pub(super) async fn make(
    cluster: &Cluster,
    pve: &Pve,
    plan: &mut DockerLxc,
    state: &mut State<DockerLxc>,
) -> Result<u32> {
    let nics = plan.network_interface.iter().flatten();
    let bridges = nics.map(|(slot, nic)| (slot, nic.bridge.as_str()));
    network::want_bridges(cluster, pve, &plan.node_name, "network_interface", bridges).await?;
    let asked = plan.vm_id;
    let mut tag = cluster.tag();
    let source = match plan.clone.clone() {
        Some(source) => Some((source_node(pve, Kind::Lxc, &source).await?, source)),
        None => None,
    };
    loop {
        let vmid = make::vmid(pve, asked).await?;
        plan.identify(vmid);
        let call = match &source {
            Some((node, source)) => {
                plan.current_node = Some(node.clone());
                calls::clone(plan, source, node, vmid)
            }
            None => calls::create(plan, vmid, tag),
        };
        let nics = plan.network_interface.iter().flatten();
        let making = Making {
            kind: Kind::Lxc,
            node: plan.current_node.as_deref().unwrap_or_default(),
            vmid,
            clone: source.is_some(),
            name: &plan.name,
            macs: nics.map(|(slot, nic)| (slot, &nic.mac_address)).collect(),
        };
        let error = match making.ask(pve, &call, plan, state).await? {
            Ended::Made => {
                if source.is_some() {
                    clones::settle(pve, plan, vmid, tag, state).await?;
                }
                return Ok(vmid);
            }
            Ended::Locked => {
                let second = Duration::from_secs(1);
                pve.pause("the source of the clone", second).await?;
                continue;
            }
            Ended::Failed { error, .. } => return Err(explain(error.into(), plan)),
            Ended::Refused(error) => error,
        };
        if again(asked, &mut tag, &error, state) {
            continue;
        }
        let failure = refused(error, Kind::Lxc, vmid);
        return Err(match failure.at.is_none() {
            true => explain(failure, plan),
            false => failure,
        });
    }
}

/// Points a failed create at what it is about.
fn explain(failure: Failure, plan: &DockerLxc) -> Failure {
    let template = plan.template_file_id.as_deref();
    let file = template.and_then(|id| id.rsplit(['/', ':']).next());
    let detail = failure.detail.clone();
    match () {
        () if file.is_some_and(|file| detail.contains(file)) => failure.at("template_file_id"),
        () if detail.contains("SSH public key") => failure.at("initialization.user_account.keys"),
        () => failure,
    }
}
