//! Who may log in to the guest of `pmoves_docker_vm`.

use std::collections::BTreeSet;

use super::model::{DockerVm, UserAccount};
use crate::{
    framework::{Failure, Plan, Result, resource::Faults},
    guest::{keys, reached::Reached},
};

/// The account for people, unless it is called otherwise.
pub(super) const NAME: &str = "pmoves";
const KEYS: &str = "initialization.user_account.keys";

/// The keys before and after, unless they stay or were never ours.
pub(super) fn changed<'a>(
    prior: &'a DockerVm,
    plan: &'a DockerVm,
) -> Option<(&'a BTreeSet<String>, &'a BTreeSet<String>)> {
    let keys = |vm: &'a DockerVm| account(vm)?.keys.as_ref();
    let (before, after) = (keys(prior)?, keys(plan)?);
    (before != after).then_some((before, after))
}

/// Changes who may log in.
pub(super) async fn change(guest: &Reached, prior: &DockerVm, plan: &DockerVm) -> Result<()> {
    let Some((before, after)) = changed(prior, plan) else {
        return Ok(());
    };
    guest.wait().await?;
    let name = account(plan).and_then(|account| account.username.as_deref());
    keys::change(guest, name.unwrap_or(NAME), before, after)
        .await
        .map_err(|error| Failure::from(error).or_at(KEYS))
}

fn account(vm: &DockerVm) -> Option<&UserAccount> {
    vm.initialization.as_ref()?.user_account.as_ref()
}

/// Whether a plan changes the keys in the guest: those that were never ours are only noted.
pub(super) fn changes(plan: &Plan<'_>) -> bool {
    plan.changed(KEYS) && !plan.prior.at(KEYS).is_null()
}

/// Keys change in a guest that runs and can be `reached`.
pub(super) fn check(plan: &Plan<'_>, reached: bool, found: &mut Faults<'_>) {
    let runs = plan.value.get("started").as_bool() != Some(false);
    let (summary, detail) = match (runs, reached) {
        (true, true) => return,
        (false, _) => (
            "The guest does not run",
            "Its keys are changed inside. Start it with the same change, or change them later.",
        ),
        (true, false) => (
            "The guest cannot be reached",
            "Its keys are changed inside, and the VM has no agent (agent.enabled is false). Enable it, or give the provider ssh = { … }.",
        ),
    };
    if changes(plan) {
        found.error(KEYS, summary, detail);
    }
}
