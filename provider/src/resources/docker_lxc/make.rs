//! Makes the container on the cluster, so that it is in the state whatever happens on the way.
//!
//! Does not start it.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{calls, clones, model::DockerLxc};
use crate::{
    framework::{Failure, Result, State},
    pve::{self, LxcConfig, PropertyString, Pve, Upid},
    resources::{
        cluster::Cluster,
        host::{
            Kind,
            clones::{concerns_tags, refused, source_node, warn_of_tag},
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
        let vmid = match asked {
            Some(vmid) => {
                pve.taken(vmid);
                vmid
            }
            None => pve.free_vmid().await?,
        };
        plan.identify(vmid);
        let call = match &source {
            Some((node, source)) => {
                plan.current_node = Some(node.clone());
                calls::clone(plan, source, node, vmid)
            }
            None => calls::create(plan, vmid, tag),
        };
        let error = match pve.send(&call).await {
            Ok(pve::Answer::Task(task)) => {
                finish(pve, &task, plan, state).await?;
                if source.is_some() {
                    clones::settle(pve, plan, vmid, tag, state).await?;
                }
                return Ok(vmid);
            }
            Ok(pve::Answer::Done(answer)) => {
                state.save(plan.clone());
                return Err(Failure::new(format!(
                    "Proxmox VE made no task of the create but answered {answer}"
                )));
            }
            Err(error) => error,
        };
        // The connection broke, perhaps after the request had arrived.
        if matches!(error, pve::Error::OutcomeUnknown { .. }) && arrived(pve, plan, vmid).await? {
            state.save(plan.clone());
            if source.is_some() {
                clones::settle(pve, plan, vmid, tag, state).await?;
            }
            return Ok(vmid);
        }
        let text = error.to_string();
        if asked.is_none() && text.contains("already exists") {
            continue;
        }
        if let Some(refused) = tag.filter(|_| concerns_tags(&error)) {
            warn_of_tag(refused, &text, state);
            tag = None;
            continue;
        }
        let failure = refused(error, Kind::Lxc, vmid);
        return Err(match failure.at.is_none() {
            true => explain(failure, plan),
            false => failure,
        });
    }
}

async fn finish(
    pve: &Pve,
    task: &Upid,
    plan: &DockerLxc,
    state: &mut State<DockerLxc>,
) -> Result<()> {
    state.save(plan.clone());
    match pve.wait(task).await {
        Ok(warnings) => {
            for warning in warnings {
                state.warn("Proxmox VE warns", warning);
            }
            Ok(())
        }
        Err(error) => {
            // pve-container PVE/API2/LXC.pm, create_vm and clone_vm: the worker has freed the volumes and the config.
            if matches!(&error, pve::Error::Task { exit, .. }
                if exit.starts_with("unable to create CT") || exit.starts_with("clone failed"))
            {
                state.remove();
            }
            Err(explain(error.into(), plan))
        }
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

/// Whether a create that nobody answered has made this very container.
async fn arrived(pve: &Pve, plan: &DockerLxc, vmid: u32) -> Result<bool> {
    let minute = Instant::now() + Duration::from_secs(60);
    let pve = pve.within(minute, CancellationToken::new());
    let (first, longest) = (Duration::from_millis(250), Duration::from_secs(3));
    let node = plan.current_node.as_deref().unwrap_or(&plan.node_name);
    // While it is being created its config holds the lock and little else.
    let look = || async {
        let config = pve.lxc_config_opt(node, vmid).await?;
        let locked = config.as_ref().and_then(|config| config.lock.as_deref()) == Some("create");
        Ok((!locked).then_some(config))
    };
    let what = "the create of the container";
    let config = pve.poll(what, first, longest, look).await?;
    Ok(config.is_some_and(|config| is_ours(&config, plan)))
}

/// Name and MAC addresses tell: of the latter at least one was drawn a moment ago, if the practitioner chose none.
fn is_ours(config: &LxcConfig, plan: &DockerLxc) -> bool {
    let has_mac = |slot: &String, mac: &Option<String>| {
        let raw = config.nets.get(slot);
        let value = raw.and_then(|raw| PropertyString::parse(raw, None).ok());
        let now = value.as_ref().and_then(|value| value.get("hwaddr"));
        let same = |mac: &str| now.is_some_and(|now| now.eq_ignore_ascii_case(mac));
        mac.as_deref().is_some_and(same)
    };
    let mut nics = plan.network_interface.iter().flatten();
    // A clone has MAC addresses of Proxmox VE's own choice first.
    config.hostname.as_deref() == Some(plan.name.as_str())
        && (plan.clone.is_some() || nics.all(|(slot, nic)| has_mac(slot, &nic.mac_address)))
}
