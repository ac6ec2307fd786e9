//! Creating a VM.
//!
//! Restoring one from an archive is not simulated beyond the check that the archive exists.

use std::time::Duration;

use super::{Config, Vm, drives, start, texts};
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::params::Value;
use crate::simulator::random::random_uuid;
use crate::simulator::release::Release;
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::tasks::{Task, Worker};
use crate::simulator::world::World;

pub(crate) const ROUTES: &[Route] = &[Route {
    call: "POST /nodes/{node}/qemu",
    allow: Allow::Anyone,
    rules: "+vm
        +qemu-config
        archive? string len=..255
        bwlimit? integer min=0
        cdrom? string {drive-ide}
        force? boolean requires=archive
        ha-managed? boolean since=9.1
        import-working-storage? string pve-storage-id
        live-restore? boolean
        pool? string pve-poolid
        start? boolean
        storage? string pve-storage-id
        unique? boolean requires=archive",
    handler: now!(create),
}];

/// Parameters that are no configuration.
pub(crate) const META: &[&str] = &[
    "archive",
    "background_delay",
    "bwlimit",
    "delete",
    "digest",
    "force",
    "ha-managed",
    "import-working-storage",
    "live-restore",
    "node",
    "pool",
    "revert",
    "skiplock",
    "start",
    "storage",
    "unique",
    "vmid",
];

/// The configuration keys among the parameters.
pub(crate) fn values(call: &Call) -> Config {
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        _ => String::new(),
    };
    let given = call
        .params
        .0
        .iter()
        .filter(|(name, _)| !META.contains(&name.as_str()));
    let mut values: Config = given
        .map(|(name, value)| (name.clone(), text(value)))
        .collect();
    if let Some(cdrom) = values.remove("cdrom") {
        values.insert("ide2".to_owned(), format!("{cdrom},media=cdrom"));
    }
    values
}

/// The drives among the values.
pub(crate) fn drives_of(values: &Config) -> Config {
    values
        .iter()
        .filter(|(key, _)| drives::is_drive(key))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

fn create(call: &Call) -> Outcome {
    let params = &call.params;
    let vmid = params.vmid();
    let node = call.node().to_owned();
    let pool = params.text_opt("pool");
    if let Some(pool) = pool.filter(|pool| !call.world.state().pools.contains_key(*pool)) {
        return Err(Fail::Denied(format!("pool '{pool}' does not exist")));
    }
    if let Some(storage) = params.text_opt("storage") {
        call.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    }
    call.need_on_vm(vmid, pool, "VM.Allocate")
        .map_err(|_| Fail::denied())?;
    let release = call.world.settings.release;
    if params.is_set("start") && release >= Release::V9_2 {
        call.need_on_vm(vmid, pool, "VM.PowerMgmt")?;
    }
    if params.is_set("ha-managed") && release >= Release::V9_2 {
        call.need("/", &["Sys.Console"])?;
    }
    if let Some(archive) = params.text_opt("archive") {
        call.world.state().existing(&node, archive)?;
        return Err(Fail::died("the simulator does not restore archives"));
    }
    let mut values = values(call);
    let storage = params.text_opt("storage").map(str::to_owned);
    let wanted = drives_of(&values);
    call.may_use_storages(vmid, &values, storage.as_deref())?;
    call.may_set_keys(vmid, pool, values.keys().map(String::as_str))?;
    if release >= Release::V9_2 {
        call.may_tag((vmid, pool), None, values.get("tags"))?;
    }
    call.may_set_devices(vmid, pool, &values, "set")?;
    call.may_use_bridges(&values)?;
    if let Some(keys) = values.get("sshkeys") {
        texts::check_ssh_keys(keys)?;
    }
    if values.get("description").is_some_and(String::is_empty) {
        values.remove("description");
    }
    let tags = values.get("tags").cloned();
    texts::settle(&mut values);
    if let Some(tags) = tags.filter(|_| release < Release::V9_2) {
        values.insert("tags".to_owned(), tags);
    }
    reserve(call, vmid, &node, pool)?;
    let starter = params.is_set("start").then(|| call.who.id.clone());
    Ok(
        call.start_task("qmcreate", &vmid.to_string(), |worker| async move {
            let result = build(&worker, &node, vmid, values, wanted, storage).await;
            if let Err(why) = result {
                worker.world.state().vms.remove(&vmid);
                return Err(format!("unable to create VM {vmid} - {why}"));
            }
            if let Some(user) = starter {
                worker.log("Execute autostart");
                let world = &worker.world;
                Task::spawn(
                    world,
                    (&node, "qmstart", &vmid.to_string(), &user),
                    None,
                    |worker| start::run(worker, node.clone(), vmid),
                );
            }
            Ok(())
        }),
    )
}

/// Takes the id, as the file that is written before the task begins does.
fn reserve(call: &Call, vmid: u32, node: &str, pool: Option<&str>) -> Result<(), Fail> {
    let mut state = call.world.state();
    state
        .check_unused(vmid)
        .map_err(|fail| Fail::died(format!("unable to create VM {vmid} - {}", fail.text())))?;
    let config = Config::from([("lock".to_owned(), "create".to_owned())]);
    state.vms.insert(vmid, Vm::new(vmid, node, config));
    if let Some(pool) = pool.and_then(|pool| state.pools.get_mut(pool)) {
        pool.guests.push(vmid);
    }
    Ok(())
}

async fn build(
    worker: &Worker,
    node: &str,
    vmid: u32,
    mut config: Config,
    wanted: Config,
    storage: Option<String>,
) -> Result<(), String> {
    let imports = wanted
        .values()
        .filter(|text| text.contains("import-from="))
        .count();
    let seconds = 1 + 4 * u64::try_from(imports).unwrap_or_default();
    worker.takes(Duration::from_secs(seconds)).await?;
    let log = {
        let mut state = worker.world.state();
        let made = state.make_drives(node, vmid, &wanted, storage.as_deref())?;
        config.extend(made.drives);
        config
            .entry("smbios1".to_owned())
            .or_insert_with(|| format!("uuid={}", random_uuid()));
        config
            .entry("vmgenid".to_owned())
            .or_insert_with(random_uuid);
        let meta = format!("creation-qemu=10.0.13,ctime={}", World::now());
        config.insert("meta".to_owned(), meta);
        if !config.contains_key("boot") {
            config.insert("boot".to_owned(), drives::default_boot(&config));
        }
        let vm = state.vm_mut(node, vmid).map_err(|fail| fail.text())?;
        vm.config = config;
        made.log
    };
    worker.log_all(log);
    Ok(())
}
