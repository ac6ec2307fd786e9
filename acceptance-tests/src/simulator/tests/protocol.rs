//! Requests, credentials, permissions, faults, journal.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::super::{Effect, Fault};
use super::Lab;

#[tokio::test]
async fn refusals_before_any_call_are_those_of_the_api_server() {
    let lab = Lab::new().await;
    let line = async |request| lab.send(request).await.line();
    let anonymous = lab
        .http
        .get(format!("{}/api2/json/version", lab.simulator.endpoint()));
    let answer = lab.send(anonymous).await;
    assert_eq!(answer.line(), "401 No ticket");
    assert_eq!(answer.body, "");
    assert_eq!(
        line(lab.request("GET", "/nosuch")).await,
        "501 Method 'GET /nosuch' not implemented"
    );
    assert_eq!(
        line(lab.request("DELETE", "/version").body("a=1")).await,
        "501 Unexpected content for method 'DELETE'"
    );
    let stream =
        reqwest::Body::wrap_stream(futures_util::stream::iter([Ok::<_, std::io::Error>("a=1")]));
    assert_eq!(
        line(lab.request("POST", "/nodes/pve1/qemu").body(stream)).await,
        "501 chunked transfer encoding not supported"
    );
    let xml = lab
        .request("POST", "/access/roles")
        .header("content-type", "text/xml")
        .body("<a/>");
    assert_eq!(
        line(xml).await,
        "506 upload 'Content-Type 'text/xml' not implemented"
    );
    let big = lab
        .request("POST", "/access/roles")
        .body("a".repeat((512 << 10) + 1));
    assert_eq!(line(big).await, "501 for data too large");
    assert_eq!(
        line(lab.request("PATCH", "/version")).await,
        "501 method 'PATCH' not available"
    );
    let unknown = lab.call("GET", "/nodes/nosuch/qemu", json!(null)).await;
    assert!(
        unknown
            .line()
            .starts_with("500 hostname lookup 'nosuch' failed"),
        "{}",
        unknown.line()
    );
    lab.simulator.set_online("pve1", false);
    assert_eq!(
        lab.call("GET", "/nodes/pve1/qemu", json!(null))
            .await
            .status,
        595
    );
}

#[tokio::test]
async fn a_ticket_needs_its_csrf_token_for_changes() {
    let lab = Lab::new().await;
    let login = json!({"username": "root@pam", "password": "simulated"});
    let data = lab.call("POST", "/access/ticket", login).await.body["data"].clone();
    let ticket = data["ticket"].as_str().expect("there is one");
    let cookie = percent_encoding::utf8_percent_encode(ticket, percent_encoding::NON_ALPHANUMERIC);
    let request = |method: &str| {
        let url = format!("{}/api2/json/pools?poolid=p", lab.simulator.endpoint());
        let request = lab
            .http
            .request(method.parse().expect("it is a method"), url);
        request.header("cookie", format!("PVEAuthCookie={cookie}"))
    };
    let without = lab.send(request("POST").body("")).await;
    assert_eq!(without.line(), "401 Permission denied - invalid csrf token");
    let csrf = data["CSRFPreventionToken"].as_str().expect("there is one");
    let with = lab
        .send(request("POST").header("CSRFPreventionToken", csrf).body(""))
        .await;
    assert_eq!(with.line(), "200 OK");
    let wrong = json!({"username": "root@pam", "password": "nonsense"});
    assert_eq!(
        lab.call("POST", "/access/ticket", wrong).await.line(),
        "401 authentication failure"
    );
}

#[tokio::test]
async fn a_missing_privilege_is_named() {
    let mut lab = Lab::new().await;
    assert_eq!(
        lab.task("POST", "/nodes/pve1/qemu", json!({"vmid": 100}))
            .await,
        "OK"
    );
    let mut check = async |lacking: &str, method: &str, path: &str, params, expected: &str| {
        lab.token = lab.simulator.token_without(&[lacking]);
        assert_eq!(
            lab.call(method, path, params).await.line(),
            format!("403 {expected}")
        );
    };
    let config = "/nodes/pve1/qemu/100/config";
    check(
        "VM.Allocate",
        "POST",
        "/nodes/pve1/qemu",
        json!({"vmid": 101}),
        "Permission check failed",
    )
    .await;
    check(
        "VM.Audit",
        "GET",
        config,
        json!(null),
        "Permission check failed (/vms/100, VM.Audit)",
    )
    .await;
    check(
        "VM.Config.CPU",
        "PUT",
        config,
        json!({"cores": 2}),
        "Permission check failed (/vms/100, VM.Config.CPU)",
    )
    .await;
    check(
        "SDN.Use",
        "PUT",
        config,
        json!({"net0": "virtio,bridge=vmbr0"}),
        "Permission check failed (/sdn/zones/localnetwork/vmbr0, SDN.Use)",
    )
    .await;
    check(
        "Datastore.AllocateSpace",
        "PUT",
        config,
        json!({"scsi0": "local-lvm:1"}),
        "Permission check failed (/storage/local-lvm, Datastore.AllocateSpace)",
    )
    .await;
    check(
        "VM.GuestAgent.Unrestricted",
        "POST",
        "/nodes/pve1/qemu/100/agent/exec",
        json!({"command": ["true"]}),
        "Permission check failed (/vms/100, VM.GuestAgent.Unrestricted)",
    )
    .await;
    check(
        "VM.PowerMgmt",
        "POST",
        "/nodes/pve1/qemu",
        json!({"vmid": 101, "start": 1}),
        "Permission check failed (/vms/101, VM.PowerMgmt)",
    )
    .await;
    let hidden = json!({"vmid": 102, "args": "-x"});
    assert_eq!(
        lab.call("POST", "/nodes/pve1/qemu", hidden).await.line(),
        "500 only root can set 'args' config"
    );
}

#[tokio::test]
async fn faults_change_what_a_call_ends_in() {
    let lab = Lab::new().await;
    let fault =
        |method: &str, path: &str, effect| lab.simulator.fault(Fault::new(method, path, effect));
    let create = |vmid: u32| json!({"vmid": vmid});

    fault(
        "POST",
        "/nodes/*/qemu",
        Effect::Answer {
            status: 500,
            text: "no quorum".to_owned(),
        },
    );
    assert_eq!(
        lab.call("POST", "/nodes/pve1/qemu", create(100))
            .await
            .line(),
        "500 no quorum"
    );
    assert!(lab.simulator.vms().is_empty());

    fault(
        "POST",
        "/nodes/*/qemu",
        Effect::DoThenAnswer {
            status: 596,
            text: "Broken pipe".to_owned(),
        },
    );
    assert_eq!(
        lab.call("POST", "/nodes/pve1/qemu", create(100))
            .await
            .line(),
        "596 Broken pipe"
    );
    assert_eq!(lab.simulator.vms().len(), 1);

    fault("GET", "/version", Effect::Drop);
    assert!(lab.request("GET", "/version").send().await.is_err());
    assert_eq!(
        lab.call("GET", "/version", json!(null)).await.line(),
        "200 OK"
    );

    fault(
        "POST",
        "/nodes/*/qemu",
        Effect::TaskFails("disk full".to_owned()),
    );
    let end = lab.task("POST", "/nodes/pve1/qemu", create(101)).await;
    assert_eq!(end, "unable to create VM 101 - disk full");
    assert_eq!(lab.simulator.vms().len(), 1);

    fault(
        "DELETE",
        "/nodes/*/qemu/100",
        Effect::TaskWarns("left behind".to_owned()),
    );
    assert_eq!(
        lab.task("DELETE", "/nodes/pve1/qemu/100", json!(null))
            .await,
        "WARNINGS: 1"
    );
    assert!(lab.simulator.vms().is_empty());
    assert!(
        lab.simulator
            .journal()
            .iter()
            .filter(|entry| !entry.faults.is_empty())
            .count()
            == 5
    );
}

#[tokio::test]
async fn the_journal_has_every_call_and_no_secret() {
    let lab = Lab::new().await;
    let login = json!({"username": "root@pam", "password": "simulated"});
    lab.call("POST", "/access/ticket", login).await;
    lab.call(
        "POST",
        "/nodes/pve1/qemu",
        json!({"vmid": 100, "cipassword": "hidden"}),
    )
    .await;
    let journal = lab.simulator.journal();
    assert_eq!(journal[0].params["password"], "***");
    assert_eq!(journal[1].params["cipassword"], "***");
    assert_eq!(journal[1].user.as_deref(), Some("pmoves@pve!tf"));
    assert_eq!(lab.simulator.calls("POST", "/nodes/*/qemu"), 1);
}

#[tokio::test]
async fn statistics_reach_the_resources_late() {
    let lab = Lab::with(|options| options.resources_lag = Duration::from_hours(1)).await;
    lab.task(
        "POST",
        "/nodes/pve1/qemu",
        json!({"vmid": 100, "name": "a", "tags": "x"}),
    )
    .await;
    let early = lab.get("/cluster/resources?type=vm").await;
    let expected = json!([{
        "id": "qemu/100", "type": "qemu", "vmid": 100, "node": "pve1", "status": "unknown", "tags": "x",
    }]);
    assert_eq!(early, expected);
    let lab = Lab::with(|options| options.resources_lag = Duration::ZERO).await;
    lab.task(
        "POST",
        "/nodes/pve1/qemu",
        json!({"vmid": 100, "name": "a"}),
    )
    .await;
    let late = lab.get("/cluster/resources?type=vm").await;
    assert_eq!(late[0]["name"], "a");
    assert_eq!(late[0]["status"], "stopped");
}

#[tokio::test]
async fn a_token_may_be_bound_to_paths() {
    let mut lab = Lab::new().await;
    for vmid in [100, 101] {
        assert_eq!(
            lab.task("POST", "/nodes/pve1/qemu", json!({"vmid": vmid}))
                .await,
            "OK"
        );
    }
    lab.token = lab
        .simulator
        .token_on(&[("/vms/100", "VM.Audit"), ("/storage", "Datastore.Audit")]);
    assert_eq!(
        lab.get("/nodes/pve1/qemu").await.as_array().map(Vec::len),
        Some(1)
    );
    let foreign = lab
        .call("GET", "/nodes/pve1/qemu/101/config", json!(null))
        .await;
    assert_eq!(
        foreign.line(),
        "403 Permission check failed (/vms/101, VM.Audit)"
    );
    let own = lab.get("/access/permissions?path=/vms/100").await;
    assert_eq!(own, json!({"/vms/100": {"VM.Audit": 1}}));
    assert_eq!(
        lab.get("/nodes/pve1/storage")
            .await
            .as_array()
            .map(Vec::len),
        Some(2)
    );
}

#[tokio::test]
async fn a_connection_ends_after_a_hundred_requests() {
    let lab = Lab::new().await;
    let mut closed = Vec::new();
    for number in 1..=101 {
        let response = lab
            .request("GET", "/version")
            .send()
            .await
            .expect("there is an answer");
        if response.headers().contains_key("connection") {
            closed.push(number);
        }
        response.bytes().await.expect("the body comes");
    }
    assert_eq!(closed, [100]);
}

#[tokio::test]
async fn a_connection_ends_without_requests() {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let lab = Lab::with(|options| options.idle = Duration::from_millis(50)).await;
    let ca = CertificateDer::from_pem_slice(lab.simulator.ca_pem().as_bytes()).expect("it is PEM");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca).expect("it is a certificate");
    let tls = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address = lab.simulator.endpoint().replace("https://", "");
    let socket = tokio::net::TcpStream::connect(&address).await;
    let name = ServerName::try_from("127.0.0.1").expect("it is an address");
    let mut connection = tokio_rustls::TlsConnector::from(Arc::new(tls))
        .connect(name, socket.expect("it listens"))
        .await
        .expect("the certificate is good");
    let token = &lab.token;
    let request =
        format!("GET /api2/json/version HTTP/1.1\r\nAuthorization: PVEAPIToken={token}\r\n\r\n");
    let sent = connection.write_all(request.as_bytes()).await;
    sent.expect("it is sent");
    let mut answer = Vec::new();
    // It may end without a farewell.
    connection.read_to_end(&mut answer).await.ok();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(!answer.contains("connection: close"), "{answer}");
}
