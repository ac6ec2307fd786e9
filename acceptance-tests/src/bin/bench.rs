//! Measures a build of the provider: start, system calls, memory, size. `./x bench` runs it.
//!
//! Measures no API work; the tests count calls.

use std::{
    error::Error,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use acceptance_tests::tofu;
use base64::{Engine as _, engine::general_purpose::STANDARD};

const ROUNDS: usize = 80;
const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);
const CONFIGURATION: &str = "terraform {\n  required_providers {\n    pmoves = { source = \"cataclysm-studios/pmoves\" }\n  }\n}\n";

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

    let (mut starts, mut empties, mut peak) = (Vec::new(), Vec::new(), 0);
    // In turn, so that both meet the same moods of the machine.
    for _ in 0..ROUNDS {
        let began = Instant::now();
        Command::new(&empty).status()?;
        empties.push(began.elapsed());
        let began = Instant::now();
        let provider = Started::new(plugin(binary, &certificate))?;
        starts.push(began.elapsed());
        peak = peak.max(provider.peak_kib()?);
    }
    let (start, empty) = (median(starts), median(empties));
    let ratio = start.as_secs_f64() / empty.as_secs_f64();
    tell(
        "start to handshake line",
        &format!("{:.1} ms", start.as_secs_f64() * 1e3),
        "",
    );
    tell(
        "empty static program",
        &format!("{:.1} ms", empty.as_secs_f64() * 1e3),
        "",
    );
    tell("ratio of the two", &format!("{ratio:.1}"), "≤ 4");
    match system_calls(binary, &certificate, &directory.path().join("trace")) {
        Ok(calls) => tell("system calls before the line", &calls.to_string(), "≤ 100"),
        Err(error) => tell("system calls before the line", &error.to_string(), "≤ 100"),
    }
    tell("peak memory at the line", &megabytes(peak * 1024), "≤ 4 MB");
    tell(
        "peak memory after the schema",
        &megabytes(after_schema(binary)? * 1024),
        "≤ 8 MB",
    );
    tell("binary", &megabytes(fs::metadata(binary)?.len()), "≤ 10 MB");
    Ok(())
}

fn tell(what: &str, value: &str, goal: &str) {
    let goal = if goal.is_empty() {
        String::new()
    } else {
        format!("  (goal {goal})")
    };
    // A reader that is gone needs no numbers.
    let _ = writeln!(std::io::stdout(), "{what:30} {value:>10}{goal}");
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
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

fn plugin(binary: &Path, certificate: &str) -> Command {
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env(COOKIE.0, COOKIE.1)
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

    /// Most memory that the process had, in KiB.
    fn peak_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        Ok(peak
            .ok_or("no VmHWM")?
            .trim()
            .trim_end_matches(" kB")
            .parse()?)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn system_calls(binary: &Path, certificate: &str, trace: &Path) -> Result<usize> {
    let mut command = plugin(binary, certificate);
    let mut traced = Command::new("strace");
    traced
        .args(["-f", "-o"])
        .arg(trace)
        .arg(command.get_program())
        .env_clear();
    for (name, value) in command.get_envs() {
        traced.env(name, value.unwrap_or_default());
    }
    command = traced;
    drop(Started::new(command).map_err(|_| "needs strace: apt-get install strace")?);
    let trace = fs::read_to_string(trace)?;
    let before = trace.lines().position(|line| line.contains("write(1, \""));
    before.ok_or_else(|| "strace shows no line".into())
}

/// Lets the real core ask for the schema of a provider that it did not start, and that therefore lives on.
fn after_schema(binary: &Path) -> Result<u64> {
    let mut command = Command::new(binary);
    command.arg("--debug").env_clear();
    let provider = Started::new(command)?;
    let reattach = provider.line.trim();
    let reattach = reattach
        .split_once('=')
        .map_or(reattach, |(_, value)| value.trim_matches('\''));
    let mut workspace = tofu::Workspace::new(&[])?;
    workspace.write("main.tf", CONFIGURATION);
    workspace.set("TF_REATTACH_PROVIDERS", reattach);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for arguments in [&["init"] as &[&str], &["providers", "schema", "-json"]] {
        let ran = runtime.block_on(async { workspace.command(arguments).output().await })?;
        if !ran.status.success() {
            return Err(String::from_utf8_lossy(&ran.stderr).into_owned().into());
        }
    }
    provider.peak_kib()
}
