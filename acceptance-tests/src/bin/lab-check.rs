//! Boots real guests and runs a container in each, to see that this machine can, and how fast.

use acceptance_tests::guests::{Lab, Rootfs};
use acceptance_tests::simulator::machine::{Disk, Exit, Hypervisor, Machine, Nic, Spec};

#[tokio::main]
async fn main() -> Result<(), String> {
    let rootfs = Rootfs::ready().await?;
    let t = tokio::time::Instant::now();
    let lab = Lab::start(&rootfs).await?;
    eprintln!("{:?} lab {}", t.elapsed(), lab.directory().display());
    let spec = Spec { vmid: 100, node: "pve1".into(), name: "a".into(), memory_mib: 2048, cores: 2, nics: vec![Nic { slot: "net0".into(), mac: "bc:24:11:00:00:65".into(), bridge: "vmbr0".into() }], disks: vec![Disk { slot: "scsi0".into(), volume: "l:0".into(), serial: None, bytes: 1 << 30, image: Some("docker.qcow2".into()) }, Disk { slot: "scsi1".into(), volume: "l:1".into(), serial: Some("data".into()), bytes: 1 << 30, image: None }], cdrom: None, agent: true };
    let m = lab.start(spec).await?;
    eprintln!("{:?} started", t.elapsed());
    while m.agent(serde_json::json!({"execute":"guest-ping"})).await.is_err() { tokio::time::sleep(std::time::Duration::from_millis(30)).await; if t.elapsed().as_secs() > 30 { break } }
    eprintln!("{:?} ping", t.elapsed());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    m.powerdown().await;
    eprintln!("{:?}", m.ended().await);
    lab.stop().await;
    eprintln!("{:?} stopped", t.elapsed());
    Ok(())
}
