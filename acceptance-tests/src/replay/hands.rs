//! What the recorder did to guests without the API: destroyed them and took locks off them.
//!
//! It is told from the answers: a create that was not refused for the id's sake found the id free, and
//! a change that was made found no lock.

use serde_json::Value as Json;

use super::Record;
use crate::simulator::Simulator;

/// Does by the back door what must have been done before this record.
pub(super) async fn prepare(simulator: &Simulator, record: &Record) {
    let path: Vec<&str> = record.path.split('/').collect();
    let at = path.iter().position(|part| matches!(*part, "lxc" | "qemu"));
    let Some(below) = at.map(|at| &path[at..]) else {
        return;
    };
    match below {
        [kind] if record.method == "POST" => {
            // The id of a VM is looked at after some other checks, that of a container before them.
            let found_free = record.status == 200
                || (*kind == "lxc" && !record.reason.contains("already exists"));
            let params = record.params.iter().flatten();
            let id = params.clone().find(|(name, _)| name == "vmid");
            let id = id.and_then(|(_, id)| number(id));
            if let Some(id) = id.filter(|_| found_free && record.status != 400) {
                simulator.delete_vm(id).await;
            }
        }
        [_, id, rest @ ..] => {
            let Ok(id) = id.parse() else { return };
            let changed = record.method != "GET" && record.data().is_null();
            let read = record.method == "GET" && rest == ["config"];
            let unlocked = record.status == 200
                && (changed || (read && record.data()["lock"].is_null()))
                && record
                    .params
                    .iter()
                    .flatten()
                    .all(|(name, _)| name != "skiplock");
            if unlocked {
                simulator.set_lock(id, None);
            }
        }
        _ => {}
    }
}

fn number(value: &Json) -> Option<u32> {
    match value {
        Json::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|id| u32::try_from(id).ok()),
    }
}
