//! However a lab dies, nothing of it stays behind: needs root, boots real guests and kills what holds them.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use acceptance_tests::guests::{Lab, Rootfs};

/// A `lab-check` with a guest and a container that run, to be killed.
struct Victim {
    process: Child,
    run: PathBuf,
}

impl Victim {
    /// Starts it, with guests that run.
    fn new() -> Self {
        Lab::available().expect("these tests boot real guests");
        let mut process = Command::new(env!("CARGO_BIN_EXE_lab-check"))
            .args(["--container", "--hold"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("lab-check starts");
        let mut run = None;
        let mut said = BufReader::new(process.stderr.take().expect("its stderr is a pipe"));
        loop {
            let mut line = String::new();
            assert_ne!(
                said.read_line(&mut line).expect("it writes text"),
                0,
                "lab-check ended"
            );
            if let Some((_, directory)) = line.split_once("lab in ") {
                run = Some(PathBuf::from(directory.trim()));
            }
            if line == "holding\n" {
                break;
            }
        }
        // It writes to nobody from here on.
        std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
        Self {
            process,
            run: run.expect("it says where its lab is"),
        }
    }

    fn kill(&mut self) {
        // The standard library's kill is SIGKILL.
        self.process.kill().expect("it runs");
        self.process.wait().expect("it was our child");
    }
}

/// What the machine still has of a lab: processes, loop devices, control groups, its directory.
fn traces(run: &Path, groups: &[String]) -> Vec<String> {
    let name = run.to_str().expect("the cache has a plain path");
    let mut traces = Vec::new();
    for entry in std::fs::read_dir("/proc")
        .expect("/proc is there")
        .flatten()
    {
        let read = |file: &str| {
            String::from_utf8_lossy(&std::fs::read(entry.path().join(file)).unwrap_or_default())
                .into_owned()
        };
        if entry.file_name().to_string_lossy().parse::<u32>().is_ok()
            && (read("mountinfo") + &read("cmdline")).contains(name)
        {
            traces.push(format!(
                "process {}: {}",
                entry.file_name().display(),
                read("cmdline").replace('\0', " ")
            ));
        }
    }
    let loops = Command::new("losetup")
        .args(["--noheadings", "--list", "--output", "NAME,BACK-FILE"])
        .output();
    let loops =
        String::from_utf8(loops.expect("losetup runs").stdout).expect("losetup prints text");
    traces.extend(
        loops
            .lines()
            .filter(|line| line.contains(name))
            .map(ToOwned::to_owned),
    );
    traces.extend(
        groups
            .iter()
            .filter(|group| Path::new(group).exists())
            .cloned(),
    );
    let lock = run.with_extension("lock");
    traces.extend(
        [run, &lock]
            .into_iter()
            .filter(|path| path.exists())
            .map(|path| path.display().to_string()),
    );
    traces
}

fn groups(run: &Path) -> Vec<String> {
    let groups: Vec<String> = host_file(run.join("cgroups"))
        .lines()
        .map(ToOwned::to_owned)
        .collect();
    assert!(!groups.is_empty(), "a guest has control groups");
    groups
}

fn host_file(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).expect("the file is there")
}

async fn gone(run: &Path, groups: &[String]) -> Result<(), Vec<String>> {
    gone_but(run, groups, None).await
}

/// The same, where traces that begin like this may stay.
async fn gone_but(run: &Path, groups: &[String], but: Option<&str>) -> Result<(), Vec<String>> {
    let started = Instant::now();
    loop {
        let mut left = traces(run, groups);
        left.retain(|trace| but.is_none_or(|but| !trace.starts_with(but)));
        if left.is_empty() {
            return Ok(());
        }
        if started.elapsed() > Duration::from_mins(1) {
            return Err(left);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn nothing_is_left_when_the_process_is_killed() {
    let mut victim = Victim::new();
    let groups = groups(&victim.run);
    assert!(
        traces(&victim.run, &groups).len() > groups.len() + 2,
        "the lab runs"
    );
    victim.kill();
    assert_eq!(gone(&victim.run, &groups).await, Ok(()));
}

#[tokio::test]
async fn nothing_is_left_when_the_lab_is_killed() {
    let mut victim = Victim::new();
    let groups = groups(&victim.run);
    kill_script(&victim.run, "lab.sh");
    // Who made a volume holds it.
    let volumes = Some("/dev/loop");
    assert_eq!(gone_but(&victim.run, &groups, volumes).await, Ok(()));
    victim.kill();
    assert_eq!(gone(&victim.run, &groups).await, Ok(()));
}

#[tokio::test]
async fn the_next_lab_removes_what_a_killed_janitor_left() {
    let mut victim = Victim::new();
    let groups = groups(&victim.run);
    kill_script(&victim.run, "janitor.sh");
    victim.kill();
    let rootfs = Rootfs::ready()
        .await
        .expect("the guests' file system is there");
    let lab = Lab::start(&rootfs).await.expect("the lab starts");
    assert_eq!(gone(&victim.run, &groups).await, Ok(()));
    lab.stop().await;
}

/// Kills the one process that runs this script of a lab, which is its first argument.
fn kill_script(run: &Path, script: &str) {
    let run = run.display();
    let wanted = format!("bash\0{run}/{script}\0{run}\0");
    let mut pids = std::fs::read_dir("/proc")
        .expect("/proc is there")
        .flatten()
        .filter(|entry| {
            std::fs::read(entry.path().join("cmdline"))
                .is_ok_and(|cmdline| cmdline.starts_with(wanted.as_bytes()))
        });
    let pid = pids
        .next()
        .unwrap_or_else(|| panic!("no process of {script}"))
        .file_name();
    let status = Command::new("kill")
        .arg("-KILL")
        .arg(pid)
        .status()
        .expect("kill runs");
    assert!(status.success());
}
