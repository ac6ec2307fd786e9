//! The calls about the cluster and its nodes as a whole: version, free ids, resources, status.
//!
//! Figures of load are constant; only what belongs to guests and volumes is real.

use serde_json::{Value as Json, json};

use super::call::{Allow, Call, Route, now, tell};
use super::ha;
use super::release::Release;
use super::reply::{Fail, Outcome};
use super::world::{Node, Settings, State};

const SEES_NODE: Allow = Allow::All("/nodes/{node}", &["Sys.Audit"]);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /version",
        allow: Allow::Anyone,
        rules: "",
        handler: tell!(version),
    },
    Route {
        call: "GET /cluster/nextid",
        allow: Allow::Anyone,
        rules: "vmid? integer pve-vmid min=100 max=999999999",
        handler: now!(next_id),
    },
    Route {
        call: "GET /cluster/resources",
        allow: Allow::Anyone,
        rules: "type? string enum=vm|storage|node|sdn",
        handler: tell!(resources),
    },
    Route {
        call: "GET /cluster/status",
        allow: Allow::All("/", &["Sys.Audit"]),
        rules: "",
        handler: tell!(status),
    },
    Route {
        call: "GET /nodes",
        allow: Allow::Anyone,
        rules: "",
        handler: tell!(nodes),
    },
    Route {
        call: "GET /nodes/{node}/version",
        allow: Allow::Anyone,
        rules: "+node",
        handler: tell!(version),
    },
    Route {
        call: "GET /nodes/{node}/status",
        allow: SEES_NODE,
        rules: "+node",
        handler: tell!(node),
    },
    Route {
        call: "GET /nodes/{node}/apt/versions",
        allow: SEES_NODE,
        rules: "+node",
        handler: tell!(packages),
    },
];

fn version(call: &Call) -> Json {
    let release = call.world.settings.release;
    json!({"version": release.version(), "release": release.name(), "repoid": "unknown"})
}

fn next_id(call: &Call) -> Outcome {
    let state = call.world.state();
    if let Some(wanted) = call.params.text_opt("vmid") {
        let taken = wanted
            .parse()
            .is_ok_and(|id: u32| state.guest(id).is_some());
        if taken {
            return Err(Fail::param("vmid", format!("VM {wanted} already exists")));
        }
        return Ok(json!(wanted).into());
    }
    let range = state.free_ids();
    let text = format!(
        "unable to get any free VMID in range [{}, {}]",
        range.start, range.end
    );
    let free = range.into_iter().find(|id| state.guest(*id).is_none());
    let free = free.ok_or_else(|| Fail::died(text))?;
    Ok(json!(free.to_string()).into())
}

fn node_entry(call: &Call, state: &State, node: &Node) -> Json {
    let mut entry = json!({
        "id": format!("node/{}", node.name), "node": node.name, "type": "node", "level": "",
        "status": if node.online { "online" } else { "offline" },
    });
    let path = format!("/nodes/{}", node.name);
    let settings = &call.world.settings;
    if node.online && state.allowed(&call.who.id, &path).contains("Sys.Audit") {
        let load = json!({
            "cpu": 0.02, "maxcpu": settings.node_cores, "mem": 4_u64 << 30, "maxmem": settings.node_memory,
            "disk": 8_u64 << 30, "maxdisk": 128_u64 << 30,
            "uptime": call.world.begun.elapsed().as_secs() + 86_400,
        });
        let load = load.as_object().cloned().unwrap_or_default();
        entry.as_object_mut().expect("it is an object").extend(load);
    }
    entry
}

fn nodes(call: &Call) -> Json {
    let state = call.world.state();
    let entry = |node: &Node| {
        let mut entry = node_entry(call, &state, node);
        entry["ssl_fingerprint"] = json!(call.world.settings.fingerprint);
        entry
    };
    state.nodes.iter().map(entry).collect::<Json>()
}

fn node(call: &Call) -> Json {
    let cores = call.world.settings.node_cores;
    let memory = call.world.settings.node_memory;
    let mut status = json!({
        "uptime": call.world.begun.elapsed().as_secs() + 86_400,
        "pveversion": format!("pve-manager/{}/unknown", call.world.settings.release.version()),
        "loadavg": ["0.02", "0.03", "0.00"], "cpu": 0.02, "wait": 0, "idle": 0,
        "cpuinfo": {
            "cpus": cores, "cores": cores, "sockets": 1, "vendor": "AuthenticAMD", "family": "25",
            "model": "Simulated CPU", "mhz": "2596.130", "hvm": "", "user_hz": 100, "flags": "",
        },
        "memory": {
            "total": memory, "used": 4_u64 << 30, "free": memory - (4 << 30),
            "available": memory - (4 << 30),
        },
        "swap": {"total": 0, "used": 0, "free": 0},
        "rootfs": {"total": 128_u64 << 30, "used": 8_u64 << 30, "free": 120_u64 << 30, "avail": 120_u64 << 30},
        "boot-info": {"mode": "legacy-bios"},
        "kversion": "Linux 7.0.2-6-pve #1 SMP PREEMPT_DYNAMIC",
        "current-kernel": {
            "sysname": "Linux", "release": "7.0.2-6-pve", "machine": "x86_64",
            "version": "#1 SMP PREEMPT_DYNAMIC",
        },
        "ksm": {"shared": 0},
    });
    if call.world.settings.release < Release::V9_0 {
        let memory = status["memory"].as_object_mut();
        memory.expect("it is an object").remove("available");
    }
    status
}

fn packages(call: &Call) -> Json {
    let entry = |(name, version): (&str, &str)| {
        json!({
            "Package": name, "Version": version, "OldVersion": version,
            "CurrentState": "Installed", "Arch": "all", "Origin": "Proxmox", "Title": name,
        })
    };
    let packages = call.world.settings.release.packages();
    packages.into_iter().map(entry).collect::<Json>()
}

fn status(call: &Call) -> Json {
    let state = call.world.state();
    let many = state.nodes.len() > 1;
    let cluster = json!({
        "type": "cluster", "id": "cluster", "name": "simulated", "nodes": state.nodes.len(),
        "quorate": 1, "version": state.nodes.len(),
    });
    let entries = state.nodes.iter().enumerate().map(|(i, node)| {
        json!({
            "type": "node", "id": format!("node/{}", node.name), "name": node.name,
            "nodeid": if many { i + 1 } else { 0 }, "ip": format!("192.0.2.{}", i + 10), "level": "",
            "local": u8::from(i == 0), "online": u8::from(node.online),
        })
    });
    let all: Json = many.then_some(cluster).into_iter().chain(entries).collect();
    all
}

fn resources(call: &Call) -> Json {
    let state = call.world.state();
    let kind = call.params.text_opt("type");
    let wanted = |name: &str| kind.is_none_or(|kind| kind == name);
    let mut found = Vec::new();
    if kind.is_none() {
        let sees = |id: &&String| {
            let allowed = state.allowed(&call.who.id, &format!("/pool/{id}"));
            allowed.contains("Pool.Audit")
        };
        let entry = |id: &String| json!({"id": format!("/pool/{id}"), "type": "pool", "pool": id});
        found.extend(state.pools.keys().filter(sees).map(entry));
    }
    if wanted("vm") {
        let sees = |vmid: &u32| {
            let path = format!("/vms/{vmid}");
            state.allowed(&call.who.id, &path).contains("VM.Audit")
        };
        let ids = state
            .vms
            .keys()
            .chain(state.cts.keys())
            .filter(|id| sees(id));
        found.extend(ids.filter_map(|id| guest(&state, *id, &call.world.settings)));
    }
    if wanted("node") {
        let entry = |node: &Node| {
            let mut entry = node_entry(call, &state, node);
            entry["cgroup-mode"] = json!(2);
            entry
        };
        found.extend(state.nodes.iter().map(entry));
    }
    if wanted("storage") {
        for node in &state.nodes {
            for storage in state.storages.iter().filter(|storage| !storage.disabled) {
                let allowed = state.allowed(&call.who.id, &format!("/storage/{}", storage.id));
                if allowed.contains("Datastore.Audit")
                    || allowed.contains("Datastore.AllocateSpace")
                {
                    found.push(json!({
                        "id": format!("storage/{}/{}", node.name, storage.id), "type": "storage",
                        "storage": storage.id, "node": node.name, "plugintype": storage.kind,
                        "content": storage.content, "shared": u8::from(storage.shared),
                        "status": if node.online { "available" } else { "unknown" }, "disk": 0, "maxdisk": storage.total,
                    }));
                }
            }
        }
    }
    if wanted("sdn")
        && state
            .allowed(&call.who.id, "/sdn/zones/localnetwork")
            .contains("SDN.Audit")
    {
        found.extend(state.nodes.iter().map(|node| {
            json!({
                "id": format!("network/{}/zone/localnetwork", node.name), "type": "network",
                "network": "localnetwork", "network-type": "zone", "node": node.name, "status": "ok",
            })
        }));
    }
    Json::Array(found)
}

/// A guest as the cluster broadcast knows it: what comes from the node's statistics is late.
pub(crate) fn guest(state: &State, vmid: u32, settings: &Settings) -> Option<Json> {
    let lag = settings.resources_lag;
    let (kind, node) = state.guest(vmid)?;
    let (vm, ct) = (state.vms.get(&vmid), state.cts.get(&vmid));
    let config = vm.map_or_else(|| ct.map(|ct| &ct.config), |vm| Some(&vm.config))?;
    let sid = format!("{}:{vmid}", kind.to_lowercase());
    let kind = if kind == "CT" { "lxc" } else { "qemu" };
    let mut entry = json!({
        "id": format!("{kind}/{vmid}"), "type": kind, "vmid": vmid, "node": node,
        "status": "unknown",
    });
    for (key, value) in [
        ("pool", state.pool_of(vmid)),
        ("tags", config.get("tags").map(String::as_str)),
        ("lock", config.get("lock").map(String::as_str)),
        ("hastate", state.ha.get(&sid).map(ha::wanted)),
    ] {
        if let Some(value) = value {
            entry[key] = json!(value);
        }
    }
    let since = vm.map_or_else(|| ct.map(|ct| ct.since), |vm| Some(vm.since))?;
    let mut nodes = state.nodes.iter();
    let heard = nodes.any(|known| known.online && known.name == node);
    if !heard || since.elapsed() < lag {
        return Some(entry);
    }
    let figures = match (vm, ct) {
        (Some(vm), _) => json!({
            "name": vm.name(), "status": vm.status_at(lag), "maxcpu": vm.cores(),
            "template": u8::from(vm.is_template()), "maxmem": vm.memory_mib() << 20,
            "maxdisk": vm.boot_disk_bytes(), "uptime": vm.uptime(), "memhost": 0,
        }),
        (None, Some(ct)) => json!({
            "name": ct.name(), "status": ct.status_at(lag),
            "maxcpu": ct.number("cores").unwrap_or(settings.node_cores.into()),
            "template": u8::from(ct.is("template")),
            "maxmem": ct.number("memory").unwrap_or(512) << 20, "maxdisk": ct.root_bytes(),
            "uptime": ct.uptime(),
        }),
        (None, None) => return None,
    };
    for (key, value) in figures.as_object()? {
        entry[key] = value.clone();
    }
    for key in [
        "cpu",
        "mem",
        "disk",
        "netin",
        "netout",
        "diskread",
        "diskwrite",
    ] {
        entry[key] = json!(0);
    }
    Some(entry)
}
