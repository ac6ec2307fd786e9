//! The lab: one process below which all guests, their network and their registry live, and what powers guests on.
//!
//! Does not decide when a guest starts; the simulator does.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::Mutex;

use super::disks::{self, Volumes};
use super::guest::{Guest, Parts};
use super::lxc::Containers;
use super::names::Names;
use super::network::{Forward, Network};
use super::nodes::Nodes;
use super::registry::Registry;
use super::requirements;
use super::rootfs::{self, Rootfs};
use super::seed;
use crate::simulator::container::{Container, ContainerSpec, Started};
use crate::simulator::machine::{BadReload, BoxFuture, Hypervisor, Machine, Reload, Spec};

/// The programs of the lab's processes, written into its directory.
const SCRIPTS: [(&str, &str); 10] = [
    ("janitor.sh", include_str!("../../lab/janitor.sh")),
    ("lab.sh", include_str!("../../lab/lab.sh")),
    ("guest.sh", include_str!("../../lab/guest.sh")),
    ("guest-init.sh", include_str!("../../lab/guest-init.sh")),
    ("disk.sh", include_str!("../../lab/disk.sh")),
    ("cgroup.sh", include_str!("../../lab/cgroup.sh")),
    ("node.sh", include_str!("../../lab/node.sh")),
    ("network.sh", include_str!("../../lab/network.sh")),
    ("container.sh", include_str!("../../lab/container.sh")),
    ("hook.sh", include_str!("../../lab/hook.sh")),
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
    guests: std::sync::Mutex<HashMap<u32, Slot>>,
    containers: Containers,
    nodes: Nodes,
    _egress: Vec<Forward>,
    janitor: Child,
}

/// The place of a VM, held while it is started or erased; other VMs do not wait for it.
type Slot = Arc<Mutex<Option<Arc<Guest>>>>;

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
        let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
            .await
            .map_err(|panic| panic.to_string())?;
        let lock = lock.map_err(failed)?;
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
            let path = run.join(name);
            std::fs::write(&path, text).map_err(failed)?;
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(path, mode).map_err(failed)?;
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
            .arg(rootfs.directory())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C is for us; the janitor sees us go.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let [init, node] = first_numbers(janitor.stdout.take()).await.ok_or_else(|| {
            format!(
                "the lab did not start:\n{}",
                rootfs::tail(&run.join("lab.log"))
            )
        })?;
        drop(lock);
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
        let guests = std::sync::Mutex::default();
        let target = format!("--target={node}");
        let enter = ["nsenter", &target, "--mount", "--net", "--pid"];
        let enter = enter.map(ToOwned::to_owned).to_vec();
        let nodes = Nodes {
            run: run.clone(),
            enter: enter.clone(),
            known: Mutex::default(),
        };
        let containers = Containers {
            run: run.clone(),
            rootfs: rootfs.clone(),
            node: enter,
            volumes: Arc::clone(&volumes),
            running: std::sync::Mutex::default(),
        };
        Ok(Self(Arc::new(Inner {
            run,
            rootfs,
            init,
            network,
            registry,
            volumes,
            guests,
            containers,
            nodes,
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

    /// Runs a shell command in a guest and yields what it writes to stdout.
    ///
    /// # Errors
    /// Where the guest is off, or what the command wrote where it fails.
    pub async fn sh(&self, vmid: u32, command: &str) -> Result<String, String> {
        if let Some(container) = self.0.containers.get(vmid) {
            return container.sh(command).await;
        }
        let guest = self.slot(vmid).lock().await.clone();
        let guest = guest.ok_or_else(|| format!("guest {vmid} is off"))?;
        super::shell::run(guest.as_ref(), command).await
    }

    /// Runs a shell command in the network of a Proxmox VE node, which has one since it was first reloaded.
    ///
    /// # Errors
    /// Where it has none, or what the command wrote where it fails.
    pub async fn node_sh(&self, node: &str, command: &str) -> Result<String, String> {
        self.0.nodes.sh(node, command).await
    }

    async fn power_on(&self, spec: Spec) -> Result<Arc<Guest>, String> {
        let lab = &self.0;
        let failed = |error: io::Error| format!("cannot start VM {}: {error}", spec.vmid);
        let slot = self.slot(spec.vmid);
        let mut slot = slot.lock().await;
        if slot.as_ref().is_some_and(|guest| guest.is_running()) {
            return Err(format!("VM {} already running", spec.vmid));
        }
        let directory = lab.run.join("guests").join(spec.vmid.to_string());
        std::fs::create_dir_all(&directory).map_err(failed)?;
        let boots_docker = boots_docker(&directory, &spec).map_err(failed)?;
        seed::insert(&directory, spec.cdrom.as_deref())?;

        let mut lines = String::new();
        let mut slots = HashMap::new();
        for disk in spec
            .disks
            .iter()
            .filter(|disk| !disks::is_boot_disk(disk, &spec))
        {
            lines += &disks::line(&lab.volumes.lock().await.attach(spec.vmid, disk).await?);
            slots.insert(disk.slot.clone(), disk.volume.clone());
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
        let mut layers = vec![lab.run.join("layer")];
        layers.extend(lab.rootfs.layers(boots_docker));
        // How a guest ends is told by signals that a process in the background of a shell ignores.
        let mut process = Command::new("env")
            .args(["--default-signal=HUP,INT", "nsenter"])
            .arg(format!("--target={}", lab.init))
            .args(["--mount", "--net", "--pid", "bash"])
            .arg(lab.run.join("guest.sh"))
            .args([&lab.run, &directory])
            .args([spec.vmid.to_string(), spec.memory_mib.to_string()])
            .arg(lower(&layers))
            .args(spec.nics.iter().flat_map(|nic| [&nic.mac, &nic.bridge]))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(console)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let Some([init]) = first_numbers(process.stdout.take()).await else {
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
        *slot = Some(Arc::clone(&guest));
        Ok(guest)
    }

    fn slot(&self, vmid: u32) -> Slot {
        let mut guests = self
            .0
            .guests
            .lock()
            .expect("nothing panics while it holds the guests");
        Arc::clone(guests.entry(vmid).or_default())
    }

    async fn erase(&self, vmid: u32) {
        let slot = self.slot(vmid);
        let mut slot = slot.lock().await;
        if let Some(guest) = slot.take() {
            guest.kill().await;
        }
        if let Some(container) = self.0.containers.get(vmid) {
            container.kill().await;
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
        Box::pin(async move { Ok(self.power_on(spec).await? as Arc<dyn Machine>) })
    }

    fn start_container(&self, spec: ContainerSpec) -> Started<'_> {
        Box::pin(async move {
            let container = self.0.containers.start(&spec).await?;
            Ok(container as Arc<dyn Container>)
        })
    }

    fn reload_network(&self, reload: Reload) -> BoxFuture<'_, Result<(), BadReload>> {
        Box::pin(async move { self.0.nodes.reload(&reload).await })
    }

    fn discard(&self, vmid: u32) -> BoxFuture<'_, ()> {
        Box::pin(self.erase(vmid))
    }
}

/// Whether the guest's Debian has Docker, which the image that it was made from decides once and for all.
fn boots_docker(guest: &Path, spec: &Spec) -> io::Result<bool> {
    let mark = guest.join("boots-docker");
    let image = spec
        .disks
        .iter()
        .find(|disk| disks::is_boot_disk(disk, spec))
        .and_then(|disk| disk.image.as_deref());
    if !guest.join("upper").exists() && image.is_some_and(|image| image.contains("docker")) {
        File::create(&mark)?;
    }
    Ok(mark.exists())
}

/// Directories as overlayfs wants them, topmost first.
pub(super) fn lower(layers: &[PathBuf]) -> String {
    let layers: Vec<&str> = layers.iter().filter_map(|layer| layer.to_str()).collect();
    layers.join(":")
}

/// The numbers on the first line that a process writes, or `None` where it ends without them.
async fn first_numbers<const N: usize>(stdout: Option<ChildStdout>) -> Option<[u32; N]> {
    let mut line = String::new();
    BufReader::new(stdout?).read_line(&mut line).await.ok()?;
    let numbers = line.split_whitespace().map(|number| number.parse().ok());
    numbers.collect::<Option<Vec<u32>>>()?.try_into().ok()
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
