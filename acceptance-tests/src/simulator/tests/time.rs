//! What depends on time and load: on a clock that stands still until a test moves it on.

use std::time::Duration;

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use serde_json::{Value as Json, json};

use super::Lab;
use crate::simulator::{Effect, Fault};

const CONFIG: &str = "/nodes/pve1/qemu/100/config";

/// A VM on a cluster whose time stands still.
async fn lab() -> Lab {
    let lab = Lab::with(|options| options.clock_stands = true).await;
    lab.task("POST", "/nodes/pve1/qemu", json!({"vmid": 100}))
        .await;
    lab
}

impl Lab {
    fn slow(&self, method: &str, path: &str, seconds: u64) {
        let delay = Effect::Delay(Duration::from_secs(seconds));
        self.simulator
            .fault(Fault::new(method, path, delay).times(9));
    }

    /// Waits until the cluster waits for `count` things, and lets time pass until the first of them is
    /// due; tells the seconds.
    async fn pass(&self, count: usize) -> u64 {
        self.simulator.world.clock.pass(count).await.as_secs()
    }
}

#[tokio::test]
async fn a_task_takes_its_time() {
    let lab = Lab::with(|options| {
        options.clock_stands = true;
        options.task_time = 1.0;
    })
    .await;
    let vmid = json!({"vmid": 100});
    let started = lab.call("POST", "/nodes/pve1/qemu", vmid).await;
    let upid = started.body["data"].as_str().expect("it is a UPID");
    let status = format!("/nodes/pve1/tasks/{upid}/status");
    assert_eq!(lab.get(&status).await["status"], "running");
    assert_eq!(lab.pass(1).await, 1);
    assert_eq!(lab.simulator.world.task_end(upid).await, "OK");
    assert_eq!(lab.get(&status).await["status"], "stopped");
}

#[tokio::test]
async fn a_locked_configuration_is_waited_for_ten_seconds() {
    let lab = lab().await;
    let held = lab.simulator.world.lock_guest(100, Duration::ZERO).await;
    // The lock and the answer are waited for.
    let change = lab.call("PUT", CONFIG, json!({"cores": 2}));
    let (answer, seconds) = tokio::join!(change, lab.pass(2));
    assert_eq!(
        answer.line(),
        "500 can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout"
    );
    assert_eq!(seconds, 10);
    drop(held);
    let change = lab.call("PUT", CONFIG, json!({"cores": 2})).await;
    assert_eq!(change.line(), "200 OK");
}

#[tokio::test]
async fn a_call_that_takes_long_goes_on_unheard() {
    let lab = lab().await;
    lab.slow("PUT", "/nodes/*/qemu/*/config", 40);
    let change = lab.call("PUT", CONFIG, json!({"cores": 2}));
    let (answer, seconds) = tokio::join!(change, lab.pass(2));
    assert_eq!(answer.line(), "596 Connection timed out");
    assert_eq!((answer.body, seconds), (json!(""), 30));
    assert_eq!(lab.get(CONFIG).await["cores"], Json::Null);
    assert_eq!(lab.pass(1).await, 10);
    while lab.get(CONFIG).await["cores"] != 2 {}
    // What the daemon that clients talk to answers by itself is waited for.
    lab.slow("GET", "/version", 40);
    let version = lab.call("GET", "/version", Json::Null);
    let (answer, seconds) = tokio::join!(version, lab.pass(1));
    assert_eq!((answer.line().as_str(), seconds), ("200 OK", 40));
}

#[tokio::test]
async fn a_daemon_works_on_three_calls_at_once() {
    let lab = lab().await;
    lab.slow("GET", "/nodes/*/qemu", 5);
    let list = || lab.call("GET", "/nodes/pve1/qemu", Json::Null);
    let mut four: FuturesUnordered<_> = (0..4).map(|_| list()).collect();
    let calls = async {
        for _ in 0..3 {
            four.next().await;
        }
    };
    // Four answers are waited for, and three calls are worked on.
    let during = async {
        lab.simulator.world.clock.waits(7).await;
        // The other daemon of the node has workers of its own.
        let version = lab.call("GET", "/version", Json::Null).await;
        (version.line(), lab.pass(7).await)
    };
    let ((), during) = tokio::join!(calls, during);
    assert_eq!(during, ("200 OK".to_owned(), 5));
    let (last, seconds) = tokio::join!(four.next(), lab.pass(2));
    assert_eq!(last.map(|answer| answer.line()), Some("200 OK".to_owned()));
    assert_eq!(seconds, 5);
}

#[tokio::test]
async fn lists_of_tasks_and_logs_are_cut() {
    let lab = Lab::new().await;
    for vmid in 100..152 {
        lab.task("POST", "/nodes/pve1/qemu", json!({"vmid": vmid}))
            .await;
    }
    let length = async |path: &str| lab.get(path).await.as_array().map(Vec::len);
    assert_eq!(length("/nodes/pve1/tasks").await, Some(50));
    assert_eq!(length("/nodes/pve1/tasks?limit=52").await, Some(52));
    assert_eq!(length("/nodes/pve1/tasks?start=50").await, Some(2));
    assert_eq!(length("/cluster/tasks").await, Some(25));
    let total = lab.call("GET", "/nodes/pve1/tasks", Json::Null).await.body["total"].clone();
    assert_eq!(total, 52);
}

#[tokio::test]
#[should_panic(expected = "asks for it again")]
async fn who_holds_the_state_does_not_wait_for_itself() {
    let lab = Lab::new().await;
    let _held = lab.simulator.world.state();
    lab.simulator.world.state();
}
