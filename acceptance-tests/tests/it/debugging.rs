//! What somebody meets who looks into the provider: a log that tells all, and a process of their own.

use std::{collections::BTreeSet, process::Stdio};

use acceptance_tests::tofu;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use crate::scene::{Scene, dormant, web};

/// One line of core's log that is the provider's, as `key=value` fields.
struct Line<'a>(&'a str);

impl<'a> Line<'a> {
    fn field(&self, name: &str) -> Option<&'a str> {
        let (_, rest) = self.0.split_once(&format!(" {name}="))?;
        match rest.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => rest.split(' ').next(),
        }
    }
}

#[tokio::test]
async fn the_log_tells_every_request_and_every_call() {
    let mut scene = Scene::new().await;
    let path = scene.ws.path().join("trace.log");
    scene.ws.set("TF_LOG", "TRACE");
    scene.ws.set("TF_LOG_PATH", &path);
    scene.apply(&web()).await.ok();
    let log = std::fs::read_to_string(path).expect("core writes its log");
    let lines: Vec<Line> = log
        .lines()
        .filter(|line| line.contains("provider.terraform-provider-pmoves"))
        .map(Line)
        .collect();

    let requests: BTreeSet<_> = lines
        .iter()
        .filter(|line| line.0.contains(": answered:"))
        .filter(|line| {
            line.field("duration")
                .is_some_and(|time| time.ends_with('s'))
        })
        .filter_map(|line| Some((line.field("rpc")?, line.field("type").unwrap_or_default())))
        .collect();
    for wanted in [
        ("GetProviderSchema", ""),
        ("ValidateProviderConfig", ""),
        ("ConfigureProvider", ""),
        ("ValidateResourceConfig", "pmoves_docker_vm"),
        ("PlanResourceChange", "pmoves_docker_vm"),
        ("ApplyResourceChange", "pmoves_docker_vm"),
    ] {
        assert!(requests.contains(&wanted), "{wanted:?}: {requests:?}");
    }

    let told: BTreeSet<_> = lines
        .iter()
        .filter(|line| {
            line.field("ms")
                .is_some_and(|time| time.parse::<u64>().is_ok())
        })
        .filter_map(|line| {
            Some([
                line.field("method")?,
                line.field("path")?,
                line.field("status")?,
            ])
        })
        .collect();
    let journal = scene.stage.simulator.journal();
    assert!(journal.len() > 10);
    for call in journal {
        let status = call.status.to_string();
        let wanted = [call.method.as_str(), &call.path, &status];
        assert!(told.contains(&wanted), "{wanted:?}: {told:#?}");
    }
}

#[tokio::test]
async fn core_works_with_a_provider_that_somebody_else_started() {
    let mut scene = Scene::new().await;
    let mut command = Command::new(tofu::provider().expect("the provider is built"));
    let mut provider = command
        .arg("--debug")
        .envs(scene.stage.variables())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the provider runs");
    let stdout = provider.stdout.take().expect("it is a pipe");
    let mut line = String::new();
    let read = BufReader::new(stdout).read_line(&mut line).await;
    read.expect("the provider tells how to reach it");
    let (name, value) = line.trim().split_once('=').expect("it is an assignment");
    assert_eq!(name, "TF_REATTACH_PROVIDERS");
    scene.ws.set(name, value.trim_matches('\''));
    // Nothing but the process can tell core where the cluster is.
    scene.ws.set("PROXMOX_VE_ENDPOINT", "https://127.0.0.1:1");

    scene.settle(&dormant()).await;
    scene
        .settle(&dormant().with("description", r#""debugged""#))
        .await;
    scene.ws.destroy().await.ok();
    assert_eq!(scene.stage.simulator.vms(), []);

    let id = provider.id().expect("it still runs").to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().await;
    assert!(sent.expect("kill runs").success());
    let status = provider.wait().await.expect("it ends");
    assert_eq!(status.code(), Some(0));
}
