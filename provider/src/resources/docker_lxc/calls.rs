//! What `pmoves_docker_lxc` asks of the API: pure, from models and the guest's current config.

mod clones;

use std::collections::BTreeSet;

pub(super) use clones::{adopt, clone};

use super::{
    model::DockerLxc,
    values::{data, device, features, mount_point, network},
};
use crate::{
    pve::{Call, LxcConfig, Params, parse_size},
    resources::host::{
        checks::mebibytes,
        power::{Place, pool, resize},
        volumes::{bytes_of, storage_of},
    },
};

/// Slot of the data volume.
pub(super) const DATA_SLOT: &str = "mp0";

/// What its console must be to be a way into the container.
pub(super) const CONSOLE: &str = "shell";

/// Makes the container, but does not start it.
pub(super) fn create(plan: &DockerLxc, vmid: u32, tag: Option<&str>) -> Call {
    let root = plan.root_disk.clone().unwrap_or_default();
    let storage = root.datastore_id.unwrap_or_default();
    let size = root
        .size_gb
        .map_or_else(|| "8".to_owned(), |size| size.to_string());
    let account = plan.initialization.clone().unwrap_or_default().user_account;
    let account = account.unwrap_or_default();
    let keys: Vec<String> = account.keys.into_iter().flatten().collect();
    let password = account.password_wo.map(|secret| secret.expose().clone());
    let params = params(plan, &LxcConfig::default(), tag)
        .with("vmid", Some(vmid))
        .with("ostemplate", plan.template_file_id.as_deref())
        .with("cmode", cmode(plan, None))
        .with("pool", plan.pool_id.as_deref())
        .flag("unprivileged", Some(plan.unprivileged != Some(false)))
        .with("rootfs", Some(format!("{storage}:{size}")))
        .with(
            "ssh-public-keys",
            (!keys.is_empty()).then(|| keys.join("\n")),
        )
        .secret("password", password);
    Call::post(format!("/nodes/{}/lxc", plan.node_name), params).task()
}

/// Changes the configuration from `prior` to `plan`; `config` is what Proxmox VE has. Property strings are replaced
/// whole, so what we do not know of them is sent again.
pub(super) fn update(
    prior: &DockerLxc,
    plan: &DockerLxc,
    place: &Place,
    config: &LxcConfig,
    tag: Option<&str>,
) -> Vec<Call> {
    let tag = tag.filter(|tag| config.tags.iter().any(|current| current == tag));
    let mut before = params(prior, config, tag).with("cmode", config.cmode.as_deref());
    if let Some(raw) = config
        .mount_points
        .get(DATA_SLOT)
        .filter(|_| prior.data_volume.is_some())
    {
        before = before.with(DATA_SLOT, Some(raw));
    }
    let after = params(plan, config, tag).with("cmode", cmode(plan, config.cmode.as_deref()));
    // The data volume stays: an update never lets go of it.
    let after = match before.value(DATA_SLOT) {
        Some(raw) if plan.data_volume.is_none() => after.with(DATA_SLOT, Some(raw.to_owned())),
        _ => after,
    };
    let patch = before.patch(&after);
    let change = (!patch.is_empty()).then(|| Call::put(place.path("/config"), patch));
    pool(prior.pool_id.as_ref(), plan.pool_id.as_ref(), place.id.vmid)
        .into_iter()
        .chain(change)
        .chain(grow(plan, place, config))
        .collect()
}

/// The mode of its console: SSH leaves it as it is.
fn cmode<'a>(plan: &DockerLxc, current: Option<&'a str>) -> Option<&'a str> {
    match plan.connection.as_deref() {
        Some("ssh") => current,
        _ => Some(CONSOLE),
    }
}

/// Grows the volumes that are smaller than planned: to the size that one has already is an error of the API.
fn grow(plan: &DockerLxc, place: &Place, config: &LxcConfig) -> Vec<Call> {
    let root = plan
        .root_disk
        .as_ref()
        .and_then(|disk| disk.size_gb.as_ref());
    let data = plan.data_volume.as_ref().map(|volume| &volume.size_gb);
    let mounts = plan.mount_point.iter().flatten();
    let mounts = mounts.map(|(slot, mount)| (slot.as_str(), mount.size_gb.as_ref()));
    [("rootfs", root), (DATA_SLOT, data)]
        .into_iter()
        .chain(mounts)
        .filter_map(|(slot, size)| {
            let raw = match slot {
                "rootfs" => config.rootfs.as_ref()?,
                slot => config.mount_points.get(slot)?,
            };
            let size = size?.to_string();
            let wanted = parse_size(&format!("{}M", mebibytes(&size)?))?;
            (wanted > bytes_of(raw)?).then(|| resize(place, slot, &size))
        })
        .collect()
}

/// Moves the volumes that are on another storage than planned; the container must not run meanwhile.
pub(super) fn moves(plan: &DockerLxc, place: &Place, config: &LxcConfig) -> Vec<Call> {
    let root = plan
        .root_disk
        .as_ref()
        .and_then(|disk| disk.datastore_id.as_deref());
    let data = plan
        .data_volume
        .as_ref()
        .and_then(|volume| volume.datastore_id.as_deref());
    let now = |raw: Option<&String>| storage_of(raw?);
    [
        ("rootfs", root, now(config.rootfs.as_ref())),
        (DATA_SLOT, data, now(config.mount_points.get(DATA_SLOT))),
    ]
    .into_iter()
    .filter_map(|(slot, wanted, now)| {
        let wanted = wanted.filter(|wanted| now.as_deref().is_some_and(|now| now != *wanted))?;
        // Proxmox VE keeps the old volume if not told otherwise.
        let params = Params::new()
            .with("volume", Some(slot))
            .with("storage", Some(wanted))
            .flag("delete", Some(true));
        Some(
            Call::post(place.path("/move_volume"), params)
                .task()
                .clone_slot(),
        )
    })
    .collect()
}

/// Moves the container to another node; one that runs is stopped for that and started there.
pub(super) fn migrate(place: &Place, target: &str, running: bool) -> Call {
    let params = Params::new()
        .with("target", Some(target))
        .flag("restart", running.then_some(true));
    Call::post(place.path("/migrate"), params)
        .task()
        .clone_slot()
}

/// Attributes that a running container takes only when it starts.
pub(super) const NEEDS_RESTART: &[&str] = &[
    "features",
    "data_volume.backup",
    "mount_point",
    "device_passthrough",
    "initialization.dns",
];

/// All that can be changed later, over what the configuration has.
fn params(ct: &DockerLxc, config: &LxcConfig, tag: Option<&str>) -> Params {
    let (cpu, memory) = (
        ct.cpu.clone().unwrap_or_default(),
        ct.memory.clone().unwrap_or_default(),
    );
    let init = ct.initialization.clone().unwrap_or_default();
    let (dns, ips) = (
        init.dns.unwrap_or_default(),
        init.ip_config.unwrap_or_default(),
    );
    let tags: BTreeSet<&str> = ct
        .tags
        .iter()
        .flatten()
        .map(String::as_str)
        .chain(tag)
        .collect();
    let tags: Vec<&str> = tags.into_iter().collect();
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let servers = dns.servers.filter(|servers| !servers.is_empty());
    let current = config.features.as_deref();
    let features = match &ct.features {
        Some(wanted) => features(wanted, current).map(|value| value.to_string()),
        None => current.map(str::to_owned),
    };
    let mut params = Params::new()
        .with("hostname", Some(&ct.name))
        .with("cores", cpu.cores)
        .with("cpulimit", cpu.limit.as_ref())
        .with("cpuunits", cpu.units)
        .with("memory", memory.size)
        .with("swap", memory.swap)
        .with("features", features)
        .with("nameserver", servers.map(|servers| servers.join(" ")))
        .with("searchdomain", text(&dns.domain))
        .flag("onboot", ct.start_on_boot)
        .flag("protection", ct.protection)
        .with(
            "startup",
            ct.startup.as_ref().and_then(super::Startup::value),
        )
        .with("description", text(&ct.description))
        .with("tags", (!tags.is_empty()).then(|| tags.join(";")));
    for (slot, nic) in ct.network_interface.iter().flatten() {
        let current = config.nets.get(slot).map(String::as_str);
        let value = network(slot, nic, ips.get(slot), current);
        params = params.with(slot.clone(), Some(value));
    }
    if let Some(volume) = &ct.data_volume {
        let new = || {
            let root = ct
                .root_disk
                .as_ref()
                .and_then(|disk| disk.datastore_id.as_ref());
            let storage = volume.datastore_id.as_ref().or(root);
            format!("{}:{}", storage.map_or("", String::as_str), volume.size_gb)
        };
        let current = config.mount_points.get(DATA_SLOT).cloned();
        let value = data(&current.unwrap_or_else(new), volume);
        params = params.with(DATA_SLOT, Some(value));
    }
    for (slot, mount) in ct.mount_point.iter().flatten() {
        let current = config.mount_points.get(slot).map(String::as_str);
        params = params.with(slot.clone(), Some(mount_point(mount, current)));
    }
    for (slot, wanted) in ct.device_passthrough.iter().flatten() {
        params = params.with(slot.clone(), Some(device(wanted)));
    }
    params
}
