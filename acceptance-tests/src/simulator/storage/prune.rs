//! Pruning backups: which of a guest's are kept, and the calls that tell it and do it.
//!
//! Backups of guests are told by the names of their files; all others stay.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value as Json, json};
use time::OffsetDateTime;

use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::rules::{property, set};
use crate::simulator::world::State;

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /nodes/{node}/storage/{storage}/prunebackups",
        allow: Allow::Any(
            "/storage/{storage}",
            &["Datastore.Audit", "Datastore.AllocateSpace"],
        ),
        rules: PRUNED,
        handler: now!(tell_marks),
    },
    Route {
        call: "DELETE /nodes/{node}/storage/{storage}/prunebackups",
        allow: Allow::Anyone,
        rules: PRUNED,
        handler: now!(delete),
    },
];

const PRUNED: &str = "+storage; prune-backups? string {prune-backups}; type? string enum=qemu|lxc
    vmid? integer pve-vmid min=100 max=999999999";

/// How many backups are kept, by `keep-last` and so on.
pub(crate) type Keep = BTreeMap<String, u64>;

/// The rules of a property string.
pub(crate) fn keep(text: &str) -> Keep {
    let given = property::parse(set("prune-backups"), text).unwrap_or_default();
    let number = |(name, count): (String, String)| Some((name, count.parse().ok()?));
    given.into_iter().filter_map(number).collect()
}

/// A backup that may go.
#[derive(Clone, Debug)]
struct Backup {
    volume: String,
    time: OffsetDateTime,
    kind: &'static str,
    owner: u32,
    protected: bool,
}

type Mark = Option<&'static str>;

/// Keeps the newest of each of so many periods that have none yet.
fn choose<P: Ord>(marks: &mut [Mark], count: u64, period: impl Fn(usize) -> P) {
    if count == 0 {
        return;
    }
    let kept = (0..marks.len()).filter(|i| marks[*i] == Some("keep"));
    let before: BTreeSet<P> = kept.map(&period).collect();
    let mut new = BTreeSet::new();
    for (i, mark) in marks.iter_mut().enumerate() {
        if mark.is_some() || before.contains(&period(i)) {
            continue;
        }
        if new.contains(&period(i)) {
            *mark = Some("remove");
        } else if u64::try_from(new.len()).is_ok_and(|chosen| chosen < count) {
            new.insert(period(i));
            *mark = Some("keep");
        } else {
            break;
        }
    }
}

/// What becomes of the backups of one guest, which come the newest first.
fn marks(backups: &[Backup], keep: &Keep) -> Vec<&'static str> {
    let protected = |backup: &Backup| backup.protected.then_some("protected");
    let mut marks: Vec<Mark> = backups.iter().map(protected).collect();
    let count = |name: &str| keep.get(name).copied().unwrap_or(0);
    let mut counts = keep.iter().filter(|(name, _)| *name != "keep-all");
    if count("keep-all") > 0 || counts.all(|(_, count)| *count == 0) {
        return marks
            .into_iter()
            .map(|mark| mark.unwrap_or("keep"))
            .collect();
    }
    let day = |i: usize| backups[i].time.date();
    choose(&mut marks, count("keep-last"), |i| i);
    choose(&mut marks, count("keep-hourly"), |i| {
        (day(i), backups[i].time.hour())
    });
    choose(&mut marks, count("keep-daily"), day);
    choose(&mut marks, count("keep-weekly"), |i| {
        let (year, week, _) = day(i).to_iso_week_date();
        (year, week)
    });
    choose(&mut marks, count("keep-monthly"), |i| {
        (day(i).year(), u8::from(day(i).month()))
    });
    choose(&mut marks, count("keep-yearly"), |i| day(i).year());
    marks
        .into_iter()
        .map(|mark| mark.unwrap_or("remove"))
        .collect()
}

/// Which backups a call is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chosen {
    pub(crate) kind: Option<String>,
    pub(crate) owner: Option<u32>,
    /// The rules, instead of those of the storage.
    pub(crate) keep: Option<Keep>,
}

impl State {
    /// The backups of guests there, each with what becomes of it.
    fn marked(
        &self,
        node: &str,
        storage: &str,
        chosen: &Chosen,
    ) -> Result<Vec<(Backup, &'static str)>, Fail> {
        let found = self.storage(storage)?;
        if !found.has("backup") {
            let text = format!("storage '{storage}' does not support backups");
            return Err(Fail::died(text));
        }
        let own = found.options.get("prune-backups").map(|text| keep(text));
        let keep = chosen.keep.clone().or(own).ok_or_else(|| {
            let text = format!("no prune-backups options configured for storage '{storage}'");
            Fail::died(text)
        })?;
        found.check_on(node)?;
        let mut groups: BTreeMap<(u32, &str), Vec<Backup>> = BTreeMap::new();
        for ((place, id), volume) in &self.volumes {
            let here = place.is_empty() || place == node;
            let name = id
                .strip_prefix(storage)
                .and_then(|name| name.strip_prefix(':'));
            let backup = name.filter(|_| here).and_then(|name| {
                let kind = kind_of(name)?;
                let time = OffsetDateTime::from_unix_timestamp(volume.ctime).ok()?;
                Some(Backup {
                    volume: id.clone(),
                    time,
                    kind,
                    owner: volume.owner?,
                    protected: volume.protected,
                })
            });
            if let Some(backup) = backup
                && chosen.kind.as_ref().is_none_or(|kind| kind == backup.kind)
                && chosen.owner.is_none_or(|owner| owner == backup.owner)
            {
                let group = groups.entry((backup.owner, backup.kind));
                group.or_default().push(backup);
            }
        }
        let of_group = |mut group: Vec<Backup>| {
            group.sort_by_key(|backup| std::cmp::Reverse(backup.time));
            let marks = marks(&group, &keep);
            group.into_iter().zip(marks).collect::<Vec<_>>()
        };
        Ok(groups.into_values().flat_map(of_group).collect())
    }

    /// Frees the backups that the rules do not keep; tells which.
    pub(crate) fn prune(
        &mut self,
        node: &str,
        storage: &str,
        chosen: &Chosen,
    ) -> Result<Vec<String>, Fail> {
        let marked = self.marked(node, storage, chosen)?;
        let gone = marked.into_iter().filter(|(_, mark)| *mark == "remove");
        let gone: Vec<String> = gone.map(|(backup, _)| backup.volume).collect();
        for id in &gone {
            self.free_volume(node, id).map_err(Fail::died)?;
        }
        Ok(gone)
    }
}

/// Whether a backup is of a VM or a container.
fn kind_of(name: &str) -> Option<&'static str> {
    let starts = |start: &str| name.starts_with(&format!("backup/{start}"));
    match () {
        () if starts("vzdump-qemu-") || starts("vm/") => Some("qemu"),
        () if starts("vzdump-lxc-") || starts("ct/") => Some("lxc"),
        () => None,
    }
}

fn chosen(call: &Call) -> Chosen {
    let params = &call.params;
    Chosen {
        kind: params.text_opt("type").map(str::to_owned),
        owner: params
            .number_opt("vmid")
            .and_then(|id| u32::try_from(id).ok()),
        keep: params.text_opt("prune-backups").map(keep),
    }
}

fn tell_marks(call: &Call) -> Outcome {
    let state = call.world.state();
    let marked = state.marked(call.node(), call.params.text("storage"), &chosen(call))?;
    let entry = |(backup, mark): (Backup, &str)| {
        json!({
            "volid": backup.volume, "ctime": backup.time.unix_timestamp(), "mark": mark,
            "type": backup.kind, "vmid": backup.owner,
        })
    };
    Ok(marked.into_iter().map(entry).collect::<Json>().into())
}

fn delete(call: &Call) -> Outcome {
    let (storage, chosen) = (call.params.text("storage").to_owned(), chosen(call));
    let path = format!("/storage/{storage}");
    let id = if let Some(owner) = chosen.owner {
        call.need(&path, &["Datastore.AllocateSpace"])?;
        call.need(&format!("/vms/{owner}"), &["VM.Backup"])?;
        format!("{owner}@{storage}")
    } else {
        call.need(&path, &["Datastore.Allocate"])?;
        storage.clone()
    };
    let node = call.node().to_owned();
    Ok(call.start_task("prunebackups", &id, |worker| async move {
        worker.takes(Duration::from_millis(500)).await?;
        let pruned = worker.world.state().prune(&node, &storage, &chosen);
        pruned.map(drop).map_err(|fail| fail.text())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of backups of so many hours ago.
    #[track_caller]
    fn check(rules: &str, hours: &[i64], expected: &str) {
        let noon = OffsetDateTime::from_unix_timestamp(1_795_435_200).expect("it is a time");
        let backup = |hours: &i64| Backup {
            volume: String::new(),
            time: noon - time::Duration::hours(*hours),
            kind: "qemu",
            owner: 100,
            protected: *hours == 7,
        };
        let backups: Vec<Backup> = hours.iter().map(backup).collect();
        assert_eq!(marks(&backups, &keep(rules)).join(" "), expected, "{rules}");
    }

    #[test]
    fn the_newest_of_each_period_is_kept() {
        check("keep-last=2", &[0, 1, 2], "keep keep remove");
        check("keep-all=1", &[0, 1], "keep keep");
        check("keep-last=0", &[0, 1], "keep keep");
        check("keep-last=1", &[0, 1, 7], "keep remove protected");
        check(
            "keep-daily=2",
            &[0, 1, 24, 25, 48],
            "keep remove keep remove remove",
        );
        // What another rule keeps counts for its day.
        check("keep-last=1,keep-daily=1", &[0, 1, 24], "keep remove keep");
        check("keep-yearly=1", &[0, 24, 9000], "keep remove remove");
    }
}
