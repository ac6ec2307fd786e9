//! Checks of single values of `pmoves_image`, and the name that a file gets. Pure.

use crate::framework::Value;

/// The name under which a URL's file is stored.
pub(super) fn stored_name(url: &str, checksum: Option<&str>, content: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let base = path.rsplit('/').next().unwrap_or_default();
    let base: String = base
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "_.-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let (stem, extension) = base.rsplit_once('.').unwrap_or((&base, ""));
    // Proxmox VE takes the format from the name, and `.img` only for CD images.
    let extension = if extension == "img" && content == "import" {
        "qcow2"
    } else {
        extension
    };
    let suffix = checksum
        .map(|sum| format!("-{}", &sum[..sum.len().min(12)].to_ascii_lowercase()))
        .unwrap_or_default();
    format!("{stem}{suffix}.{extension}")
}

pub(super) fn extensions(content: &str) -> &'static str {
    match content {
        "iso" => ".iso and .img",
        _ => ".qcow2, .raw, .vmdk and .ova",
    }
}

pub(super) fn fits(name: &str, content: &str) -> bool {
    let endings: &[&str] = match content {
        "iso" => &[".iso", ".img"],
        _ => &[".qcow2", ".raw", ".vmdk", ".ova"],
    };
    endings
        .iter()
        .any(|end| name.len() > end.len() && name.ends_with(end))
}

pub(super) fn hex_digits(algorithm: &str) -> Option<usize> {
    Some(match algorithm {
        "md5" => 32,
        "sha1" => 40,
        "sha224" => 56,
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return None,
    })
}

pub(super) fn url(value: &Value) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    match text.starts_with("https://") || text.starts_with("http://") {
        true => Ok(()),
        false => Err(format!(
            "{text:?} must begin with https:// or http://: the node downloads it."
        )),
    }
}

pub(super) fn checksum(value: &Value) -> Result<(), String> {
    match value
        .as_str()
        .is_some_and(|text| text.chars().all(|c| c.is_ascii_hexdigit()))
    {
        true => Ok(()),
        false => Err("Must be hex digits only.".to_owned()),
    }
}

pub(super) fn file_name(value: &Value) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    match plain && !text.starts_with('.') {
        true => Ok(()),
        false => Err("Must consist of letters, digits, `_`, `.` and `-`.".to_owned()),
    }
}
