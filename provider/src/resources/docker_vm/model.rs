//! The attributes of `pmoves_docker_vm`.
//!
//! What they become as API parameters is in `calls`, what they cause in a plan in `effects`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Number;

pub(super) use crate::resources::host::{clones::CloneOf, ssh::Ssh, startup::Startup};

use super::{
    account, checks,
    devices::{self, EfiDisk, HostPci, Usb, Virtiofs},
    disks::Disk,
    mounts::Mount,
};
use crate::{
    framework::Model,
    resources::{docker::Docker, timeouts::Timeouts},
    secret::Secret,
};

/// A virtual machine that is a Docker host.
///
/// It is made from a cloud image, configured on its first boot by a seed ISO that the provider
/// uploads and removes again, and reached through the guest agent: no SSH, neither to the node nor
/// to the guest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Model)]
pub struct DockerVm {
    /// The guest as Proxmox VE names it, such as `qemu/101`. Stays the same when the VM moves to another node.
    #[attr(computed)]
    pub id: Option<String>,
    /// Name of the VM: a DNS name, without underscores.
    #[attr(check(checks::dns_name))]
    pub name: String,
    /// Node on which the VM is created. Where it is now is `current_node`.
    #[attr(sticky)]
    pub node_name: String,
    /// VMID from 100 to 999999999. Left open, the next free one.
    #[attr(decided, replace, range(100, 999_999_999), param = "vmid")]
    pub vm_id: Option<u32>,
    /// The cloud image that the OS disk starts from. A later change keeps the VM as it is.
    #[attr(open)]
    pub image: Option<Image>,
    /// The VM or template that it is cloned from, instead of an image. A later change keeps the VM as it is.
    #[attr(open)]
    pub clone: Option<CloneOf>,
    /// Virtual CPUs.
    #[attr(filled)]
    pub cpu: Option<Cpu>,
    /// Memory.
    #[attr(filled)]
    pub memory: Option<Memory>,
    /// The disk with the operating system.
    #[attr(open)]
    pub os_disk: Option<OsDisk>,
    /// A second disk for everything that Docker stores. Without it Docker stays on the OS disk.
    #[attr(open)]
    pub data_disk: Option<DataDisk>,
    /// More disks by slot, `scsi2` to `scsi29`. One that is removed is unmounted and detached, and keeps its data as an unused volume of the VM.
    #[attr(slots("scsi", 30))]
    pub disk: Option<BTreeMap<String, Disk>>,
    /// NICs by slot, `net0` to `net31`. `net0` carries the address of the host.
    #[attr(slots("net", 32))]
    pub network_device: Option<BTreeMap<String, NetworkDevice>>,
    /// Firmware. A change needs a restart, and the guest may not boot with the other one.
    #[attr(open, one_of(&["seabios", "ovmf"]))]
    pub bios: Option<String>,
    /// Machine type, such as `q35`. A change needs a restart.
    #[attr(open, check(devices::machine))]
    pub machine: Option<String>,
    /// The disk with the settings of UEFI. A new VM with `bios = "ovmf"` gets one by itself.
    #[attr(open)]
    pub efi_disk: Option<EfiDisk>,
    /// PCI devices by slot, such as graphics cards. A change needs a restart; a VM that has one moves offline only.
    #[attr(slots("hostpci", 16))]
    pub hostpci: Option<BTreeMap<String, HostPci>>,
    /// USB devices by slot.
    #[attr(slots("usb", 14))]
    pub usb: Option<BTreeMap<String, Usb>>,
    /// Directories of the node by slot. A change needs a restart; a VM that has one moves offline only.
    #[attr(slots("virtiofs", 10))]
    pub virtiofs: Option<BTreeMap<String, Virtiofs>>,
    /// Shares of the network by any name, mounted in the guest before Docker starts: media on a NAS, for example. A share that is removed is unmounted; what is on it stays.
    #[attr(open)]
    pub mount: Option<BTreeMap<String, Mount>>,
    /// What the first boot sets up. A later change keeps the guest as it is, but for the keys of `user_account`.
    #[attr(filled)]
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
    /// Resource pool that the VM belongs to. It must exist.
    #[attr(open, check(checks::pool_id), param = "pool")]
    pub pool_id: Option<String>,
    /// Whether the VM runs.
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
    /// The QEMU guest agent, by which the provider reaches the guest.
    #[attr(filled)]
    pub agent: Option<Agent>,
    /// How commands get into the guest: by its `agent`, or by `ssh`. `auto` stands for the agent, and for SSH where the VM has none and the provider's `ssh` is set.
    #[attr(default("auto"), setting, one_of(&["auto", "agent", "ssh"]))]
    pub connection: Option<String>,
    /// How SSH gets to the guest, where that differs from what the provider's `ssh` says.
    pub ssh: Option<Ssh>,
    /// Whether Proxmox VE refuses to destroy it; such a destroy is an error of the plan here.
    #[attr(open)]
    pub protection: Option<bool>,
    /// What happens when a change needs a restart: `if_needed` restarts, `never` leaves it pending and sets `restart_required`.
    #[attr(default("if_needed"), setting, one_of(&["if_needed", "never"]))]
    pub restart_policy: Option<String>,
    /// Whether a destroy cuts the power at once instead of asking the guest to shut down for 60 seconds first.
    #[attr(default(false), setting)]
    pub stop_on_destroy: Option<bool>,
    /// Whether a destroy also removes the VM from backup jobs, replication and HA.
    #[attr(default(true), setting)]
    pub purge_on_destroy: Option<bool>,
    /// How long operations may take.
    pub timeouts: Option<Timeouts>,
    /// Node that the VM is on.
    #[attr(computed)]
    pub current_node: Option<String>,
    /// `running`, `stopped`, `paused` or `unknown`.
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
    /// Name of `net0` inside the guest, such as `eth0` or `ens18`: the parent for a macvlan network.
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

/// The image that a VM is made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Image {
    /// Volume id of content `import`, such as the `id` of a `pmoves_image`.
    #[attr(keep)]
    pub id: Option<String>,
}

/// Virtual CPUs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Cpu {
    /// Cores per socket. A change needs a restart.
    #[attr(default(2), range(1, 1024))]
    pub cores: Option<i64>,
    /// Sockets. A change needs a restart.
    #[attr(open, range(1, 4))]
    pub sockets: Option<i64>,
    /// CPU model, with flags after a comma as Proxmox VE writes them. A change needs a restart.
    #[attr(default("x86-64-v2-AES"), param = "cpu")]
    pub r#type: Option<String>,
    /// Most CPU time that it may use, in cores, such as 1.5; 0 is no limit.
    #[attr(open, check(checks::cpu_limit::<128>), param = "cpulimit")]
    pub limit: Option<Number>,
    /// Share of CPU time against other guests, 1 to 10000.
    #[attr(open, range(1, 10000), param = "cpuunits")]
    pub units: Option<i64>,
    /// Whether the guest sees its memory split by sockets. A change needs a restart.
    #[attr(open)]
    pub numa: Option<bool>,
}

/// Memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Memory {
    /// Memory in MiB. A change needs a restart.
    #[attr(default(2048), range(64, 16_777_216), param = "memory")]
    pub size: Option<i64>,
    /// Memory in MiB that the guest may shrink to under pressure; 0 switches ballooning off.
    #[attr(open, range(0, 16_777_216))]
    pub balloon: Option<i64>,
}

/// The disk with the operating system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct OsDisk {
    /// Storage of the disk.
    #[attr(sticky, param = "scsi0")]
    pub datastore_id: Option<String>,
    /// Size in GiB; decimals are exact to 1 MiB. Left open, the size of the image. Only grows.
    #[attr(decided, check(checks::size_gb))]
    pub size_gb: Option<Number>,
    /// Slot of the disk, such as `scsi0`, `virtio0` or `sata0`. Left open, `scsi0`, or that of the source of a clone.
    #[attr(decided, keep, check(checks::disk_slot), param = "boot")]
    pub interface: Option<String>,
}

/// The disk for everything that Docker stores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Model)]
pub struct DataDisk {
    /// Storage of the disk. Left open, that of the OS disk.
    #[attr(decided, sticky, param = "scsi1")]
    pub datastore_id: Option<String>,
    /// Size in GiB; decimals are exact to 1 MiB. Only grows, and the filesystem with it.
    #[attr(check(checks::size_gb))]
    pub size_gb: Number,
    /// Where the disk is mounted in the guest.
    #[attr(default("/opt/docker"), keep, check(checks::absolute_path))]
    pub mount_path: Option<String>,
    /// Filesystem that an empty disk gets.
    #[attr(default("ext4"), keep, one_of(&["ext4", "xfs"]))]
    pub filesystem: Option<String>,
    /// Whether backups of the VM include the disk.
    #[attr(default(true))]
    pub backup: Option<bool>,
}

/// A NIC.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct NetworkDevice {
    /// Bridge of the node, such as `vmbr0`.
    pub bridge: String,
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
    /// Largest frame in bytes; 1 takes that of the bridge.
    #[attr(open, range(1, 65520))]
    pub mtu: Option<i64>,
    /// Whether its cable is pulled.
    #[attr(open, param = "link_down")]
    pub disconnected: Option<bool>,
    /// Queues for packets, up to 64: one for each virtual CPU lets them share the work.
    #[attr(open, range(0, 64))]
    pub queues: Option<i64>,
    /// Most megabytes in a second, such as 12.5.
    #[attr(open, check(checks::rate), param = "rate")]
    pub rate_limit: Option<Number>,
}

/// The QEMU guest agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Agent {
    /// Whether the VM has a channel for the agent. Without it Docker is looked after by SSH or not at all. A change needs a restart.
    #[attr(default(true))]
    pub enabled: Option<bool>,
}

/// What the first boot sets up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Initialization {
    /// File storage with content `iso` that takes the seed for the first boot. Left open, the node's only one.
    #[attr(keep)]
    pub datastore_id: Option<String>,
    /// Name of the guest in its own eyes. Left open, the name of the VM.
    #[attr(keep, check(checks::dns_name))]
    pub hostname: Option<String>,
    /// Name servers and search domain.
    #[attr(open)]
    pub dns: Option<Dns>,
    /// Whether the first boot upgrades all packages.
    #[attr(default(false), keep)]
    pub upgrade: Option<bool>,
    /// The account for people.
    #[attr(filled)]
    pub user_account: Option<UserAccount>,
    /// Addresses by NIC slot. A NIC that is not listed uses DHCP.
    #[attr(slots("net", 32))]
    pub ip_config: Option<BTreeMap<String, IpConfig>>,
    /// Cloud-init user data of your own, run in addition to the provider's: `#cloud-config` or a script that begins with `#!`.
    #[attr(keep, sensitive, check(checks::user_data))]
    pub user_data: Option<String>,
    /// What `user_data` is, but never stored: for one that holds secrets. Used by the first boot alone, so that a later change is not noticed.
    #[attr(write_only, check(checks::user_data))]
    pub user_data_wo: Option<Secret<String>>,
}

/// Name servers and search domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Dns {
    /// Addresses of name servers.
    #[attr(keep, check(checks::addresses))]
    pub servers: Option<Vec<String>>,
    /// Search domain.
    #[attr(keep)]
    pub domain: Option<String>,
}

/// The account for people, with sudo.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct UserAccount {
    /// Its name.
    #[attr(default(account::NAME), keep, check(checks::user_name))]
    pub username: Option<String>,
    /// SSH public keys that may log in. A change is made in the guest while it runs; keys that others added stay. Taken over from a configuration after an import, they are not looked for.
    #[attr(sticky, check(checks::ssh_keys))]
    pub keys: Option<BTreeSet<String>>,
    /// Password for the console, never stored. Without it the account has none.
    #[attr(write_only)]
    pub password_wo: Option<Secret<String>>,
    /// Any text that changes with the password.
    #[attr(keep)]
    pub password_wo_version: Option<String>,
}

/// The addresses of one NIC.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct IpConfig {
    /// IPv4.
    #[attr(filled)]
    pub ipv4: Option<Ipv4>,
    /// IPv6.
    #[attr(open)]
    pub ipv6: Option<Ipv6>,
}

/// An IPv4 address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Ipv4 {
    /// `dhcp`, or an address with its prefix such as `192.0.2.10/24`.
    #[attr(default("dhcp"), keep, check(checks::ipv4_address))]
    pub address: Option<String>,
    /// Default gateway.
    #[attr(keep, check(checks::ipv4))]
    pub gateway: Option<String>,
}

/// An IPv6 address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Ipv6 {
    /// `auto`, `dhcp`, or an address with its prefix such as `2001:db8::10/64`.
    #[attr(keep, check(checks::ipv6_address))]
    pub address: Option<String>,
    /// Default gateway.
    #[attr(keep, check(checks::ipv6))]
    pub gateway: Option<String>,
}
