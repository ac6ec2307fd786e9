//! Plays merged recordings against a fresh simulator, at the pace of the recording.
//!
//! A task that the recorder saw ended is waited for; one that it saw running is not.

use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde_json::Value as Json;

use super::compare::{self, Answer};
use super::guest::Recorded;
use super::sender::Sender;
use super::{Numbered, Record, Verdict, files, hands};
use crate::simulator::{Options, Simulator, Storage};

/// How long a task may take that the recorder saw ended.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long an answer that depends on time may need to become the recorded one.
const SETTLES: Duration = Duration::from_secs(2);

/// The node as it was when the recordings began.
fn node() -> Result<Options, String> {
    let content = "iso,rootdir,backup,vztmpl,images,snippets";
    Ok(Options {
        storages: vec![Storage {
            implicit: true,
            ..Storage::dir("local", "/var/lib/vz", content)
        }],
        hardware: (2, 25_276_502_016),
        hypervisor: Arc::new(Recorded::new()?),
        resources_lag: Duration::from_secs(1),
        task_time: 0.05,
        login_delay: Duration::ZERO,
        with_token: false,
        ..Options::default()
    })
}

/// Plays all records and judges those that say something about real nodes, telling each at once.
pub async fn play(records: Vec<Numbered>, tell: impl Fn(&Verdict)) -> Result<Vec<Verdict>, String> {
    let options = node()?;
    let password = options.root_password.clone();
    let simulator = Simulator::start(options)
        .await
        .map_err(|error| error.to_string())?;
    let web = files::serve().await.map_err(|error| error.to_string())?;
    let ca = reqwest::Certificate::from_pem(simulator.ca_pem().as_bytes());
    let ca = ca.map_err(|error| error.to_string())?;
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([ca])
        .timeout(Duration::from_secs(40))
        .build()
        .map_err(|error| error.to_string())?;
    let mut sender = Sender::new(http, simulator.endpoint(), password, web);
    begin(&simulator, &mut sender).await;
    let mut verdicts = Vec::new();
    for (at, (file, record)) in records.iter().enumerate() {
        if let Some(upid) = upid_of_path(record).filter(|_| saw_the_end(record)) {
            await_task(&simulator, &sender, &upid).await;
        }
        hands::prepare(&simulator, record).await;
        let answer = send_until_settled(&mut sender, record).await;
        if let Some(upid) = record
            .data()
            .as_str()
            .filter(|text| text.starts_with("UPID:"))
            && ends_before_the_next_change(upid, &records[at + 1..])
        {
            await_task(&simulator, &sender, upid).await;
        }
        if record.env_caveat.is_none() {
            let answer = with_recorded_address(answer, web.port());
            let difference = compare::difference(record, &answer);
            let verdict = Verdict {
                file: *file,
                record: record.clone(),
                answer,
                difference,
            };
            tell(&verdict);
            verdicts.push(verdict);
        }
    }
    Ok(verdicts)
}

/// What the recorder did before it began: it made a VM and removed it.
async fn begin(simulator: &Simulator, sender: &mut Sender) {
    let path = "/api2/json/nodes/pve1/qemu";
    let id = [("vmid".to_owned(), Json::from(100))];
    for (method, path, params) in [
        ("POST", path.to_owned(), &id[..]),
        ("DELETE", format!("{path}/100"), &[]),
    ] {
        let answer = sender.call("root-ticket", method, &path, params).await;
        if let Some(upid) = answer.data().as_str() {
            simulator.task_end(upid).await;
        }
    }
}

/// Sends it; where the answer shows how far something has come, again until it agrees.
async fn send_until_settled(sender: &mut Sender, record: &Record) -> Answer {
    let depends_on_time = record.method == "GET"
        && [
            "/agent/exec-status",
            "/status/current",
            "/cluster/resources",
        ]
        .iter()
        .any(|end| record.path.ends_with(end));
    // What the agent has told once it does not tell again, so asking on is only right until then.
    let is_early = |answer: &Answer| {
        !record.path.ends_with("/agent/exec-status") || answer.data()["exited"] == 0
    };
    let begun = tokio::time::Instant::now();
    loop {
        let answer = sender.send(record).await;
        let may_settle = depends_on_time && is_early(&answer) && begun.elapsed() < SETTLES;
        if !may_settle || compare::difference(record, &answer).is_none() {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The UPID in the path of a call on a task.
fn upid_of_path(record: &Record) -> Option<String> {
    let mut parts = record
        .path
        .split('/')
        .map(|part| percent_decode_str(part).decode_utf8_lossy());
    parts
        .find(|part| part.starts_with("UPID:"))
        .map(std::borrow::Cow::into_owned)
}

/// Whether the answer shows a task that has ended.
fn saw_the_end(record: &Record) -> bool {
    let last_line = record
        .data()
        .as_array()
        .and_then(|lines| lines.last()?["t"].as_str());
    record.data()["status"] == "stopped" || last_line.is_some_and(|line| line.starts_with("TASK "))
}

/// Whether the recorder waited for the task before it changed anything else. A recording that does not
/// show the task again is taken to have waited.
fn ends_before_the_next_change(upid: &str, later: &[Numbered]) -> bool {
    let mut later = later.iter().map(|(_, record)| record);
    let seen = later.by_ref().find_map(|record| {
        if upid_of_path(record).as_deref() == Some(upid) {
            return Some(saw_the_end(record));
        }
        (record.method != "GET").then_some(true)
    });
    seen.unwrap_or(true)
}

async fn await_task(simulator: &Simulator, sender: &Sender, recorded: &str) {
    if let Some(upid) = sender
        .upid(recorded)
        .filter(|upid| upid.starts_with("UPID:"))
    {
        let end = simulator.task_end(upid);
        if tokio::time::timeout(PATIENCE, end).await.is_err() {
            eprintln!("{upid} goes on, but {recorded} had ended");
        }
    }
}

/// The answer with the address of the recorder's web server in the place of ours.
fn with_recorded_address(mut answer: Answer, port: u16) -> Answer {
    let (ours, theirs) = (format!("127.0.0.1:{port}"), "127.0.0.1:8099");
    answer.reason = answer.reason.replace(&ours, theirs);
    let text = Json::Object(answer.body).to_string().replace(&ours, theirs);
    answer.body = serde_json::from_str(&text).unwrap_or_default();
    answer
}
