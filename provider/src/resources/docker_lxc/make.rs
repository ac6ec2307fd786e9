//! Makes the container on the cluster, so that it is in the state whatever happens on the way.
//!
//! Does not start it.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{calls, model::DockerLxc};
use crate::{
    framework::{Failure, Result, State},
    pve::{self, LxcConfig, PropertyString, Pve, Upid},
    resources::cluster::Cluster,
};

/// Makes the container, under a free VMID if none is asked for. Once this returns, and if it fails after Proxmox VE
/// accepted, the state knows the container.
pub(super) async fn make(
    cluster: &Cluster,
    pve: &Pve,
    plan: &mut DockerLxc,
    state: &mut State<DockerLxc>,
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
        let error = match pve.send(&calls::create(plan, vmid, tag)).await {
            Ok(pve::Answer::Task(task)) => {
                return finish(pve, &task, plan, state).await.map(|()| vmid);
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
            return Ok(vmid);
        }
        let text = error.to_string();
        let exists = text.contains("already exists");
        if asked.is_none() && exists {
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
        return Err(match exists {
            true => Failure::from(error).at("vm_id").hint(format!(
                "take another vm_id, or leave it open; if it is this very container, import it with the id lxc/{vmid}"
            )),
            false => explain(error, plan),
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
            // pve-container PVE/API2/LXC.pm, create_vm: the worker has freed the volumes and the config.
            if matches!(&error, pve::Error::Task { exit, .. } if exit.starts_with("unable to create CT"))
            {
                state.remove();
            }
            Err(explain(error, plan))
        }
    }
}

/// Points a failed create at what it is about.
fn explain(error: pve::Error, plan: &DockerLxc) -> Failure {
    let failure = Failure::from(error);
    let template = plan.template_file_id.as_deref();
    let file = template.and_then(|id| id.rsplit(['/', ':']).next());
    let detail = failure.detail.clone();
    match () {
        () if file.is_some_and(|file| detail.contains(file)) => failure.at("template_file_id"),
        () if detail.contains("pool '") => failure.at("pool_id"),
        () if detail.contains("SSH public key") => failure.at("initialization.user_account.keys"),
        () => failure,
    }
}

/// Whether a create that nobody answered has made this very container.
async fn arrived(pve: &Pve, plan: &DockerLxc, vmid: u32) -> Result<bool> {
    let minute = Instant::now() + Duration::from_secs(60);
    let pve = pve.within(minute, CancellationToken::new());
    let (first, longest) = (Duration::from_millis(250), Duration::from_secs(3));
    // While it is being created its config holds the lock and little else.
    let look = || async {
        let config = pve.lxc_config_opt(&plan.node_name, vmid).await?;
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
    config.hostname.as_deref() == Some(plan.name.as_str())
        && nics.all(|(slot, nic)| has_mac(slot, &nic.mac_address))
}
