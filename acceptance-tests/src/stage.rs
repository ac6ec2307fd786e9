//! All that a test or the demo needs around `tofu`: a simulated cluster, guests for it, and a server
//! that images are downloaded from.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use axum::{Router, extract::Path, http::StatusCode, routing::get};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;

use crate::{
    guests::{Lab, Rootfs},
    simulator::{
        Options, Simulator, Strict,
        container::{ContainerSpec, Started},
        machine::{BadReload, BoxFuture, Hypervisor, Machine, Reload, Spec},
    },
    tofu::Workspace,
};

/// A simulated cluster with guests.
pub struct Stage {
    /// The cluster.
    pub simulator: Simulator,
    /// The lab behind it, if its guests are real.
    pub lab: Option<Lab>,
    images: Images,
    power: Arc<Power>,
    _strict: Strict,
}

/// Remembers which machines were powered on, for hands in the guests.
struct Power {
    hypervisor: Arc<dyn Hypervisor>,
    machines: Mutex<BTreeMap<u32, Arc<dyn Machine>>>,
}

impl Hypervisor for Power {
    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Arc<dyn Machine>, String>> {
        Box::pin(async move {
            let vmid = spec.vmid;
            let machine = self.hypervisor.start(spec).await?;
            let mut machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
            machines.insert(vmid, Arc::clone(&machine));
            Ok(machine)
        })
    }

    fn start_container(&self, spec: ContainerSpec) -> Started<'_> {
        self.hypervisor.start_container(spec)
    }

    fn reload_network(&self, reload: Reload) -> BoxFuture<'_, Result<(), BadReload>> {
        self.hypervisor.reload_network(reload)
    }

    fn discard(&self, vmid: u32) -> BoxFuture<'_, ()> {
        self.hypervisor.discard(vmid)
    }
}

/// A server on loopback for image files.
struct Images {
    address: SocketAddr,
    files: BTreeMap<String, Vec<u8>>,
    server: tokio::task::JoinHandle<()>,
}

impl Stage {
    /// A cluster whose VMs are real guests in namespaces.
    pub async fn real(options: Options) -> Result<Self, String> {
        let rootfs = Rootfs::ready().await?;
        let lab = Lab::start(&rootfs).await?;
        let stage = Self::with(Arc::new(lab.clone()), options).await?;
        Ok(Self {
            lab: Some(lab),
            ..stage
        })
    }

    /// A cluster over any hypervisor.
    pub async fn with(hypervisor: Arc<dyn Hypervisor>, options: Options) -> Result<Self, String> {
        let power = Arc::new(Power {
            hypervisor,
            machines: Mutex::default(),
        });
        let options = Options {
            hypervisor: Arc::clone(&power) as Arc<dyn Hypervisor>,
            ..options
        };
        let told = |error: std::io::Error| format!("cannot start the simulator: {error}");
        let simulator = Simulator::start(options).await.map_err(told)?;
        let images = Images::start().await.map_err(told)?;
        Ok(Self {
            _strict: simulator.strict(),
            simulator,
            lab: None,
            images,
            power,
        })
    }

    /// Runs a command line in a guest, as somebody with a shell there would, and gives what it
    /// printed on either output.
    pub async fn sh(&self, vmid: u32, line: &str) -> Result<String, String> {
        let machine = self
            .power
            .machines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&vmid)
            .cloned();
        let machine = machine.ok_or_else(|| format!("VM {vmid} was never started"))?;
        let ask = |command: &str, arguments: serde_json::Value| {
            let asked = machine.agent(json!({ "execute": command, "arguments": arguments }));
            async move { asked.await.map_err(|error| format!("{error:?}")) }
        };
        let line = format!(
            "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root; {line}"
        );
        let started = ask(
            "guest-exec",
            json!({ "path": "/bin/sh", "arg": ["-c", line], "capture-output": true }),
        )
        .await?;
        let mut patience = tokio::time::interval(Duration::from_millis(50));
        loop {
            patience.tick().await;
            let status = ask("guest-exec-status", json!({ "pid": started["pid"] })).await?;
            if status["exited"] != true {
                continue;
            }
            let text = |name: &str| {
                let encoded = status[name].as_str().unwrap_or_default();
                let bytes = BASE64_STANDARD.decode(encoded).unwrap_or_default();
                String::from_utf8_lossy(&bytes).into_owned()
            };
            let said = format!("{}{}", text("out-data"), text("err-data"));
            return match status["exitcode"].as_i64() {
                Some(0) => Ok(said),
                code => Err(format!("{line:?} ended with {code:?}: {said}")),
            };
        }
    }

    /// A workspace whose provider reaches this cluster.
    pub fn workspace(&self) -> Result<Workspace, String> {
        Workspace::new(&self.variables())
    }

    /// The variables that lead the provider to this cluster.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("PROXMOX_VE_ENDPOINT", self.simulator.endpoint()),
            ("PROXMOX_VE_API_TOKEN", self.simulator.token().to_owned()),
            (
                "TF_VAR_tls_fingerprint",
                self.simulator.fingerprint().to_owned(),
            ),
        ]
    }

    /// URL and SHA-256 of an image. A name with `docker` in it stands for one that brings Docker
    /// and the guest agent.
    pub fn image(&self, name: &str) -> (String, String) {
        let content = self
            .images
            .files
            .get(name)
            .expect("the server has this image");
        let sum = digest(&SHA256, content);
        let hex = sum
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        (format!("http://{}/{name}", self.images.address), hex)
    }

    /// Ends the guests, and returns when nothing of them is left.
    pub async fn stop(self) {
        self.simulator.stop_all().await;
        drop(self.simulator);
        drop(self.power);
        if let Some(lab) = self.lab {
            lab.stop().await;
        }
    }
}

impl Images {
    async fn start() -> std::io::Result<Self> {
        let files: BTreeMap<String, Vec<u8>> = ["debian-13.qcow2", "debian-13-docker.qcow2"]
            .into_iter()
            .map(|name| (name.to_owned(), image(name)))
            .collect();
        let served = files.clone();
        let serve = move |Path(name): Path<String>| {
            let file = served.get(&name).cloned();
            async move { file.ok_or(StatusCode::NOT_FOUND) }
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/{name}", get(serve));
        let server = tokio::spawn(async move {
            // It ends when the stage aborts it.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            files,
            server,
        })
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The head of a qcow2 image of 2 GiB, which is all that a node looks at. What boots is decided by
/// its name.
fn image(name: &str) -> Vec<u8> {
    let mut head = b"QFI\xfb\x00\x00\x00\x03".to_vec();
    head.resize(24, 0);
    head.extend((2_u64 << 30).to_be_bytes());
    head.extend(name.as_bytes());
    head.resize(64 << 10, 0);
    head
}
