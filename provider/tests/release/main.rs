//! What a release costs, by counts and sizes: `./x release` builds one and runs these tests on it.
//!
//! Times are only told, since they are the machine's.

#[path = "../handshake/peer.rs"]
#[expect(dead_code, reason = "the tests of the handshake need more of it")]
mod peer;

use std::{fs, io::Write as _, path::PathBuf, process::Stdio, time::Duration};

use peer::{Connection, Identity, Plugin};
use proto::tfplugin6::{
    DynamicValue, RawState, get_provider_schema, provider_client::ProviderClient,
    upgrade_resource_state, validate_resource_config,
};
use tokio::{process::Command, time::Instant};

const MB: usize = 1_000_000;

/// The release, which is not what cargo built for this test.
fn release() -> PathBuf {
    let path = std::env::var_os("PMOVES_PROVIDER").map(PathBuf::from);
    let path = path.expect("PMOVES_PROVIDER names the release: run `./x release`");
    assert!(
        path.components().any(|part| part.as_os_str() == "release"),
        "PMOVES_PROVIDER names another build than a release: run `./x release`"
    );
    path
}

fn tell(what: &str, value: impl std::fmt::Display) {
    // A reader that is gone needs no numbers.
    let _ = writeln!(std::io::stderr(), "{what:40} {value}");
}

/// Bytes of a line of `/proc/PID/status`.
fn memory(plugin: &Plugin, line: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", plugin.id()));
    let status = status.expect("the plugin runs");
    let value = status.lines().find_map(|text| text.strip_prefix(line));
    let kib = value.expect(line).trim_start_matches(':').trim();
    kib.trim_end_matches(" kB")
        .parse::<usize>()
        .expect("a number")
        * 1024
}

/// Time that the process has spent on a CPU.
fn cpu(plugin: &Plugin) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/schedstat", plugin.id()));
    let stat = stat.expect("the plugin runs");
    let nanos = stat.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanos.expect("a number"))
}

fn megabytes(bytes: usize) -> String {
    format!("{}.{} MB", bytes / MB, bytes % MB / (MB / 10))
}

async fn client(plugin: &Plugin, core: &Identity) -> ProviderClient<Connection> {
    ProviderClient::new(plugin.connect(Some(core)).await.expect("it answers"))
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX)
}

async fn started() -> (Plugin, Identity) {
    release();
    let core = Identity::new();
    (Plugin::start(Some(&core)).await, core)
}

#[test]
fn it_is_small() {
    let size = usize::try_from(fs::metadata(release()).unwrap().len()).unwrap();
    tell("binary", megabytes(size));
    assert!(size <= 10 * MB, "{size}");
}

#[tokio::test]
async fn few_system_calls_come_before_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let mut plain = Plugin::command();
    let mut command = Command::new("strace");
    command.args(["-f", "-o"]).arg(&trace).arg(release());
    for (name, value) in plain.as_std_mut().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .env("PLUGIN_CLIENT_CERT", Identity::new().pem())
        .stderr(Stdio::null());
    let tool = Command::new("strace").arg("-V").output().await;
    assert!(
        tool.is_ok(),
        "strace is missing: install it, on Debian with 'apt-get install strace'"
    );
    drop(Plugin::of(command).await);
    let trace = fs::read_to_string(trace).unwrap();
    let calls = trace
        .lines()
        .position(|line| line.contains("write(1, \"1|6|"));
    let calls = calls.unwrap();
    tell("system calls before the line", calls);
    assert!(calls <= 100, "{trace}");
}

#[tokio::test]
async fn little_memory_is_touched_until_there_is_work() {
    let (plugin, core) = started().await;
    let line = memory(&plugin, "VmHWM");
    tell("memory at the line", megabytes(line));
    assert!(line <= 4 * MB, "{line}");
    let mut provider = client(&plugin, &core).await;
    let since = Instant::now();
    let before = cpu(&plugin);
    provider
        .get_provider_schema(get_provider_schema::Request {})
        .await
        .unwrap();
    tell(
        "first schema",
        format!(
            "{:?}, {:?} of CPU",
            since.elapsed(),
            cpu(&plugin).saturating_sub(before)
        ),
    );
    let schema = memory(&plugin, "VmHWM");
    tell("memory after the schema", megabytes(schema));
    assert!(schema <= 8 * MB, "{schema}");
}

/// As core asks for a thousand resources.
#[tokio::test]
async fn a_thousand_resources_leave_nothing_behind() {
    let (plugin, core) = started().await;
    let mut provider = client(&plugin, &core).await;
    let state = br#"{"name":"web","node_name":"pve1","image":{"id":"local:import/a.qcow2"},"os_disk":{"datastore_id":"local-lvm","size_gb":4}}"#;
    let config = DynamicValue {
        json: state.to_vec().into(),
        ..DynamicValue::default()
    };
    let before = cpu(&plugin);
    for _ in 0..1_000 {
        let request = validate_resource_config::Request {
            type_name: "pmoves_docker_vm".to_owned(),
            config: Some(config.clone()),
            ..Default::default()
        };
        let reply = provider.validate_resource_config(request).await.unwrap();
        assert_eq!(reply.get_ref().diagnostics, []);
    }
    tell(
        "CPU of one validation",
        format!("{:?}", (cpu(&plugin).saturating_sub(before)) / 1_000),
    );
    let peak = memory(&plugin, "VmHWM");
    tell("memory after 1,000 validations", megabytes(peak));
    assert!(peak <= 12 * MB, "{peak}");
}

#[tokio::test]
async fn a_large_value_is_held_twice_at_most_and_given_back() {
    let (plugin, core) = started().await;
    let mut provider = client(&plugin, &core).await;
    for size in [10 * MB, 100 * MB] {
        let mut json = br#"{"url":""#.to_vec();
        json.resize(json.len() + size, b'x');
        json.extend(br#""}"#);
        let raw_state = RawState {
            json: json.into(),
            ..RawState::default()
        };
        let request = upgrade_resource_state::Request {
            type_name: "pmoves_image".to_owned(),
            raw_state: Some(raw_state),
            ..Default::default()
        };
        let since = Instant::now();
        let reply = provider.upgrade_resource_state(request).await.unwrap();
        assert!(
            reply
                .get_ref()
                .upgraded_state
                .as_ref()
                .unwrap()
                .msgpack
                .len()
                > size
        );
        let peak = memory(&plugin, "VmHWM");
        tell(
            &format!("memory for a value of {}", megabytes(size)),
            format!(
                "{} in {:?}, afterwards {}",
                megabytes(peak),
                since.elapsed(),
                megabytes(memory(&plugin, "VmRSS"))
            ),
        );
        if size == 100 * MB {
            assert!(peak <= size / 10 * 22, "{peak}");
        }
        assert!(memory(&plugin, "VmRSS") <= 20 * MB);
    }
}
