//! Changing the configuration of a VM.
//!
//! Everything goes to what is pending first; what can be applied is applied then.

use std::time::Duration;

use super::create::{drives_of, values};
use super::power::only_root;
use super::{Config, Pending, drives, hotplug, memory_mib, texts, volume_of};
use crate::simulator::call::{Allow, Call, Route, later};
use crate::simulator::machine::BoxFuture;
use crate::simulator::reply::{Fail, Outcome, Reply};
use crate::simulator::rules::check::Errors;
use crate::simulator::rules::formats::split_list;
use crate::simulator::rules::set;
use crate::simulator::storage::checksum::sha1;
use crate::simulator::world::{LOCK_PATIENCE, State, World};

const SETS: Allow = Allow::Any(
    "/vms/{vmid}",
    &[
        "VM.Config.Disk",
        "VM.Config.CDROM",
        "VM.Config.CPU",
        "VM.Config.Memory",
        "VM.Config.Network",
        "VM.Config.HWType",
        "VM.Config.Options",
        "VM.Config.Cloudinit",
    ],
);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "PUT /nodes/{node}/qemu/{vmid}/config",
        allow: SETS,
        rules: "+vm
            +qemu-config
            cdrom? string {drive-ide}
            delete? string pve-configid-list
            digest? string len=..40
            force? boolean requires=delete
            revert? string pve-configid-list
            skiplock? boolean",
        handler: later!(put),
    },
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/config",
        allow: SETS,
        rules: "+vm
            +qemu-config
            background_delay? integer min=1 max=30
            cdrom? string {drive-ide}
            delete? string pve-configid-list
            digest? string len=..40
            force? boolean requires=delete
            import-working-storage? string pve-storage-id
            revert? string pve-configid-list
            skiplock? boolean",
        handler: later!(post),
    },
    Route {
        call: "PUT /nodes/{node}/qemu/{vmid}/unlink",
        allow: Allow::All("/vms/{vmid}", &["VM.Config.Disk"]),
        rules: "+vm; force? boolean; idlist string pve-configid-list",
        handler: later!(unlink),
    },
];

/// Keys that the API keeps for itself and yet knows.
const INTERNAL: &[&str] = &["meta", "parent", "runningcpu", "runningmachine", "snaptime"];

/// A change that passed its first checks.
struct Change {
    node: String,
    vmid: u32,
    values: Config,
    delete: Vec<String>,
    revert: Vec<String>,
    force: bool,
    digest: Option<String>,
    skip_lock: bool,
}

/// The keys of a list parameter, all of them known and none of them set at the same time.
fn named(call: &Call, list: &str, values: &Config) -> Result<Vec<String>, Fail> {
    let mut names = split_list(call.params.text_opt(list).unwrap_or_default());
    for name in &mut names {
        if *name == "cdrom" {
            *name = "ide2";
        }
        if values.contains_key(*name) {
            let text = format!("you can't use '-{name}' and -{list} {name}' at the same time");
            return Err(Fail::param("delete", text));
        }
        if set("qemu-config").rule(name).is_none() && !INTERNAL.contains(name) {
            return Err(Fail::param(list, format!("unknown option '{name}'")));
        }
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// The checks before anything is locked.
fn checked(call: &Call) -> Result<Change, Fail> {
    only_root(call, &["skiplock"])?;
    let params = &call.params;
    let (node, vmid) = (call.node().to_owned(), params.vmid());
    let mut values = values(call);
    if let Some(keys) = values.get("sshkeys") {
        texts::check_ssh_keys(keys)?;
    }
    let revert = named(call, "revert", &values)?;
    let mut delete = named(call, "delete", &values)?;
    if let Some(name) = delete.iter().find(|name| revert.contains(name)) {
        let text = format!("you can't use '-{name}' and -revert {name}' at the same time");
        return Err(Fail::param("revert", text));
    }
    if values.get("description").is_some_and(String::is_empty) {
        values.remove("description");
        delete.push("description".to_owned());
    }
    if values.is_empty() && delete.is_empty() && revert.is_empty() {
        return Err(Fail::died("no options specified"));
    }
    let keys = delete.iter().chain(values.keys()).map(String::as_str);
    call.may_set_keys(vmid, None, keys)?;
    call.may_use_storages(vmid, &values, None)?;
    call.may_set_devices(vmid, None, &values, "modify")?;
    call.may_use_bridges(&values)?;
    let old: Config = {
        let state = call.world.state();
        let config = state.vm(&node, vmid)?.with_pending();
        let goes = |key: &String| delete.contains(key) || values.contains_key(key);
        let old = config.iter().filter(|(key, _)| goes(key));
        old.map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    call.may_set_devices(vmid, None, &old, "delete")?;
    call.may_touch_drives(vmid, &delete, &old)?;
    call.may_touch_drives(vmid, values.keys(), &old)?;
    call.may_touch_drives(vmid, values.keys(), &values)?;
    if values.contains_key("tags") || old.contains_key("tags") {
        call.may_tag((vmid, None), old.get("tags"), values.get("tags"))?;
    }
    texts::settle(&mut values);
    let change = Change {
        node,
        vmid,
        values,
        delete,
        revert,
        force: params.is_set("force"),
        digest: params.text_opt("digest").map(str::to_owned),
        skip_lock: params.is_set("skiplock"),
    };
    change.check(&call.world.state())?;
    Ok(change)
}

impl Change {
    /// The checks under the lock.
    fn check(&self, state: &State) -> Result<(), Fail> {
        let vm = state.vm(&self.node, self.vmid)?;
        if self
            .digest
            .as_ref()
            .is_some_and(|digest| *digest != vm.digest())
        {
            return Err(Fail::died("checksum mismatch (file change by other user?)"));
        }
        if !self.skip_lock {
            vm.check_lock()?;
        }
        for key in self.delete.iter().filter(|_| vm.is_protected()) {
            let Some(value) = vm.config.get(key) else {
                continue;
            };
            let what = match volume_of(key, value) {
                Some(volume) if key.starts_with("unused") => format!("unused disk '{volume}'"),
                _ if drives::is_drive(key) => format!("drive '{key}'"),
                _ => continue,
            };
            return Err(Fail::died(format!(
                "can't remove {what} - protection mode enabled"
            )));
        }
        let mut after = vm.with_pending();
        after.extend(self.values.clone());
        let balloon: u64 = self
            .values
            .get("balloon")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        if balloon > memory_mib(&after) {
            return Err(Fail::died(
                "balloon value too large (must be smaller than assigned memory)",
            ));
        }
        if let Some(order) = self
            .values
            .get("boot")
            .and_then(|boot| boot.strip_prefix("order="))
        {
            let missing = order
                .split(';')
                .find(|key| !key.is_empty() && !after.contains_key(*key));
            if let Some(key) = missing {
                return Err(Fail::died(format!(
                    "invalid bootorder: device '{key}' does not exist'"
                )));
            }
        }
        let seeds = |(key, text): &(&String, &String)| {
            drives::is_drive(key) && drives::is_cloudinit(&drives::parse(key, text))
        };
        let new = self.values.iter().find(seeds);
        let old = vm.config.iter().find(|(key, text)| {
            seeds(&(key, text)) && !self.values.contains_key(*key) && !self.delete.contains(key)
        });
        if let (Some((new, _)), Some((old, _))) = (new, old) {
            return Err(Fail::died(format!(
                "{new} - cloud-init drive is already attached at '{old}'"
            )));
        }
        Ok(())
    }

    /// Does it, under the lock file. What the log says comes back.
    fn apply<'a>(&'a self, world: &'a World) -> BoxFuture<'a, Result<Vec<String>, Fail>> {
        Box::pin(async move {
            let _lock = world.lock_guest(self.vmid, LOCK_PATIENCE).await?;
            let (log, attached, errors) = {
                let mut state = world.state();
                self.check(&state)?;
                let log = self.store(&mut state)?;
                let runs = state
                    .vms
                    .get(&self.vmid)
                    .is_some_and(|vm| vm.running.is_some());
                if runs {
                    let (disks, errors) = hotplug::apply_live(&mut state, self.vmid);
                    let running = state.vms.get(&self.vmid).and_then(|vm| vm.running.as_ref());
                    let attached = running.map(|running| (running.machine.clone(), disks));
                    (log, attached, errors)
                } else {
                    hotplug::apply_all(&mut state, self.vmid);
                    (log, None, Errors::new())
                }
            };
            if let Some((machine, disks)) = attached {
                for disk in disks {
                    machine.attached(disk).await;
                }
            }
            match errors.is_empty() {
                true => Ok(log),
                false => Err(Fail::Params(errors)),
            }
        })
    }

    /// Writes the change to what is pending.
    fn store(&self, state: &mut State) -> Result<Vec<String>, Fail> {
        let made = state
            .make_drives(&self.node, self.vmid, &drives_of(&self.values), None)
            .map_err(Fail::died)?;
        let mut values = self.values.clone();
        values.extend(made.drives);
        let vm = state.vm_mut(&self.node, self.vmid)?;
        let mut dropped = Vec::new();
        for key in &self.revert {
            if let Some(Pending::Set(value)) = vm.pending.remove(key) {
                dropped.push((key.clone(), value));
            }
        }
        for key in &self.delete {
            let before = vm.pending.remove(key);
            if vm.config.contains_key(key) {
                vm.pending.insert(key.clone(), Pending::Delete(self.force));
            }
            if let Some(Pending::Set(value)) = before {
                dropped.push((key.clone(), value));
            }
        }
        let mut boot = vm.with_pending().get("boot").cloned().unwrap_or_default();
        for (key, value) in values {
            let is_new_cd = drives::is_drive(&key)
                && drives::is_cdrom(&drives::parse(&key, &value))
                && !vm.config.contains_key(&key);
            if is_new_cd && boot.starts_with("order=") && !self.values.contains_key("boot") {
                boot = format!("{boot};{key}");
                vm.pending
                    .insert("boot".to_owned(), Pending::Set(boot.clone()));
            }
            let hashed = if key == "cipassword" {
                crypted(&value)
            } else {
                value
            };
            if let Some(Pending::Set(old)) = vm.pending.insert(key.clone(), Pending::Set(hashed)) {
                dropped.push((key, old));
            }
        }
        // What equals the present value is no change.
        let config = &vm.config;
        vm.pending.retain(|key, change| match change {
            Pending::Set(value) => config.get(key) != Some(value),
            Pending::Delete(_) => config.contains_key(key),
        });
        for (key, value) in dropped {
            hotplug::let_go(state, self.vmid, &key, &value, false);
        }
        Ok(made.log)
    }
}

/// A password as it is stored: hashed, unless it came so.
fn crypted(password: &str) -> String {
    let is_hash = ["$1$", "$5$", "$6$", "$2a$", "$2y$"]
        .iter()
        .any(|start| password.starts_with(start));
    if is_hash {
        password.to_owned()
    } else {
        format!("$5$simulated${}", sha1(password))
    }
}

async fn put(call: Call) -> Outcome {
    let change = checked(&call)?;
    change.apply(&call.world).await?;
    Ok(Reply::null())
}

async fn post(call: Call) -> Outcome {
    let change = checked(&call)?;
    let vmid = change.vmid;
    let setting = |(key, value): (&String, &String)| match call.params.text_opt(key) {
        Some(_) if key == "cipassword" => format!("-{key} <hidden>"),
        Some(given) if drives::is_drive(key) => format!("-{key} {given}"),
        _ => format!("-{key} {value}"),
    };
    let mut settings: Vec<String> = change.values.iter().map(setting).collect();
    if !change.delete.is_empty() {
        settings.push(format!("-delete {}", change.delete.join(",")));
    }
    let reply = call.start_task("qmconfig", &vmid.to_string(), |worker| async move {
        worker.log(format!("update VM {vmid}: {}", settings.join(" ")));
        worker.takes(Duration::from_millis(500)).await?;
        let log = change
            .apply(&worker.world)
            .await
            .map_err(|fail| fail.text())?;
        worker.log_all(log);
        Ok(())
    });
    let Some(delay) = call.params.number_opt("background_delay") else {
        return Ok(reply);
    };
    let upid = reply.data.as_str().unwrap_or_default().to_owned();
    let patience = Duration::from_secs(u64::try_from(delay).unwrap_or(1));
    match call
        .world
        .clock
        .timeout(patience, call.world.task_end(&upid))
        .await
    {
        Some(exit) if exit == "OK" => Ok(Reply::null()),
        Some(exit) => Err(Fail::died(format!("failed to update VM {vmid}: {exit}"))),
        None => Ok(reply),
    }
}

async fn unlink(mut call: Call) -> Outcome {
    use crate::simulator::params::Value;
    let list = call.params.text("idlist").to_owned();
    call.params.0.remove("idlist");
    call.params.0.insert("delete".to_owned(), Value::Text(list));
    put(call).await
}
