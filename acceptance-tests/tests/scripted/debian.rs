//! Packages, units, disks and first boot of a scripted guest.

use acceptance_tests::simulator::machine::{AgentError, Exit, Hypervisor};
use serde_json::json;

use super::{PLAIN, answers, command, exec, hypervisor, spec};
use acceptance_tests::guests::cd::seed;

/// Scripts in the order in which they run, each with its status and some of its output.
const CASES: &[(&str, i64, &str)] = &[
    (
        "cloud-init status --wait; hostname; cat /root/ran; stat -c %u /home/ann; id -un ann",
        0,
        "status: done\nbox\nran\n1000\nann\n",
    ),
    (
        "ip -o -4 addr show dev eth0 | awk '{print $4}'",
        0,
        "198.51.100.7/24\n",
    ),
    ("command -v docker", 127, ""),
    (
        "dpkg-query -W -f '${db:Status-Abbrev}|${Version}\\n' docker.io",
        1,
        "no packages found matching docker.io",
    ),
    (
        "D=/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_data; readlink -f $D; test -b $D && blkid $D",
        2,
        "/dev/sdb\n",
    ),
    (
        "mkfs.ext4 -q -L data /dev/sdb && blkid -s TYPE -o value /dev/sdb && lsblk -no FSTYPE,LABEL /dev/sdb",
        0,
        "ext4\next4 data\n",
    ),
    (
        "mkdir -p /opt/docker; echo \"UUID=$(blkid -s UUID -o value /dev/sdb) /opt/docker ext4 defaults,nofail 0 2\" >>/etc/fstab",
        0,
        "",
    ),
    (
        "printf '[Unit]\\nAssertPathIsMountPoint=/opt/docker\\n' >/tmp/d; mkdir -p /etc/systemd/system/docker.service.d; cp /tmp/d /etc/systemd/system/docker.service.d/m.conf; mkdir -p /etc/docker; echo '{\"data-root\":\"/opt/docker/data\"}' >/etc/docker/daemon.json",
        0,
        "",
    ),
    (
        "apt-get -o DPkg::Lock::Timeout=300 -y --no-install-recommends install docker.io docker-cli docker-compose nope",
        100,
        "E: Unable to locate package nope",
    ),
    (
        "systemd-run --unit=inst --collect apt-get -y --no-install-recommends install docker.io docker-cli docker-compose iptables; while systemctl is-active -q inst; do sleep 0.05; done; dpkg-query -W -f '${Version}\\n' docker.io",
        0,
        "26.1.5",
    ),
    (
        "systemctl show docker -p UnitFileState -p ActiveState -p LoadState --value | tr '\\n' ' '",
        0,
        "loaded failed enabled ",
    ),
    (
        "mount /opt/docker && findmnt -no SOURCE,FSTYPE -M /opt/docker && mountpoint -q /opt/docker && systemctl reset-failed docker && systemctl start docker",
        0,
        "/dev/sdb ext4\n",
    ),
    (
        "docker volume create v && echo kept >/opt/docker/data/volumes/v/_data/f; docker run -d --name always --restart always nginx",
        0,
        "",
    ),
    (
        "grep -qsx dockerd /proc/[0-9]*/comm && head -c 3 /dev/sdb | wc -c; systemd-escape -p --suffix=mount /opt/my-disk",
        0,
        "3\nopt-my\\x2ddisk.mount\n",
    ),
    (
        "systemd-run --unit=bad false; sleep 0.2; systemctl show bad -p Result -p ExecMainStatus --value; systemctl is-active bad",
        3,
        "exit-code\n1\nfailed\n",
    ),
    (
        "systemd-run --wait --pipe -q sh -c 'echo piped; exit 4'",
        4,
        "piped\n",
    ),
    (
        "apt-mark hold docker.io; apt-get -y remove docker.io",
        100,
        "E: Held packages were changed",
    ),
];

#[tokio::test]
async fn packages_units_and_disks_answer_like_debian() {
    let hypervisor = hypervisor();
    let user_data = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"x\"\n\n\
        --x\nContent-Type: text/cloud-config\n\n\
        hostname: box\npackages: [qemu-guest-agent]\nusers: [{name: ann, ssh_authorized_keys: [k]}]\n\
        --x\nContent-Type: text/x-shellscript; charset=\"utf-8\"\n\n#!/bin/sh\necho ran >/root/ran\n--x--\n";
    let mut spec = spec(105, PLAIN);
    spec.cdrom = Some(seed(&[
        ("user-data", user_data),
        ("meta-data", "instance-id: i-1\nlocal-hostname: other\n"),
        (
            "network-config",
            "version: 2\nethernets:\n  net0:\n    match: {macaddress: 'bc:24:11:00:00:01'}\n    addresses: [198.51.100.7/24]\n",
        ),
    ]));
    let machine = hypervisor
        .start(spec.clone())
        .await
        .expect("the guest starts");
    answers(&machine).await;
    let nics = command(&machine, "guest-network-get-interfaces", json!({})).await;
    assert_eq!(nics[1]["name"], "eth0");
    assert_eq!(nics[1]["ip-addresses"][0]["ip-address"], "198.51.100.7");
    for (script, code, output) in CASES {
        let (found, out, err) = exec(&machine, script).await;
        let text = format!("{out}{err}");
        assert_eq!(found, *code, "{script}: {text}");
        assert!(
            text.contains(output),
            "{script}: {text:?} has no {output:?}"
        );
    }
    // Reboot: processes and mounts go, files and what starts by itself come back.
    let shutdown = json!({"execute": "guest-shutdown", "arguments": {"mode": "reboot"}});
    assert!(matches!(
        machine.agent(shutdown).await,
        Err(AgentError::Silent)
    ));
    assert_eq!(machine.ended().await, Exit::Reboot);
    spec.cdrom = None;
    let machine = hypervisor.start(spec).await.expect("the guest starts");
    answers(&machine).await;
    let (_, out, err) = exec(&machine, "cat /opt/docker/data/volumes/v/_data/f; docker ps --format '{{.Names}} {{.State}}'; findmnt -no SOURCE /opt/docker; cloud-init status --wait").await;
    assert_eq!(
        out, "kept\nalways running\n/dev/sdb\nstatus: done\n",
        "{err}"
    );
    machine.resized("scsi1", 16 << 30).await;
    let (_, out, _) = exec(&machine, "df -B1 --output=size /opt/docker | tail -n 1; resize2fs /dev/sdb >/dev/null; df -B1 --output=size /opt/docker | tail -n 1").await;
    assert_eq!(out, format!("{}\n{}\n", 8u64 << 30, 16u64 << 30));
    machine.powerdown().await;
    assert_eq!(machine.ended().await, Exit::PowerOff);
    hypervisor.discard(105).await;
    assert!(!hypervisor.root(105).exists());
}
