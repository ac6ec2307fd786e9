//! `pmoves_docker_vm`.
//!
//! The order of things: what the API is asked is in `calls`, what a plan means in `effects`, how an
//! answer becomes a state in `read`, and what happens inside the guest in `host`.

mod calls;
mod checks;
mod effects;
mod host;
mod model;
mod read;
#[cfg(test)]
mod tests;

use serde_json::{Value as Json, json};

pub use model::DockerVm;

use super::{cluster::Cluster, privileges::Wanted};
use crate::{
    framework::{Context, Failure, Plan, Resource, Result, State, Value, resource::Faults},
    pve::{self, GuestRow, Pve},
};

/// The resource.
pub struct DockerVmResource;

impl Resource for DockerVmResource {
    const NAME: &'static str = "pmoves_docker_vm";
    type Client = Cluster;
    type Model = DockerVm;

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
        if plan.creating() {
            return check_create(cx.client, &pve, plan, found).await;
        }
        Ok(())
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
    }

    async fn create(
        &self,
        cx: &Context<'_, Cluster>,
        plan: DockerVm,
        state: &mut State<DockerVm>,
    ) -> Result<()> {
        let pve = cx.client.pve(cx)?;
        let mut plan = plan.with_macs();
        let storage = seed_storage(cx.client, &pve, &plan).await?;
        let vmid = make(cx.client, &pve, &mut plan, &storage, state).await?;
        let node = plan.node_name.clone();
        if let Some(size) = plan.os_disk.as_ref().and_then(|disk| disk.size_gb.as_ref()) {
            let grow = calls::resize(&node, vmid, calls::OS_SLOT, &size.to_string());
            pve.run([grow])
                .await
                .map_err(|error| Failure::from(error).at("os_disk.size_gb"))?;
        }
        if plan.started != Some(false) {
            run(&pve, state, [calls::start(&node, vmid)]).await?;
            let host = host::first_boot(&pve, &node, vmid, &plan, state).await?;
            plan = host;
            plan.status = Some("running".into());
            state.save(plan.clone());
            pve.run([calls::detach_seed(&plan, &node, vmid)]).await?;
            discard_seed(&pve, &node, &storage, vmid, state).await?;
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
        let row = row(&pve, vmid).await?;
        let Some(config) = pve.vm_config_opt(&row.node, vmid).await? else {
            return Err(Failure::new(format!(
                "VM {vmid} is gone; a refresh finds out"
            )));
        };
        let plan = plan.with_macs();
        cx.client.forget(vmid);
        run(
            &pve,
            state,
            calls::update(&prior, &plan, &row.node, vmid, &config, cx.client.tag()),
        )
        .await?;
        let mut done = DockerVm {
            current_node: Some(row.node.clone()),
            ..plan.clone()
        };
        // From here only power and the guest are left; the configuration is as planned.
        state.save(DockerVm {
            started: prior.started,
            status: prior.status.clone(),
            docker: prior.docker.clone(),
            docker_version: prior.docker_version.clone(),
            ..done.clone()
        });
        power(&pve, &prior, &plan, &row.node, vmid, state).await?;
        if plan.started != Some(false) && host::concerned(&prior, &plan) {
            done = host::set_up(&pve, &row.node, vmid, done).await?;
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
        let running = pve
            .vm_status_opt(&row.node, vmid)
            .await?
            .is_some_and(|status| status.is_running());
        if running {
            let end = match prior.stop_on_destroy {
                Some(true) => calls::stop(&row.node, vmid),
                _ => calls::shutdown(&row.node, vmid),
            };
            run(&pve, state, [end]).await?;
        }
        match run(&pve, state, [calls::destroy(&prior, &row.node, vmid)]).await {
            Err(pve::Error::Gone(_)) => {}
            other => other?,
        }
        // A create that failed half-way leaves the seed behind, and it may hold secrets.
        if let Some(seed) = config.disks.get(calls::SEED_SLOT)
            && let Some(storage) = calls::storage_of(seed)
        {
            discard_seed(&pve, &row.node, &storage, vmid, state).await?;
        }
        Ok(())
    }

    fn import(id: &str) -> Result<Json> {
        let vmid = vmid_of(id).ok_or_else(|| {
            Failure::new(format!(
                "{id:?} is no VM; write it as qemu/101, 101 or pve1/101"
            ))
        })?;
        Ok(json!({ "id": format!("qemu/{vmid}"), "vm_id": vmid }))
    }
}

/// The VMID in `101`, `qemu/101`, `pve1/101` or `pve1/qemu/101`.
fn vmid_of(id: &str) -> Option<u32> {
    let parts: Vec<&str> = id.split('/').collect();
    let number = match parts[..] {
        [number] | [_, number] | [_, "qemu", number] if parts[0] != "lxc" => number,
        _ => return None,
    };
    number
        .parse()
        .ok()
        .filter(|vmid| (100..=999_999_999).contains(vmid))
}

async fn check_create(
    cluster: &Cluster,
    pve: &Pve,
    plan: &Plan<'_>,
    found: &mut Faults<'_>,
) -> Result<()> {
    let text = |path: &str| plan.value.at(path).as_str().map(str::to_owned);
    let Some(node) = text("node_name") else {
        return Ok(());
    };
    if !cluster.check_node(pve, &node, "node_name", found).await? {
        return Ok(());
    }
    if let Some(vmid) = plan.value.get("vm_id").as_i64() {
        let rows = pve.guests().await?;
        // A VM of the same name may be the tainted one that this plan replaces.
        let other = rows.iter().find(|row| {
            i64::from(row.vmid) == vmid && row.name.is_some() && row.name != text("name")
        });
        if let Some(row) = other {
            found.error(
                "vm_id",
                "The VMID is taken",
                format!(
                    "{}/{} is {} on node {}.",
                    row.kind,
                    row.vmid,
                    row.name.as_deref().unwrap_or("a guest"),
                    row.node
                ),
            );
        }
    }
    let mut wanted = Wanted::default()
        .privileges(
            "/vms",
            &[
                "VM.Allocate",
                "VM.Audit",
                "VM.Config.Options",
                "VM.PowerMgmt",
            ],
            "name",
        )
        .privileges("/vms", &["VM.Config.CPU"], "cpu")
        .privileges("/vms", &["VM.Config.Memory"], "memory")
        .privileges(
            "/vms",
            &["VM.Config.Disk", "VM.Config.HWType", "VM.Config.CDROM"],
            "os_disk",
        )
        .privileges("/vms", &["VM.Config.Network"], "network_device")
        .privileges(
            "/vms",
            &host::agent_privileges(&pve.version().await?),
            "docker",
        );
    for (path, at) in [
        ("os_disk.datastore_id", "os_disk.datastore_id"),
        ("data_disk.datastore_id", "data_disk.datastore_id"),
    ] {
        if let Some(storage) = text(path) {
            cluster
                .check_storage(pve, &node, &storage, "images", at, found)
                .await?;
            wanted = wanted.privilege(format!("/storage/{storage}"), "Datastore.AllocateSpace", at);
        }
    }
    if let Some(storage) =
        text("image.id").and_then(|id| id.split_once(':').map(|(storage, _)| storage.to_owned()))
    {
        cluster
            .check_storage(pve, &node, &storage, "import", "image.id", found)
            .await?;
    }
    if let Some(storage) = text("initialization.datastore_id") {
        let at = "initialization.datastore_id";
        cluster
            .check_storage(pve, &node, &storage, "iso", at, found)
            .await?;
        wanted = wanted.privilege(
            format!("/storage/{storage}"),
            "Datastore.AllocateTemplate",
            at,
        );
    } else if plan.value.at("initialization.datastore_id").is_null() {
        match seed_candidates(cluster, pve, &node).await?.as_slice() {
            [storage] => {
                let path = format!("/storage/{storage}");
                wanted = wanted.privilege(path, "Datastore.AllocateTemplate", "initialization");
            }
            candidates => found.error(
                "initialization",
                "Where shall the seed go?",
                which_seed_storage(&node, candidates),
            ),
        }
    }
    for (slot, nic) in plan
        .value
        .get("network_device")
        .as_map()
        .into_iter()
        .flatten()
    {
        let Some(bridge) = nic.get("bridge").as_str() else {
            continue;
        };
        let path = match nic.get("vlan_id").as_i64() {
            Some(tag) => format!("/sdn/zones/localnetwork/{bridge}/{tag}"),
            None => format!("/sdn/zones/localnetwork/{bridge}"),
        };
        let _ = slot;
        wanted = wanted.privilege(path, "SDN.Use", "network_device");
    }
    wanted.check(pve, found).await
}

/// File storages of the node that take ISO images.
async fn seed_candidates(cluster: &Cluster, pve: &Pve, node: &str) -> Result<Vec<String>> {
    Ok(cluster
        .storages(pve, node)
        .await?
        .into_iter()
        .filter(|row| row.holds("iso") && row.active && super::image::is_file_storage(row))
        .map(|row| row.name)
        .collect())
}

fn which_seed_storage(node: &str, candidates: &[String]) -> String {
    match candidates {
        [] => format!(
            "Node {node} has no active file storage with content iso that the credential may see. The first boot needs one for its seed ISO: `pvesm set local --content iso,…`."
        ),
        many => format!(
            "Node {node} has several file storages with content iso ({}). Set initialization.datastore_id to one of them.",
            many.join(", ")
        ),
    }
}

async fn seed_storage(cluster: &Cluster, pve: &Pve, plan: &DockerVm) -> Result<String> {
    let chosen = plan
        .initialization
        .as_ref()
        .and_then(|init| init.datastore_id.clone());
    if let Some(storage) = chosen {
        return Ok(storage);
    }
    match seed_candidates(cluster, pve, &plan.node_name)
        .await?
        .as_slice()
    {
        [storage] => Ok(storage.clone()),
        many => Err(Failure::new(which_seed_storage(&plan.node_name, many)).at("initialization")),
    }
}

/// Uploads the seed and makes the VM, under a free VMID if none is asked for. Once this returns,
/// and if it fails after Proxmox VE accepted, the state knows the VM.
async fn make(
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
        let seed = host::seed(plan, vmid);
        let volume = upload_seed(pve, &plan.node_name, storage, vmid, seed).await?;
        let call = calls::create(plan, vmid, &volume, tag);
        match pve.send(&call).await {
            Ok(pve::Answer::Task(task)) => {
                state.save(plan.clone());
                for warning in pve
                    .wait(&task)
                    .await
                    .map_err(|error| explain_create(error, state, plan))?
                {
                    state.warn("Proxmox VE warns", warning);
                }
                return Ok(vmid);
            }
            Ok(pve::Answer::Done(answer)) => {
                return Err(Failure::new(format!(
                    "Proxmox VE made no task of the create but answered {answer}"
                )));
            }
            Err(error) => {
                discard_seed(pve, &plan.node_name, storage, vmid, state).await?;
                if asked.is_none() && text(&error).contains("already exists") {
                    continue;
                }
                if tag.is_some()
                    && matches!(error, pve::Error::Forbidden { .. })
                    && text(&error).contains("tag")
                {
                    state.warn(
                        "The guest is created without the provider's tag",
                        format!(
                            "The cluster does not let this credential set the tag {}: {}",
                            cluster.tag().unwrap_or_default(),
                            text(&error)
                        ),
                    );
                    tag = None;
                    continue;
                }
                let failure = Failure::from(error);
                return Err(match failure.detail.contains("already exists") {
                    true => failure.at("vm_id"),
                    false => failure,
                });
            }
        }
    }
}

fn text(error: &pve::Error) -> String {
    error.to_string()
}

/// A create task that fails removes what it made, unless it says so itself.
fn explain_create(error: pve::Error, state: &mut State<DockerVm>, plan: &DockerVm) -> Failure {
    if let pve::Error::Task { exit, .. } = &error
        && exit.starts_with("unable to create VM")
    {
        // qemu-server PVE/API2/Qemu.pm, create_vm: the worker frees the disks and the config.
        state.remove();
        let at = plan
            .image
            .as_ref()
            .and_then(|image| image.id.as_deref())
            .filter(|id| exit.contains(*id))
            .map(|_| "image.id");
        let failure = Failure::from(error);
        return match at {
            Some(at) => failure.at(at),
            None => failure,
        };
    }
    error.into()
}

fn seed_name(vmid: u32) -> String {
    format!("pmoves-seed-{vmid}.iso")
}

async fn upload_seed(
    pve: &Pve,
    node: &str,
    storage: &str,
    vmid: u32,
    seed: Vec<u8>,
) -> Result<String> {
    let name = seed_name(vmid);
    let task = pve.upload(node, storage, "iso", &name, seed).await?;
    pve.wait(&task).await?;
    Ok(format!("{storage}:iso/{name}"))
}

/// Deletes the seed; without the right to do so it is overwritten by an empty one, since it may
/// hold secrets.
async fn discard_seed(
    pve: &Pve,
    node: &str,
    storage: &str,
    vmid: u32,
    state: &mut State<DockerVm>,
) -> Result<()> {
    let volume = format!("{storage}:iso/{}", seed_name(vmid));
    match pve.run([calls::delete_volume(node, &volume)]).await {
        Ok(_) => Ok(()),
        Err(pve::Error::Forbidden { .. }) => {
            upload_seed(pve, node, storage, vmid, host::empty_seed()).await?;
            state.warn(
                "An empty seed stays on the storage",
                format!("The credential may not delete {volume} (Datastore.Allocate on /storage/{storage}), so it was overwritten with an empty image."),
            );
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Runs calls and passes the warnings of their tasks on.
async fn run(
    pve: &Pve,
    state: &mut State<DockerVm>,
    calls: impl IntoIterator<Item = pve::Call>,
) -> Result<(), pve::Error> {
    for warning in pve.run(calls).await? {
        state.warn("Proxmox VE warns", warning);
    }
    Ok(())
}

/// Starts, stops or restarts the VM as the plan wants.
async fn power(
    pve: &Pve,
    prior: &DockerVm,
    plan: &DockerVm,
    node: &str,
    vmid: u32,
    state: &mut State<DockerVm>,
) -> Result<()> {
    let runs = pve
        .vm_status_opt(node, vmid)
        .await?
        .is_some_and(|status| status.is_running());
    let wanted = plan.started != Some(false);
    let restart = runs
        && wanted
        && plan.restart_policy.as_deref() != Some("never")
        && read::restart_due(prior, plan);
    let calls = match (runs, wanted) {
        (false, true) => vec![calls::start(node, vmid)],
        (true, false) => vec![calls::shutdown(node, vmid)],
        _ if restart => vec![calls::shutdown(node, vmid), calls::start(node, vmid)],
        _ => Vec::new(),
    };
    run(pve, state, calls).await?;
    Ok(())
}

async fn row(pve: &Pve, vmid: u32) -> Result<GuestRow> {
    pve.guest_opt(vmid)
        .await?
        .ok_or_else(|| Failure::new(format!("VM {vmid} is gone; a refresh finds out")))
}

impl DockerVm {
    fn vmid(&self) -> Result<u32> {
        self.vm_id
            .or_else(|| vmid_of(self.id.as_deref()?))
            .ok_or_else(|| Failure::new("the state holds no VMID"))
    }

    fn identify(&mut self, vmid: u32) {
        self.vm_id = Some(vmid);
        self.id = Some(format!("qemu/{vmid}"));
        self.current_node = Some(self.node_name.clone());
        self.status = Some("stopped".into());
    }

    /// NICs without a MAC get one here: the seed names NICs by MAC before Proxmox VE could draw one.
    fn with_macs(mut self) -> Self {
        for nic in self
            .network_device
            .iter_mut()
            .flat_map(|nics| nics.values_mut())
        {
            if nic.mac_address.is_none() {
                nic.mac_address = Some(host::draw_mac());
            }
        }
        self
    }
}
