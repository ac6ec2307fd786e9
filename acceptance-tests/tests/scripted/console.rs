//! Consoles of containers as a client of the API uses them: with a scripted container behind.

use std::sync::Arc;
use std::time::Duration;

use acceptance_tests::guests::scripted::ScriptedHypervisor;
use acceptance_tests::simulator::{Options, Release, Simulator};
use futures_util::{SinkExt, StreamExt};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_websockets::{ClientBuilder, Message, WebSocketStream};

use super::SHIM;

const NODE: &str = "/api2/json/nodes/pve1";
const TEMPLATE: &str = "local:vztmpl/debian-13-standard_13.0-1_amd64.tar.zst";

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_mins(1);

/// A cluster with a running container, and a client of it.
struct Lab {
    simulator: Simulator,
    hypervisor: Arc<ScriptedHypervisor>,
    http: reqwest::Client,
    token: String,
}

impl Lab {
    async fn new(release: Release, cmode: &str) -> Self {
        let hypervisor = ScriptedHypervisor::new(SHIM.as_ref());
        let hypervisor = Arc::new(hypervisor.expect("this machine runs scripted guests"));
        let options = Options {
            release,
            hypervisor: hypervisor.clone(),
            task_time: 0.0,
            login_delay: Duration::ZERO,
            ..Options::default()
        };
        let simulator = Simulator::start(options).await;
        let simulator = simulator.expect("loopback has a free port");
        simulator.put_file("pve1", TEMPLATE, Vec::new());
        let ca = reqwest::Certificate::from_pem(simulator.ca_pem().as_bytes());
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([ca.expect("it is PEM")])
            .build();
        let token = simulator.token_with(
            "Datastore.Allocate Datastore.AllocateSpace SDN.Use VM.Allocate VM.Audit VM.Console \
             VM.Config.Options VM.Config.Network VM.Config.Disk VM.Config.Memory VM.PowerMgmt",
        );
        let lab = Self {
            simulator,
            hypervisor,
            http: http.expect("the client builds"),
            token,
        };
        let container = json!({
            "vmid": 300, "ostemplate": TEMPLATE, "rootfs": "local-lvm:1", "cmode": cmode,
            "hostname": "con1", "unprivileged": 1, "features": "nesting=1",
            "net0": "name=eth0,bridge=vmbr0,ip=dhcp",
        });
        lab.task("/lxc", container).await;
        lab
    }

    async fn running(release: Release, cmode: &str) -> Self {
        let lab = Self::new(release, cmode).await;
        lab.task("/lxc/300/status/start", json!({})).await;
        lab
    }

    async fn post(&self, path: &str, params: Value) -> Value {
        let url = format!("{}{NODE}{path}", self.simulator.endpoint());
        let request = self.http.post(url).body(params.to_string());
        let request = request
            .header("authorization", format!("PVEAPIToken={}", self.token))
            .header("content-type", "application/json");
        let answer = request.send().await.expect("there is an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let mut body: Value = answer.json().await.expect("it is JSON");
        body["data"].take()
    }

    async fn task(&self, path: &str, params: Value) {
        let upid = self.post(path, params).await;
        let upid = upid.as_str().expect("it is a UPID");
        let exit = timeout(PATIENCE, self.simulator.task_end(upid)).await;
        let exit = exit.expect("it ends");
        assert!(
            exit == "OK" || exit.starts_with("WARNINGS"),
            "{path}: {exit}"
        );
    }

    /// Asks for a console: user, ticket, port.
    async fn console(&self) -> (String, String, u64) {
        let given = self.post("/lxc/300/termproxy", json!({})).await;
        let text = |key: &str| given[key].as_str().unwrap_or_default().to_owned();
        let port = given["port"].as_u64().unwrap_or_default();
        assert!((5900..6000).contains(&port), "{given}");
        (text("user"), text("ticket"), port)
    }

    /// The answer to the handshake of a websocket.
    async fn handshake(&self, ticket: &str, port: u64) -> reqwest::Response {
        let endpoint = self.simulator.endpoint();
        // The ticket is of letters, digits and colons.
        let url = format!("{endpoint}{NODE}/lxc/300/vncwebsocket?port={port}&vncticket={ticket}");
        let request = self.http.get(url);
        let request = request
            .header("authorization", format!("PVEAPIToken={}", self.token))
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            // The example of RFC 6455, section 1.3.
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        request.send().await.expect("there is an answer")
    }

    async fn open(&self) -> Terminal {
        let (user, ticket, port) = self.console().await;
        let answer = self.handshake(&ticket, port).await;
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        let accept = &answer.headers()["sec-websocket-accept"];
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let stream = answer.upgrade().await.expect("it is upgraded");
        let mut terminal = Terminal {
            socket: ClientBuilder::new().take_over(stream),
            seen: String::new(),
        };
        terminal.send(&format!("{user}:{ticket}\n")).await;
        terminal
    }

    async fn logged_in(&self) -> Terminal {
        let mut terminal = self.open().await;
        terminal.until("OK").await;
        terminal
    }

    /// The exit status of the latest console task, once it has ended.
    async fn exit(&self) -> String {
        let tasks = self.simulator.tasks();
        let mut consoles = tasks.iter().filter(|(upid, _)| upid.contains(":vncproxy:"));
        let (upid, _) = consoles.next_back().expect("there was a console");
        let exit = timeout(PATIENCE, self.simulator.task_end(upid)).await;
        exit.expect("it ends")
    }
}

/// A client's end of a terminal.
struct Terminal {
    socket: WebSocketStream<reqwest::Upgraded>,
    seen: String,
}

impl Terminal {
    async fn send(&mut self, bytes: &str) {
        let sent = self.socket.send(Message::binary(bytes.to_owned())).await;
        sent.expect("it is sent");
    }

    async fn type_in(&mut self, text: &str) {
        self.send(&format!("0:{}:{text}", text.len())).await;
    }

    /// Waits until `text` has appeared and takes all up to it.
    async fn until(&mut self, text: &str) -> String {
        let found = async {
            loop {
                if let Some(at) = self.seen.find(text) {
                    let rest = self.seen.split_off(at + text.len());
                    return std::mem::replace(&mut self.seen, rest);
                }
                let message = self.socket.next().await;
                let message = message.unwrap_or_else(|| panic!("it ended after {:?}", self.seen));
                let message = message.expect("it is a message");
                self.seen
                    .push_str(&String::from_utf8_lossy(message.as_payload()));
            }
        };
        timeout(PATIENCE, found).await.expect("it appears in time")
    }

    /// Waits for the end of the connection.
    async fn end(&mut self) {
        let end = async { while let Some(Ok(_)) = self.socket.next().await {} };
        timeout(PATIENCE, end).await.expect("it ends in time");
    }
}

#[tokio::test]
async fn a_shell_runs_commands_and_knows_its_size() {
    let lab = Lab::running(Release::default(), "shell").await;
    let mut terminal = lab.logged_in().await;
    terminal.until("\u{1b}[H\u{1b}[J").await;
    // The text of the command is not what it prints, so its echo does not count.
    terminal
        .type_in("echo made:$((6*7)) $(id -u) $(systemd-detect-virt)\n")
        .await;
    terminal.until("made:42 0 lxc\r\r\n").await;
    terminal
        .type_in("echo $HOME.$container.$PWD.$(stty size)\n")
        .await;
    terminal.until(".lxc./.20 80\r\r\n").await;
    terminal.send("1:132:50:").await;
    terminal.type_in("echo size:$(stty size)\n").await;
    terminal.until("size:50 132\r\r\n").await;
    terminal.type_in("stty raw -echo; echo plain\n").await;
    terminal.until("plain\r\n").await;
    terminal.type_in("exit\n").await;
    terminal.until("[EOF - dtach terminating]").await;
    assert!(lab.exit().await.starts_with("command '/usr/bin/termproxy"));
}

#[tokio::test]
async fn all_clients_share_one_terminal_that_stays() {
    let lab = Lab::running(Release::default(), "shell").await;
    let mut first = lab.logged_in().await;
    first.type_in("kept=here\n").await;
    let mut second = lab.logged_in().await;
    second.type_in("echo both:$((1+1))\n").await;
    second.until("both:2").await;
    first.until("both:2").await;
    drop((first, second));
    let mut third = lab.logged_in().await;
    third.type_in("echo $kept$((0))\n").await;
    third.until("here0").await;
    // This byte at the start of a packet leaves the terminal.
    third.type_in("\u{1c}").await;
    third.until("[detached]").await;
}

#[tokio::test]
async fn a_port_serves_one_client_with_the_right_ticket() {
    let lab = Lab::running(Release::default(), "shell").await;
    let (_, ticket, port) = lab.console().await;
    let refused = lab.handshake("PVEVNC:0::x", port).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let first = lab.handshake(&ticket, port).await;
    assert_eq!(first.status(), StatusCode::SWITCHING_PROTOCOLS);
    // A second one waits for ever, without an answer.
    let second = timeout(Duration::from_millis(300), lab.handshake(&ticket, port));
    assert!(second.await.is_err());
    let mut impostor = Terminal {
        socket: ClientBuilder::new().take_over(first.upgrade().await.expect("it is upgraded")),
        seen: String::new(),
    };
    impostor.send("root@pam:nonsense\n").await;
    impostor.end().await;
    assert!(lab.exit().await.ends_with("failed: exit code 1"));
}

#[tokio::test]
async fn older_releases_refuse_the_ticket_of_a_token() {
    let lab = Lab::running(Release::V9_1, "shell").await;
    let mut terminal = lab.open().await;
    terminal.end().await;
    assert!(lab.exit().await.ends_with("failed: exit code 1"));
}

#[tokio::test]
async fn what_a_console_shows_depends_on_the_container() {
    let lab = Lab::new(Release::default(), "tty").await;
    let mut stopped = lab.logged_in().await;
    stopped.until("Failed to get init pid").await;
    lab.task("/lxc/300/status/start", json!({})).await;
    let mut login = lab.logged_in().await;
    login.until("con1 login: ").await;
    lab.task("/lxc/300/status/stop", json!({})).await;
    login.end().await;
}

#[tokio::test]
async fn interfaces_are_those_inside() {
    let lab = Lab::running(Release::default(), "shell").await;
    let url = format!("{}{NODE}/lxc/300/interfaces", lab.simulator.endpoint());
    let request = lab.http.get(url);
    let request = request.header("authorization", format!("PVEAPIToken={}", lab.token));
    let answer = request.send().await.expect("there is an answer");
    let body: Value = answer.json().await.expect("it is JSON");
    let cards = body["data"].as_array().expect("it is a list");
    let card = cards.iter().find(|card| card["name"] == "eth0");
    let card = card.expect("the card is there");
    assert!(
        card["inet"]
            .as_str()
            .is_some_and(|ip| ip.starts_with("198.51.100.")),
        "{card}"
    );
    let inside = lab
        .hypervisor
        .sh(300, "cat /sys/class/net/eth0/address")
        .await;
    assert_eq!(card["hwaddr"], inside.expect("it runs").stdout.trim());
}
