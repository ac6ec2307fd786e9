//! What a clone takes from its source, as far as that is there already and may be seen.

use crate::{
    framework::{Plan, Result, Value, resource::Faults},
    pve::{self, LxcConfig, PropertyString, Pve},
    resources::{
        cluster::Cluster,
        docker_lxc::calls::DATA_SLOT,
        host::{
            checks::mebibytes,
            volumes::{bytes_of, gibibytes},
        },
        privileges::Wanted,
    },
};

/// Adds what a clone asks of the credential, and gives the configuration of its source.
pub(super) async fn source(
    cluster: &Cluster,
    pve: &Pve,
    plan: &Plan<'_>,
    node: &str,
    mut wanted: Wanted,
    found: &mut Faults<'_>,
) -> Result<(Wanted, Option<LxcConfig>)> {
    let Some(source) = plan.value.at("clone.vm_id").as_i64() else {
        return Ok((wanted, None));
    };
    wanted = wanted.privilege(format!("/vms/{source}"), "VM.Clone", "clone.vm_id");
    let at = "clone.datastore_id";
    if let Some(storage) = plan.value.at(at).as_str() {
        if plan.value.at("clone.full").as_bool() == Some(false) {
            found.error(
                at,
                "A linked clone stays where its template is",
                "Leave datastore_id out, or use full = true, which copies the volumes.",
            );
        }
        cluster
            .check_storage(pve, node, storage, "rootdir", at, found)
            .await?;
        wanted = wanted.privilege(format!("/storage/{storage}"), "Datastore.AllocateSpace", at);
    }
    let guests = pve.guests().await?;
    let Some(row) = guests.iter().find(|row| i64::from(row.vmid) == source) else {
        return Ok((wanted, None));
    };
    if row.kind != "lxc" {
        found.error(
            "clone.vm_id",
            "A VM cannot become a container",
            format!("{source} is a VM."),
        );
        return Ok((wanted, None));
    }
    if row.node != node {
        wanted = wanted.privilege("/vms", "VM.Migrate", "node_name");
    }
    let config = match pve.lxc_config_opt(&row.node, row.vmid).await {
        Ok(Some(config)) => config,
        Ok(None) | Err(pve::Error::Forbidden { .. }) => return Ok((wanted, None)),
        Err(error) => return Err(error.into()),
    };
    compare(plan, source, row.status.as_deref(), &config, found);
    Ok((wanted, Some(config)))
}

fn compare(
    plan: &Plan<'_>,
    source: i64,
    status: Option<&str>,
    config: &LxcConfig,
    found: &mut Faults<'_>,
) {
    match plan.value.at("clone.full").as_bool() == Some(false) {
        true if !config.template => found.error(
            "clone.full",
            "Only a template has linked clones",
            format!("{source} is a container. Use full = true, which copies its volumes."),
        ),
        false if status == Some("running") => found.error(
            "clone.vm_id",
            "The source runs",
            format!("Proxmox VE copies a container that is stopped, or a template. Stop {source}, or clone a template."),
        ),
        _ => {}
    }
    if config.unprivileged != (plan.value.get("unprivileged").as_bool() != Some(false)) {
        found.error(
            "unprivileged",
            "A clone is as its source is",
            format!(
                "{source} has unprivileged = {}: say the same here.",
                config.unprivileged
            ),
        );
    }
    if let Some((slot, _)) = config
        .mount_points
        .iter()
        .find(|(_, raw)| raw.starts_with('/'))
    {
        found.error(
            "clone.vm_id",
            "The source has a directory of its node mounted",
            format!("Proxmox VE does not clone {slot} of {source}. Take the mount point out of the source."),
        );
    }
    let data = config.mount_points.get(DATA_SLOT);
    for (raw, at) in [
        (config.rootfs.as_ref(), "root_disk.size_gb"),
        (data, "data_volume.size_gb"),
    ] {
        let Some(bytes) = raw.and_then(|raw| bytes_of(raw)) else {
            continue;
        };
        let size = gibibytes(bytes);
        match plan.value.at(at) {
            Value::Number(wanted)
                if mebibytes(wanted.as_str()).is_some_and(|mib| mib << 20 < bytes) =>
            {
                found.error(
                    at,
                    "A disk cannot shrink",
                    format!("That of {source} has {size} GiB."),
                );
            }
            Value::Null if at.starts_with("data") => found.error(
                "data_volume",
                "The source has a data volume",
                format!("It is cloned too, with Docker's data: set data_volume = {{ size_gb = {size} }}, or more."),
            ),
            _ => {}
        }
    }
    let value = data.and_then(|raw| PropertyString::parse(raw, Some("volume")).ok());
    let path = value.as_ref().and_then(|value| value.get("mp"));
    let planned = plan.value.at("data_volume.mount_path").as_str();
    if let (Some(path), Some(planned)) = (path, planned)
        && path.trim_end_matches('/') != planned.trim_end_matches('/')
    {
        found.error(
            "data_volume.mount_path",
            "The source has it elsewhere",
            format!("The data volume of {source} is mounted at {path}, and Docker's data are set up there: set mount_path = {path:?}."),
        );
    }
}
