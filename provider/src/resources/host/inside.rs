//! What is inside a guest: its addresses, and Docker.

use std::{collections::BTreeMap, net::IpAddr};

use aws_lc_rs::rand;
use ipnet::IpNet;

use crate::{
    framework::{Failure, Result},
    guest::{
        Guest, docker as engine,
        facts::{self, Facts},
    },
    resources::docker::{Docker, source, wish},
};

/// Where a guest can be reached.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::resources) struct Addresses {
    /// Name of `net0` in the guest.
    pub(in crate::resources) interface: Option<String>,
    /// The lowest of `net0`.
    pub(in crate::resources) ipv4: Option<String>,
    /// Likewise.
    pub(in crate::resources) ipv6: Option<String>,
    /// All, by slot.
    pub(in crate::resources) all: BTreeMap<String, Vec<String>>,
}

/// The addresses of the NICs that the resource has, found by MAC. Link-local ones do not count.
pub(in crate::resources) fn addresses<'a>(
    macs: impl Iterator<Item = (&'a String, &'a Option<String>)>,
    nics: &BTreeMap<String, facts::Nic>,
) -> Addresses {
    let mut seen = Addresses::default();
    for (slot, mac) in macs {
        let mac = mac.as_deref().unwrap_or_default().to_ascii_lowercase();
        let Some(nic) = nics.get(&mac) else { continue };
        if slot == "net0" {
            seen.interface = Some(nic.name.clone());
            seen.ipv4 = address(nic, IpAddr::is_ipv4);
            seen.ipv6 = address(nic, IpAddr::is_ipv6);
        }
        let mut all: Vec<String> = usable(nic).map(|net| net.addr().to_string()).collect();
        all.sort();
        seen.all.insert(slot.clone(), all);
    }
    seen
}

fn address(nic: &facts::Nic, family: fn(&IpAddr) -> bool) -> Option<String> {
    let lowest = usable(nic).map(IpNet::addr).filter(family).min();
    lowest.map(|address| address.to_string())
}

fn usable(nic: &facts::Nic) -> impl Iterator<Item = &IpNet> {
    nic.addresses.iter().filter(|net| match net.addr() {
        IpAddr::V4(address) => !address.is_link_local() && !address.is_loopback(),
        IpAddr::V6(address) => !address.is_unicast_link_local() && !address.is_loopback(),
    })
}

/// Makes Docker on a guest as the attribute says, which learns where it came from, with its data on the mount point.
pub(in crate::resources) async fn docker(
    guest: &impl Guest,
    docker: &mut Docker,
    mount: Option<String>,
) -> Result<Facts> {
    let done = engine::apply(guest, &wish(docker, mount)).await;
    if let Ok(facts) = &done {
        docker.source.get_or_insert_with(|| source(facts));
    }
    done.map_err(|error| {
        let failure = Failure::from(error).at("docker");
        let about = |words: &str| failure.detail.contains(words);
        match (about("is not moved"), about("/gpg")) {
            (true, _) => failure.hint("to leave it there, set docker.data_root to where it is; to move it, stop Docker and copy its directories by hand"),
            (_, true) => failure.hint("where the guest does not reach Docker's repository, docker.repository_url names a mirror, and docker.source = \"distro\" takes the packages of the distribution"),
            _ => failure,
        }
    })
}

/// A MAC address under the prefix that Proxmox VE uses.
pub(in crate::resources) fn draw_mac() -> String {
    let mut bytes = [0; 3];
    rand::fill(&mut bytes).expect("the system has random numbers");
    let [a, b, c] = bytes;
    format!("BC:24:11:{a:02X}:{b:02X}:{c:02X}")
}
