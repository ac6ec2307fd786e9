//! What happens inside the guest of `pmoves_docker_vm`, and what the state takes from it.

use super::{
    account,
    calls::DATA_SERIAL,
    disks,
    model::{DataDisk, DockerVm, IpConfig},
    mounts,
};
use crate::{
    framework::{Failure, Result, State},
    guest::{
        cloud_init, disk,
        facts::{self, Facts},
        mounts as guest_mounts,
        password::password_hash,
        reached::Reached,
        seed::{self, Address, Seed, SeedNic, User},
        template,
    },
    resources::{docker, host::inside},
};

/// The seed for the first boot, as an ISO image.
pub(super) fn seed(plan: &DockerVm, vmid: u32) -> Vec<u8> {
    let init = plan.initialization.clone().unwrap_or_default();
    let account = init.user_account.unwrap_or_default();
    let dns = init.dns.unwrap_or_default();
    let configs = init.ip_config.unwrap_or_default();
    let nics = plan.network_device.iter().flatten().map(|(slot, nic)| {
        let config = configs.get(slot).cloned();
        SeedNic {
            mac: nic
                .mac_address
                .clone()
                .unwrap_or_default()
                .to_ascii_lowercase(),
            ipv4: ipv4(config.as_ref()),
            ipv6: ipv6(config.as_ref()),
            // 1 stands for the bridge's own, which the guest finds by itself.
            mtu: nic
                .mtu
                .filter(|mtu| *mtu > 1)
                .and_then(|mtu| u16::try_from(mtu).ok()),
        }
    });
    seed::seed(&Seed {
        instance_id: format!("pmoves-{vmid}-{}", plan.name),
        hostname: init.hostname.unwrap_or_else(|| plan.name.clone()),
        user: User {
            username: account.username.unwrap_or_else(|| account::NAME.to_owned()),
            keys: account.keys.into_iter().flatten().collect(),
            password_hash: account
                .password_wo
                .map(|plain| crate::secret::Secret::new(password_hash(plain.expose()))),
        },
        agent: plan.has_agent(),
        upgrade: init.upgrade == Some(true),
        dns_servers: dns
            .servers
            .into_iter()
            .flatten()
            .filter_map(|text| text.parse().ok())
            .collect(),
        dns_domain: dns.domain,
        nics: nics.collect(),
        files: plan.docker.iter().filter_map(docker::first_file).collect(),
        scripts: plan
            .clone
            .iter()
            .map(|_| template::OWN_IDENTITY.to_owned())
            .collect(),
        user_data: init
            .user_data_wo
            .map(|secret| secret.expose().clone())
            .or(init.user_data),
    })
}

/// The image that takes the place of a seed that may not be deleted.
pub(super) fn empty_seed() -> Vec<u8> {
    seed::empty()
}

/// Waits for the guest and makes it a Docker host.
pub(super) async fn first_boot(
    guest: &Reached,
    plan: &DockerVm,
    state: &mut State<DockerVm>,
) -> Result<DockerVm> {
    tracing::info!(plan.name, "waiting for the guest");
    guest.wait().await.map_err(|error| {
        let failure = Failure::from(error).or_at("timeouts");
        match guest {
            Reached::Agent(_) => failure.hint("does the image run cloud-init, and can the guest reach its package mirror? Cloud images bring no agent: the seed installs it"),
            _ => failure,
        }
    })?;
    tracing::info!(plan.name, "waiting for cloud-init");
    let done = cloud_init::wait(guest).await?;
    for warning in done.errors {
        state.warn(
            format!("cloud-init on {} has something to say", plan.name),
            warning,
        );
    }
    set_up(guest, plan.clone(), false).await
}

/// Whether a change of the plan concerns the inside of the guest.
pub(super) fn concerned(prior: &DockerVm, plan: &DockerVm) -> bool {
    prior.docker != plan.docker
        || account::changed(prior, plan).is_some()
        || prior.data_disk != plan.data_disk
        || prior.os_disk != plan.os_disk
        || disks::mounted(prior) != disks::mounted(plan)
        || grows(prior, plan)
        || mounts::shares(prior) != mounts::shares(plan)
        || (prior.docker_version.is_none() && plan.docker.is_some())
        || prior.started != plan.started
}

/// Whether a mounted disk grows, and its filesystem with it.
fn grows(prior: &DockerVm, plan: &DockerVm) -> bool {
    let before = |slot: &String| {
        prior
            .disk
            .iter()
            .flatten()
            .find(|(known, _)| *known == slot)
    };
    let mut disks = plan.disk.iter().flatten();
    disks.any(|(slot, disk)| {
        let grown = before(slot).is_some_and(|(_, before)| before.size_gb != disk.size_gb);
        disk.mount_path.is_some() && grown
    })
}

/// Unmounts what the plan takes away, before its devices go.
pub(super) async fn release(guest: &Reached, plan: &DockerVm) -> Result<()> {
    Ok(guest_mounts::release(guest, &mounts::paths(plan)).await?)
}

/// Prepares the data disk and Docker, and the root filesystem if its disk was `grown`. Safe to
/// repeat.
pub(super) async fn set_up(guest: &Reached, plan: DockerVm, grown: bool) -> Result<DockerVm> {
    let done = prepare(guest, plan, grown).await;
    guest.close().await;
    done
}

async fn prepare(guest: &Reached, mut plan: DockerVm, grown: bool) -> Result<DockerVm> {
    guest.wait().await?;
    // Before anything is changed: the machine may be one that Docker must never run on.
    let mut seen = facts::read(guest).await?;
    facts::guard(&seen)?;
    if grown {
        tracing::info!(plan.name, "growing the root filesystem");
        disk::grow_root(guest)
            .await
            .map_err(|error| Failure::from(error).at("os_disk.size_gb"))?;
    }
    if let Some(data) = &plan.data_disk {
        tracing::info!(plan.name, "preparing the data disk");
        disk::prepare(guest, &data_disk(data))
            .await
            .map_err(|error| Failure::from(error).at("data_disk"))?;
    }
    mount(guest, &plan).await?;
    if let Some(docker) = &mut plan.docker {
        tracing::info!(plan.name, "setting up Docker");
        let mount = plan
            .data_disk
            .as_ref()
            .map(|disk| data_disk(disk).mount_path);
        seen = inside::docker(guest, docker, mount).await?;
    }
    note_facts(&mut plan, &seen);
    Ok(plan)
}

/// Mounts all that the plan has beside Docker's data, and nothing else of ours.
async fn mount(guest: &Reached, plan: &DockerVm) -> Result<()> {
    guest_mounts::release(guest, &mounts::paths(plan)).await?;
    for (slot, wanted) in disks::mounted(plan) {
        tracing::info!(slot, "preparing a disk");
        let done = disk::prepare(guest, &wanted).await;
        done.map_err(|error| Failure::from(error).at(format!("disk.{slot}")))?;
    }
    for (at, share) in mounts::shares(plan) {
        tracing::info!(share.path, "mounting a share");
        let done = guest_mounts::mount(guest, &share).await;
        done.map_err(|error| Failure::from(error).at(&at))?;
    }
    Ok(())
}

/// Takes over what the guest says after a change that concerns its network only.
pub(super) async fn look_again(
    guest: &Reached,
    mut plan: DockerVm,
    state: &mut State<DockerVm>,
) -> DockerVm {
    match facts::read(guest).await {
        Ok(seen) => note_facts(&mut plan, &seen),
        Err(error) => state.warn(
            format!("The guest {} does not answer", plan.name),
            format!(
                "Its addresses are those that were last known. {}",
                crate::resources::chain(&error)
            ),
        ),
    }
    plan
}

fn data_disk(disk: &DataDisk) -> disk::DataDisk {
    disk::DataDisk {
        serial: DATA_SERIAL.to_owned(),
        mount_path: disk
            .mount_path
            .clone()
            .unwrap_or_else(|| "/opt/docker".to_owned()),
        filesystem: disks::filesystem(disk.filesystem.as_deref()),
        purpose: disk::Purpose::Docker,
    }
}

/// Takes over what the guest says of itself.
pub(super) fn note_facts(vm: &mut DockerVm, facts: &Facts) {
    let nics = vm.network_device.iter().flatten();
    let macs = nics.map(|(slot, nic)| (slot, &nic.mac_address));
    let seen = inside::addresses(macs, &facts.nics);
    vm.interface_name = seen.interface.or_else(|| vm.interface_name.take());
    vm.ipv4_address = seen.ipv4;
    vm.ipv6_address = seen.ipv6;
    vm.addresses = Some(seen.all);
    if let Some(docker) = &facts.docker {
        vm.docker_version = Some(docker.server.clone());
        vm.storage_driver = Some(docker.driver.clone());
    }
    if facts.compose.is_some() {
        vm.compose_version.clone_from(&facts.compose);
    }
}

pub(super) fn ipv4(config: Option<&IpConfig>) -> Address {
    let Some(ipv4) = config.and_then(|config| config.ipv4.as_ref()) else {
        // A NIC that is not listed uses DHCP, one that lists IPv6 only has no IPv4.
        return match config {
            Some(config) if config.ipv6.is_some() => Address::None,
            _ => Address::Dhcp,
        };
    };
    parse(
        ipv4.address.as_deref().unwrap_or("dhcp"),
        ipv4.gateway.as_deref(),
    )
}

pub(super) fn ipv6(config: Option<&IpConfig>) -> Address {
    match config.and_then(|config| config.ipv6.as_ref()) {
        Some(ipv6) => parse(
            ipv6.address.as_deref().unwrap_or("auto"),
            ipv6.gateway.as_deref(),
        ),
        None => Address::None,
    }
}

fn parse(address: &str, gateway: Option<&str>) -> Address {
    match address {
        "dhcp" => Address::Dhcp,
        "auto" => Address::Auto,
        text => text
            .parse()
            .map_or(Address::None, |address| Address::Static {
                address,
                gateway: gateway.and_then(|text| text.parse().ok()),
            }),
    }
}
