//! Volumes and their sizes in the notation of Proxmox VE. Pure.

use serde_json::Number;

use crate::pve::{Call, Params, PropertyString, parse_size};

/// Deletes a volume; a missing one is a success of the task.
pub(in crate::resources) fn delete_volume(node: &str, volume: &str) -> Call {
    let storage = volume.split(':').next().unwrap_or_default();
    Call::delete(
        format!("/nodes/{node}/storage/{storage}/content/{volume}"),
        Params::new(),
    )
    .task()
}

/// The storage part of a volume id at the head of a drive or mount point.
pub(in crate::resources) fn storage_of(drive: &str) -> Option<String> {
    let volume = drive.split(',').next()?;
    volume
        .split_once(':')
        .map(|(storage, _)| storage.to_owned())
}

/// The size of a drive or mount point in bytes.
pub(in crate::resources) fn bytes_of(drive: &str) -> Option<u64> {
    let drive = PropertyString::parse(drive, Some("volume")).ok()?;
    parse_size(drive.get("size")?)
}

/// Bytes as GiB, exact to 1 MiB: `32`, `3.5`.
pub(in crate::resources) fn gibibytes(bytes: u64) -> Number {
    let mib = bytes.div_ceil(1 << 20);
    let (whole, rest) = (mib / 1024, mib % 1024);
    // 1/1024 has ten decimals.
    let decimals = format!("{:010}", rest * 10_000_000_000 / 1024);
    let text = format!("{whole}.{decimals}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    serde_json::from_str(text).expect("decimals are JSON numbers")
}
