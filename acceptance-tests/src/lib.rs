//! A simulated Proxmox VE, guests to run on it, and a harness that drives the real `tofu`.
//! Shares no code with the provider.

pub mod guests;
pub mod replay;
pub mod simulator;
pub mod stage;
pub mod tofu;
