//! The pmoves provider: Docker hosts on Proxmox VE, and Compose stacks on them.
//!
//! ```text
//! main → plugin → framework → proto
//!          provider → resources → framework
//!                     resources → guest → pve
//! ```
//!
//! [`plugin`] is what core starts. [`framework`] turns its requests into plans and states by rules that hold for every
//! resource, and calls [`resources`], which decide in pure functions what to send. [`pve`] sends it to the cluster,
//! [`guest`] works inside a guest. `docs/architecture.md` follows a request and lists what always holds:
//!
//! - **Invariant:** [`framework`] and [`pve`] do not know each other (`tests/tidy.rs`).
//! - **Invariant:** nothing below [`framework`] sees an unknown value.
//! - **Invariant:** stdout carries the handshake line and nothing else.

pub mod framework;
pub mod functions;
pub mod guest;
pub mod plugin;
pub mod provider;
pub mod pve;
pub mod resources;
pub mod secret;
