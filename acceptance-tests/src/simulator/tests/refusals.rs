//! What the API says to requests that it refuses.

use serde_json::Value as Json;

use super::{Lab, privileges};

/// One request a line: `METHOD PATH PARAMETERS => STATUS REASON`, with the violations instead of a reason where there
/// are some, and with the end of the task after it.
const REFUSALS: &str = include_str!("refusals.txt");

impl Lab {
    /// What a line of the table is answered with.
    async fn said(&self, request: &str) -> String {
        let mut words = request.splitn(3, ' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next());
        let path = path.unwrap_or_default().replacen("./", "/nodes/pve1/", 1);
        let params = words.next().map(serde_json::from_str::<Json>);
        let params = params.map_or(Json::Null, |params| params.expect("it is JSON"));
        let answer = self.call(method, &path, params).await;
        if let Some(upid) = answer.body["data"].as_str() {
            return format!("task {}", self.simulator.world.task_end(upid).await);
        }
        match &answer.body["errors"] {
            Json::Null => answer.line(),
            errors => format!("{} {errors}", answer.status),
        }
    }
}

#[tokio::test]
async fn refusals_read_as_the_api_writes_them() {
    let lab = privileges::lab().await;
    let mut wrong = String::new();
    for line in REFUSALS
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let (request, expected) = line.split_once(" => ").expect("a line has both");
        let said = lab.said(request).await;
        if said != expected {
            wrong += &format!("{request}\n  {said}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
