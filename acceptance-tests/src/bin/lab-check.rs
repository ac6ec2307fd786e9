//! Boots real guests and runs a container in each, to see that this machine can, and how fast.
//!
//! Knows nothing of the simulator and the provider; `tests/lab_cleanup.rs` kills it to see that nothing stays behind.

use std::process::ExitCode;
use std::sync::Arc;

use acceptance_tests::guests::{Lab, Rootfs, cd, shell};
use acceptance_tests::simulator::container::ContainerSpec;
use acceptance_tests::simulator::machine::{Disk, Hypervisor, Machine, Nic, Spec};
use lexopt::ValueExt as _;
use tokio::time::Instant;

const USAGE: &str = "lab-check [--guests N] [--container] [--hold]
    --guests N   how many to boot at once (default 1)
    --container  start an LXC container beside them
    --hold       keep them until stdin ends";

struct Options {
    guests: u8,
    container: bool,
    hold: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match options() {
        Ok(options) => check(options).await,
        Err(error) => Err(format!("{error}\n{USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab-check: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, lexopt::Error> {
    let mut options = Options {
        guests: 1,
        container: false,
        hold: false,
    };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("guests") => options.guests = arguments.value()?.parse()?,
            lexopt::Arg::Long("container") => options.container = true,
            lexopt::Arg::Long("hold") => options.hold = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

async fn check(options: Options) -> Result<(), String> {
    Lab::available()?;
    let rootfs = Rootfs::ready().await?;
    let started = Instant::now();
    let lab = Lab::start(&rootfs).await?;
    eprintln!(
        "{:5.1} s  lab in {}",
        started.elapsed().as_secs_f32(),
        lab.directory().display()
    );
    let mut boots = tokio::task::JoinSet::new();
    for number in 1..=options.guests {
        let lab = lab.clone();
        boots.spawn(async move { boot(&lab, number, started).await });
    }
    let container = match options.container {
        true => Some(lab.start_container(container()).await?),
        false => None,
    };
    if container.is_some() {
        let seconds = started.elapsed().as_secs_f32();
        eprintln!("{seconds:5.1} s  container: started");
    }
    let mut machines = Vec::new();
    while let Some(booted) = boots.join_next().await {
        machines.push(booted.map_err(|panic| panic.to_string())??);
    }
    if options.hold {
        eprintln!("holding");
        std::io::stdin().lines().for_each(drop);
    }
    if let Some(container) = container {
        container.shutdown().await;
        let exit = container.ended().await;
        let seconds = started.elapsed().as_secs_f32();
        eprintln!("{seconds:5.1} s  container: {exit:?}");
    }
    for machine in machines {
        machine.powerdown().await;
        let exit = machine.ended().await;
        eprintln!("{:5.1} s  {exit:?}", started.elapsed().as_secs_f32());
    }
    lab.stop().await;
    eprintln!("{:5.1} s  all gone", started.elapsed().as_secs_f32());
    Ok(())
}

async fn boot(lab: &Lab, number: u8, started: Instant) -> Result<Arc<dyn Machine>, String> {
    let say = |what: &str| {
        let seconds = started.elapsed().as_secs_f32();
        eprintln!("{seconds:5.1} s  guest {number}: {what}");
    };
    let machine = lab.start(spec(number)).await?;
    say("started");
    shell::agent(machine.as_ref()).await?;
    say("agent answers");
    shell::run(
        machine.as_ref(),
        "cloud-init status --wait && test -e /run/cloud-init/result.json",
    )
    .await?;
    say("cloud-init is done");
    let image = format!("{}/demo/web:1", lab.registry());
    let page = shell::run(
        machine.as_ref(),
        &format!("docker run --rm {image} cat /www/index.html"),
    )
    .await?;
    say(&format!("a container says: {}", page.trim()));
    Ok(machine)
}

fn spec(number: u8) -> Spec {
    let mac = format!("bc:24:11:00:00:{number:02x}");
    let network = format!(
        "version: 2\nethernets:\n  net0:\n    match: {{macaddress: '{mac}'}}\n    addresses: [198.51.100.{}/24]\n    \
         routes: [{{to: 0.0.0.0/0, via: 198.51.100.1}}]\n",
        10 + number
    );
    Spec {
        vmid: 100 + u32::from(number),
        node: "pve1".to_owned(),
        name: format!("check{number}"),
        memory_mib: 1024,
        cores: 1,
        nics: vec![Nic {
            slot: "net0".to_owned(),
            mac,
            bridge: "vmbr0".to_owned(),
        }],
        disks: vec![Disk {
            slot: "scsi0".to_owned(),
            volume: format!("local:{number}"),
            serial: None,
            bytes: 1 << 30,
            image: Some("local:import/debian-docker.qcow2".to_owned()),
        }],
        cdrom: Some(cd::seed(&[
            ("meta-data", &format!("instance-id: check-{number}\n")),
            (
                "user-data",
                &format!("#cloud-config\nhostname: check{number}\n"),
            ),
            ("network-config", &network),
        ])),
        agent: true,
    }
}

fn container() -> ContainerSpec {
    let disk = |slot: &str| Disk {
        slot: slot.to_owned(),
        volume: format!("local-lvm:{slot}"),
        serial: None,
        bytes: 2 << 30,
        image: None,
    };
    ContainerSpec {
        vmid: 300,
        node: "pve1".to_owned(),
        hostname: "container".to_owned(),
        memory_mib: 512,
        swap_mib: 0,
        cores: None,
        template: Some("local:vztmpl/debian-13.tar.zst".to_owned()),
        nics: Vec::new(),
        root: disk("rootfs"),
        mounts: vec![("/opt/appdata".to_owned(), disk("mp0"))],
        nesting: true,
        unprivileged: true,
        nameservers: None,
        ssh_keys: None,
    }
}
