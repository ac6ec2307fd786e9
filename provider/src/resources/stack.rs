//! `pmoves_stack`.
//!
//! Text and plan are in `text` and `effects`; what runs on the host is in `guest::project`.

mod apply;
mod checks;
mod content;
mod effects;
mod model;
mod read;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

use serde_json::{Value as Json, json};

pub use model::{Service, Stack};

use super::{
    cluster::Cluster,
    host::{HostId, Kind},
};
use crate::{
    framework::{
        Context, Failure, Plan, Resource, Result, State, Value, model::untyped, resource::Faults,
    },
    guest::{
        self, facts,
        project::{self, down},
    },
};

/// Seconds in which a host that does not answer may turn out to be on its way out.
const GOODBYES: u32 = 10;

/// The resource.
pub struct StackResource;

impl Resource for StackResource {
    const NAME: &'static str = "pmoves_stack";
    type Client = Cluster;
    type Model = Stack;
    const IDENTITY: &'static [&'static str] = &["host_id", "name"];

    fn validate(config: &Value, found: &mut Faults<'_>) {
        text::validate(config, found);
    }

    fn effects(plan: &mut Plan<'_>) {
        effects::effects(plan);
    }

    async fn check(
        &self,
        cx: &Context<'_, Cluster>,
        plan: &Plan<'_>,
        found: &mut Faults<'_>,
    ) -> Result<()> {
        let text = plan.value.get("host_id").as_str();
        let Some(host) = text.and_then(HostId::parse) else {
            return Ok(());
        };
        let Some(pve) = cx.client.pve_opt(cx).filter(|_| plan.creating()) else {
            return Ok(());
        };
        if host.kind == Kind::Lxc {
            let by_ssh = !plan.value.get("ssh").is_null();
            let way = ("host_id", by_ssh.then_some("ssh"));
            cx.client.check_way(&pve, way, found).await?;
        }
        // A host that is not there may be made by this very apply.
        match pve.guests().await?.iter().find(|row| row.vmid == host.vmid) {
            Some(row) if row.kind != host.kind.word() => found.error(
                "host_id",
                format!("Not a {}", host.kind.noun()),
                format!("The id of {} is {}/{}.", row.vmid, row.kind, row.vmid),
            ),
            Some(row) if row.template => found.error(
                "host_id",
                "A template runs nothing",
                format!("{host} is a template."),
            ),
            _ => {}
        }
        Ok(())
    }

    async fn create(
        &self,
        cx: &Context<'_, Cluster>,
        plan: Stack,
        state: &mut State<Stack>,
    ) -> Result<()> {
        let host = apply::Host::of(cx, &plan.host_id, plan.ssh.as_ref()).await?;
        let seen = facts::read(&host.guest).await?;
        facts::guard(&seen).map_err(|error| Failure::from(error).at("host_id"))?;
        let done = host.apply(cx, &Stack::default(), plan, state).await;
        host.guest.close().await;
        done
    }

    async fn read(
        &self,
        cx: &Context<'_, Cluster>,
        prior: Stack,
        state: &mut State<Stack>,
    ) -> Result<()> {
        read::read(cx, prior, state).await
    }

    async fn update(
        &self,
        cx: &Context<'_, Cluster>,
        prior: Stack,
        plan: Stack,
        state: &mut State<Stack>,
    ) -> Result<()> {
        if apply::settings_only(&prior, &plan) {
            state.save(plan);
            return Ok(());
        }
        let host = apply::Host::of(cx, &plan.host_id, plan.ssh.as_ref()).await?;
        let done = host.apply(cx, &prior, plan, state).await;
        host.guest.close().await;
        done
    }

    async fn delete(
        &self,
        cx: &Context<'_, Cluster>,
        prior: Stack,
        _state: &mut State<Stack>,
    ) -> Result<()> {
        if prior.on_destroy.as_deref() == Some("keep") {
            return Ok(());
        }
        let pve = cx.client.pve(cx)?;
        let vmid = prior.vmid()?;
        let Some(row) = pve.guest_opt(vmid).await? else {
            return Ok(());
        };
        let texts = text::texts(&untyped(&prior));
        let removal = down::Removal {
            project: prior.name.clone(),
            directory: prior.directory(),
            compose_files: texts.into_iter().map(|(name, _)| name).collect(),
            delete_volumes: prior.delete_volumes == Some(true),
        };
        let guest = cx.client.guest(&pve, &row, prior.ssh.as_ref()).await?;
        cx.client.forget(vmid);
        let done = down::down(&guest, &removal).await;
        guest.close().await;
        let Err(error) = done else {
            return Ok(());
        };
        let silent = matches!(&error, project::Error::Guest(guest::Error::Api(_)));
        if !silent {
            return Err(error.into());
        }
        // The host may be destroyed at the same time: an id that was written out, as in generated
        // configuration, tells core nothing of an order.
        for _ in 0..GOODBYES {
            if pve.vmid_is_free(vmid).await? {
                return Ok(());
            }
            pve.pause("the host", Duration::from_secs(1)).await?;
        }
        Err(Failure::from(error).hint("if the host will not come back, set on_destroy = \"keep\" and apply, or `tofu state rm` the stack"))
    }

    fn import(id: &str) -> Result<Json> {
        let parsed = id.rsplit_once('/').filter(|(host, name)| {
            HostId::parse(host).is_some() && checks::project_name(&(*name).into()).is_ok()
        });
        let (host, name) = parsed.ok_or_else(|| {
            Failure::new(format!(
                "{id:?} is no stack; write it as qemu/101/NAME or lxc/102/NAME"
            ))
        })?;
        Ok(json!({ "id": id, "host_id": host, "name": name }))
    }
}
