//! Reads about one container: configuration and interfaces.
//!
//! Values stay as PVE stores them; what they mean to a resource is the resource's affair.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{Call, Interface, Params, Pve, Result, keys::Keys, lenient};

/// A container's configuration. `None`: not set, so PVE's default holds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Json>")]
#[expect(
    missing_docs,
    reason = "the fields are PVE's, documented in pct.conf(5)"
)]
pub struct LxcConfig {
    pub hostname: Option<String>,
    pub cores: Option<u32>,
    pub cpulimit: Option<f64>,
    pub cpuunits: Option<u32>,
    /// MiB.
    pub memory: Option<u64>,
    /// MiB.
    pub swap: Option<u64>,
    pub ostype: Option<String>,
    pub unprivileged: bool,
    /// `nesting=1,keyctl=1`.
    pub features: Option<String>,
    /// What the console shows: `tty`, `console` or `shell`.
    pub cmode: Option<String>,
    /// Separated by blanks.
    pub nameserver: Option<String>,
    pub searchdomain: Option<String>,
    pub startup: Option<String>,
    pub onboot: Option<bool>,
    pub protection: Option<bool>,
    pub template: bool,
    /// In PVE's order.
    pub tags: Vec<String>,
    pub description: Option<String>,
    /// The operation that keeps others out.
    pub lock: Option<String>,
    /// Changes with everything that is in the file, pending changes too.
    pub digest: Option<String>,
    pub rootfs: Option<String>,
    /// `mp0`, ...
    pub mount_points: BTreeMap<String, String>,
    /// `net0`, ...
    pub nets: BTreeMap<String, String>,
    /// `dev0`, ...
    pub devices: BTreeMap<String, String>,
    /// `unused0`, ...: volumes that belong to the container and are not mounted.
    pub unused: BTreeMap<String, String>,
    /// All other keys.
    pub rest: BTreeMap<String, String>,
}

impl TryFrom<BTreeMap<String, Json>> for LxcConfig {
    type Error = String;

    fn try_from(members: BTreeMap<String, Json>) -> Result<Self, String> {
        let mut all = Keys::new(members);
        Ok(Self {
            mount_points: all.slots(&["mp"]),
            nets: all.slots(&["net"]),
            devices: all.slots(&["dev"]),
            unused: all.slots(&["unused"]),
            tags: all.tags(),
            hostname: all.take("hostname"),
            cores: all.number("cores")?,
            cpulimit: all.number("cpulimit")?,
            cpuunits: all.number("cpuunits")?,
            memory: all.number("memory")?,
            swap: all.number("swap")?,
            ostype: all.take("ostype"),
            unprivileged: all.flag("unprivileged").unwrap_or_default(),
            features: all.take("features"),
            cmode: all.take("cmode"),
            nameserver: all.take("nameserver"),
            searchdomain: all.take("searchdomain"),
            startup: all.take("startup"),
            onboot: all.flag("onboot"),
            protection: all.flag("protection"),
            template: all.flag("template").unwrap_or_default(),
            description: all.take("description"),
            lock: all.take("lock"),
            digest: all.take("digest"),
            rootfs: all.take("rootfs"),
            rest: all.rest(),
        })
    }
}

impl Pve {
    /// The configuration as after a restart. `None`: not on this node, which does not mean that it is nowhere.
    pub async fn lxc_config_opt(&self, node: &str, vmid: u32) -> Result<Option<LxcConfig>> {
        self.get_opt(&ct(node, vmid, Params::new())).await
    }

    /// The configuration that the running container has.
    pub async fn lxc_config_now(&self, node: &str, vmid: u32) -> Result<LxcConfig> {
        let current = Params::new().flag("current", Some(true));
        self.get(&ct(node, vmid, current)).await
    }
}

impl Pve {
    /// Turns a stopped container into a template, and gives the warnings of that.
    pub async fn lxc_template(&self, node: &str, vmid: u32) -> Result<Vec<String>> {
        let call = Call::post(format!("/nodes/{node}/lxc/{vmid}/template"), Params::new());
        let before = self.template_tasks(node, vmid).await?;
        self.run([call]).await?;
        // PVE starts a task and does not say which (pve-container PVE/API2/LXC.pm, template).
        let tasks = self.template_tasks(node, vmid).await?;
        match tasks.into_iter().find(|task| !before.contains(task)) {
            Some(task) => self.wait(&task.upid.parse()?).await,
            None => Ok(Vec::new()),
        }
    }

    async fn template_tasks(&self, node: &str, vmid: u32) -> Result<Vec<TaskRow>> {
        let params = Params::new()
            .with("source", Some("all"))
            .with("typefilter", Some("vztemplate"))
            .with("vmid", Some(vmid));
        self.get(&Call::get(format!("/nodes/{node}/tasks"), params))
            .await
    }
}

#[derive(PartialEq, Deserialize)]
struct TaskRow {
    upid: String,
}

fn ct(node: &str, vmid: u32, params: Params) -> Call {
    Call::get(format!("/nodes/{node}/lxc/{vmid}/config"), params)
}

#[derive(Deserialize)]
struct InterfaceRow {
    name: String,
    hwaddr: String,
    /// One of its addresses with prefix; all of them are told since PVE 8.4.
    #[serde(default)]
    inet: Option<String>,
    #[serde(default)]
    inet6: Option<String>,
    #[serde(default, rename = "ip-addresses")]
    all: Vec<AddressRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct AddressRow {
    ip_address: String,
    #[serde(deserialize_with = "lenient::must")]
    prefix: u8,
}

impl Pve {
    /// The interfaces of a running container, as its node sees them. A stopped one has none.
    pub async fn lxc_interfaces(&self, node: &str, vmid: u32) -> Result<Vec<Interface>> {
        let call = Call::get(
            format!("/nodes/{node}/lxc/{vmid}/interfaces"),
            Params::new(),
        );
        let rows: Option<Vec<InterfaceRow>> = self.get(&call).await?;
        Ok(rows.into_iter().flatten().map(interface).collect())
    }
}

fn interface(row: InterfaceRow) -> Interface {
    let parse = |row: AddressRow| IpNet::new(row.ip_address.parse().ok()?, row.prefix).ok();
    let mut addresses: Vec<IpNet> = row.all.into_iter().filter_map(parse).collect();
    if addresses.is_empty() {
        let last = row.inet.into_iter().chain(row.inet6);
        addresses.extend(last.filter_map(|text| text.parse::<IpNet>().ok()));
    }
    Interface {
        name: row.name,
        mac: Some(row.hwaddr),
        addresses,
    }
}
