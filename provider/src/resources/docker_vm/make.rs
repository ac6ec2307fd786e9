//! Makes the VM on the cluster, so that it is in the state whatever happens on the way.
//!
//! Does not start it.

use std::time::Duration;

use super::{calls, clones, host, model::DockerVm, seed_file::SeedFile};
use crate::{
    framework::{Failure, Result, State},
    pve::{self, PropertyString, Pve, QemuConfig, Upid},
    resources::{
        cluster::Cluster,
        host::{
            Kind,
            clones::{concerns_tags, refused, source_node, warn_of_tag},
            network,
        },
    },
};

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
        let vmid = match asked {
            Some(vmid) => {
                pve.taken(vmid);
                vmid
            }
            None => pve.free_vmid().await?,
        };
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
        let error = match pve.send(&call).await {
            Ok(pve::Answer::Task(task)) => {
                if !finish(pve, &task, plan, &seed, state).await? {
                    pve.pause("the source of the clone", Duration::from_secs(1))
                        .await?;
                    continue;
                }
                if source.is_some() {
                    clones::settle(pve, plan, vmid, &seed, tag, state).await?;
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
        if matches!(error, pve::Error::OutcomeUnknown { .. })
            && arrived(&pve.lasting(), plan, vmid).await?
        {
            state.save(plan.clone());
            if source.is_some() {
                clones::settle(pve, plan, vmid, &seed, tag, state).await?;
            }
            return Ok(vmid);
        }
        seed.clean_up(pve, state).await;
        let text = error.to_string();
        if asked.is_none() && text.contains("already exists") {
            continue;
        }
        if let Some(refused) = tag.filter(|_| concerns_tags(&error)) {
            warn_of_tag(refused, &text, state);
            tag = None;
            continue;
        }
        return Err(refused(error, Kind::Qemu, vmid));
    }
}

/// Waits for the create, and says whether it is done; a source that is locked may be asked again.
async fn finish(
    pve: &Pve,
    task: &Upid,
    plan: &DockerVm,
    seed: &SeedFile,
    state: &mut State<DockerVm>,
) -> Result<bool> {
    state.save(plan.clone());
    match pve.wait(task).await {
        Ok(warnings) => {
            for warning in warnings {
                state.warn("Proxmox VE warns", warning);
            }
            Ok(true)
        }
        Err(error) => {
            // qemu-server PVE/API2/Qemu.pm, create_vm and clone_vm: the worker has freed the disks and the config.
            if let pve::Error::Task { exit, .. } = &error
                && (exit.starts_with("unable to create VM") || exit.starts_with("clone failed"))
            {
                state.remove();
                seed.clean_up(pve, state).await;
                if plan.clone.is_some() && exit.contains("can't lock file") {
                    return Ok(false);
                }
            } else if plan.clone.is_some() {
                if matches!(error, pve::Error::Cancelled)
                    && undone(pve, task, plan, seed.vmid()).await?
                {
                    state.remove();
                }
                // Unlike a VM that is made from an image, a clone does not have the seed yet.
                seed.clean_up(pve, state).await;
            }
            Err(explain(error, plan))
        }
    }
}

/// Stops a clone that was cancelled, and says whether nothing is left of it.
async fn undone(pve: &Pve, task: &Upid, plan: &DockerVm, vmid: u32) -> Result<bool> {
    pve.stop(task).await?;
    let node = plan.current_node.as_deref().unwrap_or(&plan.node_name);
    Ok(pve.lasting().vm_config_opt(node, vmid).await?.is_none())
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

/// Whether a create that nobody answered has made this very VM.
async fn arrived(pve: &Pve, plan: &DockerVm, vmid: u32) -> Result<bool> {
    let (first, longest) = (Duration::from_millis(250), Duration::from_secs(3));
    let node = plan.current_node.as_deref().unwrap_or(&plan.node_name);
    // While it is being created its config holds the lock and nothing else.
    let look = || async {
        let config = pve.vm_config_opt(node, vmid).await?;
        let lock = config.as_ref().and_then(|config| config.lock.as_deref());
        let locked = matches!(lock, Some("create" | "clone"));
        Ok((!locked).then_some(config))
    };
    let config = pve
        .poll("the create of the VM", first, longest, look)
        .await?;
    Ok(config.is_some_and(|config| is_ours(&config, plan)))
}

/// Name and MAC addresses tell: of the latter at least one was drawn a moment ago, if the
/// practitioner chose none.
fn is_ours(config: &QemuConfig, plan: &DockerVm) -> bool {
    let has_mac = |slot: &String, mac: &Option<String>| {
        let value = config
            .nets
            .get(slot)
            .and_then(|raw| PropertyString::parse(raw, None).ok());
        let first = value.as_ref().and_then(PropertyString::first);
        first.is_some_and(|(_, now)| {
            mac.as_deref()
                .is_some_and(|mac| mac.eq_ignore_ascii_case(now))
        })
    };
    // A clone has MAC addresses of Proxmox VE's own choice first.
    config.name.as_deref() == Some(plan.name.as_str())
        && (plan.clone.is_some()
            || plan
                .network_device
                .iter()
                .flatten()
                .all(|(slot, nic)| has_mac(slot, &nic.mac_address)))
}
