//! The network of a node: what its file says, and changes that share one reload.
//!
//! A node has one file of pending changes for everybody, and a reload applies all of it. Changes that arrive
//! together therefore go as one batch: look, change, look again, reload; and what cannot be reloaded is taken back.

mod batch;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::{Call, Params, Pve, Result, lenient};
pub use batch::{Edit, Wish};

const FRESH: Duration = Duration::from_secs(2);

/// The interfaces of a node, as its file will have them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// All interfaces that the credential may see.
    pub rows: Vec<NetworkRow>,
    /// What differs from the running configuration, as a unified diff.
    pub changes: Option<String>,
}

/// One interface. Only what the API also takes is kept.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct NetworkRow {
    /// `vmbr0`; the answer about a single one lacks it.
    #[serde(default)]
    pub iface: String,
    /// `bridge`, `eth`, `bond`, ...
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Really up.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub active: bool,
    #[serde(flatten)]
    settings: BTreeMap<String, Json>,
}

/// What a bridge is made of that the API both shows and takes.
const SETTINGS: [&str; 11] = [
    "autostart",
    "bridge_ports",
    "bridge_vids",
    "bridge_vlan_aware",
    "cidr",
    "cidr6",
    "comments",
    "gateway",
    "gateway6",
    "mtu",
    "vlan-raw-device",
];

impl NetworkRow {
    /// A setting as text, by the API's name; an empty one is none.
    pub fn setting(&self, name: &str) -> Option<String> {
        let text = match self.settings.get(name)? {
            Json::Null => return None,
            Json::String(text) => text.trim_end_matches('\n').to_owned(),
            other => other.to_string(),
        };
        (!text.is_empty()).then_some(text)
    }

    /// The parameters that would make this interface.
    pub(super) fn params(&self) -> Params {
        let known = SETTINGS
            .iter()
            .filter_map(|name| Some((*name, self.setting(name)?)));
        known.fold(
            Params::new()
                .with("type", Some(&self.kind))
                .with("autostart", Some(0)),
            |params, (name, value)| params.with(name, Some(value)),
        )
    }
}

/// What is known of the networks, and the changes that wait.
#[derive(Default)]
pub(super) struct Networks(Mutex<BTreeMap<String, Arc<Node>>>);

/// One node.
#[derive(Default)]
struct Node {
    /// Locked while asking, and while a batch is at work: in between the file is nobody's.
    seen: tokio::sync::Mutex<Option<(Instant, Arc<Network>)>>,
    waiting: Mutex<Vec<batch::Ticket>>,
}

impl Networks {
    fn node(&self, node: &str) -> Arc<Node> {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(nodes.entry(node.to_owned()).or_default())
    }
}

impl Pve {
    /// The network of a node; those who ask together get one answer.
    pub async fn network(&self, node: &str) -> Result<Arc<Network>> {
        let kept = self.inner.networks.node(node);
        let mut seen = self
            .scope
            .race(&format!("the network of {node}"), kept.seen.lock())
            .await?;
        match &*seen {
            Some((at, network)) if at.elapsed() < FRESH => Ok(Arc::clone(network)),
            _ => {
                let network = Arc::new(self.look_at_network(node).await?);
                *seen = Some((Instant::now(), Arc::clone(&network)));
                Ok(network)
            }
        }
    }

    /// One interface, also one that the list hides from a credential without rights on bridges.
    pub async fn interface_opt(&self, node: &str, iface: &str) -> Result<Option<NetworkRow>> {
        let network = self.network(node).await?;
        if let Some(row) = network.rows.iter().find(|row| row.iface == iface) {
            return Ok(Some(row.clone()));
        }
        let call = Call::get(format!("/nodes/{node}/network/{iface}"), Params::new());
        let row: Option<NetworkRow> = self.get_opt(&call).await?;
        Ok(row.map(|row| NetworkRow {
            iface: iface.to_owned(),
            ..row
        }))
    }

    async fn look_at_network(&self, node: &str) -> Result<Network> {
        #[derive(Deserialize)]
        struct Answer {
            data: Vec<NetworkRow>,
            #[serde(default)]
            changes: Option<String>,
        }
        let call = Call::get(format!("/nodes/{node}/network"), Params::new()).whole();
        let Answer { data, changes } = self.get(&call).await?;
        Ok(Network {
            rows: data,
            changes: changes.filter(|changes| !changes.trim().is_empty()),
        })
    }
}
