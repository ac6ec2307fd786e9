//! How many calls a node gets at a time, whatever the parallelism of the caller.
//!
//! Does not order calls: who asks first goes first.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Limits, call::Slot};

/// The semaphores of each node, made when first needed.
#[derive(Debug)]
pub(super) struct Slots {
    limits: Limits,
    nodes: Mutex<HashMap<(String, Slot), Arc<Semaphore>>>,
}

impl Slots {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            nodes: Mutex::default(),
        }
    }

    /// A place among the node's calls, free again when dropped. Cluster-wide calls share one pseudo node.
    pub(super) async fn take(&self, node: Option<&str>, slot: Slot) -> OwnedSemaphorePermit {
        let size = match slot {
            Slot::Clone => self.limits.clone,
            Slot::Write => self.limits.write,
            Slot::Agent => self.limits.agent,
            Slot::Read => self.limits.read,
        };
        let semaphore = {
            let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            let key = (node.unwrap_or_default().to_owned(), slot);
            let semaphore = nodes
                .entry(key)
                .or_insert_with(|| Arc::new(Semaphore::new(size.max(1))));
            Arc::clone(semaphore)
        };
        semaphore
            .acquire_owned()
            .await
            .expect("the semaphores are never closed")
    }
}

/// A place that a running task keeps, shared by all copies of its UPID.
#[derive(Clone, Default)]
pub(super) struct Held(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Held {
    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Mutex::new(Some(permit))))
    }

    /// Gives the place back although copies of the UPID live on.
    pub(super) fn release(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Two copies of a UPID are the same task, whoever keeps the place.
impl PartialEq for Held {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}
