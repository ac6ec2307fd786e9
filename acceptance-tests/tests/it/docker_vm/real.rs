//! A host on a real guest: systemd, cloud-init, the agent, and Docker from Debian's packages.
//!
//! Needs root, as all real guests do.

use acceptance_tests::{guests::shell, simulator::Options, stage::Stage};
use tokio::process::Command;

use crate::{
    logins::provider,
    scene::{Block, PLAIN, qcow2, web, workspace},
};

struct Real {
    stage: Stage,
    ws: acceptance_tests::tofu::Workspace,
}

impl Real {
    async fn new() -> Self {
        let stage = Stage::real(Options::default())
            .await
            .expect("this machine runs real guests");
        stage.simulator.put_file("pve1", PLAIN, qcow2(1));
        let ws = workspace(&stage);
        ws.init().await;
        Self { stage, ws }
    }

    async fn settle(&self, host: &Block) {
        self.ws.write("main.tf", &host.to_string());
        self.ws.apply(&[]).await.ok();
        self.ws.plan(&[]).await.empty();
    }

    /// What a command in the guest prints.
    #[track_caller]
    fn sh(&self, command: &str) -> impl Future<Output = String> {
        let machine = self.stage.simulator.machine(100).expect("the guest runs");
        async move {
            shell::run(&*machine, command)
                .await
                .expect("the command succeeds")
        }
    }

    /// What must hold of a host, whenever it runs.
    async fn holds(&self) {
        let disk = self.sh("readlink -f /dev/disk/by-id/*pmoves-data").await;
        assert_eq!(
            self.sh("findmnt -nvo SOURCE -M /opt/docker").await.trim(),
            disk.trim()
        );
        let info = self.sh("docker info --format '{{.DockerRootDir}} {{.LiveRestoreEnabled}} {{.LoggingDriver}}'").await;
        assert_eq!(info.trim(), "/opt/docker/data true local");
        let containerd = self.sh("containerd config dump | grep ^root").await;
        assert!(
            containerd.contains("/opt/docker/containerd"),
            "{containerd}"
        );
        for unit in ["docker", "containerd"] {
            let shown = self
                .sh(&format!(
                    "systemctl show -p RequiresMountsFor -p ActiveState {unit}"
                ))
                .await;
            assert!(
                shown.contains("/opt/docker") && shown.contains("ActiveState=active"),
                "{shown}"
            );
        }
        assert_eq!(
            self.sh("docker compose version --short | cut -d. -f1")
                .await
                .trim(),
            "2"
        );
    }
}

#[tokio::test]
async fn a_plain_image_becomes_a_docker_host_and_stays_one() {
    let real = Real::new().await;
    let host = web()
        .with("image", &format!("{{ id = {PLAIN:?} }}"))
        .with("os_disk", r#"{ datastore_id = "local-lvm" }"#)
        .with("data_disk", r#"{ size_gb = 1, filesystem = "xfs" }"#)
        .with(
            "disk",
            r#"{ scsi2 = { size_gb = 0.5, mount_path = "/srv/media", filesystem = "xfs" } }"#,
        );
    real.settle(&host).await;
    real.holds().await;
    assert_eq!(
        real.sh("dpkg-query -W -f '${db:Status-Status}' docker.io")
            .await
            .trim(),
        "installed"
    );
    real.sh("docker volume create kept").await;
    real.sh("echo film > /srv/media/a").await;

    // A stop and a start bring everything back.
    real.settle(&host.clone().with("started", "false")).await;
    real.settle(&host).await;
    real.holds().await;
    assert_eq!(real.sh("docker volume ls -q").await.trim(), "kept");
    assert_eq!(
        real.sh("findmnt -no FSTYPE -M /srv/media && cat /srv/media/a")
            .await
            .trim(),
        "xfs\nfilm"
    );

    // The filesystem grows with its disk, while Docker runs on it.
    let size = "df -B1 --output=size /opt/docker | tail -n 1";
    let before: u64 = real.sh(size).await.trim().parse().expect("a number");
    let grown = host
        .with("data_disk", r#"{ size_gb = 1.5, filesystem = "xfs" }"#)
        .with(
            "disk",
            r#"{ scsi2 = { size_gb = 1, mount_path = "/srv/media", filesystem = "xfs" } }"#,
        );
    real.settle(&grown).await;
    let after: u64 = real.sh(size).await.trim().parse().expect("a number");
    assert!(after > before + (300 << 20), "{before} {after}");
    let media = real.sh("df -BM --output=size /srv/media | tail -n 1").await;
    let media: u64 = media
        .trim()
        .trim_end_matches('M')
        .parse()
        .expect("a number");
    assert!(media > 800, "{media}");

    // A disk that goes is unmounted first, and forgotten by the guest. Of volumes only nameless ones are pruned.
    let docker = r#"{ source = "distro", prune = { volumes = true } }"#;
    real.settle(&grown.without("disk").with("docker", docker))
        .await;
    let prune =
        "docker volume create && systemctl start pmoves-prune.service && docker volume ls -q";
    let left = real.sh(prune).await;
    assert_eq!(left.lines().skip(1).collect::<Vec<_>>(), ["kept"], "{left}");
    real.sh("! findmnt -M /srv/media && ! ls /etc/systemd/system/srv-media.mount")
        .await;
    real.holds().await;

    real.ws.destroy().await.ok();
    assert!(real.stage.simulator.vms().is_empty());
    real.stage.stop().await;
}

#[tokio::test]
async fn a_plain_image_without_agent_becomes_one_by_ssh_and_sudo() {
    let real = Real::new().await;
    let lab = real.stage.lab.as_ref().expect("the guests are real");
    let door = lab.forward(([198, 51, 100, 20], 22).into()).await;
    let door = door.expect("the loopback has a free port");
    let key = real.ws.path().join("id_ed25519");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status();
    assert!(made.await.expect("there is an ssh-keygen").success());
    provider(
        &real.ws,
        r#"username = "pmoves", private_key = file("id_ed25519"), accept_new_host_keys = true"#,
    );
    let account = |keys: &str| {
        format!(
            r#"{{
                user_account = {{ keys = [{keys}] }}
                ip_config = {{ net0 = {{ ipv4 = {{ address = "198.51.100.20/24", gateway = "198.51.100.1" }} }} }}
            }}"#
        )
    };
    let own = r#"trimspace(file("id_ed25519.pub"))"#;
    let way = format!(
        r#"{{ host = "127.0.0.1", port = {} }}"#,
        door.address.port()
    );
    let host = web()
        .with("image", &format!("{{ id = {PLAIN:?} }}"))
        .with("os_disk", r#"{ datastore_id = "local-lvm" }"#)
        .with("data_disk", r#"{ size_gb = 1, filesystem = "xfs" }"#)
        .with("agent", "{ enabled = false }")
        .with("ssh", &way)
        .with("initialization", &account(own));
    real.settle(&host).await;
    let more = host
        .with("docker", r#"{ source = "distro", mtu = 1400 }"#)
        .with(
            "initialization",
            &account(&format!("{own}, \"${{{own}}}-more\"")),
        );
    real.settle(&more).await;
    let said = Command::new("ssh")
        .args(["-F", "none", "-o", "StrictHostKeyChecking=no"])
        .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"])
        .arg("-i")
        .arg(&key)
        .args(["-p", &door.address.port().to_string(), "pmoves@127.0.0.1"])
        .arg("sudo docker info -f '{{.DockerRootDir}}' && grep -c 1400 /etc/docker/daemon.json; grep -c -- -more .ssh/authorized_keys; command -v qemu-ga")
        .output()
        .await
        .expect("there is an ssh client");
    assert_eq!(
        String::from_utf8_lossy(&said.stdout),
        "/opt/docker/data\n2\n1\n",
        "{said:?}"
    );
    real.ws.destroy().await.ok();
    let simulator = &real.stage.simulator;
    assert!(simulator.vms().is_empty());
    assert_eq!(simulator.calls("POST", "/nodes/*/qemu/*/agent/**"), 0);
    real.stage.stop().await;
}
