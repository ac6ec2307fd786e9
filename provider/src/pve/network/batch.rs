//! Changes of one node's network that share a reload.
//!
//! The first to come leads: it waits a moment for the others, and does the work for all.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Network, NetworkRow};
use crate::pve::{Answer, Call, Cause, Error, Params, Pve, Result};

/// How long the leader listens for one more change. Core sends what it may do at once within milliseconds.
const LISTEN: Duration = Duration::from_millis(250);
/// For changing, reloading and, if need be, taking back: an interface may wait for its ports.
const PATIENCE: Duration = Duration::from_mins(5);

/// One interface and what shall become of it.
#[derive(Clone, Debug)]
pub struct Edit {
    /// `vmbr1`.
    pub iface: String,
    /// What it shall be.
    pub wish: Wish,
    /// Whether changes of others that wait may be applied with it.
    pub with_foreign: bool,
}

/// What an interface shall be.
#[derive(Clone, Debug)]
pub enum Wish {
    /// New, and so.
    New(Params),
    /// So, whatever it is now; what is not named is removed.
    Like(Params),
    /// Gone.
    Gone,
}

/// A change that waits for its batch.
pub(super) struct Ticket {
    edit: Edit,
    answer: oneshot::Sender<Result<Arc<Network>>>,
}

/// What is sent for a change, and what takes it back.
#[derive(Debug, PartialEq)]
struct Step {
    call: Call,
    undo: Call,
}

impl Pve {
    /// Changes an interface together with all that others change on this node at the same moment, by one reload.
    /// Gives the network as it is afterwards.
    ///
    /// # Errors
    /// [`Error::ForeignChanges`] if changes of others wait; [`Error::Reload`] if the node could not apply it, and
    /// then the former configuration was put back as far as the error says; what the API says to this change.
    pub async fn edit_network(&self, node: &str, edit: Edit) -> Result<Arc<Network>> {
        let (answer, mut answered) = oneshot::channel();
        let kept = self.inner.networks.node(node);
        let waiting = || kept.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting().push(Ticket { edit, answer });
        let what = format!("other changes of the network of {node}");
        let mut known = 0;
        loop {
            // A leader may have taken it meanwhile.
            let now = waiting().len();
            if now == known || now == 0 {
                break;
            }
            known = now;
            self.scope.pause(&what, LISTEN).await?;
        }
        let mut seen = self.scope.race(&what, kept.seen.lock()).await?;
        if let Ok(answer) = answered.try_recv() {
            return answer;
        }
        let mut tickets = std::mem::take(&mut *waiting());
        // Who was cancelled meanwhile wants nothing any more.
        tickets.retain(|ticket| !ticket.answer.is_closed());
        *seen = None;
        // From here to the end nobody may stop half-way: the file would hold what nobody remembers.
        let pve = self.within(Instant::now() + PATIENCE, CancellationToken::new());
        pve.batch(node, tickets).await;
        answered
            .try_recv()
            .unwrap_or_else(|_| Err(Error::unexpected(what, "the batch gave no answer")))
    }

    /// Does the work of all tickets and answers each.
    async fn batch(&self, node: &str, tickets: Vec<Ticket>) {
        let before = match self.look_at_network(node).await {
            Ok(network) => network,
            Err(error) => return answer(tickets, &Err(error)),
        };
        let (ours, refused): (Vec<_>, Vec<_>) = tickets
            .into_iter()
            .partition(|ticket| before.changes.is_none() || ticket.edit.with_foreign);
        answer(refused, &Err(foreign(node, &before)));
        let (mut done, mut undo, mut left) = (Vec::new(), Vec::new(), ours);
        // A port may have to leave one bridge before another can have it, so what is refused is tried again for as
        // long as something else gets through.
        loop {
            let (tried, mut refused) = (left.len(), Vec::new());
            for ticket in left {
                match self.change(node, &before, &ticket.edit).await {
                    Ok(step) => {
                        undo.extend(step.map(|step| step.undo));
                        done.push(ticket);
                    }
                    Err(error) => refused.push((ticket, error)),
                }
            }
            if refused.is_empty() || refused.len() == tried {
                for (ticket, error) in refused {
                    answer(vec![ticket], &Err(error));
                }
                break;
            }
            left = refused.into_iter().map(|(ticket, _)| ticket).collect();
        }
        undo.reverse();
        let outcome =
            match undo.is_empty() && done.iter().all(|ticket| is_up(&before, &ticket.edit)) {
                true => Ok(before),
                false => self.apply(node, &before, &done, undo).await,
            };
        answer(done, &outcome.map(Arc::new));
    }

    async fn change(&self, node: &str, before: &Network, edit: &Edit) -> Result<Option<Step>> {
        let step = step(node, before, edit)?;
        if let Some(step) = &step {
            self.send(&step.call).await?;
        }
        Ok(step)
    }

    /// Reloads what was changed, or takes it back.
    async fn apply(
        &self,
        node: &str,
        before: &Network,
        tickets: &[Ticket],
        undo: Vec<Call>,
    ) -> Result<Network> {
        let staged = self.look_at_network(node).await?;
        let crept = before.changes.is_none() && others(before, tickets) != others(&staged, tickets);
        if crept {
            self.take_back(undo).await?;
            return Err(foreign(node, &staged));
        }
        if let Err(error) = self.reload(node).await {
            let former = async {
                self.take_back(undo).await?;
                match self.reload(node).await {
                    // What a failed reload leaves half-made may fail the next one too, which clears it away.
                    Err(Error::Task { .. }) => self.reload(node).await,
                    outcome => outcome,
                }
            };
            return Err(Error::Reload {
                node: node.to_owned(),
                restored: former.await.err().map(|error| Arc::new(error) as Cause),
                source: Arc::new(error),
            });
        }
        self.look_at_network(node).await
    }

    async fn take_back(&self, undo: Vec<Call>) -> Result<()> {
        for call in undo {
            self.send(&call).await?;
        }
        Ok(())
    }

    /// Applies the file. The node may be out of reach for a moment: it may be its own interface that changes.
    async fn reload(&self, node: &str) -> Result<()> {
        let call = Call::put(format!("/nodes/{node}/network"), Params::new()).task();
        let Answer::Task(task) = self.send(&call).await? else {
            return Ok(());
        };
        let pause = Duration::from_secs(1);
        self.poll("the node to answer again", pause, pause, || async {
            match self.wait(&task).await {
                Ok(_) => Ok(Some(())),
                Err(error) if error.is_transient() => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }
}

/// What one change takes, or nothing if all is as it shall be.
fn step(node: &str, before: &Network, edit: &Edit) -> Result<Option<Step>> {
    let all = format!("/nodes/{node}/network");
    let one = format!("{all}/{}", edit.iface);
    let new = |params: Params| params.with("iface", Some(&edit.iface));
    let remove = || Call::delete(one.clone(), Params::new());
    let row = before.rows.iter().find(|row| row.iface == edit.iface);
    Ok(Some(match (&edit.wish, row.map(NetworkRow::params)) {
        (Wish::New(params), _) => Step {
            call: Call::post(all, new(params.clone())),
            undo: remove(),
        },
        (Wish::Like(_), None) => {
            return Err(Error::Gone(format!("{} of {node} is gone", edit.iface)));
        }
        (Wish::Like(params), Some(now)) if *params == now => return Ok(None),
        (Wish::Like(params), Some(now)) => Step {
            call: Call::put(one.clone(), now.put(params)),
            undo: Call::put(one, params.put(&now)),
        },
        (Wish::Gone, None) => return Ok(None),
        (Wish::Gone, Some(now)) => Step {
            call: remove(),
            undo: Call::post(all, new(now)),
        },
    }))
}

/// Whether nothing is left to do for a change that needed no call.
fn is_up(network: &Network, edit: &Edit) -> bool {
    let row = network.rows.iter().find(|row| row.iface == edit.iface);
    row.is_none_or(|row| row.active || row.setting("autostart").is_none_or(|auto| auto == "0"))
}

/// The interfaces that no ticket is about, but for whether they are up.
fn others(network: &Network, tickets: &[Ticket]) -> Vec<(String, Params)> {
    let ours = |row: &NetworkRow| tickets.iter().any(|ticket| ticket.edit.iface == row.iface);
    let mut rows: Vec<_> = network
        .rows
        .iter()
        // A port of a bridge is listed, and its own stanza may come and go with it.
        .filter(|row| row.kind != "eth" && !ours(row))
        .map(|row| (row.iface.clone(), row.params()))
        .collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    rows
}

fn foreign(node: &str, network: &Network) -> Error {
    Error::ForeignChanges {
        node: node.to_owned(),
        diff: network.changes.clone().unwrap_or_default(),
    }
}

fn answer(tickets: Vec<Ticket>, outcome: &Result<Arc<Network>>) {
    for ticket in tickets {
        // Who has given up meanwhile hears nothing.
        drop(ticket.answer.send(outcome.clone()));
    }
}
