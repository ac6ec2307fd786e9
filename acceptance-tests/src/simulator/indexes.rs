//! The calls that only list what lies below a path, and the statistics over time, of which there are none.

use serde_json::{Value as Json, json};

use super::call::{Allow, Call, Route, tell};
use super::world::World;

/// Lists names under a key.
macro_rules! index {
    ($call:literal, $allow:expr, $rules:literal, $key:literal, $names:literal) => {
        Route {
            call: $call,
            allow: $allow,
            rules: $rules,
            handler: |_| Box::pin(std::future::ready(Ok(listed($key, $names).into()))),
        }
    };
}

const SEES_STORAGE: Allow = Allow::Any(
    "/storage/{storage}",
    &["Datastore.Audit", "Datastore.AllocateSpace"],
);
pub(crate) const ROUTES: &[Route] = &[
    index!(
        "GET /",
        Allow::Anyone,
        "",
        "subdir",
        "version cluster nodes storage access pools"
    ),
    index!(
        "GET /cluster",
        Allow::Anyone,
        "",
        "name",
        "acme backup backup-info bulk-action ceph config firewall ha jobs log mapping metrics nextid \
         notifications options qemu replication resources sdn status tasks"
    ),
    index!(
        "GET /nodes/{node}",
        Allow::Anyone,
        "+node",
        "name",
        "aplinfo apt capabilities ceph certificates config disks dns firewall hardware hosts journal \
         lxc migrateall netstat network qemu query-oci-repo-tags query-url-metadata replication report \
         rrd rrddata scan sdn services spiceshell startall status stopall storage subscription \
         suspendall syslog tasks termproxy time version vncshell vzdump wakeonlan"
    ),
    index!(
        "GET /nodes/{node}/storage/{storage}",
        SEES_STORAGE,
        "+storage",
        "subdir",
        "content download-url file-restore identity import-metadata oci-registry-pull prunebackups rrd \
         rrddata status upload"
    ),
    Route {
        call: "GET /nodes/{node}/storage/{storage}/rrddata",
        allow: SEES_STORAGE,
        rules: "+storage; +rrd",
        handler: tell!(statistics),
    },
    Route {
        call: "GET /nodes/{node}/qemu/{vmid}/rrddata",
        allow: Allow::All("/vms/{vmid}", &["VM.Audit"]),
        rules: "+vm; +rrd",
        handler: tell!(statistics),
    },
    Route {
        call: "GET /nodes/{node}/lxc/{vmid}/rrddata",
        allow: Allow::All("/vms/{vmid}", &["VM.Audit"]),
        rules: "+ct; +rrd",
        handler: tell!(statistics),
    },
];

fn listed(key: &str, names: &str) -> Json {
    let names = names.split_whitespace();
    names.map(|name| json!({key: name})).collect()
}

/// The points in time of a timeframe, without a value.
fn statistics(call: &Call) -> Json {
    let (span, step) = match call.params.text("timeframe") {
        "hour" => (3600, 60),
        "day" => (86_400, 1800),
        "week" => (7 * 86_400, 10_800),
        "month" => (30 * 86_400, 43_200),
        _ => (365 * 86_400, 604_800),
    };
    let last = World::now() / step * step;
    let points = (1..span / step).rev();
    points.map(|i| json!({"time": last - i * step})).collect()
}
