//! Reads about nodes: storages and what they hold, bridges, mapped devices; and the list of nodes.
//!
//! Changes nothing: that is done by calls the resources build.

use serde::Deserialize;

use super::{Call, Params, PropertyString, Pve, Result, Version, lenient};

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct NodeRow {
    /// Its name.
    #[serde(rename = "node")]
    pub name: String,
    /// `online`, `offline`, or `unknown` in the first seconds after a start.
    pub status: String,
    /// Processors, if the node is online and the credential may audit it.
    #[serde(default, deserialize_with = "lenient::opt")]
    pub maxcpu: Option<i64>,
    /// Memory in bytes, under the same conditions.
    #[serde(default, deserialize_with = "lenient::opt")]
    pub maxmem: Option<i64>,
}

impl NodeRow {
    /// Whether nothing can be asked of it.
    pub fn is_offline(&self) -> bool {
        self.status == "offline"
    }
}

/// A storage as one node sees it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct StorageRow {
    /// Its name.
    #[serde(rename = "storage")]
    pub name: String,
    /// `dir`, `lvmthin`, `zfspool`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// Comma-separated, see [`StorageRow::holds`].
    #[serde(default)]
    pub content: String,
    /// Not switched off in the cluster's configuration.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub enabled: bool,
    /// Usable on this node now.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub active: bool,
    /// The same on all nodes.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub shared: bool,
    /// Free bytes, while active.
    #[serde(default, deserialize_with = "lenient::opt")]
    pub avail: Option<u64>,
    /// Size in bytes, while active.
    #[serde(default, deserialize_with = "lenient::opt")]
    pub total: Option<u64>,
}

impl StorageRow {
    /// Whether `content` (`images`, `import`, `iso`, ...) may be stored there.
    pub fn holds(&self, content: &str) -> bool {
        self.content.split(',').any(|held| held.trim() == content)
    }
}

/// A volume on a storage.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Volume {
    /// `storage:name`.
    pub volid: String,
    /// `images`, `import`, `iso`, ...
    #[serde(default)]
    pub content: String,
    /// `qcow2`, `raw`, `iso`, ...
    #[serde(default)]
    pub format: String,
    /// Bytes; since PVE 9.2 some storages only estimate, and send none.
    #[serde(default, deserialize_with = "lenient::opt")]
    pub size: Option<u64>,
    /// The guest that owns it.
    #[serde(default, deserialize_with = "lenient::opt")]
    pub vmid: Option<u32>,
}

/// What a node learns about a file by its URL.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Remote {
    /// Bytes, if the server says.
    #[serde(default, deserialize_with = "lenient::opt")]
    pub size: Option<u64>,
}

#[derive(Deserialize)]
struct ApplianceRow {
    template: String,
}

#[derive(Deserialize)]
struct PackageRow {
    #[serde(rename = "Package")]
    name: String,
    #[serde(default, rename = "OldVersion")]
    installed: Option<String>,
}

/// A bridge of a node.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Bridge {
    /// `vmbr0`.
    #[serde(rename = "iface")]
    pub name: String,
    /// `bridge`, `OVSBridge` or `vnet`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Really up. A bridge that is not yet applied is listed too.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub active: bool,
    /// Comes up when the node starts.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub autostart: bool,
    /// Interfaces, separated by blanks.
    #[serde(default, rename = "bridge_ports")]
    pub ports: String,
    /// `192.0.2.10/24`.
    #[serde(default)]
    pub cidr: Option<String>,
    /// The same for IPv6.
    #[serde(default)]
    pub cidr6: Option<String>,
    /// Knows VLANs.
    #[serde(
        default,
        rename = "bridge_vlan_aware",
        deserialize_with = "lenient::flag"
    )]
    pub vlan_aware: bool,
}

/// A resource mapping: what a device or directory is called on all nodes that have it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct MappingRow {
    /// Its name.
    pub id: String,
    /// What it is on each node, as property strings.
    #[serde(default)]
    map: Vec<String>,
}

impl MappingRow {
    /// The nodes that have it.
    pub fn nodes(&self) -> impl Iterator<Item = String> {
        let parsed = |line: &String| PropertyString::parse(line, None).ok();
        let lines = self.map.iter().filter_map(parsed);
        lines.filter_map(|line| Some(line.get("node")?.to_owned()))
    }
}

impl Pve {
    /// The nodes of the cluster.
    pub async fn nodes(&self) -> Result<Vec<NodeRow>> {
        self.get(&Call::get("/nodes", Params::new())).await
    }

    /// The version of one node; others may have another.
    pub async fn node_version(&self, node: &str) -> Result<Version> {
        self.get(&Call::get(format!("/nodes/{node}/version"), Params::new()))
            .await
    }

    /// The storages of `node` that the credential may see.
    pub async fn storages(&self, node: &str) -> Result<Vec<StorageRow>> {
        self.get(&Call::get(format!("/nodes/{node}/storage"), Params::new()))
            .await
    }

    /// The volume `storage:name`, if `node` sees it. An unknown storage is an error.
    pub async fn volume_opt(&self, node: &str, volid: &str) -> Result<Option<Volume>> {
        let storage = volid.split(':').next().unwrap_or_default();
        let path = format!("/nodes/{node}/storage/{storage}/content");
        let volumes: Vec<Volume> = self.get(&Call::get(path, Params::new())).await?;
        Ok(volumes.into_iter().find(|volume| volume.volid == volid))
    }

    /// The container templates that `node` knows where to download, by the names of their files.
    pub async fn appliances(&self, node: &str) -> Result<Vec<String>> {
        let call = Call::get(format!("/nodes/{node}/aplinfo"), Params::new());
        let rows: Vec<ApplianceRow> = self.get(&call).await?;
        Ok(rows.into_iter().map(|row| row.template).collect())
    }

    /// What `node` sees at a URL. Takes what downloading from there takes.
    ///
    /// # Errors
    /// [`super::Error::Rejected`] with the status that the server gave, such as `404 Not Found`, in its message.
    pub async fn remote(&self, node: &str, url: &str, verify: bool) -> Result<Remote> {
        let params = Params::new()
            .with("url", Some(url))
            .flag("verify-certificates", Some(verify));
        self.get(&Call::get(
            format!("/nodes/{node}/query-url-metadata"),
            params,
        ))
        .await
    }

    /// The installed version of one of PVE's own packages. Takes `Sys.Audit` on the node.
    pub async fn package_version(&self, node: &str, name: &str) -> Result<Option<String>> {
        let call = Call::get(format!("/nodes/{node}/apt/versions"), Params::new());
        let rows: Vec<PackageRow> = self.get(&call).await?;
        let row = rows.into_iter().find(|row| row.name == name);
        Ok(row.and_then(|row| row.installed))
    }

    /// The mappings of a kind (`pci`, `usb`, `dir`) that the credential may use or see.
    pub async fn mappings(&self, kind: &str) -> Result<Vec<MappingRow>> {
        self.get(&Call::get(
            format!("/cluster/mapping/{kind}"),
            Params::new(),
        ))
        .await
    }

    /// The bridges of `node` that the credential may use, virtual networks among them.
    pub async fn bridges(&self, node: &str) -> Result<Vec<Bridge>> {
        let params = Params::new().with("type", Some("any_bridge"));
        self.get(&Call::get(format!("/nodes/{node}/network"), params))
            .await
    }
}
