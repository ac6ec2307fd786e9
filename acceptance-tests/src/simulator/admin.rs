//! Calls that steer the simulator itself, under `/sim/`, for programs that are no tests of this project.
//!
//! No credentials are asked: the server only listens on loopback, and the calls are off by default.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::faults::Fault;
use super::world::World;

/// What the calls are, for the help of programs that switch them on.
pub const HELP: &str = "\
GET, POST, DELETE /sim/faults    faults: those that are ordered, one more, none; such as
    {\"method\": \"POST\", \"path\": \"/nodes/*/qemu\", \"nth\": 1, \"times\": 1, \"every\": 1, \"effect\":
     {\"answer\": {\"status\": 500, \"text\": \"…\"}}}; other effects are {\"do_then_answer\": {…}}, \"drop\",
    \"do_then_drop\", {\"delay\": SECONDS}, {\"task_fails\": \"…\"}, {\"task_warns\": \"…\"}, \"task_vanishes\",
    \"agent_silent\" and \"agent_restarts\"
GET, DELETE /sim/journal         the calls so far, and the faults that hit them; a new journal
POST /sim/advance                lets {\"seconds\": N} pass at once
POST /sim/nodes                  takes a node away, or brings it back: {\"node\": \"pve2\", \"online\": false}
POST /sim/guests                 moves a guest with its volumes: {\"vmid\": 100, \"node\": \"pve2\"}
";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Online {
    node: String,
    online: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    vmid: u32,
    node: String,
}

/// Answers a call below `/sim/`.
pub(super) async fn answer(world: &Arc<World>, request: Request<Body>) -> Response<Body> {
    let call = format!("{} {}", request.method(), request.uri().path());
    let body = to_bytes(request.into_body(), 1 << 20).await;
    let done = body
        .map_err(|error| error.to_string())
        .and_then(|body| act(world, &call, &body));
    let (status, answer) = match done {
        Ok(Some(data)) => (StatusCode::OK, json!({ "data": data })),
        Ok(None) => (
            StatusCode::NOT_FOUND,
            json!({"message": format!("{call}: unknown")}),
        ),
        Err(error) => (StatusCode::BAD_REQUEST, json!({ "message": error })),
    };
    let mut response = Response::new(Body::from(answer.to_string()));
    *response.status_mut() = status;
    response
}

fn act(world: &World, call: &str, body: &[u8]) -> Result<Option<Json>, String> {
    fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
        serde_json::from_slice(body).map_err(|error| error.to_string())
    }
    let faults = || world.faults.lock().expect("no holder of the faults panics");
    let journal = || {
        world
            .journal
            .lock()
            .expect("no holder of the journal panics")
    };
    let data = match call {
        "GET /sim/faults" => json!(*faults()),
        "POST /sim/faults" => json!(faults().push(read::<Fault>(body)?)),
        "DELETE /sim/faults" => json!(faults().clear()),
        "GET /sim/journal" => json!(*journal()),
        "DELETE /sim/journal" => json!(journal().clear()),
        "POST /sim/advance" => {
            let Advance { seconds } = read(body)?;
            let time = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
            json!(world.clock.advance(time))
        }
        "POST /sim/nodes" => {
            let Online { node, online } = read(body)?;
            json!(world.state().set_online(&node, online)?)
        }
        "POST /sim/guests" => {
            let Move { vmid, node } = read(body)?;
            let mut state = world.state();
            state
                .guest(vmid)
                .ok_or_else(|| format!("there is no guest {vmid}"))?;
            if state.nodes.iter().all(|known| known.name != node) {
                return Err(format!("there is no node {node}"));
            }
            json!(state.move_guest(vmid, &node))
        }
        _ => return Ok(None),
    };
    Ok(Some(data))
}
