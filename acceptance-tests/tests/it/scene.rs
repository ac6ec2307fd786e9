//! What the tests share: a simulated cluster with scripted guests and a workspace that reaches it.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc, time::Duration};

use acceptance_tests::{
    guests::scripted::ScriptedHypervisor,
    simulator::{Entry, Options},
    stage::Stage,
    tofu::{Ran, Workspace},
};
use serde_json::Value;

/// Where most tests find the image: it is on the storage from the start, and brings Docker.
pub(crate) const IMAGE: &str = "local:import/debian-13-docker.qcow2";
/// The same without Docker and without an agent.
pub(crate) const PLAIN: &str = "local:import/debian-13.qcow2";

pub(crate) const HEAD: &str = r#"
terraform {
  required_providers {
    pmoves = { source = "cataclysm-studios/pmoves" }
  }
}
variable "tls_fingerprint" {
  type = string
}
provider "pmoves" {
  tls_fingerprint = var.tls_fingerprint
}
"#;

/// A cluster of two nodes with scripted guests, and a workspace for it.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) guests: Arc<ScriptedHypervisor>,
    pub(crate) ws: Workspace,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let shim = Path::new(env!("CARGO_BIN_EXE_guest-shim"));
        let guests = ScriptedHypervisor::new(shim).expect("this machine runs scripted guests");
        let guests = Arc::new(guests);
        let options = Options {
            nodes: vec!["pve1".to_owned(), "pve2".to_owned()],
            ..options
        };
        let stage = Stage::with(Arc::clone(&guests) as _, options)
            .await
            .expect("the stage is set");
        for image in [IMAGE, PLAIN] {
            stage.simulator.put_file("pve1", image, qcow2(2));
        }
        let ws = workspace(&stage);
        let scene = Self { stage, guests, ws };
        scene.ws.init().await;
        scene.forget();
        scene
    }

    /// Writes the configuration, applies it, and forgets the calls before.
    pub(crate) async fn apply(&self, config: &impl fmt::Display) -> Ran {
        self.ws.write("main.tf", &config.to_string());
        self.forget();
        self.ws.apply(&[]).await
    }

    /// Applies, and checks that nothing is left to do, also without a refresh.
    pub(crate) async fn settle(&self, config: &impl fmt::Display) {
        self.apply(config).await.ok();
        self.quiet().await;
    }

    /// Fails the test unless a plan is empty, with and without a refresh.
    pub(crate) async fn quiet(&self) {
        self.ws.plan(&[]).await.empty();
        self.ws.plan(&["-refresh=false"]).await.empty();
    }

    /// Applies once what an import cannot read, which sends nothing, and is quiet then.
    pub(crate) async fn quiet_but_kept(&self) {
        self.forget();
        self.ws.apply(&[]).await.ok();
        assert!(self.writes().is_empty(), "{:?}", self.writes());
        self.quiet().await;
    }

    /// Plans a configuration, for what is said of it.
    pub(crate) async fn planned(&self, config: &impl fmt::Display) -> Ran {
        self.ws.write("main.tf", &config.to_string());
        self.ws.run(&["plan", "-no-color"]).await
    }

    /// A configuration that must be refused; gives what was said, and checks that nothing was written.
    pub(crate) async fn refused(&self, config: &impl fmt::Display) -> String {
        self.forget();
        let said = self.planned(config).await.refused();
        let writes: Vec<String> = self.writes();
        assert!(writes.is_empty(), "{writes:#?}");
        said
    }

    /// Maps what the examples and stories attach: a graphics card, a Zigbee stick and a directory of `pve1`.
    pub(crate) fn map_devices(&self) {
        for (kind, id, line) in [
            ("pci", "gpu", "node=pve1,path=0000:01:00.0,id=10de:1c03"),
            ("usb", "zigbee", "node=pve1,id=10c4:ea60"),
            ("usb", "stick", "node=pve1,id=0951:1666"),
            ("dir", "media", "node=pve1,path=/srv/media"),
        ] {
            self.stage.simulator.put_mapping(kind, id, &[line]);
        }
    }

    /// Begins a new journal.
    pub(crate) fn forget(&self) {
        self.stage.simulator.clear_journal();
    }

    /// The calls since then that are no polls: those of tasks, and all to the agent.
    pub(crate) fn calls(&self) -> Vec<String> {
        let journal = self.stage.simulator.journal();
        journal
            .iter()
            .filter(|entry| !entry.is_poll())
            .map(line)
            .collect()
    }

    /// Those that change something, which to open a console does not.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.calls()
            .into_iter()
            .filter(|call| !call.starts_with("GET ") && !call.ends_with("/termproxy"))
            .collect()
    }

    /// Rounds in guests: commands that were run there.
    pub(crate) fn rounds(&self) -> usize {
        self.stage
            .simulator
            .calls("POST", "/nodes/*/qemu/*/agent/exec")
    }

    /// One attribute of `pmoves_docker_vm.web`, by JSON pointer.
    pub(crate) async fn web(&self, pointer: &str) -> Value {
        let values = self
            .ws
            .resource("pmoves_docker_vm.web")
            .await
            .expect("the VM is in the state");
        values["values"]
            .pointer(pointer)
            .cloned()
            .unwrap_or_default()
    }

    /// Runs a command in the only guest and gives its output.
    pub(crate) async fn sh(&self, vmid: u32, command: &str) -> String {
        let output = self.guests.sh(vmid, command).await.expect("the guest runs");
        assert_eq!(
            output.code, 0,
            "{command}: {}{}",
            output.stdout, output.stderr
        );
        output.stdout
    }
}

/// A workspace that reaches a stage, with nothing but the provider in it.
pub(crate) fn workspace(stage: &Stage) -> Workspace {
    let ws = stage.workspace().expect("a workspace is made");
    ws.write("head.tf", HEAD);
    ws
}

/// Writes the provider's block with one more attribute.
pub(crate) fn configure(ws: &Workspace, attribute: &str) {
    let line = "tls_fingerprint = var.tls_fingerprint\n";
    let head = HEAD.replace(line, &format!("{line}  {attribute}\n"));
    ws.write("head.tf", &head);
}

fn line(entry: &Entry) -> String {
    format!("{} {}", entry.method, entry.path)
}

/// A block of a configuration: its label and its attributes as they are written.
#[derive(Clone)]
pub(crate) struct Block {
    label: String,
    attributes: BTreeMap<String, String>,
}

impl Block {
    pub(crate) fn new(label: &str, attributes: &[(&str, &str)]) -> Self {
        let attributes = attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self {
            label: label.to_owned(),
            attributes: attributes.collect(),
        }
    }

    /// Sets an attribute to an expression.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.attributes.insert(name.to_owned(), value.to_owned());
        self
    }

    /// An attribute as it is written.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// The same host under another name of the configuration.
    pub(crate) fn labelled(self, name: &str) -> Self {
        self.labelled_as("pmoves_docker_vm", name)
    }

    /// Likewise, of any kind.
    pub(crate) fn labelled_as(mut self, kind: &str, name: &str) -> Self {
        self.label = format!("resource {kind:?} {name:?}");
        self
    }

    /// Takes an attribute out.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.attributes.remove(name);
        self
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {{", self.label)?;
        for (name, value) in &self.attributes {
            writeln!(f, "  {name} = {value}")?;
        }
        writeln!(f, "}}")
    }
}

/// A Docker host that starts in an instant, `pmoves_docker_vm.web`.
pub(crate) fn web() -> Block {
    Block::new(
        r#"resource "pmoves_docker_vm" "web""#,
        &[
            ("name", r#""web""#),
            ("node_name", r#""pve1""#),
            ("image", &format!("{{ id = {IMAGE:?} }}")),
            ("os_disk", r#"{ datastore_id = "local-lvm", size_gb = 4 }"#),
            ("data_disk", "{ size_gb = 2 }"),
            // As the image has it, and where a guest does not reach Docker's repository.
            ("docker", r#"{ source = "distro" }"#),
            ("network_device", r#"{ net0 = { bridge = "vmbr0" } }"#),
        ],
    )
}

/// The same, never started: for what only the API is asked.
pub(crate) fn dormant() -> Block {
    web().with("started", "false")
}

/// A stack of one service on a host, `pmoves_stack.app`.
pub(crate) fn app(host_id: &str) -> Block {
    Block::new(
        r#"resource "pmoves_stack" "app""#,
        &[
            ("host_id", host_id),
            ("name", r#""app""#),
            ("compose", r#""services:\n  web:\n    image: nginx:1\n""#),
        ],
    )
}

/// The head of a qcow2 image, which is all that a node looks at.
pub(crate) fn qcow2(gibibytes: u64) -> Vec<u8> {
    let mut head = b"QFI\xfb\x00\x00\x00\x03".to_vec();
    head.resize(24, 0);
    head.extend((gibibytes << 30).to_be_bytes());
    head.resize(4096, 0);
    head
}

/// A file below `examples/`.
pub(crate) fn example(path: &str) -> String {
    let path = format!("{}/../examples/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Waits until a condition holds; a test fails after a minute of waiting.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_mins(1), waiting).await;
    assert!(waited.is_ok(), "waited for {what}");
}
