//! `pmoves_bridges`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::cluster::Cluster;
use crate::{
    framework::{Context, DataSource, Model, Result},
    pve,
};

/// The bridges of the nodes, and the virtual networks that guests use like bridges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Bridges {
    /// Only the bridges of this node. Left open, those of all nodes that are not offline.
    pub node_name: Option<String>,
    /// The bridges of each node, by node and name.
    #[attr(computed)]
    pub bridges: Option<Vec<Bridge>>,
    /// Whether there may be bridges that the credential does not see: it needs `SDN.Audit` or `SDN.Use` on `/sdn/zones/localnetwork`.
    #[attr(computed)]
    pub filtered: Option<bool>,
}

/// A bridge of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Bridge {
    /// The node.
    #[attr(computed)]
    pub node_name: String,
    /// Its name, such as `vmbr0`.
    #[attr(computed)]
    pub name: String,
    /// `bridge`, `OVSBridge` or `vnet`.
    #[attr(computed)]
    pub r#type: String,
    /// Whether it is up. A bridge whose change was not applied yet is listed too.
    #[attr(computed)]
    pub active: bool,
    /// Whether it comes up when the node starts.
    #[attr(computed)]
    pub autostart: bool,
    /// Interfaces of the node that belong to it.
    #[attr(computed)]
    pub ports: BTreeSet<String>,
    /// IPv4 address of the node on it, in CIDR notation.
    #[attr(computed)]
    pub address: Option<String>,
    /// IPv6 address of the node on it, in CIDR notation.
    #[attr(computed)]
    pub address6: Option<String>,
    /// Whether it knows VLANs.
    #[attr(computed)]
    pub vlan_aware: bool,
}

/// The data source.
pub struct BridgesData;

impl DataSource for BridgesData {
    const NAME: &'static str = "pmoves_bridges";
    type Client = Cluster;
    type Model = Bridges;

    async fn read(&self, cx: &Context<'_, Cluster>, question: Bridges) -> Result<Bridges> {
        let pve = cx.client.pve(cx)?;
        let mut found = Vec::new();
        for node in cx.client.nodes(&pve, question.node_name.as_deref()).await? {
            let rows = pve.bridges(&node).await?.into_iter();
            found.extend(rows.map(|row| bridge(&node, row)));
        }
        found.sort_by(|a, b| (&a.node_name, &a.name).cmp(&(&b.node_name, &b.name)));
        let permissions = pve.permissions().await?;
        // What holds on any bridge holds on all: Proxmox VE asks for one of them on each bridge.
        let any = "/sdn/zones/localnetwork/*";
        let sees = ["SDN.Audit", "SDN.Use"]
            .iter()
            .any(|privilege| permissions.has(any, privilege));
        Ok(Bridges {
            bridges: Some(found),
            filtered: Some(!sees),
            ..question
        })
    }
}

fn bridge(node: &str, row: pve::Bridge) -> Bridge {
    Bridge {
        node_name: node.to_owned(),
        ports: row.ports.split_whitespace().map(str::to_owned).collect(),
        name: row.name,
        r#type: row.kind,
        active: row.active,
        autostart: row.autostart,
        address: row.cidr,
        address6: row.cidr6,
        vlan_aware: row.vlan_aware,
    }
}
