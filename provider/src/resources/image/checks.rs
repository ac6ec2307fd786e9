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
    // What is compressed in a CD image is unpacked by the node, what is in a template stays.
    let base = match compression(&base) {
        Some(packed) if content == "iso" => &base[..base.len() - packed.len() - 1],
        _ => &base,
    };
    let dot = match base.find(".tar.") {
        Some(dot) if content == "vztmpl" => Some(dot),
        _ => base.rfind('.'),
    };
    let (stem, extension) = dot.map_or((base, ""), |dot| (&base[..dot], &base[dot + 1..]));
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

/// How a file is compressed, by its name, in the words of Proxmox VE as far as it has one.
pub(super) fn compression(name: &str) -> Option<&'static str> {
    let name = name.split(['?', '#']).next().unwrap_or(name);
    ["gz", "lzo", "zst", "bz2", "xz"]
        .into_iter()
        .find(|ending| {
            name.strip_suffix(ending)
                .is_some_and(|rest| rest.ends_with('.'))
        })
}

pub(super) fn extensions(content: &str) -> &'static str {
    match content {
        "iso" => ".iso and .img",
        "vztmpl" => ".tar.zst, .tar.xz, .tar.gz, .tar.bz2 and .tar",
        _ => ".qcow2, .raw, .vmdk and .ova",
    }
}

pub(super) fn fits(name: &str, content: &str) -> bool {
    let endings: &[&str] = match content {
        "iso" => &[".iso", ".img"],
        "vztmpl" => &[".tar", ".tar.gz", ".tar.xz", ".tar.zst", ".tar.bz2"],
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
