//! `pmoves_datastores`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::cluster::Cluster;
use crate::{
    framework::{Context, DataSource, Model, Result},
    pve::StorageRow,
};

/// The storages of the nodes, as far as the credential may see them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Datastores {
    /// Only the storages of this node. Left open, those of all nodes that are not offline.
    pub node_name: Option<String>,
    /// Only storages that take this content, such as `images`, `import`, `iso` or `backup`.
    pub content_type: Option<String>,
    /// The storages of each node, by node and id. A shared storage is there once for each node.
    #[attr(computed)]
    pub datastores: Option<Vec<Datastore>>,
}

/// A storage as a node sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Datastore {
    /// The node.
    #[attr(computed)]
    pub node_name: String,
    /// Id of the storage, such as `local-lvm`.
    #[attr(computed)]
    pub id: String,
    /// Its type, such as `dir`, `lvmthin` or `pbs`.
    #[attr(computed)]
    pub r#type: String,
    /// What it takes.
    #[attr(computed)]
    pub content_types: BTreeSet<String>,
    /// Whether all nodes see the same volumes.
    #[attr(computed)]
    pub shared: bool,
    /// Whether it is switched on.
    #[attr(computed)]
    pub enabled: bool,
    /// Whether the node can use it at the moment.
    #[attr(computed)]
    pub active: bool,
    /// Bytes that are free, while it is active. This changes by itself: an output of it changes plans.
    #[attr(computed)]
    pub space_available: Option<i64>,
    /// Its size in bytes, while it is active.
    #[attr(computed)]
    pub space_total: Option<i64>,
}

/// The data source.
pub struct DatastoresData;

impl DataSource for DatastoresData {
    const NAME: &'static str = "pmoves_datastores";
    type Client = Cluster;
    type Model = Datastores;

    async fn read(&self, cx: &Context<'_, Cluster>, question: Datastores) -> Result<Datastores> {
        let pve = cx.client.pve(cx)?;
        let wanted = |row: &StorageRow| match &question.content_type {
            Some(content) => row.holds(content),
            None => true,
        };
        let mut found = Vec::new();
        for node in cx.client.nodes(&pve, question.node_name.as_deref()).await? {
            let rows = pve.storages(&node).await?;
            let rows = rows.into_iter().filter(wanted);
            found.extend(rows.map(|row| datastore(&node, row)));
        }
        found.sort_by(|a, b| (&a.node_name, &a.id).cmp(&(&b.node_name, &b.id)));
        Ok(Datastores {
            datastores: Some(found),
            ..question
        })
    }
}

fn datastore(node: &str, row: StorageRow) -> Datastore {
    let space = |bytes: Option<u64>| bytes.filter(|_| row.active)?.try_into().ok();
    let content = row.content.split(',').map(str::trim);
    Datastore {
        node_name: node.to_owned(),
        content_types: content
            .filter(|one| !one.is_empty())
            .map(str::to_owned)
            .collect(),
        space_available: space(row.avail),
        space_total: space(row.total),
        id: row.name,
        r#type: row.kind,
        shared: row.shared,
        enabled: row.enabled,
        active: row.active,
    }
}
