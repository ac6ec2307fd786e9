//! The lab: one process below which all guests, their network and their registry live, and what powers guests on.
//!
//! Does not decide when a guest starts; the simulator does.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::Mutex;

use super::disks::{self, Volumes};
use super::guest::{Guest, Parts};
use super::network::{Forward, Network};
use super::registry::{self, Registry};
use super::requirements;
use super::rootfs::{self, Rootfs};
use super::seed;
use crate::simulator::machine::{BoxFuture, Hypervisor, Machine, Spec};

/// The programs of the lab's processes, written into its directory.
const SCRIPTS: [(&str, &str); 5] = [
    ("janitor.sh", include_str!("../../lab/janitor.sh")),
    ("lab.sh", include_str!("../../lab/lab.sh")),
    ("guest.sh", include_str!("../../lab/guest.sh")),
    ("guest-init.sh", include_str!("../../lab/guest-init.sh")),
    ("disk.sh", include_str!("../../lab/disk.sh")),
];
const LAYER: &str = include_str!("../../lab/layer.sh");

/// A running lab. When the last clone is dropped, or this process dies in whatever way, all of it goes.
#[derive(Clone, Debug)]
pub struct Lab(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    run: PathBuf,
    rootfs: Rootfs,
    /// Process 1 of the lab, as the machine sees it.
    init: u32,
    network: Network,
    registry: Registry,
    volumes: Arc<Mutex<Volumes>>,
    guests: Mutex<HashMap<u32, Arc<Guest>>>,
    _egress: Vec<Forward>,
    janitor: Child,
}

impl Lab {
    /// Tells whether this machine can run real guests.
    ///
    /// # Errors
    /// The reason why not, in one sentence, with the way to get a missing program.
    pub fn available() -> Result<(), String> {
        requirements::check()
    }

    /// Starts a lab whose guests boot from `rootfs`.
    ///
    /// # Errors
    /// A sentence, and the end of a log where there is one.
    pub async fn start(rootfs: &Rootfs) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot start the lab: {error}");
        let runs = super::cache().join("runs");
        std::fs::create_dir_all(&runs).map_err(failed)?;
        // Held until the new lab holds its own lock, so that no other process takes it for a dead one.
        let lock = File::create(runs.join("lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        sweep(&runs).await.map_err(failed)?;
        let run = tempfile::Builder::new()
            .prefix("lab-")
            .tempdir_in(&runs)
            .map_err(failed)?
            .keep();

        let names = Names::of(rootfs)?;
        let registry = Registry::write(&run, rootfs).map_err(failed)?;
        names.write(&run, rootfs).map_err(failed)?;
        for (name, text) in SCRIPTS {
            std::fs::write(run.join(name), text).map_err(failed)?;
        }
        let layered = Command::new("bash")
            .args(["-c", LAYER, "layer.sh"])
            .arg(run.join("layer"))
            .status()
            .await;
        if !layered.map_err(failed)?.success() {
            return Err(
                "cannot start the lab: the layer of its guests could not be written".to_owned(),
            );
        }

        let mut janitor = Command::new("bash")
            .arg(run.join("janitor.sh"))
            .arg(&run)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C is for us; the janitor sees us go.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let init = first_number(janitor.stdout.take()).await;
        let init = init.ok_or_else(|| {
            format!(
                "the lab did not start:\n{}",
                rootfs::tail(&run.join("lab.log"))
            )
        })?;
        let network = Network::of_process(init).map_err(failed)?;
        let mut egress = Vec::new();
        for (on, name, port) in names.egress {
            egress.push(
                Forward::out(&network, SocketAddr::from((on, port)), (name, port))
                    .await
                    .map_err(failed)?,
            );
        }
        registry.fill(&network, rootfs).await?;
        let volumes = Arc::new(Mutex::new(Volumes::new(run.clone())));
        let rootfs = rootfs.clone();
        let guests = Mutex::default();
        Ok(Self(Arc::new(Inner {
            run,
            rootfs,
            init,
            network,
            registry,
            volumes,
            guests,
            _egress: egress,
            janitor,
        })))
    }

    /// Ends the lab and returns when nothing of it is left.
    pub async fn stop(self) {
        if let Some(mut inner) = Arc::into_inner(self.0) {
            drop(inner.janitor.stdin.take());
            // It fails only where the janitor is gone already.
            let _ = inner.janitor.wait().await;
        }
    }

    /// The name of the lab's registry, as compose files write it: `NAME/demo/web:1`.
    pub fn registry(&self) -> &'static str {
        self.0.registry.name()
    }

    /// Where the lab keeps what it needs while it runs.
    pub fn directory(&self) -> &Path {
        &self.0.run
    }

    /// Makes a port of a guest reachable on this machine's loopback, until the forward is dropped.
    ///
    /// # Errors
    /// Where the loopback refuses a listener.
    pub async fn forward(&self, to: SocketAddr) -> io::Result<Forward> {
        Forward::into(&self.0.network, to).await
    }

    async fn power_on(&self, spec: Spec) -> Result<Arc<dyn Machine>, String> {
        let lab = &self.0;
        let failed = |error: io::Error| format!("cannot start VM {}: {error}", spec.vmid);
        let mut guests = lab.guests.lock().await;
        if guests
            .get(&spec.vmid)
            .is_some_and(|guest| guest.is_running())
        {
            return Err(format!("VM {} already running", spec.vmid));
        }
        let directory = lab.run.join("guests").join(spec.vmid.to_string());
        std::fs::create_dir_all(&directory).map_err(failed)?;
        insert_cd(&directory, spec.cdrom.as_deref())?;

        let mut lines = String::new();
        let mut slots = HashMap::new();
        let mut with_docker = false;
        for disk in &spec.disks {
            if disks::is_boot_disk(disk, &spec) {
                with_docker = disk
                    .image
                    .as_deref()
                    .is_some_and(|image| image.contains("docker"));
            } else {
                lines += &disks::line(&lab.volumes.lock().await.attach(spec.vmid, disk).await?);
                slots.insert(disk.slot.clone(), disk.volume.clone());
            }
        }
        std::fs::write(directory.join("disks"), lines).map_err(failed)?;

        let channel = directory.join("agent");
        rootfs::remove(&channel)?;
        if spec.agent {
            std::fs::create_dir(&channel).map_err(failed)?;
        }
        let console = File::options()
            .create(true)
            .append(true)
            .open(directory.join("console.log"))
            .map_err(failed)?;
        let mut lower = vec![lab.run.join("layer")];
        lower.extend(lab.rootfs.layers(with_docker));
        let lower: Vec<&str> = lower.iter().filter_map(|layer| layer.to_str()).collect();
        let mut process = Command::new("nsenter")
            .arg(format!("--target={}", lab.init))
            .args(["--mount", "--net", "--pid", "bash"])
            .arg(lab.run.join("guest.sh"))
            .args([&lab.run, &directory])
            .args([
                spec.vmid.to_string(),
                spec.memory_mib.to_string(),
                lower.join(":"),
            ])
            .args(spec.nics.iter().flat_map(|nic| [&nic.mac, &nic.bridge]))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(console)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let Some(init) = first_number(process.stdout.take()).await else {
            let log = rootfs::tail(&directory.join("console.log"));
            return Err(format!("cannot start VM {}:\n{log}", spec.vmid));
        };
        let guest = Arc::new(Guest::new(Parts {
            vmid: spec.vmid,
            run: lab.run.clone(),
            init,
            socket: spec.agent.then(|| channel.join("org.qemu.guest_agent.0")),
            volumes: Arc::clone(&lab.volumes),
            slots,
            process,
        }));
        guests.insert(spec.vmid, Arc::clone(&guest));
        Ok(guest)
    }

    async fn erase(&self, vmid: u32) {
        let guest = self.0.guests.lock().await.remove(&vmid);
        if let Some(guest) = guest {
            guest.kill().await;
        }
        self.0.volumes.lock().await.discard(vmid);
        let directory = self.0.run.join("guests").join(vmid.to_string());
        if let Err(error) = tokio::task::spawn_blocking(move || rootfs::remove(&directory)).await {
            eprintln!("lab: cannot remove VM {vmid}: {error}");
        }
    }
}

impl Hypervisor for Lab {
    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Arc<dyn Machine>, String>> {
        Box::pin(self.power_on(spec))
    }

    fn discard(&self, vmid: u32) -> BoxFuture<'_, ()> {
        Box::pin(self.erase(vmid))
    }
}

/// Names that guests can look up, each with an address of the bridge.
struct Names {
    registry: &'static str,
    /// Address in the lab, name and port in the world.
    egress: Vec<(Ipv4Addr, String, u16)>,
}

impl Names {
    fn of(rootfs: &Rootfs) -> Result<Self, String> {
        let mut egress: Vec<(Ipv4Addr, String, u16)> = Vec::new();
        for mirror in rootfs.mirrors() {
            let url = reqwest::Url::parse(mirror)
                .map_err(|error| format!("apt's mirror {mirror}: {error}"))?;
            let name = url.host_str().unwrap_or_default().to_owned();
            let port = url.port_or_known_default().unwrap_or(80);
            if !egress
                .iter()
                .any(|(_, known, at)| *known == name && *at == port)
            {
                let last = u8::try_from(egress.len() + 2).expect("there are two mirrors at most");
                egress.push((Ipv4Addr::new(198, 51, 100, last), name, port));
            }
        }
        Ok(Self {
            registry: registry::HOST,
            egress,
        })
    }

    /// For the lab's own name server, and for the guests that have none: `/etc/hosts`, and what cloud-init makes it of.
    fn write(&self, run: &Path, rootfs: &Rootfs) -> io::Result<()> {
        let mut names = format!("{} {}\n", registry::ADDRESS, self.registry);
        for (address, name, _) in &self.egress {
            names += &format!("{address} {name}\n");
        }
        std::fs::write(run.join("names"), &names)?;
        let etc = run.join("layer/etc");
        std::fs::create_dir_all(etc.join("cloud/templates"))?;
        std::fs::write(
            etc.join("hosts"),
            format!("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n{names}"),
        )?;
        let template = "etc/cloud/templates/hosts.debian.tmpl";
        let text = std::fs::read_to_string(rootfs.file(template))? + &names;
        std::fs::write(run.join("layer").join(template), text)
    }
}

/// Lays the files of a seed where cloud-init finds them, or takes away those of the last boot.
fn insert_cd(guest: &Path, image: Option<&[u8]>) -> Result<(), String> {
    let seeds = guest.join("upper/var/lib/cloud/seed");
    rootfs::remove(&seeds)?;
    let Some(files) = image.map(seed::files).transpose()?.flatten() else {
        return Ok(());
    };
    let failed = |error| format!("cannot write the seed: {error}");
    std::fs::create_dir_all(seeds.join("nocloud")).map_err(failed)?;
    for (name, bytes) in files {
        std::fs::write(seeds.join("nocloud").join(name), bytes).map_err(failed)?;
    }
    Ok(())
}

/// The number on the first line that a process writes, or `None` where it ends without one.
async fn first_number(stdout: Option<ChildStdout>) -> Option<u32> {
    let mut line = String::new();
    BufReader::new(stdout?).read_line(&mut line).await.ok()?;
    line.trim().parse().ok()
}

/// Removes what labs have left whose janitor was killed as well.
async fn sweep(runs: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(runs)? {
        let run = entry?.path();
        let lock = run.with_extension("lock");
        if !run.is_dir() || File::create(&lock).is_ok_and(|lock| lock.try_lock().is_err()) {
            continue;
        }
        let script = SCRIPTS[0].1;
        Command::new("bash")
            .args(["-c", script, "janitor.sh", "--sweep"])
            .arg(&run)
            .current_dir("/")
            .status()
            .await?;
    }
    Ok(())
}
