//! How the values of a container's configuration are rewritten when they are stored.
//!
//! Mount points are printed where they are made.

use super::volumes::is_numbered;
use crate::simulator::qemu::{Config, texts};
use crate::simulator::random::random_mac;
use crate::simulator::rules::formats::split_list;
use crate::simulator::rules::property::{self, Properties};
use crate::simulator::rules::set;

/// A network card taken apart; its text passed the rules before.
pub(crate) fn parse_card(text: &str) -> Properties {
    property::parse(set("lxc-net"), text).unwrap_or_default()
}

/// A network card as it is stored: with a MAC address and a type, its keys sorted.
pub(crate) fn card(text: &str) -> String {
    let mut card = parse_card(text);
    card.entry("hwaddr".to_owned()).or_insert_with(random_mac);
    card.insert("type".to_owned(), "veth".to_owned());
    property::print(set("lxc-net"), &card)
}

/// The same card with another address.
pub(crate) fn with_new_address(text: &str) -> String {
    let mut parsed = parse_card(text);
    parsed.remove("hwaddr");
    card(&property::print(set("lxc-net"), &parsed))
}

/// Whether a key holds a network card.
pub(crate) fn is_card(key: &str) -> bool {
    is_numbered(key, "net")
}

/// Rewrites values as a create and an update do.
pub(crate) fn settle(values: &mut Config) {
    for (key, value) in values.iter_mut() {
        match key.as_str() {
            "tags" => *value = texts::tags(value),
            "description" => value.truncate(value.trim_end_matches('\n').len()),
            "nameserver" | "searchdomain" => *value = split_list(value).join(" "),
            "cpuunits" => {
                let units: i64 = value.parse().unwrap_or(100);
                *value = units.clamp(1, 10_000).to_string();
            }
            key if is_card(key) => *value = card(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_stored_with_address_and_type() {
        let stored = card("bridge=vmbr0,name=eth0,ip=dhcp,firewall=yes");
        assert!(stored.starts_with("name=eth0,bridge=vmbr0,firewall=1,hwaddr=BC:24:11:"));
        assert!(stored.ends_with(",ip=dhcp,type=veth"), "{stored}");
        assert_eq!(card(&stored), stored);
        assert_ne!(with_new_address(&stored), stored);
    }
}
