//! Containers of the lab.

use std::time::Duration;

use acceptance_tests::simulator::container::{Console, ConsoleMode, ContainerNic, ContainerSpec};
use acceptance_tests::simulator::machine::{Disk, Exit, Hypervisor as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{DHCP, DOCKER, in_time, lab, spec};

#[tokio::test]
async fn a_container_has_a_console_and_runs_containers() {
    let lab = lab().await;
    let nic = ContainerNic {
        nic: spec(DOCKER, "", DHCP).nics.remove(0),
        name: "eth0".to_owned(),
        ip: Some("198.51.100.12/24".to_owned()),
        gateway: Some("198.51.100.1".to_owned()),
        ip6: None,
        gateway6: None,
    };
    let root = spec(DOCKER, "", DHCP).disks.remove(0);
    let container = ContainerSpec {
        vmid: 300,
        node: "pve1".to_owned(),
        hostname: "con1".to_owned(),
        memory_mib: 1024,
        swap_mib: 0,
        cores: None,
        template: Some("local:vztmpl/debian-13-docker_1_amd64.tar.zst".to_owned()),
        nics: vec![nic],
        root: Disk {
            image: None,
            ..root
        },
        mounts: Vec::new(),
        nesting: true,
        unprivileged: true,
        nameservers: None,
        ssh_keys: Some("ssh-ed25519 AAAA somebody".to_owned()),
    };
    let container = in_time(lab.start_container(container)).await;
    let container = container.expect("the container starts");
    let console = in_time(container.console(ConsoleMode::Shell)).await;
    let Console {
        mut screen,
        mut keyboard,
    } = console.expect("it has a console");
    let image = format!("{}/demo/web:2", lab.registry());
    // Made of pieces, so that the echo of what is typed is not taken for the result.
    let script = format!(
        " until docker info >/dev/null 2>&1; do sleep 0.1; done; \
         docker run --rm {image} cat /www/index.html; cat /root/.ssh/authorized_keys; \
         hostname; echo do''ne\n"
    );
    in_time(keyboard.write_all(script.as_bytes()))
        .await
        .expect("it can be typed");
    let mut seen = String::new();
    while !seen.contains("\ndone") {
        let mut bytes = [0; 1024];
        let read = tokio::time::timeout(Duration::from_mins(1), screen.read(&mut bytes)).await;
        let count = read.unwrap_or_else(|_| panic!("no end after {seen}"));
        let count = count.expect("it shows something");
        assert_ne!(count, 0, "the console ended after {seen}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    for part in ["\ncon1", "ssh-ed25519 AAAA somebody", "demo web 2"] {
        assert!(seen.contains(part), "{part} is not in {seen}");
    }
    let interfaces = in_time(container.interfaces())
        .await
        .expect("they can be read");
    let card = interfaces.iter().find(|found| found.name == "eth0");
    let card = card.expect("the card is there");
    assert!(
        card.addresses
            .iter()
            .any(|(ip, _)| ip.to_string() == "198.51.100.12"),
        "{card:?}"
    );
    drop((screen, keyboard));
    in_time(container.shutdown()).await;
    let ended = tokio::time::timeout(Duration::from_mins(1), container.ended()).await;
    let log = std::fs::read(lab.directory().join("guests/300/console.log")).unwrap_or_default();
    assert_eq!(
        ended,
        Ok(Exit::PowerOff),
        "{}",
        String::from_utf8_lossy(&log)
    );
}
