//! Faults that tests order: which call they hit and what happens to it.

use std::time::Duration;

use super::journal::covers;

/// A fault. It hits calls from the `nth` match on, `times` times.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The method, or `*`.
    pub method: String,
    /// The path below `/api2/json`; `*` stands for one segment, a final `**` for any rest.
    pub path: String,
    /// The first match that is hit, counted from 1.
    pub nth: u32,
    /// How many matches are hit.
    pub times: u32,
    /// What happens.
    pub effect: Effect,
    pub(crate) seen: u32,
}

/// What a fault does to a call.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Answers so and does nothing else.
    Answer {
        /// The status.
        status: u16,
        /// Reason and message.
        text: String,
    },
    /// Does the work and then answers so, as a proxy does that gave up waiting.
    DoThenAnswer {
        /// The status.
        status: u16,
        /// The reason; the body is empty.
        text: String,
    },
    /// Cuts the connection before anything is done.
    Drop,
    /// Does the work and cuts the connection instead of answering.
    DoThenDrop,
    /// Waits before the work.
    Delay(Duration),
    /// The task that the call starts does nothing and fails with this text.
    TaskFails(String),
    /// The task that the call starts ends with this warning.
    TaskWarns(String),
    /// The guest agent does not answer this call.
    AgentSilent,
}

impl Fault {
    /// A fault of the first call that matches.
    pub fn new(method: &str, path: &str, effect: Effect) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            nth: 1,
            times: 1,
            effect,
            seen: 0,
        }
    }

    /// Hits the `nth` match first.
    pub fn nth(mut self, nth: u32) -> Self {
        self.nth = nth;
        self
    }

    /// Hits `times` matches.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Counts the call if it matches, and says whether it is hit.
    pub(crate) fn hits(&mut self, method: &str, path: &str) -> bool {
        if (self.method != "*" && self.method != method) || !covers(&self.path, path) {
            return false;
        }
        self.seen += 1;
        (self.nth..self.nth.saturating_add(self.times)).contains(&self.seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_from_its_nth_match_on() {
        let mut fault = Fault::new("GET", "/version", Effect::Drop).nth(2).times(2);
        let hits: Vec<bool> = (0..5).map(|_| fault.hits("GET", "/version")).collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert!(!fault.hits("POST", "/version"));
    }
}
