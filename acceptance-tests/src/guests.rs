//! Guests that the simulator starts: real ones in namespaces, or scripted ones.

pub mod scripted;
