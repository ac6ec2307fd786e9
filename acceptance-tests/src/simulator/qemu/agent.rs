//! The guest agent: what the API makes of an agent command and of its answer.
//!
//! The agent itself is the machine's.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::simulator::call::{Allow, Call, Route, later, tell};
use crate::simulator::machine::{AgentError, Machine};
use crate::simulator::release::Release;
use crate::simulator::reply::{Fail, Outcome, Reply};
use crate::simulator::world::World;

const UNRESTRICTED: Allow = Allow::All("/vms/{vmid}", &["VM.GuestAgent.Unrestricted"]);
const AUDIT: Allow = Allow::Any(
    "/vms/{vmid}",
    &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"],
);
const FILE_SYSTEM: Allow = Allow::Any(
    "/vms/{vmid}",
    &["VM.GuestAgent.FileSystemMgmt", "VM.GuestAgent.Unrestricted"],
);
const POWER: Allow = Allow::Any(
    "/vms/{vmid}",
    &["VM.PowerMgmt", "VM.GuestAgent.Unrestricted"],
);
const READ: Allow = Allow::Any(
    "/vms/{vmid}",
    &["VM.GuestAgent.FileRead", "VM.GuestAgent.Unrestricted"],
);
const WRITE: Allow = Allow::Any(
    "/vms/{vmid}",
    &["VM.GuestAgent.FileWrite", "VM.GuestAgent.Unrestricted"],
);

/// A simple command: its route, and the agent's name of it.
macro_rules! simple {
    ($method:literal, $name:literal, $allow:expr) => {
        Route {
            call: concat!($method, " /nodes/{node}/qemu/{vmid}/agent/", $name),
            allow: $allow,
            rules: "+vm",
            handler: |call| Box::pin(simple(call, $name)),
        }
    };
}

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /nodes/{node}/qemu/{vmid}/agent",
        allow: Allow::Anyone,
        rules: "+vm",
        handler: tell!(index),
    },
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/agent",
        allow: Allow::Any("/vms/{vmid}", &["VM.GuestAgent.Unrestricted"]),
        rules: "+vm; command string enum=fsfreeze-freeze|fsfreeze-status|fsfreeze-thaw|fstrim|get-fsinfo|get-host-name|get-memory-block-info|get-memory-blocks|get-osinfo|get-time|get-timezone|get-users|get-vcpus|info|network-get-interfaces|ping|shutdown|suspend-disk|suspend-hybrid|suspend-ram",
        handler: later!(legacy),
    },
    simple!("POST", "ping", AUDIT),
    simple!("GET", "info", AUDIT),
    simple!("GET", "get-time", AUDIT),
    simple!("GET", "get-osinfo", AUDIT),
    simple!("GET", "get-host-name", AUDIT),
    simple!("GET", "get-timezone", AUDIT),
    simple!("GET", "get-users", AUDIT),
    simple!("GET", "get-fsinfo", AUDIT),
    simple!("GET", "get-vcpus", AUDIT),
    simple!("GET", "get-memory-blocks", AUDIT),
    simple!("GET", "get-memory-block-info", AUDIT),
    simple!("GET", "network-get-interfaces", AUDIT),
    simple!(
        "POST",
        "fsfreeze-status",
        Allow::Any(
            "/vms/{vmid}",
            &[
                "VM.GuestAgent.Audit",
                "VM.GuestAgent.FileSystemMgmt",
                "VM.GuestAgent.Unrestricted"
            ]
        )
    ),
    simple!("POST", "fsfreeze-freeze", FILE_SYSTEM),
    simple!("POST", "fsfreeze-thaw", FILE_SYSTEM),
    simple!("POST", "fstrim", FILE_SYSTEM),
    simple!("POST", "shutdown", POWER),
    simple!("POST", "suspend-ram", POWER),
    simple!("POST", "suspend-disk", POWER),
    simple!("POST", "suspend-hybrid", POWER),
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/agent/exec",
        allow: UNRESTRICTED,
        rules: "+vm; command array; input-data? string len=..65536",
        handler: later!(exec),
    },
    Route {
        call: "GET /nodes/{node}/qemu/{vmid}/agent/exec-status",
        allow: UNRESTRICTED,
        rules: "+vm; pid integer",
        handler: later!(exec_status),
    },
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/agent/set-user-password",
        allow: UNRESTRICTED,
        rules: "+vm; crypted? boolean; password string len=5..1024; username string",
        handler: later!(set_user_password),
    },
    Route {
        call: "GET /nodes/{node}/qemu/{vmid}/agent/file-read",
        allow: READ,
        rules: "+vm; count? integer min=1 max=16777216 since=9.2; decode? boolean since=9.2; file string
            offset? integer min=0 since=9.2",
        handler: later!(file_read),
    },
    Route {
        call: "POST /nodes/{node}/qemu/{vmid}/agent/file-write",
        allow: WRITE,
        rules: "+vm; content string len=..61440; encode? boolean; file string",
        handler: later!(file_write),
    },
];

const COMMANDS: &[&str] = &[
    "exec",
    "exec-status",
    "file-read",
    "file-write",
    "fsfreeze-freeze",
    "fsfreeze-status",
    "fsfreeze-thaw",
    "fstrim",
    "get-fsinfo",
    "get-host-name",
    "get-memory-block-info",
    "get-memory-blocks",
    "get-osinfo",
    "get-time",
    "get-timezone",
    "get-users",
    "get-vcpus",
    "info",
    "network-get-interfaces",
    "ping",
    "set-user-password",
    "shutdown",
    "suspend-disk",
    "suspend-hybrid",
    "suspend-ram",
];

fn index(_: &Call) -> Json {
    COMMANDS
        .iter()
        .map(|name| json!({"name": name}))
        .collect::<Json>()
}

/// The time that the agent has for a ping.
const PING: Duration = Duration::from_secs(3);

/// A channel to an agent that answered a ping.
struct Channel {
    world: Arc<World>,
    vmid: u32,
    machine: Arc<dyn Machine>,
}

impl Channel {
    async fn open(call: &Call) -> Result<Self, Fail> {
        let vmid = call.params.vmid();
        let (machine, exists) = {
            let state = call.world.state();
            let vm = state.vm(call.node(), vmid)?;
            if !vm.config.contains_key("agent") {
                return Err(Fail::died("No QEMU guest agent configured"));
            }
            let running = vm.running.as_ref();
            let running = running.ok_or_else(|| Fail::died(format!("VM {vmid} is not running")))?;
            (
                Arc::clone(&running.machine),
                running.agent && !running.paused,
            )
        };
        if call.agent_restarts {
            call.world
                .with_pids(vmid, |pids| pids.forgotten = pids.last);
        }
        let answers = exists && !call.agent_silent && {
            let ping = machine.agent(json!({"execute": "guest-ping"}));
            let answer = call.world.clock.timeout(PING, ping).await;
            !matches!(answer, None | Some(Err(AgentError::Silent)))
        };
        if !answers {
            tokio::time::sleep(call.world.settings.agent_patience).await;
            return Err(Fail::died("QEMU guest agent is not running"));
        }
        Ok(Self {
            world: Arc::clone(&call.world),
            vmid,
            machine,
        })
    }

    /// One command; the inner error is the agent's own.
    async fn run(
        &self,
        name: &str,
        arguments: Json,
    ) -> Result<Result<Json, (String, String)>, Fail> {
        let command = format!("guest-{name}");
        let patience = Duration::from_secs(match name {
            "fsfreeze-freeze" => 3600,
            "fsfreeze-thaw" => 180,
            "fstrim" | "shutdown" => 600,
            _ => 5,
        });
        let mut request = json!({"execute": command});
        if !arguments.is_null() {
            request["arguments"] = arguments;
        }
        let answer = self.machine.agent(request);
        match self.world.clock.timeout(patience, answer).await {
            Some(Ok(value)) => Ok(Ok(value)),
            Some(Err(AgentError::Refused { class, desc })) => Ok(Err((class, desc))),
            Some(Err(AgentError::Silent)) | None => Err(Fail::died(format!(
                "VM {} qga command '{command}' failed - got timeout",
                self.vmid
            ))),
        }
    }

    /// One command whose error is the call's.
    async fn need(&self, name: &str, arguments: Json) -> Result<Json, Fail> {
        self.run(name, arguments).await?.map_err(|(_, desc)| {
            // A text that does not fit into bytes ends the worker that would send it.
            if desc.chars().any(|c| u32::from(c) > 0xff) {
                return Fail::bare(596, "Broken pipe");
            }
            Fail::died(format!("Agent error: {desc}"))
        })
    }
}

async fn simple(call: Call, name: &'static str) -> Outcome {
    let channel = Channel::open(&call).await?;
    let result = match channel.run(name, Json::Null).await? {
        Ok(value) => value,
        Err((class, desc)) => json!({"error": {"class": class, "desc": desc}}),
    };
    Ok(json!({"result": result}).into())
}

async fn legacy(call: Call) -> Outcome {
    let name = call.params.text("command");
    let name = COMMANDS.iter().find(|known| **known == name);
    let name = name.ok_or_else(|| Fail::param("command", "unknown command"))?;
    simple(call, name).await
}

async fn exec(call: Call) -> Outcome {
    let channel = Channel::open(&call).await?;
    let Some((path, arguments)) = call.params.list("command").split_first() else {
        return Err(Fail::died("command or input-data (or both) required"));
    };
    let mut request = json!({"path": path, "arg": arguments, "capture-output": true});
    if let Some(input) = call.params.text_opt("input-data") {
        request["input-data"] = json!(STANDARD.encode(input));
    }
    let answer = channel.need("exec", request).await?;
    let pid = answer["pid"].as_i64().unwrap_or_default();
    call.world
        .with_pids(channel.vmid, |pids| pids.last = pids.last.max(pid));
    Ok(json!({"pid": answer["pid"]}).into())
}

/// Bytes in base64 as the API shows them: each as the character of its number.
fn as_latin1(encoded: &Json) -> Option<String> {
    let bytes = STANDARD.decode(encoded.as_str()?).ok()?;
    Some(bytes.into_iter().map(char::from).collect())
}

async fn exec_status(call: Call) -> Outcome {
    let channel = Channel::open(&call).await?;
    let pid = call.params.number_opt("pid");
    let forgotten = call.world.with_pids(channel.vmid, |pids| pids.forgotten);
    if pid.is_some_and(|pid| pid <= forgotten) {
        // The agent's own text, which lacks the number.
        return Err(Fail::died("Agent error: PID ld does not exist"));
    }
    let answer = channel.need("exec-status", json!({"pid": pid})).await?;
    let mut data = json!({});
    for (key, value) in answer.as_object().into_iter().flatten() {
        data[key] = match (key.as_str(), value) {
            ("out-data" | "err-data", value) => json!(as_latin1(value)),
            (_, Json::Bool(is)) => json!(u8::from(*is)),
            (_, value) => value.clone(),
        };
    }
    for stream in ["out", "err"] {
        let truncated = format!("{stream}-truncated");
        if data.get(format!("{stream}-data")).is_some() && data.get(&truncated).is_none() {
            data[truncated] = json!(0);
        }
    }
    Ok(data.into())
}

async fn set_user_password(call: Call) -> Outcome {
    let channel = Channel::open(&call).await?;
    let request = json!({
        "username": call.params.text("username"), "crypted": call.params.is_set("crypted"),
        "password": STANDARD.encode(call.params.text("password")),
    });
    let answer = channel.need("set-user-password", request).await?;
    Ok(json!({"result": answer}).into())
}

async fn file_read(call: Call) -> Outcome {
    let params = &call.params;
    let channel = Channel::open(&call).await?;
    let handle = channel
        .need("file-open", json!({"path": params.text("file")}))
        .await?;
    if let Some(offset) = params.number_opt("offset") {
        channel
            .need(
                "file-seek",
                json!({"handle": handle, "offset": offset, "whence": "set"}),
            )
            .await?;
    }
    let mut left = params.number_opt("count").unwrap_or(16 << 20);
    let (mut content, mut read, mut ended) = (String::new(), 0, false);
    while left > 0 && !ended {
        let count = left.min(1 << 20);
        let part = channel
            .need("file-read", json!({"handle": handle, "count": count}))
            .await?;
        content.push_str(&if params.text_opt("decode") == Some("0") {
            part["buf-b64"].as_str().unwrap_or_default().to_owned()
        } else {
            as_latin1(&part["buf-b64"]).unwrap_or_default()
        });
        let got = part["count"].as_i64().unwrap_or_default();
        read += got;
        left -= got;
        ended = part["eof"] == true || got == 0;
    }
    channel
        .need("file-close", json!({"handle": handle}))
        .await?;
    let mut data = json!({"content": content});
    if call.world.settings.release >= Release::V9_2 {
        data["bytes-read"] = json!(read);
    }
    if !ended {
        data["truncated"] = json!(1);
    }
    Ok(data.into())
}

async fn file_write(call: Call) -> Outcome {
    let params = &call.params;
    let content = params.text("content");
    let encoded = if params.text_opt("encode") == Some("0") {
        content.to_owned()
    } else {
        let byte = |c: char| u8::try_from(u32::from(c));
        let bytes: Result<Vec<u8>, _> = content.chars().map(byte).collect();
        let bytes = bytes.map_err(|_| {
            Fail::died("Wide character in subroutine entry at /usr/share/perl5/PVE/API2/Qemu/Agent.pm line 493.")
        })?;
        STANDARD.encode(bytes)
    };
    let channel = Channel::open(&call).await?;
    let handle = channel
        .need(
            "file-open",
            json!({"path": params.text("file"), "mode": "wb"}),
        )
        .await?;
    channel
        .need("file-write", json!({"handle": handle, "buf-b64": encoded}))
        .await?;
    channel
        .need("file-close", json!({"handle": handle}))
        .await?;
    Ok(Reply::null())
}
