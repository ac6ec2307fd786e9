//! Changes of a node's network that share a reload, and what becomes of them when it fails.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::json;

use super::{
    server::{Answer, Request, Server},
    *,
};

/// A node with one file of interfaces, as little as these tests need.
struct Node {
    live: BTreeMap<String, Json>,
    pending: BTreeMap<String, Json>,
    /// A reload fails while this interface is in the file.
    broken: Option<&'static str>,
    /// So many reloads fail whatever the file says.
    failures: u32,
    exit: &'static str,
    /// Somebody adds this interface right after the first change of ours.
    intruder: Option<&'static str>,
}

impl Node {
    fn new() -> Self {
        let vmbr0 = json!({ "type": "bridge", "active": 1, "autostart": 1, "bridge_ports": "eno1", "cidr": "192.0.2.10/24" });
        let live = BTreeMap::from([("vmbr0".to_owned(), vmbr0)]);
        Self {
            pending: live.clone(),
            live,
            broken: None,
            failures: 0,
            exit: "OK",
            intruder: None,
        }
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let mut words = request.line.splitn(2, ' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let path = path.strip_prefix("/api2/json/nodes/pve1/").unwrap();
        let iface = path.strip_prefix("network/").map(str::to_owned);
        match (method, iface) {
            ("GET", None) if path == "network" => {
                return Answer::Status("200 OK", self.list().to_string());
            }
            ("GET", None) => {
                return Answer::Data(json!({ "status": "stopped", "exitstatus": self.exit }));
            }
            ("PUT", None) => {
                self.live = self.pending.clone();
                let bad = self
                    .broken
                    .is_some_and(|iface| self.live.contains_key(iface));
                let fails = bad || self.failures > 0;
                self.failures = self.failures.saturating_sub(1);
                self.exit = if fails {
                    "command 'ifreload -a' failed: exit code 1"
                } else {
                    "OK"
                };
                return Answer::Data("UPID:pve1:1:1:1:srvreload:networking:a@pve!t:".into());
            }
            ("POST", _) => {
                let mut body = request.json();
                let iface = body.as_object_mut().unwrap().remove("iface").unwrap();
                self.pending
                    .insert(iface.as_str().unwrap().to_owned(), body);
                if let Some(intruder) = self.intruder.take() {
                    self.pending
                        .insert(intruder.to_owned(), json!({ "type": "bridge" }));
                }
            }
            ("PUT", Some(iface)) => drop(self.pending.insert(iface, request.json())),
            ("DELETE", Some(iface)) => drop(self.pending.remove(&iface)),
            other => panic!("{other:?}"),
        }
        Answer::Data(Json::Null)
    }

    fn list(&self) -> Json {
        let rows: Vec<Json> = self
            .pending
            .iter()
            .map(|(iface, row)| {
                let mut row = row.clone();
                row["iface"] = json!(iface);
                row
            })
            .collect();
        match self.live == self.pending {
            true => json!({ "data": rows }),
            false => json!({ "data": rows, "changes": "+ something" }),
        }
    }
}

async fn start(node: Node) -> (Server, Arc<Mutex<Node>>) {
    let node = Arc::new(Mutex::new(node));
    let answers = Arc::clone(&node);
    (
        Server::start(move |request| answers.lock().unwrap().answer(request)).await,
        node,
    )
}

fn new(iface: &str) -> Edit {
    Edit {
        iface: iface.to_owned(),
        wish: Wish::New(Params::new().with("type", Some("bridge"))),
        with_foreign: false,
    }
}

fn writes(server: &Server) -> Vec<String> {
    let lines = server.lines().into_iter();
    lines.filter(|line| !line.starts_with("GET")).collect()
}

#[tokio::test]
async fn changes_that_come_together_share_a_reload() {
    let (server, _) = start(Node::new()).await;
    let pve = server.pve();
    let (one, two, three) = tokio::join!(
        pve.edit_network("pve1", new("vmbr1")),
        pve.edit_network("pve1", new("vmbr2")),
        pve.edit_network(
            "pve1",
            Edit {
                wish: Wish::Gone,
                ..new("vmbr9")
            }
        ),
    );
    assert_eq!(one.unwrap().rows.len(), 3);
    assert_eq!(two.unwrap().rows.len(), three.unwrap().rows.len());
    let post = "POST /nodes/pve1/network";
    assert_eq!(writes(&server), [post, post, "PUT /nodes/pve1/network"]);
}

#[tokio::test]
async fn changes_of_others_are_not_applied_along_the_way() {
    let mut node = Node::new();
    node.pending
        .insert("vmbr7".into(), json!({ "type": "bridge" }));
    let (server, _) = start(node).await;
    let pve = server.pve();
    let refused = pve.edit_network("pve1", new("vmbr1")).await.unwrap_err();
    assert!(matches!(refused, Error::ForeignChanges { diff, .. } if diff == "+ something"));
    assert_eq!(writes(&server), Vec::<String>::new());
    let allowed = Edit {
        with_foreign: true,
        ..new("vmbr1")
    };
    assert_eq!(
        pve.edit_network("pve1", allowed).await.unwrap().changes,
        None
    );
}

#[tokio::test]
async fn changes_of_others_in_between_stop_the_reload() {
    let (server, node) = start(Node {
        intruder: Some("vmbr7"),
        ..Node::new()
    })
    .await;
    let refused = server
        .pve()
        .edit_network("pve1", new("vmbr1"))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::ForeignChanges { .. }));
    assert_eq!(
        writes(&server),
        [
            "POST /nodes/pve1/network",
            "DELETE /nodes/pve1/network/vmbr1"
        ]
    );
    let node = node.lock().unwrap();
    assert!(node.pending.contains_key("vmbr7") && !node.pending.contains_key("vmbr1"));
}

#[tokio::test]
async fn a_failed_reload_puts_the_former_configuration_back() {
    let (server, node) = start(Node {
        broken: Some("vmbr1"),
        ..Node::new()
    })
    .await;
    let pve = server.pve();
    let former = node.lock().unwrap().live["vmbr0"].clone();
    let change = Edit {
        wish: Wish::Like(
            Params::new()
                .with("type", Some("bridge"))
                .with("mtu", Some(9000)),
        ),
        ..new("vmbr0")
    };
    let (one, two) = tokio::join!(
        pve.edit_network("pve1", change),
        pve.edit_network("pve1", new("vmbr1"))
    );
    for outcome in [one, two] {
        let error = outcome.unwrap_err();
        assert_eq!(
            error.to_string(),
            "pve1 could not apply its network; the former configuration was put back"
        );
        assert!(
            matches!(error, Error::Reload { source, .. } if source.to_string().contains("ifreload"))
        );
    }
    let node = node.lock().unwrap();
    assert_eq!(node.live, node.pending);
    assert!(!node.live.contains_key("vmbr1"));
    for name in ["bridge_ports", "cidr", "autostart"] {
        let text = |value: &Json| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        assert_eq!(
            text(&node.live["vmbr0"][name]),
            text(&former[name]),
            "{name}"
        );
    }
    assert_eq!(node.live["vmbr0"]["delete"], "mtu");
}

#[tokio::test]
async fn a_reload_of_the_former_configuration_is_tried_twice() {
    for (failures, outcome) in [
        (2, "was put back"),
        (
            3,
            "could not be put back (task srvreload networking on pve1 failed: command 'ifreload -a' failed: exit code 1)",
        ),
    ] {
        let (server, _) = start(Node {
            failures,
            ..Node::new()
        })
        .await;
        let pve = server.pve();
        let error = pve.edit_network("pve1", new("vmbr1")).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("pve1 could not apply its network; the former configuration {outcome}")
        );
        let reload = "PUT /nodes/pve1/network";
        assert_eq!(
            writes(&server),
            [
                "POST /nodes/pve1/network",
                reload,
                "DELETE /nodes/pve1/network/vmbr1",
                reload,
                reload
            ]
        );
    }
}

#[tokio::test]
async fn what_is_as_it_shall_be_is_left_alone() {
    let (server, _) = start(Node::new()).await;
    let pve = server.pve();
    let row = pve.interface_opt("pve1", "vmbr0").await.unwrap().unwrap();
    let same = Edit {
        wish: Wish::Like(row.params()),
        ..new("vmbr0")
    };
    pve.edit_network("pve1", same).await.unwrap();
    assert_eq!(writes(&server), Vec::<String>::new());
}
