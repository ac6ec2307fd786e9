//! The simulator on its own: starts, prints how to reach it, and runs until it is interrupted.
//!
//! Its guests exist in memory only; guests that really run are the acceptance tests' business.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use acceptance_tests::simulator::{Fault, Options, Simulator, Storage, admin};
use tokio::signal::unix::{SignalKind, signal};

const HELP: &str = "\
Usage: pve-sim [OPTION]…

Starts a simulated Proxmox VE on 127.0.0.1 and prints endpoint, token and fingerprint. Its guests exist
in memory only.

  --port PORT          the port (a free one)
  --pve RELEASE        the release of Proxmox VE: 8.4, 9.0, 9.1 or 9.2 (9.2)
  --nodes NAME,…       the names of the nodes (pve1)
  --storage ID=TYPE:CONTENT,…
                       a storage, instead of local and local-lvm; TYPE is dir or lvmthin
  --user NAME@pve=PASSWORD:PRIVILEGE,…
                       a user who has these privileges on /
  --task-time FACTOR   how long tasks take, 1 is as on a real node (0.02)
  --state FILE         begins with the state in FILE, if it is there, instead of nodes and storages, and
                       leaves the state there in the end
  --fault JSON         a fault, as POST /sim/faults below takes it
  --help               this text

The simulator itself is steered by requests to the same port, without credentials:

";

/// What the command line asks for.
#[derive(Default)]
struct Wishes {
    options: Options,
    users: Vec<User>,
    faults: Vec<Fault>,
    file: Option<PathBuf>,
}

struct User {
    name: String,
    password: String,
    privileges: String,
}

fn main() -> ExitCode {
    let wishes = match arguments() {
        Ok(Some(wishes)) => wishes,
        Ok(None) => {
            print(&format!("{HELP}{}", admin::HELP));
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}; pve-sim --help tells the options");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Runtime::new().expect("the system allows threads");
    match runtime.block_on(run(wishes)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Option<Wishes>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut wishes = Wishes::default();
    let options = &mut wishes.options;
    options.admin = true;
    let mut storages = Vec::new();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("port") => options.port = parser.value()?.parse()?,
            Long("pve") => options.release = parser.value()?.parse()?,
            Long("nodes") => {
                let names = parser.value()?.string()?;
                options.nodes = names.split(',').map(str::to_owned).collect();
            }
            Long("storage") => {
                let text = parser.value()?.string()?;
                let storage = storage(&text);
                storages.push(storage.ok_or_else(|| format!("cannot read storage '{text}'"))?);
            }
            Long("user") => {
                let text = parser.value()?.string()?;
                let user = user(&text);
                wishes
                    .users
                    .push(user.ok_or_else(|| format!("cannot read user '{text}'"))?);
            }
            Long("task-time") => options.task_time = parser.value()?.parse()?,
            Long("state") => wishes.file = Some(parser.value()?.into()),
            Long("fault") => {
                let read = |text: &str| serde_json::from_str(text);
                wishes.faults.push(parser.value()?.parse_with(read)?);
            }
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    if !storages.is_empty() {
        options.storages = storages;
    }
    Ok(Some(wishes))
}

/// A user of `NAME=PASSWORD:PRIVILEGE,…`.
fn user(text: &str) -> Option<User> {
    let (name, rest) = text.split_once('=')?;
    let (password, privileges) = rest.split_once(':')?;
    name.contains('@').then(|| User {
        name: name.to_owned(),
        password: password.to_owned(),
        privileges: privileges.to_owned(),
    })
}

/// A storage of `ID=TYPE:CONTENT,…`.
fn storage(text: &str) -> Option<Storage> {
    let (id, rest) = text.split_once('=')?;
    let (kind, content) = rest.split_once(':')?;
    let path = if id == "local" {
        "/var/lib/vz".to_owned()
    } else {
        format!("/mnt/pve/{id}")
    };
    match kind {
        "dir" => Some(Storage::dir(id, &path, content)),
        "lvmthin" => Some(Storage::lvmthin(id, content)),
        _ => None,
    }
}

async fn run(wishes: Wishes) -> io::Result<()> {
    let Wishes {
        mut options,
        users,
        faults,
        file,
    } = wishes;
    if let Some(file) = &file {
        options.saved = match std::fs::read_to_string(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read.map_err(|error| about(file, &error))?),
        };
    }
    let password = options.root_password.clone();
    let simulator = Simulator::start(options).await?;
    for user in users {
        simulator.add_user(&user.name, &user.password, &user.privileges);
    }
    for fault in faults {
        simulator.fault(fault);
    }
    print(&format!(
        "endpoint:    {}\ntoken:       {}\nlogin:       root@pam, password {password}\nfingerprint: {}\n{}",
        simulator.endpoint(),
        simulator.token(),
        simulator.fingerprint(),
        simulator.ca_pem(),
    ));
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    match &file {
        Some(file) => save(file, &simulator.save()).map_err(|error| about(file, &error)),
        None => Ok(()),
    }
}

/// Writes the file in one step, for its owner only: it has secrets.
fn save(file: &Path, text: &str) -> io::Result<()> {
    let part = file.with_added_extension("part");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&part)?.write_all(text.as_bytes())?;
    std::fs::rename(part, file)
}

fn about(file: &Path, error: &io::Error) -> io::Error {
    io::Error::other(format!("{}: {error}", file.display()))
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that is gone does not stop the server.
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .ok();
}
