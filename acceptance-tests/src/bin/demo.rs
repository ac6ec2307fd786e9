//! The whole story on one screen: a blank image becomes a Docker host that runs a stack, somebody
//! interferes, the next plan says so, and in the end nothing is left.
//!
//! Runs the real `tofu` on `examples/quickstart`; only the Proxmox VE behind it is simulated.

use std::{
    io::{IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use acceptance_tests::{
    guests::{Lab, scripted::ScriptedHypervisor},
    simulator::{Entry, Options},
    stage::Stage,
    tofu::Workspace,
};
use tokio::time::Instant;

/// The VMID that the simulator gives out first.
const VMID: u32 = 100;
const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart");

#[tokio::main]
async fn main() -> ExitCode {
    match play().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("\nThe demo failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn play() -> Result<(), String> {
    let began = Instant::now();
    heading("A simulated Proxmox VE cluster");
    let (stage, image, registry) = cluster().await?;
    say(&format!(
        "{} with one node, pve1, ready after {:.1} s.",
        stage.simulator.endpoint(),
        began.elapsed().as_secs_f64()
    ));
    let mut show = Show::new(&stage, &image, &registry)?;
    let shown = show.acts().await;
    let Show { scenes, .. } = show;
    let left = nothing_left(&stage);
    stage.stop().await;
    shown?;
    left?;
    heading("In short");
    scenes.summary(began.elapsed());
    Ok(())
}

/// The cluster, the image for its VM, and the registry that its guests pull from.
async fn cluster() -> Result<(Stage, String, String), String> {
    match Lab::available() {
        Ok(()) => {
            say(
                "Its VMs are real guests in namespaces of this machine: systemd, cloud-init, the QEMU\nguest agent and, once the provider has installed it, Docker: that of Debian, since Docker's own\nrepository is out of reach here.",
            );
            let stage = Stage::real(Options::default()).await?;
            let registry = stage.lab.as_ref().map_or("", Lab::registry).to_owned();
            // The plain image: no Docker, and no guest agent, as cloud images are.
            Ok((stage, "debian-13.qcow2".to_owned(), registry))
        }
        Err(why) => {
            say(&format!(
                "Its VMs are scripted stand-ins, since real ones are not possible here:\n{why}"
            ));
            let hypervisor = ScriptedHypervisor::new(&ScriptedHypervisor::find_shim()?)?;
            let stage = Stage::with(Arc::new(hypervisor), Options::default()).await?;
            Ok((
                stage,
                "debian-13.qcow2".to_owned(),
                "registry.pmoves.test:5000".to_owned(),
            ))
        }
    }
}

struct Show<'a> {
    stage: &'a Stage,
    workspace: Workspace,
    scenes: Scenes,
}

/// What each act took.
#[derive(Default)]
struct Scenes(Vec<(&'static str, Duration, Vec<Entry>)>);

impl<'a> Show<'a> {
    fn new(stage: &'a Stage, image: &str, registry: &str) -> Result<Self, String> {
        let mut workspace = stage.workspace()?;
        let told = |error: std::io::Error| format!("cannot copy {QUICKSTART}: {error}");
        workspace.copy(Path::new(QUICKSTART)).map_err(told)?;
        let (url, checksum) = stage.image(image);
        workspace.docker_of_distribution(&["web"]);
        workspace.set("TF_VAR_image_url", url);
        workspace.set("TF_VAR_image_checksum", checksum);
        workspace.set("TF_VAR_registry", registry);
        Ok(Self {
            stage,
            workspace,
            scenes: Scenes::default(),
        })
    }

    async fn acts(&mut self) -> Result<(), String> {
        self.tofu("Install the provider", &["init"]).await?;
        self.tofu(
            "Plan: an image, a VM that is a Docker host, a stack of two services",
            &["plan"],
        )
        .await?;
        self.tofu(
            "Apply, from a blank image to healthy services",
            &["apply", "-auto-approve"],
        )
        .await?;
        self.look("What runs on the host now").await?;
        self.empty("Plan again: nothing to do").await?;

        self.by_hand(
            "Somebody stops a container by hand",
            "docker stop hello-web-1",
        )
        .await?;
        self.tofu("The next plan names the service", &["plan"])
            .await?;
        self.tofu("And an apply heals it", &["apply", "-auto-approve"])
            .await?;

        self.edit()?;
        self.tofu(
            "The plan names the service that changes, and leaves the other alone",
            &["plan"],
        )
        .await?;
        self.tofu("Apply the edit", &["apply", "-auto-approve"])
            .await?;
        self.look("What runs on the host now").await?;
        self.empty("Plan again: nothing to do").await?;

        self.tofu("Destroy everything", &["destroy", "-auto-approve"])
            .await
    }

    /// Runs a command of the core and shows all it prints, as it prints it.
    async fn tofu(&mut self, title: &'static str, arguments: &[&str]) -> Result<(), String> {
        heading(title);
        command(&format!("tofu {}", arguments.join(" ")));
        let mut all = arguments.to_vec();
        if !std::io::stdout().is_terminal() {
            all.push("-no-color");
        }
        self.stage.simulator.clear_journal();
        let began = Instant::now();
        let status = self.workspace.command(&all).status().await;
        let status = status.map_err(|error| format!("tofu does not run: {error}"))?;
        self.scenes
            .0
            .push((title, began.elapsed(), self.stage.simulator.journal()));
        match status.success() {
            true => Ok(()),
            false => Err(format!(
                "`tofu {}` ended with {status}",
                arguments.join(" ")
            )),
        }
    }

    /// A plan whose exit status says that it is empty.
    async fn empty(&mut self, title: &'static str) -> Result<(), String> {
        self.tofu(title, &["plan", "-detailed-exitcode"])
            .await
            .map_err(|_| "the plan should have been empty".to_owned())
    }

    async fn by_hand(&mut self, title: &str, line: &str) -> Result<(), String> {
        heading(title);
        command(&format!("root@web:~# {line}"));
        say(&self.stage.sh(VMID, line).await?);
        Ok(())
    }

    async fn look(&mut self, title: &str) -> Result<(), String> {
        let format = r"table {{.Names}}\t{{.Image}}\t{{.Status}}";
        self.by_hand(title, &format!("docker ps --format '{format}'"))
            .await?;
        self.by_hand(
            "Docker's data is on the data disk",
            "df -h /opt/docker | cat; docker info --format 'data root: {{.DockerRootDir}}'",
        )
        .await
    }

    fn edit(&self) -> Result<(), String> {
        heading("Somebody edits compose.yaml");
        let told = |error: std::io::Error| format!("cannot edit compose.yaml: {error}");
        let path = self.workspace.path().join("compose.yaml");
        let text = std::fs::read_to_string(&path).map_err(told)?;
        std::fs::write(&path, text.replace("/demo/web:1", "/demo/web:2")).map_err(told)?;
        say("-    image: ${REGISTRY}/demo/web:1\n+    image: ${REGISTRY}/demo/web:2");
        Ok(())
    }
}

/// Fails if the cluster holds anything that the demo made.
fn nothing_left(stage: &Stage) -> Result<(), String> {
    heading("What is left on the cluster");
    let (vms, volumes) = (stage.simulator.vms(), stage.simulator.volumes());
    if vms.is_empty() && volumes.is_empty() {
        say("No VM and no volume.");
        return Ok(());
    }
    Err(format!("something is left: {vms:?} {volumes:?}"))
}

impl Scenes {
    fn summary(&self, all: Duration) {
        say("seconds   calls   reads  writes   polls  step");
        for (title, took, calls) in &self.0 {
            let polls = calls.iter().filter(|call| call.is_poll()).count();
            let reads = calls
                .iter()
                .filter(|call| !call.is_poll() && call.method == "GET")
                .count();
            let writes = calls.len() - polls - reads;
            say(&format!(
                "{:7.1} {:7} {reads:7} {writes:7} {polls:7}  {title}",
                took.as_secs_f64(),
                calls.len()
            ));
        }
        say(&format!(
            "{:7.1}                                  everything",
            all.as_secs_f64()
        ));
        say("\nPolls wait for a task, for the guest agent, or for a command in the guest.");
    }
}

fn heading(text: &str) {
    let line = if std::io::stdout().is_terminal() {
        format!("\n\x1b[1;36m── {text}\x1b[0m")
    } else {
        format!("\n── {text}")
    };
    say(&line);
}

fn command(text: &str) {
    say(&match text.contains('#') {
        true => text.to_owned(),
        false => format!("$ {text}"),
    });
}

/// The one place that writes to the terminal; a closed one ends the demo quietly.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{}", text.trim_end_matches('\n'))
        .and_then(|()| out.flush())
        .is_err()
    {
        std::process::exit(0);
    }
}
