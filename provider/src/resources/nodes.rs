//! `pmoves_nodes`.

use serde::{Deserialize, Serialize};

use super::cluster::Cluster;
use crate::{
    framework::{Context, DataSource, Model, Result},
    pve,
};

/// The nodes of the cluster.
///
/// Figures that change by themselves, such as load and uptime, are left out: they would change every plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Nodes {
    /// The nodes, by name.
    #[attr(computed)]
    pub nodes: Option<Vec<Node>>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Node {
    /// Its name.
    #[attr(computed)]
    pub name: String,
    /// Whether it is online.
    #[attr(computed)]
    pub online: bool,
    /// Number of its processors. Needs `Sys.Audit` on the node, which must be online.
    #[attr(computed)]
    pub cpus: Option<i64>,
    /// Its memory in MiB. Needs `Sys.Audit` on the node, which must be online.
    #[attr(computed)]
    pub memory: Option<i64>,
    /// Version of Proxmox VE, such as `9.2.11`, of a node that answers.
    #[attr(computed)]
    pub version: Option<String>,
}

/// The data source.
pub struct NodesData;

impl DataSource for NodesData {
    const NAME: &'static str = "pmoves_nodes";
    type Client = Cluster;
    type Model = Nodes;

    async fn read(&self, cx: &Context<'_, Cluster>, _: Nodes) -> Result<Nodes> {
        let pve = cx.client.pve(cx)?;
        let mut nodes = Vec::new();
        for row in pve.nodes().await? {
            let version = match row.is_offline() {
                true => None,
                false => match pve.node_version(&row.name).await {
                    Ok(version) => Some(version.to_string()),
                    // It went off a moment ago, which the list does not know yet.
                    Err(pve::Error::Rejected { .. } | pve::Error::Unreachable { .. }) => None,
                    Err(error) => return Err(error.into()),
                },
            };
            nodes.push(Node {
                online: row.status == "online",
                cpus: row.maxcpu,
                memory: row.maxmem.map(|bytes| bytes >> 20),
                version,
                name: row.name,
            });
        }
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Nodes { nodes: Some(nodes) })
    }
}
