//! Measures the times of a release of the provider, alone and under the real core. `./x bench` runs it.
//!
//! Counts and sizes are held by the tests of the release; calls to the API by the stories.

use std::{
    error::Error,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use acceptance_tests::{
    simulator::{Options, Simulator},
    tofu,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

const ROUNDS: usize = 80;
const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);
const CONFIGURATION: &str = r#"
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

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(binary) = arguments.next().map(PathBuf::from) else {
        eprintln!(
            "bench PROVIDER [OPTION OF RUSTC]...: the options are those the provider was built with"
        );
        return ExitCode::FAILURE;
    };
    let options: Vec<String> = arguments
        .filter_map(|option| option.into_string().ok())
        .collect();
    match measure(&binary, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(binary: &Path, options: &[String]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let empty = empty_program(directory.path(), options)?;
    let certificate = certificate()?;

    let (mut starts, mut empties) = (Vec::new(), Vec::new());
    // In turn, so that both meet the same moods of the machine.
    for _ in 0..ROUNDS {
        let began = Instant::now();
        Command::new(&empty).status()?;
        empties.push(began.elapsed());
        let began = Instant::now();
        drop(Started::new(plugin(
            binary,
            &certificate,
            directory.path(),
        ))?);
        starts.push(began.elapsed());
    }
    let (start, empty) = (median(starts), median(empties));
    let ratio = start.as_secs_f64() / empty.as_secs_f64();
    tell("start to handshake line", &shown(start), "");
    tell("empty static program", &shown(empty), "");
    tell("ratio of the two", &format!("{ratio:.1}"), "≤ 4");
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(under_core(binary, directory.path()))
}

/// Lets the real core work on a thousand hosts with a provider that it did not start, and whose time
/// is therefore told apart.
async fn under_core(binary: &Path, temporary: &Path) -> Result<()> {
    let simulator = Simulator::start(Options::default()).await?;
    let mut command = Command::new(binary);
    command
        .arg("--debug")
        .env("TMPDIR", temporary)
        .env("PROXMOX_VE_ENDPOINT", simulator.endpoint())
        .env("PROXMOX_VE_API_TOKEN", simulator.token());
    let provider = Started::new(command)?;
    let reattach = provider.line.trim();
    let reattach = reattach
        .split_once('=')
        .map_or(reattach, |(_, value)| value.trim_matches('\''));
    let mut workspace = tofu::Workspace::new(&[])?;
    workspace.write("main.tf", CONFIGURATION);
    // As blocks: core validates the copies of one block only once.
    workspace.write("hosts.tf", &(0..1_000).map(host).collect::<String>());
    workspace.set("TF_VAR_tls_fingerprint", simulator.fingerprint());
    workspace.set("TF_REATTACH_PROVIDERS", reattach);
    workspace.run(&["init"]).await.ok();
    for (arguments, goal) in [
        (&["providers", "schema", "-json"] as &[&str], ""),
        (&["validate"], "≤ 60 ms of the provider"),
        (&["plan", "-refresh=false"], ""),
    ] {
        let (since, before) = (Instant::now(), provider.cpu()?);
        let core = core_time(&workspace, arguments).await?;
        let ours = provider.cpu()?.checked_sub(before).unwrap_or_default();
        let took = since.elapsed();
        let value = format!(
            "{} wall, CPU {} core + {} provider",
            shown(took),
            shown(core),
            shown(ours)
        );
        tell(&arguments.join(" "), &value, goal);
    }
    Ok(())
}

fn host(number: usize) -> String {
    format!(
        r#"
resource "pmoves_docker_vm" "web{number}" {{
  name           = "web{number}"
  node_name      = "pve1"
  image          = {{ id = "local:import/debian-13.qcow2" }}
  os_disk        = {{ datastore_id = "local-lvm", size_gb = 4 }}
  network_device = {{ net0 = {{ bridge = "vmbr0" }} }}
}}
"#
    )
}

/// Runs a command of the core, and gives the CPU time it took without the provider's.
async fn core_time(workspace: &tofu::Workspace, arguments: &[&str]) -> Result<Duration> {
    let core = workspace.command(arguments);
    let core = core.as_std();
    let mut timed = tokio::process::Command::new("bash");
    timed
        .args([
            "-c",
            r#"TIMEFORMAT='%U %S'; time "$@" 2>&1 >/dev/null"#,
            "bash",
        ])
        .arg(core.get_program())
        .args(core.get_args())
        .current_dir(workspace.path())
        .env_clear();
    for (name, value) in core.get_envs() {
        timed.env(name, value.unwrap_or_default());
    }
    let ran = timed.output().await?;
    let told = String::from_utf8_lossy(&ran.stderr);
    if !ran.status.success() {
        let errors = String::from_utf8_lossy(&ran.stdout);
        return Err(format!("{arguments:?} failed: {errors}").into());
    }
    let parts = told.split_whitespace().map(str::parse::<f64>);
    let seconds: f64 = parts.filter_map(std::result::Result::ok).sum();
    Ok(Duration::from_secs_f64(seconds))
}

fn shown(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn tell(what: &str, value: &str, goal: &str) {
    let goal = if goal.is_empty() {
        String::new()
    } else {
        format!("  (goal {goal})")
    };
    // A reader that is gone needs no numbers.
    let _ = writeln!(std::io::stdout(), "{what:26} {value:>10}{goal}");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// What starting anything costs on this machine.
fn empty_program(directory: &Path, options: &[String]) -> Result<PathBuf> {
    let (source, program) = (directory.join("empty.rs"), directory.join("empty"));
    fs::write(&source, "fn main() {}\n")?;
    let built = Command::new("rustc")
        .args(options)
        .args(["-C", "opt-level=3", "-C", "strip=symbols", "-o"])
        .args([&program, &source])
        .status()?;
    if !built.success() {
        return Err("rustc cannot build an empty program".into());
    }
    Ok(program)
}

/// A certificate as core announces one.
fn certificate() -> Result<String> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512)?;
    let signed = rcgen::CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
    let text = STANDARD.encode(signed.der());
    Ok(format!(
        "-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"
    ))
}

fn plugin(binary: &Path, certificate: &str, temporary: &Path) -> Command {
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env(COOKIE.0, COOKIE.1)
        // Killed, it leaves its socket there.
        .env("TMPDIR", temporary)
        .env("PLUGIN_PROTOCOL_VERSIONS", "6")
        .env("PLUGIN_CLIENT_CERT", certificate);
    command
}

/// A provider that said where it listens; dropped, it ends.
struct Started {
    process: Child,
    line: String,
}

impl Started {
    fn new(mut command: Command) -> Result<Self> {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the provider has no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() {
            return Err("the provider ended without its line".into());
        }
        Ok(Self { process, line })
    }

    /// Time that the process has spent on a CPU.
    fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/schedstat", self.process.id()))?;
        let nanoseconds = stat.split(' ').next().unwrap_or_default();
        Ok(Duration::from_nanos(nanoseconds.parse()?))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
