//! What a sender needs to set the keys of a VM configuration, and to use storages and bridges in it.
//!
//! `root@pam` itself passes the key checks; a token of root does not.

use super::Config;
use super::drives::{self, Source};
use crate::simulator::call::Call;
use crate::simulator::mapping;
use crate::simulator::reply::Fail;
use crate::simulator::rules::property;
use crate::simulator::rules::set;

const CPU: &[&str] = &[
    "cores", "cpu", "cpulimit", "cpuunits", "numa", "smp", "sockets", "vcpus",
];
const MEMORY: &[&str] = &["allow-ksm", "balloon", "memory", "shares"];
const HARDWARE: &[&str] = &[
    "acpi", "audio0", "hotplug", "kvm", "machine", "rng0", "scsihw", "smbios1", "tablet", "vga",
    "watchdog",
];
const GENERAL: &[&str] = &[
    "agent",
    "autostart",
    "bios",
    "description",
    "keyboard",
    "localtime",
    "migrate_downtime",
    "migrate_speed",
    "name",
    "onboot",
    "ostype",
    "protection",
    "reboot",
    "startdate",
    "startup",
    "tdf",
    "template",
];
const DISK: &[&str] = &["boot", "bootdisk", "vmstatestorage"];
pub(crate) const CLOUD_INIT: &[&str] = &[
    "cicustom",
    "cipassword",
    "citype",
    "ciupgrade",
    "ciuser",
    "nameserver",
    "searchdomain",
    "sshkeys",
];

fn stem(key: &str) -> &str {
    key.trim_end_matches(|c: char| c.is_ascii_digit())
}

/// Whether a key belongs to cloud-init.
pub(crate) fn is_cloud_init(key: &str) -> bool {
    CLOUD_INIT.contains(&key) || stem(key) == "ipconfig"
}

impl Call {
    /// Checks the keys whose values do not matter.
    pub(crate) fn may_set_keys<'a>(
        &self,
        vmid: u32,
        pool: Option<&str>,
        keys: impl Iterator<Item = &'a str>,
    ) -> Result<(), Fail> {
        if self.who.is_root() {
            return Ok(());
        }
        for key in keys {
            let by_value = matches!(stem(key), "unused" | "serial" | "usb" | "hostpci");
            if drives::is_drive(key) || key == "cdrom" || key == "tags" || by_value {
                continue;
            }
            let privilege = match key {
                _ if CPU.contains(&key) || stem(key) == "numa" => "VM.Config.CPU",
                _ if MEMORY.contains(&key) => "VM.Config.Memory",
                _ if HARDWARE.contains(&key) => "VM.Config.HWType",
                _ if GENERAL.contains(&key) => "VM.Config.Options",
                "freeze" => "VM.PowerMgmt",
                _ if DISK.contains(&key) || stem(key) == "virtiofs" => "VM.Config.Disk",
                _ if stem(key) == "net" => "VM.Config.Network",
                _ if is_cloud_init(key) => {
                    let either = ["VM.Config.Cloudinit", "VM.Config.Network"];
                    self.need_any_on_vm(vmid, pool, &either)?;
                    continue;
                }
                _ => return Err(Fail::died(format!("only root can set '{key}' config"))),
            };
            self.need_on_vm(vmid, pool, privilege)?;
            if key == "startup" {
                self.need("/", &["Sys.Modify"])?;
            }
        }
        Ok(())
    }

    /// Checks devices and directories of the node: what has no mapping is for root alone.
    pub(crate) fn may_set_devices(
        &self,
        vmid: u32,
        pool: Option<&str>,
        values: &Config,
        verb: &str,
    ) -> Result<(), Fail> {
        if self.who.is_root() {
            return Ok(());
        }
        for (key, value) in values {
            let real = |verb: &str, what: &str| {
                Fail::died(format!("only root can {verb} '{key}' config for {what}"))
            };
            let kind = stem(key);
            if kind == "serial" && value != "socket" {
                return Err(real(verb, "real devices"));
            }
            if matches!(kind, "serial" | "usb" | "hostpci") {
                self.need_on_vm(vmid, pool, "VM.Config.HWType")?;
            }
            let rules = match kind {
                "usb" | "hostpci" => set(kind),
                "virtiofs" => {
                    self.may_use_mapping(key, value)?;
                    continue;
                }
                _ => continue,
            };
            let device = property::parse(rules, value).unwrap_or_default();
            if device.contains_key("romfile") {
                let text = "only root@pam can set 'romfile' option";
                return Err(Fail::param(key, text));
            }
            match device.get("host") {
                Some(host) if kind == "usb" && host.eq_ignore_ascii_case("spice") => {}
                Some(_) if kind == "usb" => return Err(real("set", "real devices")),
                Some(_) => return Err(real("set", "non-mapped devices")),
                None if device.contains_key("mapping") => self.may_use_mapping(key, value)?,
                None => return Err(Fail::died("either 'host' or 'mapping' must be set.")),
            }
        }
        Ok(())
    }

    fn may_use_mapping(&self, key: &str, value: &str) -> Result<(), Fail> {
        match mapping::used(key, value) {
            Some((kind, id)) => self.need(&mapping::path(kind, &id), &["Mapping.Use"]),
            None => Ok(()),
        }
    }

    /// Checks that a VM with the mappings of another may be made.
    pub(crate) fn may_use_mappings(&self, config: &Config) -> Result<(), Fail> {
        let mut values = config.iter();
        values.try_for_each(|(key, value)| self.may_use_mapping(key, value))
    }

    /// Checks that bridges may be used.
    pub(crate) fn may_use_bridges(&self, values: &Config) -> Result<(), Fail> {
        for (_, value) in values.iter().filter(|(key, _)| stem(key) == "net") {
            let Ok(net) = property::parse(set("net"), value) else {
                continue;
            };
            if let Some(bridge) = net.get("bridge") {
                self.may_use_bridge(bridge, net.get("tag"), net.get("trunks"))?;
            }
        }
        Ok(())
    }

    /// Checks what the drives take: storages for new volumes, and volumes that are there.
    pub(crate) fn may_use_storages(
        &self,
        vmid: u32,
        values: &Config,
        default_storage: Option<&str>,
    ) -> Result<(), Fail> {
        for (key, text) in values.iter().filter(|(key, _)| drives::is_drive(key)) {
            let drive = drives::parse(key, text);
            if drive.contains_key("import-from") {
                let size = drive
                    .get("file")
                    .and_then(|file| file.split_once(':'))
                    .map(|(_, size)| size);
                if size != Some("0") {
                    let text = "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>";
                    return Err(Fail::param(key, text));
                }
            }
            match drives::source(&drive, default_storage) {
                Source::Nothing if drive.get("file").is_some_and(|file| file == "cdrom") => {
                    self.need("/", &["Sys.Console"])?;
                }
                Source::Nothing => {}
                Source::New { storage, .. } | Source::CloudInit { storage } => {
                    self.may_allocate(&storage)?;
                }
                Source::Import { storage, from } => {
                    self.may_allocate(&storage)?;
                    self.may_import(vmid, key, &from)?;
                }
                Source::Volume(id) if drives::is_cdrom(&drive) => {
                    self.may_use_volume(Some(vmid), &id, None)?;
                }
                Source::Volume(id) => {
                    self.may_use_volume(Some(vmid), &id, None)?;
                    if id
                        .split_once(':')
                        .is_some_and(|(_, name)| name.starts_with("iso/"))
                    {
                        return Err(Fail::param(
                            key,
                            "explicit 'media=cdrom' is required for iso images",
                        ));
                    }
                }
                Source::Path => self.may_use_volume(Some(vmid), "/", None)?,
            }
        }
        match values.get("vmstatestorage") {
            Some(storage) => {
                self.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])
            }
            None => Ok(()),
        }
    }

    /// Checks that disk images may be made on a storage.
    pub(crate) fn may_allocate(&self, storage: &str) -> Result<(), Fail> {
        self.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
        let state = self.world.state();
        if !state.storage(storage)?.has("images") {
            let text = format!("storage '{storage}' does not support vm images");
            return Err(Fail::param("storage", text));
        }
        Ok(())
    }

    /// Checks that drives with these values may be set or deleted: it depends on what they are.
    pub(crate) fn may_touch_drives<'a>(
        &self,
        vmid: u32,
        keys: impl IntoIterator<Item = &'a String>,
        values: &Config,
    ) -> Result<(), Fail> {
        let path = format!("/vms/{vmid}");
        for key in keys {
            if key.starts_with("unused") {
                self.need(&path, &["VM.Config.Disk"])?;
            }
            let Some(text) = values.get(key).filter(|_| drives::is_drive(key)) else {
                continue;
            };
            let drive = drives::parse(key, text);
            let needed: &[&str] = match () {
                () if drives::is_cloudinit(&drive) => &["VM.Config.Cloudinit", "VM.Config.CDROM"],
                () if drives::is_cdrom(&drive) => &["VM.Config.CDROM"],
                () => &["VM.Config.Disk"],
            };
            self.need(&path, needed)?;
        }
        Ok(())
    }

    /// Checks that a volume may be imported, a disk of a VM by cloning that.
    fn may_import(&self, vmid: u32, key: &str, id: &str) -> Result<(), Fail> {
        let owner = match id.split_once(':').filter(|_| !id.starts_with('/')) {
            Some((storage, name)) => {
                let state = self.world.state();
                let storage = state.storage(storage)?;
                let (kind, owner) = storage.parse_name(name).map_err(Fail::died)?;
                if !matches!(kind, "images" | "import") {
                    let text =
                        format!("{id} has wrong type '{kind}' - needs to be 'images' or 'import'");
                    return Err(Fail::param(key, text));
                }
                owner
            }
            None => None,
        };
        match owner {
            Some(owner) => self.need(&format!("/vms/{owner}"), &["VM.Clone"]),
            None => self.may_use_volume(Some(vmid), id, None),
        }
    }
}
