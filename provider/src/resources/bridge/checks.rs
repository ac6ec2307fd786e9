//! What a bridge may be, alone and beside what the node has. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{
    framework::{Failure, Plan, Value, resource::Faults},
    pve::{self, Network},
};

pub(super) fn name(value: &Value) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match starts && fits && (2..=15).contains(&text.len()) {
        true => Ok(()),
        false => Err("is 2 to 15 letters, digits and underscores, a letter first".to_owned()),
    }
}

pub(super) fn cidr(value: &Value) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    match text.parse::<IpNet>() {
        Ok(_) => Ok(()),
        Err(_) => Err("is an address with prefix length, such as 10.0.0.1/24".to_owned()),
    }
}

pub(super) fn ip(value: &Value) -> Result<(), String> {
    match value.as_str().unwrap_or_default().parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err("is an address without prefix length".to_owned()),
    }
}

/// Numbers and ranges from 2 to 4094: VLAN 1 is what is untagged.
pub(super) fn vids(value: &Value) -> Result<(), String> {
    let words = words(value.as_str().unwrap_or_default());
    let vid = |text: &str| {
        text.parse()
            .ok()
            .filter(|vid: &u16| (2..=4094).contains(vid))
    };
    let fits = |word: &String| match word.split_once('-') {
        Some((low, high)) => {
            matches!((vid(low), vid(high)), (Some(low), Some(high)) if low <= high)
        }
        None => vid(word).is_some(),
    };
    match !words.is_empty() && words.iter().all(fits) {
        true => Ok(()),
        false => Err("is a list of VLANs and ranges from 2 to 4094, such as 2-100,200".to_owned()),
    }
}

pub(super) fn comment(value: &Value) -> Result<(), String> {
    match value.as_str().unwrap_or_default().trim_end_matches('\n') {
        "" => Err("is empty; leave it out instead".to_owned()),
        _ => Ok(()),
    }
}

pub(super) fn same_vids(one: &Value, other: &Value) -> bool {
    both(one, other, |text| Some(words(text)))
}

pub(super) fn same_cidr(one: &Value, other: &Value) -> bool {
    both(one, other, |text| text.parse::<IpNet>().ok())
}

pub(super) fn same_ip(one: &Value, other: &Value) -> bool {
    both(one, other, |text| text.parse::<IpAddr>().ok())
}

pub(super) fn same_comment(one: &Value, other: &Value) -> bool {
    both(one, other, |text| {
        Some(text.trim_end_matches('\n').to_owned())
    })
}

fn both<T: PartialEq>(one: &Value, other: &Value, read: impl Fn(&str) -> Option<T>) -> bool {
    let (one, other) = (one.as_str().and_then(&read), other.as_str().and_then(&read));
    one.is_some() && one == other
}

fn words(text: &str) -> Vec<String> {
    let words = text.split([' ', ',', ';']).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// Rules between attributes; what is unknown may fit.
pub(super) fn validate(config: &Value, found: &mut Faults<'_>) {
    for (address, gateway) in [("address", "gateway"), ("address6", "gateway6")] {
        let Some(ip) = config
            .get(gateway)
            .as_str()
            .and_then(|text| text.parse::<IpAddr>().ok())
        else {
            continue;
        };
        let detail = match config.get(address) {
            value if value.is_null() => format!("A gateway needs an {address} to be reached from."),
            value => match value.as_str().and_then(|text| text.parse::<IpNet>().ok()) {
                Some(net) if !net.contains(&ip) => {
                    format!("{ip} is not in the network {}.", net.trunc())
                }
                _ => continue,
            },
        };
        found.error(gateway, "The gateway cannot be reached", detail);
    }
    for (at, v4) in [("address", true), ("address6", false)] {
        if let Some(net) = config
            .get(at)
            .as_str()
            .and_then(|text| text.parse::<IpNet>().ok())
            && matches!(net, IpNet::V4(_)) != v4
        {
            let version = if v4 { "IPv4" } else { "IPv6" };
            found.error(
                at,
                "The address is of the other kind",
                format!("{at} takes {version}."),
            );
        }
    }
    if !config.get("vids").is_null()
        && matches!(config.get("vlan_aware"), value if value.is_null() || value.as_bool() == Some(false))
    {
        found.error(
            "vids",
            "VLANs on a bridge without VLANs",
            "vids needs vlan_aware = true.",
        );
    }
    match (config.get("isolated").as_bool(), isolated(config)) {
        (Some(true), Some(false)) => found.error(
            "isolated",
            "The bridge is not isolated",
            "isolated = true says that nothing leads out, but there are ports or a gateway.",
        ),
        (Some(false), Some(true)) => found.error(
            "isolated",
            "The bridge is isolated",
            "isolated = false says that something leads out, but there are neither ports nor a gateway.",
        ),
        _ => {}
    }
}

/// Whether nothing leads out; `None` while that is unknown.
pub(super) fn isolated(value: &Value) -> Option<bool> {
    let leads_out = |name: &str| match value.get(name) {
        part if part.is_unknown() => None,
        Value::List(items) => Some(!items.is_empty()),
        part => Some(!part.is_null()),
    };
    let ways = ["ports", "gateway", "gateway6"].map(leads_out);
    match ways.contains(&Some(true)) {
        true => Some(false),
        false => (!ways.contains(&None)).then_some(true),
    }
}

/// A plan beside what the node has.
pub(super) fn against(
    plan: &Plan<'_>,
    node: &str,
    network: &Network,
    host: &str,
    found: &mut Faults<'_>,
) {
    let name = plan.value.get("name").as_str().unwrap_or_default();
    let new = plan.creating() || !plan.replace.is_empty();
    if new && network.rows.iter().any(|row| row.iface == name) {
        found.error(
            "name",
            "There is such an interface",
            format!(
                "{node} already has {name}. To manage it from here, import it as {node}/{name}."
            ),
        );
    }
    if let Some(diff) = &network.changes
        && plan.value.get("reload_foreign").as_bool() == Some(false)
    {
        found.error(
            "reload_foreign",
            "Changes of others wait",
            foreign(node, diff),
        );
    }
    let ports = |value: &Value| -> Vec<String> {
        let items = value.get("ports").as_list().unwrap_or_default();
        items
            .iter()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect()
    };
    let holds_endpoint = ["address", "address6"].iter().any(|at| {
        let net = plan
            .prior
            .get(at)
            .as_str()
            .and_then(|text| text.parse::<IpNet>().ok());
        net.is_some_and(|net| host.parse() == Ok(net.addr()))
    });
    let kept = ports(&plan.value);
    if holds_endpoint && ports(plan.prior).iter().any(|port| !kept.contains(port)) {
        found.warn(
            "ports",
            "The way to the API may be cut",
            format!("The endpoint's address is on {name}, which loses a port. If the node cannot be reached afterwards, nobody can put the former configuration back."),
        );
    }
}

/// What to do about changes that are not ours.
fn foreign(node: &str, diff: &str) -> String {
    format!(
        "Somebody left changes of {node}'s network that are not applied, and a reload would apply them too. Apply or revert them (in the web interface: {node} > Network), or set reload_foreign = true. They are:\n\n{}",
        diff.trim_end()
    )
}

/// Points an error of the API at the attribute that it is about.
pub(super) fn explain(error: pve::Error) -> Failure {
    match error {
        pve::Error::ForeignChanges { node, diff } => {
            Failure::new(foreign(&node, &diff)).at("reload_foreign")
        }
        error => {
            let failure = Failure::from(error);
            // The check of the whole file has no parameter to name.
            match failure.detail.contains("bridge port") || failure.detail.contains("port '") {
                true => failure.at("ports"),
                false => failure,
            }
        }
    }
}
