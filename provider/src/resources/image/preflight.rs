//! Checks a plan of `pmoves_image` against the cluster. Only reads.

use crate::{
    framework::{Plan, Result, resource::Faults},
    pve::{self, Pve},
    resources::{cluster::Cluster, privileges::Wanted},
};

/// Checks an image that shall be made.
pub(super) async fn create(
    cluster: &Cluster,
    pve: &Pve,
    plan: &Plan<'_>,
    found: &mut Faults<'_>,
) -> Result<()> {
    let text = |name: &str| plan.value.get(name).as_str();
    let (Some(node), Some(storage), Some(content)) = (
        text("node_name"),
        text("datastore_id"),
        text("content_type"),
    ) else {
        return Ok(());
    };
    if !cluster.check_node(pve, node, "node_name", found).await? {
        return Ok(());
    }
    cluster
        .check_storage(pve, node, storage, content, "datastore_id", found)
        .await?;
    let mut wanted = Wanted::default().privilege(
        format!("/storage/{storage}"),
        "Datastore.AllocateTemplate",
        "datastore_id",
    );
    if !plan.value.get("url").is_null() {
        wanted = wanted.either(
            (format!("/nodes/{node}"), vec!["Sys.AccessNetwork"]),
            ("/".to_owned(), vec!["Sys.Audit", "Sys.Modify"]),
            "url",
        );
    }
    wanted.check(pve, found).await?;
    if found.diagnostics.has_error() {
        return Ok(());
    }
    if let Some(template) = text("template") {
        offered(pve, node, template, found).await?;
    }
    let size = match (text("url"), text("file")) {
        (Some(url), _) => {
            let verify = plan.value.get("verify").as_bool() != Some(false);
            remote(pve, node, (url, verify), found).await?
        }
        (None, Some(file)) => std::fs::metadata(file).ok().map(|file| file.len()),
        (None, None) => None,
    };
    let rows = cluster.storages(pve, node).await?;
    let free = rows.iter().find(|row| row.name == storage);
    if let (Some(size), Some(free)) = (size, free.and_then(|row| row.avail))
        && size > free
    {
        let [size, free] = [size, free].map(|bytes| bytes.div_ceil(1 << 20));
        found.error(
            "datastore_id",
            "The storage is too full",
            format!("The image has {size} MiB, and {storage} has {free} MiB left."),
        );
    }
    Ok(())
}

/// Deleting a volume takes more than making it.
pub(super) async fn delete(
    pve: &Pve,
    storage: &str,
    at: &'static str,
    found: &mut Faults<'_>,
) -> Result<()> {
    Wanted::default()
        .privilege(format!("/storage/{storage}"), "Datastore.Allocate", at)
        .check(pve, found)
        .await
}

/// Whether the node knows a template; if not, says which it knows instead.
async fn offered(pve: &Pve, node: &str, template: &str, found: &mut Faults<'_>) -> Result<()> {
    let all = pve.appliances(node).await?;
    if all.iter().any(|known| known == template) {
        return Ok(());
    }
    let package = |name: &str| name.split(['-', '_']).next().map(str::to_owned);
    let near: Vec<&str> = all
        .iter()
        .map(String::as_str)
        .filter(|known| package(known) == package(template))
        .collect();
    let near = match near.is_empty() {
        true => String::new(),
        false => format!(" It has {}.", near.join(", ")),
    };
    found.error(
        "template",
        "No such template",
        format!("The list of {node} has no {template}.{near} To bring the list up to date, as root on {node}:\n\npveam update"),
    );
    Ok(())
}

/// What the node sees at a URL: its size. Not every server answers the question, so only what is certainly not there is
/// an error.
async fn remote(
    pve: &Pve,
    node: &str,
    (url, verify): (&str, bool),
    found: &mut Faults<'_>,
) -> Result<Option<u64>> {
    let message = match pve.remote(node, url, verify).await {
        Ok(remote) => return Ok(remote.size),
        Err(pve::Error::Rejected { message, .. }) => message,
        Err(error) => return Err(error.into()),
    };
    let detail = format!(
        "{node} asked for {url}: {}.",
        message.trim().trim_end_matches('.')
    );
    match ["'404 ", "'410 "]
        .iter()
        .any(|status| message.contains(status))
    {
        true => found.error("url", "There is nothing at the URL", detail),
        false => found.warn(
            "url",
            "The node could not look at the URL",
            format!("{detail} The download may fail too."),
        ),
    }
    Ok(None)
}
