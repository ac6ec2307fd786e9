//! What each operation needs: a sender with just that is let through, and one that lacks any of it is not.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Answer, Lab};
use crate::simulator::access::Token;
use crate::simulator::world::State;

const OPERATIONS: &str = include_str!("privileges.txt");

const DENIED: &str = "403 Permission check failed";

/// One line of the table.
struct Operation {
    line: &'static str,
    method: &'static str,
    path: String,
    params: Json,
    needs: Vec<Need>,
    /// What everybody but `root@pam` itself is told.
    root_only: Option<&'static str>,
}

/// Privileges on a path, of which one is enough.
#[derive(Clone, PartialEq)]
struct Need {
    path: &'static str,
    any: Vec<&'static str>,
    /// Whether it is there to pass other checks and does not matter itself.
    beside: bool,
    /// What a refusal says, if not which privilege is missing.
    says: Option<&'static str>,
}

fn operations() -> impl Iterator<Item = Operation> {
    let lines = OPERATIONS.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let (call, root_only) = match line.split_once(" ! ") {
            Some((call, text)) => (call, Some(text)),
            None => (line, None),
        };
        let mut parts = call.split(" | ");
        let mut words = parts.next().unwrap_or_default().splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (method, path, params) = (word(), word(), word());
        Operation {
            line,
            method,
            path: path.replacen("./", "/nodes/pve1/", 1),
            params: serde_json::from_str(params).unwrap_or(Json::Null),
            needs: parts.flat_map(needs).collect(),
            root_only,
        }
    })
}

fn needs(part: &'static str) -> Vec<Need> {
    let (part, says) = match part.split_once(" -> ") {
        Some((part, says)) => (part, Some(says)),
        None => (part, None),
    };
    let mut words = part.split_whitespace();
    let path = words.next().unwrap_or_default();
    let need = |word: &'static str| Need {
        path,
        any: word.trim_start_matches('+').split('/').collect(),
        beside: word.starts_with('+'),
        says,
    };
    words.map(need).collect()
}

/// A cluster with guests, volumes and all else that the operations are about.
pub(super) async fn lab() -> Lab {
    let mut lab = Lab::with(|options| options.nodes.push("pve2".to_owned())).await;
    let token = Token {
        secret: "s".to_owned(),
        separated: false,
        expire: 0,
        comment: None,
    };
    {
        let mut state = lab.simulator.world.state();
        let root = state.access.users.get_mut("root@pam");
        let root = root.expect("there is root");
        root.tokens.insert("all".to_owned(), token);
    }
    lab.token = "root@pam!all=s".to_owned();
    for file in [
        "import/a.raw",
        "iso/x.iso",
        "snippets/x.yaml",
        "vztmpl/debian-13.tar.zst",
        "backup/vzdump-qemu-100-2026_11_23-09_00_00.vma.zst",
    ] {
        let id = format!("local:{file}");
        lab.simulator.put_file("pve1", &id, vec![0; 4096]);
    }
    let pool = json!({"poolid": "lab"});
    assert_eq!(lab.line("POST", "/pools", pool).await, "200 OK");
    let gpu = json!({"id": "gpu", "map": ["node=pve1,id=10de:1eb8,path=0000:01:00.0"]});
    let made = lab.line("POST", "/cluster/mapping/pci", gpu).await;
    assert_eq!(made, "200 OK");
    let tags = json!({"registered-tags": "prod"});
    assert_eq!(lab.line("PUT", "/cluster/options", tags).await, "200 OK");
    let job = json!({"id": "j1", "schedule": "daily", "all": 1, "storage": "local"});
    assert_eq!(lab.line("POST", "/cluster/backup", job).await, "200 OK");
    let vm = json!({
        "vmid": 100, "agent": "1", "tags": "a", "scsi0": "local-lvm:1", "scsi1": "local-lvm:1",
        "ide0": "local-lvm:cloudinit", "ide2": "local:iso/x.iso,media=cdrom", "serial0": "socket",
        "net0": "virtio,bridge=vmbr0",
    });
    let ct = json!({
        "vmid": 200, "ostemplate": "local:vztmpl/debian-13.tar.zst", "rootfs": "local-lvm:1",
        "mp0": "local-lvm:1,mp=/data", "features": "nesting=1", "tags": "a",
        "net0": "name=eth0,bridge=vmbr0",
    });
    for (path, params) in [
        ("/nodes/pve1/qemu", vm),
        (
            "/nodes/pve1/qemu",
            json!({"vmid": 103, "pool": "lab", "scsi0": "local-lvm:1"}),
        ),
        ("/nodes/pve1/lxc", ct),
    ] {
        assert_eq!(lab.task("POST", path, params).await, "OK");
    }
    let gone = json!({"delete": "scsi1"});
    let config = "/nodes/pve1/qemu/100/config";
    assert_eq!(lab.line("PUT", config, gone).await, "200 OK");
    lab
}

impl Lab {
    /// Sets all back to what was saved.
    fn reset(&self, saved: &str) {
        let saved: State = serde_json::from_str(saved).expect("it was written so");
        *self.simulator.world.state() = saved;
    }

    async fn try_out(&self, operation: &Operation) -> Answer {
        let (method, path) = (operation.method, operation.path.as_str());
        self.call(method, path, operation.params.clone()).await
    }

    /// As one with these privileges; the refusal, or nothing.
    async fn refusal(&mut self, operation: &Operation, needs: &[Need]) -> Option<String> {
        let mut grants: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for need in needs {
            grants.entry(need.path).or_default().extend(&need.any);
        }
        let grants: Vec<(&str, String)> = grants
            .into_iter()
            .map(|(path, list)| (path, list.join(" ")))
            .collect();
        let grants: Vec<(&str, &str)> = grants.iter().map(|(p, l)| (*p, l.as_str())).collect();
        self.token = self.simulator.token_on(&grants);
        let answer = self.try_out(operation).await;
        if let Some(upid) = answer.body["data"]
            .as_str()
            .filter(|id| id.starts_with("UPID:"))
        {
            let exit = self.simulator.world.task_end(upid).await;
            let denied = exit.contains("Permission check failed") || exit.contains("only root");
            return denied.then_some(exit);
        }
        let line = answer.line();
        assert_ne!(answer.status, 501, "{line}");
        let denied = answer.status == 403 || line.contains("root") || line.contains("privileges");
        denied.then_some(line)
    }
}

#[tokio::test]
async fn each_operation_needs_what_it_says_and_no_more() {
    let mut lab = lab().await;
    let saved = serde_json::to_string(&*lab.simulator.world.state()).expect("it is written");
    let mut wrong = Vec::new();
    for operation in operations().filter(|operation| operation.root_only.is_none()) {
        let mut check = |what: &str, found: Option<String>, expected: Option<String>| {
            if found != expected {
                let line = operation.line;
                wrong.push(format!("{line}\n  {what}: {found:?}, not {expected:?}"));
            }
        };
        for (i, need) in operation
            .needs
            .iter()
            .enumerate()
            .filter(|(_, need)| !need.beside)
        {
            let mut less = operation.needs.clone();
            less.remove(i);
            lab.reset(&saved);
            let said = lab.refusal(&operation, &less).await;
            let expected = match need.says {
                Some("") => DENIED.to_owned(),
                Some(text) => text.to_owned(),
                None => format!("{DENIED} ({}, {})", need.path, need.any.join("|")),
            };
            check(
                &format!("without {}", need.any.join("/")),
                said,
                Some(expected),
            );
        }
        let choices = operation.needs.iter().map(|need| need.any.len()).max();
        for choice in 0..choices.unwrap_or(1) {
            let one = |need: &Need| {
                let at = choice.min(need.any.len() - 1);
                Need {
                    any: vec![need.any[at]],
                    ..need.clone()
                }
            };
            let enough: Vec<Need> = operation.needs.iter().map(one).collect();
            lab.reset(&saved);
            let said = lab.refusal(&operation, &enough).await;
            check(&format!("with choice {choice}"), said, None);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn volumes_that_may_not_be_used_are_not_listed() {
    let mut lab = lab().await;
    let list = "/nodes/pve1/storage/local-lvm/content";
    let shown = lab.get(list).await;
    assert_eq!(shown.as_array().map(Vec::len), Some(6));
    let audit = ("/storage/local-lvm", "Datastore.Audit");
    let disk = ("/vms/103", "VM.Config.Disk");
    lab.token = lab.simulator.token_on(&[audit, disk]);
    let shown = lab.get(list).await;
    assert_eq!(shown[0]["volid"], "local-lvm:vm-103-disk-0");
    assert_eq!(shown.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn some_things_are_for_root_itself() {
    let lab = lab().await;
    let saved = serde_json::to_string(&*lab.simulator.world.state()).expect("it is written");
    let login = json!({"username": "root@pam", "password": "simulated"});
    let login = lab.call("POST", "/access/ticket", login).await;
    let of_login = |name: &str| {
        login.body["data"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let cookie = format!("PVEAuthCookie={}", of_login("ticket").replace('=', "%3D"));
    let csrf = of_login("CSRFPreventionToken");
    let tickets = lab.simulator.world.state().access.tickets.clone();
    for operation in operations().filter(|operation| operation.root_only.is_some()) {
        lab.reset(&saved);
        let answer = lab.try_out(&operation).await;
        let line = match &answer.body["errors"] {
            Json::Null => answer.line(),
            errors => format!("{} {errors}", answer.status),
        };
        assert_eq!(
            Some(line.as_str()),
            operation.root_only,
            "{}",
            operation.line
        );
        lab.simulator.world.state().access.tickets = tickets.clone();
        let request = lab
            .http
            .request(
                operation.method.parse().expect("it is a method"),
                format!("{}/api2/json{}", lab.simulator.endpoint(), operation.path),
            )
            .header("cookie", &cookie)
            .header("csrfpreventiontoken", &csrf)
            .json(&operation.params);
        let answer = lab.send(request).await;
        let said = answer.body.to_string();
        assert!(
            answer.status != 403 && !said.contains("nly root"),
            "{} {said}",
            operation.line
        );
    }
}
