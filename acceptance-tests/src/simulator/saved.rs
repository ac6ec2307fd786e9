//! The state of a cluster as text, for simulators that are started again.
//!
//! It has what the disks of the nodes have, secrets too. What runs is only noted; it starts again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

use super::release::Release;
use super::tasks::Task;
use super::world::{State, World};
use super::{lxc, qemu};

/// What is written down.
#[derive(Deserialize, Serialize)]
struct Saved<S> {
    release: String,
    /// The guests that ran.
    running: Vec<u32>,
    state: S,
}

/// The state as JSON.
pub(super) fn write(world: &World) -> serde_json::Result<String> {
    let state = world.state();
    let vms = state.vms.values().filter(|vm| vm.running.is_some());
    let cts = state.cts.values().filter(|ct| ct.running.is_some());
    let running = vms.map(|vm| vm.vmid).chain(cts.map(|ct| ct.vmid)).collect();
    serde_json::to_string_pretty(&Saved {
        release: world.settings.release.name().to_owned(),
        running,
        state: &*state,
    })
}

/// Reads what [`write`] wrote, with the guests that are to be started. Tasks that ran are over, as after
/// a power cut.
pub(super) fn read(text: &str, release: Release) -> Result<(State, Vec<u32>), String> {
    let saved: Saved<State> = serde_json::from_str(text)
        .map_err(|error| format!("the saved state cannot be read: {error}"))?;
    if saved.release != release.name() {
        return Err(format!(
            "the saved state is of release {}, and {} was asked for",
            saved.release,
            release.name()
        ));
    }
    let mut state = saved.state;
    state.access.release = release;
    for task in state.tasks.iter_mut().filter(|task| task.exit.is_none()) {
        task.exit = Some("unexpected status".to_owned());
        task.endtime = Some(task.starttime);
    }
    Ok((state, saved.running))
}

/// Starts the guests that ran, as a node does that is switched on.
pub(super) fn start(world: &Arc<World>, running: Vec<u32>) {
    for vmid in running {
        let (vm, ct) = {
            let state = world.state();
            let vm = state.vms.get(&vmid).map(|vm| vm.node.clone());
            (vm, state.cts.get(&vmid).map(|ct| ct.node.clone()))
        };
        let id = vmid.to_string();
        if let Some(node) = vm {
            let what = (node.as_str(), "qmstart", id.as_str(), "root@pam");
            Task::spawn(world, what, None, |worker| {
                qemu::start::run(worker, node.clone(), vmid)
            });
        } else if let Some(node) = ct {
            let what = (node.as_str(), "vzstart", id.as_str(), "root@pam");
            Task::spawn(world, what, None, |worker| {
                lxc::start::run(worker, node.clone(), vmid, false)
            });
        }
    }
}

/// A word of a fixed set, by a name that hides from serde that it is borrowed.
pub(super) type Word = &'static str;

/// Reads a [`Word`]. It is read once and needed as long as the simulator runs.
pub(super) fn word<'de, D: Deserializer<'de>>(from: D) -> Result<Word, D::Error> {
    Ok(String::deserialize(from)?.leak())
}

/// Maps whose keys are no text.
pub(super) mod pairs {
    use super::{BTreeMap, Deserialize, DeserializeOwned, Deserializer, Serialize, Serializer};

    pub(in super::super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub(in super::super) fn deserialize<'de, K, V, D>(from: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: DeserializeOwned + Ord,
        V: DeserializeOwned,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(from)?.into_iter().collect())
    }
}

/// Bytes in base64.
pub(super) mod base64 {
    use axum::body::Bytes;
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde::de::Error as _;

    use super::{Deserialize, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        data: &Bytes,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(data))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Bytes, D::Error> {
        let text = String::deserialize(from)?;
        let data = BASE64_STANDARD.decode(text).map_err(D::Error::custom)?;
        Ok(data.into())
    }
}
