//! The guests of the recordings: a small system with an agent that ignores the power button, on every VM
//! that has a disk. The others have nothing to boot. Containers come up as they are configured, and end when
//! they are asked to.
//!
//! Commands of the agent really run, in the private root of a scripted guest.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::guests::scripted::{Output, ScriptedHypervisor};
use crate::simulator::MemoryHypervisor;
use crate::simulator::container::{ContainerSpec, Started};
use crate::simulator::machine::{AgentError, BoxFuture, Disk, Exit, Hypervisor, Machine, Spec};

/// Powers the guests on.
pub(super) struct Recorded {
    scripted: Arc<ScriptedHypervisor>,
    empty: MemoryHypervisor,
}

impl Recorded {
    pub(super) fn new() -> Result<Self, String> {
        let shim = ScriptedHypervisor::find_shim()?;
        Ok(Self {
            scripted: Arc::new(ScriptedHypervisor::new(&shim)?),
            empty: MemoryHypervisor::default(),
        })
    }
}

impl Hypervisor for Recorded {
    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Arc<dyn Machine>, String>> {
        Box::pin(async move {
            let boots = !spec.disks.is_empty();
            let inner = if boots {
                self.scripted.start(spec.clone()).await?
            } else {
                self.empty.start(spec.clone()).await?
            };
            let system = boots.then(|| System {
                host_name: spec.name.clone(),
                scripted: Arc::clone(&self.scripted),
                spec,
                next_pid: AtomicI64::new(158),
                commands: Arc::default(),
                files: Mutex::default(),
            });
            Ok(Arc::new(Guest { inner, system }) as Arc<dyn Machine>)
        })
    }

    fn start_container(&self, spec: ContainerSpec) -> Started<'_> {
        self.empty.start_container(spec)
    }

    fn discard(&self, vmid: u32) -> BoxFuture<'_, ()> {
        self.scripted.discard(vmid)
    }
}

struct Guest {
    inner: Arc<dyn Machine>,
    system: Option<System>,
}

impl Machine for Guest {
    fn agent(&self, request: Json) -> BoxFuture<'_, Result<Json, AgentError>> {
        Box::pin(async move {
            let system = self.system.as_ref().ok_or(AgentError::Silent)?;
            if request["execute"] == "guest-shutdown" {
                self.inner.kill().await;
                return Err(AgentError::Silent);
            }
            system.answer(&request)
        })
    }

    fn kill(&self) -> BoxFuture<'_, ()> {
        self.inner.kill()
    }

    fn powerdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn ended(&self) -> BoxFuture<'_, Exit> {
        self.inner.ended()
    }

    fn resized(&self, slot: &str, bytes: u64) -> BoxFuture<'_, ()> {
        self.inner.resized(slot, bytes)
    }

    fn attached(&self, disk: Disk) -> BoxFuture<'_, ()> {
        self.inner.attached(disk)
    }
}

/// How long every command takes at least: the recorded guests were slow, so that one who asked at once
/// saw the command run.
const SLOWNESS: Duration = Duration::from_millis(300);

/// How a command went; `None` while it runs.
type Commands = Arc<Mutex<BTreeMap<i64, Option<Output>>>>;

struct System {
    host_name: String,
    spec: Spec,
    scripted: Arc<ScriptedHypervisor>,
    next_pid: AtomicI64,
    commands: Commands,
    files: Mutex<BTreeMap<String, String>>,
}

fn refused(desc: impl Into<String>) -> AgentError {
    AgentError::Refused {
        class: "GenericError".to_owned(),
        desc: desc.into(),
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl System {
    fn answer(&self, request: &Json) -> Result<Json, AgentError> {
        let arguments = &request["arguments"];
        let text = |key: &str| arguments[key].as_str().unwrap_or_default();
        match request["execute"].as_str().unwrap_or_default() {
            "guest-ping" | "guest-file-close" => Ok(json!({})),
            "guest-get-host-name" => Ok(json!({"host-name": self.host_name})),
            "guest-get-time" => Ok(json!(
                time::OffsetDateTime::now_utc().unix_timestamp_nanos()
            )),
            "guest-get-timezone" => Ok(json!({"zone": "UTC", "offset": 0})),
            "guest-get-users" | "guest-get-fsinfo" => Ok(json!([])),
            "guest-fstrim" => Ok(json!({"paths": []})),
            "guest-fsfreeze-status" => Ok(json!("thawed")),
            "guest-get-vcpus" => {
                let one = |i| json!({"logical-id": i, "online": true, "can-offline": i > 0});
                Ok((0..self.spec.cores).map(one).collect())
            }
            "guest-get-memory-block-info" => Ok(json!({"size": 128 << 20})),
            "guest-get-memory-blocks" => {
                let one = |i| json!({"phys-index": i, "online": true, "can-offline": true});
                Ok((0..self.spec.memory_mib.div_ceil(128)).map(one).collect())
            }
            "guest-network-get-interfaces" => Ok(self.interfaces()),
            "guest-set-user-password" => Err(refused(
                "child process has failed to set user password: failed to exec 'chpasswd': No such file \
                 or directory",
            )),
            "guest-exec" => Ok(self.exec(arguments)),
            "guest-exec-status" => self.status(arguments["pid"].as_i64().unwrap_or_default()),
            "guest-file-open" => self.open(text("path"), arguments["mode"].as_str().unwrap_or("r")),
            "guest-file-write" => {
                let mut files = self.files.lock().expect("no holder panics");
                files.insert(text("handle").to_owned(), text("buf-b64").to_owned());
                Ok(json!({}))
            }
            "guest-file-read" => {
                let files = self.files.lock().expect("no holder panics");
                let data = files.get(text("handle")).cloned().unwrap_or_default();
                let count = STANDARD.decode(&data).map_or(0, |bytes| bytes.len());
                Ok(json!({"count": count, "buf-b64": data, "eof": true}))
            }
            other => Err(AgentError::Refused {
                class: "CommandNotFound".to_owned(),
                desc: format!("The command {other} has not been found"),
            }),
        }
    }

    /// Loopback, and the cards with an address each and the one that follows from the MAC address.
    fn interfaces(&self) -> Json {
        let statistics = json!({
            "rx-bytes": 0, "rx-packets": 0, "rx-errs": 0, "rx-dropped": 0,
            "tx-bytes": 0, "tx-packets": 0, "tx-errs": 0, "tx-dropped": 0,
        });
        let entry =
            |name: &str, mac: &str, (v4, v4_bits): (&str, u8), (v6, v6_bits): (&str, u8)| {
                json!({
                    "name": name, "hardware-address": mac, "statistics": statistics,
                    "ip-addresses": [
                        {"ip-address": v4, "ip-address-type": "ipv4", "prefix": v4_bits},
                        {"ip-address": v6, "ip-address-type": "ipv6", "prefix": v6_bits},
                    ],
                })
            };
        let mut all = vec![entry(
            "lo",
            "00:00:00:00:00:00",
            ("127.0.0.1", 8),
            ("::1", 128),
        )];
        for (i, card) in self.spec.nics.iter().enumerate() {
            let mac = card.mac.to_lowercase();
            let part = |i: usize| {
                u16::from_str_radix(mac.split(':').nth(i).unwrap_or("0"), 16).unwrap_or(0)
            };
            let pair = |high: u16, low: u16| (high << 8) | low;
            let link_local = std::net::Ipv6Addr::from([
                0xfe80,
                0,
                0,
                0,
                pair(part(0) ^ 2, part(1)),
                pair(part(2), 0xff),
                pair(0xfe, part(3)),
                pair(part(4), part(5)),
            ]);
            let address = format!("192.0.2.{}", 50 + i);
            all.push(entry(
                &format!("eth{i}"),
                &mac,
                (&address, 24),
                (&link_local.to_string(), 64),
            ));
        }
        Json::Array(all)
    }

    fn exec(&self, arguments: &Json) -> Json {
        let words = arguments["arg"].as_array().into_iter().flatten();
        let words = std::iter::once(&arguments["path"]).chain(words);
        let words: Vec<String> = words.filter_map(Json::as_str).map(quoted).collect();
        let mut line = format!("exec {}", words.join(" "));
        if let Some(input) = arguments["input-data"].as_str() {
            line = format!("printf %s {} | base64 -d | {}", quoted(input), &line[5..]);
        }
        let pid = self.next_pid.fetch_add(2, Ordering::Relaxed);
        self.commands
            .lock()
            .expect("no holder panics")
            .insert(pid, None);
        let (scripted, commands, vmid) = (
            Arc::clone(&self.scripted),
            Arc::clone(&self.commands),
            self.spec.vmid,
        );
        tokio::spawn(async move {
            let slowly = tokio::time::sleep(SLOWNESS);
            let (output, ()) = tokio::join!(scripted.sh(vmid, &line), slowly);
            let output = output.unwrap_or(Output {
                code: 137,
                stdout: String::new(),
                stderr: String::new(),
            });
            commands
                .lock()
                .expect("no holder panics")
                .insert(pid, Some(output));
        });
        json!({"pid": pid})
    }

    /// Tells the end of a command once.
    fn status(&self, pid: i64) -> Result<Json, AgentError> {
        let mut commands = self.commands.lock().expect("no holder panics");
        // This is how the agent words it.
        let unknown = || refused("PID ld does not exist");
        let Some(output) = commands.get(&pid).ok_or_else(unknown)?.clone() else {
            return Ok(json!({"exited": false}));
        };
        commands.remove(&pid);
        let mut status = json!({"exited": true});
        match output.code {
            code @ 129.. => status["signal"] = json!(code - 128),
            code => status["exitcode"] = json!(code),
        }
        for (name, text) in [("out-data", output.stdout), ("err-data", output.stderr)] {
            if !text.is_empty() {
                status[name] = json!(STANDARD.encode(text));
            }
        }
        Ok(status)
    }

    /// The handle of a file, which is its path.
    fn open(&self, path: &str, mode: &str) -> Result<Json, AgentError> {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let there = if mode == "r" {
            self.files
                .lock()
                .expect("no holder panics")
                .contains_key(path)
        } else {
            ["", "/tmp", "/root", "/etc"].contains(&folder)
        };
        if there {
            return Ok(json!(path));
        }
        Err(refused(format!(
            "failed to open file '{path}' (mode: '{mode}'): No such file or directory"
        )))
    }
}
