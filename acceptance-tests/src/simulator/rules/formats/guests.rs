//! Options, volumes and paths of guests.

use super::{Judgement, fits, is_ipv4, is_ipv6, is_volume_id, like, split_list};
use crate::simulator::node::cpus;
use crate::simulator::qemu::drives;
use crate::simulator::rules::property::Properties;
use crate::simulator::rules::set;

/// What the names of time zones look like.
const ZONE: &str = "(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)\
                    (/[A-Za-z_\\-]+){1,2}";

/// Checks a property string of the set `name` as a whole, where its keys are good each for itself.
pub(crate) fn whole(name: &str, found: &Properties) -> Result<(), String> {
    match name {
        "cpu" => {
            let model = found.get("cputype").ok_or("CPU is missing cputype")?;
            match model.strip_prefix("custom-") {
                Some(name) => Err(format!("Custom cputype '{name}' not found")),
                None if !cpus::is_known(model) => Err(format!(
                    "Built-in cputype '{model}' is not defined (missing 'custom-' prefix?)"
                )),
                None if found.contains_key("reported-model") => Err(
                    "Property 'reported-model' not allowed in VM-specific CPU config.".to_owned(),
                ),
                None => Ok(()),
            }
        }
        "prune-backups" => {
            let counts = found.iter().filter(|(key, _)| *key != "keep-all");
            let keeps_some = counts.filter(|(_, count)| *count != "0").count() > 0;
            match keeps_some && found.get("keep-all").is_some_and(|all| all == "1") {
                true => Err("keep-all cannot be set together with other options.".to_owned()),
                false => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Sizes, volumes and options of guests.
pub(super) fn devices(name: &str, value: &str) -> Judgement {
    let judged = |is: bool, text: String| Some((is, text));
    match name {
        "urlencoded" => judged(
            fits(r"[-%a-zA-Z0-9_.!~*'()]*", value),
            format!("invalid urlencoded string: {value}"),
        ),
        "disk-size" => judged(
            fits(r"\d+(\.\d+)?([KMGT](iB)?)?", value),
            format!("value does not look like a valid disk size: {value}"),
        ),
        "pve-startup-order" => {
            let mut parts = value.split(',').filter(|part| !part.trim().is_empty());
            let good = parts.all(|part| fits(r"((order|up|down)=)?\d+", part));
            // What is false to Perl is nothing.
            judged(
                good && !matches!(value, "" | "0"),
                "unable to parse startup options".to_owned(),
            )
        }
        "pve-qm-bootdev" => {
            let disk = drives::is_drive(value) && !matches!(value, "efidisk0" | "tpmstate0");
            let other = ["net", "usb", "hostpci"].iter().any(|kind| {
                let number = value.strip_prefix(kind);
                number.is_some() && set("qemu-config").rule(value).is_some()
            });
            judged(disk || other, format!("invalid boot device '{value}'"))
        }
        "pve-hotplug-features" => {
            let features = ["network", "disk", "cpu", "memory", "usb", "cloudinit"];
            let bad = split_list(value)
                .into_iter()
                .find(|part| !matches!(value, "0" | "1") && !features.contains(part));
            let text = format!("invalid hotplug feature '{}'", bad.unwrap_or_default());
            judged(bad.is_none(), text)
        }
        "pve-qm-bootdisk" => judged(
            drives::is_drive(value),
            format!("invalid boot disk '{value}'"),
        ),
        "pve-phys-bits" => judged(
            value == "host"
                || value
                    .parse::<u8>()
                    .is_ok_and(|bits| (8..=64).contains(&bits)),
            "value must be an integer between 8 and 64 or 'host'".to_owned(),
        ),
        "pve-cpuset" => judged(
            fits(r"\d+(-\d+)?(,\d+(-\d+)?)*", value),
            "unable to parse cpuset option".to_owned(),
        ),
        "pve-volume-id" => judged(
            is_volume_id(value),
            format!("unable to parse volume ID '{value}'"),
        ),
        "pve-volume-id-or-qm-path" => judged(
            matches!(value, "none" | "cdrom") || value.starts_with('/') || is_volume_id(value),
            format!("unable to parse volume ID '{value}'"),
        ),
        "pve-volume-id-or-absolute-path" => judged(
            value.starts_with('/') || is_volume_id(value),
            format!("unable to parse volume ID '{value}'"),
        ),
        _ => None,
    }
}

/// Paths and settings of containers.
pub(super) fn containers(name: &str, value: &str) -> Judgement {
    let judged = |is: bool, text: String| Some((is, text));
    // No step of a path may be `.` or `..`, but a first `.`.
    let climbs = value.split('/').enumerate().any(|(i, part)| match part {
        "." => i > 0,
        ".." => true,
        _ => false,
    });
    match name {
        "pve-lxc-mp-string" => judged(
            !climbs,
            format!("{value} contains illegal character sequences"),
        ),
        "pve-lxc-dev-string" => judged(
            !climbs && value.starts_with("/dev/"),
            format!("{value} is not a valid device path"),
        ),
        "lxc-ip-with-ll-iface" => {
            let address = match value.split_once('%') {
                Some((address, iface)) if address.starts_with("fe80:") && !iface.is_empty() => {
                    address
                }
                _ => value,
            };
            judged(is_ipv4(address) || is_ipv6(address), like("IP address"))
        }
        // The table that the API looks into has no others.
        "pve-ct-timezone" => judged(
            matches!(value, "host" | "UTC") || fits(ZONE, value),
            format!("invalid time zone '{value}'"),
        ),
        _ => None,
    }
}
