use base64::{Engine as _, prelude::BASE64_STANDARD};
use expect_test::{Expect, expect};

use super::*;
use crate::guest::seed::User;

fn seed() -> Seed {
    Seed {
        instance_id: "iid-1".into(),
        hostname: "dock1".into(),
        user: User {
            username: "pmoves".into(),
            keys: vec!["ssh-ed25519 AAAA josé".into()],
            password_hash: None,
        },
        agent: true,
        ..Seed::default()
    }
}

fn nic(ipv4: Address, ipv6: Address) -> SeedNic {
    SeedNic {
        mac: "BC:24:11:00:00:65".into(),
        ipv4,
        ipv6,
        mtu: None,
    }
}

fn fixed(address: &str, gateway: &str) -> Address {
    Address::Static {
        address: address.parse().unwrap(),
        gateway: gateway.parse().ok(),
    }
}

#[track_caller]
fn check(value: &Value, expected: &Expect) {
    expected.assert_eq(&value.to_string());
}

#[test]
fn nics_are_matched_by_mac_and_never_renamed() {
    let dhcp = SeedNic {
        mtu: Some(1400),
        ..nic(Address::Dhcp, Address::Auto)
    };
    check(
        &ethernet(&dhcp, &seed()),
        &expect![[
            r#"{"accept-ra":true,"addresses":[],"dhcp4":true,"dhcp6":false,"match":{"macaddress":"bc:24:11:00:00:65"},"mtu":1400}"#
        ]],
    );
    let dual = nic(
        fixed("198.51.100.7/24", "198.51.100.1"),
        fixed("2001:db8::7/64", "fe80::1"),
    );
    let named = Seed {
        dns_servers: vec!["198.51.100.1".parse().unwrap()],
        dns_domain: Some("example.org".into()),
        ..seed()
    };
    check(
        &ethernet(&dual, &named),
        &expect![[
            r#"{"addresses":["198.51.100.7/24","2001:db8::7/64"],"dhcp4":false,"dhcp6":false,"match":{"macaddress":"bc:24:11:00:00:65"},"nameservers":{"addresses":["198.51.100.1"],"search":["example.org"]},"routes":[{"to":"0.0.0.0/0","via":"198.51.100.1"},{"on-link":true,"to":"::/0","via":"fe80::1"}]}"#
        ]],
    );
    check(
        &ethernet(&nic(Address::None, Address::None), &seed()),
        &expect![[
            r#"{"addresses":[],"dhcp4":false,"dhcp6":false,"match":{"macaddress":"bc:24:11:00:00:65"}}"#
        ]],
    );
}

#[test]
fn the_account_has_a_key_or_a_password_and_sudo() {
    check(
        &cloud_config(&seed()),
        &expect![[
            r#"{"growpart":{"devices":["/"],"mode":"auto"},"hostname":"dock1","manage_etc_hosts":"localhost","resize_rootfs":true,"users":[{"lock_passwd":true,"name":"pmoves","shell":"/bin/bash","ssh_authorized_keys":["ssh-ed25519 AAAA josé"],"sudo":"ALL=(ALL) NOPASSWD:ALL"}]}"#
        ]],
    );
    let user = User {
        username: "root".into(),
        password_hash: Some("$6$x$y".to_owned().into()),
        keys: Vec::new(),
    };
    let root = Seed {
        user,
        upgrade: true,
        dns_domain: Some("example.org".into()),
        ..seed()
    };
    check(
        &cloud_config(&root),
        &expect![[
            r#"{"disable_root":false,"fqdn":"dock1.example.org","growpart":{"devices":["/"],"mode":"auto"},"hostname":"dock1","manage_etc_hosts":"localhost","package_update":true,"package_upgrade":true,"resize_rootfs":true,"users":[{"hashed_passwd":"$6$x$y","lock_passwd":false,"name":"root","shell":"/bin/bash","ssh_authorized_keys":[],"sudo":"ALL=(ALL) NOPASSWD:ALL"}]}"#
        ]],
    );
}

/// Names, headers and decoded contents of the parts.
fn parts(seed: &Seed) -> Vec<(String, String)> {
    let whole = user_data(seed);
    let parts = whole.split("--==pmoves==\n").skip(1);
    parts
        .map(|part| {
            let (head, body) = part.split_once("\n\n").unwrap();
            let body = body.trim_end_matches("--==pmoves==--\n").replace('\n', "");
            (
                head.to_owned(),
                String::from_utf8(BASE64_STANDARD.decode(body).unwrap()).unwrap(),
            )
        })
        .collect()
}

#[test]
fn the_practitioners_part_comes_first_and_runs_last() {
    let script = "#!/bin/sh\necho disk\n".to_owned();
    let own = "#cloud-config\ntimezone: Europe/Zürich\n".to_owned();
    let parts = parts(&Seed {
        scripts: vec![script.clone()],
        user_data: Some(own.clone()),
        ..seed()
    });
    let heads: Vec<_> = parts.iter().map(|(head, _)| head.as_str()).collect();
    expect![[r#"
        Content-Type: text/plain; charset="utf-8"
        Content-Transfer-Encoding: base64
        Content-Disposition: attachment; filename="90-user-data"

        Content-Type: text/cloud-config; charset="utf-8"
        Content-Transfer-Encoding: base64
        Content-Disposition: attachment; filename="10-pmoves"
        X-Merge-Type: list(append)+dict(no_replace,recurse_list)+str()

        Content-Type: text/x-shellscript; charset="utf-8"
        Content-Transfer-Encoding: base64
        Content-Disposition: attachment; filename="20-pmoves"

        Content-Type: text/x-shellscript; charset="utf-8"
        Content-Transfer-Encoding: base64
        Content-Disposition: attachment; filename="21-pmoves""#]]
    .assert_eq(&heads.join("\n\n"));
    assert_eq!((&parts[0].1, &parts[3].1), (&own, &script));
    assert!(
        parts[1].1.contains("ssh-ed25519 AAAA josé"),
        "{}",
        parts[1].1
    );
}

#[test]
fn cloud_inits_own_answers_are_read() {
    let degraded =
        r#"{"v1": {"datasource": "DataSourceNoCloud [seed=/dev/sr0]", "errors": ["('x', y)"]}}"#;
    let read = done(degraded).unwrap();
    assert_eq!(read.errors, ["('x', y)"]);
    assert_eq!(
        read.datasource.unwrap(),
        "DataSourceNoCloud [seed=/dev/sr0]"
    );
    assert_eq!(done("\n").unwrap(), Done::default());
    assert!(done("{}").is_err());
}
