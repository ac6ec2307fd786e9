//! Reads about the whole cluster: guests, permissions, version, free ids. Kept as long as they hold.
//!
//! Does not say what a guest is doing: PVE's list lags some 10 s behind in that.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, de::DeserializeOwned};
use tokio::{sync::OnceCell, time::Instant};

use super::{Call, Error, Params, Pve, Result, lenient};

const FRESH: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Cluster {
    /// Locked while asking, so that those who come meanwhile get the same answer.
    guests: tokio::sync::Mutex<Option<Seen>>,
    /// Counts writes; an answer from before the last one is stale.
    writes: AtomicU64,
    version: OnceCell<Version>,
    permissions: OnceCell<Permissions>,
    /// Locked while asking for an id.
    choosing: tokio::sync::Mutex<()>,
    taken: Mutex<BTreeSet<u32>>,
    /// Where free ids are taken from, if not where PVE says.
    vmids: Option<RangeInclusive<u32>>,
}

impl Cluster {
    pub(super) fn new(vmids: Option<RangeInclusive<u32>>) -> Self {
        Self {
            vmids,
            ..Self::default()
        }
    }
}

struct Seen {
    at: Instant,
    writes: u64,
    guests: Result<Arc<Vec<GuestRow>>>,
}

/// A guest in the list of the cluster's resources.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct GuestRow {
    /// The guest's number.
    #[serde(deserialize_with = "lenient::must")]
    pub vmid: u32,
    /// `qemu` or `lxc`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it lives now.
    pub node: String,
    /// Missing in the first seconds of its life.
    #[serde(default)]
    pub name: Option<String>,
    /// `running`, `stopped`, `unknown`; some 10 s old.
    #[serde(default)]
    pub status: Option<String>,
    /// Also some 10 s old.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub template: bool,
    /// The operation that keeps others out, such as `clone`.
    #[serde(default)]
    pub lock: Option<String>,
    /// As PVE joins them.
    #[serde(default)]
    pub tags: Option<String>,
    /// Resource pool.
    #[serde(default)]
    pub pool: Option<String>,
    /// What HA does with it, if HA looks after it.
    #[serde(default)]
    pub hastate: Option<String>,
}

impl GuestRow {
    /// Whether the HA manager starts, stops and moves it.
    pub fn under_ha(&self) -> bool {
        self.hastate
            .as_deref()
            .is_some_and(|state| state != "ignored")
    }
}

impl Pve {
    /// All guests that the credential may see. Callers at the same time share one call, and its answer for 2 s
    /// unless something was written.
    pub async fn guests(&self) -> Result<Arc<Vec<GuestRow>>> {
        self.guests_seen(true).await.map(|(guests, _)| guests)
    }

    /// All guests as they are now.
    pub async fn guests_now(&self) -> Result<Arc<Vec<GuestRow>>> {
        self.guests_seen(false).await.map(|(guests, _)| guests)
    }

    /// The guest with that number, wherever it lives.
    pub async fn guest_opt(&self, vmid: u32) -> Result<Option<GuestRow>> {
        let find = |guests: &[GuestRow]| guests.iter().find(|guest| guest.vmid == vmid).cloned();
        let (guests, kept) = self.guests_seen(true).await?;
        match find(&guests) {
            None if kept => Ok(find(&self.guests_now().await?)),
            found => Ok(found),
        }
    }

    /// Drops the kept list of guests. Every write does so by itself.
    pub fn invalidate(&self) {
        self.inner.cluster.writes.fetch_add(1, Ordering::AcqRel);
    }

    /// The list, and whether it was kept from an earlier call.
    async fn guests_seen(&self, kept: bool) -> Result<(Arc<Vec<GuestRow>>, bool)> {
        let call = Call::get("/cluster/resources", Params::new().with("type", Some("vm")));
        let cluster = &self.inner.cluster;
        let mut seen = self.scope.race(&call.name(), cluster.guests.lock()).await?;
        let writes = cluster.writes.load(Ordering::Acquire);
        let fresh = |seen: &&Seen| seen.writes == writes && seen.at.elapsed() < FRESH;
        if let Some(seen) = seen.as_ref().filter(fresh).filter(|_| kept) {
            return seen.guests.clone().map(|guests| (guests, true));
        }
        let guests = self.get::<Vec<GuestRow>>(&call).await.map(Arc::new);
        let keep = guests.as_ref().err().is_none_or(Error::concerns_all);
        *seen = keep.then(|| Seen {
            at: Instant::now(),
            writes,
            guests: guests.clone(),
        });
        guests.map(|guests| (guests, false))
    }

    /// PVE's version, asked once.
    pub async fn version(&self) -> Result<Version> {
        self.once_for_all("/version", &self.inner.cluster.version)
            .await
    }

    /// What the credential may do, asked once.
    pub async fn permissions(&self) -> Result<Permissions> {
        self.once_for_all("/access/permissions", &self.inner.cluster.permissions)
            .await
    }

    async fn once_for_all<T: Clone + DeserializeOwned>(
        &self,
        path: &str,
        answer: &OnceCell<T>,
    ) -> Result<T> {
        let call = Call::get(path, Params::new());
        // Whoever comes second waits for the first, but no longer than it may.
        let kept = answer.get_or_try_init(|| self.get(&call));
        self.scope.race(&call.name(), kept).await?.cloned()
    }

    /// A number that no guest has and that this process has not handed out. PVE reserves nothing: someone else may
    /// still be faster.
    pub async fn free_vmid(&self) -> Result<u32> {
        let cluster = &self.inner.cluster;
        let next = Call::get("/cluster/nextid", Params::new());
        let _choosing = self
            .scope
            .race(&next.name(), cluster.choosing.lock())
            .await?;
        if let Some(range) = cluster.vmids.clone() {
            return self.free_vmid_of(range).await;
        }
        let Vmid(lowest) = self.get(&next).await?;
        let mut vmid = lowest;
        loop {
            if self.take(vmid) && (vmid == lowest || self.vmid_is_free(vmid).await?) {
                return Ok(vmid);
            }
            vmid += 1;
        }
    }

    /// The lowest of a range, since PVE knows none: asked is only for numbers of no guest that the credential sees.
    async fn free_vmid_of(&self, range: RangeInclusive<u32>) -> Result<u32> {
        let guests = self.guests().await?;
        let seen: BTreeSet<u32> = guests.iter().map(|row| row.vmid).collect();
        for vmid in range.clone().filter(|vmid| !seen.contains(vmid)) {
            if self.take(vmid) && self.vmid_is_free(vmid).await? {
                return Ok(vmid);
            }
        }
        Err(Error::NoFreeVmid(range))
    }

    /// Keeps `vmid` out of [`Pve::free_vmid`].
    pub fn taken(&self, vmid: u32) {
        self.take(vmid);
    }

    fn take(&self, vmid: u32) -> bool {
        self.inner
            .cluster
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(vmid)
    }

    /// Whether no guest has that number, also none that the credential may not see.
    pub async fn vmid_is_free(&self, vmid: u32) -> Result<bool> {
        let call = Call::get("/cluster/nextid", Params::new().with("vmid", Some(vmid)));
        match self.get(&call).await {
            Ok(Vmid(_)) => Ok(true),
            // Only "VM 100 already exists" (PVE/API2/Cluster.pm, nextid); past the last number is another complaint.
            Err(Error::Rejected { params, .. })
                if params
                    .get("vmid")
                    .is_some_and(|why| why.ends_with("exists")) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Vmid(#[serde(deserialize_with = "lenient::must")] u32);

/// The release of pve-manager, the one that a client can see.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "VersionText")]
pub struct Version {
    /// 9 of `9.2.11`.
    pub major: u32,
    /// 2 of `9.2.11`.
    pub minor: u32,
    text: String,
}

#[derive(Deserialize)]
struct VersionText {
    version: String,
}

impl TryFrom<VersionText> for Version {
    type Error = String;

    fn try_from(VersionText { version }: VersionText) -> Result<Self, String> {
        let mut numbers = version.split(['.', '-']).map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self {
                major,
                minor,
                text: version,
            }),
            _ => Err(format!("`{version}` is no version")),
        }
    }
}

impl Version {
    /// Whether this is `major.minor` or later.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Privileges of the credential by ACL path, and whether they reach paths below.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Permissions(BTreeMap<String, BTreeMap<String, Reach>>);

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
struct Reach(#[serde(deserialize_with = "lenient::flag")] bool);

impl Permissions {
    /// Whether `privilege` holds on `path`.
    ///
    /// PVE lists every path that has an entry of its own with all that holds there, so the nearest listed path
    /// decides (`PVE/RPCEnvironment.pm`, `get_effective_permissions`).
    pub fn has(&self, path: &str, privilege: &str) -> bool {
        let mut at = path;
        loop {
            if let Some(held) = self.0.get(at) {
                return held
                    .get(privilege)
                    .is_some_and(|reach| reach.0 || at == path);
            }
            at = match at.rsplit_once('/') {
                Some(("", "")) | None => return false,
                Some(("", _)) => "/",
                Some((parent, _)) => parent,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_listed_path_decides() {
        let listed = r#"{"/": {"Sys.Audit": 1}, "/vms": {"VM.Audit": 1, "VM.Allocate": 0}, "/vms/100": {"VM.Console": "1"}}"#;
        let permissions: Permissions = serde_json::from_str(listed).unwrap();
        for (path, privilege, has) in [
            ("/vms/101", "VM.Audit", true),
            ("/vms/101", "VM.Allocate", false),
            ("/vms", "VM.Allocate", true),
            ("/vms/100", "VM.Audit", false),
            ("/vms/100", "VM.Console", true),
            ("/nodes/pve1", "Sys.Audit", true),
            ("/", "Sys.Audit", true),
            ("/", "VM.Audit", false),
        ] {
            assert_eq!(permissions.has(path, privilege), has, "{path} {privilege}");
        }
        assert!(!Permissions::default().has("/vms/1", "VM.Audit"));
    }

    #[test]
    fn versions_compare_by_number() {
        let version: Version =
            serde_json::from_str(r#"{"version":"9.10.1","release":"9.10"}"#).unwrap();
        assert!(version.at_least(9, 2) && version.at_least(8, 4) && !version.at_least(10, 0));
        assert_eq!(version.to_string(), "9.10.1");
        assert!(serde_json::from_str::<Version>(r#"{"version":"soon"}"#).is_err());
    }
}
