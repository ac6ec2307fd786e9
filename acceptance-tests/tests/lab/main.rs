//! Real guests, booted for real: needs root. Each test has a lab of its own.

mod container;
mod network;

use std::sync::Arc;
use std::time::Duration;

use acceptance_tests::guests::{Lab, Rootfs, can_grow_mounted_ext4, cd, shell};
use acceptance_tests::simulator::machine::{
    AgentError, Disk, Exit, Hypervisor as _, Machine, Nic, Spec,
};
use serde_json::json;

const DOCKER: &str = "local:import/debian-13-docker.qcow2";
const PLAIN: &str = "local:import/debian-13.qcow2";

async fn lab() -> Lab {
    Lab::available().expect("these tests boot real guests");
    let rootfs = Rootfs::ready()
        .await
        .expect("the guests' file system can be built");
    Lab::start(&rootfs).await.expect("the lab starts")
}

fn spec(image: &str, user_data: &str, network: &str) -> Spec {
    let disk = |slot: &str, serial: Option<&str>, image: Option<&str>| Disk {
        slot: slot.to_owned(),
        volume: format!("local-lvm:vm-100-{slot}"),
        serial: serial.map(ToOwned::to_owned),
        bytes: 256 << 20,
        image: image.map(ToOwned::to_owned),
    };
    Spec {
        vmid: 100,
        node: "pve1".to_owned(),
        name: "dock1".to_owned(),
        memory_mib: 1024,
        cores: 2,
        nics: vec![Nic {
            slot: "net0".to_owned(),
            mac: "BC:24:11:00:00:0A".to_owned(),
            bridge: "vmbr0".to_owned(),
        }],
        disks: vec![
            disk("scsi0", None, Some(image)),
            disk("scsi1", Some("data"), None),
        ],
        cdrom: Some(cd::seed(&[
            ("meta-data", "instance-id: i-1\nlocal-hostname: dock1\n"),
            ("user-data", user_data),
            ("network-config", network),
        ])),
        agent: true,
    }
}

const STATIC: &str = "version: 2
ethernets:
  net0:
    match: {macaddress: 'bc:24:11:00:00:0a'}
    addresses: [198.51.100.10/24]
    routes: [{to: 0.0.0.0/0, via: 198.51.100.1}]
    nameservers: {addresses: [198.51.100.1]}
";
const STATIC_V1: &str = "version: 1
config:
  - type: physical
    name: eth0
    mac_address: 'bc:24:11:00:00:0a'
    subnets: [{type: static, address: 198.51.100.11/24, gateway: 198.51.100.1}]
";
const DHCP: &str = "version: 2
ethernets:
  net0: {match: {macaddress: 'bc:24:11:00:00:0a'}, dhcp4: true}
";

async fn booted(lab: &Lab, spec: Spec) -> Arc<dyn Machine> {
    let guest = lab.start(spec).await.expect("the guest starts");
    let answers = tokio::time::timeout(Duration::from_mins(3), shell::agent(guest.as_ref())).await;
    if !matches!(answers, Ok(Ok(()))) {
        let console = lab.directory().join("guests/100/console.log");
        panic!(
            "the agent does not answer: {answers:?}\n{}",
            String::from_utf8_lossy(&std::fs::read(console).unwrap_or_default())
        );
    }
    // Nothing is to be waited for where there is no seed.
    run(&guest, "cloud-init status --wait || test $? = 2").await;
    guest
}

/// Waits for what takes seconds, so that a guest which hangs fails its test.
async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(3), what)
        .await
        .expect("a guest is faster than this")
}

#[track_caller]
fn run<'a>(
    guest: &'a Arc<dyn Machine>,
    command: &'a str,
) -> impl Future<Output = String> + use<'a> {
    let caller = std::panic::Location::caller();
    async move {
        let ran =
            tokio::time::timeout(Duration::from_mins(3), shell::run(guest.as_ref(), command)).await;
        let ran = ran.unwrap_or_else(|_| panic!("{caller}: {command}: still running"));
        ran.unwrap_or_else(|error| panic!("{caller}: {error}"))
    }
}

#[tokio::test]
async fn a_guest_reads_its_seed_and_runs_containers_from_the_registry() {
    let lab = lab().await;
    let user_data =
        "#cloud-config\nhostname: dock1\nwrite_files: [{path: /etc/marked, content: yes it is}]\n";
    let guest = booted(&lab, spec(DOCKER, user_data, STATIC)).await;

    assert_eq!(
        run(&guest, "hostname; cat /etc/marked").await,
        "dock1\nyes it is"
    );
    assert!(
        run(&guest, "ip -4 -o address show eth0")
            .await
            .contains("198.51.100.10/24")
    );
    assert_eq!(
        run(&guest, "systemctl is-system-running --wait").await,
        "running\n"
    );
    assert!(
        run(
            &guest,
            "getent hosts deb.debian.org; resolvectl query deb.debian.org"
        )
        .await
        .contains("198.51.100.2")
    );
    assert!(
        shell::run(guest.as_ref(), "resolvectl query example.com")
            .await
            .is_err(),
        "there is no other world"
    );
    assert_ne!(
        run(&guest, "cat /proc/sys/kernel/random/boot_id").await,
        host_file("/proc/sys/kernel/random/boot_id")
    );

    let registry = lab.registry();
    run(
        &guest,
        &format!("docker run -d --name web -m 64m -p 80:8080 {registry}/demo/web:2"),
    )
    .await;
    let door = lab
        .forward(([198, 51, 100, 10], 80).into())
        .await
        .expect("the loopback has a free port");
    let page = reqwest::get(format!("http://{}/", door.address))
        .await
        .expect("the web server answers");
    assert_eq!(page.text().await.expect("the page is text"), "demo web 2\n");
    let ended = "docker stop web && docker inspect --format '{{.State.ExitCode}}' web";
    assert_ne!(
        run(&guest, ended).await,
        "web\n137\n",
        "the demo images end when asked to, and are not killed"
    );

    let refused = guest
        .agent(json!({"execute": "guest-fsfreeze-freeze"}))
        .await;
    assert!(
        matches!(refused, Err(AgentError::Refused { class, .. }) if class == "CommandNotFound")
    );
    let privileged = format!("docker run --rm --privileged {registry}/demo/worker:1 echo may");
    assert_eq!(run(&guest, &privileged).await, "may\n");
    run(
        &guest,
        "mknod /root/disk b $(mountpoint --fs-devno /var/lib/docker | tr : ' ')",
    )
    .await;
    let read = shell::run(guest.as_ref(), "head -c 1 /root/disk").await;
    assert!(read.is_err(), "the disk of the machine is out of reach");
    let agent = "systemctl show --property MainPID --value qemu-guest-agent";
    let before = run(&guest, agent).await;
    // The restart may be faster than the answer.
    let restart = "systemd-run --on-active=0 systemctl restart qemu-guest-agent";
    shell::run(guest.as_ref(), restart).await.ok();
    // Until the old one is gone it may still answer, and while the new one starts none does. One that has to go while it
    // starts a command may hang; systemd kills it after 90 seconds.
    let restarted = async {
        while shell::run(guest.as_ref(), agent)
            .await
            .is_ok_and(|pid| pid == before)
        {}
        shell::agent(guest.as_ref()).await
    };
    let found = tokio::time::timeout(Duration::from_mins(3), restarted).await;
    assert_eq!(
        found,
        Ok(Ok(())),
        "an agent that was restarted is found again"
    );

    guest.powerdown().await;
    assert_eq!(in_time(guest.ended()).await, Exit::PowerOff);
    assert!(matches!(
        guest.agent(json!({"execute": "guest-ping"})).await,
        Err(AgentError::Silent)
    ));
    lab.stop().await;
}

#[tokio::test]
async fn a_data_disk_outlives_its_guest_and_grows() {
    let lab = lab().await;
    let mut spec = spec(DOCKER, "#cloud-config\n{}\n", STATIC_V1);
    let guest = booted(&lab, spec.clone()).await;
    assert!(
        run(&guest, "ip -4 -o address show eth0")
            .await
            .contains("198.51.100.11/24")
    );
    let boot = run(&guest, "cat /proc/sys/kernel/random/boot_id").await;
    let by_id = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_data";
    assert_eq!(
        run(&guest, &format!("readlink -f {by_id}")).await,
        "/dev/sdb\n"
    );
    run(
        &guest,
        &format!("mkfs.ext4 -q {by_id} && mkdir -p /opt/docker"),
    )
    .await;
    run(
        &guest,
        "echo UUID=$(blkid -s UUID -o value /dev/sdb) /opt/docker ext4 defaults 0 2 >> /etc/fstab",
    )
    .await;
    run(&guest, "mount /opt/docker && echo kept > /opt/docker/file").await;
    assert_eq!(
        run(
            &guest,
            "findmnt -no FSTYPE /opt/docker; blkid -s TYPE -o value /dev/sdb"
        )
        .await,
        "ext4\next4\n"
    );

    guest.resized("scsi1", 512 << 20).await;
    // Where the machine's root may not do it online, the guest's may neither.
    let grow = if can_grow_mounted_ext4() {
        "resize2fs /dev/sdb 2>&1"
    } else {
        "{ umount /opt/docker; e2fsck -fp /dev/sdb; resize2fs /dev/sdb; mount /opt/docker; } 2>&1"
    };
    run(&guest, grow).await;
    let size: u64 = run(&guest, "df -B1 --output=size /opt/docker | tail -1")
        .await
        .trim()
        .parse()
        .expect("df prints a size");
    assert!(size > 400 << 20, "{size}");
    let extra = Disk {
        slot: "scsi2".to_owned(),
        volume: "local-lvm:extra".to_owned(),
        serial: None,
        ..spec.disks[1].clone()
    };
    guest.attached(extra).await;
    assert_eq!(
        run(&guest, "blockdev --getsize64 /dev/sdc").await.trim(),
        (256u64 << 20).to_string()
    );

    assert!(
        shell::run(guest.as_ref(), "systemctl reboot; sleep 60")
            .await
            .is_err(),
        "the guest goes before it answers"
    );
    assert_eq!(in_time(guest.ended()).await, Exit::Reboot);
    spec.cdrom = None;
    spec.disks[1].bytes = 512 << 20;
    let guest = booted(&lab, spec.clone()).await;
    assert_eq!(
        run(
            &guest,
            "cat /opt/docker/file; findmnt -no TARGET /opt/docker"
        )
        .await,
        "kept\n/opt/docker\n"
    );
    assert_ne!(
        run(&guest, "cat /proc/sys/kernel/random/boot_id").await,
        boot
    );
    assert!(
        run(&guest, "ip -4 -o address show eth0")
            .await
            .contains("198.51.100.11/24"),
        "the address needs no seed"
    );

    guest.kill().await;
    assert_eq!(in_time(guest.ended()).await, Exit::PowerOff);
    lab.discard(spec.vmid).await;
    assert!(!lab.directory().join("guests/100").exists());
    let guest = booted(&lab, spec).await;
    assert_eq!(
        run(&guest, "blkid /dev/sdb || echo empty; ls /opt").await,
        "empty\n"
    );
    lab.stop().await;
}

#[tokio::test]
async fn a_plain_guest_installs_its_agent_and_docker() {
    let lab = lab().await;
    let user_data = "#cloud-config\npackage_update: true\npackages: [qemu-guest-agent]\n\
        runcmd: [[systemctl, enable, --now, qemu-guest-agent]]\n";
    let guest = booted(&lab, spec(PLAIN, user_data, DHCP)).await;
    assert!(
        run(&guest, "ip -4 -o address show eth0")
            .await
            .contains("198.51.100.")
    );
    assert!(
        shell::run(guest.as_ref(), "command -v docker")
            .await
            .is_err()
    );
    run(
        &guest,
        "apt-get install -qq --no-install-recommends docker.io docker-cli docker-compose >&2",
    )
    .await;
    let image = format!("{}/demo/web:1", lab.registry());
    assert_eq!(
        run(
            &guest,
            &format!("docker run --rm {image} cat /www/index.html")
        )
        .await,
        "demo web 1\n"
    );
    assert!(
        run(&guest, "docker compose version")
            .await
            .contains("Docker Compose version")
    );
    lab.stop().await;
}

fn host_file(path: &str) -> String {
    std::fs::read_to_string(path).expect("the file is there")
}
