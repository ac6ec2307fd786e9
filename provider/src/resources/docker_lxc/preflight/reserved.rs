//! What Proxmox VE keeps to `root@pam` itself, whatever the privileges.

use crate::{
    framework::{Plan, Value, resource::Faults},
    pve::{LxcConfig, PropertyString, Pve},
};

/// Features that only `root@pam` itself may set, whatever the privileges.
pub(super) fn features(
    pve: &Pve,
    plan: &Plan<'_>,
    source: Option<&LxcConfig>,
    found: &mut Faults<'_>,
) {
    if pve.is_root() {
        return;
    }
    let privileged = plan.value.get("unprivileged").as_bool() == Some(false);
    let inherited = source.map(of);
    let before = inherited
        .as_ref()
        .unwrap_or_else(|| plan.prior.get("features"));
    let differs = |name: &str| {
        let (now, was) = (plan.value.at(&format!("features.{name}")), before.get(name));
        let on = |value: &Value| value.as_bool() == Some(true);
        // A clone keeps what nobody speaks of.
        let kept = inherited.is_some() && now.is_null();
        !(now.is_unknown() || kept)
            && (on(now) != on(was) || (name == "mount" && now != was && !now.is_null()))
    };
    if privileged && plan.changed("features") && differs("nesting") {
        found.error(
            "unprivileged",
            "Only root@pam can make a privileged container a Docker host",
            "Docker needs nesting, and Proxmox VE lets nobody but root@pam itself, with its password, set features of a privileged container. Leave unprivileged = true, or use a VM.",
        );
        return;
    }
    for name in ["keyctl", "fuse", "mknod", "mount"] {
        if differs(name) {
            found.error(
                &format!("features.{name}"),
                "Only root@pam can set this feature",
                format!(
                    "Proxmox VE lets nobody but root@pam itself, with its password, change {name}; {} is not, and a token of root is not either. Leave it out{}, let root set it once on the node (`pct set VMID --features …`), or use a VM.",
                    pve.user(),
                    if name == "keyctl" { ": Docker runs without" } else { "" }
                ),
            );
        }
    }
    let cloned = !plan.value.get("clone").is_null();
    if plan.creating() && !cloned && plan.value.at("features.keyctl").is_unknown() {
        found.warn(
            "features",
            "keyctl stays off",
            "Only root@pam itself can switch it on. Docker runs without; set features.keyctl = false to say so.",
        );
    }
}

/// Mounts and devices of the node, which no privilege covers.
pub(super) fn reserved(pve: &Pve, plan: &Plan<'_>, found: &mut Faults<'_>) {
    if pve.is_root() {
        return;
    }
    let slots = |name: &str| plan.value.get(name).as_map().into_iter().flatten();
    for (slot, mount) in slots("mount_point") {
        let at = format!("mount_point.{slot}");
        let bind = mount
            .get("volume")
            .as_str()
            .is_some_and(|volume| volume.starts_with('/'));
        if bind && plan.changed(&at) {
            found.error(
                &format!("{at}.volume"),
                "Only root@pam can pass on a directory of the node",
                "Name a storage, on which a volume is made. To share a directory with a token, use a VM with virtiofs and a directory mapping.",
            );
        }
    }
    for (slot, _) in slots("device_passthrough") {
        let at = format!("device_passthrough.{slot}");
        if plan.changed(&at) {
            found.error(
                &at,
                "Only root@pam can pass on a device of the node",
                format!("{} is not root@pam itself, and a token of root is not either. With a token, use a VM: hostpci and usb take devices by mapping. For Tailscale, userspace networking needs no /dev/net/tun.", pve.user()),
            );
        }
    }
}

/// The features that a configuration has.
fn of(config: &LxcConfig) -> Value {
    let raw = config.features.as_deref().unwrap_or_default();
    let value = PropertyString::parse(raw, None).unwrap_or_default();
    let flags = ["nesting", "keyctl", "fuse", "mknod"];
    let flags = flags.map(|name| (name.to_owned(), value.flag(name).unwrap_or(false).into()));
    let kinds = value.get("mount").map_or(Value::Null, |kinds| {
        Value::set(kinds.split(';').map(Value::from).collect())
    });
    Value::Map(
        flags
            .into_iter()
            .chain([("mount".to_owned(), kinds)])
            .collect(),
    )
}
