//! Signals to core and provider, and either of them killed, in the middle of an apply.

use std::{
    fmt, fs,
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use acceptance_tests::{
    guests::scripted::{AgentMood, Scenario},
    simulator::{Effect, Fault},
};
use tokio::process::{Child, Command};

use crate::scene::{Block, Scene, dormant, until, web};

/// An apply that waits for something that does not come.
pub(crate) struct Apply {
    child: Child,
    core: u32,
}

impl Apply {
    /// Begins to make a host whose guest says nothing, and returns when the provider waits for it.
    async fn of_a_silent_guest(scene: &mut Scene, host: &Block) -> Self {
        scene.guests.scenario(
            "web",
            Scenario {
                agent: AgentMood::Silent,
                ..Scenario::default()
            },
        );
        let apply = Self::start(scene, host);
        until("the guest to be asked", || {
            let pings = "/nodes/*/qemu/*/agent/ping";
            scene.stage.simulator.calls("POST", pings) > 0
        })
        .await;
        scene.guests.scenario("web", Scenario::default());
        apply
    }

    /// Core in a group of its own, as a shell starts it.
    pub(crate) fn start(scene: &mut Scene, config: &impl fmt::Display) -> Self {
        let temporary = scene.ws.path().join("../tmp");
        fs::create_dir_all(&temporary).expect("the workspace takes directories");
        scene.ws.set("TMPDIR", temporary);
        scene.ws.write("main.tf", &config.to_string());
        scene.forget();
        let mut command = scene.ws.command(&["apply", "-no-color", "-auto-approve"]);
        let child = command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the core runs");
        let core = child.id().expect("it runs");
        Self { child, core }
    }

    /// Core's only child.
    fn provider(&self) -> u32 {
        let path = format!("/proc/{0}/task", self.core);
        let tasks = fs::read_dir(path).expect("the core runs");
        let children: Vec<u32> = tasks
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok())
            .flat_map(|list| {
                let ids = list.split_whitespace().map(|id| id.parse().unwrap_or(0));
                ids.collect::<Vec<_>>()
            })
            .collect();
        let [provider] = children[..] else {
            panic!("one provider runs in an apply, not {children:?}");
        };
        provider
    }

    /// As a terminal does: core and provider get the signal.
    pub(crate) async fn interrupt(&self) {
        kill("INT", &format!("-{}", self.core)).await;
    }

    pub(crate) async fn end(self) -> (ExitStatus, String) {
        let ended = self.child.wait_with_output();
        let ended = tokio::time::timeout(Duration::from_mins(1), ended).await;
        let output = ended.expect("it ends soon").expect("it ends");
        let texts = [&output.stdout[..], &output.stderr].concat();
        let text = String::from_utf8_lossy(&texts);
        let words: Vec<_> = text
            .split_whitespace()
            .filter(|word| !matches!(*word, "│" | "╷" | "╵"))
            .collect();
        (output.status, words.join(" "))
    }
}

async fn kill(signal: &str, target: &str) {
    let option = format!("-{signal}");
    let sent = Command::new("kill").args([&option, "--", target]).status();
    assert!(sent.await.expect("kill runs").success());
}

/// What the provider has left in the temporary directory.
fn sockets(scene: &Scene) -> Vec<String> {
    let entries = fs::read_dir(scene.ws.path().join("../tmp")).expect("it is there");
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("plugin-"))
        .collect()
}

async fn tainted(scene: &Scene) -> bool {
    let host = scene.ws.resource("pmoves_docker_vm.web").await;
    host.is_some_and(|host| host["tainted"] == true)
}

/// Applies again, and checks that this makes one host, and that nothing is left when it goes.
async fn heals(scene: &Scene) {
    scene.settle(&web()).await;
    assert_eq!(scene.stage.simulator.vms().len(), 1);
    scene.ws.destroy().await.ok();
    assert_eq!(scene.stage.simulator.vms(), []);
    assert_eq!(sockets(scene), [""; 0]);
}

/// Lets the time of a cluster pass whose clock stands, until something is done.
pub(crate) async fn passing<T>(scene: &Scene, done: impl Future<Output = T>) -> T {
    let passing = async {
        loop {
            scene.stage.simulator.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        done = done => done,
        () = passing => unreachable!("it goes on"),
    }
}

/// Interrupts an apply once a task of a kind has begun, which does not end before it is stopped: time stands still.
pub(crate) async fn interrupted(scene: &mut Scene, config: &impl fmt::Display, kind: &str) {
    let apply = Apply::start(scene, config);
    let simulator = &scene.stage.simulator;
    let kind = format!(":{kind}:");
    let running = || {
        let mut tasks = simulator.tasks().into_iter();
        tasks.find(|(task, _)| task.contains(&kind))
    };
    // What comes before it takes its time.
    until("the task to run", || {
        if running().is_none() {
            simulator.advance(Duration::from_secs(1));
        }
        running().is_some()
    })
    .await;
    apply.interrupt().await;
    let ended = || running().is_some_and(|(_, exit)| exit.is_some());
    until("the task to end", ended).await;
    let (status, said) = passing(scene, apply.end()).await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("ancelled"), "{said}");
}

#[tokio::test]
async fn an_interrupt_leaves_a_host_that_is_known() {
    let mut scene = Scene::new().await;
    let apply = Apply::of_a_silent_guest(&mut scene, &web()).await;
    apply.interrupt().await;
    let (status, said) = apply.end().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("ancelled"), "{said}");
    assert!(tainted(&scene).await, "{said}");
    assert_eq!(scene.web("/id").await, "qemu/100");
    heals(&scene).await;
}

#[tokio::test]
async fn a_second_interrupt_ends_core_and_provider_at_once() {
    let mut scene = Scene::new().await;
    // What was sent is waited for, whatever core asks meanwhile.
    let slow = Effect::Delay(Duration::from_secs(60));
    let fault = Fault::new("POST", "/nodes/*/qemu", slow);
    scene.stage.simulator.fault(fault);
    let mut apply = Apply::start(&mut scene, &dormant());
    until("the seed to be there", || {
        let uploads = "/nodes/*/storage/*/upload";
        scene.stage.simulator.calls("POST", uploads) > 0
    })
    .await;
    let provider = apply.provider();
    apply.interrupt().await;
    let mut said = String::new();
    let stdout = apply.child.stdout.take().expect("it is a pipe");
    let mut lines = tokio::io::BufReader::new(stdout);
    while !said.contains("Interrupt received") {
        let read = tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut said).await;
        assert!(read.expect("core writes text") > 0, "{said}");
    }
    apply.interrupt().await;
    // Core would be held up by a pipe that nobody reads.
    let rest = tokio::io::AsyncReadExt::read_to_string(&mut lines, &mut said);
    let ((status, errors), _) = tokio::join!(apply.end(), rest);
    assert_eq!(status.code(), Some(1), "{said}{errors}");
    gone(provider).await;
    assert_eq!(sockets(&scene), [""; 0]);
    scene.stage.simulator.clear_faults();
    // What core could not hear of is not in its state, but the state is whole.
    scene.settle(&dormant()).await;
}

/// Waits until a process is gone.
async fn gone(process: u32) {
    let path = format!("/proc/{process}/status");
    until("the provider to end", || {
        // One that nobody has waited for yet is gone as well.
        fs::read_to_string(&path).map_or(true, |status| status.contains("State:\tZ"))
    })
    .await;
}

#[tokio::test]
async fn a_terminated_provider_leaves_a_host_that_is_known() {
    let mut scene = Scene::new().await;
    let apply = Apply::of_a_silent_guest(&mut scene, &web()).await;
    let provider = apply.provider();
    kill("TERM", &provider.to_string()).await;
    let (status, said) = apply.end().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(tainted(&scene).await, "{said}");
    gone(provider).await;
    heals(&scene).await;
}

#[tokio::test]
async fn a_killed_provider_leaves_a_host_that_the_next_create_names() {
    let mut scene = Scene::new().await;
    let host = web().with("vm_id", "100");
    let apply = Apply::of_a_silent_guest(&mut scene, &host).await;
    kill("KILL", &apply.provider().to_string()).await;
    let (status, said) = apply.end().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("Plugin did not respond"), "{said}");
    assert!(scene.ws.resource("pmoves_docker_vm.web").await.is_none());
    // Core forgot it, the cluster did not.
    let said = scene.apply(&host).await.refused();
    assert!(
        said.contains("if it is this very VM, import it with the id qemu/100"),
        "{said}"
    );
    scene
        .ws
        .run(&["import", "-no-color", "pmoves_docker_vm.web", "qemu/100"])
        .await
        .ok();
    scene.settle(&host).await;
    assert_eq!(scene.stage.simulator.vms().len(), 1);
    assert_eq!(sockets(&scene).len(), 1, "only the killed one's is left");
}

#[tokio::test]
async fn a_provider_that_is_killed_in_an_update_loses_nothing() {
    let mut scene = Scene::new().await;
    scene.settle(&dormant()).await;
    let apply = Apply::of_a_silent_guest(&mut scene, &web()).await;
    kill("KILL", &apply.provider().to_string()).await;
    let (status, said) = apply.end().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert_eq!(scene.web("/id").await, "qemu/100");
    assert!(!tainted(&scene).await);
    scene.settle(&web()).await;
    assert_eq!(scene.stage.simulator.vms().len(), 1);
}

#[tokio::test]
async fn a_provider_whose_core_is_killed_goes_by_itself() {
    let mut scene = Scene::new().await;
    let apply = Apply::of_a_silent_guest(&mut scene, &web()).await;
    let provider = apply.provider();
    kill("KILL", &apply.core.to_string()).await;
    let (status, _) = apply.end().await;
    assert_eq!(status.signal(), Some(9));
    gone(provider).await;
    assert_eq!(sockets(&scene), [""; 0]);
}
