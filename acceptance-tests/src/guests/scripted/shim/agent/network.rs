//! Which addresses a guest's network cards have, and how the agent reports them.

use serde_json::{Value, json};

use crate::guests::scripted::shim::{Root, dpkg, yaml};

/// A network card of the guest.
pub(in super::super) struct Interface {
    pub(in super::super) name: String,
    pub(in super::super) mac: String,
    /// With prefix length.
    pub(in super::super) addresses: Vec<String>,
}

/// The cards with the addresses that `network-config` (version 2, version 1 or absent) gives them.
pub(in super::super) fn interfaces(root: &Root, config: &Value) -> Vec<Interface> {
    let config = match config.as_str() {
        Some(text) => {
            // Later boots have no seed, as cloud-init rendered it on the first.
            let _ = root.write("/var/lib/shim/network-config", text);
            text.to_owned()
        }
        None => root
            .read("/var/lib/shim/network-config")
            .unwrap_or_default(),
    };
    let config = yaml::parse(&config).unwrap_or_default();
    let config = config.get("network").cloned().unwrap_or(config);
    let boot = root.boot();
    let vmid = boot["vmid"].as_u64().unwrap_or_default();
    let nics = boot["nics"].as_array().cloned().unwrap_or_default();
    let cards = nics.iter().enumerate().map(|(index, nic)| {
        let mac = nic["mac"].as_str().unwrap_or_default().to_lowercase();
        let name = format!("eth{index}");
        let (dhcp, mut addresses) = configured(&config, &name, &mac);
        if dhcp {
            let host = 20 + (vmid * 8 + index as u64) % 200;
            addresses.insert(0, format!("198.51.100.{host}/24"));
        }
        Interface {
            name,
            mac,
            addresses,
        }
    });
    cards.collect()
}

/// Whether a card asks for a lease, and its fixed addresses.
fn configured(config: &Value, name: &str, mac: &str) -> (bool, Vec<String>) {
    let is_mac = |value: &Value| {
        value
            .as_str()
            .is_some_and(|text| text.eq_ignore_ascii_case(mac))
    };
    if let Some(cards) = config["ethernets"].as_object() {
        let card = cards.iter().find(|(key, card)| {
            is_mac(&card["match"]["macaddress"])
                || card.get("match").is_none() && (*key == name || card["set-name"] == name)
                || card["match"]["name"]
                    .as_str()
                    .is_some_and(|glob| glob.starts_with('e'))
        });
        let Some((_, card)) = card else {
            return (false, Vec::new());
        };
        let addresses = card["addresses"].as_array().into_iter().flatten();
        let addresses = addresses.filter_map(|address| address.as_str().map(str::to_owned));
        return (card["dhcp4"] == true, addresses.collect());
    }
    let Some(cards) = config["config"].as_array() else {
        return (true, Vec::new());
    };
    let card = cards
        .iter()
        .find(|card| is_mac(&card["mac_address"]) || card["name"] == name);
    let subnets = card
        .and_then(|card| card["subnets"].as_array())
        .cloned()
        .unwrap_or_default();
    let dhcp = subnets.iter().any(|subnet| {
        subnet["type"]
            .as_str()
            .is_some_and(|kind| kind.starts_with("dhcp") && kind != "dhcp6")
    });
    let fixed = subnets.iter().filter_map(|subnet| {
        let address = subnet["address"].as_str()?;
        let mask = subnet["netmask"].as_str().map_or(24, prefix_length);
        let whole = address.contains('/');
        Some(if whole {
            address.to_owned()
        } else {
            format!("{address}/{mask}")
        })
    });
    (dhcp, fixed.collect())
}

fn prefix_length(mask: &str) -> u32 {
    mask.parse::<std::net::Ipv4Addr>()
        .map_or(24, |mask| u32::from(mask).count_ones())
}

pub(super) fn report(root: &Root) -> Value {
    let address = |text: &str| {
        let (ip, prefix) = text.split_once('/').unwrap_or((text, "24"));
        json!({
            "ip-address": ip, "prefix": prefix.parse::<u32>().unwrap_or(24),
            "ip-address-type": if ip.contains(':') { "ipv6" } else { "ipv4" },
        })
    };
    let mut list = vec![json!({
        "name": "lo", "hardware-address": "00:00:00:00:00:00",
        "ip-addresses": [address("127.0.0.1/8"), address("::1/128")],
    })];
    for card in interfaces(root, &Value::Null) {
        let mut addresses: Vec<Value> = card.addresses.iter().map(|text| address(text)).collect();
        addresses.push(address(&format!("{}/64", link_local(&card.mac))));
        list.push(json!({
            "name": card.name, "hardware-address": card.mac, "ip-addresses": addresses,
        }));
    }
    if dpkg::docker(root).is_some() {
        list.push(json!({
            "name": "docker0", "hardware-address": "02:42:5f:0c:2a:11",
            "ip-addresses": [address("172.17.0.1/16")],
        }));
    }
    Value::Array(list)
}

fn link_local(mac: &str) -> String {
    let mut bytes: Vec<u8> = mac
        .split(':')
        .filter_map(|byte| u8::from_str_radix(byte, 16).ok())
        .collect();
    if bytes.len() != 6 {
        return "fe80::1".to_owned();
    }
    // The modified EUI-64 of RFC 4291.
    bytes[0] ^= 2;
    bytes.splice(3..3, [0xff, 0xfe]);
    bytes.splice(0..0, [0xfe, 0x80, 0, 0, 0, 0, 0, 0]);
    let address: [u8; 16] = bytes.try_into().expect("8 and 8 bytes");
    std::net::Ipv6Addr::from(address).to_string()
}
