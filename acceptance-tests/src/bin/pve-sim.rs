//! The simulator on its own: starts, prints how to reach it, and runs until it is interrupted.
//!
//! Its VMs exist in memory only; guests that really run are the acceptance tests' business.

use std::io::Write as _;
use std::process::ExitCode;

use acceptance_tests::simulator::{Options, Simulator, Storage};

const HELP: &str = "\
Usage: pve-sim [--nodes NAME,NAME] [--task-time FACTOR] [--storage ID=TYPE:CONTENT]…

Starts a simulated Proxmox VE on a free port of 127.0.0.1 and prints endpoint, token and fingerprint.

  --nodes NAME,…       the names of the nodes (pve1)
  --task-time FACTOR   how long tasks take, 1 is as on a real node (0.02)
  --storage ID=TYPE:CONTENT,…
                       a storage, instead of local and local-lvm; TYPE is dir or lvmthin
  --help               this text
";

fn main() -> ExitCode {
    let options = match arguments() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print(HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{HELP}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Runtime::new().expect("the system allows threads");
    match runtime.block_on(run(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Option<Options>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut options = Options::default();
    let mut storages = Vec::new();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("nodes") => {
                options.nodes = parser
                    .value()?
                    .string()?
                    .split(',')
                    .map(str::to_owned)
                    .collect();
            }
            Long("task-time") => options.task_time = parser.value()?.parse()?,
            Long("storage") => {
                let text = parser.value()?.string()?;
                let storage =
                    storage(&text).ok_or_else(|| format!("cannot read storage '{text}'"))?;
                storages.push(storage);
            }
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    if !storages.is_empty() {
        options.storages = storages;
    }
    Ok(Some(options))
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

async fn run(options: Options) -> std::io::Result<()> {
    let password = options.root_password.clone();
    let simulator = Simulator::start(options).await?;
    print(&format!(
        "endpoint:    {}\ntoken:       {}\nlogin:       root@pam, password {password}\nfingerprint: {}\n{}",
        simulator.endpoint(),
        simulator.token(),
        simulator.fingerprint(),
        simulator.ca_pem(),
    ));
    tokio::signal::ctrl_c().await
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that is gone does not stop the server.
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .ok();
}
