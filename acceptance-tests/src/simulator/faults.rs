//! Faults that tests order: which call they hit and what happens to it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::journal::covers;

/// A fault. It hits calls from the `nth` match on, `times` times.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The method, or `*`.
    pub method: String,
    /// The path below `/api2/json`; `*` stands for one segment, a final `**` for any rest.
    pub path: String,
    /// The first match that is hit, counted from 1.
    #[serde(default = "one")]
    pub nth: u32,
    /// How many matches are hit.
    #[serde(default = "one")]
    pub times: u32,
    /// Every how many of the matches from `nth` on: 2 lets each second one through.
    #[serde(default = "one")]
    pub every: u32,
    /// What happens.
    pub effect: Effect,
    #[serde(skip)]
    pub(crate) seen: u32,
}

/// What a fault does to a call.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
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
    /// Keeps a worker of the node for this time before the work; in JSON, seconds.
    Delay(#[serde(with = "seconds")] Duration),
    /// The task that the call starts does nothing and fails with this text.
    TaskFails(String),
    /// The task that the call starts ends with this warning.
    TaskWarns(String),
    /// The task that the call starts dies with its worker, and nobody knows of it afterwards.
    TaskVanishes,
    /// The guest agent does not answer this call.
    AgentSilent,
    /// The guest agent was started anew before this call and knows none of its commands any more.
    AgentRestarts,
}

fn one() -> u32 {
    1
}

/// Durations as numbers of seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl Fault {
    /// A fault of the first call that matches.
    pub fn new(method: &str, path: &str, effect: Effect) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            nth: 1,
            times: 1,
            every: 1,
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

    /// Hits only each so many matches.
    pub fn every(mut self, every: u32) -> Self {
        self.every = every;
        self
    }

    /// Counts the call if it matches, and says whether it is hit.
    pub(crate) fn hits(&mut self, method: &str, path: &str) -> bool {
        if (self.method != "*" && self.method != method) || !covers(&self.path, path) {
            return false;
        }
        self.seen += 1;
        let every = self.every.max(1);
        let Some(after) = self.seen.checked_sub(self.nth) else {
            return false;
        };
        after % every == 0 && after / every < self.times
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
        let mut fault = Fault::new("*", "/**", Effect::Drop).every(2).times(2);
        let hits: Vec<bool> = (0..6).map(|_| fault.hits("GET", "/version")).collect();
        assert_eq!(hits, [true, false, true, false, false, false]);
    }

    #[test]
    fn faults_are_read_from_json() {
        let read = |text| serde_json::from_str::<Fault>(text);
        let fault = read(r#"{"method": "*", "path": "/**", "effect": {"delay": 2.5}}"#);
        let fault = fault.expect("it is good");
        assert!(matches!(fault.effect, Effect::Delay(time) if time.as_millis() == 2500));
        assert_eq!((fault.nth, fault.times, fault.every), (1, 1, 1));
        let again = serde_json::to_string(&fault).expect("it is written");
        assert!(read(&again).is_ok(), "{again}");
        for bad in [
            r#"{"method": "*", "path": "/**", "effect": "explode"}"#,
            r#"{"method": "*", "path": "/**", "effect": "drop", "nht": 2}"#,
            r#"{"method": "*", "path": "/**", "effect": {"delay": -1}}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
