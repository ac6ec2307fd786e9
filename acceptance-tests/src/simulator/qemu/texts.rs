//! How the values of a VM configuration are rewritten when they are stored.
//!
//! Only network cards, tags and a few texts are; drives are printed where they are made.

use super::Config;
use crate::simulator::random::random_mac;
use crate::simulator::reply::Fail;
use crate::simulator::rules::{property, set};

/// A network card as it is stored: with a MAC address, its keys sorted.
pub(crate) fn network_card(text: &str) -> String {
    let rules = set("net");
    let mut card = property::parse(rules, text).unwrap_or_default();
    card.entry("macaddr".to_owned()).or_insert_with(random_mac);
    property::print(rules, &card)
}

/// Tags as they are stored: lower case, sorted, once each. No tag at all is one space.
pub(crate) fn tags(text: &str) -> String {
    let lower = text.to_lowercase();
    let mut tags: Vec<&str> = lower
        .split([',', ';', ' '])
        .filter(|tag| !tag.is_empty())
        .collect();
    tags.sort_unstable();
    tags.dedup();
    if tags.is_empty() {
        " ".to_owned()
    } else {
        tags.join(";")
    }
}

/// Rewrites values as a create and an update do.
pub(crate) fn settle(values: &mut Config) {
    for (key, value) in values.iter_mut() {
        match key.as_str() {
            "tags" => *value = tags(value),
            "description" => value.truncate(value.trim_end().len()),
            "cpuunits" => {
                let units: i64 = value.parse().unwrap_or(100);
                *value = units.clamp(1, 10_000).to_string();
            }
            key if key.starts_with("net") && key[3..].parse::<u32>().is_ok() => {
                *value = network_card(value);
            }
            _ if value.is_empty() => " ".clone_into(value),
            _ => {}
        }
    }
}

/// Checks SSH keys as the key tool does: type, and a body of that type.
pub(crate) fn check_ssh_keys(encoded: &str) -> Result<(), Fail> {
    use base64::Engine as _;
    let text = percent_encoding::percent_decode_str(encoded).decode_utf8_lossy();
    let good = |line: &str| {
        let mut words = line.split_whitespace();
        let kind = words.find(|word| {
            word.starts_with("ssh-") || word.starts_with("ecdsa-") || word.starts_with("sk-")
        });
        let (Some(kind), Some(body)) = (kind, words.next()) else {
            return false;
        };
        let Ok(body) = base64::engine::general_purpose::STANDARD.decode(body) else {
            return false;
        };
        // The body begins with its own type and goes on after it.
        body.len() > kind.len() + 8 && body.get(4..4 + kind.len()) == Some(kind.as_bytes())
    };
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    if lines.all(good) {
        Ok(())
    } else {
        Err(Fail::died("SSH public key validation error"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_sorted_and_lowered() {
        let check = |text, expected| assert_eq!(tags(text), expected);
        check("zeta;alpha,Beta", "alpha;beta;zeta");
        check("A;a;b, c", "a;b;c");
        check("", " ");
    }

    #[test]
    fn a_card_without_an_address_gets_one() {
        let card = network_card("virtio,firewall=1,bridge=vmbr0");
        assert!(card.starts_with("virtio=BC:24:11:"), "{card}");
        assert!(card.ends_with(",bridge=vmbr0,firewall=1"), "{card}");
        let kept = "virtio=aa:bb:cc:dd:ee:fe,bridge=vmbr0,link_down=1";
        assert_eq!(network_card(kept), kept);
    }

    #[test]
    fn ssh_keys_are_looked_into() {
        let good = "ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIHKfbdYvD0trNPGIV%2BQcneusmBlOh7EnNqEUtn7W3EPl%20u%40h";
        assert!(check_ssh_keys(good).is_ok());
        assert!(check_ssh_keys(&format!("{good}%0A")).is_ok());
        assert!(check_ssh_keys("ssh-ed25519%20AAAA%20u%40h").is_err());
        assert!(check_ssh_keys("nonsense").is_err());
    }
}
