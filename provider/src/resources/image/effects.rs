//! What a configuration and a plan of `pmoves_image` mean beyond their attributes. Pure.

use super::checks::{compression, extensions, fits, hex_digits, stored_name};
use crate::framework::{Plan, Value, resource::Faults};

/// Where an image may come from.
const SOURCES: [&str; 3] = ["url", "template", "file"];

/// Rules between attributes, as far as they are known.
pub(super) fn validate(config: &Value, found: &mut Faults<'_>) {
    let given: Vec<&str> = SOURCES
        .into_iter()
        .filter(|name| !config.get(name).is_null())
        .collect();
    if let [first, second, ..] = given[..] {
        let detail = format!("An image comes from one place: {first} or {second}.");
        found.error(second, "Two sources", detail);
        return;
    }
    let (templated, uploaded) = (given == ["template"], given == ["file"]);
    let content = match config.get("content_type") {
        Value::Null if templated => Some("vztmpl"),
        Value::Null => Some("import"),
        other => other.as_str(),
    };
    checksums(config, templated || uploaded, found);
    if templated && content != Some("vztmpl") && content.is_some() {
        let detail = "The list has container templates only, which are of content vztmpl.";
        found.error("content_type", "Invalid content_type", detail);
    }
    if templated && !config.get("file_name").is_null() {
        let detail = "A template keeps the name that it has in the list.";
        found.error("file_name", "Invalid file_name", detail);
    }
    let Some(content) = content.filter(|_| !templated) else {
        return;
    };
    let named = config.get("file_name");
    if let Some(name) = named.as_str()
        && !fits(name, content)
    {
        let detail = format!(
            "Proxmox VE takes {} for content {content}.",
            extensions(content)
        );
        found.error("file_name", "Invalid file_name", detail);
    }
    for source in ["url", "file"] {
        let Some(place) = config.get(source).as_str() else {
            continue;
        };
        let unpacked = source == "url" && content == "iso";
        if compression(place).is_some() && content != "vztmpl" && !unpacked {
            let (what, instead) = match content {
                "iso" => ("an uploaded CD image", "Unpack it before."),
                _ => (
                    "images for import",
                    "Take an uncompressed .qcow2 or .img, which nearly every distribution offers beside it; or unpack it and upload the result with file.",
                ),
            };
            found.error(
                source,
                "The image is compressed",
                format!("Proxmox VE does not unpack {what}. {instead}"),
            );
        } else if named.is_null() && !fits(&stored_name(place, None, content), content) {
            let detail = format!(
                "Proxmox VE takes {} for content {content}. Set file_name if the {source} does not end in the name of the file.",
                extensions(content)
            );
            found.error(source, "The file name does not fit", detail);
        }
    }
}

fn checksums(config: &Value, verified: bool, found: &mut Faults<'_>) {
    if verified && !config.get("checksum").is_null() {
        let detail = "Templates are verified by Proxmox VE, and files by the provider, without being told a checksum.";
        found.error("checksum", "Only a URL has a checksum", detail);
        return;
    }
    let algorithm = config.get("checksum_algorithm");
    let algorithm = algorithm
        .as_str()
        .unwrap_or(if algorithm.is_null() { "sha256" } else { "" });
    if let (Some(checksum), Some(digits)) = (config.get("checksum").as_str(), hex_digits(algorithm))
        && checksum.len() != digits
    {
        let length = checksum.len();
        let detail = format!("Has {length} characters; {algorithm} has {digits} hex digits.");
        found.error("checksum", "Invalid checksum", detail);
    }
    if config.get("checksum").is_null() && !config.get("url").is_null() {
        found.warn("checksum", "The image is not verified", "Without a checksum nobody notices a damaged or exchanged download, and Proxmox VE refuses to download over a file that is already there.");
    }
}

/// What a change of one attribute makes of others.
pub(super) fn effects(plan: &mut Plan<'_>) {
    if plan.creating() {
        creating(plan);
        return;
    }
    if plan.value.get("file").is_unknown() {
        plan.error("file", "This value must be known", "Another file would replace the image, and nobody can tell from this plan whether it is another. Apply what it depends on first (`-target`).");
    }
    let mut replaced = Vec::new();
    if plan.changed("file_sha256") && !plan.prior.get("file_sha256").is_null() {
        replaced.push("file_sha256");
    }
    // Whatever the image was made from, it is something else now.
    let had = |plan: &Plan<'_>, name: &str| !plan.prior.get(name).is_null();
    if SOURCES.iter().any(|name| had(plan, name)) {
        let new = SOURCES
            .into_iter()
            .filter(|name| !plan.config.get(name).is_null());
        replaced.extend(new.filter(|name| !had(plan, name)));
    }
    plan.replace
        .extend(replaced.into_iter().map(|name| plan.schema.path(name)));
}

fn creating(plan: &mut Plan<'_>) {
    let given = |plan: &Plan<'_>, name: &str| !plan.config.get(name).is_null();
    if !SOURCES.iter().any(|name| given(plan, name)) {
        let detail = "A new image needs a url to download it from, a template of the list of Proxmox VE, or a file to upload.";
        plan.error("url", "The source is missing", detail);
        return;
    }
    if !given(plan, "file") {
        plan.set("file_sha256", Value::Null);
    }
    if plan.value.get("content_type").is_unknown() && !given(plan, "content_type") {
        let content = if given(plan, "template") {
            "vztmpl"
        } else {
            "import"
        };
        plan.set("content_type", content);
    }
    if plan.value.get("file_name").is_unknown()
        && !given(plan, "file_name")
        && let Some(name) = name(&plan.value)
    {
        plan.set("file_name", name);
    }
    let text = |name: &str| plan.value.get(name).as_str();
    if let (Some(storage), Some(content), Some(name)) = (
        text("datastore_id"),
        text("content_type"),
        text("file_name"),
    ) {
        let id = format!("{storage}:{content}/{name}");
        plan.set("id", id);
    }
}

/// The name of the file on the storage, once all that it is made of is known.
fn name(planned: &Value) -> Option<String> {
    let content = planned.get("content_type").as_str()?;
    if let Some(template) = planned.get("template").as_str() {
        return Some(template.to_owned());
    }
    let (place, sum) = match planned.get("file").as_str() {
        Some(file) => (file, planned.get("file_sha256")),
        None => (planned.get("url").as_str()?, planned.get("checksum")),
    };
    (!sum.is_unknown()).then(|| stored_name(place, sum.as_str(), content))
}
