//! What a node tells of itself: names, time, services, hardware, subscription.
//!
//! Only name servers, hosts and the description can be changed.

pub(crate) mod cpus;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::call::{Allow, Call, Route, now, tell};
use super::reply::{Fail, Outcome, Reply};
use super::storage::checksum::sha1;
use super::world::{Node, World};

const READS: Allow = Allow::All("/nodes/{node}", &["Sys.Audit"]);
const WRITES: Allow = Allow::All("/nodes/{node}", &["Sys.Modify"]);

const SERVICES: &[&str] = &[
    "chrony",
    "corosync",
    "cron",
    "ksmtuned",
    "lxcfs",
    "postfix",
    "proxmox-firewall",
    "pve-cluster",
    "pve-firewall",
    "pve-ha-crm",
    "pve-ha-lrm",
    "pve-lxc-syscalld",
    "pvedaemon",
    "pvefw-logger",
    "pveproxy",
    "pvescheduler",
    "pvestatd",
    "qmeventd",
    "spiceproxy",
    "sshd",
    "syslog",
    "systemd-journald",
    "systemd-timesyncd",
];

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /nodes/{node}/dns",
        allow: READS,
        rules: "+node",
        handler: now!(dns),
    },
    Route {
        call: "PUT /nodes/{node}/dns",
        allow: WRITES,
        rules: "+node; dns1? string ip; dns2? string ip; dns3? string ip; search string",
        handler: now!(set_dns),
    },
    Route {
        call: "GET /nodes/{node}/time",
        allow: READS,
        rules: "+node",
        handler: tell!(time),
    },
    Route {
        call: "GET /nodes/{node}/hosts",
        allow: Allow::All("/", &["Sys.Audit"]),
        rules: "+node",
        handler: now!(hosts),
    },
    Route {
        call: "POST /nodes/{node}/hosts",
        allow: WRITES,
        rules: "+node; data string; digest? string len=..64",
        handler: now!(set_hosts),
    },
    Route {
        call: "GET /nodes/{node}/config",
        allow: Allow::All("/", &["Sys.Audit"]),
        rules: "+node; property? string enum=acme|acmedomain#0-5|ballooning-target|description|startall-onboot-delay|wakeonlan",
        handler: tell!(empty_object),
    },
    Route {
        call: "GET /nodes/{node}/services",
        allow: READS,
        rules: "+node",
        handler: tell!(services),
    },
    Route {
        call: "GET /nodes/{node}/services/{service}/state",
        allow: READS,
        rules: "+node; service string enum=chrony|corosync|cron|ksmtuned|lxcfs|postfix|proxmox-firewall|pve-cluster|pve-firewall|pve-ha-crm|pve-ha-lrm|pve-lxc-syscalld|pvedaemon|pvefw-logger|pveproxy|pvescheduler|pvestatd|qmeventd|spiceproxy|sshd|syslog|systemd-journald|systemd-timesyncd",
        handler: tell!(service),
    },
    Route {
        call: "GET /nodes/{node}/subscription",
        allow: Allow::Anyone,
        rules: "+node",
        handler: tell!(subscription),
    },
    Route {
        call: "GET /nodes/{node}/capabilities/qemu/cpu",
        allow: Allow::Anyone,
        rules: "+node; arch? string enum=x86_64|aarch64",
        handler: tell!(cpus::list),
    },
    Route {
        call: "GET /nodes/{node}/capabilities/qemu/machines",
        allow: Allow::Anyone,
        rules: "+node; arch? string enum=x86_64|aarch64",
        handler: tell!(machines),
    },
    Route {
        call: "GET /nodes/{node}/hardware/pci",
        allow: Allow::Any("/", &["Sys.Audit", "Sys.Modify"]),
        rules: "+node; pci-class-blacklist? string string-list; verbose? boolean",
        handler: tell!(pci),
    },
    Route {
        call: "GET /nodes/{node}/hardware/usb",
        allow: Allow::All("/", &["Sys.Modify"]),
        rules: "+node",
        handler: tell!(nothing),
    },
    Route {
        call: "GET /nodes/{node}/disks/list",
        allow: Allow::Either(&Allow::All("/", &["Sys.Audit"]), &READS),
        rules: "+node; include-partitions? boolean; skipsmart? boolean
            type? string enum=unused|journal_disks",
        handler: tell!(nothing),
    },
    Route {
        call: "GET /nodes/{node}/sdn/zones",
        allow: Allow::Anyone,
        rules: "+node",
        handler: tell!(nothing),
    },
    Route {
        call: "GET /nodes/{node}/certificates/info",
        allow: Allow::Anyone,
        rules: "+node",
        handler: tell!(certificates),
    },
    Route {
        call: "GET /cluster/sdn/vnets",
        allow: Allow::Anyone,
        rules: "pending? boolean; running? boolean",
        handler: tell!(nothing),
    },
    Route {
        call: "GET /cluster/config/nodes",
        allow: Allow::All("/", &["Sys.Audit"]),
        rules: "",
        handler: tell!(nothing),
    },
    Route {
        call: "GET /cluster/firewall/options",
        allow: Allow::All("/", &["Sys.Audit"]),
        rules: "",
        handler: tell!(firewall),
    },
];

/// The texts of a node that can be changed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Texts {
    dns: Vec<(String, String)>,
    hosts: String,
}

impl Texts {
    /// As an installer leaves them on the node of that number.
    pub(crate) fn installed(name: &str, number: usize) -> Self {
        let address = format!("192.0.2.{}", number + 10);
        Self {
            dns: vec![("dns1".to_owned(), "192.0.2.53".to_owned())],
            hosts: format!("127.0.0.1 localhost\n{address} {name}.example.test {name}\n"),
        }
    }
}

fn nothing(_: &Call) -> Json {
    json!([])
}

fn empty_object(_: &Call) -> Json {
    json!({})
}

/// Does something with the texts of the node.
fn with_texts<T>(call: &Call, change: impl FnOnce(&mut Texts) -> T) -> Result<T, Fail> {
    let mut state = call.world.state();
    let own = |node: &&mut Node| node.name == call.node();
    let node = state.nodes.iter_mut().find(own);
    let node = node.ok_or_else(|| Fail::died("the node is gone"))?;
    Ok(change(&mut node.texts))
}

fn dns(call: &Call) -> Outcome {
    let dns = with_texts(call, |texts| texts.dns.clone())?;
    let dns = dns.into_iter().map(|(key, value)| (key, json!(value)));
    Ok(dns.collect::<Json>().into())
}

fn set_dns(call: &Call) -> Outcome {
    let given = |key: &str| Some((key.to_owned(), call.params.text_opt(key)?.to_owned()));
    let dns = ["search", "dns1", "dns2", "dns3"].into_iter();
    let dns = dns.filter_map(given).collect();
    with_texts(call, |texts| texts.dns = dns)?;
    Ok(Reply::null())
}

fn hosts(call: &Call) -> Outcome {
    let hosts = with_texts(call, |texts| texts.hosts.clone())?;
    Ok(json!({"data": hosts, "digest": sha1(&hosts)}).into())
}

fn set_hosts(call: &Call) -> Outcome {
    let known = call.params.text_opt("digest");
    let data = call.params.text("data").to_owned();
    with_texts(call, |texts| {
        if known.is_some_and(|known| known != sha1(&texts.hosts)) {
            return Err(Fail::died(
                "detected modified configuration - file changed by other user? Try again.",
            ));
        }
        texts.hosts = data;
        Ok(Reply::null())
    })?
}

fn time(_: &Call) -> Json {
    let now = World::now();
    json!({"time": now, "localtime": now, "timezone": "Etc/UTC"})
}

fn state_of(name: &str) -> Json {
    json!({
        "name": name, "service": name, "desc": name, "state": "running",
        "active-state": "active", "unit-state": "enabled",
    })
}

fn services(_: &Call) -> Json {
    SERVICES.iter().map(|name| state_of(name)).collect()
}

fn service(call: &Call) -> Json {
    state_of(call.params.text("service"))
}

fn subscription(_: &Call) -> Json {
    json!({
        "status": "notfound", "message": "There is no subscription key", "serverid": null,
        "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
    })
}

fn machines(_: &Call) -> Json {
    let machine = |(kind, id): (&str, &str)| {
        let plain = json!({"id": format!("{id}-10.0"), "type": kind, "version": "10.0"});
        let own = json!({
            "id": format!("{id}-10.0+pve1"), "type": kind, "version": "10.0+pve1",
            "changes":
                "Set host_mtu vNIC option even with default value for migration compat.",
        });
        [own, plain]
    };
    let kinds = [("i440fx", "pc-i440fx"), ("q35", "pc-q35")];
    kinds.into_iter().flat_map(machine).collect()
}

/// The node is itself a virtual machine, with these devices.
fn pci(_: &Call) -> Json {
    let devices = [
        ("01", "0x1045", "0xffff00"),
        ("02", "0x1042", "0x018000"),
        ("03", "0x1041", "0x020000"),
        ("04", "0x1053", "0xffff00"),
        ("05", "0x1044", "0xffff00"),
    ];
    let entry = |(slot, device, class): (&str, &str, &str)| {
        json!({
            "id": format!("0000:00:{slot}.0"), "class": class, "iommugroup": -1,
            "vendor": "0x1af4", "device": device,
            "subsystem_vendor": "0x1af4", "subsystem_device": device,
        })
    };
    devices.into_iter().map(entry).collect()
}

fn certificates(call: &Call) -> Json {
    let year = i64::try_from(Duration::from_hours(24 * 365).as_secs()).unwrap_or_default();
    let begins = World::now() / year * year;
    let node = call.node();
    json!([{
        "filename": "pve-ssl.pem", "fingerprint": call.world.settings.fingerprint,
        "subject": format!("/OU=PVE Cluster Node/O=Proxmox Virtual Environment/CN={node}"),
        "issuer": "/CN=Proxmox Virtual Environment", "san": ["127.0.0.1", "localhost", node],
        "notbefore": begins, "notafter": begins + 2 * year,
        "public-key-type": "id-ecPublicKey", "public-key-bits": 256,
    }])
}

fn firewall(_: &Call) -> Json {
    json!({"digest": sha1("")})
}
