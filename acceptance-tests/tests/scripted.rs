//! Scripted guests, from power-on to discard, as the simulator uses them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use acceptance_tests::guests::scripted::{AgentMood, CloudInit, Scenario, ScriptedHypervisor};
use acceptance_tests::simulator::machine::{
    AgentError, Disk, Exit, Hypervisor, Machine, Nic, Spec,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const SHIM: &str = env!("CARGO_BIN_EXE_guest-shim");

fn hypervisor() -> ScriptedHypervisor {
    ScriptedHypervisor::new(Path::new(SHIM)).expect("this machine runs scripted guests")
}

/// A VM with a NIC, a system disk made from `image` and an empty data disk.
fn spec(vmid: u32, image: &str) -> Spec {
    let disk = |slot: &str, serial: Option<&str>, image: Option<&str>| Disk {
        slot: slot.to_owned(),
        volume: format!("local:{vmid}/{slot}.qcow2"),
        serial: serial.map(str::to_owned),
        bytes: 8 << 30,
        image: image.map(str::to_owned),
    };
    Spec {
        vmid,
        node: "pve1".to_owned(),
        name: format!("guest{vmid}"),
        memory_mib: 2048,
        cores: 2,
        nics: vec![Nic {
            slot: "net0".to_owned(),
            mac: "BC:24:11:00:00:01".to_owned(),
            bridge: "vmbr0".to_owned(),
        }],
        disks: vec![
            disk("scsi0", None, Some(image)),
            disk("scsi1", Some("data"), None),
        ],
        cdrom: None,
        agent: true,
    }
}

const DOCKER: &str = "local:import/debian-13-docker.qcow2";
const PLAIN: &str = "local:import/debian-13.qcow2";

/// Repeats until `condition` holds; a test fails after ten seconds of waiting.
async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, condition: impl Fn() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "waited for {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn answers(machine: &Arc<dyn Machine>) {
    eventually("the agent", || async {
        machine.agent(json!({"execute": "guest-ping"})).await.ok()
    })
    .await;
}

async fn command(machine: &Arc<dyn Machine>, name: &str, arguments: Value) -> Value {
    let request = json!({"execute": name, "arguments": arguments});
    machine.agent(request).await.expect("the agent answers")
}

/// Runs a script through `guest-exec`, as a provider does.
async fn exec(machine: &Arc<dyn Machine>, script: &str) -> (i64, String, String) {
    let started = command(
        machine,
        "guest-exec",
        json!({"path": "/bin/sh", "capture-output": true, "input-data": STANDARD.encode(script)}),
    )
    .await;
    let ended = eventually("the script", || async {
        let status = command(machine, "guest-exec-status", json!({"pid": started["pid"]})).await;
        (status["exited"] == true).then_some(status)
    })
    .await;
    let text = |key: &str| {
        let data = STANDARD.decode(ended[key].as_str().unwrap_or_default());
        String::from_utf8(data.unwrap()).unwrap()
    };
    (
        ended["exitcode"].as_i64().unwrap_or(-1),
        text("out-data"),
        text("err-data"),
    )
}

#[track_caller]
fn refused(result: &Result<Value, AgentError>) -> String {
    match result {
        Err(AgentError::Refused { class, desc }) => format!("{class}: {desc}"),
        other => panic!("{other:?} is no refusal"),
    }
}

#[tokio::test]
async fn a_script_runs_as_root_of_its_own_files() {
    let hypervisor = hypervisor();
    let machine = hypervisor.start(spec(101, DOCKER)).await.unwrap();
    answers(&machine).await;
    let (code, out, err) = exec(
        &machine,
        "id -u; . /etc/os-release; echo $VERSION_CODENAME; hostname; cat /sys/class/net/eth0/address\n\
         echo x >/usr/bin/awk || echo read-only; echo y >/etc/marker; touch /root/f; ls / | tr '\\n' ' '\n\
         printf a-b | awk -F- '{print $2}'; sha256sum /etc/marker | cut -c1-8; exit 3",
    )
    .await;
    assert_eq!(code, 3, "{out}{err}");
    assert!(
        out.starts_with("0\ntrixie\nguest101\nbc:24:11:00:00:01\nread-only\n"),
        "{out}{err}"
    );
    assert!(!out.contains("work"), "the machine's own files show: {out}");
    assert!(!Path::new("/etc/marker").exists());
    assert!(hypervisor.root(101).join("etc/marker").exists());
}

const COMPOSE: &str = "\
services:
  web:
    image: nginx:1.27
    ports: ['8080:80']
    environment: {MODE: '${MODE:-plain}'}
    depends_on: {db: {condition: service_healthy}}
  db:
    image: registry.test/db:1
    healthcheck: {test: exit 0, interval: 200ms}
    volumes: ['data:/data', './conf:/conf:ro']
volumes: {data: {}}
";

const UP: &str = "docker compose -p shop -f compose.yaml --project-directory /opt/shop up -d 2>&1";

#[tokio::test]
async fn a_compose_project_comes_up_changes_and_goes() {
    let hypervisor = hypervisor();
    let machine = hypervisor.start(spec(102, DOCKER)).await.unwrap();
    answers(&machine).await;
    let write =
        format!("mkdir -p /opt/shop && cd /opt/shop && cat >compose.yaml <<'E'\n{COMPOSE}E\n");
    let (code, out, _) = exec(&machine, &format!("{write}{UP}")).await;
    assert_eq!(code, 0, "{out}");
    assert!(out.contains(" Container shop-db-1  Started"), "{out}");

    let states = "docker inspect -f '{{index .Config.Labels \"com.docker.compose.service\"}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}} {{.RestartCount}}' $(docker ps -aq --no-trunc --filter label=com.docker.compose.project=shop) | sort";
    let (_, out, err) = exec(&machine, states).await;
    assert_eq!(out, "db running healthy 0\nweb running - 0\n", "{err}");

    // The label and `config --hash` agree, and a change names the service that it touches.
    let hashes = "cd /opt/shop; docker compose -p shop config --hash '*'; docker ps --format '{{.Label \"com.docker.compose.service\"}} {{.Label \"com.docker.compose.config-hash\"}}' | sort";
    let (_, out, _) = exec(&machine, hashes).await;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..2], lines[2..]);
    let (_, out, _) = exec(
        &machine,
        &format!("cd /opt/shop; echo MODE=new >.env; {UP}"),
    )
    .await;
    assert!(
        out.contains("shop-db-1  Running") && out.contains("shop-web-1  Recreated"),
        "{out}"
    );
    let (_, out, _) = exec(
        &machine,
        "docker inspect -f '{{json .Config.Env}}' shop-web-1",
    )
    .await;
    assert_eq!(out, "[\"MODE=new\"]\n");

    let (_, out, _) = exec(
        &machine,
        "docker stop shop-web-1; docker compose ls -a --format json",
    )
    .await;
    assert_eq!(
        out,
        "shop-web-1\n[{\"ConfigFiles\":\"/opt/shop/compose.yaml\",\"Name\":\"shop\",\"Status\":\"exited(1), running(1)\"}]\n"
    );
    let (_, out, _) = exec(
        &machine,
        "cd /opt/shop; docker compose -p shop ps -a --format json",
    )
    .await;
    assert!(out.contains(r#""ExitCode":137"#), "{out}");

    let (code, _, err) = exec(
        &machine,
        "docker compose -p shop down 2>&1 >/dev/null; docker ps -aq; docker volume ls -q",
    )
    .await;
    assert_eq!(code, 0, "{err}");
    let (_, out, _) = exec(&machine, "docker ps -aq; docker volume ls -q; docker network ls -q --filter label=com.docker.compose.project").await;
    assert_eq!(out, "shop_data\n");
}

/// Runs one script in a fresh guest with Docker and compares status and output.
async fn in_docker_guest(vmid: u32, cases: &[(&str, i64, &str)]) {
    let hypervisor = hypervisor();
    let machine = hypervisor.start(spec(vmid, DOCKER)).await.unwrap();
    answers(&machine).await;
    for (script, code, output) in cases {
        let (found, out, err) = exec(&machine, script).await;
        let text = format!("{out}{err}");
        assert_eq!(found, *code, "{script}: {text}");
        assert!(
            text.contains(output),
            "{script}: {text:?} has no {output:?}"
        );
    }
}

#[tokio::test]
async fn bad_compose_files_fail_with_the_words_of_compose() {
    in_docker_guest(103, &[
        ("printf 'services:\\n  a:\\n    imge: x\\n' | docker compose -f - config -q", 15, "validating -: services.a Additional property imge is not allowed"),
        ("printf 'services: {a: {image: x, ports: 80}}' | docker compose -f - config -q", 15, "services.a.ports must be a list"),
        ("printf 'services: {a: {image: x, networks: [n]}}' | docker compose -f - config -q", 15, "service \"a\" refers to undefined network n: invalid compose project"),
        ("printf 'a: b: c' | docker compose -f - config -q", 15, "yaml: line 1: mapping values are not allowed in this context"),
        ("docker compose -p Foo -f - config -q </dev/null", 15, "empty compose file"),
        ("docker compose -p x -f /none.yaml config -q", 14, "open /none.yaml: no such file or directory"),
        ("printf 'services: {a: {image: $NOPE}}' | docker compose -p x -f - config", 0, "variable is not set. Defaulting to a blank string."),
        ("printf 'services: {a: {image: \"${X:?no}\"}}' | docker compose -p x -f - config -q", 15, "error while interpolating services.a.image: required variable X is missing a value: no"),
    ])
    .await;
}

#[tokio::test]
async fn containers_fail_as_the_engine_makes_them_fail() {
    in_docker_guest(104, &[
        ("printf 'services: {a: {image: x/missing}}' | docker compose -p m -f - up -d", 18, "pull access denied for x/missing"),
        ("docker ps -aq", 0, ""),
        ("printf 'services: {a: {image: a, ports: [\"80:80\"]}}' | docker compose -p a -f - up -d", 0, ""),
        ("printf 'services: {b: {image: a, ports: [\"80:80\"]}}' | docker compose -p b -f - up -d", 1, "Bind for 0.0.0.0:80 failed: port is already allocated"),
        ("docker inspect -f '{{.State.Status}} {{.State.Error}}' b-b-1", 0, "created driver failed programming"),
        ("printf 'services: {c: {image: x/crashloop, restart: always}, f: {image: x/fails}}' | docker compose -p c -f - up -d; sleep 1; docker inspect -f '{{.RestartCount}} {{.State.ExitCode}}' c-c-1 c-f-1", 0, "\n0 3\n"),
        ("printf 'services: {a: {image: a, volumes: [{type: bind, source: /none, target: /x}]}}' | docker compose -p d -f - up -d", 1, "bind source path does not exist: /none"),
        ("docker inspect -f '{{.State.Nope}}' a-a-1", 1, "map has no entry for key \"Nope\""),
        ("docker inspect nope", 1, "Error: No such object: nope"),
        ("systemctl stop docker docker.socket; docker ps", 1, "Cannot connect to the Docker daemon at unix:///var/run/docker.sock"),
        ("docker info -f '{{json .ServerVersion}}'", 0, "\"\"\n"),
        ("systemctl start docker && docker info -f '{{.DockerRootDir}} {{.Driver}}'", 0, "/var/lib/docker overlay2\n"),
        ("docker inspect -f '{{.State.Status}}' c-c-1 c-f-1", 0, "exited\n"),
        ("echo '{\"mtuu\":1}' >/etc/docker/daemon.json; dockerd --validate --config-file /etc/docker/daemon.json", 1, "the following directives don't match any configuration option: mtuu"),
        ("systemctl reset-failed docker; systemctl restart docker", 1, "Job for docker.service failed"),
        ("systemctl is-active docker", 3, "failed\n"),
    ])
    .await;
}

#[tokio::test]
async fn packages_units_and_disks_answer_like_debian() {
    let hypervisor = hypervisor();
    let user_data = "#cloud-config\nhostname: box\npackages: [qemu-guest-agent]\nusers: [{name: ann, ssh_authorized_keys: [k]}]\nruncmd: ['echo ran >/root/ran']\n";
    let mut spec = spec(105, PLAIN);
    spec.cdrom = Some(seed(&[
        ("user-data", user_data),
        ("meta-data", "instance-id: i-1\nlocal-hostname: other\n"),
        (
            "network-config",
            "version: 2\nethernets:\n  net0:\n    match: {macaddress: 'bc:24:11:00:00:01'}\n    addresses: [198.51.100.7/24]\n",
        ),
    ]));
    let machine = hypervisor.start(spec.clone()).await.unwrap();
    answers(&machine).await;
    let nics = command(&machine, "guest-network-get-interfaces", json!({})).await;
    assert_eq!(nics[1]["name"], "eth0");
    assert_eq!(nics[1]["ip-addresses"][0]["ip-address"], "198.51.100.7");
    let cases = [
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
    for (script, code, output) in cases {
        let (found, out, err) = exec(&machine, script).await;
        let text = format!("{out}{err}");
        assert_eq!(found, code, "{script}: {text}");
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
    let machine = hypervisor.start(spec).await.unwrap();
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

#[tokio::test]
async fn scenarios_change_what_a_guest_does() {
    let hypervisor = hypervisor();
    hypervisor.scenario(
        106,
        Scenario {
            agent: AgentMood::Silent,
            pve_node: true,
            apt_error: Some("E: Could not get lock /var/lib/dpkg/lock-frontend.".to_owned()),
            cloud_init: CloudInit::Degraded,
            ..Scenario::default()
        },
    );
    let machine = hypervisor.start(spec(106, DOCKER)).await.unwrap();
    assert!(matches!(
        machine.agent(json!({"execute": "guest-ping"})).await,
        Err(AgentError::Silent)
    ));
    let output = hypervisor.sh(106, "dpkg-query -W -f '${db:Status-Abbrev}' pve-manager; apt-get update; echo $?; cloud-init status --wait >/dev/null; echo $?").await.unwrap();
    assert_eq!(output.stdout, "ii 100\n2\n");
    hypervisor.scenario(
        106,
        Scenario {
            agent: AgentMood::Flaps,
            ..Scenario::default()
        },
    );
    answers(&machine).await;
    let calls = [
        machine.agent(json!({"execute": "guest-ping"})).await,
        machine.agent(json!({"execute": "guest-ping"})).await,
    ];
    assert_eq!(calls.iter().filter(|call| call.is_ok()).count(), 1);
    machine.kill().await;
    assert_eq!(machine.ended().await, Exit::PowerOff);
    assert!(hypervisor.sh(106, "true").await.is_err());
}

#[tokio::test]
async fn the_agent_keeps_files_and_refuses_in_its_own_words() {
    let hypervisor = hypervisor();
    let machine = hypervisor.start(spec(107, DOCKER)).await.unwrap();
    answers(&machine).await;
    let handle = command(
        &machine,
        "guest-file-open",
        json!({"path": "/root/f", "mode": "w"}),
    )
    .await;
    command(
        &machine,
        "guest-file-write",
        json!({"handle": handle, "buf-b64": STANDARD.encode("text")}),
    )
    .await;
    command(&machine, "guest-file-close", json!({"handle": handle})).await;
    let handle = command(&machine, "guest-file-open", json!({"path": "/root/f"})).await;
    let read = command(&machine, "guest-file-read", json!({"handle": handle})).await;
    assert_eq!(
        read,
        json!({"count": 4, "buf-b64": STANDARD.encode("text"), "eof": true})
    );
    let ask = |name: &str, arguments: Value| {
        machine.agent(json!({"execute": name, "arguments": arguments}))
    };
    assert_eq!(
        refused(&ask("guest-exec", json!({"path": "/nonexistent"})).await),
        "GenericError: Failed to execute child process “/nonexistent” (No such file or directory)"
    );
    assert_eq!(
        refused(&ask("guest-file-open", json!({"path": "/no/file"})).await),
        "GenericError: failed to open file '/no/file' (mode: 'r'): No such file or directory"
    );
    assert_eq!(
        refused(&ask("guest-exec-status", json!({"pid": 1})).await),
        "GenericError: Invalid parameter 'pid'"
    );
    assert_eq!(
        refused(&ask("guest-nope", json!({})).await),
        "CommandNotFound: The command guest-nope has not been found"
    );
    let info = command(&machine, "guest-get-osinfo", json!({})).await;
    assert_eq!(info["id"], "debian");
}

#[tokio::test]
async fn nothing_survives_the_hypervisor() {
    let hypervisor = hypervisor();
    let machine = hypervisor.start(spec(108, DOCKER)).await.unwrap();
    answers(&machine).await;
    exec(&machine, "setsid sleep 54321 >/dev/null 2>&1 &").await;
    let running = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter(|entry| {
                let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line).contains("54321")
            })
            .count()
    };
    assert_eq!(running(), 1);
    let base = hypervisor.root(108).ancestors().nth(3).unwrap().to_owned();
    machine.kill().await;
    assert_eq!(running(), 0);
    drop(machine);
    drop(hypervisor);
    assert!(!base.exists());
}

/// A Joliet image with the given files in its root directory.
fn seed(files: &[(&str, &str)]) -> Vec<u8> {
    const SECTOR: usize = 2048;
    let wide = |text: &str| {
        text.encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect::<Vec<u8>>()
    };
    let record = |sector: usize, size: usize, flags: u8, name: &[u8]| {
        let mut record = vec![0; 33];
        record[2..6].copy_from_slice(&u32::try_from(sector).unwrap().to_le_bytes());
        record[10..14].copy_from_slice(&u32::try_from(size).unwrap().to_le_bytes());
        record[25] = flags;
        record[32] = u8::try_from(name.len()).unwrap();
        record.extend(name);
        if name.len().is_multiple_of(2) {
            record.push(0);
        }
        record[0] = u8::try_from(record.len()).unwrap();
        record
    };
    let mut iso = vec![0; (19 + files.len()) * SECTOR];
    let at = 16 * SECTOR;
    iso[at] = 2;
    iso[at + 1..at + 6].copy_from_slice(b"CD001");
    iso[at + 40..at + 52].copy_from_slice(&wide("cidata"));
    iso[at + 88..at + 91].copy_from_slice(b"%/E");
    let root = record(18, SECTOR, 2, &[0]);
    iso[at + 156..at + 156 + root.len()].copy_from_slice(&root);
    let mut directory = root;
    for (index, (name, text)) in files.iter().enumerate() {
        let sector = 19 + index;
        directory.extend(record(sector, text.len(), 0, &wide(name)));
        iso[sector * SECTOR..sector * SECTOR + text.len()].copy_from_slice(text.as_bytes());
    }
    iso[18 * SECTOR..18 * SECTOR + directory.len()].copy_from_slice(&directory);
    iso
}
