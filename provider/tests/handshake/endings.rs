//! Signals, a core that dies and outputs that nobody reads, while requests run and while none do.

#![expect(clippy::unwrap_used, reason = "only tests call this")]

use std::{io, process::Stdio};

use proto::tfplugin6::{
    DynamicValue, configure_provider, diagnostic::Severity, provider_client::ProviderClient,
    read_resource,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    peer::{Connection, Identity, Plugin},
    schema,
};

/// A node that takes calls and never answers.
struct Silent(TcpListener);

impl Silent {
    async fn new() -> Self {
        Self(TcpListener::bind(("127.0.0.1", 0)).await.unwrap())
    }

    /// Configures a provider for this node and has it read an image. Returns once it is at it.
    async fn asked(&self, connection: &Connection) -> (Answer, TcpStream) {
        let json = |text: String| DynamicValue {
            json: text.into(),
            ..DynamicValue::default()
        };
        let mut provider = ProviderClient::new(connection.clone());
        let config = json(format!(
            r#"{{"endpoint":"https://{}","insecure":true,"api_token":"a@pve!b=00000000-0000-0000-0000-000000000000"}}"#,
            self.0.local_addr().unwrap()
        ));
        let request = configure_provider::Request {
            config: Some(config),
            ..Default::default()
        };
        let reply = provider.configure_provider(request).await.unwrap();
        assert_eq!(reply.get_ref().diagnostics, []);
        let state = json(
            r#"{"id":"local:import/a.qcow2","node_name":"pve1","datastore_id":"local","url":"https://x/a.qcow2","file_name":"a.qcow2","content_type":"import"}"#
                .to_owned(),
        );
        let request = read_resource::Request {
            type_name: "pmoves_image".to_owned(),
            current_state: Some(state),
            ..Default::default()
        };
        let answer = tokio::spawn(async move { provider.read_resource(request).await });
        let (stream, _) = self.0.accept().await.unwrap();
        (answer, stream)
    }
}

type Answer = JoinHandle<Result<tonic::Response<read_resource::Response>, tonic::Status>>;

#[tokio::test]
async fn a_terminated_provider_answers_what_runs_before_it_ends() {
    let core = Identity::new();
    let mut plugin = Plugin::start(Some(&core)).await;
    let connection = plugin.connect(Some(&core)).await.unwrap();
    let node = Silent::new().await;
    let (answer, _call) = node.asked(&connection).await;
    plugin.signal("TERM").await;
    let reply = answer.await.unwrap().unwrap().into_inner();
    let [told] = &reply.diagnostics[..] else {
        panic!("{reply:?}");
    };
    assert_eq!(told.severity(), Severity::Error);
    assert!(told.detail.contains("ancelled"), "{told:?}");
    assert!(reply.new_state.is_some());
    assert_eq!(plugin.end().await.0, Some(0));
    assert!(plugin.is_clean());
}

#[tokio::test]
async fn a_core_that_dies_in_the_middle_leaves_no_process_behind() {
    let core = Identity::new();
    let mut plugin = Plugin::start_as_grandchild(&core).await;
    let connection = plugin.connect(Some(&core)).await.unwrap();
    let node = Silent::new().await;
    let (answer, _call) = node.asked(&connection).await;
    plugin.kill_parent().await;
    answer.abort();
    drop(connection);
    assert_eq!(plugin.rest_of_stdout().await, "");
    assert!(plugin.is_clean());
}

/// The end of a pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[tokio::test]
async fn a_line_that_nobody_reads_ends_it() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = Plugin::command();
    let process = command
        .env("TMPDIR", temporary.path())
        .stdout(unread())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output = process.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("Broken pipe"), "{told}");
    assert!(temporary.path().read_dir().unwrap().next().is_none());
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    let mut command = Plugin::command();
    command.env("TF_LOG", "TRACE").stderr(unread());
    let mut plugin = Plugin::of(command).await;
    let connection = plugin.connect_plain().await.unwrap();
    assert!(schema(&connection).await);
    plugin.signal("TERM").await;
    assert_eq!(plugin.end().await, (Some(0), String::new()));
}
