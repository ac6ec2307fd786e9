//! Containers of the lab.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use acceptance_tests::guests::Lab;
use acceptance_tests::simulator::container::{
    Console, ConsoleMode, Container, ContainerNic, ContainerSpec,
};
use acceptance_tests::simulator::machine::{Disk, Exit, Hypervisor as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{DHCP, DOCKER, in_time, lab, spec};

const TEMPLATE: &str = "local:vztmpl/debian-13-docker_1_amd64.tar.zst";

/// A container with Docker and a volume at `/opt/docker`.
fn container() -> ContainerSpec {
    let mut vm = spec(DOCKER, "", DHCP);
    let disk = |slot: &str, bytes: u64| Disk {
        slot: slot.to_owned(),
        volume: format!("local-lvm:vm-300-{slot}"),
        serial: None,
        bytes,
        image: None,
    };
    let nic = ContainerNic {
        nic: vm.nics.remove(0),
        name: "eth0".to_owned(),
        ip: Some("198.51.100.12/24".to_owned()),
        gateway: Some("198.51.100.1".to_owned()),
        ip6: None,
        gateway6: None,
    };
    ContainerSpec {
        vmid: 300,
        node: "pve1".to_owned(),
        hostname: "con1".to_owned(),
        memory_mib: 1024,
        swap_mib: 0,
        cores: None,
        template: Some(TEMPLATE.to_owned()),
        nics: vec![nic],
        root: disk("rootfs", 4 << 30),
        mounts: vec![("/opt/docker".to_owned(), disk("mp0", 256 << 20))],
        nesting: true,
        unprivileged: true,
        nameservers: None,
        ssh_keys: Some("ssh-ed25519 AAAA somebody".to_owned()),
    }
}

async fn started(lab: &Lab, spec: ContainerSpec) -> Arc<dyn Container> {
    let container = in_time(lab.start_container(spec)).await;
    container.expect("the container starts")
}

/// What a script in the container prints.
async fn sh(lab: &Lab, script: &str) -> String {
    let ran = in_time(lab.sh(300, script)).await;
    ran.unwrap_or_else(|error| panic!("{script}: {error}"))
}

/// A terminal, typed into and read like a person does it.
struct Terminal(Console, String);

impl Terminal {
    async fn open(container: &Arc<dyn Container>, mode: ConsoleMode) -> Self {
        let console = in_time(container.console(mode)).await;
        Self(console.expect("it has a console"), String::new())
    }

    async fn type_in(&mut self, text: &str) {
        let typed = in_time(self.0.keyboard.write_all(text.as_bytes())).await;
        typed.expect("it can be typed");
    }

    /// Presses the return key until `text` appears: what was shown before is gone, and a key that is pressed while the
    /// terminal is set up is lost.
    async fn knock(&mut self, text: &str) {
        let knocked = async {
            loop {
                self.type_in("\n").await;
                let shown = self.until(text);
                if tokio::time::timeout(Duration::from_millis(500), shown)
                    .await
                    .is_ok()
                {
                    return;
                }
            }
        };
        in_time(knocked).await;
    }

    /// Waits until `text` appears, and gives all that was shown so far.
    async fn until(&mut self, text: &str) -> &str {
        while !self.1.contains(text) {
            let mut bytes = [0; 1024];
            let read = self.0.screen.read(&mut bytes);
            let read = tokio::time::timeout(Duration::from_mins(1), read).await;
            let count = read.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.1));
            let count = count.expect("it shows something");
            assert_ne!(count, 0, "the console ended after {:?}", self.1);
            self.1.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        &self.1
    }
}

/// Waits until Docker answers, and runs a container.
fn docker_run(lab: &Lab) -> String {
    let image = format!("{}/demo/web:2", lab.registry());
    format!(
        "until docker info >/dev/null 2>&1; do sleep 0.1; done; \
         docker run --rm {image} cat /www/index.html"
    )
}

#[tokio::test]
async fn a_container_has_a_console_and_runs_containers() {
    let lab = lab().await;
    let container = started(&lab, container()).await;
    let mut shell = Terminal::open(&container, ConsoleMode::Shell).await;
    // Made of pieces, so that the echo of what is typed is not taken for the result.
    let script = format!(
        " {}; cat /root/.ssh/authorized_keys; hostname; echo $container $TERM; echo do''ne\n",
        docker_run(&lab)
    );
    // What is typed before is lost.
    shell.until("con1:/# ").await;
    shell.type_in(&script).await;
    let seen = shell.until("\ndone").await;
    for part in [
        "\ncon1\r\r\n",
        "ssh-ed25519 AAAA somebody",
        "demo web 2",
        "\nlxc linux",
    ] {
        assert!(seen.contains(part), "{part} is not in {seen}");
    }
    let mut tty = Terminal::open(&container, ConsoleMode::Tty).await;
    tty.knock("con1 login: ").await;
    let mut console = Terminal::open(&container, ConsoleMode::Console).await;
    console.knock("con1 login: ").await;

    let interfaces = in_time(container.interfaces()).await;
    let interfaces = interfaces.expect("they can be read");
    let card = interfaces.iter().find(|found| found.name == "eth0");
    let card = card.expect("the card is there");
    assert_eq!(card.mac, "bc:24:11:00:00:0a");
    let address = "198.51.100.12".parse().expect("it is an address");
    assert!(card.addresses.contains(&(address, 24)), "{card:?}");
    drop((shell, tty, console));
    in_time(container.shutdown()).await;
    assert_eq!(in_time(container.ended()).await, Exit::PowerOff);
    lab.stop().await;
}

#[tokio::test]
async fn a_container_is_nobody_on_the_node_and_keeps_its_volumes() {
    let lab = lab().await;
    let mut spec = container();
    let first = started(&lab, spec.clone()).await;
    let map = sh(&lab, "cat /proc/self/uid_map /proc/self/gid_map").await;
    let ids: Vec<&str> = map.split_whitespace().collect();
    assert_eq!(ids, ["0", "100000", "65536", "0", "100000", "65536"]);
    let refused = in_time(lab.sh(300, "mknod /root/disk b 7 0 2>&1")).await;
    assert!(refused.is_err_and(|why| why.contains("Operation not permitted")));
    let running = "until [ -S /run/dbus/system_bus_socket ]; do sleep 0.1; done; \
                   systemctl is-system-running --wait; systemctl list-units --failed --plain --no-legend";
    assert_eq!(sh(&lab, running).await, "running\n");
    // Init mounts the control groups itself, after its start.
    let limit = match Path::new("/sys/fs/cgroup/memory").is_dir() {
        true => "cat /sys/fs/cgroup/memory/memory.limit_in_bytes",
        false => "cat /sys/fs/cgroup/memory.max",
    };
    assert_eq!(sh(&lab, limit).await.trim(), (1024u64 << 20).to_string());
    let volume =
        "stat -c '%U %G' /opt/docker; findmnt -no FSTYPE /opt/docker; echo kept >/opt/docker/file";
    assert_eq!(sh(&lab, volume).await, "root root\next4\n");
    let size = "df -B1 --output=size /opt/docker | tail -n 1";
    let before: u64 = sh(&lab, size).await.trim().parse().expect("a number");
    let boot = "cat /proc/sys/kernel/random/boot_id; cat /etc/machine-id";
    let booted = sh(&lab, boot).await;

    sh(&lab, "systemctl reboot").await;
    assert_eq!(in_time(first.ended()).await, Exit::Reboot);
    spec.mounts[0].1.bytes = 512 << 20;
    spec.hostname = "con2".to_owned();
    let second = started(&lab, spec.clone()).await;
    assert_eq!(
        sh(&lab, "cat /opt/docker/file; hostname").await,
        "kept\ncon2\n"
    );
    let after: u64 = sh(&lab, size).await.trim().parse().expect("a number");
    assert!(after > before + (200 << 20), "{before} {after}");
    let rebooted = sh(&lab, boot).await;
    let (old, new) = (booted.split_once('\n'), rebooted.split_once('\n'));
    assert_ne!(old.map(|ids| ids.0), new.map(|ids| ids.0));
    assert_eq!(old.map(|ids| ids.1), new.map(|ids| ids.1));
    assert_eq!(sh(&lab, &docker_run(&lab)).await, "demo web 2\n");
    in_time(second.kill()).await;
    assert_eq!(in_time(second.ended()).await, Exit::PowerOff);

    in_time(lab.discard(300)).await;
    assert!(!lab.directory().join("guests/300").exists());
    started(&lab, spec).await;
    assert_eq!(sh(&lab, "ls -A /opt/docker").await, "lost+found\n");
    lab.stop().await;
}
