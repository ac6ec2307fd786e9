//! What a clone takes: the copy itself, and then everything that is not to be as in its source.

use std::collections::BTreeMap;

use super::{super::model::DockerLxc, cmode, grow, moves, params};
use crate::{
    pve::{Call, LxcConfig, Params},
    resources::host::{clones::CloneOf, power::Place},
};

/// Clones a container of `node` to the VMID.
pub(in super::super) fn clone(plan: &DockerLxc, source: &CloneOf, node: &str, vmid: u32) -> Call {
    let full = source.full != Some(false);
    let root = plan.root_disk.as_ref();
    let root = root.and_then(|disk| disk.datastore_id.as_ref());
    let storage = source.datastore_id.as_ref().or(root);
    let params = Params::new()
        .with("newid", Some(vmid))
        .with("hostname", Some(&plan.name))
        .with("pool", plan.pool_id.as_deref())
        .flag("full", Some(full))
        .with("storage", storage.filter(|_| full));
    let source = source.vm_id.unwrap_or_default();
    Call::post(format!("/nodes/{node}/lxc/{source}/clone"), params)
        .task()
        .clone_slot()
}

/// Makes of a fresh clone, whose configuration is that of its source, what is planned.
pub(in super::super) fn adopt(
    plan: &DockerLxc,
    place: &Place,
    config: &LxcConfig,
    tag: Option<&str>,
) -> Vec<Call> {
    // NICs are made anew: two guests with the addresses of one would get in each other's way.
    let bare = LxcConfig {
        nets: BTreeMap::new(),
        ..config.clone()
    };
    let after = params(plan, &bare, tag).with("cmode", cmode(plan, config.cmode.as_deref()));
    let inherited = [
        ("description", config.description.is_some()),
        ("tags", !config.tags.is_empty()),
        ("startup", config.startup.is_some()),
        ("cpulimit", config.cpulimit.is_some()),
        ("cpuunits", config.cpuunits.is_some()),
        ("nameserver", config.nameserver.is_some()),
        ("searchdomain", config.searchdomain.is_some()),
    ];
    let inherited = inherited.into_iter().filter(|(_, set)| *set);
    let nics = config.nets.keys().map(String::as_str);
    let gone = inherited.map(|(key, _)| key).chain(nics);
    let delete: Vec<&str> = gone.filter(|key| after.value(key).is_none()).collect();
    let change = |params| Call::put(place.path("/config"), params);
    let mut calls = Vec::new();
    if config.protection == Some(true) {
        calls.push(change(Params::new().flag("protection", Some(false))));
    }
    calls.push(change(after.list("delete", delete)));
    calls.extend(moves(plan, place, config));
    calls.extend(grow(plan, place, config));
    calls
}
