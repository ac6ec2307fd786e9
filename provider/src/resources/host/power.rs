//! Starts, stops, moves and destroys a guest, and waits until that is so.
//!
//! For a guest under HA the tasks only register the wish; the HA manager carries it out some seconds later.

use std::time::Duration;

use super::{HostId, Kind, checks::mebibytes};
use crate::{
    framework::{Failure, Result, State},
    pve::{self, Call, GuestRow, Params, PendingRow, Pve},
};

/// A guest and where it is.
#[derive(Clone, Debug)]
pub(in crate::resources) struct Place {
    pub(in crate::resources) id: HostId,
    pub(in crate::resources) node: String,
    pub(in crate::resources) under_ha: bool,
}

impl Place {
    /// A guest that was just made.
    pub(in crate::resources) fn new(kind: Kind, node: &str, vmid: u32) -> Self {
        Self {
            id: HostId { kind, vmid },
            node: node.to_owned(),
            under_ha: false,
        }
    }

    /// A guest of the cluster's list.
    pub(in crate::resources) fn of(kind: Kind, row: &GuestRow) -> Self {
        Self {
            under_ha: row.under_ha(),
            ..Self::new(kind, &row.node, row.vmid)
        }
    }

    /// Path of the guest, and what follows it.
    pub(in crate::resources) fn path(&self, what: &str) -> String {
        format!("/nodes/{}/{}{what}", self.node, self.id)
    }

    fn does(&self, what: &str) -> String {
        format!("the {what} of the {} by HA", self.id.kind.noun())
    }
}

/// Runs calls and passes the warnings of their tasks on.
pub(in crate::resources) async fn run<M>(
    pve: &Pve,
    state: &mut State<M>,
    calls: impl IntoIterator<Item = Call>,
) -> Result<(), pve::Error> {
    for warning in pve.run(calls).await? {
        state.warn("Proxmox VE warns", warning);
    }
    Ok(())
}

/// Brings the guest `up` or down, or restarts it if that is `due` and something waits for it. Says whether it booted.
pub(in crate::resources) async fn switch<M>(
    pve: &Pve,
    place: &Place,
    up: bool,
    due: bool,
    state: &mut State<M>,
) -> Result<bool> {
    match (runs(pve, place).await?, up) {
        (false, true) => {}
        (true, false) => stop(pve, place, false, state).await?,
        (true, true) if due && waits(pve, place).await? => stop(pve, place, false, state).await?,
        _ => return Ok(false),
    }
    if up {
        start(pve, place, state).await?;
    }
    Ok(up)
}

/// Starts the guest.
pub(in crate::resources) async fn start<M>(
    pve: &Pve,
    place: &Place,
    state: &mut State<M>,
) -> Result<()> {
    let call = Call::post(place.path("/status/start"), Params::new()).task();
    run(pve, state, [call]).await?;
    until(pve, place, "start", || runs(pve, place)).await
}

/// Shuts the guest down and cuts its power after a minute, or `at_once`.
pub(in crate::resources) async fn stop<M>(
    pve: &Pve,
    place: &Place,
    at_once: bool,
    state: &mut State<M>,
) -> Result<()> {
    let shutdown = || {
        Params::new()
            .with("timeout", Some(60))
            .flag("forceStop", Some(true))
    };
    let call = match at_once {
        true => Call::post(place.path("/status/stop"), Params::new()),
        false => Call::post(place.path("/status/shutdown"), shutdown()),
    };
    run(pve, state, [call.task()]).await?;
    until(pve, place, "stop", || async {
        Ok(!runs(pve, place).await?)
    })
    .await
}

/// Moves the guest by `call` to another node.
pub(in crate::resources) async fn migrate<M>(
    pve: &Pve,
    place: &Place,
    target: &str,
    call: Call,
    state: &mut State<M>,
) -> Result<()> {
    run(pve, state, [call])
        .await
        .map_err(|error| Failure::from(error).at("node_name"))?;
    until(pve, place, "move", || async {
        let rows = pve.guests_now().await?;
        let there = |now: &GuestRow| now.vmid == place.id.vmid && now.node == target;
        Ok(rows.iter().any(there))
    })
    .await
}

/// Grows a volume to a decimal number of GiB.
pub(in crate::resources) fn resize(place: &Place, slot: &str, gibibytes: &str) -> Call {
    // Without a unit Proxmox VE would take bytes, and it knows no exact decimals.
    let size = format!("{}M", mebibytes(gibibytes).unwrap_or_default());
    let params = Params::new()
        .with("disk", Some(slot))
        .with("size", Some(size));
    Call::put(place.path("/resize"), params).task()
}

/// Puts the guest into another pool, or out of its own.
pub(in crate::resources) fn pool(
    prior: Option<&String>,
    plan: Option<&String>,
    vmid: u32,
) -> Option<Call> {
    if prior == plan {
        return None;
    }
    let params = Params::new()
        .with("poolid", plan.or(prior))
        .with("vms", Some(vmid));
    let params = match (prior, plan) {
        (_, None) => params.flag("delete", Some(true)),
        (Some(_), _) => params.flag("allow-move", Some(true)),
        (None, _) => params,
    };
    Some(Call::put("/pools", params))
}

/// Destroys the guest with its volumes, and on wish all that the cluster plans with it.
pub(in crate::resources) fn destroy(place: &Place, purge: bool) -> Call {
    let params = Params::new()
        .flag("purge", purge.then_some(true))
        .flag("destroy-unreferenced-disks", Some(true));
    Call::delete(place.path(""), params).task()
}

/// Whether the guest runs.
pub(in crate::resources) async fn runs(pve: &Pve, place: &Place) -> pve::Result<bool> {
    let HostId { kind, vmid } = place.id;
    let status = pve.guest_status_opt(kind.word(), &place.node, vmid).await?;
    Ok(status.is_some_and(|status| status.is_running()))
}

/// Whether the guest runs, by its row where that will do: the list lags some seconds, so it is believed where it says
/// that nothing has changed for a running guest.
pub(in crate::resources) async fn runs_still(
    pve: &Pve,
    row: &GuestRow,
    place: &Place,
    known: Option<bool>,
) -> pve::Result<bool> {
    match row.status.as_deref() {
        Some("running") if known == Some(true) => Ok(true),
        _ => runs(pve, place).await,
    }
}

/// Whether anything really waits for a restart: some changes reach a running guest after all.
pub(in crate::resources) async fn waits(pve: &Pve, place: &Place) -> pve::Result<bool> {
    let HostId { kind, vmid } = place.id;
    let rows = pve.guest_pending(kind.word(), &place.node, vmid).await?;
    Ok(rows.iter().any(PendingRow::waits_for_restart))
}

async fn until<F: Future<Output = pve::Result<bool>>>(
    pve: &Pve,
    place: &Place,
    what: &str,
    look: impl Fn() -> F,
) -> Result<()> {
    if !place.under_ha {
        return Ok(());
    }
    let (first, longest) = (Duration::from_millis(500), Duration::from_secs(3));
    let look = || async { Ok(look().await?.then_some(())) };
    Ok(pve.poll(&place.does(what), first, longest, look).await?)
}
