//! Drives the real `tofu` (or `terraform`) on the provider's real binary, as a pipeline would.
//!
//! Every workspace is hermetic: its own directory, home and CLI configuration, and none of the
//! variables that the machine carries.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use serde_json::Value;
use tokio::process::Command;

/// Where the provider is published.
const ADDRESS: &str = "cataclysm-studios/pmoves";
/// The version that the mirror offers.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A directory with a configuration, and a core that works in it.
pub struct Workspace {
    directory: tempfile::TempDir,
    core: PathBuf,
    variables: Vec<(OsString, OsString)>,
}

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// A plan as JSON, with the questions that tests ask.
#[derive(Clone, Debug)]
pub struct PlanJson(pub Value);

/// The core to test with: `PMOVES_TOFU`, else `tofu` of PATH.
pub fn core() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("PMOVES_TOFU") {
        return Ok(path.into());
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths)
        .map(|directory| directory.join("tofu"))
        .chain([crate::guests::cache().join("tofu-1.12.6/tofu")])
        .find(|path| path.is_file())
        .ok_or_else(|| "there is no tofu on PATH: `./x setup` gets it".to_owned())
}

/// Terraform, where somebody installed it: `PMOVES_TERRAFORM`, else `terraform` of PATH.
pub fn terraform() -> Option<PathBuf> {
    std::env::var_os("PMOVES_TERRAFORM")
        .map(PathBuf::from)
        .or_else(|| {
            let paths = std::env::var_os("PATH")?;
            std::env::split_paths(&paths)
                .map(|directory| directory.join("terraform"))
                .find(|path| path.is_file())
        })
}

/// The provider's binary: `PMOVES_PROVIDER`, else the one that was built beside this program.
pub fn provider() -> Result<PathBuf, String> {
    match std::env::var_os("PMOVES_PROVIDER") {
        Some(path) => Ok(path.into()),
        None => built("terraform-provider-pmoves", "cargo build -p provider"),
    }
}

/// The binary of the provider of notes, an example of the provider's package.
pub fn everything() -> Result<PathBuf, String> {
    built("examples/everything", "cargo build -p provider --examples")
}

/// What was built beside this program, or the command that builds it.
fn built(name: &str, how: &str) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| format!("{name} is not built: `{how}` builds it"))
}

impl Workspace {
    /// An empty workspace whose core installs the provider from a mirror of the file system.
    pub fn new(variables: &[(&str, String)]) -> Result<Self, String> {
        Self::with_core(&core()?, variables)
    }

    /// The same for a core of one's choice.
    pub fn with_core(core: &Path, variables: &[(&str, String)]) -> Result<Self, String> {
        Self::offering(&[(ADDRESS, provider()?)], core, variables)
    }

    /// The same with a mirror that offers other binaries, each at an address.
    pub fn offering(
        providers: &[(&str, PathBuf)],
        core: &Path,
        variables: &[(&str, String)],
    ) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("cannot make a workspace: {error}");
        let directory = tempfile::Builder::new()
            .prefix("pmoves-")
            .tempdir()
            .map_err(told)?;
        let root = directory.path();
        for host in ["registry.opentofu.org", "registry.terraform.io"] {
            for (address, binary) in providers {
                let place = format!("mirror/{host}/{address}/{VERSION}/{}", platform());
                let place = root.join(place);
                std::fs::create_dir_all(&place).map_err(told)?;
                let name = address.rsplit('/').next().unwrap_or_default();
                let link = place.join(format!("terraform-provider-{name}_v{VERSION}"));
                std::os::unix::fs::symlink(binary, link).map_err(told)?;
            }
        }
        let mirror = root.join("mirror");
        let settings = format!(
            "provider_installation {{\n  filesystem_mirror {{\n    path = \"{}\"\n  }}\n}}\n",
            mirror.display()
        );
        std::fs::write(root.join("cli.tfrc"), settings).map_err(told)?;
        std::fs::create_dir_all(root.join("work")).map_err(told)?;
        let mut all: Vec<(OsString, OsString)> = [
            ("PATH", std::env::var_os("PATH").unwrap_or_default()),
            ("HOME", root.into()),
            ("TMPDIR", std::env::temp_dir().into()),
            ("TF_CLI_CONFIG_FILE", root.join("cli.tfrc").into()),
            ("TF_IN_AUTOMATION", "1".into()),
            ("TF_INPUT", "0".into()),
            ("CHECKPOINT_DISABLE", "1".into()),
        ]
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect();
        all.extend(
            variables
                .iter()
                .map(|(name, value)| ((*name).into(), value.into())),
        );
        Ok(Self {
            directory,
            core: core.to_owned(),
            variables: all,
        })
    }

    /// The directory that commands run in.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    /// Sets a variable for the commands that follow.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.into(), value.into()));
    }

    /// Writes a file of the configuration.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("the workspace takes files");
    }

    /// Lets VMs of the configuration take Docker from their distribution: guests here do not reach Docker's repository.
    pub fn docker_of_distribution(&self, hosts: &[&str]) {
        let docker = r#"{ docker = { source = "distro" } }"#;
        let block = |host: &&str| format!("resource \"pmoves_docker_vm\" {host:?} {docker}\n");
        self.write("override.tf", &hosts.iter().map(block).collect::<String>());
    }

    /// Copies all files of a directory.
    pub fn copy(&self, from: &Path) -> std::io::Result<()> {
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            std::fs::copy(entry.path(), self.path().join(entry.file_name()))?;
        }
        Ok(())
    }

    /// A command of the core, ready to run in the workspace.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.core);
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        let output = self
            .command(arguments)
            .output()
            .await
            .expect("the core runs");
        Ran {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Installs the provider.
    pub async fn init(&self) {
        self.run(&["init", "-no-color"]).await.ok();
    }

    /// Plans, and tells what is planned.
    pub async fn plan(&self, options: &[&str]) -> PlanJson {
        let arguments = [&["plan", "-no-color", "-out=plan.bin"], options].concat();
        self.run(&arguments).await.ok();
        self.shown("plan.bin").await
    }

    /// What a saved plan holds.
    pub async fn shown(&self, plan: &str) -> PlanJson {
        let shown = self.run(&["show", "-json", plan]).await.ok();
        PlanJson(serde_json::from_str(&shown.stdout).expect("`show -json` prints JSON"))
    }

    /// Applies the configuration.
    pub async fn apply(&self, options: &[&str]) -> Ran {
        let arguments = [&["apply", "-no-color", "-auto-approve"], options].concat();
        self.run(&arguments).await
    }

    /// Destroys everything.
    pub async fn destroy(&self) -> Ran {
        self.run(&["destroy", "-no-color", "-auto-approve"]).await
    }

    /// Whether the core knows write-only arguments, one of which the configuration must have. A core
    /// that does not would store them: then the plan must be refused, else the test fails.
    pub async fn takes_write_only(&self) -> bool {
        // Variables that are not stored are as new; the core itself refuses those.
        let refusals = [
            "Write-only attributes need a newer core",
            "An argument named \"ephemeral\" is not expected here",
        ];
        self.takes((1, 11), &refusals).await
    }

    /// Whether the core imports by identity, as the configuration must do. One that does not refuses
    /// the plan, else the test fails.
    pub async fn takes_identity(&self) -> bool {
        let refusals = ["An argument named \"identity\" is not expected here"];
        self.takes((1, 12), &refusals).await
    }

    async fn takes(&self, since: (u32, u32), refusals: &[&str]) -> bool {
        let told = self.run(&["version", "-json"]).await.ok();
        let told: Value = serde_json::from_str(&told.stdout).expect("`version -json` prints JSON");
        let version = told["terraform_version"].as_str().unwrap_or_default();
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
        let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        if version >= since {
            return true;
        }
        let said = self.run(&["plan", "-no-color"]).await.refused();
        assert!(refusals.iter().any(|words| said.contains(words)), "{said}");
        false
    }

    /// The state as JSON; null while there is none.
    pub async fn state(&self) -> Value {
        let shown = self.run(&["show", "-json"]).await.ok();
        serde_json::from_str(&shown.stdout).expect("`show -json` prints JSON")
    }

    /// The attributes of one resource in the state.
    pub async fn resource(&self, address: &str) -> Option<Value> {
        let state = self.state().await;
        let resources = state
            .pointer("/values/root_module/resources")?
            .as_array()?
            .clone();
        resources
            .into_iter()
            .find(|resource| resource["address"] == address)
    }

    /// The text of the state file, of which secrets must not be a part.
    pub fn state_file(&self) -> String {
        std::fs::read_to_string(self.path().join("terraform.tfstate")).unwrap_or_default()
    }
}

impl Ran {
    /// Fails the test unless the command succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status.success(), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails the test unless the command failed, and gives what it said with all line breaks and
    /// frames taken out, so that a sentence can be looked for.
    #[track_caller]
    pub fn refused(self) -> String {
        assert!(!self.status.success(), "succeeded:\n{}", self.stdout);
        self.said()
    }

    /// What the command said, as one line.
    pub fn said(&self) -> String {
        let text = format!("{}\n{}", self.stdout, self.stderr);
        let words = text
            .split_whitespace()
            .filter(|word| !matches!(*word, "│" | "╷" | "╵"));
        words.collect::<Vec<_>>().join(" ")
    }
}

impl PlanJson {
    /// Planned changes that are none, left out: `address: action`.
    pub fn changes(&self) -> Vec<String> {
        let changes = self.0["resource_changes"].as_array().into_iter().flatten();
        changes
            .filter(|change| change["change"]["actions"] != serde_json::json!(["no-op"]))
            .map(|change| {
                let actions = change["change"]["actions"].as_array().into_iter().flatten();
                let actions: Vec<_> = actions.filter_map(Value::as_str).collect();
                format!(
                    "{}: {}",
                    change["address"].as_str().unwrap_or_default(),
                    actions.join("+")
                )
            })
            .collect()
    }

    /// Fails the test unless nothing is planned.
    #[track_caller]
    pub fn empty(&self) {
        let nothing: Vec<String> = Vec::new();
        assert_eq!(self.changes(), nothing, "{}", self.differences());
        let outputs = self.0["output_changes"].as_object().into_iter().flatten();
        for (name, change) in outputs {
            assert_eq!(
                change["actions"],
                serde_json::json!(["no-op"]),
                "output {name}"
            );
        }
    }

    /// What changes from what to what, a line for each attribute.
    pub fn differences(&self) -> String {
        let changes = self.0["resource_changes"].as_array().into_iter().flatten();
        let mut lines = Vec::new();
        for change in changes {
            let (before, after) = (&change["change"]["before"], &change["change"]["after"]);
            for (name, now) in before.as_object().into_iter().flatten() {
                if after[name] != *now {
                    lines.push(format!(
                        "{}.{name}: {now} -> {}",
                        change["address"], after[name]
                    ));
                }
            }
        }
        lines.join("\n")
    }

    /// The change of one resource.
    pub fn change(&self, address: &str) -> &Value {
        self.0["resource_changes"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|change| change["address"] == address)
            .map_or(&Value::Null, |change| &change["change"])
    }
}

fn platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}_{architecture}", std::env::consts::OS)
}
