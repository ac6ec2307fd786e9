//! `pmoves_docker_lxc`.
//!
//! The order of things: what the API is asked is in `calls`, what a plan means in `effects`, how an
//! answer becomes a state in `read`, and what happens inside the guest in `inside`.

mod calls;
mod clones;
mod effects;
mod inside;
mod make;
mod model;
mod own_checks;
mod preflight;
mod read;
#[cfg(test)]
mod tests;
mod values;

use serde_json::{Value as Json, json};

pub use model::DockerLxc;

use super::{
    cluster::Cluster,
    host::{
        Kind,
        inside::draw_mac,
        plans,
        power::{self, Place, run},
        startup::Startup,
    },
};
use crate::{
    framework::{
        Context, Failure, Plan, Resource, Result, State, Value, model::untyped, resource::Faults,
    },
    guest::reached::Reached,
    pve::{GuestRow, LxcConfig, Pve},
};

/// The resource.
pub struct DockerLxcResource;

impl Resource for DockerLxcResource {
    const NAME: &'static str = "pmoves_docker_lxc";
    // Unique in the cluster, whichever node the guest is on.
    const IDENTITY: &'static [&'static str] = &["vm_id"];
    type Client = Cluster;
    type Model = DockerLxc;

    fn validate(config: &Value, found: &mut Faults<'_>) {
        effects::validate(config, found);
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
        let Some(pve) = cx.client.pve_opt(cx) else {
            return Ok(());
        };
        preflight::check(cx.client, &pve, plan, found).await
    }

    fn check_destroy(prior: &DockerLxc, found: &mut Faults<'_>) {
        if prior.protection == Some(true) {
            found.error(
                "protection",
                "The container is protected",
                "Set protection = false and apply that first. A destroy takes the root disk, the data volume and all other volumes with it.",
            );
            return;
        }
        if let Some(volume) = &prior.data_volume {
            found.warn(
                "data_volume",
                "The data volume goes with the container",
                format!(
                    "Destroying {} deletes its data volume of {} GiB on {}: images, containers and volumes.",
                    prior.name,
                    volume.size_gb,
                    volume.datastore_id.as_deref().unwrap_or("its storage")
                ),
            );
        }
        let own = prior.mount_point.iter().flatten();
        let own = own.filter(|(_, mount)| !mount.volume.starts_with('/'));
        let paths: Vec<&str> = own.map(|(_, mount)| mount.path.as_str()).collect();
        if !paths.is_empty() {
            found.warn(
                "mount_point",
                "Volumes go with the container",
                format!(
                    "Destroying {} deletes the volumes at {}.",
                    prior.name,
                    paths.join(", ")
                ),
            );
        }
    }

    async fn create(
        &self,
        cx: &Context<'_, Cluster>,
        plan: DockerLxc,
        state: &mut State<DockerLxc>,
    ) -> Result<()> {
        let pve = cx.client.pve(cx)?;
        // A clone has keyctl as its source has it.
        let keyctl = plan.clone.is_none().then(|| pve.is_root());
        let mut plan = plan.decided(keyctl);
        let vmid = make::make(cx.client, &pve, &mut plan, state).await?;
        let place = Place::new(Kind::Lxc, &plan.node_name, vmid);
        let template = plan.template == Some(true);
        if plan.started != Some(false) || template {
            // Until it is one, the state says so.
            plan.template = Some(false);
            power::start(&pve, &place, state).await?;
            plan.status = Some("running".into());
            state.save(plan.clone());
            plan = set_up(cx.client, &pve, &place, plan, state).await?;
        }
        if template {
            let guest = reach(cx.client, &pve, &place, &plan).await?;
            plan = clones::convert(&pve, &guest, &place, plan, state).await?;
        }
        state.save(plan);
        Ok(())
    }

    async fn read(
        &self,
        cx: &Context<'_, Cluster>,
        prior: DockerLxc,
        state: &mut State<DockerLxc>,
    ) -> Result<()> {
        let Some(pve) = cx.client.pve_or_warn(cx, state)? else {
            return Ok(());
        };
        read::read(cx, &pve, prior, state).await
    }

    async fn update(
        &self,
        cx: &Context<'_, Cluster>,
        prior: DockerLxc,
        plan: DockerLxc,
        state: &mut State<DockerLxc>,
    ) -> Result<()> {
        let pve = cx.client.pve(cx)?;
        let vmid = prior.vmid()?;
        let plan = plan.decided(Some(false));
        cx.client.forget(vmid);
        let mut row = row(&pve, vmid).await?;
        if prior.node_name != plan.node_name && row.node != plan.node_name {
            migrate(&pve, &row, &plan.node_name, state).await?;
            row.node.clone_from(&plan.node_name);
            state.save(DockerLxc {
                node_name: plan.node_name.clone(),
                current_node: Some(row.node.clone()),
                ..prior.clone()
            });
        }
        let place = Place::of(Kind::Lxc, &row);
        let config = config(&pve, &place).await?;
        let moves = calls::moves(&plan, &place, &config);
        if !moves.is_empty() && power::runs(&pve, &place).await? {
            power::stop(&pve, &place, false, state).await?;
        }
        run(&pve, state, moves).await?;
        let calls = calls::update(&prior, &plan, &place, &config, cx.client.tag());
        run(&pve, state, calls).await?;
        let mut done = DockerLxc {
            current_node: Some(row.node.clone()),
            ..plan.clone()
        };
        // From here only power and the guest are left; the configuration is as planned. Until the
        // guest is too, the state has no docker_version, so that the next plan takes it up again.
        let concerned = inside::concerned(&prior, &plan);
        state.save(DockerLxc {
            started: prior.started,
            status: prior.status.clone(),
            docker: prior.docker.clone(),
            docker_version: prior.docker_version.clone().filter(|_| !concerned),
            template: prior.template,
            ..done.clone().with_addresses(&prior)
        });
        let convert = plan.template == Some(true) && prior.template != Some(true);
        if convert {
            done.started = Some(true);
            done.template = Some(false);
        }
        let up = done.started != Some(false);
        let no_shell = config.cmode.as_deref() != Some(calls::CONSOLE)
            && plan.connection.as_deref() != Some("ssh");
        let (before, after) = (untyped(&prior), untyped(&plan));
        let due = plans::restart_due(calls::NEEDS_RESTART, &before, &after)
            || (no_shell && plan.restart_policy.as_deref() != Some("never"));
        let booted = power::switch(&pve, &place, up, due, state).await?;
        if !up {
            done = done.with_addresses(&prior);
        } else if booted || concerned {
            let host = done.with_addresses(&prior);
            done = set_up(cx.client, &pve, &place, host, state).await?;
        } else if prior.network_interface != plan.network_interface
            || prior.initialization != plan.initialization
        {
            done = done.with_addresses(&prior);
            let nics = pve.lxc_interfaces(&row.node, vmid).await?;
            inside::note_nics(&mut done, &nics.into_iter().map(read::nic_of).collect());
        } else {
            done = done.with_addresses(&prior);
        }
        if convert {
            let guest = reach(cx.client, &pve, &place, &done).await?;
            done = clones::convert(&pve, &guest, &place, done, state).await?;
        }
        cx.client.forget(vmid);
        state.save(done);
        Ok(())
    }

    async fn delete(
        &self,
        cx: &Context<'_, Cluster>,
        prior: DockerLxc,
        state: &mut State<DockerLxc>,
    ) -> Result<()> {
        let pve = cx.client.pve(cx)?;
        let vmid = prior.vmid()?;
        cx.client.forget(vmid);
        let Some(row) = pve.guest_opt(vmid).await? else {
            return Ok(());
        };
        let place = Place::of(Kind::Lxc, &row);
        if power::runs(&pve, &place).await? {
            let at_once = prior.stop_on_destroy == Some(true);
            power::stop(&pve, &place, at_once, state).await?;
        }
        let purge = prior.purge_on_destroy == Some(true);
        match run(&pve, state, [power::destroy(&place, purge)]).await {
            Err(error) if error.is_gone() => Ok(()),
            other => Ok(other?),
        }
    }

    fn import(id: &str) -> Result<Json> {
        let vmid = Kind::Lxc.vmid_of(id).ok_or_else(|| {
            Failure::new(format!(
                "{id:?} is no container; write it as lxc/102, 102 or pve1/102"
            ))
        })?;
        // What is required and not known yet is empty until the read that follows.
        Ok(json!({ "id": format!("lxc/{vmid}"), "vm_id": vmid, "name": "", "node_name": "" }))
    }
}

/// The way into the container.
async fn reach(cluster: &Cluster, pve: &Pve, place: &Place, ct: &DockerLxc) -> Result<Reached> {
    let connection = ct.connection.as_deref();
    cluster
        .container(
            pve,
            (&place.node, place.id.vmid),
            connection,
            ct.ssh.as_ref(),
        )
        .await
}

/// Sets up what runs inside.
async fn set_up(
    cluster: &Cluster,
    pve: &Pve,
    place: &Place,
    plan: DockerLxc,
    state: &mut State<DockerLxc>,
) -> Result<DockerLxc> {
    let guest = reach(cluster, pve, place, &plan).await?;
    let done = inside::set_up(&guest, plan, state).await;
    guest.close().await;
    done
}

/// Moves the container to another node; one that runs is stopped for that and started there.
async fn migrate(
    pve: &Pve,
    row: &GuestRow,
    target: &str,
    state: &mut State<DockerLxc>,
) -> Result<()> {
    let place = Place::of(Kind::Lxc, row);
    let running = power::runs(pve, &place).await?;
    let call = calls::migrate(&place, target, running);
    power::migrate(pve, &place, target, call, state).await
}

async fn row(pve: &Pve, vmid: u32) -> Result<GuestRow> {
    pve.guest_opt(vmid).await?.ok_or_else(|| gone(vmid))
}

async fn config(pve: &Pve, place: &Place) -> Result<LxcConfig> {
    let vmid = place.id.vmid;
    let config = pve.lxc_config_opt(&place.node, vmid).await?;
    config.ok_or_else(|| gone(vmid))
}

fn gone(vmid: u32) -> Failure {
    Failure::new(format!("container {vmid} is gone; a refresh finds out"))
}

impl DockerLxc {
    fn vmid(&self) -> Result<u32> {
        self.vm_id
            .or_else(|| Kind::Lxc.vmid_of(self.id.as_deref()?))
            .ok_or_else(|| Failure::new("the state holds no VMID"))
    }

    fn identify(&mut self, vmid: u32) {
        self.vm_id = Some(vmid);
        self.id = Some(format!("lxc/{vmid}"));
        self.current_node = Some(self.node_name.clone());
        self.status = Some("stopped".into());
    }

    /// Whether a NIC is to get an address.
    fn gets_address(&self) -> bool {
        let init = self.initialization.as_ref();
        let ips = init.and_then(|init| init.ip_config.as_ref());
        let manual = |slot: &String| {
            let ip = ips.and_then(|ips| ips.get(slot));
            ip.is_some_and(|ip| {
                let v4 = ip.ipv4.as_ref().and_then(|ip| ip.address.as_deref());
                let v6 = ip.ipv6.as_ref().and_then(|ip| ip.address.as_deref());
                [v4, v6].into_iter().flatten().all(|text| text == "manual")
            })
        };
        self.network_interface
            .iter()
            .flatten()
            .any(|(slot, _)| !manual(slot))
    }

    /// What the plan left open: names and MACs of NICs, and what only `root` itself may set.
    fn decided(mut self, keyctl: Option<bool>) -> Self {
        for (slot, nic) in self.network_interface.iter_mut().flatten() {
            nic.name.get_or_insert_with(|| slot.replace("net", "eth"));
            nic.mac_address.get_or_insert_with(draw_mac);
        }
        if let Some(features) = &mut self.features {
            features.keyctl = features.keyctl.or(keyctl);
        }
        self
    }

    /// What the plan leaves to the guest, as it was last known.
    fn with_addresses(mut self, prior: &Self) -> Self {
        let keep = |now: &mut Option<String>, prior: &Option<String>| {
            if now.is_none() {
                now.clone_from(prior);
            }
        };
        keep(&mut self.ipv4_address, &prior.ipv4_address);
        keep(&mut self.ipv6_address, &prior.ipv6_address);
        keep(&mut self.interface_name, &prior.interface_name);
        keep(&mut self.compose_version, &prior.compose_version);
        keep(&mut self.storage_driver, &prior.storage_driver);
        if self.addresses.is_none() {
            self.addresses.clone_from(&prior.addresses);
        }
        self
    }
}
