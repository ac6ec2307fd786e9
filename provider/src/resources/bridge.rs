//! `pmoves_bridge`.
//!
//! Bridges that change at the same time share one reload of their node, which the API client sees to.

mod checks;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use checks::{cidr, comment, ip, name, same_cidr, same_comment, same_ip, same_vids, vids};

use super::{cluster::Cluster, privileges::Wanted, timeouts::Timeouts};
use crate::{
    framework::{Context, Failure, Model, Plan, Resource, Result, State, Value, resource::Faults},
    pve::{Edit, Network, NetworkRow, Params, Wish},
};

/// A Linux bridge of a node.
///
/// Bridges of one node that change in the same apply are reloaded together, once. If the node cannot apply them, the former configuration is put back. Pending changes that somebody else left on the node are never applied along the way, unless `reload_foreign` allows it.
///
/// Containers of a VM reach the LAN through the VM's own NIC: a macvlan network in a stack names the guest's `interface_name` as its parent, never a bridge of the node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Bridge {
    /// The id, such as `pve1/vmbr1`.
    #[attr(computed)]
    pub id: Option<String>,
    /// Node that has the bridge.
    #[attr(replace)]
    pub node_name: String,
    /// Its name, such as `vmbr1`: up to 15 letters, digits and underscores.
    #[attr(replace, check(name), param = "iface")]
    pub name: String,
    /// Physical interfaces, bonds or VLAN interfaces that the bridge connects.
    #[attr(param = "bridge_ports")]
    pub ports: Option<BTreeSet<String>>,
    /// IPv4 address of the node on this bridge, with prefix length, such as `10.0.0.1/24`.
    #[attr(check(cidr), same(same_cidr), param = "cidr")]
    pub address: Option<String>,
    /// Default gateway of the node; only one bridge may have one.
    #[attr(check(ip))]
    pub gateway: Option<String>,
    /// IPv6 address of the node on this bridge, with prefix length.
    #[attr(check(cidr), same(same_cidr), param = "cidr6")]
    pub address6: Option<String>,
    /// Default gateway of the node for IPv6.
    #[attr(check(ip), same(same_ip))]
    pub gateway6: Option<String>,
    /// Whether guests may use VLANs on this bridge.
    #[attr(default(false), param = "bridge_vlan_aware")]
    pub vlan_aware: Option<bool>,
    /// VLANs that the ports carry, such as `2-100,200`. Default `2-4094` on a bridge that knows VLANs.
    #[attr(open, check(vids), same(same_vids), param = "bridge_vids")]
    pub vids: Option<String>,
    /// Largest packet in bytes.
    #[attr(range(1280, 65520))]
    pub mtu: Option<i64>,
    /// Note in the configuration of the node.
    #[attr(check(comment), same(same_comment), param = "comments")]
    pub comment: Option<String>,
    /// Whether the bridge comes up with the node.
    #[attr(default(true))]
    pub autostart: Option<bool>,
    /// Whether nothing leads out: no ports and no gateway. Guests on such a bridge need a router among them. Follows from the rest; setting it makes sure of it.
    #[attr(open)]
    pub isolated: Option<bool>,
    /// Whether pending changes of the node's network that are not ours may be applied along the way.
    #[attr(default(false), setting)]
    pub reload_foreign: Option<bool>,
    /// Whether the bridge is really up.
    #[attr(computed)]
    pub active: Option<bool>,
    /// How long operations may take.
    pub timeouts: Option<Timeouts>,
}

/// The resource.
pub struct BridgeResource;

impl Resource for BridgeResource {
    const NAME: &'static str = "pmoves_bridge";
    const IDENTITY: &'static [&'static str] = &["node_name", "name"];
    type Client = Cluster;
    type Model = Bridge;

    fn validate(config: &Value, found: &mut Faults<'_>) {
        checks::validate(config, found);
    }

    fn effects(plan: &mut Plan<'_>) {
        let vlan_aware = plan.value.get("vlan_aware").as_bool();
        if plan.config.get("vids").is_null() {
            let prior = plan.prior.get("vids");
            match vlan_aware {
                Some(true) if prior.is_null() => plan.set("vids", "2-4094"),
                Some(true) => {}
                Some(false) => plan.set("vids", Value::Null),
                None => plan.unknown("vids"),
            }
        }
        if plan.config.get("isolated").is_null() {
            match checks::isolated(&plan.value) {
                Some(isolated) => plan.set("isolated", isolated),
                None => plan.unknown("isolated"),
            }
        }
        if let (Some(node), Some(name)) = (
            plan.value.get("node_name").as_str(),
            plan.value.get("name").as_str(),
        ) {
            let id = format!("{node}/{name}");
            plan.set("id", id);
        }
        if plan.changed("autostart") {
            plan.unknown("active");
        }
    }

    async fn check(
        &self,
        cx: &Context<'_, Cluster>,
        plan: &Plan<'_>,
        found: &mut Faults<'_>,
    ) -> Result<()> {
        let Some(node) = plan.value.get("node_name").as_str() else {
            return Ok(());
        };
        let Some(pve) = cx.client.pve_opt(cx) else {
            return Ok(());
        };
        if !cx.client.check_node(&pve, node, "node_name", found).await? {
            return Ok(());
        }
        Wanted::default()
            .privilege(format!("/nodes/{node}"), "Sys.Modify", "node_name")
            .check(&pve, found)
            .await?;
        let network = pve.network(node).await?;
        checks::against(plan, node, &network, pve.host(), found);
        Ok(())
    }

    fn check_destroy(prior: &Bridge, found: &mut Faults<'_>) {
        if prior.gateway.is_some() || prior.gateway6.is_some() {
            found.warn(
                "gateway",
                "The default gateway goes with the bridge",
                format!(
                    "{} has {}'s default gateway: the node may be out of reach afterwards.",
                    prior.name, prior.node_name
                ),
            );
        }
    }

    async fn create(
        &self,
        cx: &Context<'_, Cluster>,
        plan: Bridge,
        state: &mut State<Bridge>,
    ) -> Result<()> {
        let wish = Wish::New(plan.params());
        edit(cx, plan, wish, state).await
    }

    async fn read(
        &self,
        cx: &Context<'_, Cluster>,
        prior: Bridge,
        state: &mut State<Bridge>,
    ) -> Result<()> {
        let Some(pve) = cx.client.pve_or_warn(cx, state)? else {
            return Ok(());
        };
        match pve.interface_opt(&prior.node_name, &prior.name).await? {
            Some(row) if row.kind != "bridge" => Err(Failure::new(format!(
                "{} of {} is no Linux bridge but of type {}",
                prior.name, prior.node_name, row.kind
            ))),
            Some(row) => {
                state.save(prior.with(&row));
                Ok(())
            }
            None => {
                state.remove();
                Ok(())
            }
        }
    }

    async fn update(
        &self,
        cx: &Context<'_, Cluster>,
        prior: Bridge,
        plan: Bridge,
        state: &mut State<Bridge>,
    ) -> Result<()> {
        if prior.params() == plan.params() && prior.active == plan.active {
            state.save(plan);
            return Ok(());
        }
        let wish = Wish::Like(plan.params());
        edit(cx, plan, wish, state).await
    }

    async fn delete(
        &self,
        cx: &Context<'_, Cluster>,
        prior: Bridge,
        _state: &mut State<Bridge>,
    ) -> Result<()> {
        let edit = Edit {
            iface: prior.name.clone(),
            wish: Wish::Gone,
            with_foreign: prior.reload_foreign == Some(true),
        };
        let pve = cx.client.pve(cx)?;
        match pve.edit_network(&prior.node_name, edit).await {
            Ok(_) => Ok(()),
            Err(error) => Err(checks::explain(error)),
        }
    }

    fn import(id: &str) -> Result<Json> {
        let (node, name) = id
            .split_once(['/', ':'])
            .ok_or_else(|| Failure::new(format!("{id:?} is no bridge; write it as pve1/vmbr1")))?;
        Ok(json!({ "id": format!("{node}/{name}"), "node_name": node, "name": name }))
    }
}

/// Makes the bridge as planned, and looks at what became of it.
async fn edit(
    cx: &Context<'_, Cluster>,
    plan: Bridge,
    wish: Wish,
    state: &mut State<Bridge>,
) -> Result<()> {
    let pve = cx.client.pve(cx)?;
    let edit = Edit {
        iface: plan.name.clone(),
        wish,
        with_foreign: plan.reload_foreign == Some(true),
    };
    let network = pve
        .edit_network(&plan.node_name, edit)
        .await
        .map_err(checks::explain)?;
    let Some(row) = row(&network, &plan.name) else {
        // A credential that may change the node's network need not see its bridges.
        state.save(Bridge {
            id: Some(format!("{}/{}", plan.node_name, plan.name)),
            active: plan.active.or(Some(plan.autostart == Some(true))),
            ..plan
        });
        return Ok(());
    };
    if plan.autostart == Some(true) && !row.active {
        state.warn(
            "The bridge did not come up",
            format!(
                "{} reloaded its network, but {} is not active; the task log of the node may say why.",
                plan.node_name, plan.name
            ),
        );
    }
    state.save(plan.with(row));
    Ok(())
}

fn row<'a>(network: &'a Network, name: &str) -> Option<&'a NetworkRow> {
    network.rows.iter().find(|row| row.iface == name)
}

impl Bridge {
    /// What the API is told. All of it, for the API derives more than it says from what one request holds.
    fn params(&self) -> Params {
        let ports: Vec<&str> = self.ports.iter().flatten().map(String::as_str).collect();
        Params::new()
            .with("type", Some("bridge"))
            .flag("autostart", Some(self.autostart == Some(true)))
            .with("bridge_ports", (!ports.is_empty()).then(|| ports.join(" ")))
            // Even 0 would switch it on.
            .flag("bridge_vlan_aware", self.vlan_aware.filter(|aware| *aware))
            .with("bridge_vids", self.vids.as_ref())
            .with("cidr", self.address.as_ref())
            .with("gateway", self.gateway.as_ref())
            .with("cidr6", self.address6.as_ref())
            .with("gateway6", self.gateway6.as_ref())
            .with("mtu", self.mtu)
            .with(
                "comments",
                self.comment
                    .as_ref()
                    .map(|text| text.trim_end_matches('\n')),
            )
    }

    /// The same bridge as an answer of the API shows it.
    fn with(&self, row: &NetworkRow) -> Self {
        let ports: BTreeSet<String> = row
            .setting("bridge_ports")
            .iter()
            .flat_map(|ports| ports.split([' ', ',', ';']))
            .filter(|port| !port.is_empty())
            .map(str::to_owned)
            .collect();
        let on = |name| row.setting(name).is_some_and(|flag| flag == "1");
        let gateway = row.setting("gateway");
        Self {
            id: Some(format!("{}/{}", self.node_name, self.name)),
            isolated: Some(
                ports.is_empty() && gateway.is_none() && row.setting("gateway6").is_none(),
            ),
            // None and no element are the same to the API.
            ports: match (&self.ports, ports.is_empty()) {
                (None, true) => None,
                _ => Some(ports),
            },
            address: row.setting("cidr"),
            gateway,
            address6: row.setting("cidr6"),
            gateway6: row.setting("gateway6"),
            vlan_aware: Some(on("bridge_vlan_aware")),
            vids: row.setting("bridge_vids"),
            mtu: row.setting("mtu").and_then(|mtu| mtu.parse().ok()),
            comment: row.setting("comments"),
            autostart: Some(on("autostart")),
            active: Some(row.active),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests;
