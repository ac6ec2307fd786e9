//! A machine that commands can be run on.

pub mod compose;
