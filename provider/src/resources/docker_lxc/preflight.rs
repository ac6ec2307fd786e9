//! Checks a plan of `pmoves_docker_lxc` against credential and cluster before anything is changed.
//!
//! Only reads. What needs no cluster is in `effects`.

mod fitness;
mod reserved;
mod source;

use super::calls::CONSOLE;
use crate::{
    framework::{Plan, Result, resource::Faults},
    pve::{self, Pve},
    resources::{
        cluster::Cluster,
        host::{
            network,
            preflight::{bridges, pools, startup, vm_id},
        },
        privileges::Wanted,
    },
};

const ALL_VMS: &str = "/vms";

/// The first `lxc-pve` whose confinement lets current runc work.
const LXC_PVE: (&str, [u32; 4]) = ("6.0.5-2", [6, 0, 5, 2]);

/// Checks a container that shall be made or changed.
pub(super) async fn check(
    cluster: &Cluster,
    pve: &Pve,
    plan: &Plan<'_>,
    found: &mut Faults<'_>,
) -> Result<()> {
    let new = plan.creating();
    let at = if new { "node_name" } else { "current_node" };
    let source = if new { &plan.value } else { plan.prior };
    let Some(node) = source.get(at).as_str().map(str::to_owned) else {
        return Ok(());
    };
    let docker = !plan.value.get("docker").is_null();
    let connection = plan.value.get("connection").as_str();
    let inside = docker && (new || plan.changed("docker") || plan.changed("started"));
    if inside {
        cluster
            .check_way(pve, ("connection", connection), found)
            .await?;
    }
    let by_ssh = cluster.is_by_ssh(pve, connection).await?;
    let wanted = if new {
        if !cluster.check_node(pve, &node, "node_name", found).await? {
            return Ok(());
        }
        vm_id(pve, plan, found).await?;
        template(cluster, pve, plan, &node, found).await?;
        if docker {
            lxc_pve(pve, &node, found).await?;
        }
        let wanted = creating(plan, by_ssh);
        let (wanted, source) = source::source(cluster, pve, plan, &node, wanted, found).await?;
        reserved::features(pve, plan, source.as_ref(), found);
        wanted
    } else {
        if connection != Some("ssh") {
            console(pve, plan, &node, found).await?;
        }
        reserved::features(pve, plan, None, found);
        pools(updating(plan, by_ssh), plan)
    };
    reserved::reserved(pve, plan, found);
    network::expect_bridges(cluster, pve, &node, plan, "network_interface", found).await?;
    let wanted = storages(cluster, pve, plan, &node, wanted, found).await?;
    if docker {
        store(cluster, pve, plan, &node, found).await?;
    }
    bridges(startup(wanted, plan), plan, "network_interface")
        .check(pve, found)
        .await
}

fn creating(plan: &Plan<'_>, by_ssh: bool) -> Wanted {
    let pool = plan
        .value
        .get("pool_id")
        .as_str()
        .map(|pool| format!("/pool/{pool}"));
    let other = pool.as_deref().unwrap_or(ALL_VMS);
    // What holds for a pool holds for the guests in it.
    let wanted = [
        ("VM.Allocate", "name"),
        ("VM.Audit", "name"),
        ("VM.Config.Options", "name"),
        ("VM.PowerMgmt", "name"),
        ("VM.Config.CPU", "cpu"),
        ("VM.Config.Memory", "memory"),
        ("VM.Config.Disk", "root_disk"),
        ("VM.Config.Network", "network_interface"),
        ("VM.Console", "connection"),
    ]
    .into_iter()
    .filter(|(privilege, _)| !(by_ssh && *privilege == "VM.Console"))
    .fold(Wanted::default(), |wanted, (privilege, at)| {
        let on = |path: &str| (path.to_owned(), vec![privilege]);
        wanted.either(on(ALL_VMS), on(other), at)
    });
    match plan.value.get("unprivileged").as_bool() {
        Some(false) => wanted.privilege("/", "Sys.Modify", "unprivileged"),
        _ => wanted,
    }
}

fn updating(plan: &Plan<'_>, by_ssh: bool) -> Wanted {
    let vmid = plan.prior.get("vm_id").as_i64().unwrap_or_default();
    let path = format!("/vms/{vmid}");
    let mut wanted = Wanted::default();
    for (at, privilege) in [
        ("name", "VM.Config.Network"),
        ("description", "VM.Config.Options"),
        ("tags", "VM.Config.Options"),
        ("start_on_boot", "VM.Config.Options"),
        ("protection", "VM.Config.Options"),
        ("startup", "VM.Config.Options"),
        ("features", "VM.Allocate"),
        ("cpu", "VM.Config.CPU"),
        ("memory", "VM.Config.Memory"),
        ("root_disk", "VM.Config.Disk"),
        ("data_volume", "VM.Config.Disk"),
        ("mount_point", "VM.Config.Disk"),
        ("network_interface", "VM.Config.Network"),
        ("initialization", "VM.Config.Network"),
        ("started", "VM.PowerMgmt"),
        ("node_name", "VM.Migrate"),
        ("docker", "VM.Console"),
        ("template", "VM.Allocate"),
    ] {
        if plan.changed(at) && !(by_ssh && privilege == "VM.Console") {
            wanted = wanted.privilege(path.clone(), privilege, at);
        }
    }
    wanted
}

async fn template(
    cluster: &Cluster,
    pve: &Pve,
    plan: &Plan<'_>,
    node: &str,
    found: &mut Faults<'_>,
) -> Result<()> {
    let at = "template_file_id";
    let Some(id) = plan.value.get(at).as_str() else {
        return Ok(());
    };
    if let Some((storage, _)) = id.split_once(":vztmpl/") {
        let docker = plan.value.get("docker");
        let installs = docker.get("source").as_str() != Some("preinstalled");
        if let Some((summary, detail)) = fitness::unfit(id, installs).filter(|_| !docker.is_null())
        {
            found.error(at, summary, detail);
        }
        return cluster
            .check_storage(pve, node, storage, "vztmpl", at, found)
            .await;
    }
    found.error(
        at,
        "Not a container template",
        format!("{id:?} is no volume of content vztmpl, such as local:vztmpl/debian-13-standard_13.0-1_amd64.tar.zst."),
    );
    Ok(())
}

async fn storages(
    cluster: &Cluster,
    pve: &Pve,
    plan: &Plan<'_>,
    node: &str,
    mut wanted: Wanted,
    found: &mut Faults<'_>,
) -> Result<Wanted> {
    let mounts = plan.value.get("mount_point").as_map().into_iter().flatten();
    let mounts = mounts.map(|(slot, _)| (format!("mount_point.{slot}.volume"), "mount_point"));
    let fixed = ["root_disk", "data_volume"].map(|at| (format!("{at}.datastore_id"), at));
    let mut seen = Vec::new();
    for (path, at) in fixed.into_iter().chain(mounts) {
        let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
        let Some(storage) = plan.value.at(&path).as_str() else {
            continue;
        };
        if storage.starts_with('/') || !plan.changed(parent) || seen.contains(&storage) {
            continue;
        }
        seen.push(storage);
        if plan.changed(&path) {
            cluster
                .check_storage(pve, node, storage, "rootdir", &path, found)
                .await?;
        }
        wanted = wanted.privilege(format!("/storage/{storage}"), "Datastore.AllocateSpace", at);
    }
    Ok(wanted)
}

/// What to mind where Docker stores.
async fn store(
    cluster: &Cluster,
    pve: &Pve,
    plan: &Plan<'_>,
    node: &str,
    found: &mut Faults<'_>,
) -> Result<()> {
    let paths = ["data_volume.datastore_id", "root_disk.datastore_id"];
    let storage = |path: &&str| plan.value.at(path).as_str().is_some();
    let Some(path) = paths
        .into_iter()
        .find(storage)
        .filter(|path| plan.changed(path))
    else {
        return Ok(());
    };
    let storage = plan.value.at(path).as_str();
    let rows = cluster.storages(pve, node).await?;
    let Some(row) = rows.iter().find(|row| Some(row.name.as_str()) == storage) else {
        return Ok(());
    };
    if let Some(why) = fitness::mind(&row.kind) {
        let text = format!("{} is of type {}. {why}", row.name, row.kind);
        found.warn(path, "Docker stores on a filesystem of its storage", text);
    }
    Ok(())
}

/// Whether an update has to make the console a root shell first, which a running container notices at its next start.
async fn console(pve: &Pve, plan: &Plan<'_>, node: &str, found: &mut Faults<'_>) -> Result<()> {
    let Some(vmid) = plan
        .prior
        .get("vm_id")
        .as_i64()
        .and_then(|vmid| u32::try_from(vmid).ok())
    else {
        return Ok(());
    };
    let Some(config) = pve.lxc_config_opt(node, vmid).await? else {
        return Ok(());
    };
    if config.cmode.as_deref() == Some(CONSOLE) {
        return Ok(());
    }
    let running = plan.prior.get("started").as_bool() == Some(true);
    let never = plan.value.get("restart_policy").as_str() == Some("never");
    let text = "Commands run in a container through its console. That of this one is no root shell; the apply makes it one, whoever may open the console (VM.Console) is root in the container then";
    match (running, never) {
        (false, _) => {}
        (true, false) => found.warn("connection", "The container restarts", format!("{text}, and the container restarts for that.")),
        (true, true) => found.warn("connection", "The container must be restarted", format!("{text}. With restart_policy = \"never\" nothing inside can be looked after until somebody restarts it.")),
    }
    Ok(())
}

/// Whether the node's LXC lets current runc start containers. A credential that may not ask is not told.
async fn lxc_pve(pve: &Pve, node: &str, found: &mut Faults<'_>) -> Result<()> {
    let version = match pve.package_version(node, "lxc-pve").await {
        Ok(version) => version,
        Err(pve::Error::Forbidden { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let (text, oldest) = LXC_PVE;
    if let Some(version) = version
        && numbers(&version) < oldest.to_vec()
    {
        found.error(
            "node_name",
            "The node's LXC is too old for Docker",
            format!("{node} has lxc-pve {version}. Before {text} its AppArmor profile keeps current runc from starting any container. Upgrade the node (`apt update && apt full-upgrade`)."),
        );
    }
    Ok(())
}

/// The numbers of a Debian version, in order.
fn numbers(version: &str) -> Vec<u32> {
    let digits = version.split(|c: char| !c.is_ascii_digit());
    digits.filter_map(|part| part.parse().ok()).collect()
}
