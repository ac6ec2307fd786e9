//! How the answers of the API and of the guest become a state of `pmoves_docker_lxc`.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    calls::{CONSOLE, DATA_SLOT},
    inside,
    model::{
        Cpu, DataVolume, Device, Dns, DockerLxc, Features, Initialization, IpConfig, Ipv4, Ipv6,
        Memory, MountPoint, NetworkInterface, RootDisk,
    },
    values::source_of,
};
use crate::{
    framework::{Context, Failure, Result, State},
    guest::{facts::Facts, reached::Reached},
    pve::{GuestRow, LxcConfig, PropertyString, Pve},
    resources::{
        cluster::Cluster,
        docker,
        host::{
            HostId, Kind, is_gone,
            network::trunks,
            own_tags,
            power::{self, Place},
            startup::Startup,
            volumes::{bytes_of, gibibytes, storage_of},
        },
    },
};

/// Refreshes a state: one row of the shared list, one config, one look at the guest.
pub(super) async fn read(
    cx: &Context<'_, Cluster>,
    pve: &Pve,
    prior: DockerLxc,
    state: &mut State<DockerLxc>,
) -> Result<()> {
    let vmid = prior.vmid()?;
    let row = pve.guest_opt(vmid).await?;
    if row.as_ref().is_some_and(|row| row.kind != "lxc") {
        return Err(Failure::new(format!("{vmid} is a VM, not a container")));
    }
    let found = match &row {
        Some(row) => pve.lxc_config_opt(&row.node, vmid).await?,
        None => None,
    };
    let (Some(row), Some(config)) = (row, found) else {
        // Gone, on its way to another node, or the list is older than the config.
        let node = prior.current_node.as_deref().unwrap_or(&prior.node_name);
        let id = HostId {
            kind: Kind::Lxc,
            vmid,
        };
        pve.invalidate();
        if pve.guest_opt(vmid).await?.is_some() {
            return Err(Failure::new(format!("{id} is on its way; try again")));
        }
        if is_gone(pve, id, node, pve.lxc_config_opt(node, vmid)).await? {
            state.remove();
        }
        return Ok(());
    };
    let place = Place::of(Kind::Lxc, &row);
    let running = power::runs_still(pve, &row, &place, prior.started).await?;
    let mut next = from_config(&prior, &config, &row, cx.client.tag(), cx.importing);
    next.started = Some(running);
    next.status = Some(if running { "running" } else { "stopped" }.to_owned());
    let waited = prior.restart_required == Some(true);
    next.restart_required = Some(waited && power::waits(pve, &place).await?);
    if running && cx.client.looks_in(cx) {
        // What waits for a restart is in the config already, and may be the console's mode.
        let is_shell = config.cmode.as_deref() == Some(CONSOLE) && !waited && !cx.importing;
        let guest = match super::reach(cx.client, pve, &place, &next).await? {
            Reached::Console(guest) if is_shell => Reached::Console(guest.with_shell()),
            guest => guest,
        };
        match cx.client.look_by(vmid, guest).await.as_ref() {
            Ok(look) => {
                inside::note_facts(&mut next, &look.facts);
                note_docker(&mut next, &look.facts, cx.importing);
            }
            Err(silence) => {
                if let Ok(nics) = pve.lxc_interfaces(&row.node, vmid).await {
                    inside::note_nics(&mut next, &nics.into_iter().map(nic_of).collect());
                }
                state.warn(
                    format!("The guest {} does not answer", next.name),
                    format!("The state keeps what was last known of it. {}", silence.0),
                );
            }
        }
    }
    if !cx.importing && prior.docker.is_some() && prior.docker_version.is_none() {
        // Its set-up has not come to an end, so the next apply sees to it.
        next.docker_version = None;
    }
    state.save(next);
    Ok(())
}

/// An interface as facts about a guest have it.
pub(super) fn nic_of(interface: crate::pve::Interface) -> (String, crate::guest::facts::Nic) {
    let nic = crate::guest::facts::Nic {
        name: interface.name,
        mtu: 1500,
        addresses: interface.addresses,
    };
    (interface.mac.unwrap_or_default().to_ascii_lowercase(), nic)
}

/// What the guest says of Docker, for the settings that the state follows.
fn note_docker(next: &mut DockerLxc, facts: &Facts, importing: bool) {
    match &next.docker {
        Some(known) => next.docker = Some(docker::observed(known, facts)),
        None if importing => next.docker = docker::adopted(facts),
        None => {}
    }
    if facts.docker.is_none() {
        // A daemon that does not run is brought back by the next apply.
        next.docker_version = None;
    }
}

/// The state that a config tells, over what it cannot tell.
pub(super) fn from_config(
    prior: &DockerLxc,
    config: &LxcConfig,
    row: &GuestRow,
    tag: Option<&str>,
    importing: bool,
) -> DockerLxc {
    let number = |number: Option<u64>| number.and_then(|number| i64::try_from(number).ok());
    let cpu = Cpu {
        cores: config.cores.map(i64::from),
        limit: config
            .cpulimit
            .and_then(|limit| serde_json::from_str(&limit.to_string()).ok()),
        units: config.cpuunits.map(i64::from),
    };
    let root = config.rootfs.as_ref().map(|raw| RootDisk {
        datastore_id: storage_of(raw),
        size_gb: bytes_of(raw).map(gibibytes),
    });
    DockerLxc {
        id: Some(format!("lxc/{}", row.vmid)),
        vm_id: Some(row.vmid),
        name: config
            .hostname
            .clone()
            .unwrap_or_else(|| format!("CT{}", row.vmid)),
        node_name: if prior.node_name.is_empty() {
            row.node.clone()
        } else {
            prior.node_name.clone()
        },
        current_node: Some(row.node.clone()),
        unprivileged: Some(config.unprivileged),
        template: Some(config.template),
        features: features(prior, config),
        cpu: Some(cpu).filter(|cpu| *cpu != Cpu::default()),
        memory: Some(Memory {
            size: number(config.memory),
            swap: number(config.swap),
        }),
        root_disk: root,
        data_volume: data_volume(prior, config, importing),
        mount_point: slots(
            prior.mount_point.as_ref(),
            &config.mount_points,
            importing,
            |slot, raw| (slot != DATA_SLOT || !importing).then(|| mount_point(raw))?,
        ),
        device_passthrough: slots(
            prior.device_passthrough.as_ref(),
            &config.devices,
            importing,
            |_, raw| device(raw),
        ),
        network_interface: slots(
            prior.network_interface.as_ref(),
            &config.nets,
            importing,
            |slot, raw| {
                nic(
                    raw,
                    prior
                        .network_interface
                        .as_ref()
                        .and_then(|nics| nics.get(slot)),
                )
            },
        ),
        initialization: initialization(prior, config, importing),
        pool_id: row.pool.clone(),
        description: config
            .description
            .clone()
            .filter(|text| !text.trim().is_empty()),
        tags: own_tags(prior.tags.as_ref(), &config.tags, tag),
        start_on_boot: Some(config.onboot.unwrap_or(false)),
        startup: config.startup.as_deref().and_then(Startup::parse),
        // Absent means off; a state that never heard of it stays quiet.
        protection: match config.protection.unwrap_or(false) {
            false if prior.protection.is_none() => None,
            on => Some(on),
        },
        ..prior.clone()
    }
}

/// Absent means off; what the state never heard of stays quiet while it is off.
fn features(prior: &DockerLxc, config: &LxcConfig) -> Option<Features> {
    let raw = config.features.as_deref().unwrap_or_default();
    let value = PropertyString::parse(raw, None).unwrap_or_default();
    let known = prior.features.clone().unwrap_or_default();
    let flag = |key: &str, known: Option<bool>| match value.flag(key).unwrap_or(false) {
        false if known.is_none() => None,
        on => Some(on),
    };
    let kinds = value
        .get("mount")
        .map(|kinds| kinds.split(';').map(str::to_owned).collect());
    let seen = Features {
        nesting: Some(value.flag("nesting").unwrap_or(false)),
        keyctl: Some(value.flag("keyctl").unwrap_or(false)),
        fuse: flag("fuse", known.fuse),
        mknod: flag("mknod", known.mknod),
        mount: kinds.or_else(|| known.mount.map(|_| BTreeSet::new())),
    };
    Some(seen)
}

/// The slots that the state follows; on import, all of them.
fn slots<T>(
    prior: Option<&BTreeMap<String, T>>,
    config: &BTreeMap<String, String>,
    importing: bool,
    parse: impl Fn(&str, &str) -> Option<T>,
) -> Option<BTreeMap<String, T>> {
    let known = |slot: &String| prior.is_some_and(|slots| slots.contains_key(slot));
    let followed = config.iter().filter(|(slot, _)| importing || known(slot));
    let slots: BTreeMap<_, _> = followed
        .filter_map(|(slot, raw)| Some((slot.clone(), parse(slot, raw)?)))
        .collect();
    (!slots.is_empty() || prior.is_some()).then_some(slots)
}

fn data_volume(prior: &DockerLxc, config: &LxcConfig, importing: bool) -> Option<DataVolume> {
    let raw = config.mount_points.get(DATA_SLOT)?;
    let value = PropertyString::parse(raw, Some("volume")).ok()?;
    let known = prior.data_volume.as_ref();
    if known.is_none() && !importing {
        return None;
    }
    Some(DataVolume {
        datastore_id: storage_of(raw),
        size_gb: gibibytes(bytes_of(raw)?),
        mount_path: value.get("mp").map(|path| {
            match known.and_then(|data| data.mount_path.as_ref()) {
                Some(known) if known.trim_end_matches('/') == path.trim_end_matches('/') => {
                    known.clone()
                }
                _ => path.to_owned(),
            }
        }),
        backup: Some(value.flag("backup").unwrap_or(false)),
    })
}

fn mount_point(raw: &str) -> Option<MountPoint> {
    let value = PropertyString::parse(raw, Some("volume")).ok()?;
    let bind = raw.starts_with('/');
    let options = value.get("mountoptions");
    Some(MountPoint {
        volume: source_of(raw)?,
        path: value.get("mp").unwrap_or_default().to_owned(),
        size_gb: bytes_of(raw).filter(|_| !bind).map(gibibytes),
        backup: value.flag("backup"),
        read_only: value.flag("ro"),
        shared: value.flag("shared"),
        acl: value.flag("acl"),
        quota: value.flag("quota"),
        replicate: value.flag("replicate"),
        mount_options: options.map(|text| text.split(';').map(str::to_owned).collect()),
    })
}

fn device(raw: &str) -> Option<Device> {
    let value = PropertyString::parse(raw, Some("path")).ok()?;
    Some(Device {
        path: value.get("path")?.to_owned(),
        mode: value.get("mode").map(str::to_owned),
        uid: value.number("uid"),
        gid: value.number("gid"),
        deny_write: value.flag("deny-write"),
    })
}

fn nic(raw: &str, known: Option<&NetworkInterface>) -> Option<NetworkInterface> {
    let value = PropertyString::parse(raw, None).ok()?;
    Some(NetworkInterface {
        bridge: value.get("bridge").unwrap_or_default().to_owned(),
        name: value.get("name").map(str::to_owned),
        vlan_id: value.number("tag"),
        trunks: trunks(&value, known.and_then(|nic| nic.trunks.as_ref())),
        mac_address: value.get("hwaddr").map(str::to_owned),
        firewall: value.flag("firewall"),
        mtu: value.number("mtu"),
        rate_limit: value
            .get("rate")
            .and_then(|text| serde_json::from_str(text).ok()),
    })
}

fn initialization(
    prior: &DockerLxc,
    config: &LxcConfig,
    importing: bool,
) -> Option<Initialization> {
    let known = prior.initialization.clone().unwrap_or_default();
    let ip_config = slots(
        known.ip_config.as_ref(),
        &config.nets,
        importing,
        |_, raw| ip(raw),
    );
    let dns = Dns {
        servers: config
            .nameserver
            .as_ref()
            .map(|text| text.split_whitespace().map(str::to_owned).collect()),
        domain: config.searchdomain.clone(),
    };
    let followed = importing || known.dns.is_some();
    let next = Initialization {
        dns: Some(dns).filter(|dns| followed && (*dns != Dns::default() || known.dns.is_some())),
        ip_config,
        ..known
    };
    (next != Initialization::default() || prior.initialization.is_some()).then_some(next)
}

fn ip(raw: &str) -> Option<IpConfig> {
    let value = PropertyString::parse(raw, None).ok()?;
    let text = |key: &str| value.get(key).map(str::to_owned);
    let (v4, v6) = ((text("ip"), text("gw")), (text("ip6"), text("gw6")));
    Some(IpConfig {
        ipv4: (v4 != (None, None)).then_some(Ipv4 {
            address: v4.0,
            gateway: v4.1,
        }),
        ipv6: (v6 != (None, None)).then_some(Ipv6 {
            address: v6.0,
            gateway: v6.1,
        }),
    })
}
