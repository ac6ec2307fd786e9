//! A scripted guest as a stock ssh client reaches it.

use std::process::{Output, Stdio};
use std::sync::Arc;

use acceptance_tests::guests::scripted::ScriptedHypervisor;
use acceptance_tests::guests::sshd::Sshd;
use acceptance_tests::simulator::machine::Hypervisor;
use tokio::process::Command;

use super::{DOCKER, SHIM, spec};

/// Runs a command as root of the guest, if its host key is the one that is expected.
async fn ssh(sshd: &Sshd, host_key: &str, command: &str) -> Output {
    let address = sshd.address();
    let files = tempfile::tempdir().expect("a directory is made");
    let known = files.path().join("known_hosts");
    let entry = format!("[{}]:{} {host_key}\n", address.ip(), address.port());
    std::fs::write(&known, entry).expect("it is written");
    let run = Command::new("ssh")
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
        ])
        .arg(format!("-oUserKnownHostsFile={}", known.display()))
        .args([
            "-o",
            "GlobalKnownHostsFile=none",
            "-o",
            "StrictHostKeyChecking=yes",
        ])
        .arg("-i")
        .arg(sshd.private_key())
        .args(["-p", &address.port().to_string()])
        .args([&format!("root@{}", address.ip()), command])
        .stdin(Stdio::null())
        .output();
    run.await.expect("there is an ssh client")
}

#[tokio::test]
async fn a_stock_client_logs_in_with_the_key_that_the_guest_has() {
    let hypervisor = ScriptedHypervisor::new(SHIM.as_ref());
    let hypervisor = Arc::new(hypervisor.expect("this machine runs scripted guests"));
    let sshd = hypervisor.sshd(101).await.expect("it listens");
    let key = sshd.host_key();
    let off = ssh(&sshd, &key, "true").await;
    assert_eq!(off.status.code(), Some(255), "{off:?}");

    hypervisor
        .start(spec(101, DOCKER))
        .await
        .expect("it starts");
    let stranger = ssh(&sshd, &key, "true").await;
    let said = String::from_utf8_lossy(&stranger.stderr);
    assert!(said.contains("Permission denied (publickey)"), "{said}");

    let authorize = format!(
        "mkdir -p -m 700 /root/.ssh && echo '{}' >/root/.ssh/authorized_keys",
        sshd.public_key()
    );
    let done = hypervisor.sh(101, &authorize).await.expect("it runs");
    assert_eq!(done.code, 0, "{done:?}");
    let command =
        "id -u; hostname; umask; docker info -f '{{.DockerRootDir}}'; echo no >&2; exit 7";
    let ran = ssh(&sshd, &key, command).await;
    let (out, err) = (&ran.stdout, String::from_utf8_lossy(&ran.stderr));
    let expected = "0\nguest101\n0022\n/var/lib/docker\n";
    assert_eq!(
        String::from_utf8_lossy(out),
        expected,
        "{err}{}",
        sshd.log()
    );
    assert_eq!((ran.status.code(), err.as_ref()), (Some(7), "no\n"));

    let shown = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2";
    let shown = ssh(&sshd, &key, shown).await.stdout;
    assert_eq!(String::from_utf8_lossy(&shown).trim(), sshd.fingerprint());
    let other = hypervisor.sshd(102).await.expect("it listens").host_key();
    let refused = ssh(&sshd, &other, "true").await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("Host key verification failed"), "{said}");
}
