//! Checks a plan of `pmoves_docker_vm` against the cluster before anything is made.
//!
//! Only reads. What needs no cluster is in `effects`.

mod mappings;
mod taken;

use super::{
    account,
    calls::{DATA_SLOT, OS_SLOT},
    disks,
    model::DockerVm,
    values::boot_disk,
    way,
};
use crate::{
    framework::{Failure, Plan, Result, Value, resource::Faults},
    pve::{self, Pve},
    resources::{
        cluster::Cluster,
        host::{
            checks::mebibytes,
            network,
            preflight::{bridges, pools, startup, vm_id},
            volumes::{bytes_of, gibibytes},
        },
        image::is_file_storage,
        privileges::Wanted,
    },
};

const ALL_VMS: &str = "/vms";
const NICS: &str = "network_device";

/// Checks a VM that shall be made.
pub(super) async fn create(
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
    vm_id(pve, plan, found).await?;
    network::expect_bridges(cluster, pve, &node, plan, "network_device", found).await?;
    mappings::expect(cluster, pve, (&node, true), plan, found).await?;
    let pool = text("pool_id").map(|pool| format!("/pool/{pool}"));
    // What holds for a pool holds for the guests in it.
    let mut wanted = [
        ("VM.Allocate", "name"),
        ("VM.Audit", "name"),
        ("VM.Config.Options", "name"),
        ("VM.PowerMgmt", "name"),
        ("VM.Config.CPU", "cpu"),
        ("VM.Config.Memory", "memory"),
        ("VM.Config.Disk", "os_disk"),
        ("VM.Config.HWType", "os_disk"),
        ("VM.Config.CDROM", "os_disk"),
        ("VM.Config.Network", "network_device"),
    ]
    .into_iter()
    .fold(Wanted::default(), |wanted, (privilege, at)| {
        let on = |path: &str| (path.to_owned(), vec![privilege]);
        let other = pool.as_deref().unwrap_or(ALL_VMS);
        wanted.either(on(ALL_VMS), on(other), at)
    });
    if way::check(cluster, plan, found) {
        wanted = wanted.agent(&[ALL_VMS, pool.as_deref().unwrap_or(ALL_VMS)], "docker");
    }
    wanted = mappings::privileges(startup(bridges(wanted, plan, NICS), plan), plan, ALL_VMS);
    let os = text("os_disk.datastore_id");
    for (at, path) in volumes(&plan.value) {
        let path = format!("{path}.datastore_id");
        // Left open, a disk goes to the storage of the OS disk.
        if let Some(storage) =
            text(&path).filter(|name| at == "os_disk" || Some(name) != os.as_ref())
        {
            cluster
                .check_storage(pve, &node, &storage, "images", &path, found)
                .await?;
            wanted = wanted.privilege(format!("/storage/{storage}"), "Datastore.AllocateSpace", at);
        }
    }
    if let Some(source) = plan.value.at("clone.vm_id").as_i64() {
        wanted = clone(cluster, pve, plan, (source, &node), wanted, found).await?;
    }
    let image = text("image.id");
    if let Some((storage, _)) = image.as_deref().and_then(|id| id.split_once(':')) {
        cluster
            .check_storage(pve, &node, storage, "import", "image.id", found)
            .await?;
    }
    let at = "initialization.datastore_id";
    if let Some(storage) = text(at) {
        cluster
            .check_storage(pve, &node, &storage, "iso", at, found)
            .await?;
        wanted = wanted.privilege(
            format!("/storage/{storage}"),
            "Datastore.AllocateTemplate",
            at,
        );
    } else if plan.value.at(at).is_null() {
        match candidates(cluster, pve, &node).await?.as_slice() {
            [storage] => {
                let path = format!("/storage/{storage}");
                wanted = wanted.privilege(path, "Datastore.AllocateTemplate", "initialization");
            }
            several => found.error(
                "initialization",
                "No storage for the first boot's seed",
                which(&node, several),
            ),
        }
    }
    wanted.check(pve, found).await
}

/// The disks of a plan: the attribute that each belongs to, and its path.
fn volumes(planned: &Value) -> Vec<(&'static str, String)> {
    let more = disks::slots(planned).map(|slot| ("disk", format!("disk.{slot}")));
    let first = ["os_disk", "data_disk"].map(|name| (name, name.to_owned()));
    first.into_iter().chain(more).collect()
}

/// Checks what a clone takes from its source, as far as that is there already and may be seen.
async fn clone(
    cluster: &Cluster,
    pve: &Pve,
    plan: &Plan<'_>,
    (source, node): (i64, &str),
    mut wanted: Wanted,
    found: &mut Faults<'_>,
) -> Result<Wanted> {
    wanted = wanted.privilege(format!("/vms/{source}"), "VM.Clone", "clone.vm_id");
    let at = "clone.datastore_id";
    if let Some(storage) = plan.value.at(at).as_str() {
        cluster
            .check_storage(pve, node, storage, "images", at, found)
            .await?;
        wanted = wanted.privilege(format!("/storage/{storage}"), "Datastore.AllocateSpace", at);
    }
    let guests = pve.guests().await?;
    let Some(row) = guests.iter().find(|row| i64::from(row.vmid) == source) else {
        return Ok(wanted);
    };
    if row.kind != "qemu" {
        found.error(
            "clone.vm_id",
            "A container cannot become a VM",
            format!("{source} is a container."),
        );
        return Ok(wanted);
    }
    if row.node != node {
        wanted = wanted.privilege(ALL_VMS, "VM.Migrate", "node_name");
    }
    let config = match pve.vm_config_opt(&row.node, row.vmid).await {
        Ok(Some(config)) => config,
        Ok(None) | Err(pve::Error::Forbidden { .. }) => return Ok(wanted),
        Err(error) => return Err(error.into()),
    };
    if plan.value.at("clone.full").as_bool() == Some(false) && !config.template {
        found.error(
            "clone.full",
            "Only a template has linked clones",
            format!("{source} is a VM. Use full = true, which copies its disks."),
        );
    }
    let os = boot_disk(&config).unwrap_or(OS_SLOT);
    if let Some(wanted) = plan
        .config
        .at("os_disk.interface")
        .as_str()
        .filter(|slot| *slot != os)
    {
        let detail =
            format!("{source} boots from {os}, and so does a clone of it, not from {wanted}.");
        found.error(
            "os_disk.interface",
            "The source has its OS disk elsewhere",
            detail,
        );
    }
    for (slot, at) in [(os, "os_disk.size_gb"), (DATA_SLOT, "data_disk.size_gb")] {
        let Some(bytes) = config.disks.get(slot).and_then(|raw| bytes_of(raw)) else {
            continue;
        };
        let size = gibibytes(bytes);
        match plan.value.at(at) {
            Value::Number(wanted) if mebibytes(wanted.as_str()).is_some_and(|mib| mib << 20 < bytes) => {
                found.error(at, "A disk cannot shrink", format!("That of {source} has {size} GiB."));
            }
            Value::Null if slot == DATA_SLOT => found.error(
                "data_disk",
                "The source has a data disk",
                format!("It is cloned too, with Docker's data: set data_disk = {{ size_gb = {size} }}, or more."),
            ),
            _ => {}
        }
    }
    Ok(wanted)
}

/// Checks a change of a VM that is there.
pub(super) async fn update(
    cluster: &Cluster,
    pve: &Pve,
    plan: &Plan<'_>,
    found: &mut Faults<'_>,
) -> Result<()> {
    let Some(vmid) = plan.prior.get("vm_id").as_i64() else {
        return Ok(());
    };
    let path = format!("/vms/{vmid}");
    let mut wanted = Wanted::default();
    for (at, privilege) in [
        ("name", "VM.Config.Options"),
        ("description", "VM.Config.Options"),
        ("tags", "VM.Config.Options"),
        ("start_on_boot", "VM.Config.Options"),
        ("protection", "VM.Config.Options"),
        ("cpu", "VM.Config.CPU"),
        ("memory", "VM.Config.Memory"),
        ("os_disk", "VM.Config.Disk"),
        ("data_disk", "VM.Config.Disk"),
        ("disk", "VM.Config.Disk"),
        ("network_device", "VM.Config.Network"),
        ("started", "VM.PowerMgmt"),
        ("startup", "VM.Config.Options"),
        ("agent", "VM.Config.Options"),
        ("node_name", "VM.Migrate"),
        ("template", "VM.Allocate"),
        ("bios", "VM.Config.Options"),
        ("machine", "VM.Config.HWType"),
        ("efi_disk", "VM.Config.Disk"),
    ] {
        if plan.changed(at) {
            wanted = wanted.privilege(path.clone(), privilege, at);
        }
    }
    let by_agent = way::check(cluster, plan, found);
    for at in ["docker", "mount"] {
        if by_agent && plan.changed(at) {
            wanted = wanted.agent(&[&path], at);
        }
    }
    if by_agent && account::changes(plan) {
        wanted = wanted.agent(&[&path], "initialization");
    }
    if plan.changed("network_device") {
        wanted = bridges(wanted, plan, NICS);
    }
    let node = plan.value.get("node_name").as_str();
    let moves =
        plan.changed("node_name") && plan.value.get("node_name") != plan.prior.get("current_node");
    if let (true, Some(node)) = (moves, node)
        && !cluster.check_node(pve, node, "node_name", found).await?
    {
        return Ok(());
    }
    let node = node
        .filter(|_| moves)
        .or(plan.prior.get("current_node").as_str());
    for (at, disk) in volumes(&plan.value) {
        let [path, size] = ["datastore_id", "size_gb"].map(|name| format!("{disk}.{name}"));
        let Some(storage) = plan.value.at(&path).as_str() else {
            continue;
        };
        if plan.changed(&path) || plan.changed(&size) {
            wanted = wanted.privilege(format!("/storage/{storage}"), "Datastore.AllocateSpace", at);
        }
        if let (true, Some(node)) = (moves || plan.changed(&path), node) {
            let at = if plan.changed(&path) {
                &path
            } else {
                "node_name"
            };
            cluster
                .check_storage(pve, node, storage, "images", at, found)
                .await?;
        }
    }
    if let (true, Some(node)) = (plan.changed("network_device"), node) {
        network::expect_bridges(cluster, pve, node, plan, "network_device", found).await?;
    }
    if let Some(node) = node {
        mappings::expect(cluster, pve, (node, moves), plan, found).await?;
    }
    taken::slots(pve, plan, found).await?;
    wanted = mappings::privileges(pools(startup(wanted, plan), plan), plan, &path);
    wanted.check(pve, found).await
}

/// The storage for the seed: the one that was chosen, or the only one.
pub(super) async fn seed_storage(cluster: &Cluster, pve: &Pve, plan: &DockerVm) -> Result<String> {
    let init = plan.initialization.as_ref();
    if let Some(storage) = init.and_then(|init| init.datastore_id.clone()) {
        return Ok(storage);
    }
    match candidates(cluster, pve, &plan.node_name).await?.as_slice() {
        [storage] => Ok(storage.clone()),
        several => Err(Failure::new(which(&plan.node_name, several)).at("initialization")),
    }
}

/// File storages of the node that take ISO images.
async fn candidates(cluster: &Cluster, pve: &Pve, node: &str) -> Result<Vec<String>> {
    let rows = cluster.storages(pve, node).await?.into_iter();
    let fitting = rows.filter(|row| row.holds("iso") && row.active && is_file_storage(row));
    Ok(fitting.map(|row| row.name).collect())
}

fn which(node: &str, candidates: &[String]) -> String {
    match candidates {
        [] => format!(
            "The first boot reads its settings from a small ISO image, and node {node} has no active file \
             storage with content iso that the credential may see. To add the content, as root on a node:\n\n\
             pvesm set local --content iso,import,backup,vztmpl"
        ),
        many => format!(
            "The first boot reads its settings from a small ISO image, and node {node} has several file \
             storages that take one: {}. Set initialization.datastore_id to one of them.",
            many.join(", ")
        ),
    }
}
