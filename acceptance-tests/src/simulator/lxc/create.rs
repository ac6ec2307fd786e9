//! Creating a container from a template.
//!
//! Restoring one from a backup is checked and then refused, for there are no contents of backups here.

use std::time::Duration;

use super::allow::Change;
use super::volumes::{self, DEFAULT_ROOT, Source, is_mount, is_numbered};
use super::{Ct, Origin, start, texts};
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::params::Value;
use crate::simulator::qemu::{Config, texts::check_ssh_keys};
use crate::simulator::random::random_hex;
use crate::simulator::release::Release;
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::rules::{property, set};
use crate::simulator::tasks::{Task, Worker};

pub(crate) const ROUTES: &[Route] = &[Route {
    call: "POST /nodes/{node}/lxc",
    allow: Allow::Anyone,
    rules: "+ct
        +lxc-config
        bwlimit? number min=0
        force? boolean
        ha-managed? boolean since=9.1
        ignore-unpack-errors? boolean
        ostemplate string len=..255
        password? string len=5..
        pool? string pve-poolid
        restore? boolean
        ssh-public-keys? string
        start? boolean
        storage? string pve-storage-id
        unique? boolean requires=restore",
    handler: now!(create),
}];

/// The configuration keys among the parameters.
pub(crate) fn values(call: &Call) -> Config {
    let known = call.params.0.iter();
    let known = known.filter(|(name, _)| set("lxc-config").rule(name).is_some());
    known
        .filter_map(|(name, value)| match value {
            Value::Text(text) => Some((name.clone(), text.clone())),
            _ => None,
        })
        .collect()
}

/// What a create has found out before its task begins.
struct Job {
    node: String,
    vmid: u32,
    template: String,
    /// The configuration without mount points.
    config: Config,
    mounts: Config,
    ssh_keys: Option<String>,
}

fn create(call: &Call) -> Outcome {
    let params = &call.params;
    let (node, vmid) = (call.node().to_owned(), params.vmid());
    let restore = params.is_set("restore");
    let mut values = values(call);
    let unprivileged = match values.remove("unprivileged") {
        Some(is) => is == "1",
        None => call.world.settings.release >= Release::V9_0,
    };
    call.world.state().check_unused(vmid)?;
    let ssh_keys = params.text_opt("ssh-public-keys").map(str::to_owned);
    if let Some(keys) = &ssh_keys {
        check_ssh_keys(&keys.replace('%', "%25"))?;
    }
    let pool = params.text_opt("pool");
    if let Some(pool) = pool.filter(|pool| !call.world.state().pools.contains_key(*pool)) {
        return Err(Fail::Denied(format!("pool '{pool}' does not exist")));
    }
    call.need_on_vm(vmid, pool, "VM.Allocate")
        .map_err(|_| Fail::denied())?;
    if !unprivileged && !restore {
        call.need("/", &["Sys.Modify"])?;
    }
    if params.is_set("start") {
        call.need_on_vm(vmid, pool, "VM.PowerMgmt")?;
    }
    if params.is_set("ha-managed") {
        call.need("/", &["Sys.Console"])?;
    }
    let storage = params.text_opt("storage").unwrap_or("local");
    // A plain number means the default storage.
    for (_, text) in values.iter_mut().filter(|(key, _)| is_mount(key)) {
        if text.parse::<f64>().is_ok() {
            *text = format!("{storage}:{text}");
        }
    }
    call.may_change_ct(&Change {
        vmid,
        pool,
        old: None,
        values: &values,
        delete: &[],
        unprivileged,
    })?;
    let template = params.text("ostemplate").to_owned();
    let wanted = if restore { "backup" } else { "vztmpl" };
    call.may_use_volume(Some(vmid), &template, Some(wanted))?;
    if restore {
        return Err(Fail::died(format!(
            "unable to restore CT {vmid} - volume '{template}' does not exist"
        )));
    }
    let mut config = values;
    config.retain(|key, _| !is_numbered(key, "unused"));
    let mut mounts = config.clone();
    mounts.retain(|key, _| is_mount(key));
    config.retain(|key, _| !is_mount(key));
    if !mounts.contains_key("rootfs") {
        if !mounts.is_empty() {
            return Err(Fail::died(
                "mount points configured, but 'rootfs' not set - aborting",
            ));
        }
        mounts.insert("rootfs".to_owned(), format!("{storage}:{DEFAULT_ROOT}"));
    }
    check_mounts(call, &mounts)?;
    texts::settle(&mut config);
    if unprivileged {
        config.insert("unprivileged".to_owned(), "1".to_owned());
    }
    if config.get("description").is_some_and(String::is_empty) {
        config.remove("description");
    }
    reserve(call, vmid, &node, pool)?;
    let starter = params.is_set("start").then(|| call.who.id.clone());
    let job = Job {
        node,
        vmid,
        template,
        config,
        mounts,
        ssh_keys,
    };
    Ok(
        call.start_task("vzcreate", &vmid.to_string(), |worker| async move {
            if let Err(why) = job.run(&worker).await {
                job.undo(&worker);
                return Err(format!("unable to create CT {vmid} - {why}"));
            }
            if let Some(user) = starter {
                let of = (job.node.as_str(), "vzstart", vmid.to_string());
                let place = (of.0, of.1, of.2.as_str(), user.as_str());
                let node = job.node.clone();
                Task::spawn(&worker.world, place, None, |worker| {
                    start::run(worker, node, vmid, false)
                });
            }
            Ok(())
        }),
    )
}

/// The storages of the mount points: known, switched on, for containers, and with space for the sender.
fn check_mounts(call: &Call, mounts: &Config) -> Result<(), Fail> {
    let mut storages = Vec::new();
    for (_, mount) in volumes::in_order(mounts) {
        match volumes::source(&mount) {
            Source::Bind(_) | Source::Device(_) if call.who.is_root() => {}
            Source::Bind(_) | Source::Device(_) => {
                return Err(Fail::died("Only root can pass arbitrary filesystem paths."));
            }
            source => storages.extend(source.storage().map(str::to_owned)),
        }
    }
    for storage in storages {
        {
            let state = call.world.state();
            let known = state.storage(&storage)?;
            if known.disabled {
                return Err(Fail::died(format!("storage '{storage}' is disabled")));
            }
            if !known.has("rootdir") {
                let text = format!("storage '{storage}' does not support container directories");
                return Err(Fail::param("storage", text));
            }
        }
        call.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    }
    Ok(())
}

/// Takes the id, as the file that is written before the task begins does.
fn reserve(call: &Call, vmid: u32, node: &str, pool: Option<&str>) -> Result<(), Fail> {
    let mut state = call.world.state();
    state.check_unused(vmid)?;
    let config = Config::from([("lock".to_owned(), "create".to_owned())]);
    state.cts.insert(vmid, Ct::new(vmid, node, config));
    if let Some(pool) = pool.and_then(|pool| state.pools.get_mut(pool)) {
        pool.guests.push(vmid);
    }
    Ok(())
}

impl Job {
    async fn run(&self, worker: &Worker) -> Result<(), String> {
        let mut config = self.config.clone();
        self.make_volumes(worker, &mut config)?;
        worker.takes(Duration::from_secs(3)).await?;
        let bind = volumes::in_order(&config)
            .into_iter()
            .find_map(|(_, mount)| match volumes::source(&mount) {
                Source::Bind(path) => Some(path),
                _ => None,
            });
        if let Some(path) = bind {
            // Nodes have no directories of their own here.
            worker.log("mounting container failed");
            return Err(format!("directory '{path}' does not exist"));
        }
        let file = {
            let state = worker.world.state();
            if state.volume(&self.node, &self.template).is_none() {
                let text = format!("volume '{}' does not exist", self.template);
                drop(state);
                worker.log(&text);
                return Err(text);
            }
            let (storage, name) = self.template.split_once(':').unwrap_or_default();
            let storage = state.storage(storage).map_err(|fail| fail.text())?;
            storage.file(name)
        };
        let kind = Template::of(&self.template);
        worker.log(format!("extracting archive '{file}'"));
        worker.log("Total bytes read: 102297600 (98MiB, 270MiB/s)");
        worker.log("Detected container architecture: amd64");
        let host = config.get("hostname").map_or("localhost", String::as_str);
        for key in ["ecdsa", "ed25519", "rsa"]
            .iter()
            .filter(|_| kind.is_debian())
        {
            worker.log(format!(
                "Creating SSH host key 'ssh_host_{key}_key' - this may take some time ..."
            ));
            worker.log(format!("done: SHA256:{} root@{host}", random_hex(21)));
        }
        let nesting = property::parse(
            set("lxc-features"),
            config.get("features").map_or("", String::as_str),
        );
        let nesting = nesting.is_ok_and(|found| found.get("nesting").is_some_and(|is| is == "1"));
        if let Some(version) = kind.systemd.filter(|version| *version >= 257 && !nesting) {
            worker.warn(&format!(
                "Systemd {version} detected. You may need to enable nesting."
            ));
        }
        let defaults = [
            ("arch", "amd64".to_owned()),
            ("hostname", format!("CT{}", self.vmid)),
            ("memory", "512".to_owned()),
            ("ostype", kind.ostype.to_owned()),
            ("swap", "512".to_owned()),
        ];
        for (key, value) in defaults {
            config.entry(key.to_owned()).or_insert(value);
        }
        let mut state = worker.world.state();
        let ct = state
            .ct_mut(&self.node, self.vmid)
            .map_err(|fail| fail.text())?;
        ct.config = config;
        ct.origin = Origin {
            template: Some(self.template.clone()),
            ssh_keys: self.ssh_keys.clone(),
        };
        Ok(())
    }

    /// Makes the volumes; the root first.
    fn make_volumes(&self, worker: &Worker, config: &mut Config) -> Result<(), String> {
        for (key, mut mount) in volumes::in_order(&self.mounts) {
            let mut log = Vec::new();
            let mut state = worker.world.state();
            let made = state.make_mount(&self.node, self.vmid, &mut mount, &mut log);
            drop(state);
            worker.log_all(log);
            made?;
            config.insert(key.clone(), volumes::print(&key, &mount));
        }
        Ok(())
    }

    /// Frees what a failed create has made.
    fn undo(&self, worker: &Worker) {
        let mut state = worker.world.state();
        state.cts.remove(&self.vmid);
        let own = |volume: &crate::simulator::storage::Volume| volume.owner == Some(self.vmid);
        state.volumes.retain(|_, volume| !own(volume));
        for pool in state.pools.values_mut() {
            pool.guests.retain(|guest| *guest != self.vmid);
        }
    }
}

/// What the name of a template tells of its contents.
struct Template {
    ostype: &'static str,
    systemd: Option<u32>,
}

impl Template {
    fn of(volume: &str) -> Self {
        let file = volume.rsplit('/').next().unwrap_or_default();
        let known = [
            ("alpine", "alpine", None),
            ("archlinux", "archlinux", Some(257)),
            ("almalinux", "centos", Some(252)),
            ("centos", "centos", Some(252)),
            ("debian-11", "debian", Some(247)),
            ("debian-12", "debian", Some(252)),
            ("debian-13", "debian", Some(257)),
            ("debian", "debian", Some(257)),
            ("devuan", "devuan", None),
            ("fedora", "fedora", Some(257)),
            ("gentoo", "gentoo", None),
            ("nixos", "nixos", Some(257)),
            ("opensuse", "opensuse", Some(254)),
            ("rockylinux", "centos", Some(252)),
            ("ubuntu-22.04", "ubuntu", Some(249)),
            ("ubuntu-24.04", "ubuntu", Some(255)),
            ("ubuntu", "ubuntu", Some(257)),
        ];
        let found = known
            .into_iter()
            .find(|(start, ..)| file.starts_with(start));
        let (_, ostype, systemd) = found.unwrap_or(("", "unmanaged", None));
        Self { ostype, systemd }
    }

    /// Whether its host keys are made anew.
    fn is_debian(&self) -> bool {
        matches!(self.ostype, "debian" | "devuan" | "ubuntu")
    }
}
