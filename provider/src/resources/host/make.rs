//! What making a guest takes, whatever it is made from: a VMID, the end of the task, and what may have gone wrong.

use std::{collections::BTreeMap, time::Duration};

use super::Kind;
use crate::{
    framework::{Failure, Result, State},
    pve::{self, Call, Pve, Upid},
};

/// A guest on its way.
pub(in crate::resources) struct Making<'a> {
    pub(in crate::resources) kind: Kind,
    /// Node that it is made on.
    pub(in crate::resources) node: &'a str,
    pub(in crate::resources) vmid: u32,
    /// Whether it is a clone.
    pub(in crate::resources) clone: bool,
    pub(in crate::resources) name: &'a str,
    /// MAC addresses by slot.
    pub(in crate::resources) macs: Vec<(&'a String, &'a Option<String>)>,
}

/// How a create ended.
pub(in crate::resources) enum Ended {
    /// The guest is there.
    Made,
    /// It was refused, and nothing was made.
    Refused(pve::Error),
    /// Nothing of it is there, since the source of the clone was locked: it may be asked for again.
    Locked,
    /// It failed, and whether something of the guest is left.
    Failed { error: pve::Error, left: bool },
}

/// What the config of a guest tells while it is made.
struct Seen {
    name: Option<String>,
    nets: BTreeMap<String, String>,
    /// The operation that keeps others out.
    lock: Option<String>,
}

/// The VMID for a new guest: the one that was asked for, or a free one.
pub(in crate::resources) async fn vmid(pve: &Pve, asked: Option<u32>) -> Result<u32> {
    if let Some(vmid) = asked {
        pve.taken(vmid);
        return Ok(vmid);
    }
    let free = pve.free_vmid().await;
    free.map_err(|error| Failure::from(error).at("vm_id"))
}

impl Making<'_> {
    /// Asks for the guest and waits for it. Once Proxmox VE accepted, the state knows it, unless nothing is left of it.
    pub(in crate::resources) async fn ask<M: Clone>(
        &self,
        pve: &Pve,
        call: &Call,
        plan: &M,
        state: &mut State<M>,
    ) -> Result<Ended> {
        match pve.send(call).await {
            Ok(pve::Answer::Task(task)) => {
                state.save(plan.clone());
                Ok(self.finish(pve, &task, state).await)
            }
            Ok(pve::Answer::Done(answer)) => {
                state.save(plan.clone());
                Err(Failure::new(format!(
                    "Proxmox VE made no task of the create but answered {answer}"
                )))
            }
            // The connection broke, perhaps after the request had arrived.
            Err(error) => match error {
                pve::Error::OutcomeUnknown { .. } if self.arrived(pve).await? => {
                    state.save(plan.clone());
                    Ok(Ended::Made)
                }
                error => Ok(Ended::Refused(error)),
            },
        }
    }

    async fn finish<M>(&self, pve: &Pve, task: &Upid, state: &mut State<M>) -> Ended {
        let error = match pve.wait(task).await {
            Ok(warnings) => {
                for warning in warnings {
                    state.warn("Proxmox VE warns", warning);
                }
                return Ended::Made;
            }
            Err(error) => error,
        };
        let undone = match &error {
            // PVE/API2/Qemu.pm and PVE/API2/LXC.pm, create_vm and clone_vm: the worker has freed volumes and config.
            pve::Error::Task { exit, .. } => {
                exit.starts_with("unable to create ") || exit.starts_with("clone failed")
            }
            pve::Error::Cancelled if self.clone => self.undo(pve, task).await.unwrap_or(false),
            _ => false,
        };
        if undone {
            state.remove();
        }
        let locked =
            matches!(&error, pve::Error::Task { exit, .. } if exit.contains("can't lock file"));
        match undone && self.clone && locked {
            true => Ended::Locked,
            false => Ended::Failed {
                error,
                left: !undone,
            },
        }
    }

    /// Stops a clone that was cancelled, and says whether nothing is left of it.
    async fn undo(&self, pve: &Pve, task: &Upid) -> pve::Result<bool> {
        pve.stop(task).await?;
        Ok(self.look(&pve.lasting()).await?.is_none())
    }

    /// Whether a create that nobody answered has made this very guest.
    async fn arrived(&self, pve: &Pve) -> pve::Result<bool> {
        let pve = pve.lasting();
        let (first, longest) = (Duration::from_millis(250), Duration::from_secs(3));
        let what = format!("the create of the {}", self.kind.noun());
        let seen = pve.poll(&what, first, longest, || async {
            let seen = self.look(&pve).await?;
            let lock = seen.as_ref().and_then(|seen| seen.lock.as_deref());
            // While it is being made its config holds the lock and little else.
            let made = !matches!(lock, Some("create" | "clone"));
            Ok(made.then_some(seen))
        });
        Ok(seen.await?.is_some_and(|seen| self.is(&seen)))
    }

    async fn look(&self, pve: &Pve) -> pve::Result<Option<Seen>> {
        let (node, vmid) = (self.node, self.vmid);
        Ok(match self.kind {
            Kind::Qemu => pve.vm_config_opt(node, vmid).await?.map(|config| Seen {
                name: config.name,
                nets: config.nets,
                lock: config.lock,
            }),
            Kind::Lxc => pve.lxc_config_opt(node, vmid).await?.map(|config| Seen {
                name: config.hostname,
                nets: config.nets,
                lock: config.lock,
            }),
        })
    }

    /// Name and MAC addresses tell: of the latter at least one was drawn a moment ago, if the practitioner chose none.
    fn is(&self, seen: &Seen) -> bool {
        let lower = str::to_ascii_lowercase;
        let has_mac = |(slot, mac): &(&String, &Option<String>)| match (seen.nets.get(*slot), mac) {
            (Some(raw), Some(mac)) => lower(raw).contains(&lower(mac)),
            _ => false,
        };
        // A clone has MAC addresses of Proxmox VE's own choice first.
        seen.name.as_deref() == Some(self.name) && (self.clone || self.macs.iter().all(has_mac))
    }
}

/// Points a refused create at what it is about.
pub(in crate::resources) fn refused(error: pve::Error, kind: Kind, vmid: u32) -> Failure {
    let text = error.to_string();
    let failure = Failure::from(error);
    match () {
        () if text.contains("pool '") => failure.at("pool_id"),
        () if text.contains("inked clone") => failure
            .at("clone.full")
            .hint("a linked clone needs a template on a storage that can make one; full = true copies the disks"),
        () if text.contains("already exists") => failure.at("vm_id").hint(format!(
            "take another vm_id, or leave it open; if it is this very {}, import it with the id {}/{vmid}",
            kind.noun(),
            kind.word()
        )),
        () => failure,
    }
}

/// Whether what was refused may be asked for again: under another VMID if none was `asked` for, or without the tag.
pub(in crate::resources) fn again<M>(
    asked: Option<u32>,
    tag: &mut Option<&str>,
    error: &pve::Error,
    state: &mut State<M>,
) -> bool {
    let taken = asked.is_none() && error.to_string().contains("already exists");
    taken || without_tag(tag, error, state)
}

/// Lets go of the tag if it is what the cluster refused, and says so.
pub(in crate::resources) fn without_tag<M>(
    tag: &mut Option<&str>,
    error: &pve::Error,
    state: &mut State<M>,
) -> bool {
    let text = error.to_string();
    let refused = matches!(error, pve::Error::Forbidden { .. }) && text.contains("tag");
    let Some(tag) = tag.take_if(|_| refused) else {
        return false;
    };
    state.warn(
        "The guest is created without the provider's tag",
        format!("The cluster does not let this credential set the tag {tag}: {text}"),
    );
    true
}
