//! Until when and as long as what a handle may work, and the one loop that sleeps.
//!
//! Knows nothing of HTTP.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Error, Pve, Result};

/// Deadline and cancellation of one handle.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    since: Instant,
    deadline: Option<Instant>,
    cancel: CancellationToken,
}

impl Scope {
    pub(super) fn new(deadline: Option<Instant>, cancel: CancellationToken) -> Self {
        Self {
            since: Instant::now(),
            deadline,
            cancel,
        }
    }

    /// Whether something new may start.
    pub(super) fn check(&self, what: &str) -> Result<()> {
        if self.cancel.is_cancelled() {
            Err(Error::Cancelled)
        } else if self
            .deadline
            .is_some_and(|deadline| deadline <= Instant::now())
        {
            Err(self.timed_out(what))
        } else {
            Ok(())
        }
    }

    /// Runs `future` until it ends, the deadline passes or the handle is cancelled.
    pub(super) async fn race<T>(&self, what: &str, future: impl Future<Output = T>) -> Result<T> {
        self.check(what)?;
        let passed = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = self.cancel.cancelled() => Err(Error::Cancelled),
            () = passed => Err(self.timed_out(what)),
        }
    }

    pub(super) fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one pause that all waits are made of"
    )]
    pub(super) async fn pause(&self, what: &str, time: Duration) -> Result<()> {
        self.race(what, tokio::time::sleep(time)).await
    }

    fn timed_out(&self, what: &str) -> Error {
        Error::TimedOut {
            waiting_for: what.to_owned(),
            after: self.since.elapsed(),
            last: None,
        }
    }
}

impl Pve {
    /// The same client for what must be done although the operation ends: it has a minute, and is not cancelled.
    pub fn lasting(&self) -> Self {
        self.within(
            Instant::now() + Duration::from_mins(1),
            CancellationToken::new(),
        )
    }

    /// Runs `future` until it ends, the deadline passes or the operation is cancelled. `what` is what it is for.
    pub async fn bound<T>(&self, what: &str, future: impl Future<Output = T>) -> Result<T> {
        self.scope.race(what, future).await
    }

    /// Waits, unless the deadline is nearer or the operation is cancelled. `what` is what it is for.
    pub async fn pause(&self, what: &str, time: Duration) -> Result<()> {
        self.scope.pause(what, time).await
    }

    /// Asks `look` until it finds something: at once, after `first`, then in steps that grow by half up to `longest`.
    ///
    /// `look` is `|| async { .. }`: the future of an `async ||` closure would not be `Send`.
    ///
    /// # Errors
    /// What `look` fails with; [`Error::TimedOut`] with `what` and the time since this call; [`Error::Cancelled`].
    pub async fn poll<T, F: Future<Output = Result<Option<T>>>>(
        &self,
        what: &str,
        first: Duration,
        longest: Duration,
        mut look: impl FnMut() -> F,
    ) -> Result<T> {
        let since = Instant::now();
        let mut pause = first;
        let result = loop {
            match look().await {
                Ok(None) => {}
                Ok(Some(found)) => break Ok(found),
                Err(error) => break Err(error),
            }
            if let Err(error) = self.scope.pause(what, pause).await {
                break Err(error);
            }
            pause = longest.min(pause * 3 / 2);
        };
        // The deadline may have hit a call of `look`, which knows less about what is awaited.
        result.map_err(|error| match error {
            Error::TimedOut { last, .. } => Error::TimedOut {
                waiting_for: what.to_owned(),
                after: since.elapsed(),
                last,
            },
            other => other,
        })
    }
}
