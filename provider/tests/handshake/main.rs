//! The built binary as core meets it: started, handshaken, asked, signalled, left alone.

mod endings;
mod hostile;
mod peer;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use tokio::time::Instant;

use proto::{
    go_plugin::{
        Empty, grpc_broker_client::GrpcBrokerClient, grpc_controller_client::GrpcControllerClient,
        grpc_stdio_client::GrpcStdioClient,
    },
    health::{HealthCheckRequest, health_client::HealthClient},
    tfplugin6::{get_provider_schema, provider_client::ProviderClient},
};

use self::peer::{Connection, Identity, Plugin};

async fn schema(connection: &Connection) -> bool {
    let request = get_provider_schema::Request {};
    let mut provider = ProviderClient::new(connection.clone());
    let reply = provider.get_provider_schema(request).await;
    reply.is_ok_and(|reply| reply.get_ref().provider.is_some())
}

#[tokio::test]
async fn without_the_cookie_it_explains_itself_and_ends() {
    let mut command = Plugin::command();
    let output = command.env_remove("TF_PLUGIN_MAGIC_COOKIE").output().await;
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("is a plugin of OpenTofu"), "{told}");
}

#[tokio::test]
async fn it_tells_its_version_without_the_cookie() {
    let mut command = Plugin::command();
    command
        .env_remove("TF_PLUGIN_MAGIC_COOKIE")
        .arg("--version");
    let output = command.output().await.unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let wanted = format!("terraform-provider-pmoves {version} (protocol 6)\n");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), wanted);
    assert!(output.status.success());
}

#[tokio::test]
async fn the_line_tells_where_it_listens_and_nobody_else_gets_there() {
    let core = Identity::new();
    let mut plugin = Plugin::start(Some(&core)).await;
    let fields: Vec<&str> = plugin.line.split('|').collect();
    let [version, ours, network, path, protocol, certificate] = fields[..] else {
        panic!("{}", plugin.line);
    };
    assert_eq!(
        [version, ours, network, protocol],
        ["1", "6", "unix", "grpc"]
    );
    assert!(!certificate.contains('=') && certificate.len() > 50);
    let directory = Path::new(path).parent().unwrap().to_owned();
    let mode = fs::metadata(&directory).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    plugin.signal("TERM").await;
    assert_eq!(plugin.end().await, (Some(0), String::new()));
    assert!(!directory.exists());
}

#[tokio::test]
async fn core_is_served_until_it_asks_for_the_end() {
    let core = Identity::new();
    let mut plugin = Plugin::start(Some(&core)).await;
    let connection = plugin.connect(Some(&core)).await.unwrap();
    let service = "plugin".to_owned();
    let mut health = HealthClient::new(connection.clone());
    let reply = health.check(HealthCheckRequest { service }).await.unwrap();
    assert_eq!(reply.get_ref().status, 1);
    // Core keeps both streams open for as long as it lives.
    let mut stdio = GrpcStdioClient::new(connection.clone());
    let mut stdio = stdio.stream_stdio(()).await.unwrap().into_inner();
    let mut broker = GrpcBrokerClient::new(connection.clone());
    let offers = futures_util::stream::pending();
    let mut broker = broker.start_stream(offers).await.unwrap().into_inner();
    assert!(schema(&connection).await);
    let start = Instant::now();
    let mut controller = GrpcControllerClient::new(connection.clone());
    controller.shutdown(Empty {}).await.unwrap();
    assert!(stdio.message().await.unwrap().is_none());
    assert!(broker.message().await.unwrap().is_none());
    assert_eq!(plugin.end().await, (Some(0), String::new()));
    // It does not fall back on its own limit of a second, nor core on its own of two.
    assert!(start.elapsed() < Duration::from_millis(900));
}

#[tokio::test]
async fn only_the_owner_of_the_announced_certificate_is_served() {
    let core = Identity::new();
    let mut plugin = Plugin::start(Some(&core)).await;
    let other = Identity::new();
    let forged = core.with_key_of(&other);
    for stranger in [None, Some(&other), Some(&forged)] {
        let served = match plugin.connect(stranger).await {
            Ok(connection) => schema(&connection).await,
            Err(_) => false,
        };
        assert!(!served);
    }
    assert!(!schema(&plugin.connect_plain().await.unwrap()).await);
    // One that says nothing stands in nobody's way, not even at the end.
    let _silent = plugin.stream().await;
    assert!(schema(&plugin.connect(Some(&core)).await.unwrap()).await);
    plugin.signal("TERM").await;
    assert_eq!(plugin.end().await.0, Some(0));
}

#[tokio::test]
async fn without_a_certificate_it_serves_in_the_clear() {
    let mut plugin = Plugin::start(None).await;
    assert!(plugin.line.ends_with("|grpc|"), "{}", plugin.line);
    assert!(schema(&plugin.connect_plain().await.unwrap()).await);
    plugin.signal("TERM").await;
    assert_eq!(plugin.end().await.0, Some(0));
}

#[tokio::test]
async fn an_interrupt_is_left_to_core() {
    let core = Identity::new();
    let mut plugin = Plugin::start(Some(&core)).await;
    let connection = plugin.connect(Some(&core)).await.unwrap();
    for _ in 0..2 {
        plugin.signal("INT").await;
        assert!(schema(&connection).await);
    }
    plugin.signal("TERM").await;
    assert_eq!(plugin.end().await.0, Some(0));
}

#[tokio::test]
async fn it_ends_when_core_is_gone() {
    let core = Identity::new();
    let mut plugin = Plugin::start_as_grandchild(&core).await;
    let directory = plugin.socket().parent().unwrap().to_owned();
    let connection = plugin.connect(Some(&core)).await.unwrap();
    assert!(schema(&connection).await);
    plugin.kill_parent().await;
    // As long as a connection is open, somebody uses it.
    assert!(schema(&connection).await);
    drop(connection);
    assert_eq!(plugin.rest_of_stdout().await, "");
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_long_temporary_directory_is_no_obstacle() {
    let parent = tempfile::tempdir().unwrap();
    let long = parent.path().join("x".repeat(100));
    fs::create_dir(&long).unwrap();
    let mut plugin = Plugin::start_with(&[("TMPDIR", long.to_str().unwrap())]).await;
    assert!(schema(&plugin.connect_plain().await.unwrap()).await);
    plugin.signal("TERM").await;
    assert_eq!(plugin.end().await.0, Some(0));
}

#[tokio::test]
async fn a_debugged_provider_tells_how_to_reach_it_and_ends_with_an_interrupt() {
    let mut plugin = Plugin::start_debugged().await;
    let (name, json) = plugin.line.split_once('=').unwrap();
    assert_eq!(name, "TF_REATTACH_PROVIDERS");
    let json: serde_json::Value = serde_json::from_str(json.trim_matches('\'')).unwrap();
    let reattach = &json["registry.opentofu.org/cataclysm-studios/pmoves"];
    // Either core looks under its own registry.
    assert_eq!(
        *reattach,
        json["registry.terraform.io/cataclysm-studios/pmoves"]
    );
    assert_eq!(reattach["ProtocolVersion"], 6);
    assert_eq!(reattach["Test"], true);
    let path = reattach["Addr"]["String"].as_str().unwrap().to_owned();
    // Core comes and goes in this mode.
    for _ in 0..2 {
        let connection = Plugin::connect_plain_to(Path::new(&path)).await.unwrap();
        assert!(schema(&connection).await);
    }
    plugin.signal("INT").await;
    assert_eq!(plugin.end().await.0, Some(0));
}
