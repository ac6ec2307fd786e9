//! The attributes of `pmoves_docker_lxc`.
//!
//! What they become as API parameters is in `calls`, what they cause in a plan in `effects`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Number;

pub(super) use crate::resources::host::clones::CloneOf;

use super::own_checks;
use crate::{
    framework::Model,
    resources::{
        docker::Docker,
        host::{checks, ssh::Ssh, startup::Startup},
        timeouts::Timeouts,
    },
    secret::Secret,
};

/// A container (LXC) that is a Docker host.
///
/// It is made from a container template or as a clone, and reached through its console: no SSH, neither to the
/// node nor to the guest. With an API token that takes Proxmox VE 9.2 or later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Model)]
pub struct DockerLxc {
    /// The guest as Proxmox VE names it, such as `lxc/102`. Stays the same when the container moves to another node.
    #[attr(computed)]
    pub id: Option<String>,
    /// Name of the container and its host name: a DNS name, without underscores. The guest takes a new one at its next start.
    #[attr(check(checks::dns_name), param = "hostname")]
    pub name: String,
    /// Node on which the container is created; a change moves it. Where it is now is `current_node`.
    #[attr(sticky)]
    pub node_name: String,
    /// VMID from 100 to 999999999. Left open, the next free one.
    #[attr(decided, replace, range(100, 999_999_999), param = "vmid")]
    pub vm_id: Option<u32>,
    /// Volume id of the container template (content `vztmpl`) that it is made from. A later change keeps the container as it is.
    #[attr(keep, param = "ostemplate")]
    pub template_file_id: Option<String>,
    /// The container or template that it is cloned from, instead of a container template. A later change keeps the container as it is.
    #[attr(open)]
    pub clone: Option<CloneOf>,
    /// Whether root in the container is nobody on the node. Only `root@pam` itself can give a privileged container the features that Docker needs.
    #[attr(default(true), replace)]
    pub unprivileged: Option<bool>,
    /// What the container may do beyond a plain one.
    #[attr(filled)]
    pub features: Option<Features>,
    /// CPU time.
    #[attr(filled)]
    pub cpu: Option<Cpu>,
    /// Memory.
    #[attr(filled)]
    pub memory: Option<Memory>,
    /// The volume with the operating system.
    #[attr(open, param = "rootfs")]
    pub root_disk: Option<RootDisk>,
    /// A second volume for everything that Docker stores. Without it Docker stays on the root disk.
    #[attr(open, param = "mp0")]
    pub data_volume: Option<DataVolume>,
    /// More mount points by slot, `mp1` to `mp255`. One that is taken out is unmounted; its volume stays as an unused one.
    #[attr(slots("mp", 256), check(own_checks::mount_points))]
    pub mount_point: Option<BTreeMap<String, MountPoint>>,
    /// Devices of the node by slot, `dev0` to `dev255`. Only `root@pam` itself may pass them on.
    #[attr(slots("dev", 256))]
    pub device_passthrough: Option<BTreeMap<String, Device>>,
    /// NICs by slot, `net0` to `net31`. `net0` carries the address of the host.
    #[attr(slots("net", 32))]
    pub network_interface: Option<BTreeMap<String, NetworkInterface>>,
    /// Addresses, name servers, and the account of root.
    #[attr(open)]
    pub initialization: Option<Initialization>,
    /// Docker Engine and Compose on the guest. Left open on create, Docker is installed with the defaults.
    #[attr(filled)]
    pub docker: Option<Docker>,
    /// Notes that Proxmox VE shows, as Markdown.
    #[attr(open, same(checks::same_description), check(checks::description))]
    pub description: Option<String>,
    /// Tags in lower case. The `tag` of the provider is added and not listed here.
    #[attr(open, check(checks::tags))]
    pub tags: Option<BTreeSet<String>>,
    /// Resource pool that the container belongs to. It must exist.
    #[attr(open, check(checks::pool_id), param = "pool")]
    pub pool_id: Option<String>,
    /// Whether the container runs.
    #[attr(default(true), enforced)]
    pub started: Option<bool>,
    /// Whether it is a template for clones: a host that is set up, cleaned of what makes it one machine (host keys, machine-id, logs) and turned into a template. There is no way back.
    #[attr(default(false))]
    pub template: Option<bool>,
    /// Whether it starts with its node.
    #[attr(default(true), param = "onboot")]
    pub start_on_boot: Option<bool>,
    /// When it starts and stops among the guests of its node. Takes `Sys.Modify` on `/`.
    #[attr(open)]
    pub startup: Option<Startup>,
    /// Whether Proxmox VE refuses to destroy it; such a destroy is an error of the plan here.
    #[attr(open)]
    pub protection: Option<bool>,
    /// What happens when a change needs a restart: `if_needed` restarts, `never` leaves it pending and sets `restart_required`.
    #[attr(default("if_needed"), setting, one_of(&["if_needed", "never"]))]
    pub restart_policy: Option<String>,
    /// How commands get into the container: by `console`, which is set to a root shell, or by `ssh`, which leaves the console alone. `auto` stands for the console, and for SSH where a token cannot use it and the provider's `ssh` is set.
    #[attr(default("auto"), setting, one_of(&["auto", "console", "ssh"]))]
    pub connection: Option<String>,
    /// How SSH gets to the container, where that differs from what the provider's `ssh` says.
    pub ssh: Option<Ssh>,
    /// Whether a destroy kills the container at once instead of asking it to shut down for 60 seconds first.
    #[attr(default(false), setting)]
    pub stop_on_destroy: Option<bool>,
    /// Whether a destroy also removes the container from backup jobs, replication and HA.
    #[attr(default(true), setting)]
    pub purge_on_destroy: Option<bool>,
    /// How long operations may take.
    pub timeouts: Option<Timeouts>,
    /// Node that the container is on.
    #[attr(computed)]
    pub current_node: Option<String>,
    /// `running` or `stopped`.
    #[attr(computed)]
    pub status: Option<String>,
    /// Whether a change waits for a restart.
    #[attr(computed)]
    pub restart_required: Option<bool>,
    /// IPv4 address of `net0`, as the guest has it.
    #[attr(computed)]
    pub ipv4_address: Option<String>,
    /// IPv6 address of `net0` with global scope.
    #[attr(computed)]
    pub ipv6_address: Option<String>,
    /// All addresses by NIC slot.
    #[attr(computed)]
    pub addresses: Option<BTreeMap<String, Vec<String>>>,
    /// Name of `net0` inside the guest, such as `eth0`: the parent for a macvlan network.
    #[attr(computed)]
    pub interface_name: Option<String>,
    /// Version of the Docker Engine.
    #[attr(computed)]
    pub docker_version: Option<String>,
    /// Version of Docker Compose.
    #[attr(computed)]
    pub compose_version: Option<String>,
    /// Storage driver of the Docker Engine, such as `overlay2`.
    #[attr(computed)]
    pub storage_driver: Option<String>,
}

/// What a container may do beyond a plain one. A change needs a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Features {
    /// Containers inside the container: Docker needs it.
    #[attr(default(true))]
    pub nesting: Option<bool>,
    /// Kernel keyrings. Only `root@pam` itself may change it; Docker runs without. Left open on create, it is on where the credential is `root@pam`.
    #[attr(decided)]
    pub keyctl: Option<bool>,
    /// FUSE filesystems. Only `root@pam` itself may change it.
    #[attr(open)]
    pub fuse: Option<bool>,
    /// Device nodes made in the container. Only `root@pam` itself may change it.
    #[attr(open)]
    pub mknod: Option<bool>,
    /// Filesystems that the container may mount, such as `nfs`. Only `root@pam` itself may change it.
    #[attr(open)]
    pub mount: Option<BTreeSet<String>>,
}

/// CPU time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Cpu {
    /// Cores that it may use.
    #[attr(default(2), range(1, 8192))]
    pub cores: Option<i64>,
    /// Most CPU time that it may use, in cores, such as 1.5; 0 is no limit.
    #[attr(open, check(checks::cpu_limit::<8192>), param = "cpulimit")]
    pub limit: Option<Number>,
    /// Share of CPU time against other guests, 1 to 10000.
    #[attr(open, range(1, 10000), param = "cpuunits")]
    pub units: Option<i64>,
}

/// Memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Memory {
    /// Memory in MiB.
    #[attr(default(2048), range(16, 16_777_216), param = "memory")]
    pub size: Option<i64>,
    /// Swap in MiB, beside the memory.
    #[attr(default(0), range(0, 16_777_216))]
    pub swap: Option<i64>,
}

/// The volume with the operating system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct RootDisk {
    /// Storage of the volume. A change moves it while the container is stopped.
    #[attr(sticky)]
    pub datastore_id: Option<String>,
    /// Size in GiB; decimals are exact to 1 MiB. Only grows. Left open, a clone has that of its source.
    #[attr(default(8), check(checks::size_gb))]
    pub size_gb: Option<Number>,
}

/// The volume for everything that Docker stores, `mp0`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Model)]
pub struct DataVolume {
    /// Storage of the volume. Left open, that of the root disk. A change moves it while the container is stopped.
    #[attr(decided, sticky)]
    pub datastore_id: Option<String>,
    /// Size in GiB; decimals are exact to 1 MiB. Only grows.
    #[attr(check(checks::size_gb))]
    pub size_gb: Number,
    /// Where the volume is mounted in the guest.
    #[attr(default("/opt/appdata"), keep, check(checks::absolute_path))]
    pub mount_path: Option<String>,
    /// Whether backups of the container include the volume. A change needs a restart.
    #[attr(default(true))]
    pub backup: Option<bool>,
}

/// A mount point. A change of one that is there needs a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct MountPoint {
    /// Storage on which a new volume is made; or a directory of the node, beginning with `/`, which only `root@pam` itself may pass on.
    pub volume: String,
    /// Where it is mounted in the guest.
    #[attr(check(checks::absolute_path))]
    pub path: String,
    /// Size of the volume in GiB; decimals are exact to 1 MiB. Only grows.
    #[attr(open, check(checks::size_gb))]
    pub size_gb: Option<Number>,
    /// Whether backups of the container include the volume. Proxmox VE leaves it out unless told otherwise.
    #[attr(open)]
    pub backup: Option<bool>,
    /// Whether the guest can only read it.
    #[attr(open)]
    pub read_only: Option<bool>,
    /// Whether every node of the cluster has it, so that it does not stand in the way of a move.
    #[attr(open)]
    pub shared: Option<bool>,
    /// Whether access control lists are on. Left open, as the filesystem has it.
    #[attr(open)]
    pub acl: Option<bool>,
    /// Whether quotas for users are on; privileged containers only.
    #[attr(open)]
    pub quota: Option<bool>,
    /// Whether storage replication includes the volume. Proxmox VE includes it unless told otherwise.
    #[attr(open)]
    pub replicate: Option<bool>,
    /// Options of the mount: `discard`, `lazytime`, `noatime`, `nodev`, `noexec` and `nosuid`.
    #[attr(open, check(own_checks::mount_options), param = "mountoptions")]
    pub mount_options: Option<BTreeSet<String>>,
}

/// A device of the node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Model)]
pub struct Device {
    /// Path of the device, such as `/dev/dri/renderD128`.
    #[attr(check(own_checks::device))]
    pub path: String,
    /// Access mode in the guest, octal such as `0660`.
    #[attr(open, check(own_checks::mode))]
    pub mode: Option<String>,
    /// Owner in the guest.
    #[attr(open, range(0, 4_294_967_295))]
    pub uid: Option<i64>,
    /// Group in the guest.
    #[attr(open, range(0, 4_294_967_295))]
    pub gid: Option<i64>,
    /// Whether the guest can only read it.
    #[attr(open)]
    pub deny_write: Option<bool>,
}

/// A NIC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Model)]
pub struct NetworkInterface {
    /// Bridge of the node, such as `vmbr0`.
    pub bridge: String,
    /// Name in the guest. Left open, `eth0` for `net0` and so on.
    #[attr(decided)]
    pub name: Option<String>,
    /// VLAN tag, 1 to 4094.
    #[attr(open, range(1, 4094), param = "tag")]
    pub vlan_id: Option<i64>,
    /// VLANs that pass with their tags, 1 to 4094.
    #[attr(open, check(checks::trunks))]
    pub trunks: Option<BTreeSet<i64>>,
    /// MAC address. Left open, one is drawn and kept.
    #[attr(decided, same(checks::same_mac), check(checks::mac))]
    pub mac_address: Option<String>,
    /// Whether the firewall of Proxmox VE filters this NIC.
    #[attr(open)]
    pub firewall: Option<bool>,
    /// Largest frame in bytes.
    #[attr(open, range(64, 65535))]
    pub mtu: Option<i64>,
    /// Most megabytes in a second, such as 12.5.
    #[attr(open, check(checks::rate), param = "rate")]
    pub rate_limit: Option<Number>,
}

/// Addresses, name servers, and the account of root.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Initialization {
    /// Name servers and search domain. A change needs a restart.
    #[attr(open)]
    pub dns: Option<Dns>,
    /// Addresses by NIC slot. A new NIC that is not listed uses DHCP.
    #[attr(slots("net", 32))]
    pub ip_config: Option<BTreeMap<String, IpConfig>>,
    /// The account of root.
    #[attr(open)]
    pub user_account: Option<UserAccount>,
}

/// Name servers and search domain. Left open, those of the node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Dns {
    /// Addresses of name servers.
    #[attr(open, check(checks::addresses), param = "nameserver")]
    pub servers: Option<Vec<String>>,
    /// Search domain.
    #[attr(open, param = "searchdomain")]
    pub domain: Option<String>,
}

/// The account of root, set up when the container is made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct UserAccount {
    /// SSH public keys that may log in.
    #[attr(keep, check(checks::ssh_keys), param = "ssh-public-keys")]
    pub keys: Option<BTreeSet<String>>,
    /// Password, never stored. Without it root has none.
    #[attr(write_only, check(own_checks::password), param = "password")]
    pub password_wo: Option<Secret<String>>,
    /// Any text that changes with the password.
    #[attr(keep)]
    pub password_wo_version: Option<String>,
}

/// The addresses of one NIC.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct IpConfig {
    /// IPv4.
    #[attr(open)]
    pub ipv4: Option<Ipv4>,
    /// IPv6.
    #[attr(open)]
    pub ipv6: Option<Ipv6>,
}

/// An IPv4 address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Ipv4 {
    /// `dhcp`, `manual`, or an address with its prefix such as `192.0.2.10/24`.
    #[attr(open, check(own_checks::ipv4_address))]
    pub address: Option<String>,
    /// Default gateway.
    #[attr(open, check(checks::ipv4))]
    pub gateway: Option<String>,
}

/// An IPv6 address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Ipv6 {
    /// `auto`, `dhcp`, `manual`, or an address with its prefix such as `2001:db8::10/64`.
    #[attr(open, check(own_checks::ipv6_address))]
    pub address: Option<String>,
    /// Default gateway.
    #[attr(open, check(checks::ipv6))]
    pub gateway: Option<String>,
}
