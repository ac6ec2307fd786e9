//! What senders need for things that several kinds of calls touch: guests, bridges, volumes.
//!
//! The keys of configurations are judged with the guests that have them.

use std::collections::BTreeSet;

use super::call::Call;
use super::reply::Fail;
use super::rules::formats::split_list;

impl Call {
    /// As `need`, on a guest that may still be in a pool only.
    pub(crate) fn need_on_vm(
        &self,
        vmid: u32,
        pool: Option<&str>,
        privilege: &str,
    ) -> Result<(), Fail> {
        self.need_any_on_vm(vmid, pool, &[privilege])
    }

    /// As [`Self::need_on_vm`], where one of the privileges is enough.
    pub(crate) fn need_any_on_vm(
        &self,
        vmid: u32,
        pool: Option<&str>,
        privileges: &[&str],
    ) -> Result<(), Fail> {
        let of_pool = pool.map(|pool| format!("/pool/{pool}"));
        if of_pool.is_some_and(|path| self.need_any(&path, privileges).is_ok()) {
            return Ok(());
        }
        self.need_any(&format!("/vms/{vmid}"), privileges)
    }

    /// Checks that what has its own access list at `path` may be changed as a member of something else.
    pub(crate) fn need_change(&self, path: &str) -> Result<(), Fail> {
        let own: &[&str] = match path.split('/').nth(1) {
            Some("storage") => &["Permissions.Modify", "Datastore.Allocate"],
            Some("vms") => &["Permissions.Modify", "VM.Allocate"],
            Some("pool") => &["Permissions.Modify", "Pool.Allocate"],
            _ => &["Permissions.Modify"],
        };
        self.need_any(path, own)
    }

    /// Checks the tags that a change adds or takes away.
    pub(crate) fn may_tag(
        &self,
        (vmid, pool): (u32, Option<&str>),
        old: Option<&String>,
        new: Option<&String>,
    ) -> Result<(), Fail> {
        let tags = |text: Option<&String>| -> BTreeSet<String> {
            let text = text.map_or("", String::as_str).to_lowercase();
            split_list(&text).into_iter().map(str::to_owned).collect()
        };
        if self.can("/", "Sys.Modify") {
            return Ok(());
        }
        let registered = tags(self.world.state().options.get("registered-tags"));
        for tag in tags(old).symmetric_difference(&tags(new)) {
            self.need_on_vm(vmid, pool, "VM.Config.Options")?;
            if registered.contains(tag) {
                let text = format!("/, Sys.Modify for modifying tag '{tag}'");
                return Err(Fail::Denied(text));
            }
        }
        Ok(())
    }

    /// Checks that a bridge may be used, or else each VLAN of it that is named. `trunks` are ids and ranges.
    pub(crate) fn may_use_bridge(
        &self,
        bridge: &str,
        tag: Option<&String>,
        trunks: Option<&String>,
    ) -> Result<(), Fail> {
        let path = format!("/sdn/zones/localnetwork/{bridge}");
        let ranges = trunks.into_iter().flat_map(|trunks| trunks.split(';'));
        let all = ranges.flat_map(|range| {
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            from.parse().unwrap_or(0)..=to.parse::<u32>().unwrap_or(0)
        });
        let tags = tag.cloned().into_iter().chain(all.map(|id| id.to_string()));
        let mut paths: Vec<String> = tags.map(|tag| format!("{path}/{tag}")).collect();
        if paths.is_empty() {
            paths.push(path);
        }
        let mut paths = paths.iter();
        paths.try_for_each(|path| self.need(path, &["SDN.Use"]))
    }

    /// Checks that a volume may be used, in guest `vmid` if one is named; `wanted` is the type that it must have.
    pub(crate) fn may_use_volume(
        &self,
        vmid: Option<u32>,
        id: &str,
        wanted: Option<&str>,
    ) -> Result<(), Fail> {
        let split = id.split_once(':').filter(|_| !id.starts_with('/'));
        let Some((storage, name)) = split else {
            if self.who.is_root() {
                return Ok(());
            }
            return Err(Fail::died(
                "Only root can pass arbitrary filesystem paths. at \
                 /usr/share/perl5/PVE/Storage.pm line 651.",
            ));
        };
        let (kind, owner) = {
            let state = self.world.state();
            let storage = state.storage(storage)?;
            storage.parse_name(name).map_err(Fail::died)?
        };
        // Storages do not tell the images of VMs from those of containers.
        let fits = |wanted: &str| kind == wanted || (kind == "images" && wanted == "rootdir");
        if let Some(wanted) = wanted.filter(|wanted| !fits(wanted)) {
            return Err(Fail::died(format!(
                "unable to use volume {id} - content type needs to be '{wanted}'"
            )));
        }
        let path = format!("/storage/{storage}");
        if self.can(&path, "Datastore.Allocate") {
            return Ok(());
        }
        match (kind, owner) {
            ("iso" | "vztmpl" | "import", _) => {
                self.need_any(&path, &["Datastore.AllocateSpace", "Datastore.Audit"])
            }
            (_, Some(owner)) if vmid == Some(owner) => Ok(()),
            ("backup", Some(owner)) => {
                self.need(&path, &["Datastore.AllocateSpace"])?;
                self.need(&format!("/vms/{owner}"), &["VM.Backup"])
            }
            ("images", Some(owner)) => {
                self.need(&path, &["Datastore.Audit"])?;
                self.need(&format!("/vms/{owner}"), &["VM.Config.Disk"])
            }
            _ => Err(Fail::died(format!("missing privileges to access {id}"))),
        }
    }
}
