//! Makes the VM on the cluster, so that it is in the state whatever happens on the way.
//!
//! Does not start it.

use std::time::Duration;

use super::{
    calls, host,
    model::DockerVm,
    seed_file::{SeedFile, lasting},
};
use crate::{
    framework::{Failure, Result, State},
    pve::{self, PropertyString, Pve, QemuConfig, Upid},
    resources::cluster::Cluster,
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
    let asked = plan.vm_id;
    let mut tag = cluster.tag();
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
        let error = match pve
            .send(&calls::create(plan, vmid, &seed.volume(), tag))
            .await
        {
            Ok(pve::Answer::Task(task)) => {
                return finish(pve, &task, plan, &seed, state).await.map(|()| vmid);
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
            && arrived(&lasting(pve), plan, vmid).await?
        {
            state.save(plan.clone());
            return Ok(vmid);
        }
        seed.clean_up(pve, state).await;
        let text = error.to_string();
        if asked.is_none() && text.contains("already exists") {
            continue;
        }
        if let Some(refused) = tag
            && matches!(error, pve::Error::Forbidden { .. })
            && text.contains("tag")
        {
            state.warn(
                "The guest is created without the provider's tag",
                format!("The cluster does not let this credential set the tag {refused}: {text}"),
            );
            tag = None;
            continue;
        }
        if text.contains("pool '") {
            return Err(Failure::from(error).at("pool_id"));
        }
        return Err(match text.contains("already exists") {
            true => Failure::from(error).at("vm_id").hint(format!(
                "take another vm_id, or leave it open; if it is this very VM, import it with the id qemu/{vmid}"
            )),
            false => error.into(),
        });
    }
}

async fn finish(
    pve: &Pve,
    task: &Upid,
    plan: &DockerVm,
    seed: &SeedFile,
    state: &mut State<DockerVm>,
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
            // qemu-server PVE/API2/Qemu.pm, create_vm: the worker has freed the disks and the config.
            if matches!(&error, pve::Error::Task { exit, .. } if exit.starts_with("unable to create VM"))
            {
                state.remove();
                seed.clean_up(pve, state).await;
            }
            Err(explain(error, plan))
        }
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

/// Whether a create that nobody answered has made this very VM.
async fn arrived(pve: &Pve, plan: &DockerVm, vmid: u32) -> Result<bool> {
    let (first, longest) = (Duration::from_millis(250), Duration::from_secs(3));
    // While it is being created its config holds the lock and nothing else.
    let look = || async {
        let config = pve.vm_config_opt(&plan.node_name, vmid).await?;
        let locked = config.as_ref().and_then(|config| config.lock.as_deref()) == Some("create");
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
    config.name.as_deref() == Some(plan.name.as_str())
        && plan
            .network_device
            .iter()
            .flatten()
            .all(|(slot, nic)| has_mac(slot, &nic.mac_address))
}
