//! What the provider block becomes: the API, and what is known of cluster and guests for a moment.
//!
//! Shared by all resources of one provider process, so that they ask the same question once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::OnceCell, time::Instant};

pub mod logins;
mod ways;

pub use ways::VmWay;

use super::image::is_file_storage;
use crate::{
    framework::{Context, Failure, Result, State, resource::Faults},
    guest::{
        console::Console,
        look::{self, Look},
        reached::Reached,
        ssh,
    },
    pve::{self, GuestRow, MappingRow, NodeRow, Pve, StorageRow},
};

/// How long a look at a guest stands for all who ask. A refresh is over by then, and a change of
/// ours forgets it at once.
const FRESH: Duration = Duration::from_secs(60);
/// How long a look may take: a guest that does not answer must not hold up a plan.
const PATIENCE: Duration = Duration::from_secs(20);

/// The API and what was learned from it.
pub struct Cluster {
    pve: Option<Pve>,
    unknown: String,
    tag: String,
    looks_in: bool,
    storages: Mutex<BTreeMap<String, Arc<OnceCell<Vec<StorageRow>>>>>,
    bridges: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Vec<String>>>>>,
    mappings: Mutex<BTreeMap<&'static str, Arc<OnceCell<Vec<MappingRow>>>>>,
    looks: Mutex<BTreeMap<u32, Arc<tokio::sync::Mutex<Option<Seen>>>>>,
    consoles: Mutex<BTreeMap<u32, Console>>,
    ssh: Option<Arc<ssh::Settings>>,
    lines: Mutex<BTreeMap<(u32, ssh::Target), ssh::Line>>,
}

struct Seen {
    at: Instant,
    look: Arc<Result<Look, Silence>>,
}

/// Why a guest could not be looked at, for a warning: the state keeps what was known.
#[derive(Clone, Debug)]
pub struct Silence(pub String);

impl Cluster {
    /// A cluster that can be called.
    pub fn new(pve: Pve, tag: String, ssh: Option<ssh::Settings>) -> Self {
        Self {
            pve: Some(pve),
            tag,
            ssh: ssh.map(Arc::new),
            ..Self::unconfigured(String::new())
        }
    }

    /// The same cluster, whose guests a refresh looks into or leaves alone.
    pub fn looking(self, looks_in: bool) -> Self {
        Self { looks_in, ..self }
    }

    /// Whether a read looks into guests. An import always does.
    pub fn looks_in(&self, cx: &Context<'_, Self>) -> bool {
        self.looks_in || cx.importing
    }

    /// A cluster whose settings are decided during apply; `unknown` names them.
    pub fn unconfigured(unknown: String) -> Self {
        Self {
            pve: None,
            unknown,
            tag: String::new(),
            looks_in: true,
            storages: Mutex::default(),
            bridges: Mutex::default(),
            mappings: Mutex::default(),
            looks: Mutex::default(),
            consoles: Mutex::default(),
            ssh: None,
            lines: Mutex::default(),
        }
    }

    /// The tag for guests that are created.
    pub fn tag(&self) -> Option<&str> {
        (!self.tag.is_empty()).then_some(self.tag.as_str())
    }

    /// The API for one operation.
    pub fn pve(&self, cx: &Context<'_, Self>) -> Result<Pve> {
        self.pve_opt(cx).ok_or_else(|| {
            Failure::new(format!("the provider's {} is not known yet", self.unknown))
        })
    }

    /// The API for one operation, once its settings are known.
    pub fn pve_opt(&self, cx: &Context<'_, Self>) -> Option<Pve> {
        let pve = self.pve.as_ref()?;
        Some(pve.within(cx.deadline, cx.cancel.clone()))
    }

    /// The API for a read: without it a state stays as it is, but an import cannot be empty.
    pub fn pve_or_warn<M>(
        &self,
        cx: &Context<'_, Self>,
        state: &mut State<M>,
    ) -> Result<Option<Pve>> {
        if self.pve.is_none() && !cx.importing {
            state.warn(
                "Not refreshed",
                format!(
                    "The provider's {} is not known yet, so nothing could be read.",
                    self.unknown
                ),
            );
            return Ok(None);
        }
        self.pve(cx).map(Some)
    }

    /// Whether the node is known and online; if not, says so at the attribute.
    pub async fn check_node(
        &self,
        pve: &Pve,
        node: &str,
        at: &str,
        found: &mut Faults<'_>,
    ) -> Result<bool> {
        let Err(error) = self.storages(pve, node).await else {
            return Ok(true);
        };
        if !matches!(
            error,
            pve::Error::Rejected { .. } | pve::Error::Unreachable { .. }
        ) {
            return Err(error.into());
        }
        // Only now is the list worth a call: Proxmox VE answers for an unknown node with a failed
        // name lookup, and for one that is off with a failed connection.
        let nodes = pve.nodes().await?;
        match nodes.iter().find(|row| row.name == node) {
            Some(row) if row.status == "online" => return Err(error.into()),
            Some(row) => found.error(
                at,
                "The node is not online",
                format!("{node} is {}.", row.status),
            ),
            None => found.error(
                at,
                "No such node",
                format!("{}.", no_such_node(node, &nodes)),
            ),
        }
        Ok(false)
    }

    /// The nodes that can be asked: the named one, or all that are not offline.
    pub async fn nodes(&self, pve: &Pve, named: Option<&str>) -> Result<Vec<String>> {
        let rows = pve.nodes().await?;
        let Some(named) = named else {
            let rows = rows.into_iter().filter(|row| !row.is_offline());
            return Ok(rows.map(|row| row.name).collect());
        };
        let why = match rows.iter().find(|row| row.name == named) {
            Some(row) if !row.is_offline() => return Ok(vec![named.to_owned()]),
            Some(row) => format!("{named} is {}", row.status),
            None => no_such_node(named, &rows),
        };
        Err(Failure::new(why).at("node_name"))
    }

    /// Whether a storage of the node takes a kind of content; if not, says so at the attribute.
    pub async fn check_storage(
        &self,
        pve: &Pve,
        node: &str,
        storage: &str,
        content: &str,
        at: &str,
        found: &mut Faults<'_>,
    ) -> Result<()> {
        let rows = self.storages(pve, node).await?;
        let fitting = || {
            let names: Vec<&str> = rows
                .iter()
                .filter(|row| row.holds(content))
                .map(|row| row.name.as_str())
                .collect();
            match names.is_empty() {
                true => String::new(),
                false => format!(" Storages of {node} that do: {}.", names.join(", ")),
            }
        };
        match rows.iter().find(|row| row.name == storage) {
            None => found.error(at, "No such storage", format!("Node {node} has no storage {storage} that the credential may see.{}", fitting())),
            Some(row) if !row.holds(content) && content != "images" && !is_file_storage(row) => found.error(
                at,
                "The storage holds no files",
                format!("{storage} is of type {}; content {content} needs a file storage.{}", row.kind, fitting()),
            ),
            Some(row) if !row.holds(content) => found.error(
                at,
                format!("The storage does not take content {content}"),
                format!(
                    "{storage} is configured for {}.{} To add it, as root on a node:\n\npvesm set {storage} --content {},{content}",
                    row.content,
                    fitting(),
                    row.content
                ),
            ),
            Some(row) if !row.active => found.error(at, "The storage is not active", format!("{storage} is not active on {node}.")),
            Some(_) => {}
        }
        Ok(())
    }

    /// The storages of a node, asked once.
    pub async fn storages(&self, pve: &Pve, node: &str) -> Result<Vec<StorageRow>, pve::Error> {
        let cell = Arc::clone(
            self.storages
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(node.to_owned())
                .or_default(),
        );
        cell.get_or_try_init(|| pve.storages(node)).await.cloned()
    }

    /// The names of a node's bridges that the credential may use: asked once, and again if one of `wanted` is not
    /// among them, for it may have been made since.
    pub async fn bridges(
        &self,
        pve: &Pve,
        node: &str,
        wanted: &[&str],
    ) -> Result<Vec<String>, pve::Error> {
        let known = Arc::clone(
            self.bridges
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(node.to_owned())
                .or_default(),
        );
        let mut known = known.lock().await;
        let knows = |name: &&str| known.iter().any(|there| there == *name);
        if !wanted.iter().all(knows) {
            let rows = pve.bridges(node).await?;
            *known = rows.into_iter().map(|bridge| bridge.name).collect();
        }
        Ok(known.clone())
    }

    /// The mappings of a kind that the credential may use, asked once.
    pub async fn mappings(
        &self,
        pve: &Pve,
        kind: &'static str,
    ) -> Result<Vec<MappingRow>, pve::Error> {
        let cell = Arc::clone(
            self.mappings
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(kind)
                .or_default(),
        );
        cell.get_or_try_init(|| pve.mappings(kind)).await.cloned()
    }

    /// What a guest looks like: one round for all who ask, host and stacks alike.
    pub async fn look(&self, pve: &Pve, row: &GuestRow) -> Arc<Result<Look, Silence>> {
        match self.guest(pve, row, None).await {
            Ok(guest) => self.look_by(row.vmid, guest).await,
            Err(failure) => Arc::new(Err(Silence(failure.detail))),
        }
    }

    /// Likewise, by a way that the caller knows.
    pub async fn look_by(&self, vmid: u32, guest: Reached) -> Arc<Result<Look, Silence>> {
        let slot = Arc::clone(
            self.looks
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(vmid)
                .or_default(),
        );
        let mut seen = slot.lock().await;
        if let Some(seen) = seen.as_ref().filter(|seen| seen.at.elapsed() < FRESH) {
            return Arc::clone(&seen.look);
        }
        let look = match tokio::time::timeout(PATIENCE, look::look(&guest)).await {
            Ok(Ok(look)) => Ok(look),
            Ok(Err(error)) => Err(Silence(super::chain(&error))),
            Err(_) => Err(Silence(format!(
                "no answer within {} s",
                PATIENCE.as_secs()
            ))),
        };
        guest.close().await;
        let look = Arc::new(look);
        *seen = Some(Seen {
            at: Instant::now(),
            look: Arc::clone(&look),
        });
        look
    }

    /// Forgets what a guest looked like, before or after something on it changes.
    pub fn forget(&self, vmid: u32) {
        self.looks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&vmid);
    }
}

fn no_such_node(node: &str, all: &[NodeRow]) -> String {
    let names: Vec<&str> = all.iter().map(|row| row.name.as_str()).collect();
    format!(
        "The cluster has no node {node}; it has {}",
        names.join(", ")
    )
}
