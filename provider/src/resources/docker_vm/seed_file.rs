//! The seed ISO on its storage: put there for the first boot, gone after it.
//!
//! What is in it is `host`'s affair.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{calls::SEED_SLOT, host, model::DockerVm};
use crate::{
    framework::{Result, State},
    pve::{self, Pve, QemuConfig},
    resources::host::volumes::{delete_volume, storage_of},
};

/// The seed of one VM.
pub(super) struct SeedFile {
    node: String,
    storage: String,
    vmid: u32,
}

impl SeedFile {
    pub(super) fn new(node: &str, storage: &str, vmid: u32) -> Self {
        Self {
            node: node.to_owned(),
            storage: storage.to_owned(),
            vmid,
        }
    }

    /// The seed that a VM still has, since its first boot has not come to an end.
    pub(super) fn attached(node: &str, vmid: u32, config: &QemuConfig) -> Option<Self> {
        let drive = config.disks.get(SEED_SLOT)?;
        let storage = storage_of(drive)?;
        let seed = Self::new(node, &storage, vmid);
        (drive.split(',').next() == Some(seed.volume().as_str())).then_some(seed)
    }

    pub(super) fn node(&self) -> &str {
        &self.node
    }

    pub(super) fn vmid(&self) -> u32 {
        self.vmid
    }

    pub(super) fn volume(&self) -> String {
        format!("{}:iso/{}", self.storage, self.name())
    }

    fn name(&self) -> String {
        format!("pmoves-seed-{}.iso", self.vmid)
    }

    /// Uploads it.
    pub(super) async fn upload(&self, pve: &Pve, bytes: Vec<u8>) -> pve::Result<()> {
        let task = pve
            .upload(&self.node, &self.storage, "iso", &self.name(), bytes)
            .await?;
        pve.wait(&task).await.map(drop)
    }

    /// Deletes it; without the right to do so it is overwritten by an empty one, since it may hold
    /// secrets.
    pub(super) async fn discard(&self, pve: &Pve, state: &mut State<DockerVm>) -> Result<()> {
        let volume = self.volume();
        match pve.run([delete_volume(&self.node, &volume)]).await {
            Ok(_) => Ok(()),
            Err(pve::Error::Forbidden { .. }) => {
                self.upload(pve, host::empty_seed()).await?;
                state.warn(
                    "An empty seed stays on the storage",
                    format!("The credential may not delete {volume} (Datastore.Allocate on /storage/{}), so it was overwritten with an empty image.", self.storage),
                );
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes it after something else failed, also when the operation was cancelled or its time is
    /// over.
    pub(super) async fn clean_up(&self, pve: &Pve, state: &mut State<DockerVm>) {
        if let Err(failure) = self.discard(&lasting(pve), state).await {
            state.warn(
                "A seed stays on the storage",
                format!(
                    "Delete {} by hand, it may hold secrets: {}",
                    self.volume(),
                    failure.detail
                ),
            );
        }
    }
}

/// The API for what must be done although the operation ends.
pub(super) fn lasting(pve: &Pve) -> Pve {
    pve.within(
        Instant::now() + Duration::from_secs(60),
        CancellationToken::new(),
    )
}
