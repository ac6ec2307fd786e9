//! The guest agent behind the API.

use serde_json::json;

use super::super::{Effect, Fault};
use super::machines::{VM, created};

#[tokio::test]
async fn the_agent_answers_only_where_it_is_configured_and_running() {
    let lab = created(json!({"vmid": 100, "agent": "1"})).await;
    let agent = |what: &str| format!("{VM}/agent/{what}");
    let exec = || {
        lab.call(
            "POST",
            "/nodes/pve1/qemu/100/agent/exec",
            json!({"command": ["/bin/true"]}),
        )
    };
    assert_eq!(exec().await.line(), "500 VM 100 is not running");
    lab.task("POST", &format!("{VM}/status/start"), json!({}))
        .await;
    lab.simulator.fault(Fault::new(
        "POST",
        "/nodes/*/qemu/*/agent/exec",
        Effect::AgentSilent,
    ));
    assert_eq!(exec().await.line(), "500 QEMU guest agent is not running");
    let pid = exec().await.body["data"]["pid"].clone();
    let status = agent(&format!("exec-status?pid={pid}"));
    assert_eq!(lab.get(&status).await, json!({"exited": 1, "exitcode": 0}));
    let forgotten = lab.call("GET", &status, json!(null)).await;
    assert!(
        forgotten.line().starts_with("500 Agent error: PID"),
        "{}",
        forgotten.line()
    );
    let write = json!({"file": "/tmp/a", "content": "w\u{e4}"});
    assert_eq!(
        lab.call("POST", &agent("file-write"), write).await.line(),
        "200 OK"
    );
    let read = lab.get(&agent("file-read?file=/tmp/a")).await;
    assert_eq!(read, json!({"content": "w\u{e4}", "bytes-read": 2}));
    let wide = lab
        .call(
            "POST",
            &agent("file-write"),
            json!({"file": "/tmp/a", "content": "\u{20ac}"}),
        )
        .await;
    assert!(
        wide.line().starts_with("500 Wide character"),
        "{}",
        wide.line()
    );
    let long = json!({"file": "/tmp/a", "content": "x".repeat(61_441)});
    let long = lab.call("POST", &agent("file-write"), long).await;
    assert_eq!(
        long.body["errors"],
        json!({"content": "value may only be 61440 characters long"})
    );
    let unsupported = lab.get(&agent("get-osinfo")).await;
    assert_eq!(unsupported["result"]["error"]["class"], "CommandNotFound");
}
