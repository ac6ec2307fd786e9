//! The time of a simulated cluster: as the machine's, or standing still until a test moves it on.
//!
//! Only what the cluster itself waits for goes by it; connections and guests have the machine's time.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// A clock.
pub(crate) struct Clock {
    begun: Instant,
    stands: bool,
    hands: watch::Sender<Hands>,
}

/// How a clock is moved, and who looks at it.
#[derive(Debug, Default)]
struct Hands {
    /// By how much it was moved on.
    ahead: Duration,
    /// When those that wait go on.
    ends: Vec<Duration>,
}

impl Clock {
    /// A clock that runs, or one that only moves when it is told to.
    pub(crate) fn new(stands: bool) -> Self {
        Self {
            begun: Instant::now(),
            stands,
            hands: watch::Sender::default(),
        }
    }

    /// The time since the clock was made.
    fn now(&self) -> Duration {
        let passed = if self.stands {
            Duration::ZERO
        } else {
            self.begun.elapsed()
        };
        passed + self.hands.borrow().ahead
    }

    /// Lets `time` pass at once.
    pub(crate) fn advance(&self, time: Duration) {
        self.hands.send_modify(|hands| hands.ahead += time);
    }

    /// Waits until there are `count` waits on the clock; tells when the first of them ends.
    #[cfg(test)]
    pub(crate) async fn waits(&self, count: usize) -> Option<Duration> {
        let mut hands = self.hands.subscribe();
        let all = hands.wait_for(|hands| hands.ends.len() == count).await;
        all.ok()?.ends.iter().min().copied()
    }

    /// As [`Self::waits`], and lets the time pass until the first one ends; tells how much that was.
    #[cfg(test)]
    pub(crate) async fn pass(&self, count: usize) -> Duration {
        let end = self.waits(count).await.unwrap_or_default();
        let left = end.saturating_sub(self.now());
        self.advance(left);
        left
    }

    /// Waits until `time` has passed.
    pub(crate) async fn sleep(&self, time: Duration) {
        let end = self.now() + time;
        let mut hands = self.hands.subscribe();
        let _waits = Waits::new(&self.hands, end);
        loop {
            let left = end.saturating_sub(self.now());
            if left.is_zero() {
                return;
            }
            // The sender lives as long as the clock.
            if self.stands {
                hands.changed().await.ok();
            } else {
                tokio::time::timeout(left, hands.changed()).await.ok();
            }
        }
    }

    /// Waits for `work` for `time` at most; nothing if it took longer.
    pub(crate) async fn timeout<F: Future>(&self, time: Duration, work: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.sleep(time) => None,
        }
    }
}

/// One wait on a clock.
struct Waits<'a> {
    hands: &'a watch::Sender<Hands>,
    end: Duration,
}

impl<'a> Waits<'a> {
    fn new(hands: &'a watch::Sender<Hands>, end: Duration) -> Self {
        hands.send_modify(|hands| hands.ends.push(end));
        Self { hands, end }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.hands.send_modify(|hands| {
            if let Some(at) = hands.ends.iter().position(|end| *end == self.end) {
                hands.ends.swap_remove(at);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_over<F: Future>(future: std::pin::Pin<&mut F>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        future.poll(&mut context).is_ready()
    }

    #[test]
    fn a_standing_clock_moves_when_it_is_told_to() {
        let (clock, hour) = (Clock::new(true), Duration::from_hours(1));
        let mut sleep = pin!(clock.sleep(hour));
        let mut patience = pin!(clock.timeout(hour * 2, std::future::pending::<()>()));
        assert!(!is_over(sleep.as_mut()) && !is_over(patience.as_mut()));
        clock.advance(hour / 2);
        assert!(!is_over(sleep.as_mut()));
        clock.advance(hour / 2);
        assert!(is_over(sleep) && !is_over(patience.as_mut()));
        clock.advance(hour);
        assert!(is_over(patience));
    }

    #[tokio::test]
    async fn a_running_clock_goes_by_itself() {
        let clock = Clock::new(false);
        clock.sleep(Duration::from_millis(1)).await;
        assert_eq!(clock.timeout(Duration::ZERO, async { 1 }).await, Some(1));
        let never = std::future::pending::<()>();
        assert_eq!(clock.timeout(Duration::from_millis(1), never).await, None);
    }
}
