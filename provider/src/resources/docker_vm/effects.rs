//! What a plan of `pmoves_docker_vm` means beyond its attributes. Pure.

use super::{
    calls::{DATA_SLOT, NEEDS_RESTART, OS_SLOT, SEED_SLOT},
    disks, mounts,
};
use crate::{
    framework::{Plan, Value, resource::Faults},
    resources::{
        docker,
        host::{Kind, plans},
    },
};

/// Rules between attributes, as far as they are known.
pub(super) fn validate(config: &Value, found: &mut Faults<'_>) {
    let (size, balloon) = (
        config.at("memory.size").as_i64(),
        config.at("memory.balloon").as_i64(),
    );
    if let (Some(size), Some(balloon)) = (size, balloon)
        && balloon > size
    {
        found.error(
            "memory.balloon",
            "Invalid balloon",
            format!("Must not be more than memory.size, which is {size}."),
        );
    }
    let nics = config.get("network_device");
    for (slot, ip) in config
        .at("initialization.ip_config")
        .as_map()
        .into_iter()
        .flatten()
    {
        if let Some(nics) = nics.as_map()
            && !nics.contains_key(slot)
        {
            found.error(
                &format!("initialization.ip_config.{slot}"),
                "No such NIC",
                format!("network_device has no {slot}."),
            );
        }
        for (family, automatic) in [("ipv4", ["dhcp", "dhcp"]), ("ipv6", ["dhcp", "auto"])] {
            let gateway = !ip.at(&format!("{family}.gateway")).is_null();
            let address = ip.at(&format!("{family}.address"));
            let dynamic = address.is_null()
                || address
                    .as_str()
                    .is_some_and(|text| automatic.contains(&text));
            if gateway && dynamic {
                found.error(
                    &format!("initialization.ip_config.{slot}.{family}.gateway"),
                    "A gateway needs a static address",
                    "With DHCP or automatic addresses the network tells the gateway.",
                );
            }
        }
    }
    let clone = config.get("clone");
    if clone.get("full").as_bool() == Some(false) && !clone.get("datastore_id").is_null() {
        found.error(
            "clone.datastore_id",
            "A linked clone stays where its template is",
            "Its disks share the storage with the template. Use full = true to copy them elsewhere.",
        );
    }
    let machine = config.get("machine");
    let express = machine.is_unknown() || machine.as_str().is_some_and(|text| text.contains("q35"));
    for (slot, device) in config.get("hostpci").as_map().into_iter().flatten() {
        if device.get("pcie").as_bool() == Some(true) && !express {
            let at = format!("hostpci.{slot}.pcie");
            found.error(
                &at,
                "PCI Express needs another machine",
                "Set machine = \"q35\".",
            );
        }
    }
    if !config.get("efi_disk").is_null() && config.get("bios").as_str() == Some("seabios") {
        found.error(
            "efi_disk",
            "Only UEFI has an EFI disk",
            "Set bios = \"ovmf\", or leave efi_disk out.",
        );
    }
    taken(config, found);
    mounts::validate(config, found);
    let data = ["user_data", "user_data_wo"];
    if data
        .iter()
        .all(|name| !config.get("initialization").get(name).is_null())
    {
        found.error(
            "initialization.user_data_wo",
            "Either user_data or user_data_wo",
            "The first boot runs one text; put the whole of it into user_data_wo if it holds secrets.",
        );
    }
    let account = config.at("initialization.user_account");
    let (password, version) = (
        account.get("password_wo"),
        account.get("password_wo_version"),
    );
    if !password.is_null() && version.is_null() {
        found.error(
            "initialization.user_account.password_wo",
            "password_wo_version is missing",
            "A write-only value cannot be compared; set password_wo_version to any text and change it with the password.",
        );
    }
}

/// No disk may be where another one is.
fn taken(config: &Value, found: &mut Faults<'_>) {
    let os = config.at("os_disk.interface").as_str();
    let described = [OS_SLOT, DATA_SLOT, os.unwrap_or(OS_SLOT)];
    for slot in disks::slots(config).filter(|slot| described.contains(&slot.as_str())) {
        let detail = format!("{slot} is described by os_disk and data_disk; take scsi2 to scsi29.");
        found.error(&format!("disk.{slot}"), "The slot is taken", detail);
    }
    if let Some(slot) = os.filter(|slot| [DATA_SLOT, SEED_SLOT].contains(slot)) {
        let detail = format!("{slot} is for the data disk or for what the first boot reads.");
        found.error("os_disk.interface", "The slot is taken", detail);
    }
}

/// What a change of one attribute makes of others.
pub(super) fn effects(plan: &mut Plan<'_>) {
    // Left open, the data disk is beside the OS disk; that of a clone may be where its source has it.
    let cloned = plan.creating() && !plan.config.get("clone").is_null();
    if plan.value.at("data_disk.datastore_id").is_unknown() && !cloned {
        let storage = plan.value.at("os_disk.datastore_id").clone();
        plan.set("data_disk.datastore_id", storage);
    }
    if plan.creating() && !cloned && plan.config.at("os_disk.interface").is_null() {
        plan.set("os_disk.interface", OS_SLOT);
    }
    if !cloned {
        let storage = plan.value.at("os_disk.datastore_id").clone();
        let slots: Vec<String> = disks::slots(&plan.value).cloned().collect();
        for path in slots.iter().map(|slot| format!("disk.{slot}.datastore_id")) {
            let decided = plan.config.at(&path).is_null() && plan.value.at(&path).is_unknown();
            if decided {
                plan.set(&path, storage.clone());
            }
        }
    }
    firmware(plan);
    docker::effects(plan);
    plans::template(
        plan,
        Kind::Qemu,
        &["docker", "data_disk", "os_disk", "disk", "mount"],
    );
    match plan.creating() {
        true => creating(plan),
        false => updating(plan),
    }
}

fn creating(plan: &mut Plan<'_>) {
    if let Some(id) = plan.value.at("vm_id").as_i64() {
        plan.set("id", format!("qemu/{id}"));
    }
    plan.set("restart_required", false);
    let cloned = !plan.config.get("clone").is_null();
    if cloned {
        cloning(plan);
    }
    for (path, what, of_clone) in [
        ("image.id", "the image to start from, or clone", Some(false)),
        ("clone.vm_id", "the VM or template to clone", Some(true)),
        (
            "os_disk.datastore_id",
            "the storage for its disk",
            Some(false),
        ),
        (
            "network_device.net0.bridge",
            "a first NIC, net0, with its bridge",
            None,
        ),
    ] {
        if plan.config.at(path).is_null() && of_clone.is_none_or(|of| of == cloned) {
            let root = path.split('.').next().unwrap_or(path);
            plan.error(
                root,
                format!("{path} is missing"),
                format!("A new VM needs {what}."),
            );
        }
    }
    if plan.value.get("data_disk").is_null() {
        plan.warn(
            "data_disk",
            "Docker stays on the OS disk",
            "Without data_disk, images, containers and volumes live on the OS disk and go with it.",
        );
    }
}

/// UEFI keeps its settings on a disk, beside the OS disk if no storage is chosen.
fn firmware(plan: &mut Plan<'_>) {
    let uefi = plan.value.get("bios").as_str() == Some("ovmf");
    if uefi && plan.creating() && plan.config.get("efi_disk").is_null() {
        let disk = [
            ("datastore_id", Value::Unknown),
            ("type", "4m".into()),
            ("pre_enrolled_keys", false.into()),
        ];
        let disk = disk.map(|(name, value)| (name.to_owned(), value));
        plan.set("efi_disk", Value::Map(disk.into()));
    }
    let cloned = plan.creating() && !plan.config.get("clone").is_null();
    if plan.config.at("efi_disk.datastore_id").is_null()
        && plan.value.at("efi_disk.datastore_id").is_unknown()
        && !cloned
    {
        let storage = plan.value.at("os_disk.datastore_id").clone();
        plan.set("efi_disk.datastore_id", storage);
    }
    if !plan.creating() && plan.changed("bios") {
        plan.warn(
            "bios",
            "The guest may not boot",
            "It was installed for the other firmware.",
        );
    }
}

/// What a clone leaves to its source.
fn cloning(plan: &mut Plan<'_>) {
    if !plan.config.at("image").is_null() {
        plan.error(
            "clone",
            "Either an image or a clone",
            "A VM starts from one of the two.",
        );
    }
    if plan.value.get("os_disk").is_null() {
        plan.unknown("os_disk");
    } else if plan.value.at("os_disk.datastore_id").is_null() {
        plan.unknown("os_disk.datastore_id");
    }
}

fn updating(plan: &mut Plan<'_>) {
    plans::replacing(
        plan,
        Kind::Qemu,
        "data_disk",
        "the OS disk and the data disk",
    );
    let mut sizes = ["os_disk.size_gb", "data_disk.size_gb"]
        .map(str::to_owned)
        .to_vec();
    sizes.extend(disks::slots(&plan.value).map(|slot| format!("disk.{slot}.size_gb")));
    plans::only_grow(plan, &sizes);
    detaching(plan);
    if plan.changed("node_name") {
        migrating(plan);
    }
    let running = plan.prior.get("started").as_bool() == Some(true);
    let runs = plan.value.get("started").as_bool() != Some(false);
    if plan.changed("started") {
        plan.set("status", if runs { "running" } else { "stopped" });
    }
    let net0 = ["bridge", "vlan_id", "mac_address"]
        .iter()
        .any(|key| plan.changed(&format!("network_device.net0.{key}")));
    if runs && (net0 || plan.changed("started")) {
        plan.unknown("ipv4_address");
        plan.unknown("ipv6_address");
    }
    if runs && (plan.changed("network_device") || plan.changed("started")) {
        plan.unknown("addresses");
    }
    if runs && plan.changed("network_device.net0.mac_address") {
        plan.unknown("interface_name");
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
    let disks = disks::restarting(plan.prior);
    let still = disks
        .iter()
        .map(String::as_str)
        .filter(|path| !plan.value.at(path).is_null());
    let others = NEEDS_RESTART.iter().copied().filter(|path| *path != "disk");
    let needs: Vec<&str> = others.chain(still).collect();
    plans::restart(plan, Kind::Qemu, &needs, running && runs);
}

/// Says what becomes of disks that are removed.
fn detaching(plan: &mut Plan<'_>) {
    let removed =
        disks::slots(plan.prior).filter(|slot| plan.value.get("disk").get(slot).is_null());
    let removed: Vec<&str> = removed.map(String::as_str).collect();
    if !removed.is_empty() && !plan.value.get("disk").is_unknown() && plan.replace.is_empty() {
        let names = removed.join(", ");
        let detail = format!(
            "{names}: it is unmounted in the guest, and its volume stays with the VM as an unused disk."
        );
        plan.warn("disk", "A disk is detached", detail);
    }
}

/// Says how the VM moves. One that others have moved there already only takes note.
fn migrating(plan: &mut Plan<'_>) {
    let (target, now) = (
        plan.value.get("node_name").clone(),
        plan.prior.get("current_node").clone(),
    );
    plan.set("current_node", target.clone());
    if target == now || !plan.replace.is_empty() {
        return;
    }
    let how = match (
        plan.prior.get("started").as_bool() == Some(true),
        moves_online(plan.prior),
    ) {
        (false, _) => "It is stopped, and moves offline.",
        (true, true) => {
            "It moves online: it goes on running, and its local disks are copied meanwhile."
        }
        (true, false) => {
            "It moves offline, since its devices cannot move while it runs: it is shut down before, and started again if it shall run."
        }
    };
    let detail = format!("From {} to {}. {how}", now.display(), target.display());
    plan.warn("node_name", "The VM moves to another node", detail);
}

/// Whether no device ties a running VM to its node.
pub(super) fn moves_online(vm: &Value) -> bool {
    let devices = |name: &&str| vm.get(name).as_map().is_some_and(|map| !map.is_empty());
    !["hostpci", "usb", "virtiofs"].iter().any(devices)
}
