//! `pve-sim` as others use it: by itself, with a client in Python, over a restart.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use acceptance_tests::guests::cache;

const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients");

/// A `pve-sim` that runs.
struct Sim {
    process: Child,
    endpoint: String,
    /// Its CA, in a file.
    ca: PathBuf,
}

impl Sim {
    fn start(directory: &Path, options: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_pve-sim"))
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it is built");
        let lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let mut said = Vec::new();
        for line in lines {
            said.push(line.expect("it is text"));
            if said
                .last()
                .is_some_and(|line| line == "-----END CERTIFICATE-----")
            {
                break;
            }
        }
        let value = |name: &str| {
            let line = said.iter().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name}: {said:?}"))
                .trim()
                .to_owned()
        };
        let pem = said
            .iter()
            .skip_while(|line| !line.starts_with("-----BEGIN"));
        let pem: Vec<&str> = pem.map(String::as_str).collect();
        let ca = directory.join("ca.pem");
        fs::write(&ca, pem.join("\n")).expect("the directory is ours");
        Self {
            endpoint: value("endpoint:"),
            ca,
            process,
        }
    }

    /// Ends it as a service manager does.
    fn stop(mut self) {
        let id = self.process.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        assert!(asked.expect("kill runs").success());
        assert!(self.process.wait().expect("it ends").success());
    }
}

/// The Python of an environment with the clients, which is made at the first use.
fn python() -> PathBuf {
    let wanted = fs::read_to_string(format!("{CLIENTS}/requirements.txt")).expect("it is there");
    let place = cache().join("python-clients");
    let (python, stamp) = (place.join("bin/python"), place.join("requirements.txt"));
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
        let made = Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&place)
            .status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "Python 3 with venv is missing: on Debian, 'apt-get install python3-venv' as root."
        );
        let installed = Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
            ])
            .arg(format!("{CLIENTS}/requirements.txt"))
            .status();
        assert!(
            installed.is_ok_and(|status| status.success()),
            "pip could not install clients/requirements.txt; its words are above."
        );
        fs::write(&stamp, wanted).expect("the cache is ours");
    }
    python
}

#[test]
fn a_python_client_works_on_it_over_a_restart() {
    let directory = tempfile::tempdir().expect("there is a place for temporary files");
    let state = directory.path().join("state.json");
    let state = state.to_str().expect("it is text");
    let options = [
        "--state",
        state,
        "--nodes",
        "pve7",
        "--user",
        "me@pve=secret:VM.Audit",
    ];
    for options in [&options[..], &options[..2]] {
        let sim = Sim::start(directory.path(), options);
        let output = Command::new(python())
            .arg(format!("{CLIENTS}/vm.py"))
            .args([&sim.endpoint, "simulated"])
            .arg(&sim.ca)
            .output()
            .expect("Python runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n", "{said}");
        sim.stop();
        let saved = fs::read_to_string(state).expect("it is saved");
        assert!(
            saved.contains("\"pve7\"") && saved.contains("me@pve"),
            "{saved}"
        );
    }
}

#[test]
fn mistakes_on_the_command_line_are_told() {
    for (options, expected) in [
        (
            &["--pve", "7.4"][..],
            "release 7.4 is not simulated, only 8.4, 9.0, 9.1, 9.2",
        ),
        (&["--storage", "x"], "cannot read storage 'x'"),
        (&["--user", "me"], "cannot read user 'me'"),
        (&["--fault", "{}"], "missing field `method`"),
        (&["--state", "/"], "/: Is a directory"),
        (&["--brand"], "invalid option '--brand'"),
    ] {
        let ran = Command::new(env!("CARGO_BIN_EXE_pve-sim"))
            .args(options)
            .output();
        let ran = ran.expect("it is built");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(
            !ran.status.success() && said.contains(expected),
            "{options:?}: {said}"
        );
    }
    let help = Command::new(env!("CARGO_BIN_EXE_pve-sim"))
        .arg("--help")
        .output();
    let help = help.expect("it is built");
    assert!(help.status.success());
    assert!(String::from_utf8_lossy(&help.stdout).contains("/sim/faults"));
}
