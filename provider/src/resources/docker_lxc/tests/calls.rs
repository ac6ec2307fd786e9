//! What is asked of the API.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};

use super::{
    super::{
        calls,
        model::{CloneOf, Device, IpConfig, Ipv4, MountPoint, UserAccount},
    },
    DockerLxc, config, config_of, host,
};
use crate::{
    pve::{Call, LxcConfig},
    resources::host::{Kind, power::Place},
    secret::Secret,
};

fn place() -> Place {
    Place::new(Kind::Lxc, "pve1", 102)
}

#[track_caller]
fn check(calls: &[Call], expected: &Expect) {
    let lines: Vec<String> = calls.iter().map(ToString::to_string).collect();
    expected.assert_eq(&lines.join("\n"));
}

/// Changes the plan, and checks what the update sends.
#[track_caller]
fn check_update(change: impl FnOnce(&mut DockerLxc), config: &LxcConfig, expected: &Expect) {
    let mut plan = host();
    change(&mut plan);
    check(
        &calls::update(&host(), &plan, &place(), config, Some("pmoves")),
        expected,
    );
}

fn number(text: &str) -> serde_json::Number {
    serde_json::from_str(text).unwrap()
}

fn mount(volume: &str) -> MountPoint {
    MountPoint {
        volume: volume.into(),
        path: "/media".into(),
        size_gb: Some(number("1.5")),
        ..MountPoint::default()
    }
}

#[test]
fn a_create_names_everything_at_once() {
    let mut plan = host();
    let init = plan.initialization.get_or_insert_default();
    init.user_account = Some(UserAccount {
        keys: Some(["ssh-ed25519 AAAA".to_owned()].into()),
        password_wo: Some(Secret::new("sentinel".into())),
        password_wo_version: Some("1".into()),
    });
    plan.mount_point = Some(BTreeMap::from([("mp1".into(), mount("tank"))]));
    check(
        &[calls::create(&plan, 102, Some("pmoves"))],
        &expect![[
            r#"POST /nodes/pve1/lxc cmode=shell cores=2 features=nesting=1 hostname=web memory=2048 mp0=local-lvm:32,mp=/opt/appdata,backup=1 mp1=tank:1.5,mp=/media net0=name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=dhcp onboot=1 ostemplate=local:vztmpl/debian-13-standard_13.0-1_amd64.tar.zst password=*** rootfs=local-lvm:8 ssh-public-keys="ssh-ed25519 AAAA" swap=0 tags=pmoves unprivileged=1 vmid=102"#
        ]],
    );
}

#[test]
fn nothing_to_do_is_no_call() {
    check_update(|_| {}, &config(), &expect![[""]]);
}

#[test]
fn what_is_not_known_of_a_property_is_sent_again() {
    let mut config = config();
    config.features = Some("force_rw_sys=1,nesting=1".into());
    check_update(
        |plan| {
            plan.features.as_mut().unwrap().fuse = Some(true);
            let init = plan.initialization.get_or_insert_default();
            let ipv4 = Ipv4 {
                address: Some("192.0.2.10/24".into()),
                gateway: Some("192.0.2.1".into()),
            };
            let ip = IpConfig {
                ipv4: Some(ipv4),
                ipv6: None,
            };
            init.ip_config = Some(BTreeMap::from([("net0".into(), ip)]));
        },
        &config,
        &expect![
            "PUT /nodes/pve1/lxc/102/config features=force_rw_sys=1,nesting=1,fuse=1 net0=name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=192.0.2.10/24,type=veth,gw=192.0.2.1"
        ],
    );
}

#[test]
fn mount_points_come_and_go_and_the_data_volume_stays() {
    check_update(
        |plan| {
            plan.mount_point = Some(BTreeMap::from([
                ("mp1".into(), mount("tank")),
                ("mp2".into(), mount("/srv")),
            ]));
            let device = Device {
                path: "/dev/net/tun".into(),
                mode: Some("0666".into()),
                uid: None,
                gid: None,
                deny_write: None,
            };
            plan.device_passthrough = Some(BTreeMap::from([("dev0".into(), device)]));
            plan.data_volume = None;
        },
        &config(),
        &expect![
            "PUT /nodes/pve1/lxc/102/config dev0=/dev/net/tun,mode=0666 mp1=tank:1.5,mp=/media mp2=/srv,mp=/media"
        ],
    );
    let prior = DockerLxc {
        mount_point: Some(BTreeMap::from([("mp1".into(), mount("tank"))])),
        ..host()
    };
    check(
        &calls::update(&prior, &host(), &place(), &config(), None),
        &expect!["PUT /nodes/pve1/lxc/102/config delete=mp1"],
    );
}

#[test]
fn volumes_grow_only_if_they_are_smaller() {
    check_update(
        |plan| {
            plan.root_disk.as_mut().unwrap().size_gb = Some(number("8.5"));
            plan.data_volume.as_mut().unwrap().size_gb = number("32");
        },
        &config(),
        &expect!["PUT /nodes/pve1/lxc/102/resize disk=rootfs size=8704M"],
    );
}

#[test]
fn the_console_of_a_foreign_container_is_made_a_shell() {
    let mut config = config();
    config.cmode = None;
    config.mount_points.insert(
        "mp0".into(),
        "local-lvm:vm-102-disk-1,mp=/opt/appdata,size=32G".into(),
    );
    check_update(
        |_| {},
        &config,
        &expect![
            "PUT /nodes/pve1/lxc/102/config cmode=shell mp0=local-lvm:vm-102-disk-1,mp=/opt/appdata,size=32G,backup=1"
        ],
    );
}

#[test]
fn volumes_move_to_another_storage() {
    let mut plan = host();
    plan.data_volume.as_mut().unwrap().datastore_id = Some("tank".into());
    check(
        &calls::moves(&plan, &place(), &config()),
        &expect!["POST /nodes/pve1/lxc/102/move_volume delete=1 storage=tank volume=mp0"],
    );
    check(&calls::moves(&host(), &place(), &config()), &expect![[""]]);
}

#[test]
fn a_clone_keeps_nothing_that_belongs_to_its_source() {
    let source = CloneOf {
        vm_id: Some(100),
        full: Some(true),
        datastore_id: None,
    };
    let linked = CloneOf {
        full: Some(false),
        ..source.clone()
    };
    let mut config = config_of(&serde_json::json!({
        "hostname": "web", "memory": 512, "cmode": "tty", "unprivileged": 1, "features": "keyctl=1,nesting=1",
        "tags": "golden", "description": "a source", "nameserver": "192.0.2.53", "protection": 1,
        "net0": "name=eth0,bridge=vmbr9,gw=192.0.2.1,hwaddr=BC:24:11:00:00:AA,ip=192.0.2.10/24,type=veth",
        "net1": "name=eth1,bridge=vmbr1,hwaddr=BC:24:11:00:00:AB,type=veth",
        "rootfs": "local-lvm:vm-102-disk-0,size=4G",
        "mp0": "slow:vm-102-disk-1,mp=/opt/appdata,backup=1,size=32G",
    }));
    config.onboot = None;
    let mut plan = host();
    plan.features.get_or_insert_default().keyctl = None;
    let mut calls = vec![
        calls::clone(&plan, &source, "pve2", 102),
        calls::clone(&plan, &linked, "pve2", 102),
    ];
    calls.extend(calls::adopt(&plan, &place(), &config, Some("pmoves")));
    check(
        &calls,
        &expect![[r#"
        POST /nodes/pve2/lxc/100/clone full=1 hostname=web newid=102 storage=local-lvm
        POST /nodes/pve2/lxc/100/clone full=0 hostname=web newid=102
        PUT /nodes/pve1/lxc/102/config protection=0
        PUT /nodes/pve1/lxc/102/config cmode=shell cores=2 delete=description,nameserver,net1 features=keyctl=1,nesting=1 hostname=web memory=2048 mp0=slow:vm-102-disk-1,mp=/opt/appdata,backup=1,size=32G net0=name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=dhcp onboot=1 swap=0 tags=pmoves
        POST /nodes/pve1/lxc/102/move_volume delete=1 storage=local-lvm volume=mp0
        PUT /nodes/pve1/lxc/102/resize disk=rootfs size=8192M"#]],
    );
}
