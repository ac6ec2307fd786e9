//! How the answers of the API and of the guest become a state of `pmoves_docker_vm`.

use std::collections::BTreeMap;

use super::{
    calls::{DATA_SERIAL, DATA_SLOT},
    devices, disks, host,
    model::{Agent, Cpu, DataDisk, DockerVm, Memory, NetworkDevice, OsDisk, Startup},
    mounts,
    seed_file::SeedFile,
    values::boot_disk,
};
use crate::{
    framework::{Context, Failure, Result, State},
    guest::facts::{Facts, Mount},
    pve::{GuestRow, PropertyString, Pve, QemuConfig},
    resources::{
        cluster::Cluster,
        docker,
        host::{
            HostId, Kind, is_gone,
            network::trunks,
            own_tags,
            power::{self, Place},
            volumes::{bytes_of, gibibytes, storage_of},
        },
    },
};

/// Refreshes a state: one row of the shared list, one config, one look at the guest.
pub(super) async fn read(
    cx: &Context<'_, Cluster>,
    pve: &Pve,
    prior: DockerVm,
    state: &mut State<DockerVm>,
) -> Result<()> {
    let vmid = prior.vmid()?;
    let Some(row) = pve.guest_opt(vmid).await? else {
        return gone(pve, &prior, vmid, state).await;
    };
    if row.kind != "qemu" {
        return Err(Failure::new(format!("{vmid} is a container, not a VM")));
    }
    let Some(config) = pve.vm_config_opt(&row.node, vmid).await? else {
        // The list is older than the config: it was destroyed or moved a moment ago.
        let moved = pve
            .guests_now()
            .await?
            .iter()
            .any(|now| now.vmid == vmid && now.node != row.node);
        return match moved {
            true => Err(Failure::new(format!(
                "VM {vmid} is on its way to another node; try again"
            ))),
            false => gone(pve, &prior, vmid, state).await,
        };
    };
    let place = Place::of(Kind::Qemu, &row);
    let running = power::runs_still(pve, &row, &place, prior.started).await?;
    let mut next = from_config(&prior, &config, &row, cx.client.tag(), cx.importing);
    next.started = Some(running);
    next.status = Some(if running { "running" } else { "stopped" }.to_owned());
    let waited = prior.restart_required == Some(true);
    next.restart_required = Some(waited && power::waits(pve, &place).await?);
    if running && cx.client.looks_in(cx) && next.has_way(cx.client) {
        let guest = next.reach(cx.client, pve, (&row.node, vmid))?;
        match cx.client.look_by(vmid, guest).await.as_ref() {
            Ok(look) => {
                host::note_facts(&mut next, &look.facts);
                note_docker(&mut next, &look.facts, cx.importing);
            }
            Err(silence) => state.warn(
                format!("The guest {} does not answer", next.name),
                format!("The state keeps what was last known of it. {}", silence.0),
            ),
        }
    }
    let unfinished = !cx.importing && prior.docker.is_some() && prior.docker_version.is_none();
    if unfinished || SeedFile::attached(&row.node, vmid, &config).is_some() {
        // The first boot or a change has not come to an end, so the next apply sees to it.
        next.docker_version = None;
    }
    state.save(next);
    Ok(())
}

/// What the guest says of Docker, for the settings that the state follows.
fn note_docker(next: &mut DockerVm, facts: &Facts, importing: bool) {
    match &next.docker {
        Some(known) => next.docker = Some(docker::observed(known, facts)),
        None if importing => next.docker = docker::adopted(facts),
        None => {}
    }
    if let Some(known) = &next.mount {
        next.mount = Some(mounts::observed(known, &facts.files));
    }
    if let Some(disk) = next.data_disk.as_mut().filter(|_| importing) {
        let root = facts.docker.as_ref().map(|docker| docker.root.as_str());
        if let Some((path, mount)) = root.and_then(|root| mount_of(root, facts)) {
            disk.mount_path = Some(path.clone());
            disk.filesystem = Some(mount.filesystem.clone());
        }
    }
    if facts.docker.is_none() {
        // A daemon that does not run is brought back by the next apply.
        next.docker_version = None;
    }
}

/// The mount that holds a directory, unless that is the root.
fn mount_of<'a>(directory: &str, facts: &'a Facts) -> Option<(&'a String, &'a Mount)> {
    let holds = |path: &str| {
        directory
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    facts
        .mounts
        .iter()
        .filter(|(path, _)| path.len() > 1 && holds(path))
        .max_by_key(|(path, _)| path.len())
}

async fn gone(pve: &Pve, prior: &DockerVm, vmid: u32, state: &mut State<DockerVm>) -> Result<()> {
    let node = prior.current_node.as_deref().unwrap_or(&prior.node_name);
    let kind = Kind::Qemu;
    let config = pve.vm_config_opt(node, vmid);
    if is_gone(pve, HostId { kind, vmid }, node, config).await? {
        state.remove();
    }
    Ok(())
}

/// The state that a config tells, over what it cannot tell.
pub(super) fn from_config(
    prior: &DockerVm,
    config: &QemuConfig,
    row: &GuestRow,
    tag: Option<&str>,
    importing: bool,
) -> DockerVm {
    let signed = |number: Option<u32>| number.map(i64::from);
    let cpu = config
        .cpu
        .as_deref()
        .and_then(|raw| PropertyString::parse(raw, Some("cputype")).ok());
    let (cpu_prior, tags) = (
        prior.cpu.clone().unwrap_or_default(),
        own_tags(prior.tags.as_ref(), &config.tags, tag),
    );
    let cpu = Cpu {
        cores: signed(config.cores),
        sockets: signed(config.sockets),
        // Flags that the attribute does not spell stay out of it.
        r#type: match (
            &cpu_prior.r#type,
            cpu.as_ref().and_then(|cpu| cpu.get("cputype")),
        ) {
            (Some(prior), Some(now)) if prior.split(',').next() == Some(now) => Some(prior.clone()),
            (_, now) => now.map(str::to_owned),
        },
        limit: config
            .cpulimit
            .and_then(|limit| serde_json::from_str(&limit.to_string()).ok()),
        units: signed(config.cpuunits),
        numa: config.numa,
    };
    let memory = Memory {
        size: config.memory.and_then(|mib| i64::try_from(mib).ok()),
        balloon: config.balloon.and_then(|mib| i64::try_from(mib).ok()),
    };
    let known = prior
        .os_interface()
        .filter(|slot| config.disks.contains_key(*slot));
    let os = known.or_else(|| boot_disk(config)).map(|slot| OsDisk {
        datastore_id: storage_of(&config.disks[slot]),
        size_gb: bytes_of(&config.disks[slot]).map(gibibytes),
        interface: Some(slot.to_owned()),
    });
    DockerVm {
        id: Some(format!("qemu/{}", row.vmid)),
        vm_id: Some(row.vmid),
        name: config
            .name
            .clone()
            .unwrap_or_else(|| format!("VM{}", row.vmid)),
        node_name: if prior.node_name.is_empty() {
            row.node.clone()
        } else {
            prior.node_name.clone()
        },
        current_node: Some(row.node.clone()),
        cpu: Some(cpu).filter(|cpu| *cpu != Cpu::default()),
        memory: Some(memory).filter(|memory| *memory != Memory::default()),
        os_disk: os,
        data_disk: data_disk(prior, config, importing),
        disk: disks::read(prior.disk.as_ref(), config, importing),
        network_device: nics(prior, config, importing),
        description: config.description.clone().filter(|text| !text.is_empty()),
        tags,
        pool_id: row.pool.clone(),
        start_on_boot: Some(config.onboot.unwrap_or(false)),
        startup: config.startup.as_deref().and_then(Startup::parse),
        template: Some(config.template),
        agent: Some(Agent {
            enabled: Some(agent_enabled(config)),
        }),
        // Absent means off; a state that never heard of it stays quiet.
        protection: match config.protection.unwrap_or(false) {
            false if prior.protection.is_none() => None,
            on => Some(on),
        },
        ..devices::read(prior, config, importing)
    }
}

fn agent_enabled(config: &QemuConfig) -> bool {
    let raw = config.agent.as_deref();
    raw.and_then(|raw| PropertyString::parse(raw, Some("enabled")).ok())
        .and_then(|agent| agent.flag("enabled"))
        .unwrap_or(false)
}

fn data_disk(prior: &DockerVm, config: &QemuConfig, importing: bool) -> Option<DataDisk> {
    let raw = config.disks.get(DATA_SLOT)?;
    let drive = PropertyString::parse(raw, Some("file")).ok()?;
    let ours = drive.get("serial") == Some(DATA_SERIAL);
    let known = prior.data_disk.as_ref();
    if known.is_none() && !(importing && ours) {
        return None;
    }
    Some(DataDisk {
        datastore_id: storage_of(raw),
        size_gb: gibibytes(bytes_of(raw)?),
        mount_path: known.and_then(|disk| disk.mount_path.clone()),
        filesystem: known.and_then(|disk| disk.filesystem.clone()),
        backup: Some(drive.flag("backup").unwrap_or(true)),
    })
}

/// The NICs that the state follows; on import, all of them.
fn nics(
    prior: &DockerVm,
    config: &QemuConfig,
    importing: bool,
) -> Option<BTreeMap<String, NetworkDevice>> {
    let known = |slot: &str| prior.network_device.as_ref()?.get(slot);
    let nics: BTreeMap<_, _> = config
        .nets
        .iter()
        .filter(|(slot, _)| importing || known(slot).is_some())
        .filter_map(|(slot, raw)| Some((slot.clone(), nic(raw, known(slot))?)))
        .collect();
    (!nics.is_empty() || prior.network_device.is_some()).then_some(nics)
}

fn nic(raw: &str, known: Option<&NetworkDevice>) -> Option<NetworkDevice> {
    let value = PropertyString::parse(raw, None).ok()?;
    let (_, mac) = value.first()?;
    Some(NetworkDevice {
        bridge: value.get("bridge").unwrap_or_default().to_owned(),
        vlan_id: value.number("tag"),
        trunks: trunks(&value, known.and_then(|nic| nic.trunks.as_ref())),
        mac_address: Some(mac.to_owned()),
        firewall: value.flag("firewall"),
        mtu: value.number("mtu"),
        disconnected: value.flag("link_down"),
        queues: value.number("queues"),
        rate_limit: value
            .get("rate")
            .and_then(|text| serde_json::from_str(text).ok()),
    })
}

/// Fills in what only the cluster knows after a create: where the OS disk of a clone is, and the
/// size of one that took that of its source.
pub(super) async fn sizes(pve: &Pve, plan: &mut DockerVm, vmid: u32) -> Result<()> {
    let slot = plan.os_slot().to_owned();
    let disk = plan.os_disk.get_or_insert_default();
    let data = plan.data_disk.as_mut().map(|disk| &mut disk.datastore_id);
    let efi = plan.efi_disk.as_mut().map(|disk| &mut disk.datastore_id);
    let more = plan.disk.iter_mut().flatten();
    let more = more.map(|(slot, disk)| (slot.as_str(), Some(&mut disk.datastore_id)));
    let mut beside = vec![(DATA_SLOT, data), ("efidisk0", efi)];
    beside.extend(more);
    let known = |(_, storage): &(&str, Option<&mut Option<String>>)| {
        storage.as_ref().is_none_or(|storage| storage.is_some())
    };
    if disk.size_gb.is_some() && disk.datastore_id.is_some() && beside.iter().all(known) {
        return Ok(());
    }
    if let Some(config) = pve.vm_config_opt(&plan.node_name, vmid).await?
        && let Some(raw) = config.disks.get(&slot)
    {
        disk.datastore_id = disk.datastore_id.take().or_else(|| storage_of(raw));
        disk.size_gb = disk.size_gb.take().or_else(|| bytes_of(raw).map(gibibytes));
        for (slot, storage) in &mut beside {
            if let (Some(storage), Some(raw)) = (storage, config.disks.get(*slot)) {
                **storage = storage.take().or_else(|| storage_of(raw));
            }
        }
    }
    Ok(())
}
