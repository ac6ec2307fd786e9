//! What a plan of `pmoves_docker_lxc` means beyond its attributes. Pure.

use super::calls::NEEDS_RESTART;
use crate::{
    framework::{Plan, Value, resource::Faults},
    resources::{
        docker,
        host::{Kind, plans},
    },
};

/// Rules between attributes, as far as they are known.
pub(super) fn validate(config: &Value, found: &mut Faults<'_>) {
    let ips = config.at("initialization.ip_config");
    for (slot, ip) in ips.as_map().into_iter().flatten() {
        if let Some(nics) = config.get("network_interface").as_map()
            && !nics.contains_key(slot)
        {
            found.error(
                &format!("initialization.ip_config.{slot}"),
                "No such NIC",
                format!("network_interface has no {slot}."),
            );
        }
        for family in ["ipv4", "ipv6"] {
            let address = ip.at(&format!("{family}.address"));
            let fixed =
                address.is_unknown() || address.as_str().is_some_and(|text| text.contains('/'));
            if !ip.at(&format!("{family}.gateway")).is_null() && !fixed {
                found.error(
                    &format!("initialization.ip_config.{slot}.{family}.gateway"),
                    "A gateway needs a static address",
                    "With DHCP or automatic addresses the network tells the gateway.",
                );
            }
        }
    }
    let account = config.at("initialization.user_account");
    if !account.get("password_wo").is_null() && account.get("password_wo_version").is_null() {
        found.error(
            "initialization.user_account.password_wo",
            "password_wo_version is missing",
            "A write-only value cannot be compared; set password_wo_version to any text and change it with the password.",
        );
    }
    let mounts = config.get("mount_point").as_map().into_iter().flatten();
    for (slot, mount) in mounts {
        let bind = mount
            .get("volume")
            .as_str()
            .is_some_and(|volume| volume.starts_with('/'));
        if bind && !mount.get("size_gb").is_null() {
            found.error(
                &format!("mount_point.{slot}.size_gb"),
                "A directory of the node has no size",
                "Leave size_gb out, or name a storage as the volume.",
            );
        }
    }
}

/// What a change of one attribute makes of others.
pub(super) fn effects(plan: &mut Plan<'_>) {
    // Left open, the data volume is beside the root disk; that of a clone may be where its source has it.
    let cloned = plan.creating() && !plan.config.get("clone").is_null();
    if plan.value.at("data_volume.datastore_id").is_unknown() && !cloned {
        let storage = plan.value.at("root_disk.datastore_id").clone();
        plan.set("data_volume.datastore_id", storage);
    }
    let nesting = plan.value.at("features.nesting").as_bool();
    if nesting == Some(false)
        && !plan.value.get("docker").is_null()
        && plan.changed("features.nesting")
    {
        plan.error(
            "features.nesting",
            "Docker needs nesting",
            "Without it the kernel refuses the mounts that containers are made of.",
        );
    }
    docker::effects(plan);
    plans::template(
        plan,
        Kind::Lxc,
        &[
            "docker",
            "data_volume",
            "root_disk",
            "mount_point",
            "features",
        ],
    );
    match plan.creating() {
        true => creating(plan),
        false => updating(plan),
    }
}

fn creating(plan: &mut Plan<'_>) {
    if let Some(id) = plan.value.at("vm_id").as_i64() {
        plan.set("id", format!("lxc/{id}"));
    }
    plan.set("restart_required", false);
    let cloned = !plan.config.get("clone").is_null();
    if cloned {
        cloning(plan);
    }
    for (path, what, of_clone) in [
        (
            "template_file_id",
            "the template to start from, or clone",
            Some(false),
        ),
        (
            "clone.vm_id",
            "the container or template to clone",
            Some(true),
        ),
        (
            "root_disk.datastore_id",
            "the storage for its root disk",
            Some(false),
        ),
        (
            "network_interface.net0.bridge",
            "a first NIC, net0, with its bridge",
            None,
        ),
    ] {
        if plan.config.at(path).is_null() && of_clone.is_none_or(|of| of == cloned) {
            let root = path.split('.').next().unwrap_or(path);
            let detail = format!("A new container needs {what}.");
            plan.error(root, format!("{path} is missing"), detail);
        }
    }
    if plan.value.get("data_volume").is_null() {
        plan.warn(
            "data_volume",
            "Docker stays on the root disk",
            "Without data_volume, images, containers and volumes live on the root disk and go with it.",
        );
    }
}

/// What a clone leaves to its source.
fn cloning(plan: &mut Plan<'_>) {
    let account = "initialization.user_account";
    for (path, why) in [
        (
            "template_file_id",
            "A container starts from one of template_file_id and clone.",
        ),
        (
            "initialization.user_account.keys",
            "Proxmox VE sets the keys of root only in a container that it makes from a template; a clone has those of its source.",
        ),
        (
            "initialization.user_account.password_wo",
            "Proxmox VE sets the password of root only in a container that it makes from a template; a clone has that of its source.",
        ),
    ] {
        if !plan.config.at(path).is_null() {
            let at = if path.starts_with(account) {
                path
            } else {
                "clone"
            };
            plan.error(at, "Not with a clone", why);
        }
    }
    if plan.value.get("root_disk").is_null() {
        plan.unknown("root_disk");
    } else {
        for path in ["root_disk.datastore_id", "root_disk.size_gb"] {
            if plan.config.at(path).is_null() {
                plan.unknown(path);
            }
        }
    }
}

fn updating(plan: &mut Plan<'_>) {
    let volumes = "the root disk and the data volume";
    plans::replacing(plan, Kind::Lxc, "data_volume", volumes);
    let slots = plan.value.get("mount_point").as_map().into_iter().flatten();
    let mut sizes: Vec<String> = slots
        .map(|(slot, _)| format!("mount_point.{slot}.size_gb"))
        .collect();
    sizes.extend(["root_disk.size_gb", "data_volume.size_gb"].map(str::to_owned));
    plans::only_grow(plan, &sizes);
    let running = plan.prior.get("started").as_bool() == Some(true);
    let runs = plan.value.get("started").as_bool() != Some(false);
    if plan.changed("started") {
        plan.set("status", if runs { "running" } else { "stopped" });
    }
    moving(plan, running);
    if runs
        && (plan.changed("network_interface")
            || plan.changed("initialization")
            || plan.changed("started"))
    {
        for name in ["ipv4_address", "ipv6_address", "addresses"] {
            plan.unknown(name);
        }
        if plan.changed("network_interface") {
            plan.unknown("interface_name");
        }
    }
    let unfinished =
        plan.prior.get("docker_version").is_null() && !plan.value.get("docker").is_null();
    if runs && unfinished {
        for name in [
            "docker_version",
            "compose_version",
            "storage_driver",
            "interface_name",
        ] {
            plan.unknown(name);
        }
    }
    // A new mount point reaches a running container, a change of one does not.
    let mounts = plan.prior.get("mount_point").as_map().into_iter().flatten();
    let known: Vec<String> = mounts
        .map(|(slot, _)| format!("mount_point.{slot}"))
        .collect();
    let needs = NEEDS_RESTART
        .iter()
        .copied()
        .filter(|path| *path != "mount_point");
    let needs: Vec<&str> = needs.chain(known.iter().map(String::as_str)).collect();
    plans::restart(plan, Kind::Lxc, &needs, running && runs);
}

/// Says what stops the container for a while: a move to another node or storage.
fn moving(plan: &mut Plan<'_>, running: bool) {
    if !plan.replace.is_empty() {
        return;
    }
    let stops = match running {
        true => "It is stopped for that, and started again if it shall run.",
        false => "It is stopped, and stays so unless it shall run.",
    };
    if plan.changed("node_name") {
        let (target, now) = (
            plan.value.get("node_name").clone(),
            plan.prior.get("current_node").clone(),
        );
        plan.set("current_node", target.clone());
        if target != now {
            let detail = format!("From {} to {}. {stops}", now.display(), target.display());
            plan.warn("node_name", "The container moves to another node", detail);
        }
    }
    for path in ["root_disk.datastore_id", "data_volume.datastore_id"] {
        if !plan.prior.at(path).is_null() && plan.changed(path) {
            let (from, to) = (plan.prior.at(path).display(), plan.value.at(path).display());
            let detail = format!("From {from} to {to}. {stops}");
            plan.warn(path, "The volume moves to another storage", detail);
        }
    }
}
