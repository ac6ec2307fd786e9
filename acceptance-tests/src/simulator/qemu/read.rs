//! The calls that look at VMs: lists, configuration, pending changes, status.
//!
//! Figures of load are zero.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::snapshot::shown_config;
use super::{Config, Pending, Vm, shown, spec};
use crate::simulator::call::{Allow, Call, Route, now, tell};
use crate::simulator::ha;
use crate::simulator::reply::{Fail, Outcome};

const AUDIT: Allow = Allow::All("/vms/{vmid}", &["VM.Audit"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /nodes/{node}/qemu",
        allow: Allow::Anyone,
        rules: "+node; full? boolean",
        handler: tell!(list),
    },
    Route {
        call: "GET /nodes/{node}/qemu/{vmid}",
        allow: Allow::Anyone,
        rules: "+vm",
        handler: tell!(index),
    },
    Route {
        call: "GET /nodes/{node}/qemu/{vmid}/config",
        allow: AUDIT,
        rules: "+vm; current? boolean; snapshot? string pve-configid len=..40",
        handler: now!(config),
    },
    Route {
        call: "GET /nodes/{node}/qemu/{vmid}/pending",
        allow: AUDIT,
        rules: "+vm",
        handler: now!(pending),
    },
    Route {
        call: "GET /nodes/{node}/qemu/{vmid}/status",
        allow: Allow::Anyone,
        rules: "+vm",
        handler: tell!(statuses),
    },
    Route {
        call: "GET /nodes/{node}/qemu/{vmid}/status/current",
        allow: AUDIT,
        rules: "+vm",
        handler: now!(current),
    },
];

fn subdirs(names: &[&str]) -> Json {
    names
        .iter()
        .map(|name| json!({"subdir": name}))
        .collect::<Json>()
}

fn index(_: &Call) -> Json {
    subdirs(&[
        "config",
        "cloudinit",
        "pending",
        "status",
        "unlink",
        "vncproxy",
        "termproxy",
        "migrate",
        "resize",
        "move",
        "rrd",
        "rrddata",
        "monitor",
        "agent",
        "snapshot",
        "spiceproxy",
        "sendkey",
        "firewall",
        "mtunnel",
        "remote_migrate",
    ])
}

fn statuses(_: &Call) -> Json {
    subdirs(&[
        "current", "start", "stop", "reset", "shutdown", "suspend", "reboot",
    ])
}

fn list(call: &Call) -> Json {
    let state = call.world.state();
    let sees = |vm: &&Vm| {
        vm.node == call.node()
            && state
                .allowed(&call.who.id, &format!("/vms/{}", vm.vmid))
                .contains("VM.Audit")
    };
    state
        .vms
        .values()
        .filter(sees)
        .map(|vm| summary(vm, call.world.settings.node_cores))
        .collect::<Json>()
}

/// What list and status have in common.
fn summary(vm: &Vm, node_cores: u32) -> Json {
    let mut data = json!({
        "vmid": vm.vmid, "name": vm.name(), "status": if vm.running.is_some() { "running" } else { "stopped" },
        "cpus": vm.cores().min(node_cores), "maxmem": vm.memory_mib() << 20, "maxdisk": vm.boot_disk_bytes(),
        "uptime": vm.uptime(), "cpu": 0, "mem": 0, "memhost": 0, "disk": 0, "netin": 0, "netout": 0,
    });
    for key in ["lock", "tags"] {
        if let Some(value) = vm.config.get(key) {
            data[key] = json!(value);
        }
    }
    if vm.is_template() {
        data["template"] = json!(1);
    }
    if (0..4).any(|i| vm.config.contains_key(&format!("serial{i}"))) {
        data["serial"] = json!(1);
    }
    let balloon = vm
        .config
        .get("balloon")
        .and_then(|text| text.parse::<u64>().ok());
    if let Some(balloon) = balloon.filter(|mib| *mib > 0) {
        data["balloon_min"] = json!(balloon << 20);
        let shares = vm
            .config
            .get("shares")
            .and_then(|text| text.parse::<u64>().ok());
        data["shares"] = json!(shares.unwrap_or(1000));
    }
    if let Some(running) = &vm.running {
        data["pid"] = json!(running.pid);
        for kind in ["cpu", "io", "memory"] {
            data[format!("pressure{kind}some")] = json!(0);
            data[format!("pressure{kind}full")] = json!(0);
        }
    }
    data
}

fn current(call: &Call) -> Outcome {
    let state = call.world.state();
    let vm = state.vm(call.node(), call.params.vmid())?;
    let mut data = summary(vm, call.world.settings.node_cores);
    data["ha"] = ha::status_of(&state, &format!("vm:{}", vm.vmid));
    data["qmpstatus"] = match &vm.running {
        Some(running) if running.paused => json!("paused"),
        Some(_) => json!("running"),
        None => json!("stopped"),
    };
    if spec::agent(vm) == Some(true) {
        data["agent"] = json!(1);
    }
    if vm.config.contains_key("vga") {
        data["clipboard"] = Json::Null;
    }
    if vm.running.is_some() {
        let nets = vm
            .config
            .keys()
            .filter(|key| key.starts_with("net") && key[3..].parse::<u32>().is_ok());
        let traffic = nets.map(|key| {
            (
                format!("tap{}i{}", vm.vmid, &key[3..]),
                json!({"netin": 0, "netout": 0}),
            )
        });
        let traffic: serde_json::Map<_, _> = traffic.collect();
        if !traffic.is_empty() {
            data["nics"] = traffic.into();
        }
    }
    Ok(data.into())
}

fn config(call: &Call) -> Outcome {
    let state = call.world.state();
    let vm = state.vm(call.node(), call.params.vmid())?;
    if let Some(snapshot) = call.params.text_opt("snapshot") {
        if call.params.is_set("current") {
            let text = "cannot use 'snapshot' parameter with 'current'";
            let errors = ["snapshot", "current"].map(|name| (name.to_owned(), text.to_owned()));
            return Err(Fail::Params(errors.into_iter().collect()));
        }
        let mut data = shown_config(vm.snapshot(snapshot)?);
        data["digest"] = json!(vm.digest());
        return Ok(data.into());
    }
    let config: Config = if call.params.is_set("current") {
        vm.config.clone()
    } else {
        vm.with_pending()
    };
    let mut data: Json = config
        .iter()
        .map(|(key, value)| (key.clone(), shown(key, value)))
        .collect();
    data["digest"] = json!(vm.digest());
    Ok(data.into())
}

fn pending(call: &Call) -> Outcome {
    let state = call.world.state();
    let vm = state.vm(call.node(), call.params.vmid())?;
    let keys: BTreeSet<&String> = vm.config.keys().chain(vm.pending.keys()).collect();
    let entry = |key: &String| {
        let mut entry = json!({"key": key});
        if let Some(value) = vm.config.get(key) {
            entry["value"] = shown(key, value);
        }
        match vm.pending.get(key) {
            Some(Pending::Set(_)) if key == "cipassword" => entry["pending"] = json!("********** "),
            Some(Pending::Set(value)) => entry["pending"] = shown(key, value),
            Some(Pending::Delete(force)) => entry["delete"] = json!(if *force { 2 } else { 1 }),
            None => {}
        }
        entry
    };
    let digest = json!({"key": "digest", "value": vm.digest()});
    Ok(keys
        .into_iter()
        .map(entry)
        .chain([digest])
        .collect::<Json>()
        .into())
}
