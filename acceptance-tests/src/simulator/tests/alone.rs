//! The simulator as something of its own: saved, loaded, steered from outside; and nodes that go away.

use serde_json::{Value as Json, json};

use super::{Answer, Lab};
use crate::simulator::{Options, Release, Simulator};

const TEMPLATE: &str = "local:vztmpl/debian-13.tar.zst";

/// What a client can see of a cluster.
async fn view(lab: &Lab) -> Vec<Json> {
    let mut seen = Vec::new();
    for path in [
        "/nodes",
        "/access/users",
        "/access/acl",
        "/storage",
        "/pools",
        "/nodes/pve1/storage/local/content",
        "/nodes/pve1/qemu/100/config",
        "/nodes/pve1/qemu/100/pending",
        "/nodes/pve1/lxc/101/config",
    ] {
        let mut answer = lab.get(path).await;
        // The certificate is made at each start.
        if let Some(node) = answer.get_mut(0).and_then(Json::as_object_mut) {
            node.remove("ssl_fingerprint");
        }
        seen.push(answer);
    }
    seen
}

#[tokio::test]
async fn a_cluster_is_as_it_was_when_it_is_started_again() {
    let lab = Lab::new().await;
    let root = lab.simulator.token_with(
        "Sys.Audit User.Modify Permissions.Modify VM.Audit Datastore.Audit Pool.Audit \
         Datastore.Allocate",
    );
    lab.simulator.put_file("pve1", TEMPLATE, vec![7; 4096]);
    lab.call("POST", "/pools", json!({"poolid": "p"})).await;
    let vm = json!({"vmid": 100, "scsi0": "local-lvm:1", "agent": "1", "pool": "p"});
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu", vm).await, "OK");
    lab.task("POST", "/nodes/pve1/qemu/100/status/start", json!({}))
        .await;
    lab.call("PUT", "/nodes/pve1/qemu/100/config", json!({"cores": 3}))
        .await;
    let ct = json!({"vmid": 101, "ostemplate": TEMPLATE, "rootfs": "local-lvm:1"});
    lab.task("POST", "/nodes/pve1/lxc", ct).await;
    let saved = lab.simulator.save();
    let token = lab.token.clone();
    let before = view(&lab.by(root.clone())).await;

    let again = Lab::with(|options| options.saved = Some(saved.clone())).await;
    assert_eq!(again.token, token);
    let started = async {
        while again.get("/nodes/pve1/qemu/100/status/current").await["status"] != "running" {}
    };
    started.await;
    // What waited for the next start has come.
    assert_eq!(again.get("/nodes/pve1/qemu/100/config").await["cores"], 3);
    assert_eq!(again.simulator.volume_data(TEMPLATE), Some(vec![7; 4096]));
    let after = view(&again.by(root)).await;
    let but_pending = |view: Vec<Json>| {
        let mut view = view;
        view[6]["digest"] = Json::Null;
        view.remove(7);
        view
    };
    assert_eq!(but_pending(after), but_pending(before));

    let start = async |text: String, release| {
        let options = Options {
            saved: Some(text),
            release,
            ..Options::default()
        };
        Simulator::start(options)
            .await
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(
        start(saved, Release::V8_4).await.as_deref(),
        Some("the saved state is of release 9.2, and 8.4 was asked for")
    );
    assert!(start("{}".to_owned(), Release::V9_2).await.is_some());
}

impl Lab {
    async fn steer(&self, method: &str, path: &str, body: Json) -> Answer {
        let url = format!("{}/sim/{path}", self.simulator.endpoint());
        let method = method.parse().expect("it is a method");
        self.send(self.http.request(method, url).body(body.to_string()))
            .await
    }
}

#[tokio::test]
async fn programs_steer_the_simulator_from_outside() {
    let lab = Lab::with(|options| options.admin = true).await;
    let fault = json!({
        "method": "GET", "path": "/version", "effect": {"answer": {"status": 500, "text": "no"}},
    });
    assert_eq!(lab.steer("POST", "faults", fault).await.line(), "200 OK");
    assert_eq!(
        lab.call("GET", "/version", Json::Null).await.line(),
        "500 no"
    );
    let ordered = lab.steer("GET", "faults", Json::Null).await.body["data"].clone();
    assert_eq!(ordered[0]["every"], 1);
    lab.steer("DELETE", "faults", Json::Null).await;
    assert_eq!(
        lab.steer("GET", "faults", Json::Null).await.body["data"],
        json!([])
    );
    let journal = lab.steer("GET", "journal", Json::Null).await.body["data"].clone();
    assert_eq!(journal[0]["path"], "/version");
    assert_eq!(journal[0]["faults"][0]["answer"]["status"], 500);
    lab.steer("DELETE", "journal", Json::Null).await;
    assert!(lab.simulator.journal().is_empty());
    assert_eq!(
        lab.steer("POST", "advance", json!({"seconds": 1.5}))
            .await
            .status,
        200
    );
    for (path, body) in [
        ("faults", json!({"method": "GET"})),
        ("advance", json!({"seconds": -1})),
        ("nodes", json!({"node": "pve9", "online": true})),
        ("guests", json!({"vmid": 100, "node": "pve1"})),
    ] {
        let answer = lab.steer("POST", path, body).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.body["message"].is_string(), "{path}");
    }
    assert_eq!(lab.steer("GET", "brand", Json::Null).await.status, 404);
    // Tests have it in their own hands.
    assert_eq!(
        Lab::new()
            .await
            .steer("GET", "faults", Json::Null)
            .await
            .status,
        501
    );
}

#[tokio::test]
async fn a_node_goes_away_and_its_guests_go_elsewhere() {
    let lab = Lab::with(|options| {
        options.admin = true;
        options.nodes = vec!["pve1".to_owned(), "pve2".to_owned()];
        options.resources_lag = std::time::Duration::ZERO;
    })
    .await;
    for (vmid, node) in [(100, "pve1"), (101, "pve2")] {
        let vm = json!({"vmid": vmid, "scsi0": "local-lvm:1"});
        lab.task("POST", &format!("/nodes/{node}/qemu"), vm).await;
    }
    let away = json!({"node": "pve2", "online": false});
    assert_eq!(lab.steer("POST", "nodes", away).await.line(), "200 OK");
    let config = async |node: &str| {
        let path = format!("/nodes/{node}/qemu/101/config");
        lab.call("GET", &path, Json::Null).await.line()
    };
    assert_eq!(config("pve2").await, "595 No route to host");
    let guests = lab.get("/cluster/resources?type=vm").await;
    assert_eq!(guests[0]["status"], "stopped");
    let lost =
        json!({"id": "qemu/101", "type": "qemu", "vmid": 101, "node": "pve2", "status": "unknown"});
    assert_eq!(guests[1], lost);
    assert_eq!(
        lab.get("/cluster/resources?type=node").await[1]["status"],
        "offline"
    );
    let storages = lab.get("/cluster/resources?type=storage").await;
    let known = |status: &str| {
        storages
            .as_array()
            .map(|all| all.iter().filter(|one| one["status"] == status).count())
    };
    assert_eq!((known("available"), known("unknown")), (Some(2), Some(2)));

    let moved = json!({"vmid": 101, "node": "pve1"});
    assert_eq!(lab.steer("POST", "guests", moved).await.line(), "200 OK");
    assert_eq!(config("pve1").await, "200 OK");
    assert_eq!(
        lab.get("/cluster/resources?type=vm").await[1]["status"],
        "stopped"
    );
    let back = json!({"node": "pve2", "online": true});
    lab.steer("POST", "nodes", back).await;
    assert_eq!(
        config("pve2").await,
        "500 Configuration file 'nodes/pve2/qemu-server/101.conf' does not exist"
    );
    let disks = lab.get("/nodes/pve1/storage/local-lvm/content").await;
    assert_eq!(disks.as_array().map(Vec::len), Some(2));
}
