//! Starts, stops and moves a VM, and waits until that is so.
//!
//! For a guest under HA the tasks only register the wish; the HA manager carries it out some seconds later.

use std::time::Duration;

use super::{calls, model::DockerVm, read, run};
use crate::{
    framework::{Failure, Result, State},
    pve::{self, GuestRow, PendingRow, Pve},
};

/// Starts, stops or restarts the VM as the plan wants, and says whether it booted.
pub(super) async fn switch(
    pve: &Pve,
    prior: &DockerVm,
    plan: &DockerVm,
    row: &GuestRow,
    state: &mut State<DockerVm>,
) -> Result<bool> {
    let up = plan.started != Some(false);
    match (runs(pve, &row.node, row.vmid).await?, up) {
        (false, true) => {}
        (true, false) => stop(pve, row, false, state).await?,
        (true, true) if read::restart_due(prior, plan) && waits(pve, row).await? => {
            stop(pve, row, false, state).await?;
        }
        _ => return Ok(false),
    }
    if up {
        start(pve, &row.node, row.vmid, row.under_ha(), state).await?;
    }
    Ok(up)
}

/// Starts the VM.
pub(super) async fn start(
    pve: &Pve,
    node: &str,
    vmid: u32,
    under_ha: bool,
    state: &mut State<DockerVm>,
) -> Result<()> {
    run(pve, state, [calls::start(node, vmid)]).await?;
    until(pve, under_ha, "the start of the VM by HA", || async {
        runs(pve, node, vmid).await
    })
    .await
}

/// Shuts the guest down, or cuts its power `at_once`.
pub(super) async fn stop(
    pve: &Pve,
    row: &GuestRow,
    at_once: bool,
    state: &mut State<DockerVm>,
) -> Result<()> {
    let call = match at_once {
        true => calls::stop(&row.node, row.vmid),
        false => calls::shutdown(&row.node, row.vmid),
    };
    run(pve, state, [call]).await?;
    until(pve, row.under_ha(), "the stop of the VM by HA", || async {
        Ok(!runs(pve, &row.node, row.vmid).await?)
    })
    .await
}

/// Moves the VM to another node: while it runs if nothing ties it to its own.
pub(super) async fn migrate(
    pve: &Pve,
    prior: &DockerVm,
    row: &GuestRow,
    target: &str,
    state: &mut State<DockerVm>,
) -> Result<()> {
    let running = runs(pve, &row.node, row.vmid).await?;
    let online = running && prior.moves_online();
    if running && !online {
        stop(pve, row, false, state).await?;
    }
    let call = calls::migrate(&row.node, row.vmid, target, online);
    run(pve, state, [call])
        .await
        .map_err(|error| Failure::from(error).at("node_name"))?;
    until(pve, row.under_ha(), "the move of the VM by HA", || async {
        let rows = pve.guests_now().await?;
        let there = |now: &GuestRow| now.vmid == row.vmid && now.node == target;
        Ok(rows.iter().any(there))
    })
    .await
}

/// Whether the VM runs.
pub(super) async fn runs(pve: &Pve, node: &str, vmid: u32) -> pve::Result<bool> {
    let status = pve.vm_status_opt(node, vmid).await?;
    Ok(status.is_some_and(|status| status.is_running()))
}

async fn until<F: Future<Output = pve::Result<bool>>>(
    pve: &Pve,
    under_ha: bool,
    what: &str,
    look: impl Fn() -> F,
) -> Result<()> {
    if !under_ha {
        return Ok(());
    }
    let (first, longest) = (Duration::from_millis(500), Duration::from_secs(3));
    let look = || async { Ok(look().await?.then_some(())) };
    Ok(pve.poll(what, first, longest, look).await?)
}

/// Whether anything really waits for a restart: some changes reach a running VM after all.
async fn waits(pve: &Pve, row: &GuestRow) -> Result<bool> {
    let rows = pve.vm_pending(&row.node, row.vmid).await?;
    Ok(rows.iter().any(PendingRow::waits_for_restart))
}
