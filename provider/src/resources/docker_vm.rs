//! `pmoves_docker_vm`.
//!
//! The order of things: what the API is asked is in `calls`, what a plan means in `effects`, how an
//! answer becomes a state in `read`, and what happens inside the guest in `host`.

mod account;
mod calls;
mod clones;
mod devices;
mod disks;
mod effects;
mod host;
mod make;
mod model;
mod mounts;
mod preflight;
mod read;
mod seed_file;
#[cfg(test)]
mod tests;
mod values;
mod way;

use serde_json::{Value as Json, json};

pub use model::DockerVm;

use seed_file::SeedFile;

use super::{
    cluster::Cluster,
    host::{
        Kind, checks, plans,
        power::{self, Place, run},
    },
};
use crate::{
    framework::{
        Context, Failure, Plan, Resource, Result, State, Value, model::untyped, resource::Faults,
    },
    pve::{self, GuestRow, Pve},
};

/// The resource.
pub struct DockerVmResource;

impl Resource for DockerVmResource {
    const NAME: &'static str = "pmoves_docker_vm";
    type Client = Cluster;
    type Model = DockerVm;
    const IDENTITY: &'static [&'static str] = &["vm_id"];

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
        match plan.creating() {
            true => preflight::create(cx.client, &pve, plan, found).await,
            false => preflight::update(cx.client, &pve, plan, found).await,
        }
    }

    fn check_destroy(prior: &DockerVm, found: &mut Faults<'_>) {
        if prior.protection == Some(true) {
            found.error(
                "protection",
                "The VM is protected",
                "Set protection = false and apply that first. A destroy takes the OS disk and the data disk with it.",
            );
            return;
        }
        if let Some(disk) = &prior.data_disk {
            found.warn(
                "data_disk",
                "The data disk goes with the VM",
                format!(
                    "Destroying {} deletes its data disk of {} GiB on {}: images, containers and volumes.",
                    prior.name,
                    disk.size_gb,
                    disk.datastore_id.as_deref().unwrap_or("its storage")
                ),
            );
        }
        if let Some(disks) = prior.disk.as_ref().filter(|disks| !disks.is_empty()) {
            let slots: Vec<&str> = disks.keys().map(String::as_str).collect();
            let detail = format!(
                "Destroying {} deletes {} too.",
                prior.name,
                slots.join(", ")
            );
            found.warn("disk", "More disks go with the VM", detail);
        }
    }

    async fn create(
        &self,
        cx: &Context<'_, Cluster>,
        plan: DockerVm,
        state: &mut State<DockerVm>,
    ) -> Result<()> {
        let pve = cx.client.pve(cx)?;
        let mut plan = plan.with_macs();
        let storage = preflight::seed_storage(cx.client, &pve, &plan).await?;
        let vmid = make::make(cx.client, &pve, &mut plan, &storage, state).await?;
        let node = plan.node_name.clone();
        if let Some(size) = plan.os_disk.as_ref().and_then(|disk| disk.size_gb.as_ref()) {
            let grow = calls::resize(&node, vmid, plan.os_slot(), &size.to_string());
            run(&pve, state, [grow]).await.map_err(grow_failure)?;
        }
        let template = plan.template == Some(true);
        if plan.started != Some(false) || template {
            // Until it is one, the state says so.
            plan.template = Some(false);
            power::start(&pve, &Place::new(Kind::Qemu, &node, vmid), state).await?;
            let seed = SeedFile::new(&node, &storage, vmid);
            plan = first_boot(cx.client, &pve, &seed, None, plan, false, state).await?;
        }
        if template {
            plan = clones::convert(cx.client, &pve, &row(&pve, vmid).await?, plan, state).await?;
        }
        read::sizes(&pve, &mut plan, vmid).await?;
        state.save(plan);
        Ok(())
    }

    async fn read(
        &self,
        cx: &Context<'_, Cluster>,
        prior: DockerVm,
        state: &mut State<DockerVm>,
    ) -> Result<()> {
        let Some(pve) = cx.client.pve_or_warn(cx, state)? else {
            return Ok(());
        };
        read::read(cx, &pve, prior, state).await
    }

    async fn update(
        &self,
        cx: &Context<'_, Cluster>,
        prior: DockerVm,
        plan: DockerVm,
        state: &mut State<DockerVm>,
    ) -> Result<()> {
        let pve = cx.client.pve(cx)?;
        let vmid = prior.vmid()?;
        let mut row = row(&pve, vmid).await?;
        let plan = plan.with_macs();
        cx.client.forget(vmid);
        let mut known = prior.clone();
        if prior.node_name != plan.node_name && row.node != plan.node_name {
            migrate(&pve, &prior, &row, &plan.node_name, state).await?;
            row.node.clone_from(&plan.node_name);
            known.node_name.clone_from(&plan.node_name);
            known.current_node = Some(row.node.clone());
            state.save(known.clone());
        }
        let Some(config) = pve.vm_config_opt(&row.node, vmid).await? else {
            return Err(Failure::new(format!(
                "VM {vmid} is gone; a refresh finds out"
            )));
        };
        let (place, at) = (Place::of(Kind::Qemu, &row), (row.node.as_str(), vmid));
        let stay = mounts::paths(&plan);
        let leaves = mounts::paths(&prior)
            .iter()
            .any(|path| !stay.contains(path));
        if leaves && prior.has_way(cx.client) && power::runs(&pve, &place).await? {
            let guest = prior.reach(cx.client, &pve, at)?;
            host::release(&guest, &plan).await?;
        }
        let inside = host::concerned(&prior, &plan);
        if inside {
            // Whatever breaks from here on, the next plan takes the guest up again.
            known.docker_version = None;
            state.save(known);
        }
        let calls = calls::update(&prior, &plan, &row.node, vmid, &config, cx.client.tag());
        run(&pve, state, calls).await?;
        let mut done = DockerVm {
            current_node: Some(row.node.clone()),
            ..plan.clone()
        };
        // From here only power and the guest are left; the configuration is as planned. Until the
        // guest is too, the state has no docker_version, so that the next plan takes it up again.
        state.save(DockerVm {
            started: prior.started,
            status: prior.status.clone(),
            docker: prior.docker.clone(),
            docker_version: prior.docker_version.clone().filter(|_| !inside),
            initialization: prior.initialization.clone(),
            template: prior.template,
            ..done.clone().with_addresses(&prior)
        });
        let convert = plan.template == Some(true) && prior.template != Some(true);
        if convert {
            done.started = Some(true);
            done.template = Some(false);
        }
        let up = done.started != Some(false);
        let due = plans::restart_due(calls::NEEDS_RESTART, &untyped(&prior), &untyped(&plan));
        let booted = power::switch(&pve, &place, up, due, state).await?;
        if !up {
            done = done.with_addresses(&prior);
        } else if let Some(seed) = SeedFile::attached(&row.node, vmid, &config) {
            let protected = plan.protection == Some(true) || config.protection == Some(true);
            done = first_boot(cx.client, &pve, &seed, Some(&prior), done, protected, state).await?;
        } else if plan.has_way(cx.client) && (booted || inside) {
            let grown = prior.os_disk != plan.os_disk || prior.docker_version.is_none();
            let guest = done
                .clone()
                .with_addresses(&prior)
                .reach(cx.client, &pve, at)?;
            account::change(&guest, &prior, &done).await?;
            done = host::set_up(&guest, done, grown).await?;
        } else if plan.has_way(cx.client) && prior.network_device != plan.network_device {
            done = done.with_addresses(&prior);
            let guest = done.reach(cx.client, &pve, at)?;
            done = host::look_again(&guest, done, state).await;
        } else {
            done = done.with_addresses(&prior);
        }
        if convert {
            done = clones::convert(cx.client, &pve, &row, done, state).await?;
        }
        cx.client.forget(vmid);
        state.save(done);
        Ok(())
    }

    async fn delete(
        &self,
        cx: &Context<'_, Cluster>,
        prior: DockerVm,
        state: &mut State<DockerVm>,
    ) -> Result<()> {
        let pve = cx.client.pve(cx)?;
        let vmid = prior.vmid()?;
        cx.client.forget(vmid);
        let Some(row) = pve.guest_opt(vmid).await? else {
            return Ok(());
        };
        let Some(config) = pve.vm_config_opt(&row.node, vmid).await? else {
            return Ok(());
        };
        let place = Place::of(Kind::Qemu, &row);
        if power::runs(&pve, &place).await? {
            let at_once = prior.stop_on_destroy == Some(true);
            power::stop(&pve, &place, at_once, state).await?;
        }
        let purge = prior.purge_on_destroy == Some(true);
        match run(&pve, state, [power::destroy(&place, purge)]).await {
            Err(error) if error.is_gone() => {}
            other => other?,
        }
        // A create that failed half-way leaves the seed behind, and it may hold secrets.
        match SeedFile::attached(&row.node, vmid, &config) {
            Some(seed) => seed.discard(&pve, state).await,
            None => Ok(()),
        }
    }

    fn import(id: &str) -> Result<Json> {
        let vmid = Kind::Qemu.vmid_of(id).ok_or_else(|| {
            Failure::new(format!(
                "{id:?} is no VM; write it as qemu/101, 101 or pve1/101"
            ))
        })?;
        // What is required and not known yet is empty until the read that follows.
        Ok(json!({ "id": format!("qemu/{vmid}"), "vm_id": vmid, "name": "", "node_name": "" }))
    }
}

/// Waits for the first boot and sets the guest up; then the seed has done its work.
async fn first_boot(
    cluster: &Cluster,
    pve: &Pve,
    seed: &SeedFile,
    prior: Option<&DockerVm>,
    plan: DockerVm,
    protected: bool,
    state: &mut State<DockerVm>,
) -> Result<DockerVm> {
    let guest = plan.reach(cluster, pve, (seed.node(), seed.vmid()))?;
    let mut done = Box::pin(host::first_boot(&guest, &plan, state)).await?;
    if let Some(prior) = prior {
        // The seed has the keys of the time when it was made.
        account::change(&guest, prior, &plan).await?;
    }
    done.status = Some("running".into());
    state.save(done.clone());
    let calls = calls::detach_seed(&done, seed.node(), seed.vmid(), protected);
    run(pve, state, calls).await?;
    seed.discard(pve, state).await?;
    Ok(done)
}

/// Moves the VM to another node: while it runs if nothing ties it to its own.
async fn migrate(
    pve: &Pve,
    prior: &DockerVm,
    row: &GuestRow,
    target: &str,
    state: &mut State<DockerVm>,
) -> Result<()> {
    let place = Place::of(Kind::Qemu, row);
    let running = power::runs(pve, &place).await?;
    let online = running && prior.moves_online();
    if running && !online {
        power::stop(pve, &place, false, state).await?;
    }
    let call = calls::migrate(&row.node, row.vmid, target, online);
    power::migrate(pve, &place, target, call, state).await
}

fn grow_failure(error: pve::Error) -> Failure {
    let shrinks = error.to_string().contains("shrink");
    let failure = Failure::from(error).at("os_disk.size_gb");
    match shrinks {
        true => failure.hint(
            "the image is bigger than that; leave size_gb open to take the size of the image",
        ),
        false => failure,
    }
}

async fn row(pve: &Pve, vmid: u32) -> Result<GuestRow> {
    pve.guest_opt(vmid)
        .await?
        .ok_or_else(|| Failure::new(format!("VM {vmid} is gone; a refresh finds out")))
}

impl DockerVm {
    fn vmid(&self) -> Result<u32> {
        self.vm_id
            .or_else(|| Kind::Qemu.vmid_of(self.id.as_deref()?))
            .ok_or_else(|| Failure::new("the state holds no VMID"))
    }

    /// Whether it can move to another node while it runs.
    fn moves_online(&self) -> bool {
        effects::moves_online(&untyped(self))
    }

    /// Slot of its OS disk, as far as it is known.
    fn os_interface(&self) -> Option<&str> {
        self.os_disk.as_ref()?.interface.as_deref()
    }

    /// Slot of its OS disk.
    fn os_slot(&self) -> &str {
        self.os_interface().unwrap_or(calls::OS_SLOT)
    }

    fn identify(&mut self, vmid: u32) {
        self.vm_id = Some(vmid);
        self.id = Some(format!("qemu/{vmid}"));
        self.current_node = Some(self.node_name.clone());
        self.status = Some("stopped".into());
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
