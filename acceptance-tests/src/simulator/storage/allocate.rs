//! Single volumes: their allocation, and the attributes that they may have.
//!
//! Only images are allocated, and only backups have notes and a protection.

use serde_json::json;

use super::{Storage, Volume};
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::reply::{Fail, Outcome, Reply};

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "POST /nodes/{node}/storage/{storage}/content",
        allow: Allow::All("/storage/{storage}", &["Datastore.AllocateSpace"]),
        rules: "+storage; filename string; format? string requires=size enum=raw|qcow2|subvol|vmdk
            size string pattern=\\d+[MG]?; vmid integer pve-vmid min=100 max=999999999",
        handler: now!(allocate),
    },
    Route {
        call: "PUT /nodes/{node}/storage/{storage}/content/{volume}",
        allow: Allow::Anyone,
        rules: "+node; notes? string; protected? boolean; storage? string pve-storage-id; volume string",
        handler: now!(change),
    },
];

/// The bytes of a size that is in KiB without a unit.
fn bytes(size: &str) -> Option<u64> {
    let (number, shift) = match size.strip_suffix('G') {
        Some(number) => (number, 30),
        None => size
            .strip_suffix('M')
            .map_or((size, 10), |number| (number, 20)),
    };
    number.parse::<u64>().ok()?.checked_shl(shift)
}

/// The format that a file name ends in.
fn format_of(name: &str) -> Option<&str> {
    let (stem, end) = name.rsplit_once('.')?;
    let known = ["raw", "qcow2", "vmdk"].contains(&end) && !stem.is_empty();
    known.then_some(end)
}

fn allocate(call: &Call) -> Outcome {
    let params = &call.params;
    let (vmid, name) = (params.vmid(), params.text("filename"));
    let bytes = bytes(params.text("size"))
        .ok_or_else(|| Fail::param("size", "value does not match the regex pattern"))?;
    let of_name = format_of(name);
    let wanted = params.text_opt("format").or(of_name);
    if let (Some(wanted), Some(of_name)) = (wanted, of_name)
        && wanted != of_name
    {
        let text = format!("different storage formats ({wanted} != {of_name})");
        return Err(Fail::param("format", text));
    }
    let mut state = call.world.state();
    let storage = state.storage(params.text("storage"))?.clone();
    storage.check_on(call.node())?;
    let format = state
        .format_on(call.node(), &storage.id, wanted)
        .map_err(Fail::died)?;
    let id = format!("{}:{}", storage.id, named(&storage, vmid, name)?);
    if state.volume(call.node(), &id).is_some() {
        let file = id.split_once(':').map(|(_, name)| storage.file(name));
        return Err(Fail::died(format!(
            "disk image '{}' already exists",
            file.unwrap_or_default()
        )));
    }
    state.put_volume(call.node(), &id, Volume::disk(vmid, &format, bytes));
    Ok(json!(id).into())
}

/// The name on the storage of a volume that is to be called `name`.
fn named(storage: &Storage, vmid: u32, name: &str) -> Result<String, Fail> {
    if !storage.is_file_based() {
        return if name.starts_with(&format!("vm-{vmid}-")) {
            Ok(name.to_owned())
        } else {
            Err(Fail::died(format!(
                "illegal name '{name}' - should be 'vm-{vmid}-*'"
            )))
        };
    }
    if name.contains(['/', ' ']) || format_of(name).is_none() {
        return Err(Fail::died(format!(
            "unable to parse volume filename '{name}'"
        )));
    }
    Ok(format!("{vmid}/{name}"))
}

fn change(call: &Call) -> Outcome {
    let (id, storage) = super::calls::volume_id(call)?;
    call.may_use_volume(None, &id, None)?;
    let (kind, owner) = {
        let state = call.world.state();
        let name = id.split_once(':').map_or("", |(_, name)| name);
        let parsed = state.storage(&storage)?.parse_name(name);
        parsed.map_err(Fail::died)?
    };
    let given = |name: &str| call.params.text_opt(name);
    if kind == "backup" && owner.is_some() {
        let mut state = call.world.state();
        state.existing(call.node(), &id)?;
        let place = state.place(call.node(), &id);
        if let Some(volume) = state.volumes.get_mut(&place) {
            if let Some(notes) = given("notes") {
                volume.notes = Some(notes.to_owned()).filter(|notes| !notes.is_empty());
            }
            if given("protected").is_some() {
                volume.protected = call.params.is_set("protected");
            }
        }
        return Ok(Reply::null());
    }
    let texts = [
        ("notes", "only backups can have notes"),
        ("protected", "only backups can be protected"),
    ];
    match texts.iter().find(|(name, _)| given(name).is_some()) {
        Some((_, text)) => Err(Fail::died(*text)),
        None => Ok(Reply::null()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_without_a_unit_is_in_kib() {
        assert_eq!(bytes("64"), Some(65_536));
        assert_eq!(bytes("64M"), Some(64 << 20));
        assert_eq!(bytes("2G"), Some(2 << 30));
    }

    #[test]
    fn directories_need_an_extension_and_thin_pools_the_owner() {
        let dir = Storage::dir("d", "/d", "images");
        assert_eq!(
            named(&dir, 900, "foo.raw").ok().as_deref(),
            Some("900/foo.raw")
        );
        assert!(named(&dir, 900, "foo").is_err());
        let thin = Storage::lvmthin("t", "images");
        assert!(named(&thin, 900, "vm-900-x").is_ok());
        assert!(named(&thin, 900, "vm-901-x").is_err());
    }
}
