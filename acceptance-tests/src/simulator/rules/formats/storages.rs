//! Names, paths and options of storages.

use super::{Judgement, LABEL, fits, is_ipv4, is_ipv6, like};

pub(super) fn judge(name: &str, value: &str) -> Judgement {
    let judged = |is: bool, text: String| Some((is, text));
    let is_host = |host: &str| {
        is_ipv4(host) || is_ipv6(host) || host.split('.').all(|part| fits(LABEL, part))
    };
    match name {
        "pve-storage-id" => judged(
            fits(r"[a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]", value),
            format!("storage ID '{value}' contains illegal characters"),
        ),
        "pve-storage-content" => judged(
            matches!(
                value,
                "images" | "rootdir" | "vztmpl" | "iso" | "backup" | "snippets" | "import" | "none"
            ),
            format!("invalid content type '{value}'"),
        ),
        "pve-storage-path" | "pve-storage-path-in-property-string" => judged(
            fits(r"/[^;()]+", value),
            "value does not look like a valid absolute path".to_owned(),
        ),
        "pve-storage-vgname" => judged(
            fits(r"[a-zA-Z0-9][a-zA-Z0-9\-_.]*[a-zA-Z0-9]", value),
            format!("lvm name '{value}' contains illegal characters"),
        ),
        "pve-storage-server" => judged(is_host(value), like("server name or IP address")),
        "pve-storage-portal-dns" => {
            let host = match value.rsplit_once(':') {
                Some((host, port)) if fits(r"\d+", port) => host,
                _ => value,
            };
            judged(
                is_host(host.trim_matches(['[', ']'])),
                like("portal address"),
            )
        }
        "pve-storage-options" => judged(
            fits(
                r"[A-Za-z0-9._\-]+(=[^,\s]*)?(,[A-Za-z0-9._\-]+(=[^,\s]*)?)*",
                value,
            ),
            like("mount options"),
        ),
        "pve-dir-override" => judged(
            fits("[a-z]+=.+", value),
            format!("unable to parse override '{value}'"),
        ),
        "storage-pair" => judged(
            fits(r"[a-zA-Z0-9\-_.]+(:[a-zA-Z0-9\-_.]+)?", value),
            format!("unable to parse storage pair '{value}'"),
        ),
        _ => None,
    }
}
