//! `pmoves_image`.
//!
//! Does not look into the image: the node does, when it takes it.

mod calls;
mod checks;
mod effects;
mod file;
mod model;
mod preflight;

use std::path::Path;

use serde_json::{Value as Json, json};

pub use model::Image;

use checks::stored_name;

use super::{cluster::Cluster, host::volumes::delete_volume};
use crate::{
    framework::{Context, Failure, Plan, Resource, Result, State, Value, resource::Faults},
    pve::{self, File, Pve, StorageRow, Upid},
};

/// The resource.
pub struct ImageResource;

impl Resource for ImageResource {
    const NAME: &'static str = "pmoves_image";
    type Client = Cluster;
    type Model = Image;
    const IDENTITY: &'static [&'static str] = &["node_name", "id"];

    fn validate(config: &Value, found: &mut Faults<'_>) {
        effects::validate(config, found);
    }

    async fn observe(plan: &mut Plan<'_>) {
        file::observe(plan).await;
    }

    fn effects(plan: &mut Plan<'_>) {
        effects::effects(plan);
    }

    async fn check(
        &self,
        cx: &Context<'_, Cluster>,
        plan: &Plan<'_>,
        found: &mut Faults<'_>,
    ) -> Result<()> {
        let Some(pve) = cx.client.pve_opt(cx) else {
            return Ok(());
        };
        match plan.creating() {
            true => preflight::create(cx.client, &pve, plan, found).await,
            // The plan to make the new one has its own check; that the old one goes is asked for here alone.
            false if !plan.replace.is_empty() => {
                let storage = plan.prior.get("datastore_id").as_str().unwrap_or_default();
                preflight::delete(&pve, storage, "datastore_id", found).await
            }
            false => Ok(()),
        }
    }

    async fn check_delete(
        &self,
        cx: &Context<'_, Cluster>,
        prior: &Image,
        found: &mut Faults<'_>,
    ) -> Result<()> {
        match cx.client.pve_opt(cx) {
            Some(pve) => preflight::delete(&pve, &prior.datastore_id, "datastore_id", found).await,
            None => Ok(()),
        }
    }

    async fn create(
        &self,
        cx: &Context<'_, Cluster>,
        plan: Image,
        state: &mut State<Image>,
    ) -> Result<()> {
        let pve = cx.client.pve(cx)?;
        let plan = complete(plan).await?;
        make_room(&pve, &plan).await?;
        let task = start(&pve, &plan).await?;
        state.save(plan.clone());
        if let Err(error) = pve.wait(&task).await {
            let ended = match &error {
                // It left no file.
                pve::Error::Task { .. } => true,
                pve::Error::Cancelled => stopped(&pve, &task, &plan).await?,
                _ => false,
            };
            if ended {
                state.remove();
            }
            return Err(calls::explain(error, &plan));
        }
        look(&pve, plan, state).await
    }

    async fn read(
        &self,
        cx: &Context<'_, Cluster>,
        prior: Image,
        state: &mut State<Image>,
    ) -> Result<()> {
        let Some(pve) = cx.client.pve_or_warn(cx, state)? else {
            return Ok(());
        };
        look(&pve, prior, state).await
    }

    async fn update(
        &self,
        _cx: &Context<'_, Cluster>,
        _prior: Image,
        plan: Image,
        state: &mut State<Image>,
    ) -> Result<()> {
        // Whatever Proxmox VE keeps replaces the image; the rest is only noted down.
        state.save(plan);
        Ok(())
    }

    async fn delete(
        &self,
        cx: &Context<'_, Cluster>,
        prior: Image,
        _state: &mut State<Image>,
    ) -> Result<()> {
        let pve = cx.client.pve(cx)?;
        pve.run([delete_volume(&prior.node_name, &prior.volume())])
            .await?;
        Ok(())
    }

    fn import(id: &str) -> Result<Json> {
        let refuse = || {
            Failure::new(format!(
                "{id:?} is no image; write it as NODE/STORAGE:CONTENT/FILE, such as pve1/local:import/debian-13.qcow2"
            ))
        };
        let (node, volume) = id.split_once('/').ok_or_else(refuse)?;
        let (storage, path) = volume.split_once(':').ok_or_else(refuse)?;
        let (content, name) = path.split_once('/').ok_or_else(refuse)?;
        Ok(json!({
            "id": volume, "node_name": node, "datastore_id": storage, "content_type": content, "file_name": name,
        }))
    }
}

/// Fills in what a plan could not know of a file that was not named yet.
async fn complete(mut plan: Image) -> Result<Image> {
    if let (Some(path), None) = (&plan.file, &plan.file_sha256) {
        let sum = file::sha256(path).await;
        let sum = sum
            .map_err(|error| Failure::new(format!("{path} on this machine: {error}")).at("file"))?;
        let name = || stored_name(path, Some(&sum), plan.content());
        plan.file_name = Some(plan.file_name.clone().unwrap_or_else(name));
        plan.file_sha256 = Some(sum);
    }
    plan.id = Some(plan.volume());
    Ok(plan)
}

/// Sees to a file that is in the way. A download does so itself, by its checksum.
async fn make_room(pve: &Pve, plan: &Image) -> Result<()> {
    let (node, volume) = (&plan.node_name, plan.volume());
    let overwrite = plan.overwrite_unmanaged == Some(true);
    // An upload overwrites; under a name that tells the content, that changes nothing.
    let telling = plan.file_name.as_deref().zip(plan.file_sha256.as_deref());
    let telling = telling.is_some_and(|(name, sum)| name.contains(&sum[..12]));
    let in_the_way = overwrite || (plan.file.is_some() && !telling);
    if !in_the_way || pve.volume_opt(node, &volume).await?.is_none() {
        return Ok(());
    }
    match overwrite {
        true => pve
            .run([delete_volume(node, &volume)])
            .await
            .map(drop)
            .map_err(Failure::from),
        false => Err(Failure::new(format!(
            "there is a {volume} already, which the upload would overwrite"
        ))
        .at("file_name")
        .hint("leave file_name open, or set overwrite_unmanaged")),
    }
}

/// Starts the work. Where asking twice does no harm, an answer that is lost is asked for again.
async fn start(pve: &Pve, plan: &Image) -> Result<Upid> {
    let repeatable = plan.url.is_none() || plan.checksum.is_some();
    let task = match begin(pve, plan).await {
        Err(pve::Error::OutcomeUnknown { .. }) if repeatable => begin(pve, plan).await,
        other => other,
    };
    task.map_err(|error| calls::explain(error, plan))
}

async fn begin(pve: &Pve, plan: &Image) -> pve::Result<Upid> {
    if let (Some(path), Some(sum)) = (&plan.file, &plan.file_sha256) {
        let name = plan.file_name.clone().unwrap_or_default();
        let file = File::at(name, Path::new(path), sum);
        return pve
            .upload(&plan.node_name, &plan.datastore_id, plan.content(), &file)
            .await;
    }
    let call = match plan.template {
        Some(_) => calls::appliance(plan),
        None => calls::download(plan),
    };
    pve.start(&call).await
}

/// Stops the task of an operation that was cancelled, and says whether it left nothing.
async fn stopped(pve: &Pve, task: &Upid, plan: &Image) -> Result<bool> {
    pve.stop(task).await?;
    let there = pve
        .lasting()
        .volume_opt(&plan.node_name, &plan.volume())
        .await?;
    Ok(there.is_none())
}

async fn look(pve: &Pve, known: Image, state: &mut State<Image>) -> Result<()> {
    match pve.volume_opt(&known.node_name, &known.volume()).await? {
        Some(volume) => state.save(Image {
            id: Some(known.volume()),
            size: volume.size.and_then(|size| i64::try_from(size).ok()),
            ..known
        }),
        None => state.remove(),
    }
    Ok(())
}

impl Image {
    fn content(&self) -> &str {
        self.content_type.as_deref().unwrap_or("import")
    }

    /// Its volume id.
    fn volume(&self) -> String {
        let name = self.file_name.as_deref().unwrap_or_default();
        let made = || format!("{}:{}/{name}", self.datastore_id, self.content());
        self.id.clone().unwrap_or_else(made)
    }
}

/// Whether a storage holds plain files.
pub(super) fn is_file_storage(row: &StorageRow) -> bool {
    matches!(
        row.kind.as_str(),
        "dir" | "nfs" | "cifs" | "cephfs" | "btrfs" | "glusterfs"
    )
}

#[cfg(test)]
mod tests;
