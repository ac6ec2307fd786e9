//! Faults that tests order, beside those of single answers.

use serde_json::{Value as Json, json};

use super::Lab;
use crate::simulator::{Effect, Fault};

/// A VM that runs, with an agent.
async fn lab() -> Lab {
    let lab = Lab::new().await;
    lab.task(
        "POST",
        "/nodes/pve1/qemu",
        json!({"vmid": 100, "agent": "1"}),
    )
    .await;
    lab.task("POST", "/nodes/pve1/qemu/100/status/start", json!({}))
        .await;
    lab
}

const AGENT: &str = "/nodes/pve1/qemu/100/agent";

#[tokio::test]
async fn an_agent_may_flap() {
    let lab = lab().await;
    let silent = Fault::new("POST", "/nodes/*/qemu/*/agent/ping", Effect::AgentSilent);
    lab.simulator.fault(silent.nth(2).every(2).times(2));
    let mut heard = Vec::new();
    for _ in 0..6 {
        let ping = lab.call("POST", &format!("{AGENT}/ping"), json!({})).await;
        heard.push(ping.line());
    }
    let (good, bad) = ("200 OK", "500 QEMU guest agent is not running");
    assert_eq!(heard, [good, bad, good, bad, good, good]);
}

#[tokio::test]
async fn an_agent_that_was_started_anew_knows_no_command() {
    let lab = lab().await;
    let exec = async || {
        let command = json!({"command": ["true"]});
        let answer = lab.call("POST", &format!("{AGENT}/exec"), command).await;
        answer.body["data"]["pid"].as_i64().expect("it is a number")
    };
    let status = async |pid: i64| {
        let path = format!("{AGENT}/exec-status?pid={pid}");
        lab.call("GET", &path, Json::Null).await.line()
    };
    let before = exec().await;
    lab.simulator.fault(Fault::new(
        "POST",
        "/nodes/*/qemu/*/agent/exec",
        Effect::AgentRestarts,
    ));
    let after = exec().await;
    assert_eq!(
        status(before).await,
        "500 Agent error: PID ld does not exist"
    );
    assert_eq!(status(after).await, "200 OK");
}

#[tokio::test]
async fn a_task_may_vanish() {
    let lab = lab().await;
    lab.simulator.fault(Fault::new(
        "POST",
        "/nodes/*/qemu/*/status/stop",
        Effect::TaskVanishes,
    ));
    let stop = "/nodes/pve1/qemu/100/status/stop";
    let upid = lab.call("POST", stop, json!({})).await.body["data"].clone();
    let path = format!(
        "/nodes/pve1/tasks/{}/status",
        upid.as_str().expect("it is a UPID")
    );
    let gone = async {
        loop {
            let answer = lab.call("GET", &path, Json::Null).await;
            if answer.status != 200 {
                return answer.body["errors"].clone();
            }
        }
    };
    assert_eq!(gone.await, json!({"upid": "no such task"}));
    // It did nothing, and holds nothing.
    assert!(lab.simulator.vms()[0].running);
    assert_eq!(lab.task("POST", stop, json!({})).await, "OK");
    let noted = lab.simulator.journal();
    let hit: Vec<&Vec<Effect>> = noted
        .iter()
        .map(|entry| &entry.faults)
        .filter(|f| !f.is_empty())
        .collect();
    assert!(
        matches!(hit[..], [one] if matches!(one[..], [Effect::TaskVanishes])),
        "{hit:?}"
    );
}

#[tokio::test]
async fn a_request_that_the_api_does_not_have_is_noticed() {
    let lab = lab().await;
    assert!(lab.simulator.take_violations().is_empty());
    lab.call("PUT", "/nodes/pve1/qemu/100/config", json!({"cores": 0}))
        .await;
    lab.call("PUT", "/nodes/pve1/qemu/100/config", json!({"corse": 1}))
        .await;
    lab.call("GET", "/nodes/pve1/qemu/100/brand", Json::Null)
        .await;
    // Refusals for other reasons are good requests.
    lab.call("GET", "/nodes/pve1/qemu/999/config", Json::Null)
        .await;
    lab.call("GET", "/cluster/nextid?vmid=100", Json::Null)
        .await;
    let violations = lab.simulator.take_violations();
    assert_eq!(violations.len(), 3, "{violations:#?}");
    assert!(
        violations[0].contains("minimum value of 1"),
        "{violations:#?}"
    );
    assert!(lab.simulator.take_violations().is_empty());
}

#[tokio::test]
#[should_panic(expected = "the API has no such requests")]
async fn a_story_with_such_a_request_fails() {
    let lab = lab().await;
    let _strict = lab.simulator.strict();
    lab.call("GET", "/nodes/pve1/qemu/100/brand", Json::Null)
        .await;
}
