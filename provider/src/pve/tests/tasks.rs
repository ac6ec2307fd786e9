//! Waiting for tasks, and the loop that sleeps.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use expect_test::{Expect, expect};
use serde_json::json;

use super::{
    super::*,
    server::{Answer, Server},
};

const UPID: &str = "UPID:pve1:00001A2B:0009C3D4:68C0FFEE:qmcreate:101:tf@pve!ci:";

fn create() -> Call {
    Call::post("/nodes/pve1/qemu", Params::new().with("vmid", Some(101))).task()
}

/// Starts a task for every write; the task is asked `running` times before it has ended with `exit`.
async fn task(running: usize, exit: &'static str, log: &'static [&'static str]) -> Server {
    let asked = AtomicUsize::new(0);
    Server::start(move |request| {
        if request.line.contains("/log") {
            let lines = log
                .iter()
                .enumerate()
                .map(|(n, t)| json!({ "n": n + 1, "t": t }));
            Answer::Data(lines.collect())
        } else if !request.line.contains("/status") {
            Answer::Data(json!(UPID))
        } else if asked.fetch_add(1, Ordering::Relaxed) < running {
            Answer::Data(json!({ "status": "running", "upid": UPID }))
        } else {
            Answer::Data(json!({ "status": "stopped", "exitstatus": exit }))
        }
    })
    .await
}

#[track_caller]
fn check(error: &Error, expected: &Expect) {
    expected.assert_eq(&format!("{error:#?}\n{error}\n"));
}

#[tokio::test]
async fn a_task_that_ends_well_is_awaited() {
    let server = task(2, "OK", &[]).await;
    assert_eq!(server.pve().run([create()]).await.unwrap(), [""; 0]);
    let status = "GET /nodes/pve1/tasks/UPID:pve1:00001A2B:0009C3D4:68C0FFEE:qmcreate:101:tf%40pve%21ci:/status";
    assert_eq!(
        server.lines(),
        ["POST /nodes/pve1/qemu", status, status, status]
    );
}

#[tokio::test]
async fn warnings_of_a_task_are_given_to_the_caller() {
    let recorded: Json = serde_json::from_str(include_str!(
        "../../../fixtures/task_log_with_warnings.9.2.json"
    ))
    .unwrap();
    let server = Server::start(move |request| match &request.line {
        line if line.ends_with("/log?limit=0") => Answer::Data(recorded["data"].clone()),
        line if line.ends_with("/status") => {
            Answer::Data(json!({ "status": "stopped", "exitstatus": "WARNINGS: 1" }))
        }
        _ => Answer::Data(json!(UPID)),
    })
    .await;
    let warnings = server.pve().run([create()]).await.unwrap();
    expect!["Systemd 257 detected. You may need to enable nesting."]
        .assert_eq(&warnings.join("\n"));
}

#[tokio::test]
async fn a_failed_task_brings_its_last_lines() {
    let log = &[
        "creating disk",
        "",
        "no space left",
        "TASK ERROR: unable to create VM 101 - no space left",
    ];
    let server = task(0, "unable to create VM 101 - no space left", log).await;
    let error = server.pve().run([create()]).await.unwrap_err();
    check(
        &error,
        &expect![[r#"
        Task {
            what: "task qmcreate 101 on pve1",
            upid: "UPID:pve1:00001A2B:0009C3D4:68C0FFEE:qmcreate:101:tf@pve!ci:",
            exit: "unable to create VM 101 - no space left",
            log: [
                "creating disk",
                "no space left",
            ],
        }
        task qmcreate 101 on pve1 failed: unable to create VM 101 - no space left
    "#]],
    );
}

#[tokio::test]
async fn a_task_of_a_missing_guest_says_so() {
    let server = task(
        0,
        "Configuration file 'nodes/pve1/qemu-server/101.conf' does not exist",
        &[],
    )
    .await;
    assert!(server.pve().run([create()]).await.unwrap_err().is_gone());
}

#[tokio::test]
async fn a_task_that_met_a_lock_is_started_again() {
    let ended = AtomicUsize::new(0);
    let server = Server::start(move |request| match &request.line {
        line if line.ends_with("/status") => {
            let exits = ["VM is locked (clone)", "OK"];
            Answer::Data(json!({ "status": "stopped", "exitstatus": exits[ended.fetch_add(1, Ordering::Relaxed)] }))
        }
        line if line.contains("/log") => Answer::Data(json!([])),
        _ => Answer::Data(json!(UPID)),
    })
    .await;
    server.pve().run([create()]).await.unwrap();
    assert_eq!(
        server
            .lines()
            .iter()
            .filter(|line| line.starts_with("POST"))
            .count(),
        2
    );
}

#[tokio::test]
async fn the_deadline_names_the_task_and_what_it_did_last() {
    let server = task(usize::MAX, "", &["transferred 1 GiB of 8 GiB"]).await;
    let pve = server.pve().within(
        Instant::now() + Duration::from_millis(400),
        CancellationToken::new(),
    );
    let error = pve.run([create()]).await.unwrap_err().to_string();
    let (start, end) = error.split_once("ms waiting for ").unwrap();
    assert!(start.starts_with("timed out after "), "{error}");
    assert_eq!(
        end,
        "task qmcreate 101 on pve1 (last seen: transferred 1 GiB of 8 GiB)"
    );
}

#[tokio::test]
async fn cancelling_ends_a_wait_at_once() {
    let server = Arc::new(task(usize::MAX, "", &[]).await);
    let cancel = CancellationToken::new();
    let pve = server
        .pve()
        .within(Instant::now() + Duration::from_mins(10), cancel.clone());
    let waiting = tokio::spawn(async move { pve.run([create()]).await });
    while server.lines().len() < 3 {
        tokio::task::yield_now().await;
    }
    cancel.cancel();
    assert!(matches!(waiting.await.unwrap(), Err(Error::Cancelled)));
}

#[tokio::test]
async fn a_clone_keeps_its_place_until_it_was_awaited() {
    let server = task(0, "OK", &[]).await;
    let pve = server.pve();
    let clone = create().clone_slot();
    let mut upids = Vec::new();
    for _ in 0..2 {
        match pve.send(&clone).await.unwrap() {
            super::super::Answer::Task(upid) => upids.push(upid),
            super::super::Answer::Done(data) => panic!("{data}"),
        }
    }
    let soon = pve.within(
        Instant::now() + Duration::from_millis(50),
        CancellationToken::new(),
    );
    assert!(matches!(
        soon.send(&clone).await,
        Err(Error::TimedOut { .. })
    ));
    pve.wait(&upids[0]).await.unwrap();
    pve.send(&clone).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn polling_slows_down_to_its_longest_pause() {
    let pve = Pve::new(Settings {
        endpoint: String::new(),
        credential: Credential::Token(Secret::default()),
        trust: Trust::System,
        request_timeout: Duration::ZERO,
        limits: Limits::default(),
        vmids: None,
    });
    let (since, looks) = (Instant::now(), AtomicUsize::new(0));
    let pve = pve.within(since + Duration::from_mins(1), CancellationToken::new());
    let look = || async {
        let look = looks.fetch_add(1, Ordering::Relaxed);
        Ok((look == 8).then(|| since.elapsed()))
    };
    let took = pve
        .poll(
            "it",
            Duration::from_millis(150),
            Duration::from_secs(2),
            look,
        )
        .await
        .unwrap();
    assert_eq!(
        took.as_millis() / 10,
        (150 + 225 + 337 + 506 + 759 + 1139 + 1708 + 2000) / 10
    );

    let never = || async { Ok(None::<()>) };
    let error = pve
        .poll(
            "the agent of VM 101",
            Duration::from_secs(1),
            Duration::from_secs(1),
            never,
        )
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "timed out after 53s waiting for the agent of VM 101"
    );
}
