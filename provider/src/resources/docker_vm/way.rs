//! The way into the guest of `pmoves_docker_vm`: its agent, or SSH.

use super::{account, disks, host, model::DockerVm};
use crate::{
    framework::{Failure, Plan, Result, Value, resource::Faults},
    guest::{reached::Reached, seed::Address, ssh::Target},
    pve::Pve,
    resources::{
        cluster::{Cluster, VmWay},
        host::ssh::Ssh,
    },
};

impl DockerVm {
    /// Whether commands can be run in the guest.
    pub(super) fn has_way(&self, cluster: &Cluster) -> bool {
        self.way(cluster).is_some()
    }

    /// The guest, for commands.
    pub(super) fn reach(&self, cluster: &Cluster, pve: &Pve, at: (&str, u32)) -> Result<Reached> {
        let way = self.way(cluster).ok_or_else(|| {
            Failure::new("nothing leads into the guest: it has no agent, and SSH is not set up")
                .at("connection")
        })?;
        cluster.vm(pve, at, way, self.target())
    }

    fn way(&self, cluster: &Cluster) -> Option<VmWay> {
        cluster.vm_way(self.connection.as_deref(), self.has_agent())
    }

    /// Whether it has a channel for the agent.
    pub(super) fn has_agent(&self) -> bool {
        self.agent.as_ref().and_then(|agent| agent.enabled) != Some(false)
    }

    /// Where SSH goes. Left open, the agent is asked for the address at each login, since one by DHCP may change;
    /// without agent it is the one that was last known.
    fn target(&self) -> Target {
        let mut target = Ssh::target(self.ssh.as_ref());
        let known = || {
            let known = self.ipv4_address.as_ref().or(self.ipv6_address.as_ref());
            known.filter(|_| !self.has_agent()).cloned()
        };
        target.host = target.host.or_else(|| self.fixed_address()).or_else(known);
        target
    }

    /// The address that the first boot gives `net0`.
    fn fixed_address(&self) -> Option<String> {
        let config = self
            .initialization
            .as_ref()?
            .ip_config
            .as_ref()?
            .get("net0");
        let fixed = |address| match address {
            Address::Static { address, .. } => Some(address.addr().to_string()),
            _ => None,
        };
        fixed(host::ipv4(config)).or_else(|| fixed(host::ipv6(config)))
    }
}

/// What of a plan takes commands in the guest.
const INSIDE: [&str; 3] = ["docker", "data_disk", "mount"];

/// Says at the attribute what is missing for a way into the guest. Whether there is an agent to ask for privileges.
pub(super) fn check(cluster: &Cluster, plan: &Plan<'_>, found: &mut Faults<'_>) -> bool {
    let (new, planned) = (plan.creating(), &plan.value);
    let agent = planned.at("agent.enabled").as_bool() != Some(false);
    let way = cluster.vm_way(planned.get("connection").as_str(), agent);
    if !new {
        account::check(plan, way.is_some(), found);
    }
    match way {
        Some(VmWay::Agent) => return true,
        Some(VmWay::Ssh) => {
            cluster.check_login("connection", found);
            if new {
                first_login(cluster, planned, agent, found);
            }
        }
        None if new => found.error(
            "agent.enabled",
            "A new VM needs a way in",
            "Docker is installed through the guest agent, which the first boot sets up. Without it, give the provider ssh = { … }.",
        ),
        None => {
            let mounted = disks::slots(planned).map(|slot| format!("disk.{slot}"));
            let mounted = mounted.filter(|disk| !planned.at(disk).get("mount_path").is_null());
            let inside = INSIDE.map(str::to_owned).into_iter().chain(mounted);
            for at in inside.filter(|at| plan.changed(at)) {
                found.error(
                    &at,
                    "The guest cannot be reached",
                    "The VM has no agent (agent.enabled is false). Enable it, or give the provider ssh = { … }.",
                );
            }
            if plan.changed("os_disk.size_gb") {
                found.warn(
                    "os_disk.size_gb",
                    "The filesystem stays as it is",
                    "The disk grows, and what is on it does not, since the VM has no agent (agent.enabled is false).",
                );
            }
        }
    }
    false
}

/// Whether SSH can get into a VM that boots for the first time.
fn first_login(cluster: &Cluster, planned: &Value, agent: bool, found: &mut Faults<'_>) {
    let text = |path: &str| planned.at(path).as_str();
    let open = |path: &str| planned.at(path).is_null();
    let fixed = ["ipv4", "ipv6"].iter().any(|kind| {
        let address = planned.at(&format!("initialization.ip_config.net0.{kind}.address"));
        address.is_unknown() || address.as_str().is_some_and(|text| text.contains('/'))
    });
    if open("ssh.host") && !fixed && !agent {
        found.error(
            "ssh",
            "The address of the new VM is not known",
            "Nobody tells the address of a VM that has no agent: set ssh = { host = … }, or a fixed address in initialization.ip_config.net0.",
        );
    }
    // Else the source or the practitioner's own part may have an account of any name.
    let own = ["user_data", "user_data_wo"].map(|name| format!("initialization.{name}"));
    if own.iter().any(|path| !open(path)) || !open("clone") {
        return;
    }
    let account = text("initialization.user_account.username").unwrap_or(account::NAME);
    let login = text("ssh.username").or(cluster.login());
    if let Some(login) = login.filter(|login| *login != account) {
        found.warn(
            "ssh",
            "Nobody may be let in",
            format!("SSH logs in as {login}, and the first boot gives its keys to {account}. Unless the image knows {login}, set ssh = {{ username = {account:?} }}."),
        );
    } else if open("initialization.user_account.keys") {
        found.warn(
            "initialization",
            "Nobody may be let in",
            format!("SSH logs in as {account}, who has no keys: set initialization.user_account.keys, unless the image has some."),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ssh_goes_where_it_is_told_or_where_the_guest_must_be() {
        let off = json!({ "enabled": false });
        for (more, host) in [
            (json!({ "ssh": { "host": "web.lan" } }), Some("web.lan")),
            (
                json!({ "ipv4": { "address": "192.0.2.7/24" } }),
                Some("192.0.2.7"),
            ),
            (
                json!({ "ipv6": { "address": "2001:db8::7/64" } }),
                Some("2001:db8::7"),
            ),
            (json!({ "ipv4": { "address": "dhcp" } }), Some("192.0.2.9")),
            (json!({ "agent": { "enabled": true } }), None),
        ] {
            let vm = json!({
                "name": "web", "node_name": "pve1", "ipv4_address": "192.0.2.9",
                "agent": more.get("agent").unwrap_or(&off), "ssh": more.get("ssh"),
                "initialization": { "ip_config": { "net0": { "ipv4": more.get("ipv4"), "ipv6": more.get("ipv6") } } },
            });
            let vm: DockerVm = serde_json::from_value(vm).unwrap();
            assert_eq!(vm.target().host.as_deref(), host, "{more}");
        }
    }
}
