//! The cloud-init calls: what is configured, and the files that the node makes of it.

use serde_json::{Value as Json, json};

use super::allow::{CLOUD_INIT, is_cloud_init};
use super::{Pending, Vm, shown};
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::reply::{Fail, Outcome, Reply};
use crate::simulator::rules::property;
use crate::simulator::rules::set;
use crate::simulator::storage::checksum::sha1;

const AUDIT: Allow = Allow::All("/vms/{vmid}", &["VM.Audit"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /nodes/{node}/qemu/{vmid}/cloudinit",
        allow: AUDIT,
        rules: "+vm",
        handler: now!(configured),
    },
    Route {
        call: "PUT /nodes/{node}/qemu/{vmid}/cloudinit",
        allow: Allow::All("/vms/{vmid}", &["VM.Config.Cloudinit"]),
        rules: "+vm",
        handler: now!(regenerate),
    },
    Route {
        call: "GET /nodes/{node}/qemu/{vmid}/cloudinit/dump",
        allow: AUDIT,
        rules: "+vm; type string enum=user|network|meta",
        handler: now!(dump),
    },
];

fn configured(call: &Call) -> Outcome {
    let state = call.world.state();
    let vm = state.vm(call.node(), call.params.vmid())?;
    let pending = vm.pending.iter().filter(|(key, _)| is_cloud_init(key));
    let waiting = |key: &str| pending.clone().find(|(known, _)| *known == key);
    let own = vm
        .config
        .iter()
        .filter(|(key, _)| CLOUD_INIT.contains(&key.as_str()));
    let entry = |(key, value): (&String, &String)| {
        let mut entry = json!({"key": key, "value": shown(key, value)});
        match waiting(key) {
            Some((_, Pending::Set(value))) => entry["pending"] = shown(key, value),
            Some((_, Pending::Delete(_))) => entry["delete"] = json!(1),
            None => {}
        }
        entry
    };
    Ok(own.map(entry).collect::<Json>().into())
}

fn regenerate(call: &Call) -> Outcome {
    call.world.state().vm(call.node(), call.params.vmid())?;
    Ok(Reply::null())
}

fn dump(call: &Call) -> Outcome {
    let may_see = call.can(
        &format!("/vms/{}", call.params.vmid()),
        "VM.Config.Cloudinit",
    );
    let state = call.world.state();
    let vm = state.vm(call.node(), call.params.vmid())?;
    let text = match call.params.text("type") {
        "user" => user(vm, may_see),
        "network" => network(vm).map_err(Fail::died)?,
        _ => {
            let network = network(vm).map_err(Fail::died)?;
            format!("instance-id: {}\n", sha1(&(user(vm, true) + &network)))
        }
    };
    Ok(json!(text).into())
}

/// The first line of a name, and the whole one if it has a domain.
fn names(vm: &Vm) -> (String, Option<String>) {
    let name = vm
        .config
        .get("name")
        .cloned()
        .unwrap_or_else(|| format!("VM{}", vm.vmid));
    match (name.split_once('.'), vm.config.get("searchdomain")) {
        (Some((host, _)), _) => (host.to_owned(), Some(name)),
        (None, Some(domain)) => {
            let first = domain.split([' ', ',', ';']).next().unwrap_or_default();
            (name.clone(), Some(format!("{name}.{first}")))
        }
        (None, None) => (name, None),
    }
}

fn user(vm: &Vm, shows_password: bool) -> String {
    use std::fmt::Write as _;
    let config = |key: &str| vm.config.get(key);
    let (host, whole) = names(vm);
    let mut text = format!("#cloud-config\nhostname: {host}\nmanage_etc_hosts: true\n");
    let mut line = |line: String| writeln!(text, "{line}").expect("a text takes lines");
    if let Some(whole) = whole {
        line(format!("fqdn: {whole}"));
    }
    if let Some(user) = config("ciuser") {
        line(format!("user: {user}"));
        if user == "root" {
            line("disable_root: False".to_owned());
        }
    }
    if let Some(password) = config("cipassword") {
        let password = if shows_password {
            password
        } else {
            "**********"
        };
        line(format!("password: {password}"));
    }
    if let Some(keys) = config("sshkeys") {
        line("ssh_authorized_keys:".to_owned());
        let keys = percent_encoding::percent_decode_str(keys).decode_utf8_lossy();
        for key in keys.lines().filter(|key| !key.trim().is_empty()) {
            line(format!("  - {key}"));
        }
    }
    line("chpasswd:\n  expire: False".to_owned());
    if config("ciuser").is_none_or(|user| user != "root") {
        line("users:\n  - default".to_owned());
    }
    if config("ciupgrade").is_none_or(|is| is == "1") {
        line("package_upgrade: true".to_owned());
    }
    text
}

/// Version 1 of the network configuration. A card without an `ipconfig` is left out.
fn network(vm: &Vm) -> Result<String, String> {
    let mut lines = vec!["version: 1".to_owned(), "config:".to_owned()];
    for index in 0..32 {
        let (Some(card), Some(config)) = (
            vm.config.get(&format!("net{index}")),
            vm.config.get(&format!("ipconfig{index}")),
        ) else {
            continue;
        };
        let card = property::parse(set("net"), card)?;
        let config = property::parse(set("ipconfig"), config)?;
        let mac = card
            .get("macaddr")
            .map_or_else(String::new, |mac| mac.to_lowercase());
        lines.push("    - type: physical".to_owned());
        lines.push(format!("      name: eth{index}"));
        lines.push(format!("      mac_address: '{mac}'"));
        lines.push("      subnets:".to_owned());
        lines.extend(subnets(&config));
    }
    let list = |key: &str| -> Vec<String> {
        let text = vm.config.get(key).map_or("", String::as_str);
        let words = text.split([' ', ',', ';']).filter(|word| !word.is_empty());
        words.map(|word| format!("      - '{word}'")).collect()
    };
    let (servers, domains) = (list("nameserver"), list("searchdomain"));
    if !servers.is_empty() || !domains.is_empty() {
        lines.push("    - type: nameserver".to_owned());
        for (name, values) in [("address", servers), ("search", domains)] {
            if !values.is_empty() {
                lines.push(format!("      {name}:"));
                lines.extend(values);
            }
        }
    }
    Ok(lines.join("\n") + "\n")
}

fn subnets(config: &property::Properties) -> Vec<String> {
    let mut lines = Vec::new();
    let mut of = |kind: &str, rest: &[(&str, Option<&str>)]| {
        lines.push(format!("      - type: {kind}"));
        for (name, value) in rest {
            if let Some(value) = value {
                lines.push(format!("        {name}: '{value}'"));
            }
        }
    };
    let value = |key: &str| config.get(key).map(String::as_str);
    let ip = value("ip").or_else(|| value("ip6").is_none().then_some("dhcp"));
    match ip {
        Some("dhcp") => of("dhcp4", &[]),
        Some(cidr) => {
            let (address, bits) = cidr.split_once('/').unwrap_or((cidr, "32"));
            let bits = bits.parse().unwrap_or(32_u32).min(32);
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            let mask = std::net::Ipv4Addr::from(mask).to_string();
            let rest = [
                ("address", Some(address)),
                ("netmask", Some(&*mask)),
                ("gateway", value("gw")),
            ];
            of("static", &rest);
        }
        None => {}
    }
    match value("ip6") {
        Some("dhcp") => of("dhcp6", &[]),
        Some("auto") => of("ipv6_slaac", &[]),
        Some(cidr) => of(
            "static6",
            &[("address", Some(cidr)), ("gateway", value("gw6"))],
        ),
        None => {}
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(config: &[(&str, &str)]) -> Vm {
        let config = config
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Vm::new(110, "pve1", config.collect())
    }

    #[test]
    fn user_data_has_what_is_configured() {
        let vm = vm(&[
            ("ciuser", "u"),
            ("cipassword", "pw"),
            ("sshkeys", "k%201%0Ak2"),
            ("ciupgrade", "0"),
        ]);
        assert_eq!(
            user(&vm, false),
            "#cloud-config\nhostname: VM110\nmanage_etc_hosts: true\nuser: u\npassword: **********\n\
             ssh_authorized_keys:\n  - k 1\n  - k2\nchpasswd:\n  expire: False\nusers:\n  - default\n"
        );
    }

    #[test]
    fn the_network_has_the_cards_with_an_address() {
        let vm = vm(&[
            ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0"),
            ("net1", "virtio=BC:24:11:00:00:02,bridge=vmbr0"),
            ("ipconfig0", "ip=192.0.2.77/25,gw=192.0.2.1,ip6=auto"),
            ("nameserver", "192.0.2.53"),
        ]);
        let expected = "version: 1\nconfig:\n    - type: physical\n      name: eth0\n      \
            mac_address: 'bc:24:11:00:00:01'\n      subnets:\n      - type: static\n        \
            address: '192.0.2.77'\n        netmask: '255.255.255.128'\n        gateway: '192.0.2.1'\n      \
            - type: ipv6_slaac\n    - type: nameserver\n      address:\n      - '192.0.2.53'\n";
        assert_eq!(network(&vm).as_deref(), Ok(expected));
    }
}
