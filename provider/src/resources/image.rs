//! `pmoves_image`.
//!
//! Does not look into the image: the node does, when it takes the download.

mod checks;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use checks::{checksum, extensions, file_name, fits, hex_digits, stored_name, url};

use super::{
    cluster::Cluster, host::volumes::delete_volume, privileges::Wanted, timeouts::Timeouts,
};
use crate::{
    framework::{Context, Failure, Model, Plan, Resource, Result, State, Value, resource::Faults},
    pve::{self, Answer, Call, Params, Pve, StorageRow, Upid},
};

/// A cloud image on a storage of Proxmox VE, downloaded by the node itself.
///
/// With a checksum the download is safe to repeat: a file that is already there and matches is taken as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Image {
    /// The volume id, such as `local:import/debian-13-1f2e3d4c5b6a.qcow2`.
    #[attr(computed)]
    pub id: Option<String>,
    /// Node that downloads the image.
    #[attr(replace)]
    pub node_name: String,
    /// File storage that takes the image; its content must include `content_type`.
    #[attr(replace, param = "storage")]
    pub datastore_id: String,
    /// What the volume is for: `import` for disk images that VMs start from, `iso` for CD images.
    #[attr(default("import"), replace, one_of(&["import", "iso"]), param = "content")]
    pub content_type: Option<String>,
    /// Where the node downloads the image from.
    #[attr(replace, check(url))]
    pub url: Option<String>,
    /// Checksum of the file, as hex digits. Without it a file that is already there is refused.
    #[attr(replace, check(checksum))]
    pub checksum: Option<String>,
    /// Algorithm of the checksum.
    #[attr(default("sha256"), replace, one_of(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]), param = "checksum-algorithm")]
    pub checksum_algorithm: Option<String>,
    /// Name of the file on the storage. Left open, the one of the URL with the first digits of the checksum, so that a new image never meets the old file; `.img` becomes `.qcow2`, which Proxmox VE demands for imports.
    #[attr(decided, replace, check(file_name), param = "filename")]
    pub file_name: Option<String>,
    /// Whether the certificate of the download server is verified.
    #[attr(default(true), setting)]
    pub verify: Option<bool>,
    /// Whether a file of that name that is already there is deleted first.
    #[attr(default(false), setting)]
    pub overwrite_unmanaged: Option<bool>,
    /// Size of the file in bytes.
    #[attr(computed)]
    pub size: Option<i64>,
    /// How long operations may take.
    pub timeouts: Option<Timeouts>,
}

/// The resource.
pub struct ImageResource;

impl Resource for ImageResource {
    const NAME: &'static str = "pmoves_image";
    type Client = Cluster;
    type Model = Image;
    const IDENTITY: &'static [&'static str] = &["node_name", "id"];

    fn validate(config: &Value, found: &mut Faults<'_>) {
        let algorithm = config.get("checksum_algorithm");
        let algorithm =
            algorithm
                .as_str()
                .unwrap_or(if algorithm.is_null() { "sha256" } else { "" });
        if let (Some(checksum), Some(digits)) =
            (config.get("checksum").as_str(), hex_digits(algorithm))
            && checksum.len() != digits
        {
            found.error(
                "checksum",
                "Invalid checksum",
                format!(
                    "Has {} characters; {algorithm} has {digits} hex digits.",
                    checksum.len()
                ),
            );
        }
        let content = config.get("content_type").as_str().unwrap_or("import");
        if let Some(name) = config.get("file_name").as_str()
            && !fits(name, content)
        {
            found.error(
                "file_name",
                "Invalid file_name",
                format!(
                    "Proxmox VE takes {} for content {content}.",
                    extensions(content)
                ),
            );
        }
        if let Some(url) = config.get("url").as_str()
            && config.get("file_name").is_null()
            && !fits(&stored_name(url, None, content), content)
        {
            let compressed = [".xz", ".zst", ".gz", ".bz2"]
                .iter()
                .any(|end| url.ends_with(end));
            found.error("url", "The file name of the URL does not fit", match compressed {
                true => "Proxmox VE does not unpack images for import. Take an uncompressed .qcow2 or .img, which nearly every distribution offers beside it.".to_owned(),
                false => format!("Proxmox VE takes {} for content {content}. Set file_name if the URL does not end in the name of the file.", extensions(content)),
            });
        }
        if config.get("checksum").is_null() && !config.get("url").is_null() {
            found.warn("checksum", "The image is not verified", "Without a checksum nobody notices a damaged or exchanged download, and Proxmox VE refuses to download over a file that is already there.");
        }
    }

    fn effects(plan: &mut Plan<'_>) {
        if !plan.creating() {
            return;
        }
        if plan.config.get("url").is_null() {
            plan.error(
                "url",
                "url is missing",
                "A new image needs the URL to download it from.",
            );
        }
        if plan.value.get("file_name").is_unknown()
            && plan.config.get("file_name").is_null()
            && let (Some(url), Some(content)) = (
                plan.value.get("url").as_str(),
                plan.value.get("content_type").as_str(),
            )
            && !plan.value.get("checksum").is_unknown()
        {
            let name = stored_name(url, plan.value.get("checksum").as_str(), content);
            plan.set("file_name", name);
        }
        if let (Some(storage), Some(content), Some(name)) = (
            plan.value.get("datastore_id").as_str(),
            plan.value.get("content_type").as_str(),
            plan.value.get("file_name").as_str(),
        ) {
            let id = format!("{storage}:{content}/{name}");
            plan.set("id", id);
        }
    }

    async fn check(
        &self,
        cx: &Context<'_, Cluster>,
        plan: &Plan<'_>,
        found: &mut Faults<'_>,
    ) -> Result<()> {
        let (Some(node), Some(storage), Some(content)) = (
            plan.value.get("node_name").as_str(),
            plan.value.get("datastore_id").as_str(),
            plan.value.get("content_type").as_str(),
        ) else {
            return Ok(());
        };
        if !plan.creating() && plan.replace.is_empty() {
            return Ok(());
        }
        let Some(pve) = cx.client.pve_opt(cx) else {
            return Ok(());
        };
        if !cx.client.check_node(&pve, node, "node_name", found).await? {
            return Ok(());
        }
        cx.client
            .check_storage(&pve, node, storage, content, "datastore_id", found)
            .await?;
        Wanted::default()
            .privilege(
                format!("/storage/{storage}"),
                "Datastore.AllocateTemplate",
                "datastore_id",
            )
            .either(
                (format!("/nodes/{node}"), vec!["Sys.AccessNetwork"]),
                ("/".to_owned(), vec!["Sys.Audit", "Sys.Modify"]),
                "url",
            )
            .check(&pve, found)
            .await
    }

    async fn create(
        &self,
        cx: &Context<'_, Cluster>,
        plan: Image,
        state: &mut State<Image>,
    ) -> Result<()> {
        let pve = cx.client.pve(cx)?;
        let (node, volume) = (plan.node_name.clone(), volume_id(&plan));
        if plan.overwrite_unmanaged == Some(true) && pve.volume_opt(&node, &volume).await?.is_some()
        {
            pve.run([delete_volume(&node, &volume)]).await?;
        }
        let task = start(&pve, &plan).await?;
        let plan = Image {
            id: Some(volume),
            ..plan
        };
        state.save(plan.clone());
        if let Err(error) = pve.wait(&task).await {
            if matches!(error, pve::Error::Task { .. }) {
                // A download that ended badly leaves no file.
                state.remove();
            }
            return Err(explain(error, &plan));
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
        pve.run([delete_volume(&prior.node_name, &volume_id(&prior))])
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

/// Starts the download. With a checksum it may be asked for twice: a file that is there and matches
/// is taken as it is.
async fn start(pve: &Pve, plan: &Image) -> Result<Upid> {
    let call = download(plan);
    let answer = match pve.send(&call).await {
        Err(pve::Error::OutcomeUnknown { .. }) if plan.checksum.is_some() => pve.send(&call).await,
        other => other,
    };
    match answer.map_err(|error| explain(error, plan))? {
        Answer::Task(task) => Ok(task),
        Answer::Done(answer) => Err(Failure::new(format!(
            "Proxmox VE made no task of the download but answered {answer}"
        ))),
    }
}

async fn look(pve: &Pve, known: Image, state: &mut State<Image>) -> Result<()> {
    match pve.volume_opt(&known.node_name, &volume_id(&known)).await? {
        Some(volume) => state.save(Image {
            id: Some(volume_id(&known)),
            size: volume.size.and_then(|size| i64::try_from(size).ok()),
            ..known
        }),
        None => state.remove(),
    }
    Ok(())
}

fn download(plan: &Image) -> Call {
    let (node, storage) = (&plan.node_name, &plan.datastore_id);
    let algorithm = plan.checksum.as_ref().and(plan.checksum_algorithm.as_ref());
    let params = Params::new()
        .with("url", plan.url.as_ref())
        .with("content", plan.content_type.as_ref())
        .with("filename", plan.file_name.as_ref())
        .with("checksum", plan.checksum.as_ref())
        .with("checksum-algorithm", algorithm)
        .flag("verify-certificates", plan.verify.filter(|verify| !verify));
    Call::post(
        format!("/nodes/{node}/storage/{storage}/download-url"),
        params,
    )
    .task()
}

/// Points a failed download at the attribute that it is about.
fn explain(error: pve::Error, plan: &Image) -> Failure {
    let failure = Failure::from(error);
    let (text, name) = (
        failure.detail.clone(),
        plan.file_name.clone().unwrap_or_default(),
    );
    if text.contains("checksum mismatch") {
        return failure.at("checksum").hint(format!(
            "compare the checksum with the one its publisher shows; if {name} is an older file on the storage, delete it or set overwrite_unmanaged"
        ));
    }
    if text.contains("refusing to override") {
        return failure.at("file_name").hint("a file of that name is already there: set checksum, so that it can be recognised, or overwrite_unmanaged");
    }
    match text.contains("failed to verify file") {
        true => failure
            .at("url")
            .hint("the file is no disk image of the kind that its name says"),
        false => failure,
    }
}

fn volume_id(image: &Image) -> String {
    match &image.id {
        Some(id) => id.clone(),
        None => format!(
            "{}:{}/{}",
            image.datastore_id,
            image.content_type.as_deref().unwrap_or("import"),
            image.file_name.as_deref().unwrap_or_default()
        ),
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
