//! `daemon.json`: which keys are ours, what they say, and what a change of them takes.
//!
//! Does not touch the guest.
